"""Bringing stored findings in line with verdicts and terms that changed: a thousand a transaction, each a constant number of statements."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import peewee
from peewee import chunked

from core import clock
from core.assets import catalog
from core.assets.models import Asset
from core.db import atomic
from core.db.bulk import bulk_update, rows_by_key
from core.findings import history, rollups, terms
from core.findings.inforce import Broad, Ruling, broad
from core.findings.models import Finding, Verdict
from core.findings.rollups import Delta
from core.findings.standing import standing

BATCH = 1000
_ASSETS_AT_ONCE = 500
_COLUMNS = ("verdict", "verdict_id", "verdict_until", "status", "paused_ms", "paused_since", "due_day")


class Stored(NamedTuple):
    """A finding as it is stored, its asset's lineage and terms, and the verdict that it repeats (None in each when there is none)."""

    id: int
    asset_id: str
    source: str
    rule_key: str
    cve: str
    fingerprint: str
    severity: int
    source_state: str
    first_seen_at: int
    verdict: str | None
    verdict_id: str | None
    verdict_until: int | None
    status: str
    paused_ms: int
    paused_since: int | None
    due_day: int | None
    lineage: str
    sla_terms: str | None
    level: str | None
    decided_finding: int | None
    decided_kind: str | None
    decided_until: int | None
    reason: str | None
    ended_at: int | None
    ended_by: str | None

    @property
    def is_decided_itself(self) -> bool:
        """Whether the verdict in force is on this very finding or one that it took it over from, not on its asset, rule or CVE."""
        return self.level == "finding" and self.ended_at is None

    @property
    def has_own_verdict(self) -> bool:
        """Whether somebody decided about this very finding, and that is in force."""
        return self.is_decided_itself and self.decided_finding == self.id

    def ruled(self, in_force: Broad) -> Ruling | None:
        """The verdict on its asset, rule or CVE."""
        return in_force.over(self.asset_id, self.source, self.rule_key, self.cve)


class Change(NamedTuple):
    """A finding that gets another verdict, or none, and the event that tells of it."""

    ruling: Ruling | None
    kind: str
    actor: str
    verdict_id: str | None


_OF_FINDING, _OF_ASSET = Stored._fields[:16], ("lineage", "sla_terms")
_OF_VERDICT = ("level", "finding_id", "kind", "until", "reason", "ended_at", "ended_by")
_VERDICT_ID = Stored._fields.index("verdict_id")

#: what is to become of a batch: changes by the finding's key; findings that are left out keep their verdicts
Plan = Callable[[Sequence[Stored], Broad, int], dict[int, Change]]


def restate(customer_id: str, keys: Iterable[int], plan: Plan, also: Callable[[], None] = lambda: None) -> int:
    """Carry out a plan for some findings, and derive anew what follows for each; how many got another verdict.

    :param plan: asked inside each transaction, with its rows, the customer's verdicts on assets, rules and CVEs, and the moment.
    :param also: what goes into the first transaction with it.
    """
    changed = 0
    for batch in chunked(keys, BATCH):
        with atomic():
            catalog.lock(_assets_of(customer_id, batch))
            now = clock.now()
            rows = list(_rows(customer_id, batch))
            changes = plan(rows, broad(customer_id, now), now)
            _write(customer_id, rows, changes, now)
            also()
        also = _nothing
        changed += len(changes)
    return changed


def _nothing() -> None:
    return None


def keep(rows: Sequence[Stored], in_force: Broad, now: int) -> dict[int, Change]:
    """The plan that leaves every verdict: what follows is derived anew, such as due days."""
    return {}


def _assets_of(customer_id: str, keys: Sequence[int]) -> set[str]:
    return {asset_id for (asset_id,) in rows_by_key(Finding, ("asset_id",), {"customer_id": customer_id}, "id", keys)}


def _rows(customer_id: str, keys: Sequence[int]) -> Iterator[Stored]:
    """Three lookups by key instead of one join: verdicts may have become many since PostgreSQL last counted them."""
    mine = {"customer_id": customer_id}
    rows = rows_by_key(Finding, _OF_FINDING, mine, "id", keys)
    assets = {key: tuple(facts) for key, *facts in rows_by_key(Asset, ("id", *_OF_ASSET), mine, "id", sorted({row[1] for row in rows}))}
    decided = sorted({row[_VERDICT_ID] for row in rows if row[_VERDICT_ID] is not None})
    found = rows_by_key(Verdict, ("id", *_OF_VERDICT), mine, "id", decided) if decided else []
    verdicts = {key: tuple(facts) for key, *facts in found}
    undecided = (None,) * len(_OF_VERDICT)
    return (Stored(*row, *assets[row[1]], *verdicts.get(row[_VERDICT_ID], undecided)) for row in rows)


def _write(customer_id: str, rows: Sequence[Stored], changes: dict[int, Change], now: int) -> None:
    written, events, deltas = [], [], defaultdict[str, Delta](Delta)
    held_to = {row.asset_id: terms.read(Asset.sla_terms.python_value(row.sla_terms)) for row in rows}
    for row in rows:
        change = changes.get(row.id)
        verdict = (row.verdict, row.verdict_id, row.verdict_until)
        if change is not None:
            verdict = (None, None, None) if change.ruling is None else (change.ruling.kind, change.ruling.id, change.ruling.until)
            details = {"verdict": [row.verdict, verdict[0]]} if row.verdict != verdict[0] else {}
            events.append(history.event(customer_id, row.id, change.kind, at=now, actor=change.actor, details=details,
                                        verdict_id=change.verdict_id))
        after = standing(row.source_state, verdict[0], row.severity, row.first_seen_at, row.paused_ms, row.paused_since,
                         held_to[row.asset_id], now)
        values = (*verdict, *after)
        if values != row[9:16]:
            written.append((customer_id, row.id, *values))
            deltas[row.asset_id].moved((row.status, row.severity, row.due_day), (after.status, row.severity, after.due_day))
    bulk_update(Finding, ("customer_id", "id"), written, update=_COLUMNS)
    history.store(events)
    rollups.add(customer_id, deltas)


def keys_of(customer_id: str, asset_ids: Iterable[str], wanted: peewee.Expression) -> array:
    """Keys of the findings of some assets that fit, each read while nobody writes that asset's findings: a pull that is under way
    has either stored its row before, or will see what was decided before this call."""
    found = array("q")
    for batch in chunked(sorted(asset_ids), _ASSETS_AT_ONCE):
        with atomic():
            catalog.lock(batch)
            query = Finding.select(Finding.id).where(Finding.customer_id == customer_id, Finding.asset_id.in_(batch), wanted)
            found.extend(key for (key,) in query.order_by(Finding.asset_id, Finding.id).tuples().iterator())
    return found


def keys_repeating(customer_id: str, asset_ids: Iterable[str], verdict_ids: Sequence[str]) -> array:
    """Keys of the findings that repeat one of these verdicts, read under the same condition as those of ``keys_of``."""
    with atomic():
        catalog.lock(sorted(asset_ids))
        return array("q", (key for (key,) in rows_by_key(Finding, ("id",), {"customer_id": customer_id}, "verdict_id", verdict_ids)))
