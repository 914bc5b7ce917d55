"""Sources that the MSP itself is connected to: one connection, seen and changed by those alone who hold the nodes everywhere."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from core.access import service as access
from core.app import create_app
from core.connections import engine, upkeep
from core.connections.models import Connection, Run
from core.credentials.models import Credential
from core.db import db
from core.deployment import use
from core.hooks.failures import NotThere, UpstreamUnavailable
from core.hooks.manager import Plugins
from core.jobs.queue import JobQueue
from core.scope import HOUSE
from tests import scripted, scripted_house
from tests.factories import SETTINGS, bearer, make_customer, make_token, make_user, signed_in_client
from tests.scripted_house import ENTRY_POINT

KEY = "a-key-nobody-may-see-0123456789"
ADDRESS = "/api/integrations/scripted_house"


@pytest.fixture
def world():
    return scripted_house.start_anew()


@pytest.fixture
def portal(database: str, redis_url: str, world) -> Iterator:
    settings = replace(SETTINGS, database_url=database, redis_url=redis_url, public_url="https://stockade.example/")
    access.ensure_built_in_roles()
    plugins = Plugins.load(settings, [ENTRY_POINT, scripted.ENTRY_POINT])
    app = create_app(settings, plugins=plugins, queue=JobQueue(redis_url))
    use(app.extensions["stockade"])
    yield app
    if not db.is_closed():
        db.close()


@pytest.fixture
def staff(portal):
    """An MSP administrator who has picked no customer."""
    return signed_in_client(portal, "msp_admin")


@pytest.fixture
def connected(staff):
    answer = staff.put(ADDRESS, json={"settings": {"key": KEY}, "intervalMinutes": 60})
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def sync(portal, staff) -> dict:
    started = staff.post(f"{ADDRESS}/sync")
    assert started.status_code == 202
    run_id = started.get_json()["run"]["id"]
    engine.execute(portal.extensions["stockade"], run_id)
    return staff.get(f"{ADDRESS}/runs/{run_id}").get_json()


def test_it_is_configured_without_a_customer_and_belongs_to_none(portal, staff, connected):
    row = Connection.get()
    assert (row.customer_id, row.group_id, Credential.get().customer_id) == (HOUSE, None, HOUSE)
    shown = staff.get(ADDRESS)
    assert (shown.status_code, shown.get_json()["belongsToHouse"], shown.get_json()["receivesWebhooks"]) == (200, True, True)
    assert KEY not in shown.get_data(as_text=True)
    assert staff.get("/api/integrations/house_alias").get_json()["source"] == "scripted_house"
    assert staff.post(f"{ADDRESS}/validate").get_json()["valid"] is True
    assert staff.put(ADDRESS, json={"settings": {}, "groupId": "grp_any"}).status_code == 400


def test_a_sync_stores_tells_its_progress_and_takes_away_what_is_gone(portal, staff, connected, world):
    world.things = {"a", "b"}
    run = sync(portal, staff)
    assert (run["state"], run["phase"], run["of"], run["counts"]["added"]) == ("succeeded", "done", 2, 2)
    world.things = {"b"}
    assert sync(portal, staff)["counts"]["removed"] == 1
    assert (world.stored, world.webhook_urls[0]) == ({"b"}, "https://stockade.example" + Connection.get().webhook_path)
    assert Connection.get().health == "ok"


@pytest.mark.parametrize(("there", "left", "decision", "stored"), [(30, 5, "approve", 5), (30, 5, "discard", 30), (3, 0, "approve", 0)])
def test_taking_away_too_much_waits_for_a_person(portal, staff, connected, world, there, left, decision, stored):
    world.things = {str(number) for number in range(there)}
    sync(portal, staff)
    world.things = {str(number) for number in range(left)}
    held = sync(portal, staff)
    assert (held["state"], held["plan"]["removals"][0]["due"], len(world.stored)) == ("held", there - left, there)
    assert f"{there - left} of {there} things" in held["reason"]
    decided = staff.post(f"{ADDRESS}/runs/{held['id']}/{decision}")
    assert decided.status_code == (202 if decision == "approve" else 200)
    engine.execute(portal.extensions["stockade"], held["id"])
    assert len(world.stored) == stored
    assert staff.get(f"{ADDRESS}/runs/{held['id']}").get_json()["state"] == ("succeeded" if decision == "approve" else "discarded")


@pytest.mark.parametrize(("problem", "code"), [(UpstreamUnavailable("down"), "unavailable"), (ZeroDivisionError(), "plugin_error")])
def test_a_pull_that_ends_early_takes_nothing_away(portal, staff, connected, world, problem, code):
    world.things = {"a", "b"}
    sync(portal, staff)

    def fail(run):
        raise problem
    world.things, world.misbehaves = {"a"}, fail
    run = sync(portal, staff)
    assert (run["state"], run["reasonCode"], world.stored) == ("failed", code, {"a", "b"})
    assert Connection.get().health == "failing"


def test_one_thing_that_fails_leaves_the_run_partial(portal, staff, connected, world):
    world.misbehaves = lambda run: run.note_problem("company 5", NotThere("gone"))
    run = sync(portal, staff)
    assert (run["state"], run["problems"]) == ("partial", [{"asset": "company 5", "code": "not_found", "message": "gone"}])


def test_a_worker_that_lost_its_run_writes_nothing_more(portal, staff, connected, world):
    def taken_away(run):
        Run.update(worker="another").execute()
        run.claim(phase="matching")
    world.things, world.misbehaves = {"a"}, taken_away
    run = sync(portal, staff)
    assert (run["state"], world.stored) == ("running", set())


def test_the_schedule_starts_it(portal, staff, connected):
    assert upkeep.start_due(portal.extensions["stockade"], Connection.get().next_due_at) == 1
    assert Run.get().customer_id == HOUSE


def test_one_run_at_a_time(staff, connected):
    first, second = (staff.post(f"{ADDRESS}/sync").get_json()["run"]["id"] for _ in range(2))
    assert first == second


def test_a_signed_webhook_asks_for_what_it_names_and_any_other_is_refused(portal, staff, connected, world):
    path = Connection.get().webhook_path
    stranger = portal.test_client()
    assert stranger.post(path, data=b"thing:7").status_code == 401
    assert stranger.post(path, data=b"later").status_code == 429
    assert stranger.post(f"{ADDRESS}/webhook/wrong", data=b"thing:7", headers={"X-Signature": KEY}).status_code == 404
    assert Run.select().count() == 0
    assert stranger.post(path, data=b"", headers={"X-Signature": KEY}).status_code == 204
    assert stranger.post(path, data=b"thing:7", headers={"X-Signature": KEY}).status_code == 202
    engine.execute(portal.extensions["stockade"], Run.get().id)
    assert world.asked == [["thing:7"]]


def everything(client, run_id, headers):
    """Every route of the connection, asked in turn."""
    bodies = {"PUT": {"settings": {"key": KEY}}}
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/validate"), ("POST", "/sync"), ("GET", "/runs"),
                         ("GET", f"/runs/{run_id}"), ("POST", f"/runs/{run_id}/approve"), ("POST", f"/runs/{run_id}/discard")):
        yield client.open(f"{ADDRESS}{path}", method=method, json=bodies.get(method), headers=headers)


def test_nobody_who_belongs_to_a_customer_comes_near_it(portal, staff, connected, world):
    acme = make_customer("Acme")
    run = sync(portal, staff)
    user = make_user("customer_admin", customer=acme)
    narrowed = make_user("msp_admin")
    for client, extra in ((signed_in_client(portal, user=user), {}), (portal.test_client(), bearer(make_token(user))),
                          (portal.test_client(), bearer(make_token(narrowed, customer_id=acme.id)))):
        for headers in ({}, {"x-customer-id": HOUSE}, {"x-customer-id": acme.id}):
            for answer in everything(client, run["id"], {**headers, **extra}):
                assert (answer.status_code, answer.get_json()) == (403, {"error": "You are not allowed to do this."})
        listed = client.get("/api/integrations", headers=extra).get_json()["integrations"]
        assert [entry["source"] for entry in listed] == ["scripted"]
        assert client.get(f"/api/runs/{run['id']}", headers=extra).status_code == 404
        assert client.get("/api/runs", headers=extra).get_json()["runs"] == []
    assert Connection.select().count() == 1


def test_the_house_is_no_customer(portal, staff, connected):
    acme = make_customer("Acme")
    assert staff.get("/api/manage-assets", headers={"x-customer-id": HOUSE}).status_code == 400
    assert staff.put("/api/session/customer", json={"customerId": HOUSE}).status_code in (400, 404)
    assert staff.get(f"/api/customers/{HOUSE}").status_code == 404
    assert signed_in_client(portal, "customer_admin", customer=acme).get(f"/api/customers/{HOUSE}").status_code == 403


def test_an_analyst_sees_it_and_changes_nothing(portal, staff, connected):
    analyst = signed_in_client(portal, "msp_analyst")
    assert analyst.get(ADDRESS).status_code == 200
    for answer in (analyst.put(ADDRESS, json={"settings": {"key": KEY}}), analyst.post(f"{ADDRESS}/sync"), analyst.delete(ADDRESS)):
        assert answer.status_code == 403


def test_staff_see_it_beside_a_customers_own(portal, staff, connected):
    staff.put("/api/session/customer", json={"customerId": make_customer("Acme").id})
    listed = {entry["source"]: entry for entry in staff.get("/api/integrations").get_json()["integrations"]}
    assert (listed["scripted_house"]["connection"]["source"], listed["scripted"]["connection"]) == ("scripted_house", None)


def test_a_run_is_found_under_its_own_source_alone(portal, staff, connected, world):
    run = sync(portal, staff)
    staff.put("/api/session/customer", json={"customerId": make_customer("Acme").id})
    assert [row["id"] for row in staff.get(f"{ADDRESS}/runs").get_json()["runs"]] == [run["id"]]
    assert staff.get(f"/api/integrations/scripted/runs/{run['id']}").status_code == 404
    assert staff.get("/api/integrations/scripted/runs").get_json()["runs"] == []


def test_removing_the_connection_forgets_its_secrets_and_keeps_what_was_synced(portal, staff, connected, world):
    world.things = {"a"}
    sync(portal, staff)
    assert staff.delete(ADDRESS).status_code == 204
    assert (Connection.select().count(), Credential.select().count(), world.stored) == (0, 0, {"a"})
    assert staff.post(f"{ADDRESS}/sync").status_code == 404
