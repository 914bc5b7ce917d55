"""The third-party plugin in a whole deployment: configured, synced, switched off and on again."""

from dataclasses import replace

import pytest

from core import clock
from core.app import create_app
from core.assets.models import Asset
from core.connections import engine, runs, upkeep
from core.connections.models import Connection, Run
from core.findings.models import Finding
from core.hooks.manager import Plugins
from core.testing.standin import StandIn
from tests import syncing
from tests.factories import SETTINGS, make_customer, signed_in_client
from tests.servers import LOOPBACK


@pytest.fixture
def app(acme_installed, database, redis_url):
    settings = replace(SETTINGS, redis_url=redis_url, upstream_allow=LOOPBACK)
    return create_app(settings, plugins=Plugins.load(settings))


@pytest.fixture
def customer(app):
    return make_customer("Kiosk")


@pytest.fixture
def client(app, customer):
    return signed_in_client(app, "msp_admin", active=customer)


@pytest.fixture
def scanner(acme_installed):
    from acme_scanner.upstream import KEY, make_app
    with StandIn(make_app()) as answering:
        yield {"url": answering.url, "key": KEY}


@pytest.fixture
def synced(app, client, customer, scanner):
    """The run of a first sync that ended well."""
    assert client.put("/api/integrations/acme", json={"settings": scanner}).status_code == 200
    connection = Connection.get(Connection.customer_id == customer.id)
    return syncing.sync(app.extensions["stockade"], connection)


def totals(client, customer):
    answer = client.get("/api/manage-assets", headers={"x-customer-id": customer.id})
    assert answer.status_code == 200
    return answer.json["applicationCodeSecurity"]


def test_it_is_configured_validated_and_synced_like_any_other(client, customer, synced):
    answer = client.post("/api/integrations/acme/validate")
    assert (answer.status_code, answer.json["message"]) == (200, "Connected to Acme Scanner 3.1")
    assert (synced.state, synced.counts["added"], synced.counts["unmapped"]) == ("succeeded", 2, 1)
    assert totals(client, customer) == {"total": 1, "critical": 1, "high": 0, "medium": 0, "low": 0}
    assert client.get("/api/acme/summary").json == {"open": 1, "isExact": True}


def test_switched_off_its_figures_leave_everything_and_its_data_comes_back(app, client, customer, synced):
    plugins = app.extensions["stockade"].plugins
    plugins.disable("acme", "admin@demo.example")
    assert totals(client, customer)["total"] == 0
    assert client.get("/api/findings").json["findings"] == []
    assert client.get("/api/acme/summary").status_code == 404
    assert client.post("/api/integrations/acme/sync").status_code == 404
    assert (Asset.select().count(), Finding.select().count()) == (2, 2)
    plugins.enable("acme", "admin@demo.example")
    assert totals(client, customer)["total"] == 1
    assert client.get("/api/acme/summary").json == {"open": 1, "isExact": True}


def test_switched_off_its_schedule_rests(app, customer, synced):
    deployment = app.extensions["stockade"]
    Connection.update(interval_minutes=60, next_due_at=1).execute()
    deployment.plugins.disable("acme", "admin@demo.example")
    assert upkeep.start_due(deployment, clock.now()) == 0
    deployment.plugins.enable("acme", "admin@demo.example")
    assert upkeep.start_due(deployment, clock.now()) == 1


def test_uninstalled_its_figures_leave_the_totals_too(app, client, customer, synced):
    without = Plugins.load(SETTINGS, [])
    without.note_stored_sources(source for (source,) in Connection.select(Connection.source).distinct().tuples())
    elsewhere = signed_in_client(create_app(app.extensions["stockade"].settings, plugins=without), "msp_admin", active=customer)
    assert totals(elsewhere, customer)["total"] == 0
    assert totals(client, customer)["total"] == 1


def test_a_run_that_waited_while_the_plugin_was_switched_off_fails_with_the_reason(app, client, customer, synced):
    deployment = app.extensions["stockade"]
    connection = Connection.get(Connection.customer_id == customer.id)
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="test")
    deployment.plugins.disable("acme", "admin@demo.example")
    engine.execute(deployment, run.id)
    run = Run.get_by_id(run.id)
    assert run.state == "failed"
    assert "acme" in run.reason
