"""Importing a report: read whole, then stored as a sync stores what it pulled.

An import speaks for its assets and no others: their unmentioned findings close, other assets are left alone. It is a run like
any other, with progress, the brake, history and audit. While it is stored the report lies in the file store, so that
another worker can take it up when this process dies (``docs/decisions/0008-report-files.md``).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from core import audit, clock
from core.assets.models import AssetGroup
from core.connections import engine, runs
from core.connections.models import IMPORT, Run
from core.connections.origins import Origin
from core.db import atomic
from core.deployment import Deployment
from core.errors import BadRequest, Conflict, StockadeError, StorageFull
from core.hooks.contracts import ReportParser
from core.ids import new_id
from core.imports import origin, parsers, reading
from core.imports.kept import Kept
from core.imports.preview import Preview, looked_at
from core.imports.report import Report
from core.imports.request import Received, Request, owner_id
from core.scope import Scope

PATIENCE_SECONDS = 30.0  # for another import of the same source to end
_LOOK_SECONDS = 0.1
_RETRY_AFTER_SECONDS = "10"


class ImportFailed(StockadeError):
    """The report could not be stored; send it again."""

    status, code = 500, "ImportFailed"


def store(deployment: Deployment, scope: Scope, report: Report, request: Request, *, actor: str,
          on_run: Callable[[Run], None] = lambda run: None) -> tuple[Run, ReportParser]:
    """Read the report and store all of it, now; the run as it ended, or is held.

    :param on_run: told of the run when it begins.
    :raises BadRequest, TooLarge, UnknownFormat: before anything is written, when the report is not sound.
    :raises Conflict: when another import of the same source takes too long.
    :raises ImportFailed, StorageFull: when the run failed.
    """
    received = _received(scope, request, actor, report)
    with reading.read(deployment, report, received) as (parser, spool):
        reading.check_scope(scope, parser.source, spool)
        run = _begun(scope, parser, report, received)
        on_run(run)
        its_origin = origin.just_read(deployment, scope.customer_id, parser.source, received, spool, report)
        engine.execute(deployment, run.id, lambda *_: its_origin)
    run = Run.get_by_id(run.id)
    if run.state == "failed":
        kind = StorageFull if run.reason_code == "storage_full" else ImportFailed
        raise kind(run.reason, details={"run": run.id, "reasonCode": run.reason_code})
    return run, parser


def begin(deployment: Deployment, scope: Scope, report: Report, request: Request, *, actor: str) -> tuple[Run, ReportParser]:
    """Keep the report for a worker, who reads and stores it; the run to follow.

    :raises UnknownFormat, Conflict: as ``store`` does. What else is wrong with the report, the run tells.
    """
    parser = parsers.choose(deployment, report, request.format)
    received = _received(scope, replace(request, format=parser.format), actor, report)
    run_id = new_id("run")
    kept = Kept(deployment, scope.customer_id, run_id)
    with ExitStack() as undo:
        undo.callback(kept.delete)
        kept.put(received, report)
        run = _begun(scope, parser, report, received, run_id)
        undo.pop_all()
    runs.enqueue(deployment, run)
    return run, parser


def rehearse(deployment: Deployment, scope: Scope, report: Report, request: Request, *, actor: str) -> tuple[Preview, ReportParser]:
    """What ``store`` would do; nothing is written."""
    received = _received(scope, request, actor, report)
    with reading.read(deployment, report, received) as (parser, spool):
        reading.check_scope(scope, parser.source, spool)
        now = clock.now()
        run = Run(id=new_id("run"), customer_id=scope.customer_id, connection_id=owner_id(scope.customer_id, parser.source),
                  source=parser.source, trigger=IMPORT, requested_by=actor, state="discarded", requested_at=now, started_at=now)
        its_origin = origin.just_read(deployment, scope.customer_id, parser.source, received, spool, None)
        with engine.rehearsed(deployment, run, its_origin) as (counts, plan):
            return looked_at(run, counts, plan, deployment.settings.brake_share), parser


@contextmanager
def taken_up() -> Iterator[Callable[[Deployment, Run], Origin]]:
    """What finds the origin of an import whose report lies in the file store; what that opens is closed at the end of the block."""
    with ExitStack() as opened:
        yield lambda deployment, run: origin.kept(deployment, run, opened)


def _received(scope: Scope, request: Request, actor: str, report: Report) -> Received:
    if request.group_id is not None and not AssetGroup.visible_in(scope).where(AssetGroup.id == request.group_id).exists():
        raise BadRequest("The request is not valid", details={"group": ["There is no such asset group."]})
    if scope.is_limited_to_groups and request.group_id is None:
        raise BadRequest("You are limited to some asset groups; name the one that the report belongs to",
                         details={"group": ["Missing data for required field."]})
    return Received(request, actor, report.name, None if scope.group_ids is None else tuple(sorted(scope.group_ids)))


def _begun(scope: Scope, parser: ReportParser, report: Report, received: Received, run_id: str | None = None) -> Run:
    """The run, recorded as soon as no other import of this customer and source is unfinished."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (run := _recorded(scope, parser, report, received, run_id)) is None:
        if time.monotonic() > deadline:
            raise Conflict("Another import of this source is under way; send the report again",
                           headers={"Retry-After": _RETRY_AFTER_SECONDS})
        time.sleep(_LOOK_SECONDS)
    return run


def _recorded(scope: Scope, parser: ReportParser, report: Report, received: Received, run_id: str | None) -> Run | None:
    with atomic():
        run = runs.recorded(scope.customer_id, owner_id(scope.customer_id, parser.source), parser.source, trigger=IMPORT,
                            requested_by=received.actor, run_id=run_id, file_name=received.file_name)
        if run is not None:
            audit.record("report.received", actor=received.actor, target=run.id, customer_id=scope.customer_id, details={
                "format": parser.format, "file": received.file_name, "size": report.size, "asset": received.request.asset})
    return run


__all__ = ["ImportFailed", "Received", "Request", "begin", "rehearse", "store", "taken_up"]
