"""The totals that each asset carries, so that nobody counts findings while somebody waits."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import peewee

from core.assets.models import Asset
from core.db import atomic, db, is_postgres
from core.db.bulk import bulk_insert, bulk_update, bulk_upsert
from core.findings.models import AssetDue, Finding
from core.findings.state import REMEDIATED, Status
from core.hooks.contracts import Severity

OPEN_COLUMNS: Mapping[int, str] = {int(severity): f"open_{severity.name.lower()}" for severity in Severity}
COLUMNS = (*OPEN_COLUMNS.values(), "findings_total", "findings_remediated")
_DUE_COLUMNS = ("customer_id", "asset_id", "due_day", "open_findings")
_DUE_KEY = _DUE_COLUMNS[:3]


@dataclass(slots=True)
class Delta:
    """Changes to an asset's totals, gathered while a batch is written."""

    totals: Counter[str] = field(default_factory=Counter)
    due: Counter[int] = field(default_factory=Counter)  # open findings by due day

    def gained(self, status: str, severity: int, due_day: int | None, number: int = 1) -> None:
        self.totals["findings_total"] += number
        self._count(status, severity, due_day, number)

    def lost(self, status: str, severity: int, due_day: int | None) -> None:
        self.gained(status, severity, due_day, -1)

    def moved(self, before: tuple[str, int, int | None], after: tuple[str, int, int | None]) -> None:
        """:param before, after: status, severity and due day."""
        if before != after:
            self._count(*before, -1)
            self._count(*after, 1)

    def _count(self, status: str, severity: int, due_day: int | None, by: int) -> None:
        if status == Status.OPEN:
            self.totals[OPEN_COLUMNS[severity]] += by
            if due_day is not None:
                self.due[due_day] += by
        elif status in REMEDIATED:
            self.totals["findings_remediated"] += by


def add(customer_id: str, deltas: Mapping[str, Delta]) -> None:
    """Add a batch's changes to its assets, in the transaction that writes the batch; a constant number of statements."""
    changed = {asset_id: delta for asset_id, delta in deltas.items() if any(delta.totals.values())}
    if len(changed) == 1:
        (asset_id, delta), = changed.items()
        sums = {getattr(Asset, column): getattr(Asset, column) + by for column, by in delta.totals.items() if by}
        Asset.update(sums).where(Asset.id == asset_id).execute()
    else:
        rows = [(customer_id, asset_id, *(delta.totals[column] for column in COLUMNS)) for asset_id, delta in sorted(changed.items())]
        bulk_update(Asset, ("customer_id", "id"), rows, add=COLUMNS)
    _add_due(customer_id, deltas)


def _add_due(customer_id: str, deltas: Mapping[str, Delta]) -> None:
    rows = [(customer_id, asset_id, day, by) for asset_id, delta in sorted(deltas.items()) for day, by in sorted(delta.due.items()) if by]
    if not rows:
        return
    bulk_upsert(AssetDue, _DUE_COLUMNS, rows, conflict=_DUE_KEY, add=("open_findings",))
    fewer = sorted({asset_id for _, asset_id, _, by in rows if by < 0})
    if fewer:
        AssetDue.delete().where(AssetDue.customer_id == customer_id, AssetDue.asset_id.in_(fewer), AssetDue.open_findings == 0).execute()


def recount(customer_id: str, asset_ids: Iterable[str]) -> None:
    """Rewrite the totals of some assets from their findings, in the transaction that changed these; a constant number of statements."""
    wanted = sorted(set(asset_ids))
    if not wanted:
        return
    totals = _totals(_counted(customer_id).where(Finding.asset_id.in_(wanted)), wanted)
    rows = [(customer_id, asset_id, *(mine[column] for column in COLUMNS)) for asset_id, mine in totals.items()]
    bulk_update(Asset, ("customer_id", "id"), rows, update=COLUMNS)
    due = [asset_id for (asset_id,) in Asset.select(Asset.id).where(Asset.id.in_(wanted), Asset.sla_terms.is_null(False)).tuples()]
    if due:
        AssetDue.delete().where(AssetDue.customer_id == customer_id, AssetDue.asset_id.in_(due)).execute()
        counted = _counted_due().where(Finding.customer_id == customer_id, Finding.asset_id.in_(due))
        bulk_insert(AssetDue, _DUE_COLUMNS, list(counted.tuples()))


@dataclass(frozen=True, slots=True)
class Difference:
    """An asset whose totals are not what its findings say; totals by column, due ones as ``due 20595`` by their day."""

    asset_id: str
    stored: dict[str, int]
    counted: dict[str, int]


def check() -> list[Difference]:
    """Recount every asset and name those whose stored totals differ; none, as long as the rollups are right."""
    with atomic():  # one snapshot for all readings
        if is_postgres():
            db.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        stored = {asset_id: dict(zip(COLUMNS, totals, strict=True)) for asset_id, *totals in
                  Asset.select(Asset.id, *(getattr(Asset, column) for column in COLUMNS)).tuples()}
        counted = _totals(_counted(), stored)
        _name_due(stored, AssetDue.select(AssetDue.customer_id, AssetDue.asset_id, AssetDue.due_day, AssetDue.open_findings))
        _name_due(counted, _counted_due())
    return [Difference(asset_id, stored.get(asset_id, {}), counted.get(asset_id, {})) for asset_id in stored.keys() | counted.keys()
            if stored.get(asset_id) != counted.get(asset_id)]


def _name_due(totals: dict[str, dict[str, int]], rows: peewee.ModelSelect) -> None:
    for _, asset_id, due_day, number in rows.tuples():
        totals.setdefault(asset_id, {})[f"due {due_day}"] = number


def _counted(customer_id: str | None = None) -> peewee.ModelSelect:
    query = Finding.select(Finding.asset_id, Finding.status, Finding.severity, peewee.fn.COUNT(Finding.id)).group_by(
        Finding.asset_id, Finding.status, Finding.severity)
    return query if customer_id is None else query.where(Finding.customer_id == customer_id)


def _counted_due() -> peewee.ModelSelect:
    return (Finding.select(Finding.customer_id, Finding.asset_id, Finding.due_day, peewee.fn.COUNT(Finding.id))
            .where(Finding.due_day.is_null(False)).group_by(Finding.customer_id, Finding.asset_id, Finding.due_day))


def _totals(counted: peewee.ModelSelect, asset_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    totals = {asset_id: dict.fromkeys(COLUMNS, 0) for asset_id in asset_ids}
    for asset_id, status, severity, number in counted.tuples():
        mine = totals[asset_id]
        mine["findings_total"] += number
        if status == Status.OPEN:
            mine[OPEN_COLUMNS[severity]] += number
        elif status in REMEDIATED:
            mine["findings_remediated"] += number
    return totals
