"""Roles on the /v1 surface: who sees and changes them, and what nobody may make of them."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from core.access import service as access
from core.access.models import GroupLimit, Role, RoleGrant
from core.audit.models import AuditEvent
from core.tenancy.models import Customer
from tests.factories import bearer, give_nodes, give_role, make_customer, make_token, make_user, signed_in_client

NEW = {"title": "Deciders", "moniker": "deciders", "permissions": ["finding.decide"]}


@pytest.fixture
def admin(app) -> FlaskClient:
    return signed_in_client(app, "msp_admin")


def make(client: FlaskClient, **facts: Any) -> Any:
    return client.post("/v1/role", json={**NEW, **facts})


def holding(app, *nodes: str, customer: Customer | None = None) -> FlaskClient:
    return signed_in_client(app, user=give_nodes(make_user(), *nodes, customer=customer))


def events(action: str) -> list[dict]:
    return [event.details for event in AuditEvent.select().where(AuditEvent.action == action).order_by(AuditEvent.id)]


# -- seeing -----------------------------------------------------------------------------------------------------------------


def test_a_customer_s_administrator_sees_customers_roles_and_those_held_with_him(app, admin):
    mine, other = make_customer(), make_customer()
    for moniker, customer in (("here", mine), ("there", other)):
        make(admin, moniker=moniker, title=f"Only {moniker}")
        access.grant_role(access.COMMAND, make_user("customer_viewer", customer=customer), moniker, customer.id)
    make(admin, moniker="nowhere")
    client = signed_in_client(app, "customer_admin", customer=mine)
    assert {role["moniker"] for role in client.get("/v1/role").get_json()["data"]} == {"customer_admin", "customer_viewer", "here"}
    assert [client.get(f"/v1/role/{moniker}").status_code for moniker in ("here", "there", "nowhere", "msp_admin")] == [200, 404, 404, 404]
    assert client.get("/v1/role/there/users").get_json() == client.get("/v1/role/ghost/users").get_json() | {
        "message": "Role with identifier 'there' was not found."}
    assert len(admin.get("/v1/role").get_json()["data"]) == 7


def test_the_holders_of_a_role_are_those_of_one_s_own_customer(app, admin):
    mine, other = make_customer(), make_customer()
    both = make_user("customer_viewer", customer=mine, email="both@example.test")
    give_role(both, "customer_admin", other)
    make_user("customer_viewer", customer=other, email="there@example.test")
    client = signed_in_client(app, "customer_admin", customer=mine)
    role_id = Role.get(Role.moniker == "customer_viewer").id
    [told] = client.get("/v1/role/customer_viewer/users").get_json()["data"]
    assert (told["id"], told["roles"]) == (both.id, [role_id])
    assert len(admin.get(f"/v1/role/{role_id}/users").get_json()["data"]) == 2


def test_the_listings_take_the_same_statements_for_any_number(app, admin, statements):
    counts = []
    for number in (1, 20):
        for index in range(number):
            make(admin, moniker=f"role{number}-{index}")
            make_user("msp_analyst")
        for address in ("/v1/role", "/v1/role/msp_analyst/users"):
            with statements() as executed:
                assert admin.get(address).status_code == 200
            counts.append(len(executed))
    assert counts == [3, 5] * 2


def test_roles_are_changed_by_those_who_may_everywhere(app):
    customer = make_customer()
    for nodes in (["role.create"], ["role.modify"], ["role.delete"], ["role.*"]):
        client = holding(app, *nodes, "finding.decide", "role.read", customer=customer)
        for answer in (make(client), client.patch("/v1/role/customer_viewer", json={"title": "x"}),
                       client.delete("/v1/role/customer_viewer"),
                       client.post("/v1/role/customer_viewer/permissions", json={"permissions": ["finding.decide"]}),
                       client.delete("/v1/role/customer_viewer/permissions", json={"permissions": ["finding.list"]})):
            assert answer.status_code == 403


# -- monikers and titles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("facts", "status"), [
    ({"moniker": "msp_admin"}, 409), ({"moniker": "MSP_ADMIN"}, 409), ({"moniker": "Deciders-2"}, 201), ({"moniker": "first"}, 409),
    ({"moniker": "FIRST"}, 409), ({"moniker": "ｍsp_admin"}, 400), ({"moniker": "msp_admin\u200b"}, 400), ({"moniker": "msp_admin "}, 400),
    ({"moniker": " msp_admin"}, 400), ({"moniker": "msp_admin\n"}, 400), ({"moniker": "msр_admin"}, 400), ({"moniker": "ﬁrst"}, 400),
    ({"moniker": ""}, 400), ({"moniker": "*"}, 400), ({"moniker": "a/b"}, 400), ({"moniker": "x" * 65}, 400), ({"moniker": "rol_"}, 400),
    ({"moniker": None}, 400), ({"moniker": "İstanbul"}, 400), ({"moniker": "..", "title": "Dots"}, 400), ({"moniker": "@me"}, 400),
    ({"title": ""}, 400), ({"title": "\u2060"}, 400), ({"title": "a\u202eb"}, 400), ({"title": "x\x00"}, 400), ({"title": "x" * 201}, 400),
    ({"title": "MSP administrator"}, 201)])
def test_which_names_a_role_may_have(admin, facts, status):
    make(admin, moniker="first")
    answer = make(admin, **facts)
    assert answer.status_code == status, answer.get_json()
    assert admin.get("/v1/role/msp_admin").get_json()["data"]["permissions"] == ["*"]


def test_a_role_cannot_take_the_id_of_another_as_its_moniker(admin):
    role_id = make(admin).get_json()["data"]["id"]
    assert make(admin, moniker=role_id).status_code == 400
    assert admin.patch("/v1/role/deciders", json={"moniker": role_id}).status_code == 400


def test_a_moniker_is_taken_when_it_is_changed_too(admin):
    make(admin, moniker="first")
    make(admin)
    answer = admin.patch("/v1/role/deciders", json={"moniker": "First", "title": "New title"})
    assert (answer.status_code, answer.get_json()["error"]) == (409, "RoleExists")
    assert admin.get("/v1/role/deciders").get_json()["data"]["title"] == "Deciders"
    assert admin.patch("/v1/role/deciders", json={"moniker": "DECIDERS"}).status_code == 200


@pytest.mark.parametrize("identifier", ["nobody", "MSP_ADMIN", "ｍsp_admin", "%2e%2e", "x" * 300, "rol_ghost", "é"])
def test_an_identifier_that_is_none_is_not_found(admin, identifier):
    answer = admin.get(f"/v1/role/{identifier}")
    assert (answer.status_code, answer.get_json()["error"]) == (404, "RoleNotFound")


# -- wildcards --------------------------------------------------------------------------------------------------------------

TRICKS = ["", " ", "*.", ".*", " *", "* ", "**", "finding.**", "finding..list", "finding.*.", "＊", "finding.＊", "finding.∗",
          "*\n", "\u200b*", "FINDING.LIST", "finding.list ", "finding.%", "finding.[a-z]*", "no.such", "no.*", "finding", "finding.list.*",
          "x" * 300, "user.*.*.*"]


@pytest.mark.parametrize("node", TRICKS)
def test_a_pattern_that_is_none_is_refused_wherever_it_is_given(admin, node):
    make(admin)
    user = make_user("msp_analyst")
    for answer in (make(admin, moniker="tricky", permissions=[node]), admin.patch("/v1/role/deciders", json={"permissions": [node]}),
                   admin.post("/v1/role/deciders/permissions", json={"permissions": [node]}),
                   admin.patch(f"/v1/user/users/{user.id}", json={"permissions": [node]}),
                   admin.post("/v1/user/@me/tokens", json={"name": "t", "permissions": [node]})):
        assert answer.status_code == 400, answer.get_json()
    assert Role.get(Role.moniker == "deciders").nodes == ["finding.decide"]


@pytest.mark.parametrize(("pattern", "opens"), [
    ("*", {"user.read", "user.read.other", "token.manage"}), ("user.*", {"user.read", "user.read.other"}), ("*.read", {"user.read"}),
    ("user.*.other", {"user.read.other"}), ("*.*.other", {"user.read.other"}), ("user.read.*", {"user.read.other"}),
    ("user.*.*", {"user.read.other"}), ("*.*", {"user.read", "user.read.other", "token.manage"})])
def test_wildcards_at_any_depth(app, admin, pattern, opens):
    make(admin, permissions=[pattern])
    user = make_user()
    access.grant_role(access.COMMAND, user, "deciders")
    asked = ["user.read", "user.read.other", "token.manage"]
    results = admin.post(f"/v1/user/users/{user.id}/check-permission", json={"permissions": asked}).get_json()["data"]["results"]
    assert {row["permission"] for row in results if row["hasPermission"]} == opens


@pytest.mark.parametrize("held", ["*.*", "user.*", "*.read", "finding.*"])
def test_whoever_holds_less_than_everything_does_not_make_everything(app, admin, held):
    client = holding(app, held, "role.create", "role.modify")
    answer = make(client, permissions=["*"])
    assert (answer.status_code, answer.get_json()["error"]) == (403, "InsufficientPermission")
    make(admin)
    assert client.post("/v1/role/deciders/permissions", json={"permissions": ["*"]}).status_code == 403


# -- nobody gives what he does not hold -------------------------------------------------------------------------------------


def test_a_role_is_not_widened_by_who_holds_it_or_edits_it(app, admin):
    make(admin, permissions=["role.*", "user.*", "finding.list"])
    editor = make_user()
    access.grant_role(access.COMMAND, editor, "deciders")
    client = signed_in_client(app, user=editor)
    for answer in (client.patch("/v1/role/deciders", json={"permissions": ["role.*", "user.*", "finding.list", "*"]}),
                   client.patch("/v1/role/deciders", json={"permissions": ["finding.*"]}),
                   client.post("/v1/role/deciders/permissions", json={"permissions": ["finding.decide"]}),
                   make(client, moniker="back-door", permissions=["finding.decide"]),
                   client.patch(f"/v1/user/users/{editor.id}", json={"roles": ["deciders", "msp_admin"]}),
                   client.patch(f"/v1/user/users/{editor.id}", json={"permissions": ["finding.decide"]}),
                   client.patch(f"/v1/user/users/{make_user().id}", json={"roles": ["msp_analyst"]})):
        assert (answer.status_code, answer.get_json()["error"]) == (403, "InsufficientPermission")
    assert Role.get(Role.moniker == "deciders").nodes == ["role.*", "user.*", "finding.list"]
    assert RoleGrant.select().where(RoleGrant.user_id == editor.id).count() == 1
    assert make(client, moniker="narrower", permissions=["finding.list", "user.read.other"]).status_code == 201


def test_what_a_role_has_already_may_stay_though_its_editor_does_not_hold_it(app, admin):
    make(admin, permissions=["finding.decide", "finding.list"])
    client = holding(app, "role.modify")
    kept = {"title": "Renamed", "permissions": ["finding.decide", "finding.list"]}
    assert client.patch("/v1/role/deciders", json=kept).status_code == 200
    assert client.delete("/v1/role/deciders/permissions", json={"permissions": ["finding.decide"]}).status_code == 200
    assert client.post("/v1/role/deciders/permissions", json={"permissions": ["finding.decide"]}).status_code == 403


def test_holding_a_node_in_one_customer_is_not_enough_for_a_role_that_may_be_held_in_all(app):
    customer = make_customer()
    client = signed_in_client(app, user=give_nodes(give_nodes(make_user(), "role.create"), "finding.decide", customer=customer))
    assert make(client).status_code == 403


def test_a_token_gives_no_more_than_it_is_narrowed_to(app):
    token = bearer(make_token(make_user("msp_admin"), nodes=["role.create", "role.modify", "finding.list"]))
    client = app.test_client()
    assert client.post("/v1/role", json=NEW, headers=token).status_code == 403
    assert client.post("/v1/role", json={**NEW, "permissions": ["finding.list"]}, headers=token).status_code == 201
    assert client.post("/v1/role/deciders/permissions", json={"permissions": ["*"]}, headers=token).status_code == 403


def test_who_is_limited_to_asset_groups_gives_to_nobody_who_is_not(app):
    customer = make_customer()
    boss, limited_too, free = (make_user("customer_admin", customer=customer) for _ in range(3))
    for user, group in ((boss, "grp_1"), (boss, "grp_2"), (limited_too, "grp_1")):
        GroupLimit.create(customer_id=customer.id, user_id=user.id, group_id=group)
    client = signed_in_client(app, user=boss)
    given = {"roles": ["customer_viewer"]}
    assert client.patch(f"/v1/user/users/{free.id}", json=given).status_code == 403
    assert client.patch(f"/v1/user/users/{limited_too.id}", json=given).status_code == 200
    assert client.post("/v1/user/service-accounts", json={"login": "way-round", **given}).status_code == 403
    assert client.post(f"/v1/user/users/{free.id}/tokens",
                       json={"name": "x", "permissions": ["finding.list"], "companyId": customer.id}).status_code == 403


# -- shipped roles, and the trail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moniker", ["msp_admin", "msp_analyst", "customer_admin", "customer_viewer"])
def test_a_shipped_role_stays_as_it_is(admin, moniker):
    for answer in (admin.patch(f"/v1/role/{moniker}", json={"title": "Mine"}), admin.delete(f"/v1/role/{moniker}"),
                   admin.post(f"/v1/role/{moniker}/permissions", json={"permissions": ["finding.list"]}),
                   admin.delete(f"/v1/role/{moniker}/permissions", json={"permissions": ["finding.list"]})):
        assert (answer.status_code, answer.get_json()["error"]) == (409, "BuiltInRole")


def test_changes_of_roles_are_audited_with_the_difference(admin):
    role_id = make(admin).get_json()["data"]["id"]
    access.grant_role(access.COMMAND, make_user(), "deciders")
    admin.patch("/v1/role/deciders", json={"permissions": ["finding.list", "run.*"], "title": "Readers", "moniker": "readers"})
    admin.post("/v1/role/readers/permissions", json={"permissions": ["finding.list"]})  # has it already
    admin.delete("/v1/role/readers/permissions", json={"permissions": ["run.*", "run.read"]})
    admin.delete(f"/v1/role/{role_id}")
    assert events("role.created") == [{"title": "Deciders", "moniker": "deciders", "permissions": ["finding.decide"]}]
    assert events("role.changed") == [
        {"role": "deciders", "title": "Readers", "moniker": "readers", "added": ["finding.list", "run.*"], "removed": ["finding.decide"]},
        {"role": "readers", "added": [], "removed": ["run.*"]}]
    assert events("role.deleted") == [{"title": "Readers", "moniker": "readers", "removed": ["finding.list"], "grants": 1}]


def test_a_deleted_role_is_taken_from_all_who_hold_it(app, admin):
    make(admin)
    users = [make_user("msp_analyst") for _ in range(3)]
    for user in users:
        access.grant_role(access.COMMAND, user, "deciders")
    assert admin.delete("/v1/role/deciders").status_code == 200
    assert admin.get(f"/v1/user/users/{users[0].id}").get_json()["data"]["roles"] == ["msp_analyst"]
    assert admin.delete("/v1/role/deciders").status_code == 404


def test_an_edited_role_counts_from_the_next_request(app, admin):
    make(admin, permissions=["role.read"])
    user = make_user()
    access.grant_role(access.COMMAND, user, "deciders")
    client = signed_in_client(app, user=user)
    assert client.get("/v1/role/deciders").status_code == 200
    admin.patch("/v1/role/deciders", json={"permissions": ["finding.list"]})
    assert client.get("/v1/role/deciders").status_code == 403
