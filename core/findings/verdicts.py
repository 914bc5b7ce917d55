"""Deciding about findings: one, many, or all that an asset, a rule or a CVE has; and ending decisions.

A verdict on an asset, rule or CVE is recorded first, in force from then on for everything that is stored; ``core.findings.settling``
then brings the findings in line that are there already. See docs/decisions/0007.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import peewee
from peewee import chunked

from core import audit, clock
from core.assets.models import Asset
from core.db import atomic, is_unique_violation
from core.db.bulk import bulk_insert, bulk_update, refresh_statistics
from core.errors import BadRequest, Conflict, Forbidden, NotFound
from core.findings import restating, service
from core.findings.inforce import IS_BROAD, Broad, Ruling, lasts
from core.findings.models import Finding, Verdict
from core.findings.restating import Change, Stored
from core.findings.service import Filter
from core.findings.settling import Target, settle, settle_ended
from core.findings.state import VerdictKind
from core.ids import finding_key, finding_public_id, new_id
from core.scope import Scope

LONGEST_REASON = 2000
MOST_FINDINGS = 100_000  # of one request by ids or by filter
_AT_ONCE = 1000
_TELLING_SIZE = 2000  # so many verdicts at once change what the database should expect of their table
_COLUMNS = ("id", "customer_id", "kind", "level", "asset_id", "finding_id", "lineage", "fingerprint", "source", "rule_key", "cve", "reason",
            "author", "created_at", "until", "ended_by", "settled_at")


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides. ``until``: an acceptance ends with this moment; None when it does not end by itself."""

    kind: VerdictKind
    reason: str = ""
    until: int | None = None

    def check(self) -> None:
        """:raises BadRequest: an acceptance without a reason or until a moment that is over; a date on anything else."""
        faults: dict[str, list[str]] = {}
        if self.kind is VerdictKind.ACCEPTED and not self.reason.strip():
            faults["reason"] = ["An acceptance needs a reason."]
        if len(self.reason) > LONGEST_REASON:
            faults["reason"] = [f"Longer than {LONGEST_REASON} characters."]
        if self.until is not None and self.kind is not VerdictKind.ACCEPTED:
            faults["until"] = ["Only an acceptance can end by itself."]
        elif self.until is not None and self.until <= clock.now():
            faults["until"] = ["Must be in the future."]
        if faults:
            raise BadRequest("The verdict is not valid", details=faults)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request did.

    :ivar matched: findings that it was about, among those that the caller may see.
    :ivar changed: findings that got another verdict by it; those that had this very one are not among them.
    :ivar verdict_id: the verdict on an asset, rule or CVE that it made or ended.
    """

    matched: int
    changed: int
    verdict_id: str | None = None


# -- which findings -----------------------------------------------------------------------------------------------------------


def keys_by_id(scope: Scope, public_ids: Sequence[str]) -> array:
    """Keys of findings named one by one.

    :raises NotFound: when one of them is not there, or belongs to somebody else.
    """
    wanted = sorted({finding_key(public_id) or 0 for public_id in public_ids})
    found = array("q")
    for batch in chunked(wanted, _AT_ONCE):
        found.extend(key for (key,) in Finding.within(scope).select(Finding.id).where(Finding.id.in_(batch)).tuples())
    if len(found) != len(wanted):
        raise NotFound("There is no such finding")
    return found


def keys_by_filter(scope: Scope, wanted: Filter) -> array:
    """Keys of all findings that a list with this filter has.

    :raises BadRequest: when they are too many for one request.
    """
    found = service.keys(scope, wanted, MOST_FINDINGS + 1)
    if len(found) > MOST_FINDINGS:
        raise BadRequest("The filter fits too many findings", details={
            "filter": [f"Fits more than {MOST_FINDINGS:,} findings: narrow it, or decide about an asset, a rule or a CVE."]})
    return found


def check_target(scope: Scope, target: Target) -> Target:
    """The target, with the source of its asset.

    :raises NotFound: for an asset, or a source, that the scope does not show.
    :raises Forbidden: for a rule or a CVE, when the principal is limited to some groups: it concerns assets beyond these.
    """
    if target.level == "asset":
        asset = Asset.within(scope).where(Asset.id == target.asset_id).get_or_none()
        if asset is None:
            raise NotFound("There is no such asset")
        return Target("asset", asset_id=asset.id, source=asset.source)
    if scope.is_limited_to_groups:
        raise Forbidden("You are limited to some asset groups and cannot decide for the whole organization")
    if target.source in scope.hidden_sources:
        raise NotFound("There is no such source")
    return target


def count(scope: Scope, target: Target) -> int:
    """How many findings a verdict on the target is about, among those that the scope shows."""
    return Finding.within(scope).where(target.findings).count()


# -- deciding about single findings --------------------------------------------------------------------------------------------


def decide(scope: Scope, keys: Sequence[int], decision: Decision, *, actor: str) -> Outcome:
    """Decide about findings one by one, as if each were decided about alone. Those that have this very verdict are left as they are, so
    that a request that was cut short can be repeated.

    :param keys: from ``keys_by_id`` or ``keys_by_filter``, which see to it that they are the scope's.
    """
    decision.check()
    replaced: list[str] = []
    plan = _deciding(scope.customer_id, decision, actor, replaced)
    audited = _audited("verdict.given", scope, actor, keys, {"verdict": decision.kind, "reason": decision.reason, "until": decision.until})
    changed = restating.restate(scope.customer_id, keys[:_TELLING_SIZE], plan, also=audited)
    if len(keys) > _TELLING_SIZE:
        refresh_statistics(Verdict)
        changed += restating.restate(scope.customer_id, keys[_TELLING_SIZE:], plan)
    settle_ended(scope.customer_id, replaced)
    return Outcome(len(keys), changed)


def reopen(scope: Scope, keys: Sequence[int], *, actor: str) -> Outcome:
    """End the verdicts on these findings. What their asset, rule or CVE was decided about stays, and holds again."""
    ended: list[str] = []
    plan = _reopening(scope.customer_id, actor, ended)
    changed = restating.restate(scope.customer_id, keys, plan, also=_audited("verdict.ended", scope, actor, keys, {}))
    settle_ended(scope.customer_id, ended)
    return Outcome(len(keys), changed)


def reopen_one(scope: Scope, public_id: str, *, actor: str) -> None:
    """End the verdict on one finding.

    :raises Conflict: when it has none, or one that is not its own but its asset's, rule's or CVE's.
    """
    keys = keys_by_id(scope, [public_id])
    if reopen(scope, keys, actor=actor).changed:
        return
    finding = Finding.get_by_id(keys[0])
    verdict = Verdict.get_or_none(Verdict.id == finding.verdict_id) if finding.verdict_id else None
    if verdict is None:
        raise Conflict("Nobody has decided about this finding")
    raise Conflict(f"This finding is {verdict.kind} by a decision about its {verdict.level}: end that one",
                   details={"verdictId": verdict.id, "level": verdict.level})


def _audited(action: str, scope: Scope, actor: str, keys: Sequence[int], facts: dict[str, Any]) -> Callable[[], None]:
    target = finding_public_id(keys[0]) if len(keys) == 1 else ""

    def write() -> None:
        audit.record(action, actor=actor, target=target, customer_id=scope.customer_id,
                     details={"level": "finding", "findings": len(keys), **facts})
    return write


def _deciding(customer_id: str, decision: Decision, actor: str, replaced: list[str]) -> restating.Plan:
    def plan(rows: Sequence[Stored], in_force: Broad, now: int) -> dict[int, Change]:
        concerned = [row for row in rows if not _says(row, decision)]
        _end_own(customer_id, [row for row in concerned if row.has_own_verdict], actor, now, replaced)
        rulings = {row.id: Ruling(new_id("vrd"), decision.kind, decision.until, now, actor) for row in concerned}
        bulk_insert(Verdict, _COLUMNS, [
            (rulings[row.id].id, customer_id, decision.kind, "finding", row.asset_id, row.id, row.lineage, row.fingerprint, row.source,
             "", "", decision.reason, actor, now, decision.until, "", now) for row in concerned])
        return {key: Change(ruling, "decided", actor, ruling.id) for key, ruling in rulings.items()}
    return plan


def _says(row: Stored, decision: Decision) -> bool:
    """Whether just this was decided about the very finding."""
    return row.has_own_verdict and (row.decided_kind, row.reason, row.decided_until) == (decision.kind, decision.reason, decision.until)


def _reopening(customer_id: str, actor: str, ended: list[str]) -> restating.Plan:
    def plan(rows: Sequence[Stored], in_force: Broad, now: int) -> dict[int, Change]:
        concerned = [row for row in rows if row.is_decided_itself]
        # One that was taken over from another asset of the lineage stays there; this finding alone leaves it.
        _end_own(customer_id, [row for row in concerned if row.has_own_verdict], actor, now, ended)
        return {row.id: Change(row.ruled(in_force), "verdict_ended", actor, row.verdict_id) for row in concerned}
    return plan


def _end_own(customer_id: str, rows: Sequence[Stored], actor: str, now: int, ended: list[str]) -> None:
    """End these findings' own verdicts; findings that took them over follow later, so they count as unsettled."""
    ids = [row.verdict_id for row in rows if row.verdict_id is not None]
    bulk_update(Verdict, ("customer_id", "id"), [(customer_id, verdict_id, now, actor, None) for verdict_id in ids],
                update=("ended_at", "ended_by", "settled_at"))
    ended += ids


