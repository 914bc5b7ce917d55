"""What the scheduler does every few seconds: due schedules, runs whose worker died, jobs that Redis lost, acceptances that run out,
due days to count anew, things to delete."""

import logging
import time

from redis.exceptions import RedisError

from core import audit, clock
from core.assets.models import Asset
from core.connections import health, runs, service
from core.connections.models import Connection, Run
from core.db import atomic
from core.deployment import Deployment
from core.findings import settling, sla, store

log = logging.getLogger(__name__)
_ACTOR = "scheduler"
_SETTLING = 5 * clock.SECOND  # a run this young is still on its way into the queue
_DELETED_AT_ONCE = 20  # assets in one pass, so that a pass stays short
_SECONDS_AT_ONCE = 5.0  # of bringing findings in line, for the same reason
_CUSTOMERS_AT_ONCE = 100


def tick(deployment: Deployment) -> None:
    """One pass. Safe to run at any time and more than once; each part goes on when another finds nothing to do."""
    now = clock.now()
    start_due(deployment, now)
    take_up_dead(deployment, now)
    enqueue_lost(deployment, now)
    bring_in_line(now)
    delete_pruned(deployment, now)


def start_due(deployment: Deployment, now: int) -> int:
    """Ask for a sync of every connection that is due; returns how many."""
    connections = service.due(now, deployment.plugins.hidden_sources())
    for connection in connections:
        Connection.update(next_due_at=now + connection.interval_minutes * clock.MINUTE).where(Connection.id == connection.id).execute()
        runs.request_sync(deployment, connection, trigger="schedule", requested_by=_ACTOR)
    return len(connections)


def take_up_dead(deployment: Deployment, now: int) -> int:
    """Queue again the runs whose worker has given no sign of life for a lease; give up one that killed too many workers."""
    silent = now - int(deployment.settings.run_lease_seconds * clock.SECOND)
    dead = list(Run.select().where(Run.state == "running", Run.heartbeat_at < silent))
    for run in dead:
        still = (Run.id == run.id) & (Run.worker == run.worker) & (Run.state == "running") & (Run.heartbeat_at < silent)
        if run.attempt >= runs.MOST_ATTEMPTS:
            _give_up(run, still)
        elif Run.update(state="queued", worker="").where(still).execute():
            log.warning("run %s: its worker died; it is taken up again", run.id)
            runs.enqueue(deployment, run)
    return len(dead)


def _give_up(run: Run, still: object) -> None:
    reason = f"Its worker died {run.attempt} times; the workers' logs say why"
    with atomic():
        if Run.update(state="failed", finished_at=clock.now(), reason_code="worker_died", reason=reason).where(still).execute():
            audit.record("run.failed", actor=_ACTOR, target=run.id, customer_id=run.customer_id, details={"code": "worker_died"})
            connection = Connection.get_or_none(Connection.id == run.connection_id)
            if connection is not None:
                health.after_run(connection, "failing", "worker_died", reason)


def enqueue_lost(deployment: Deployment, now: int) -> int:
    """Put recorded runs on the queue again whose jobs Redis no longer has (it was away, or came back empty)."""
    lost = 0
    try:
        for run in Run.select().where(Run.state == "queued", Run.requested_at < now - _SETTLING):
            if not deployment.queue.has(runs.job_id(run)) and runs.enqueue(deployment, run):
                lost += 1
    except RedisError as problem:
        log.warning("the queue is not reachable (%s); recorded runs wait", type(problem).__name__)
    return lost


def bring_in_line(now: int) -> None:
    """End the acceptances that have run out, and finish what requests that were cut short have left: verdicts that do not show in all
    their findings yet, due days by an earlier policy."""
    deadline = time.monotonic() + _SECONDS_AT_ONCE
    settling.expire(now)
    settling.finish(now, deadline)
    for customer_id in sla.customers_to_bring_in_line(_CUSTOMERS_AT_ONCE):
        sla.bring_in_line(customer_id, deadline)
        if time.monotonic() > deadline:
            break


def delete_pruned(deployment: Deployment, now: int) -> int:
    """Delete for good what was pruned longer ago than it can be restored, with findings and history."""
    limit = now - deployment.settings.prune_days * clock.DAY
    old = list(Asset.select().where(Asset.pruned_at < limit).limit(_DELETED_AT_ONCE))
    for asset in old:
        with atomic():
            store.delete_all(asset)
            Asset.delete().where(Asset.id == asset.id).execute()
            audit.record("asset.deleted", actor=_ACTOR, target=asset.id, customer_id=asset.customer_id, details={"name": asset.name})
    return len(old)
