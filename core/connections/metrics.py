"""What monitoring asks about syncs: runs by state, connections by health, jobs waiting."""

from collections.abc import Iterator

import peewee
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from core import clock
from core.connections.models import STATES, Connection, Run
from core.http.deployed import deployment

_RECENT = clock.DAY


def syncs() -> Iterator[Metric]:
    """Runs and connections: three statements, whatever the number of customers, none of whom is named."""
    runs = GaugeMetricFamily("stockade_runs", "Runs requested in the last 24 hours, and unfinished ones, by state", labels=["state"])
    recent = (Run.requested_at > clock.now() - _RECENT) | Run.finished_at.is_null()
    counted = dict(Run.select(Run.state, peewee.fn.COUNT(Run.id)).where(recent).group_by(Run.state).tuples())
    for state in STATES:
        runs.add_metric([state], counted.get(state, 0))
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


def queue() -> Iterator[Metric]:
    """Jobs that wait for a worker; apart, so that only this figure is missing while Redis is away."""
    yield GaugeMetricFamily("stockade_queue_jobs", "Jobs that wait for a worker", value=deployment().queue.depth())