# -- deciding about assets, rules and CVEs -----------------------------------------------------------------------------------


def decide_broadly(scope: Scope, target: Target, decision: Decision, *, actor: str) -> Outcome:
    """Decide about all findings of an asset, a rule or a CVE, those that are still to come included. Verdicts on single findings
    stand above it, and so does one on an asset above those on rules and CVEs. A request that was cut short can be repeated.

    :param target: from ``check_target``.
    :raises Conflict: when somebody else decides about the same in this moment.
    """
    decision.check()
    matched = count(scope, target)
    try:
        verdict = _recorded(scope.customer_id, target, decision, actor)
    except peewee.IntegrityError as problem:
        if not is_unique_violation(problem):
            raise
        raise Conflict("Somebody else is deciding about this in this moment") from None
    return Outcome(matched, settle(verdict), verdict.id)


def _recorded(customer_id: str, target: Target, decision: Decision, actor: str) -> Verdict:
    """The verdict on the target: the one that is in force when it says the same, else a new one in its place."""
    with atomic():
        now = clock.now()
        before = _in_force_on(customer_id, target)
        if before is not None and (before.kind, before.reason, before.until) == (decision.kind, decision.reason, decision.until):
            return before
        if before is not None:
            _end(before, actor, now)
        verdict = Verdict.create(id=new_id("vrd"), customer_id=customer_id, kind=decision.kind, reason=decision.reason, author=actor,
                                 created_at=now, until=decision.until, **target.columns)
        audit.record("verdict.given", actor=actor, target=verdict.id, customer_id=customer_id,
                     details={**target.columns, "verdict": decision.kind, "reason": decision.reason, "until": decision.until})
        return verdict


