"""The one place that adds severities up: totals over sets of assets, each asset once however many groups hold it.

Every figure of a dashboard is a sum over assets' rollups, so its cost grows with assets, not with findings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import peewee

from core.assets.models import Asset, AssetGroup, GroupMember
from core.findings.models import AssetDue
from core.hooks.contracts import Discipline, LiveCounts, Severity
from core.scope import Scope

_OPEN = {Severity.CRITICAL: Asset.open_critical, Severity.HIGH: Asset.open_high, Severity.MEDIUM: Asset.open_medium,
         Severity.LOW: Asset.open_low, Severity.INFO: Asset.open_info}
_COUNTED = (*_OPEN.values(), Asset.findings_total, Asset.findings_remediated)


@dataclass(slots=True)
class Totals:
    """Sums over some assets. The portal's ``total`` counts critical to low: its documented blocks have no place for info."""

    critical: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0
    info: int = 0
    findings: int = 0
    remediated: int = 0
    assets: int = 0
    updated_at: int | None = None

    @property
    def total(self) -> int:
        """Open findings, critical to low."""
        return self.critical + self.high + self.medium + self.low

    def __iadd__(self, other: "Totals") -> "Totals":
        for name in ("critical", "high", "medium", "low", "info", "findings", "remediated", "assets"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.updated_at = max((moment for moment in (self.updated_at, other.updated_at) if moment is not None), default=None)
        return self


@dataclass(slots=True)
class Union:
    """The totals of a scope, by discipline and source."""

    parts: dict[tuple[Discipline, str], Totals] = field(default_factory=dict)

    def of(self, discipline: Discipline | None = None, source: str | None = None) -> Totals:
        """Summed over the parts that fit; no asset is in two parts."""
        totals = Totals()
        for (part_discipline, part_source), part in self.parts.items():
            if discipline in (None, part_discipline) and source in (None, part_source):
                totals += part
        return totals


def visible_assets(scope: Scope) -> peewee.ModelSelect:
    """The scope's living assets that are in at least one visible group: the set that all totals are over."""
    member = GroupMember.select(GroupMember.asset).where(GroupMember.customer_id == scope.customer_id,
                                                         GroupMember.group.in_(_visible_groups(scope)))
    return Asset.within(scope).where(Asset.id.in_(member))


def _visible_groups(scope: Scope) -> peewee.ModelSelect:
    return AssetGroup.visible_in(scope).select(AssetGroup.id)


#: live open counts by asset id; what is not in it is counted from what is stored
Live = Mapping[str, LiveCounts]
_NONE: Live = MappingProxyType({})


def union(scope: Scope, live: Live = _NONE) -> Union:
    """Totals over the set of visible assets, in one statement; one more where some have live counts."""
    rows = visible_assets(scope).select(Asset.discipline, Asset.source, *_sums()).group_by(Asset.discipline, Asset.source).tuples()
    parts = {(Discipline(discipline), source): _totals(sums) for discipline, source, *sums in rows}
    for asset in _live_assets(visible_assets(scope), live):
        _replace(parts[Discipline(asset.discipline), asset.source], asset, live[asset.id])
    return Union(parts)


def _live_assets(assets: peewee.ModelSelect, live: Live) -> list[Asset]:
    return list(assets.where(Asset.id.in_(sorted(live)))) if live else []


def _replace(totals: Totals, asset: Asset, counts: LiveCounts) -> None:
    """Take an asset's stored counts out of a sum, and its live ones in."""
    for name in ("critical", "high", "medium", "low", "info"):
        setattr(totals, name, getattr(totals, name) - getattr(asset, f"open_{name}") + getattr(counts, name))


def per_group(scope: Scope, live: Live = _NONE) -> dict[tuple[str, Discipline], Totals]:
    """Totals of each visible group by discipline, in one statement (two with live counts). An asset counts in every group
    that holds it."""
    rows = (Asset.within(scope).select(GroupMember.group, Asset.discipline, *_sums())
            .join(GroupMember, on=(GroupMember.asset == Asset.id) & (GroupMember.customer_id == Asset.customer_id))
            .where(GroupMember.group.in_(_visible_groups(scope)))
            .group_by(GroupMember.group, Asset.discipline).tuples())
    totals = {(group_id, Discipline(discipline)): _totals(sums) for group_id, discipline, *sums in rows}
    held = (Asset.within(scope).select(Asset, GroupMember.group.alias("group_id"))
            .join(GroupMember, on=(GroupMember.asset == Asset.id) & (GroupMember.customer_id == Asset.customer_id))
            .where(GroupMember.group.in_(_visible_groups(scope))).objects())
    for asset in _live_assets(held, live):
        _replace(totals[asset.group_id, Discipline(asset.discipline)], asset, live[asset.id])
    return totals


def groups_of(scope: Scope) -> dict[str, list[AssetGroup]]:
    """The visible groups of each of the scope's assets, by asset id."""
    groups = {group.id: group for group in AssetGroup.visible_in(scope)}
    held: dict[str, list[AssetGroup]] = {}
    members = GroupMember.select(GroupMember.asset, GroupMember.group).where(GroupMember.customer_id == scope.customer_id)
    for asset_id, group_id in members.tuples():
        if group_id in groups:
            held.setdefault(asset_id, []).append(groups[group_id])
    return held


def breaches(scope: Scope, today: int) -> int:
    """Open findings of visible assets that are past their due day; one statement, over assets and days.

    :param today: the day since 1970.
    """
    visible = visible_assets(scope).select(Asset.id)
    query = AssetDue.select(peewee.fn.COALESCE(peewee.fn.SUM(AssetDue.open_findings), 0)).where(
        AssetDue.customer_id == scope.customer_id, AssetDue.due_day < today, AssetDue.asset_id.in_(visible))
    return int(query.scalar())


def top_assets(scope: Scope, limit: int, sources: Iterable[str] | None = None) -> list[Asset]:
    """The visible assets with the most severe open findings: by critical, then high, medium, low."""
    query = visible_assets(scope)
    if sources is not None:
        query = query.where(Asset.source.in_(list(sources)))
    open_findings = Asset.open_critical + Asset.open_high + Asset.open_medium + Asset.open_low
    return list(query.where(open_findings > 0).order_by(Asset.open_critical.desc(), Asset.open_high.desc(), Asset.open_medium.desc(),
                                                        Asset.open_low.desc(), Asset.name, Asset.id).limit(limit))


def _sums() -> list[peewee.Node]:
    return [*(peewee.fn.SUM(column) for column in _COUNTED), peewee.fn.COUNT(Asset.id), peewee.fn.MAX(Asset.synced_at)]


def _totals(sums: list) -> Totals:
    *numbers, updated_at = sums
    critical, high, medium, low, info, findings, remediated, assets = map(int, numbers)
    return Totals(critical, high, medium, low, info, findings, remediated, assets, updated_at)


#: figures of the dashboards that ``contributions`` takes apart
FIGURES = ("open", "critical", "high", "medium", "low", "remediated", "overdue")
_SEVERITIES = ("critical", "high", "medium", "low")


def contributions(scope: Scope, figure: str, live: Live = _NONE, *, discipline: Discipline | None = None,
                  source: str | None = None, today: int = 0) -> list[tuple[Asset, int]]:
    """The assets that make up a figure of the union, each with its part, largest first.

    :param figure: one of ``FIGURES``; ``open`` is the four severities together.
    :param today: the day since 1970, for what is overdue.
    """
    query = visible_assets(scope)
    if discipline is not None:
        query = query.where(Asset.discipline == discipline)
    if source is not None:
        query = query.where(Asset.source == source)
    late = _overdue(scope, today) if figure == "overdue" else {}
    parts = [(asset, _part(asset, figure, live.get(asset.id), late)) for asset in query]
    return sorted((part for part in parts if part[1]), key=lambda part: (-part[1], part[0].name, part[0].id))


def _part(asset: Asset, figure: str, counts: LiveCounts | None, late: Mapping[str, int]) -> int:
    if figure == "overdue":
        return late.get(asset.id, 0)
    if figure == "remediated":
        return int(asset.findings_remediated)
    names = _SEVERITIES if figure == "open" else (figure,)
    return sum(getattr(asset, f"open_{name}") if counts is None else getattr(counts, name) for name in names)


def _overdue(scope: Scope, today: int) -> dict[str, int]:
    """Findings past their due day, by asset of the customer."""
    late = AssetDue.select(AssetDue.asset_id, peewee.fn.SUM(AssetDue.open_findings)).where(
        AssetDue.customer_id == scope.customer_id, AssetDue.due_day < today).group_by(AssetDue.asset_id)
    return {asset_id: int(number) for asset_id, number in late.tuples()}
