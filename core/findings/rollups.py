"""The totals that each asset carries, so that nobody counts findings while somebody waits."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import peewee

from core.assets.models import Asset
from core.db import atomic, db, is_postgres
from core.findings.models import Finding
from core.findings.state import REMEDIATED, Status
from core.hooks.contracts import Severity

OPEN_COLUMNS: Mapping[int, str] = {int(severity): f"open_{severity.name.lower()}" for severity in Severity}
COLUMNS = (*OPEN_COLUMNS.values(), "findings_total", "findings_remediated")


class Delta(Counter[str]):
    """Changes to an asset's totals, gathered while a batch is written."""

    def gained(self, status: str, severity: int, number: int = 1) -> None:
        self["findings_total"] += number
        self._count(status, severity, number)

    def moved(self, before: tuple[str, int], after: tuple[str, int]) -> None:
        self._count(*before, -1)
        self._count(*after, 1)

    def _count(self, status: str, severity: int, by: int) -> None:
        if status == Status.OPEN:
            self[OPEN_COLUMNS[severity]] += by
        elif status in REMEDIATED:
            self["findings_remediated"] += by


def add(asset_id: str, delta: Delta) -> None:
    """Add a batch's changes to its asset, in the transaction that writes the batch."""
    changes = {getattr(Asset, column): getattr(Asset, column) + by for column, by in delta.items() if by}
    if changes:
        Asset.update(changes).where(Asset.id == asset_id).execute()


def recount(customer_id: str, asset_ids: Iterable[str]) -> None:
    """Rewrite the totals of some assets from their findings, in the transaction that changed these."""
    wanted = sorted(set(asset_ids))
    if wanted:
        counted = _counted(customer_id).where(Finding.asset_id.in_(wanted))
        for asset_id, totals in _totals(counted, wanted).items():
            Asset.update(totals).where(Asset.id == asset_id).execute()


@dataclass(frozen=True, slots=True)
class Difference:
    """An asset whose totals are not what its findings say."""

    asset_id: str
    stored: dict[str, int]
    counted: dict[str, int]


def check() -> list[Difference]:
    """Recount every asset and name those whose stored totals differ; none, as long as the rollups are right."""
    with atomic():  # one snapshot for both readings
        if is_postgres():
            db.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        stored = {row["id"]: row for row in Asset.select(Asset.id, *(getattr(Asset, column) for column in COLUMNS)).dicts()}
        counted = _totals(_counted(), stored)
    differences = []
    for asset_id, row in stored.items():
        kept = {column: row[column] for column in COLUMNS}
        if kept != counted[asset_id]:
            differences.append(Difference(asset_id, kept, counted[asset_id]))
    return differences


def _counted(customer_id: str | None = None) -> peewee.ModelSelect:
    query = Finding.select(Finding.asset_id, Finding.status, Finding.severity, peewee.fn.COUNT(Finding.id)).group_by(
        Finding.asset_id, Finding.status, Finding.severity)
    return query if customer_id is None else query.where(Finding.customer_id == customer_id)


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
