"""Bringing findings in line with verdicts that were made or have ended, a thousand a transaction.

Whoever is killed in between leaves the verdict unsettled; the scheduler finishes (``finish``), or the same request once more.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import peewee
from peewee import chunked

from core import audit, clock
from core.assets.models import Asset
from core.db import atomic
from core.db.bulk import bulk_update, rows_by_key
from core.findings import restating
from core.findings.inforce import IS_OF_ONE_FINDING, RULING, Broad, Ruling, lasts
from core.findings.models import Finding, Verdict
from core.findings.restating import Change, Stored

EXPIRY = "expiry"  # who ended an acceptance that ran out
_AT_ONCE = 1000
_OTHERS_TIME = clock.MINUTE  # whoever decided or ended so recently is still at work


@dataclass(frozen=True, slots=True)
class Target:
    """What a verdict beyond single findings is about: an asset, or a rule or a CVE in the whole customer."""

    level: str  # asset | rule | cve
    asset_id: str = ""
    source: str = ""
    rule_key: str = ""
    cve: str = ""

    @property
    def findings(self) -> peewee.Expression:
        """The customer's findings that it covers."""
        if self.level == "asset":
            return Finding.asset_id == self.asset_id
        if self.level == "rule":
            return (Finding.source == self.source) & (Finding.rule_key == self.rule_key)
        return Finding.cve.contains(f",{self.cve},")

    @property
    def assets(self) -> peewee.Expression:
        """The customer's assets that may have such findings."""
        if self.level == "asset":
            return Asset.id == self.asset_id
        return Asset.source == self.source if self.level == "rule" else peewee.SQL("1 = 1")

    @property
    def columns(self) -> dict[str, str]:
        return {"level": self.level, "asset_id": self.asset_id, "source": self.source, "rule_key": self.rule_key, "cve": self.cve}


def settle(verdict: Verdict) -> int:
    """Bring the findings that a verdict on an asset, rule or CVE covers in line with it; how many changed."""
    target = Target(verdict.level, verdict.asset_id, verdict.source, verdict.rule_key, verdict.cve)
    keys = restating.keys_of(verdict.customer_id, _assets(verdict.customer_id, target.assets), target.findings)
    changed = restating.restate(verdict.customer_id, keys, _lining_up)
    Verdict.update(settled_at=clock.now()).where(Verdict.id == verdict.id, Verdict.ended_at.is_null()).execute()
    return changed


def settle_ended(customer_id: str, verdict_ids: Sequence[str]) -> int:
    """Bring the findings that still repeat ended verdicts in line with what holds without them; how many changed."""
    changed = 0
    for batch in chunked(verdict_ids, _AT_ONCE):
        about = rows_by_key(Verdict, ("level", "asset_id", "lineage", "source"), {"customer_id": customer_id}, "id", batch)
        keys = restating.keys_repeating(customer_id, _assets(customer_id, _may_repeat(about)), batch)
        changed += restating.restate(customer_id, keys, _lining_up)
        now = clock.now()
        with atomic():
            bulk_update(Verdict, ("customer_id", "id"), [(customer_id, verdict_id, now) for verdict_id in batch], update=("settled_at",))
    return changed


def _may_repeat(verdicts: Sequence[tuple[str, str, str, str]]) -> peewee.Expression:
    """The assets whose findings may repeat one of these verdicts.

    :param verdicts: level, asset, lineage and source of each.
    """
    if any(level == "cve" for level, *_ in verdicts):
        return peewee.SQL("1 = 1")
    return (Asset.id.in_({asset_id for _, asset_id, _, _ in verdicts if asset_id})
            | Asset.lineage.in_({lineage for level, _, lineage, _ in verdicts if level == "finding"})
            | Asset.source.in_({source for level, _, _, source in verdicts if level == "rule"}))


