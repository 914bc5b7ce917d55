"""The sync engine: one run from its catalog to its closings (``docs/sync.md``).

What keeps it safe: a run belongs to the worker whose name it carries, and every transaction of the engine renews that
claim, so that a worker that was taken for dead can write nothing more. Closings and prunings are only noted while
findings come in; they are carried out at the end, when it is known how many they are.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import peewee
from peewee import chunked

from core import audit, clock
from core.assets import catalog
from core.assets.models import Asset
from core.connections import brake, origins, runs
from core.connections.models import Run, RunChange
from core.connections.origins import Origin
from core.db import atomic, db
from core.db.bulk import bulk_insert
from core.db.texts import key_of
from core.deployment import Deployment
from core.errors import StockadeError, StorageFull, Unavailable
from core.findings import rules, store
from core.findings.store import AssetWriter, Written
from core.hooks.contracts import AssetDraft, FindingDraft, HousePull, Pull, RuleDraft, Unmapped
from core.hooks.failures import ConnectorError, NotThere, PluginFailed, UpstreamUnavailable
from core.ids import new_id
from core.logs import context
from core.scope import HOUSE

log = logging.getLogger(__name__)
MOST_PROBLEMS = 100
FAILURES_IN_A_ROW = 5  # then it is not the asset: the source is down, and the run ends


class RunLost(Exception):
    """Another worker has taken the run up; this one must not write any more."""


class NoRoom(ConnectorError):
    """Our own disk is full; the source is not at fault."""

    code = "storage_full"


@dataclass
class _Work:
    """A run in the hands of one worker; a ``core.hooks.contracts.HouseRun`` for what stores by itself."""

    deployment: Deployment
    run: Run
    origin: Origin
    worker: str
    counts: dict[str, int]
    state: str = "running"
    problems: list[dict[str, str]] = field(default_factory=list)
    failed_assets: int = 0
    upstreams: Sequence[Any] = ()
    house: HousePull | None = None

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def keys(self) -> Sequence[str] | None:
        return self.run.asset_keys

    @property
    def actor(self) -> str:
        return self.origin.actor

    @property
    def webhook_url(self) -> str:
        address = (self.deployment.settings.public_url or "").rstrip("/")
        return address and address + self.origin.webhook_path

    def claim(self, **columns: Any) -> None:
        """Renew the claim, writing progress with it, inside the caller's transaction.

        :raises RunLost: when the run is no longer ours; the transaction must not commit.
        """
        mine = (Run.id == self.run.id) & (Run.worker == self.worker) & (Run.state == self.state)
        if not Run.update(heartbeat_at=clock.now(), counts=self.counts, **columns).where(mine).execute():
            raise RunLost(self.run.id)

    def progress(self, **columns: Any) -> None:
        with atomic():
            self.claim(**columns)

    def count_requests(self) -> None:
        self.counts["requests"] = sum(upstream.calls for upstream in self.upstreams)

    def note_problem(self, asset: str, problem: ConnectorError) -> None:
        self.failed_assets += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append({"asset": asset, "code": problem.code, "message": str(problem)})


def execute(deployment: Deployment, run_id: str, origin_of: Callable[[Deployment, Run], Origin | None] = origins.of_connection) -> None:
    """Do all that is left of the run; returns without doing anything when another worker has it.

    :param origin_of: finds where the run's data comes from; None when that is gone.
    """
    token = context.set({**context.get(), "run": run_id})
    try:
        work = _claimed(deployment, run_id, origin_of)
        if work is not None:
            context.set({**context.get(), "customer": work.run.customer_id})
            with _heartbeat(work):
                _carry_out(work)
    except RunLost:
        log.warning("the run was taken up by another worker")
    except (StorageFull, Unavailable) as problem:
        log.error("nothing can be written of the run (%s); it is taken up again later", problem.message)
    finally:
        context.reset(token)


def _worker_name() -> str:
    return new_id(f"{socket.gethostname()[:60]}-{os.getpid()}")


def _claimed(deployment: Deployment, run_id: str, origin_of: Callable[[Deployment, Run], Origin | None]) -> _Work | None:
    now, worker = clock.now(), _worker_name()
    dead = now - int(deployment.settings.run_lease_seconds * clock.SECOND)
    free = (Run.state == "queued") | ((Run.state == "running") & (Run.heartbeat_at < dead))
    with atomic():
        taken = Run.update(state="running", worker=worker, attempt=Run.attempt + 1, heartbeat_at=now,
                           started_at=peewee.fn.COALESCE(Run.started_at, now)).where((Run.id == run_id) & free).execute()
    if not taken:
        return None
    run = Run.get_by_id(run_id)
    origin = origin_of(deployment, run)
    if origin is None:
        _end(run, "failed", reason_code="connection_removed", reason="The connection was removed")
        return None
    return _Work(deployment, run, origin, worker, dict(run.counts))


def _carry_out(work: _Work) -> None:
    try:
        if work.run.phase == "closing" and work.run.decided_by:
            _apply(work)
        else:
            _pull(work)
    except ConnectorError as problem:
        _fail(work, problem)
    except (RunLost, Unavailable):  # the run is another worker's, or cannot be written to
        raise
    except StorageFull:
        _fail(work, NoRoom("The server's disk is full; what was stored before that is kept"))
    except Exception:  # the border around a job: whatever it is, the run must say so
        log.exception("the run failed by a fault of our own")
        _fail(work, ConnectorError("An internal error; the log has it under this run's id"))


def _pull(work: _Work) -> None:
    pull = _begun(work)
    plan = _gathered_of_house(work, pull) if isinstance(pull, HousePull) else _gathered(work, pull)
    if plan.is_held(work.deployment.settings.brake_share):
        _hold(work, plan)
    else:
        _apply(work)


def _begun(work: _Work) -> Pull | HousePull:
    """The origin opened, after what an attempt that died has left was dropped."""
    with atomic():
        work.claim(phase="catalog", done=0, of_how_many=None, problems=[])
        RunChange.delete().where(RunChange.run == work.run.id).execute()
    work.counts.update(unchanged=0, unmapped=0)
    pull, work.upstreams = work.origin.open(work.run, work.progress)
    runs.supersede_held(work.run)
    return pull


def _gathered(work: _Work, pull: Pull) -> brake.Plan:
    """Store what the origin has; note what is to be closed and pruned."""
    assets, whole = _catalog(work, pull)
    _findings(work, pull, assets)
    work.count_requests()
    if whole:
        _note_vanished(work, {asset_id for asset_id, _ in assets})
    return brake.planned(work.run, work.counts, [asset_id for asset_id, _ in assets], whole=whole)


@contextmanager
def rehearsed(deployment: Deployment, run: Run, origin: Origin) -> Iterator[tuple[Mapping[str, int], brake.Plan]]:
    """What a run would do, for somebody to look at in the block: everything is in the database but the closings, which are noted
    as they are for a held run. Then all of it is undone; nobody else ever sees it.

    :param run: to be inserted, in a state that is no unfinished one.
    """
    with atomic() as transaction:
        try:
            run.worker = _worker_name()
            run.save(force_insert=True)
            work = _Work(deployment, run, origin, run.worker, {}, state=run.state)
            plan = _gathered(work, cast(Pull, _begun(work)))
            yield work.counts, plan
        finally:
            transaction.rollback()


def _catalog(work: _Work, pull: Pull) -> tuple[list[tuple[str, AssetDraft]], bool]:
    """The assets to pull, and whether they are the whole catalog. Ends with every asset stored."""
    keys = work.run.asset_keys
    drafts = _guarded(pull.catalog, AssetDraft) if keys is None else _named(work, pull, keys)
    found: dict[str, tuple[str, AssetDraft]] = {}
    for batch in chunked(drafts, catalog.BATCH):
        with atomic():
            ids = catalog.store(work.origin.owner, batch, lambda kind: _discipline(work, kind))
            work.claim(done=len(found))
        found.update((draft.key, (ids[key_of(draft.key)], draft)) for draft in batch)
    return list(found.values()), keys is None


def _discipline(work: _Work, kind: str) -> str:
    known = work.deployment.plugins.asset_kind(kind)
    if known is None:
        raise PluginFailed(f"The connector speaks of assets of the kind '{kind}', which its plugin has not registered")
    return known.discipline


def _named(work: _Work, pull: Pull, keys: Sequence[str]) -> Iterator[AssetDraft]:
    for key in keys:
        try:
            yield next(_guarded(partial(map, pull.asset, [key]), AssetDraft))
        except NotThere as problem:  # a branch that the settings do not cover, or a project that a full sync will prune
            log.info("nothing to sync for %s: %s", key, problem)
        except ConnectorError as problem:
            if not problem.asset_only:
                raise
            work.note_problem(key, problem)


def _findings(work: _Work, pull: Pull, assets: Sequence[tuple[str, AssetDraft]]) -> None:
    in_all = work.origin.findings_in_all
    work.progress(phase="findings", done=0, of_how_many=len(assets) if in_all is None else in_all)
    in_a_row = 0
    for done, (asset_id, draft) in enumerate(assets, 1):
        try:
            _one_asset(work, pull, asset_id, draft)
            in_a_row = 0
        except ConnectorError as problem:
            if not problem.asset_only:
                raise
            in_a_row = in_a_row + 1 if isinstance(problem, UpstreamUnavailable) else 0
            if in_a_row == FAILURES_IN_A_ROW:
                raise
            log.warning("asset %s: %s", draft.key, problem)
            work.note_problem(draft.key, problem)
        work.progress(problems=work.problems, **({"done": done} if in_all is None else {}))


def _one_asset(work: _Work, pull: Pull, asset_id: str, draft: AssetDraft) -> None:
    """Store one asset's findings; note which are to be closed only if the enumeration ended normally and completely."""
    asset = Asset(id=asset_id, customer_id=work.run.customer_id, source=work.run.source, external_key=draft.key)
    writer = AssetWriter(asset, work.run.id, work.actor)
    rule_keys: set[str] = set()
    complete = True
    for batch in chunked(_guarded(lambda: pull.findings(draft), FindingDraft, Unmapped), store.BATCH):
        drafts = [entry for entry in batch if isinstance(entry, FindingDraft)]
        unmapped = [entry for entry in batch if isinstance(entry, Unmapped)]
        complete = _note_unmapped(work, writer, asset, unmapped) and complete
        writer.write(drafts, also=lambda written: _count(work, written))
        rule_keys.update(entry.rule for entry in drafts if entry.rule)
    rules.store_missing(asset.customer_id, asset.source, work.origin.rules_told(rule_keys),
                        lambda keys: _guarded(lambda: pull.rules(keys), RuleDraft))
    if complete:
        writer.settle(also=lambda written: _count(work, written))
        _note_closings(work, asset, writer.unmentioned())


