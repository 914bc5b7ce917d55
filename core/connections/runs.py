"""Runs: asking for one, at most one unfinished per connection; holding, approving and discarding."""

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import peewee
from redis.exceptions import RedisError

from core import audit, clock
from core.connections.jobs import EXECUTE_IMPORT, EXECUTE_RUN
from core.connections.models import IMPORT, UNFINISHED, Connection, Run, RunChange
from core.db import atomic, is_postgres, is_unique_violation
from core.deployment import Deployment
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.scope import Scope

log = logging.getLogger(__name__)
MOST_ATTEMPTS = 5
_TRIES = 3  # of finding either no unfinished run or one to join, while one after the other ends


def request_sync(deployment: Deployment, connection: Connection, *, trigger: str, requested_by: str,
                 asset_keys: Sequence[str] | None = None) -> Run:
    """Record a run and hand it to the workers; the unfinished one, when there is one already.

    :param asset_keys: the assets to sync; None for everything. Keys that come while a run is under way are synced after it.
    """
    for _ in range(_TRIES):
        run = recorded(connection.customer_id, connection.id, connection.source, trigger=trigger, requested_by=requested_by,
                       asset_keys=list(asset_keys) if asset_keys else None) or _joined(connection, asset_keys)
        if run is not None:
            enqueue(deployment, run)
            return run
    raise Conflict("Syncs of this connection come and go; ask again")


def recorded(customer_id: str, connection_id: str, source: str, *, trigger: str, requested_by: str,
             asset_keys: list[str] | None = None, run_id: str | None = None, file_name: str = "") -> Run | None:
    """A new run that waits for a worker; None while one of the same connection is unfinished."""
    try:
        with atomic():
            run = Run.create(id=run_id or new_id("run"), customer_id=customer_id, connection_id=connection_id, source=source,
                             trigger=trigger, requested_by=requested_by, file_name=file_name, asset_keys=asset_keys, state="queued",
                             requested_at=clock.now())
            audit.record("run.requested", actor=requested_by, target=run.id, customer_id=customer_id,
                         details={"source": source, "trigger": trigger, "assets": asset_keys})
            return run
    except peewee.IntegrityError as problem:
        if not is_unique_violation(problem):
            raise
        return None


def _joined(connection: Connection, asset_keys: Sequence[str] | None) -> Run | None:
    """The unfinished run that refused ours; assets named meanwhile are noted on it, to be synced next. None when it ended just now."""
    with atomic():
        query = Run.select().where(Run.connection_id == connection.id, Run.state.in_(UNFINISHED))
        run: Run | None = (query.for_update() if is_postgres() and asset_keys else query).first()  # nobody else notes or ends it meanwhile
        if run is not None and asset_keys:
            Run.update(follow_up=sorted({*(run.follow_up or ()), *asset_keys})).where(Run.id == run.id).execute()
    return run


def enqueue(deployment: Deployment, run: Run) -> bool:
    """Put the run's job on the queue. False when Redis is away: the run stays recorded, and the scheduler enqueues it later."""
    try:
        deployment.queue.enqueue(EXECUTE_IMPORT if run.trigger == IMPORT else EXECUTE_RUN, job_id(run), {"run_id": run.id})
    except RedisError as problem:
        log.warning("run %s waits: the queue is not reachable (%s)", run.id, type(problem).__name__)
        return False
    return True


def job_id(run: Run) -> str:
    """One job per attempt, so that a second request for the same attempt changes nothing."""
    return f"{run.id}-{run.attempt}"


def find(scope: Scope, run_id: str, source: str | None = None) -> Run:
    """:raises NotFound: also when the run belongs to somebody else, or to another source than the one named."""
    run = Run.within(scope).where(Run.id == run_id).get_or_none()
    if run is None or source not in (None, run.source):
        raise NotFound("There is no such run")
    return run


def by_id(scope: Scope, run_ids: Collection[str]) -> dict[str, Run]:
    """Those of these runs that the scope shows, in one statement."""
    return {run.id: run for run in Run.within(scope).where(Run.id.in_(sorted(run_ids)))} if run_ids else {}


def approve(deployment: Deployment, scope: Scope, run_id: str, *, actor: str) -> Run:
    """Carry out what a held run found due, exactly as it was shown."""
    run = find(scope, run_id)
    try:
        _decide(run, "queued", actor, "run.approved", phase="closing", worker="", heartbeat_at=None)
    except peewee.IntegrityError as problem:
        if not is_unique_violation(problem):
            raise
        raise Conflict("A newer sync of this connection is under way; what this run found is out of date") from None
    run = find(scope, run_id)
    enqueue(deployment, run)
    return run


def discard(scope: Scope, run_id: str, *, actor: str) -> Run:
    """Forget what a held run found due; nothing is closed or pruned."""
    run = find(scope, run_id)
    with atomic():
        _decide(run, "discarded", actor, "run.discarded", finished_at=clock.now())
        RunChange.delete().where(RunChange.run == run.id).execute()
    return find(scope, run_id)


def _decide(run: Run, state: str, actor: str, action: str, **columns: Any) -> None:
    with atomic():
        decided = (Run.update(state=state, decided_by=actor, **columns).where(Run.id == run.id, Run.state == "held").execute())
        if not decided:
            raise Conflict(f"Only a held run can be decided; this one is {run.state}")
        audit.record(action, actor=actor, target=run.id, customer_id=run.customer_id, details=run.plan)


def supersede_held(by: Run) -> None:
    """A newer run makes what older held ones found out of date; an import only those of the same assets."""
    older = Run.select(Run.id, Run.asset_keys).where(Run.connection_id == by.connection_id, Run.state == "held", Run.id != by.id)
    held = [row.id for row in older if by.trigger != IMPORT or {*(by.asset_keys or ())} & {*(row.asset_keys or ())}]
    if held:
        with atomic():
            outdated = {"state": "discarded", "decided_by": by.id, "reason": f"superseded by {by.id}"}
            Run.update(outdated).where(Run.id.in_(held), Run.state == "held").execute()
            RunChange.delete().where(RunChange.run.in_(held)).execute()


def listing(scope: Scope, *, source: str | None = None, trigger: str | None = None, states: Iterable[str] = (),
            before: tuple[int, str] | None = None, limit: int = 50) -> list[Run]:
    """The newest runs first; ``before`` has ``requested_at`` and id of the last one of the page before."""
    query = Run.within(scope).order_by(Run.requested_at.desc(), Run.id.desc()).limit(limit)
    if source:
        query = query.where(Run.source == source)
    if trigger:
        query = query.where(Run.trigger == trigger)
    if states:
        query = query.where(Run.state.in_(list(states)))
    if before is not None:
        query = query.where(peewee.Tuple(Run.requested_at, Run.id) < peewee.Tuple(*before))
    return list(query)