def _in_force_on(customer_id: str, target: Target) -> Verdict | None:
    same = [getattr(Verdict, name) == value for name, value in target.columns.items()]
    return Verdict.select().where(Verdict.customer_id == customer_id, IS_BROAD, *same).get_or_none()


def reopen_broadly(scope: Scope, target: Target, *, actor: str) -> Outcome:
    """End the verdict on an asset, a rule or a CVE.

    :raises Conflict: when none is in force.
    """
    verdict = _in_force_on(scope.customer_id, target)
    if verdict is None:
        raise Conflict(f"Nobody has decided about this {target.level}")
    return end(scope, verdict.id, actor=actor)


def end(scope: Scope, verdict_id: str, *, actor: str) -> Outcome:
    """End a verdict, whatever it is about; its findings stand again where they would without it.

    :raises NotFound: also when it is somebody else's.
    :raises Conflict: when it has ended before.
    """
    verdict = find(scope, verdict_id)
    if verdict.ended_at is not None and verdict.settled_at is not None:
        raise Conflict("This verdict has ended before")
    if verdict.ended_at is None:
        with atomic():
            if not _end(verdict, actor, clock.now()):
                raise Conflict("Somebody else has just ended this verdict")
            audit.record("verdict.ended", actor=actor, target=verdict.id, customer_id=scope.customer_id, details={"level": verdict.level})
    changed = settle_ended(scope.customer_id, [verdict.id])
    return Outcome(changed, changed, verdict.id)


def _end(verdict: Verdict, actor: str, now: int) -> int:
    return (Verdict.update(ended_at=now, ended_by=actor, settled_at=None)
            .where(Verdict.id == verdict.id, Verdict.ended_at.is_null()).execute())


# -- what is in force --------------------------------------------------------------------------------------------------------


def in_force(scope: Scope, *, levels: Sequence[str] = (), kinds: Sequence[str] = (), before: tuple[int, str] | None = None,
             limit: int = 100) -> tuple[list[Verdict], tuple[int, str] | None]:
    """The verdicts in force, the newest first, and the key that continues the list."""
    query = Verdict.within(scope).where(Verdict.ended_at.is_null(), lasts(clock.now()))
    if levels:
        query = query.where(Verdict.level.in_(list(levels)))
    if kinds:
        query = query.where(Verdict.kind.in_(list(kinds)))
    if before is not None:
        query = query.where(peewee.Tuple(Verdict.created_at, Verdict.id) < peewee.Tuple(*before))
    found = list(query.order_by(Verdict.created_at.desc(), Verdict.id.desc()).limit(limit + 1))
    more = len(found) > limit
    return found[:limit], (found[limit - 1].created_at, found[limit - 1].id) if more else None


def find(scope: Scope, verdict_id: str) -> Verdict:
    """:raises NotFound: also when it is somebody else's."""
    verdict = Verdict.within(scope).where(Verdict.id == verdict_id).get_or_none()
    if verdict is None:
        raise NotFound("There is no such verdict")
    return verdict


def count_under(scope: Scope, verdict: Verdict) -> int:
    """How many of the findings that the scope shows a verdict holds for."""
    return Finding.within(scope).where(Finding.verdict_id == verdict.id).count()


def titles_of(verdicts: Iterable[Verdict]) -> dict[int, str]:
    """Titles of the findings that verdicts are about, by key; in one statement."""
    wanted = {verdict.finding_id for verdict in verdicts if verdict.finding_id is not None}
    return dict(Finding.select(Finding.id, Finding.title).where(Finding.id.in_(sorted(wanted))).tuples()) if wanted else {}