def _count(work: _Work, written: Written) -> None:
    for name in Written.__slots__:
        work.counts[name] = work.counts.get(name, 0) + getattr(written, name)
    if work.origin.findings_in_all is None:
        work.claim()
    else:
        work.claim(done=sum(work.counts.get(name, 0) for name in Written.__slots__))


def _note_unmapped(work: _Work, writer: AssetWriter, asset: Asset, unmapped: Sequence[Unmapped]) -> bool:
    """Count records that could not be read. False when one may be any finding, so that nothing of the asset may be closed."""
    if not unmapped:
        return True
    work.counts["unmapped"] = work.counts.get("unmapped", 0) + len(unmapped)
    log.warning("asset %s: %d records could not be read, the first: %s", asset.external_key, len(unmapped), unmapped[0].reason)
    writer.mention(entry.source_key for entry in unmapped if entry.source_key)
    return all(entry.source_key for entry in unmapped)


def _note_closings(work: _Work, asset: Asset, findings: Iterator[int]) -> None:
    with atomic():
        work.claim()
        for batch in chunked(findings, store.BATCH):
            bulk_insert(RunChange, ("customer_id", "run_id", "asset_id", "finding_id"),
                        [(asset.customer_id, work.run.id, asset.id, finding) for finding in batch])


def _note_vanished(work: _Work, mentioned: set[str]) -> None:
    """Note for pruning the assets that a complete catalog no longer has."""
    there = Asset.select(Asset.id).where(Asset.customer_id == work.run.customer_id, Asset.connection_id == work.run.connection_id,
                                         Asset.pruned_at.is_null())
    gone = [asset_id for (asset_id,) in there.tuples() if asset_id not in mentioned]
    with atomic():
        work.claim()
        bulk_insert(RunChange, ("customer_id", "run_id", "asset_id", "finding_id"),
                    [(work.run.customer_id, work.run.id, asset_id, None) for asset_id in gone])