def _assets(customer_id: str, wanted: peewee.Expression) -> list[str]:
    return [asset_id for (asset_id,) in Asset.select(Asset.id).where(Asset.customer_id == customer_id, wanted).tuples()]


def _lining_up(rows: Sequence[Stored], in_force: Broad, now: int) -> dict[int, Change]:
    """The plan that gives each finding the verdict that holds for it: its own, else what its asset, rule or CVE has."""
    successors = _successors(rows)
    changes = {}
    for row in rows:
        has_run_out = row.ended_at is None and row.verdict_until is not None and row.verdict_until <= now
        if row.is_decided_itself or has_run_out:  # the scheduler ends the latter, and tells that it ran out
            continue
        ruling = successors.get(row.decided_finding or 0) if row.level == "finding" else None
        ruling = ruling or row.ruled(in_force)
        if (ruling.id if ruling is not None else None) != row.verdict_id:
            changes[row.id] = _change(row, ruling)
    return changes


def _successors(rows: Sequence[Stored]) -> dict[int, Ruling]:
    """Verdicts that took the place of ended ones on single findings, by these findings: who took over the old one takes over the
    new one."""
    wanted = {row.decided_finding for row in rows if row.level == "finding" and row.ended_at is not None} - {None}
    if not wanted:
        return {}
    query = Verdict.select(Verdict.finding_id, *RULING).where(IS_OF_ONE_FINDING, Verdict.finding_id.in_(wanted), lasts(clock.now()))
    return {key: Ruling(*facts) for key, *facts in query.tuples()}


def _change(row: Stored, ruling: Ruling | None) -> Change:
    if row.ended_at is not None and (ruling is None or ruling.created_at < row.ended_at):  # what was there before holds again
        kind = "acceptance_expired" if row.ended_by == EXPIRY else "verdict_ended"
        return Change(ruling, kind, row.ended_by or "", row.verdict_id)
    if ruling is None:
        return Change(None, "verdict_ended", "", row.verdict_id)
    return Change(ruling, "decided", ruling.author, ruling.id)


def expire(now: int) -> int:
    """End the acceptances that have run out, up to a thousand at once; how many. Their findings come back with it."""
    with atomic():
        due = list(Verdict.select(Verdict.id, Verdict.customer_id).where(Verdict.ended_at.is_null(), Verdict.until.is_null(False),
                                                                         Verdict.until <= now).order_by(Verdict.until).limit(_AT_ONCE))
        by_customer: dict[str, list[str]] = {}
        for verdict in due:
            by_customer.setdefault(verdict.customer_id, []).append(verdict.id)
        Verdict.update(ended_at=now, ended_by=EXPIRY, settled_at=None).where(Verdict.id.in_([verdict.id for verdict in due]),
                                                                             Verdict.ended_at.is_null()).execute()
        for customer_id, ids in sorted(by_customer.items()):
            audit.record("verdict.ended", actor=EXPIRY, customer_id=customer_id, details={"verdicts": len(ids), "first": ids[0]})
    for customer_id, ids in by_customer.items():
        settle_ended(customer_id, ids)
    return len(due)


def finish(now: int, deadline: float) -> int:
    """Finish what somebody who was killed has left: up to a thousand ended verdicts, and others until the ``deadline``
    (``time.monotonic()``); how many."""
    touched_at = peewee.fn.COALESCE(Verdict.ended_at, Verdict.created_at)
    left = list(Verdict.select().where(Verdict.settled_at.is_null(), touched_at < now - _OTHERS_TIME).order_by(Verdict.created_at)
                .limit(_AT_ONCE))
    ended: dict[str, list[str]] = {}
    for verdict in left:
        if verdict.ended_at is not None:
            ended.setdefault(verdict.customer_id, []).append(verdict.id)
    for customer_id, ids in ended.items():
        settle_ended(customer_id, ids)
    for verdict in left:
        if verdict.ended_at is None:
            settle(verdict)
            if time.monotonic() > deadline:
                break
    return len(left)
