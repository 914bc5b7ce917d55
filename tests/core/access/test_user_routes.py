"""Users on the /v1 surface: whom a caller sees and changes, and what is replaced. The document's examples are in tests/contract."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from core.access import service as access
from core.access.models import NodeGrant, RoleGrant
from core.access.nodes import CORE_NODES, NodeRegistry
from core.access.roles import create
from core.audit.models import AuditEvent
from core.people import service as people
from core.people.models import User, UserSession
from core.tenancy import service as tenancy
from core.tenancy.models import Customer
from tests.factories import PASSWORD, SETTINGS, bearer, give_nodes, give_role, make_customer, make_token, make_user, signed_in_client


def make_role(moniker: str, *nodes: str) -> str:
    return create(access.COMMAND, title=moniker, moniker=moniker, permissions=nodes, registry=NodeRegistry()).id


def change(client: FlaskClient, user: User, **changes: Any) -> Any:
    return client.patch(f"/v1/user/users/{user.id}", json=changes)


def roles_of(user: User) -> set[tuple[str, str]]:
    return {(grant.role.moniker, grant.customer_id) for grant in RoleGrant.select().where(RoleGrant.user_id == user.id)}


def nodes_of(user: User) -> set[tuple[str, str]]:
    return set(NodeGrant.select(NodeGrant.node, NodeGrant.customer_id).where(NodeGrant.user_id == user.id).tuples())


def emails(answer: Any) -> list[str]:
    return [user["email"] for user in answer.get_json()["data"]]


def events(action: str) -> list[tuple[str | None, dict]]:
    return [(event.customer_id, event.details) for event in AuditEvent.select().where(AuditEvent.action == action).order_by(AuditEvent.id)]


@pytest.fixture
def admin(app) -> FlaskClient:
    return signed_in_client(app, "msp_admin")


@pytest.fixture
def mine(app) -> Customer:
    return make_customer("Mine")


@pytest.fixture
def other(app) -> Customer:
    return make_customer("Other")


@pytest.fixture
def own_admin(app, mine) -> FlaskClient:
    """The administrator of one customer."""
    return signed_in_client(app, user=make_user("customer_admin", customer=mine, email="boss@mine.test"))


# -- whom one sees ----------------------------------------------------------------------------------------------------------


def test_a_customer_s_administrator_sees_the_users_of_his_customer_alone(own_admin, admin, mine, other):
    make_user("customer_viewer", customer=mine, email="viewer@mine.test")
    theirs = make_user("customer_viewer", customer=other, email="viewer@other.test")
    staff = make_user("msp_analyst", email="staff@msp.test")
    assert emails(own_admin.get("/v1/user/users")) == ["boss@mine.test", "viewer@mine.test"]
    for user in (theirs, staff):
        for answer in (own_admin.get(f"/v1/user/users/{user.id}"), own_admin.get(f"/v1/user/users/{user.id}/roles"),
                       own_admin.get(f"/v1/user/users/{user.id}/permissions"), change(own_admin, user, name="Taken"),
                       own_admin.delete(f"/v1/user/users/{user.id}"),
                       own_admin.post(f"/v1/user/users/{user.id}/check-permission", json={"permissions": ["finding.list"]})):
            assert (answer.status_code, answer.get_json()["error"]) == (404, "UserNotFound")
    assert len(emails(admin.get("/v1/user/users"))) == 5


def test_of_a_user_of_two_customers_each_sees_the_roles_in_the_own_one(own_admin, admin, mine, other):
    both = make_user("customer_viewer", customer=mine)
    give_role(both, "customer_admin", other)
    give_nodes(both, "integration.read", customer=other)
    give_nodes(both, "run.decide", customer=mine)
    assert own_admin.get(f"/v1/user/users/{both.id}").get_json()["data"]["roles"] == ["customer_viewer"]
    assert admin.get(f"/v1/user/users/{both.id}").get_json()["data"]["roles"] == ["customer_viewer", "customer_admin"]
    assert own_admin.get(f"/v1/user/users/{both.id}/permissions").get_json()["data"] == [{"permission": "run.decide", "companyId": mine.id}]
    asked = {"permissions": ["integration.read", "finding.list", "customer.user.create"], "trace": True}
    [beyond, held, neither] = own_admin.post(f"/v1/user/users/{both.id}/check-permission", json=asked).get_json()["data"]["results"]
    assert [(row["hasPermission"], row["trace"]) for row in (beyond, neither)] == [(False, []), (False, [])]
    assert held["trace"] == [{"via": "role", "role": "customer_viewer", "node": "finding.list", "companyId": mine.id}]


def test_a_user_of_two_customers_is_changed_as_a_person_by_msp_staff_alone(own_admin, admin, mine, other):
    both = make_user("customer_viewer", customer=mine)
    give_role(both, "customer_viewer", other)
    for answer in (change(own_admin, both, name="Taken"), change(own_admin, both, status="disabled"),
                   own_admin.delete(f"/v1/user/users/{both.id}")):
        assert answer.status_code == 403
    assert (User.get_by_id(both.id).name, User.get_by_id(both.id).status) == ("Ada", "active")
    assert change(own_admin, both, roles=["customer_admin"]).status_code == 200
    assert roles_of(both) == {("customer_admin", mine.id), ("customer_viewer", other.id)}
    assert change(admin, both, name="Grace").status_code == 200


def test_a_disabled_customer_s_users_reach_nobody(app, own_admin, mine):
    tenancy.change(mine.id, status="disabled", actor="test")
    assert own_admin.get("/v1/user/users").status_code == 403
    assert own_admin.get("/v1/user/@me").status_code == 200


def test_a_node_held_in_another_customer_than_the_second_one_opens_nothing(app, mine, other):
    user = give_nodes(give_nodes(make_user(), "user.read.other", customer=mine), "user.list.other", customer=other)
    assert signed_in_client(app, user=user).get("/v1/user/users").status_code == 403


@pytest.mark.parametrize("identifier", ["nobody", "x" * 300, "é", "' OR 1=1", "@me", "usr_%"])
def test_an_id_that_is_none_is_not_found(admin, identifier):
    answer = admin.get(f"/v1/user/users/{identifier}")
    assert (answer.status_code, answer.get_json()["error"]) == (404, "UserNotFound")
    assert len(answer.get_json()["message"]) < 200


@pytest.mark.parametrize("count", [1, 30])
def test_the_listing_takes_the_same_statements_for_any_number_of_users(app, own_admin, mine, statements, count):
    for _ in range(count):
        make_user("customer_viewer", customer=mine)
    with statements() as executed:
        assert len(emails(own_admin.get("/v1/user/users"))) == count + 1
    assert len(executed) == 5  # session, grants, active customers, users, their roles


# -- oneself ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["msp_admin", "msp_analyst", "customer_admin", "customer_viewer"])
def test_every_shipped_role_reads_and_writes_its_own_user(app, mine, role):
    client = signed_in_client(app, role, customer=mine)
    assert client.patch("/v1/user/@me", json={"name": "New name"}).status_code == 200
    told = client.get("/v1/user/@me").get_json()["data"]
    assert (told["name"], told["roles"], told["image"]) == ("New name", [role], None)


@pytest.mark.parametrize("image", [None, ""])
def test_a_picture_is_taken_away(app, image):
    client = signed_in_client(app, "msp_admin")
    assert client.patch("/v1/user/@me", json={"image": "https://example.com/a.jpg"}).get_json()["data"]["image"] == "https://example.com/a.jpg"
    assert client.patch("/v1/user/@me", json={"image": image}).get_json()["data"]["image"] is None


@pytest.mark.parametrize("changes", [
    {"image": "javascript:alert(1)"}, {"image": "data:image/png;base64,x"}, {"image": "/a.jpg"}, {"image": "https://x.test/" + "a" * 1000},
    {"name": ""}, {"name": "\u200b\u2060"}, {"name": "a\u202eb"}, {"name": None}, {"name": "x" * 201}, {"roles": ["msp_admin"]},
    {"permissions": ["*"]}, {"email": "x@y.test"}])
def test_what_one_may_not_make_of_oneself(app, changes):
    answer = signed_in_client(app, "customer_viewer", customer=make_customer()).patch("/v1/user/@me", json=changes)
    assert (answer.status_code, answer.get_json()["message"]) == (400, "Validation error")


def test_the_change_of_a_profile_is_audited_and_nothing_is_written_when_nothing_changes(app):
    client = signed_in_client(app, "msp_admin")
    for _ in range(2):
        client.patch("/v1/user/@me", json={"name": "Jane"})
    assert events("user.changed") == [(None, {"name": "Jane"})]


# -- replacing roles and permissions ----------------------------------------------------------------------------------------


def test_roles_go_by_id_or_moniker_and_replace_all(admin):
    user, role_id = make_user("msp_analyst"), make_role("deciders", "finding.decide")
    assert change(admin, user, roles=[role_id, "deciders", "msp_admin"]).get_json()["data"]["roles"] == ["deciders", "msp_admin"]
    assert roles_of(user) == {("deciders", ""), ("msp_admin", "")}
    assert change(admin, user, roles=[]).get_json()["data"]["roles"] == []


def test_what_was_told_can_be_sent_back_wherever_it_is_held(admin, mine, other):
    user = make_user("customer_viewer", customer=mine)
    make_role("deciders", "finding.decide")
    give_role(user, "customer_admin", other)
    access.grant_role(access.COMMAND, user, "deciders", other.id)
    before = roles_of(user)
    told = admin.get(f"/v1/user/users/{user.id}").get_json()["data"]["roles"]
    assert change(admin, user, roles=told).get_json()["data"]["roles"] == told
    assert roles_of(user) == before
    assert events("user.roles_replaced") == []


def test_something_new_is_held_where_the_user_belongs(admin, mine):
    make_role("deciders", "finding.decide")
    portal, staff, new = make_user("customer_viewer", customer=mine), make_user("msp_analyst"), make_user()
    for user in (portal, staff, new):
        assert change(admin, user, roles=["deciders"], permissions=["run.decide"]).status_code == 200
    assert (roles_of(portal), nodes_of(portal)) == ({("deciders", mine.id)}, {("run.decide", mine.id)})
    assert roles_of(staff) == roles_of(new) == {("deciders", "")}
    assert nodes_of(staff) == nodes_of(new) == {("run.decide", "")}


def test_taking_a_portal_user_s_roles_away_in_the_same_request_makes_him_no_staff(admin, mine):
    portal = make_user("customer_viewer", customer=mine)
    assert change(admin, portal, roles=[], permissions=["finding.list"]).status_code == 200
    assert nodes_of(portal) == {("finding.list", mine.id)}


def test_where_there_is_a_choice_the_company_has_to_be_named(admin, mine, other):
    user = make_user("customer_viewer", customer=mine)
    give_role(user, "customer_viewer", other)
    answer = change(admin, user, roles=["customer_viewer", "customer_admin"])
    assert (answer.status_code, answer.get_json()["errors"][0]["path"]) == (400, ["companyId"])
    assert change(admin, user, roles=["customer_admin"], companyId=other.id).status_code == 200
    assert roles_of(user) == {("customer_viewer", mine.id), ("customer_admin", other.id)}
    assert change(admin, user, permissions=["finding.list"], companyId=None).status_code == 200
    assert nodes_of(user) == {("finding.list", "")}


@pytest.mark.parametrize("changes", [{"roles": ["nonsense"]}, {"roles": [""]}, {"roles": ["MSP_ADMIN"]}, {"roles": ["msp_admin "]},
                                     {"roles": ["ｍsp_admin"]}, {"roles": [None]}, {"roles": "msp_admin"}, {"roles": ["customer_viewer"]},
                                     {"permissions": ["no.such.node"]}, {"permissions": [""]}, {"status": "gone"}, {"email": "x@y.test"},
                                     {"roles": ["msp_admin"], "companyId": "cus_ghost"}, {"login": "root"}, {"roles": ["x"] * 1001}])
def test_what_cannot_be_is_refused_whole(admin, changes):
    user = make_user("msp_analyst")
    answer = change(admin, user, name="Renamed", **changes)
    assert answer.status_code == 400
    assert (User.get_by_id(user.id).name, roles_of(user)) == ("Ada", {("msp_analyst", "")})


def test_the_difference_is_audited_with_each_customer_concerned(admin, mine, other):
    user = make_user("customer_viewer", customer=mine)
    give_role(user, "customer_viewer", other)
    change(admin, user, roles=["customer_admin"], companyId=mine.id)
    change(admin, user, roles=["msp_analyst"])
    change(admin, user, permissions=["run.decide", "run.read"], companyId=None)
    change(admin, user, permissions=["run.read"])
    assert sorted(events("user.roles_replaced"), key=lambda event: event[0] or "") == sorted([
        (mine.id, {"added": ["customer_admin"], "removed": ["customer_viewer"]}), (None, {"added": ["msp_analyst"], "removed": []}),
        (mine.id, {"added": [], "removed": ["customer_admin"]}), (other.id, {"added": [], "removed": ["customer_viewer"]})],
        key=lambda event: event[0] or "")
    assert events("user.permissions_replaced") == [(None, {"added": ["run.decide", "run.read"], "removed": []}),
                                                   (None, {"added": [], "removed": ["run.decide"]})]


def test_replacing_takes_the_same_statements_for_any_number(admin, statements):
    counts = []
    for number in (1, 20):
        user = make_user()
        names = [make_role(f"many{number}-{index}", "finding.list") for index in range(number)]
        nodes = [node.node for node in CORE_NODES][:number]
        with statements() as executed:
            assert change(admin, user, roles=names, permissions=nodes).status_code == 200
        counts.append(len(executed))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("number", [1, 300])
def test_permissions_that_do_not_exist_are_refused_in_the_same_statements(admin, statements, number):
    user = make_user()
    with statements() as executed:
        assert change(admin, user, permissions=[f"no.such{index}" for index in range(number)]).status_code == 400
    assert len([statement for statement in executed if "permission_scope" in statement]) <= 1


def test_a_user_is_as_new_as_what_he_holds(app, admin):
    user = make_user()
    User.update(updated_at=1).where(User.id == user.id).execute()
    change(admin, user, roles=["msp_analyst"])
    assert User.get_by_id(user.id).updated_at > 1


# -- disabling and deleting -------------------------------------------------------------------------------------------------


def test_a_disabled_user_is_shut_out_until_he_is_enabled(app, admin):
    user = make_user("msp_analyst")
    client, token = signed_in_client(app, user=user), bearer(make_token(user))
    assert change(admin, user, status="disabled").status_code == 200
    assert client.get("/v1/user/@me").status_code == 401
    assert app.test_client().get("/v1/user/@me", headers=token).status_code == 401
    assert change(admin, user, status="active").status_code == 200
    assert app.test_client().get("/v1/user/@me", headers=token).status_code == 200


def test_a_deleted_user_is_gone_with_his_sessions_tokens_and_grants_and_the_audit_stays(app, admin, mine):
    user = make_user("customer_admin", customer=mine, email="gone@mine.test", password=PASSWORD)
    give_nodes(user, "finding.decide", customer=mine)
    client, token = signed_in_client(app, user=user), bearer(make_token(user))
    client.patch("/v1/user/@me", json={"name": "Was here"})
    assert admin.delete(f"/v1/user/users/{user.id}").get_json()["data"]["roles"] == ["customer_admin"]
    assert (client.get("/v1/user/@me").status_code, app.test_client().get("/v1/user/@me", headers=token).status_code) == (401, 401)
    assert people.authenticate("gone@mine.test", PASSWORD, SETTINGS) is None
    assert (roles_of(user), nodes_of(user), UserSession.select().where(UserSession.user_id == user.id).count()) == (set(), set(), 0)
    assert AuditEvent.select().where(AuditEvent.actor == "gone@mine.test", AuditEvent.action == "user.changed").count() == 1
    assert events("user.deleted") == [(None, {"email": "gone@mine.test"})]
    assert admin.get(f"/v1/user/users/{user.id}").status_code == 404


def test_who_comes_back_under_a_deleted_address_holds_nothing(app, admin, mine):
    user = make_user("customer_admin", customer=mine, email="back@mine.test")
    token = bearer(make_token(user))
    admin.delete(f"/v1/user/users/{user.id}")
    again = make_user(email="back@mine.test")
    assert (again.id != user.id, roles_of(again)) == (True, set())
    assert app.test_client().get("/v1/user/@me", headers=token).status_code == 401


# -- service accounts -------------------------------------------------------------------------------------------------------


def test_a_service_account_acts_by_tokens_and_never_signs_in(app, admin, mine):
    made = admin.post("/v1/user/service-accounts", json={"login": "ci-robot", "roles": ["customer_viewer"], "companyId": mine.id})
    assert (made.status_code, made.get_json()["message"]) == (201, "Service Account Created Successfully!")
    told = made.get_json()["data"]
    assert (told["login"], told["name"], told["email"]) == ("ci-robot", "ci-robot", "ci-robot@service.invalid")
    user = User.get_by_id(told["id"])
    with pytest.raises(Exception, match="cannot sign in"):
        people.set_password(user, PASSWORD, actor="test", settings=SETTINGS)
    assert people.authenticate(user.email, "", SETTINGS) is None
    token = admin.post(f"/v1/user/users/{user.id}/tokens", json={"name": "pipeline"}).get_json()["data"]["token"]
    answer = app.test_client().get("/v1/user/@me", headers=bearer(token))
    assert answer.get_json()["data"]["login"] == "ci-robot"
    assert emails(admin.get("/v1/user/service-accounts")) == ["ci-robot@service.invalid"]


def test_service_accounts_of_two_customers_are_listed_apart(own_admin, admin, mine, other):
    for login, customer in (("first", mine), ("second", other)):
        assert admin.post("/v1/user/service-accounts",
                          json={"login": login, "roles": ["customer_viewer"], "companyId": customer.id}).status_code == 201
    assert emails(own_admin.get("/v1/user/service-accounts")) == ["first@service.invalid"]
    assert own_admin.post("/v1/user/service-accounts", json={"login": "third", "roles": ["customer_viewer"]}).status_code == 201
    assert emails(own_admin.get("/v1/user/service-accounts")) == ["first@service.invalid", "third@service.invalid"]


@pytest.mark.parametrize(("facts", "status"), [
    ({"login": "Robot"}, 400), ({"login": "rob ot"}, 400), ({"login": "ｒobot"}, 400), ({"login": "taken"}, 409), ({"roles": []}, 400),
    ({"roles": ["msp_admin"]}, 400), ({"roles": ["nonsense"]}, 400), ({"companyId": "cus_ghost"}, 400), ({"companyId": None}, 400)])
def test_a_service_account_that_cannot_be(own_admin, facts, status):
    own_admin.post("/v1/user/service-accounts", json={"login": "taken", "roles": ["customer_viewer"]})
    before = User.select().count()
    answer = own_admin.post("/v1/user/service-accounts", json={"login": "robot", "roles": ["customer_viewer"], **facts})
    assert (answer.status_code, User.select().count()) == (status, before)


def test_nobody_gets_a_service_s_address(app):
    for email in ("robot@service.invalid", "Robot@SERVICE.invalid"):
        with pytest.raises(Exception, match="not an e-mail address"):
            people.add(email, actor="test", settings=SETTINGS)