def _apply(work: _Work) -> None:
    """Carry out the noted closings and prunings, asset by asset, each with its totals in one transaction."""
    work.progress(phase="closing")
    if work.run.customer_id == HOUSE:
        _remove_of_house(work)
        return
    noted = RunChange.select(RunChange.asset_id).where(RunChange.run == work.run.id, RunChange.finding_id.is_null(False)).distinct()
    for asset_id in [key for (key,) in noted.tuples()]:
        due = RunChange.select(RunChange.finding_id).where(RunChange.run == work.run.id, RunChange.asset_id == asset_id,
                                                           RunChange.finding_id.is_null(False))
        with atomic():
            closed = store.close(work.run.customer_id, asset_id, due, run_id=work.run.id, actor=work.run.decided_by or work.actor)
            RunChange.delete().where(RunChange.run == work.run.id, RunChange.asset_id == asset_id,
                                     RunChange.finding_id.is_null(False)).execute()
            work.counts["closed"] = work.counts.get("closed", 0) + closed
            work.claim()
    vanished = RunChange.select(RunChange.asset_id).where(RunChange.run == work.run.id, RunChange.finding_id.is_null())
    with atomic():
        work.counts["pruned"] = catalog.prune(work.run.customer_id, [key for (key,) in vanished.tuples()])
        RunChange.delete().where(RunChange.run == work.run.id).execute()
        _finish(work)


