"""``/metrics`` tells how syncs fare without naming anybody."""

from core.connections.models import Connection
from tests import scripted, syncing
from tests.factories import make_customer
from tests.scripted import finding


def test_runs_connections_and_the_queue_are_counted_and_no_customer_is_named(portal):
    deployment = portal.extensions["stockade"]
    customer = make_customer("Secretive Holdings")
    connection = syncing.connected(deployment, syncing.Scope(customer.id))
    scripted.world.assets = {"shop": [finding("a")]}
    syncing.sync(deployment, connection)
    deployment.queue._redis.flushall()
    syncing.runs.request_sync(deployment, connection, trigger="person", requested_by="test")
    text = portal.test_client().get("/metrics").get_data(as_text=True)
    assert 'stockade_runs{state="succeeded"} 1.0' in text
    assert 'stockade_runs{state="queued"} 1.0' in text
    assert 'stockade_connections{health="ok",source="scripted"} 1.0' in text
    assert "stockade_queue_jobs 1.0" in text
    assert customer.id not in text
    assert Connection.get().id not in text
