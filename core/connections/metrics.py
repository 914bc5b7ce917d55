"""What monitoring asks about syncs: runs by state, connections by health, jobs waiting."""

from collections.abc import Iterator

import peewee
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from core import clock
from core.connections.models import Connection, Run
from core.http.deployed import deployment

_RECENT = clock.DAY


def collect() -> Iterator[Metric]:
    """Three statements and one question to Redis, whatever the number of customers. No tenant is named."""
    runs = GaugeMetricFamily("stockade_runs", "Runs requested in the last 24 hours, and unfinished ones, by state", labels=["state"])
    recent = (Run.requested_at > clock.now() - _RECENT) | Run.finished_at.is_null()
    for state, number in Run.select(Run.state, peewee.fn.COUNT(Run.id)).where(recent).group_by(Run.state).tuples():
        runs.add_metric([state], number)
    yield runs

    connections = GaugeMetricFamily("stockade_connections", "Connections by source and health", labels=["source", "health"])
    by_health = Connection.select(Connection.source, Connection.health, peewee.fn.COUNT(Connection.id)).group_by(
        Connection.source, Connection.health)
    for source, health, number in by_health.tuples():
        connections.add_metric([source, health], number)
    yield connections

    oldest = Run.select(peewee.fn.MIN(Run.requested_at)).where(Run.state == "queued").scalar()
    waiting = GaugeMetricFamily("stockade_oldest_queued_run_seconds", "Age of the run that has waited longest; 0 when none waits")
    waiting.add_metric([], 0 if oldest is None else (clock.now() - oldest) / clock.SECOND)
    yield waiting

    queue = deployment().queue
    if queue is not None:
        depth = GaugeMetricFamily("stockade_queue_depth", "Jobs that wait for a worker")
        depth.add_metric([], queue.depth())
        yield depth