def _gathered_of_house(work: _Work, pull: HousePull) -> brake.HousePlan:
    """Have the plugin store what the source has; it notes itself what is gone."""
    work.house = pull
    with _house_border():
        removals = pull.store(work)
    work.count_requests()
    return brake.HousePlan(removals)


def _remove_of_house(work: _Work) -> None:
    pull = work.house or work.origin.open(work.run, work.progress)[0]  # a person had to agree: another worker stored it
    with _house_border():
        cast(HousePull, pull).remove(work)
    with atomic():
        _finish(work)


@contextmanager
def _house_border() -> Iterator[None]:
    """The border around a plugin that stores by itself."""
    try:
        yield
    except (ConnectorError, RunLost, StockadeError):
        raise
    except Exception as problem:
        log.exception("the connector raised")
        raise PluginFailed(f"The connector failed: {type(problem).__name__}") from problem


def _finish(work: _Work) -> None:
    state = "partial" if work.failed_assets else "succeeded"
    what = "things could not be pulled; they were" if work.run.customer_id == HOUSE else "assets could not be pulled; their findings were"
    reason = f"{work.failed_assets} {what} left as they are" if work.failed_assets else ""
    work.claim(phase="done", state=state, finished_at=clock.now(), problems=work.problems or work.run.problems,
               reason_code="assets_failed" if work.failed_assets else "", reason=reason)
    work.origin.ended(work.run, "ok" if not work.failed_assets else "failing", "assets_failed" if work.failed_assets else "", reason)
    audit.record("run.finished", actor=work.actor, target=work.run.id, customer_id=work.run.customer_id,
                 details={"state": state, **work.counts})
    _follow_up(work)


def _hold(work: _Work, plan: brake.Plan | brake.HousePlan) -> None:
    with atomic():
        work.claim(state="held", phase="closing", plan=plan.told(), finished_at=clock.now(), problems=work.problems,
                   reason_code="held", reason=plan.sentence())
        work.origin.ended(work.run, "needs_attention", "held", plan.sentence())
        audit.record("run.held", actor=work.actor, target=work.run.id, customer_id=work.run.customer_id, details=plan.told())
        _follow_up(work)
    log.warning("the run is held: %s", plan.sentence())


def _fail(work: _Work, problem: ConnectorError) -> None:
    log.warning("the run failed (%s): %s", problem.code, problem)
    with atomic():
        work.claim(state="failed", finished_at=clock.now(), reason_code=problem.code, reason=str(problem), problems=work.problems)
        RunChange.delete().where(RunChange.run == work.run.id).execute()
        work.origin.ended(work.run, "needs_attention" if problem.needs_attention else "failing", problem.code, str(problem))
        audit.record("run.failed", actor=work.actor, target=work.run.id, customer_id=work.run.customer_id,
                     details={"code": problem.code, "reason": str(problem)})
        _follow_up(work)


def _end(run: Run, state: str, **columns: Any) -> None:
    Run.update(state=state, finished_at=clock.now(), **columns).where(Run.id == run.id).execute()


def _follow_up(work: _Work) -> None:
    """Sync next what webhooks named while this run was under way; once it is committed."""
    def ask() -> None:
        keys = Run.select(Run.follow_up).where(Run.id == work.run.id).scalar()
        if keys:
            work.origin.go_on_with(keys)
    db.obj.after_commit(ask)


def _guarded(ask: Callable[[], Iterable[Any]], *wanted: type) -> Iterator[Any]:
    """The border around a connector: what it raises or gives by mistake becomes a failure under its own name."""
    try:
        for entry in ask():
            if not isinstance(entry, wanted):  # left out in silence, it would close what it stands for
                raise PluginFailed(f"The connector gave a {type(entry).__name__} in place of a {wanted[0].__name__}")
            yield entry
    except ConnectorError:
        raise
    except Exception as problem:
        log.exception("the connector raised")
        raise PluginFailed(f"The connector failed: {type(problem).__name__}") from problem


class _heartbeat:
    """Renews the claim beside the work, for the stretches in which the engine waits for the source."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        pause = max(self._work.deployment.settings.run_lease_seconds / 4, 0.05)
        mine = (Run.id == self._work.run.id) & (Run.worker == self._work.worker) & (Run.state == "running")
        while not self._stop.wait(pause):
            try:
                with db.connection_context():
                    Run.update(heartbeat_at=clock.now()).where(mine).execute()
            except (peewee.DatabaseError, peewee.InterfaceError, StockadeError) as problem:  # the work itself meets it too
                log.warning("the heartbeat could not be written (%s: %s)", type(problem).__name__, problem)
