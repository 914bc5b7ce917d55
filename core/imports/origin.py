"""A report as the origin of a run: the engine stores it as it stores what a connection pulls."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from core import clock
from core.assets import catalog
from core.assets.models import AssetGroup
from core.connections.models import Run
from core.connections.origins import Origin
from core.db import db
from core.deployment import Deployment
from core.errors import NotFound, StockadeError, StorageFull
from core.hooks.contracts import AssetDraft, CheckResult, FindingDraft, Pull, RuleDraft, Unmapped
from core.hooks.failures import ConnectorError
from core.imports import reading
from core.imports.kept import Kept
from core.imports.report import Report
from core.imports.request import Received, own_group_id, owner_id
from core.imports.spool import Spool

_GROUP_NAME = "Imported reports"


class ReportRefused(ConnectorError):
    """The report is not sound; the message names the place."""

    code = "report_invalid"


class ReportLost(ConnectorError):
    """The report did not arrive whole before its server died."""

    code = "report_lost"


class ReportOrigin(Origin):
    """An uploaded report.

    :param whole: gives the report, read.
    """

    def __init__(self, deployment: Deployment, customer_id: str, source: str, actor: str,
                 whole: Callable[[Run], tuple[Received, Spool]]) -> None:
        self.owner = catalog.Owner(customer_id, owner_id(customer_id, source), source, None)
        self.actor = actor
        self._deployment = deployment
        self._whole = whole
        self._spool: Spool | None = None

    def open(self, run: Run, progress: Callable[..., None]) -> tuple[Pull, Sequence[Any]]:
        progress(phase="reading")
        received, spool = self._whole(run)
        keys: Any = spool.asset_keys
        run.asset_keys = keys  # an import speaks for these assets and no others
        progress(asset_keys=keys)
        self._spool = spool
        self.findings_in_all = spool.findings_in_all
        self.owner = replace(self.owner, group_id=received.request.group_id or self._own_group(spool))
        return _ReportPull(spool), ()

    def _own_group(self, spool: Spool) -> str | None:
        """The customer's group of imported reports, made when a new asset needs it: what is in no group counts nowhere."""
        if len(reading.stored_assets(self.owner.customer_id, self.owner.source, spool)) == len(spool.asset_keys):
            return None
        now, group_id = clock.now(), own_group_id(self.owner.customer_id)
        AssetGroup.insert(id=group_id, customer_id=self.owner.customer_id, name=_GROUP_NAME, description="", created_at=now,
                          updated_at=now).on_conflict_ignore().execute()
        return group_id

    def rules_told(self, keys: Iterable[str]) -> Iterable[str]:
        return self._spool.known_rules(keys) if self._spool is not None else ()

    def ended(self, run: Run, state: str, code: str, message: str) -> None:
        db.obj.after_commit(Kept(self._deployment, run.customer_id, run.id).delete)

    def go_on_with(self, asset_keys: Sequence[str]) -> None:
        """Nothing: no webhook names the assets of a report."""


def just_read(deployment: Deployment, customer_id: str, source: str, received: Received, spool: Spool,
              report: Report | None) -> ReportOrigin:
    """The origin of a report that has been read.

    :param report: to be kept while the run is under way; None when nobody is to take it up.
    """
    def whole(run: Run) -> tuple[Received, Spool]:
        if report is not None:
            Kept(deployment, customer_id, run.id).put(received, report)
        return received, spool

    return ReportOrigin(deployment, customer_id, source, received.actor, whole)


def kept(deployment: Deployment, run: Run, opened: ExitStack) -> ReportOrigin:
    """The origin of a report that lies in the file store: one that nobody waits for, or that a dead worker left behind.

    :param opened: closes, at its end, what is opened here.
    """
    def whole(run: Run) -> tuple[Received, Spool]:
        try:
            place = Kept(deployment, run.customer_id, run.id)
            received = place.received()
            report = opened.enter_context(place.report(received.file_name))
            parser, spool = opened.enter_context(reading.read(deployment, report, received))
            reading.check_scope(received.scope(run.customer_id), parser.source, spool)
        except NotFound:
            raise ReportLost("The report did not arrive whole; send it again") from None
        except StorageFull:
            raise
        except StockadeError as problem:
            where = problem.details.get("place") if isinstance(problem.details, Mapping) else None
            raise ReportRefused(f"{problem.message} ({where})" if where else problem.message) from problem
        return received, spool

    return ReportOrigin(deployment, run.customer_id, run.source, run.requested_by, whole)


class _ReportPull:
    """A report that was read, as the engine asks for it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def check(self) -> CheckResult:
        return CheckResult("The report was read")

    def catalog(self) -> Iterator[AssetDraft]:
        return self._spool.assets()

    def asset(self, key: str) -> AssetDraft:
        return self._spool.asset(key)

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
        return self._spool.findings(asset.key)

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        return self._spool.rules(keys)
