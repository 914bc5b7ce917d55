"""``GET /v1/audit``: who sees which events, narrowed and in pages."""

import pytest

from core import audit, clock
from core.access import service as access
from core.access.models import GroupLimit
from core.access.nodes import NodeRegistry
from core.audit.models import AuditEvent, AuditHead
from core.scope import HOUSE
from core.tenancy import service as tenancy
from tests.factories import bearer, make_customer, make_token, make_user, signed_in_client

FIELDS = {"id", "at", "action", "actor", "actorId", "via", "address", "requestId", "target", "companyId", "details", "digest"}


@pytest.fixture
def world(app):
    """Two customers with three events each, and one that belongs to nobody; the users are made before."""
    acme, other = make_customer("Acme"), make_customer("Other")
    staff, theirs = make_user("msp_analyst"), make_user("customer_viewer", customer=acme)
    access.grant_node(access.COMMAND, theirs, "audit.read", acme.id, NodeRegistry())
    for model in (AuditEvent, AuditHead):
        model.delete().execute()
    for number in range(3):
        audit.record("credential.revealed", actor="ada@example.test", target=f"a{number}", customer_id=acme.id, details={"n": number})
        audit.record("run.finished", actor="bob@example.test", target=f"o{number}", customer_id=other.id)
    audit.record("user.created", actor="command", target="usr")
    return acme, other, staff, theirs


def asked(client, **query):
    answer = client.get("/v1/audit", query_string=query)
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def targets(client, **query):
    return [event["target"] for event in asked(client, **query)["data"]]


def test_staff_see_everything_newest_first(app, world):
    told = asked(signed_in_client(app, user=world[2]))
    assert [event["target"] for event in told["data"]] == ["usr", "o2", "a2", "o1", "a1", "o0", "a0"]
    assert (told["status"], told["message"], told["successful"]) == (200, "Audit Events Fetched Successfully!", True)
    assert told["pagination"]["totalRecords"] == 7
    assert set(told["data"][0]) == FIELDS
    acme = world[0]
    assert {key: told["data"][2][key] for key in ("id", "action", "actor", "companyId", "details")} == {
        "id": f"{acme.id}.3", "action": "credential.revealed", "actor": "ada@example.test", "companyId": acme.id, "details": {"n": 2}}


def test_a_customer_s_user_sees_what_belongs_to_his_customer_alone(app, world):
    acme, other, _, theirs = world
    client = signed_in_client(app, user=theirs)
    assert targets(client) == targets(client, company=acme.id) == ["a2", "a1", "a0"]
    assert asked(client)["pagination"]["totalRecords"] == 3
    for company in (other.id, "cus_ghost", "-"):
        answer = client.get("/v1/audit", query_string={"company": company})
        assert (answer.status_code, answer.get_json()) == (403, {
            "status": 403, "message": "Insufficient permissions", "successful": False}), company


def test_a_token_narrowed_to_a_customer_sees_his_alone(app, world):
    acme, other, staff, _ = world
    client, headers = app.test_client(), bearer(make_token(staff, customer_id=acme.id))
    told = client.get("/v1/audit", headers=headers).get_json()
    assert {event["companyId"] for event in told["data"]} == {acme.id}
    assert client.get(f"/v1/audit?company={other.id}", headers=headers).status_code == 403


def test_without_the_node_nothing_is_seen(app, world):
    assert signed_in_client(app, "customer_admin", customer=world[0]).get("/v1/audit").status_code == 403
    assert app.test_client().get("/v1/audit").status_code == 401


def test_who_may_see_only_some_groups_of_a_customer_does_not_see_his_events(app, world):
    acme, _, staff, theirs = world
    for user in (staff, theirs):
        GroupLimit.create(customer_id=acme.id, user_id=user.id, group_id="grp_x")
    assert targets(signed_in_client(app, user=theirs)) == []
    client = signed_in_client(app, user=staff)
    told = asked(client)
    assert ([event["target"] for event in told["data"]], told["pagination"]["totalRecords"]) == (["usr", "o2", "o1", "o0"], 4)
    assert client.get(f"/v1/audit?company={acme.id}").status_code == 403


def test_the_events_of_a_disabled_customer_are_not_shown_to_its_users(app, world):
    acme, _, _, theirs = world
    client = signed_in_client(app, user=theirs)
    tenancy.change(acme.id, status="disabled", actor="test")
    assert client.get("/v1/audit").status_code == 403


