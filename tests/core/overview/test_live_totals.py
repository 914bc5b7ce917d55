"""Live totals: preferred when they come in time, never waited for longer, shared by all web servers, and told to the caller."""

import threading
import time

import pytest

from core.audit.models import AuditEvent
from core.connections import live
from core.hooks.contracts import LiveCounts, Severity
from core.hooks.failures import UpstreamUnavailable
from tests import scripted, syncing
from tests.factories import make_customer, signed_in_client
from tests.scripted import finding
from tests.servers import eventually


@pytest.fixture
def world():
    return scripted.world


@pytest.fixture
def customers(portal, world):
    world.kinds = {"target": "scripted_target"}
    world.assets = {"shop": [finding("a", Severity.CRITICAL)], "api": [finding("b", Severity.LOW)], "target": [finding("c")]}
    made = [make_customer("Acme"), make_customer("Globex")]
    for customer in made:
        syncing.sync(portal.extensions["stockade"], syncing.connected(portal.extensions["stockade"], syncing.Scope(customer.id)))
    return made


@pytest.fixture
def client(portal, customers):
    return signed_in_client(portal, "msp_admin", active=customers[0])


def totals(client, customer):
    answer = client.get("/api/manage-assets", headers={"x-customer-id": customer.id})
    block = answer.get_json()["applicationCodeSecurity"]
    return {name: block[name] for name in ("critical", "high", "low")}, answer.headers["X-Stockade-Totals"].split(";")[0]


STORED = {"critical": 1, "high": 0, "low": 1}


def test_live_counts_replace_the_stored_ones_of_their_assets(client, customers, world):
    world.live = lambda keys: {"shop": LiveCounts(critical=5, high=2)}
    assert totals(client, customers[0]) == ({"critical": 5, "high": 2, "low": 1}, "scripted=live")
    overview = client.get("/api/dashboard/overview").get_json()
    assert (overview["criticalSeverity"], overview["highSeverity"]) == (5, 3)  # the offensive target's high stays as stored
    (group,) = client.get("/api/security-overview").get_json()["groups"]
    assert group["applicationCodeSecurity"]["critical"] == 5
    summary = client.get("/api/application-code-security/summary").get_json()
    assert (summary["total"], summary["sources"][0]["used"]) == (8, "live")


def test_only_the_customers_own_application_assets_are_asked_for(client, customers, world):
    asked = []
    world.live = lambda keys: asked.append(sorted(keys)) or {"shop": LiveCounts(critical=5), "stranger": LiveCounts(critical=99)}
    totals(client, customers[0])
    assert asked == [["api", "shop"]]
    assert totals(client, customers[1])[0] == {"critical": 5, "high": 0, "low": 1}
    assert len(asked) == 2


def test_an_answer_serves_for_a_while_unless_it_is_asked_afresh(client, customers, world):
    asked = []
    world.live = lambda keys: asked.append(1) or {"shop": LiveCounts(critical=5)}
    for _ in range(3):
        totals(client, customers[0])
    assert len(asked) == 1
    assert AuditEvent.select().where(AuditEvent.actor == "dashboard").count() == 1
    client.get("/api/application-code-security/summary")
    assert len(asked) == 1
    client.get("/api/application-code-security/summary?forceRefresh=true")
    assert len(asked) == 2


@pytest.mark.parametrize("problem", [UpstreamUnavailable("503"), ValueError("a bug")])
def test_a_failure_falls_back_to_what_is_stored_and_is_not_asked_again(client, customers, world, problem):
    asked = []

    def fail(keys):
        asked.append(1)
        raise problem
    world.live = fail
    for _ in range(3):
        assert totals(client, customers[0]) == (STORED, "scripted=stored")
    assert len(asked) == 1


def test_a_source_that_hangs_costs_two_seconds_once_and_its_late_answer_serves_the_next(client, customers, world, monkeypatch):
    monkeypatch.setattr(live, "SECONDS_IN_ALL", 0.3)
    released = threading.Event()
    world.live = lambda keys: released.wait(20) and {"shop": LiveCounts(critical=7)}
    start = time.perf_counter()
    assert totals(client, customers[0]) == (STORED, "scripted=stored")
    first = time.perf_counter() - start
    start = time.perf_counter()
    assert totals(client, customers[0]) == (STORED, "scripted=stored")
    assert time.perf_counter() - start < first
    released.set()
    eventually(lambda: totals(client, customers[0])[1] == "scripted=live")


def test_a_plugin_is_given_less_time_than_it_is_waited_for_so_that_what_it_counted_until_then_arrives(client, customers, world):
    world.live = lambda keys: {"shop": LiveCounts(critical=5)}
    totals(client, customers[0])
    (given,) = world.live_seconds
    assert live.SECONDS_IN_ALL / 2 < given < live.SECONDS_IN_ALL - 0.1


def test_without_redis_nothing_is_asked_and_the_stored_counts_serve(client, customers, world, redis_server):
    world.live = lambda keys: pytest.fail("asked without a place to remember the answer")
    redis_server.stop()
    assert totals(client, customers[0]) == (STORED, "scripted=stored")


def test_a_dashboard_with_live_totals_keeps_to_eight_statements(client, customers, world, statements):
    world.live = lambda keys: {"shop": LiveCounts(critical=5)}
    totals(client, customers[0])
    for path in ("/api/manage-assets", "/api/dashboard/overview"):
        with statements() as executed:
            client.get(path, headers={"x-customer-id": customers[0].id})
        assert len(executed) <= 8, executed
