"""What monitoring wants to know of runs and of the queue, asked when Prometheus does."""

from collections.abc import Iterable

from peewee import fn
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from core.connections.models import Run
from core.http.deployed import deployment

_STATES = ("queued", "running", "succeeded", "partial", "failed", "held", "approved", "discarded")


def runs() -> Iterable[Metric]:
    """Runs by state; one statement over all customers, whose names are left out."""
    counted = dict(Run.select(Run.state, fn.COUNT(Run.id)).group_by(Run.state).tuples())
    family = GaugeMetricFamily("stockade_runs", "Runs by state", labels=["state"])
    for state in _STATES:
        family.add_metric([state], counted.get(state, 0))
    yield family


def queue() -> Iterable[Metric]:
    """Jobs that wait for a worker; left out while Redis does not answer."""
    yield GaugeMetricFamily("stockade_queue_jobs", "Jobs that wait for a worker", value=deployment().queue.depth())