@pytest.mark.parametrize(("query", "expected"), [
    ({"action": "credential.revealed"}, ["a2", "a1", "a0"]), ({"action": "credential.*"}, ["a2", "a1", "a0"]),
    ({"action": "credential"}, []),
    ({"action": "c_edential.*"}, []), ({"action": "CREDENTIAL.*"}, []), ({"actor": "bob@example.test"}, ["o2", "o1", "o0"]),
    ({"actor": "BOB@example.test"}, []), ({"target": "a1"}, ["a1"]), ({"target": "a1", "action": "run.finished"}, []),
    ({"company": "ghost"}, [])])
def test_it_is_narrowed(app, world, query, expected):
    client = signed_in_client(app, user=world[2])
    told = asked(client, **query)
    assert [event["target"] for event in told["data"]] == expected
    assert told["pagination"]["totalRecords"] == len(expected)


def test_it_is_narrowed_in_time(app, world, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: 5_000)
    audit.record("thing.changed", actor="ada", target="early", customer_id=world[0].id)
    monkeypatch.undo()
    client = signed_in_client(app, user=world[2])
    assert targets(client, until="1970-01-01T00:01:00Z") == ["early"]
    assert "early" not in targets(client, since="1970-01-01T00:00:05.001Z")
    assert targets(client, since="1970-01-01T00:00:05Z", until="1970-01-01T00:00:05.001Z") == ["early"]


def test_pages_follow_each_other(app, world):
    client = signed_in_client(app, user=world[2])
    assert [targets(client, rpp=3, page=page) for page in (1, 2, 3, 4)] == [["usr", "o2", "a2"], ["o1", "a1", "o0"], ["a0"], []]
    assert [targets(client, rpp=2, page=page, company=world[0].id) for page in (1, 2)] == [["a2", "a1"], ["a0"]]
    assert asked(client, rpp=3)["pagination"] == {
        "previousPage": None, "currentPage": 1, "nextPage": 2, "totalPages": 3, "totalRecords": 7, "listedRecords": 3}


@pytest.mark.parametrize("query", ["since=yesterday", "page=0", "rpp=0", "actor=%00", "company=" + "x" * 33])
def test_what_cannot_be_asked_is_refused(app, world, query):
    answer = signed_in_client(app, user=world[2]).get(f"/v1/audit?{query}")
    assert (answer.status_code, answer.get_json()["successful"]) == (400, False)


def test_a_request_s_events_tell_who_asked_how_and_from_where(app):
    admin = make_user("msp_admin")
    client = signed_in_client(app, user=admin)
    answer = client.post("/api/customers", json={"name": "New"}, headers={"X-Request-Id": "given-by-proxy"},
                         environ_base={"REMOTE_ADDR": "2001:db8::7"})
    assert answer.status_code == 201
    event = asked(client, action="customer.created")["data"][0]
    assert {key: event[key] for key in ("actor", "actorId", "via", "address", "requestId")} == {
        "actor": admin.email, "actorId": admin.id, "via": "session", "address": "2001:db8::7", "requestId": "given-by-proxy"}
    token = make_token(admin)
    assert app.test_client().post("/api/customers", json={"name": "Newer"}, headers=bearer(token)).status_code == 201
    assert asked(client, action="customer.created")["data"][0]["via"] == "token"


def test_what_happens_after_a_request_does_not_seem_to_come_from_it(app):
    signed_in_client(app, "msp_admin").post("/api/customers", json={"name": "New"})
    audit.record("thing.changed", actor="ada", target="later")
    later = AuditEvent.get(AuditEvent.target == "later")
    assert (later.via, later.actor_id, later.address, later.request_id) == (None,) * 4


def test_listing_takes_a_constant_number_of_statements(app, world, statements):
    client = signed_in_client(app, user=world[2])
    counted = []
    for _ in range(2):
        with statements() as executed:
            asked(client)
        counted.append(len(executed))
        for number in range(20):
            audit.record("thing.changed", actor="ada", customer_id=f"cus_{number}")
    assert counted[0] == counted[1]


def test_what_belongs_to_the_msp_s_own_connections_is_of_no_company(app, world):
    audit.record("connection.changed", actor="ada", target="con", customer_id=HOUSE)
    newest = asked(signed_in_client(app, user=world[2]))["data"][0]
    assert (newest["target"], newest["companyId"]) == ("con", None)
    assert "con" not in targets(signed_in_client(app, user=world[3]))
