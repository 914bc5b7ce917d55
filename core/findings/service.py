"""Reading findings: filtered pages by keyset, bounded counts, one finding with its history."""

import heapq
import json
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import peewee

from core import clock
from core.assets.models import Asset, AssetGroup, GroupMember
from core.errors import NotFound
from core.findings.models import Finding, FindingEvent, Rule, Verdict
from core.findings.sla import breached
from core.findings.state import Status
from core.findings.terms import day_of
from core.hooks.contracts import Discipline, Severity
from core.ids import finding_key
from core.scope import Scope

COUNT_LIMIT = 1000  # counting stops here: nobody reads page 10 of a list, and an exact count costs a scan


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of findings is narrowed to; empty fields narrow nothing, except that ``states`` is open findings by default."""

    states: tuple[Status, ...] = (Status.OPEN,)
    severities: tuple[Severity, ...] = ()
    sources: tuple[str, ...] = ()
    asset_id: str = ""
    group_id: str = ""
    text: str = ""
    cwe: int | None = None
    category: str = ""
    breached: bool | None = None  # past their due day, or not
    due_within: int | None = None  # days from today; those past their due day too
    discipline: Discipline | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Findings from the most severe and newest on. ``after`` continues the list; None at its end."""

    findings: list[Finding]
    assets: dict[str, Asset]
    after: tuple[int, int] | None


def page(scope: Scope, wanted: Filter, *, after: tuple[int, int] | None = None, limit: int = 100) -> Page:
    """One page, ordered by severity, then newest. One statement for each state asked for, and one for the assets.

    :param after: severity and key of the last finding of the page before.
    """
    lists = [list(_narrowed(scope, wanted, state, after).order_by(Finding.severity.desc(), Finding.id.desc()).limit(limit + 1))
             for state in dict.fromkeys(wanted.states)]
    merged = list(heapq.merge(*lists, key=lambda finding: (-finding.severity, -finding.id)))
    found = merged[:limit]
    last = found[-1] if len(merged) > limit else None
    return Page(found, assets_of(found), (last.severity, last.id) if last else None)


def count(scope: Scope, wanted: Filter) -> tuple[int, bool]:
    """How many findings there are, up to ``COUNT_LIMIT``, and whether that is all."""
    number = 0
    for state in dict.fromkeys(wanted.states):
        bounded = _narrowed(scope, wanted, state, None).select(Finding.id).limit(COUNT_LIMIT + 1 - number)
        number += peewee.Select([bounded], [peewee.fn.COUNT(peewee.SQL("1"))]).bind(Finding._meta.database).scalar()
        if number > COUNT_LIMIT:
            return COUNT_LIMIT, False
    return number, True


def keys(scope: Scope, wanted: Filter, most: int) -> array:
    """Keys of the findings of a whole list, not in its order; no more than ``most``."""
    found = array("q")
    for state in dict.fromkeys(wanted.states):
        query = _narrowed(scope, wanted, state, None).select(Finding.id).order_by(Finding.id).limit(most - len(found))
        found.extend(key for (key,) in query.tuples().iterator())
    return found


def _narrowed(scope: Scope, wanted: Filter, state: Status, after: tuple[int, int] | None) -> peewee.ModelSelect:
    query = Finding.within(scope).where(Finding.status == str(state))
    if wanted.severities:
        query = query.where(Finding.severity.in_([int(severity) for severity in wanted.severities]))
    if wanted.sources:
        query = query.where(Finding.source.in_(list(wanted.sources)))
    if wanted.asset_id:
        query = query.where(Finding.asset_id == wanted.asset_id)
    if wanted.group_id:
        visible = AssetGroup.visible_in(scope).select(AssetGroup.id).where(AssetGroup.id == wanted.group_id)
        members = GroupMember.select(GroupMember.asset).where(GroupMember.customer_id == scope.customer_id, GroupMember.group.in_(visible))
        query = query.where(Finding.asset_id.in_(members))
    if wanted.discipline is not None:
        query = query.where(Finding.asset_id.in_(Asset.within(scope).select(Asset.id).where(Asset.discipline == wanted.discipline)))
    if wanted.category:
        query = query.where(Finding.category == wanted.category)
    if wanted.cwe is not None:
        query = query.where(Finding.cwe.contains(f",{wanted.cwe},"))
    if wanted.breached is not None:
        is_breached = breached(day_of(clock.now()))
        query = query.where(is_breached if wanted.breached else Finding.due_day.is_null() | ~is_breached)
    if wanted.due_within is not None:
        query = query.where(Finding.due_day <= day_of(clock.now()) + wanted.due_within)
    if wanted.text:
        query = query.where(Finding.title.contains(wanted.text) | Finding.path.contains(wanted.text)
                            | Finding.rule_key.contains(wanted.text) | Finding.cve.contains(wanted.text))
    if after is not None:
        query = query.where(peewee.Tuple(Finding.severity, Finding.id) < peewee.Tuple(*after))
    return query


def assets_of(findings: Iterable[Finding]) -> dict[str, Asset]:
    """The assets of some findings, by id, in one statement."""
    return assets_by_id({finding.asset_id for finding in findings})


def assets_by_id(wanted: Collection[str]) -> dict[str, Asset]:
    """These assets, in one statement."""
    return {asset.id: asset for asset in Asset.select().where(Asset.id.in_(sorted(wanted)))} if wanted else {}


@dataclass(frozen=True, slots=True)
class Opened:
    """A finding with all that is known of it."""

    finding: Finding
    asset: Asset
    rule: Rule | None
    events: Sequence[FindingEvent]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)  # those that the finding and its events tell of, by id

    @property
    def details(self) -> dict[str, Any]:
        return json.loads(self.finding.details)


def opened(scope: Scope, public_id: str) -> Opened:
    """One finding with its asset, rule, verdicts and history, newest first.

    :raises NotFound: also when the finding belongs to somebody else.
    """
    key = finding_key(public_id)
    finding = None if key is None else Finding.within(scope).where(Finding.id == key).get_or_none()
    if finding is None:
        raise NotFound("There is no such finding")
    rule = Rule.get_or_none(Rule.customer_id == finding.customer_id, Rule.source == finding.source, Rule.key == finding.rule_key)
    events = FindingEvent.select().where(FindingEvent.customer_id == finding.customer_id, FindingEvent.finding_id == finding.id)
    told = list(events.order_by(FindingEvent.id.desc()).limit(500))
    return Opened(finding, Asset.get_by_id(finding.asset_id), rule, told, _verdicts(finding, told))


def _verdicts(finding: Finding, events: Iterable[FindingEvent]) -> dict[str, Verdict]:
    wanted = {verdict_id for verdict_id in (finding.verdict_id, *(event.verdict_id for event in events)) if verdict_id}
    theirs = Verdict.select().where(Verdict.customer_id == finding.customer_id, Verdict.id.in_(sorted(wanted)))
    return {verdict.id: verdict for verdict in theirs} if wanted else {}
