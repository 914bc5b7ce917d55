"""The portal's aggregates, each from a constant number of statements whatever the number of findings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core import clock
from core.assets.models import Asset, AssetGroup
from core.connections import live as live_totals
from core.deployment import Deployment
from core.findings import service as findings
from core.findings.models import Finding
from core.findings.state import Status
from core.findings.terms import day_of
from core.hooks.contracts import Discipline, LiveCounts, Severity
from core.overview import kernel
from core.overview.kernel import Totals
from core.scope import Scope

SONAR = "sonarqube"
TOP_ASSETS = 10
_ALWAYS_STORED = ("remediated", "overdue")  # figures that no source counts live
MOST_OFFENSIVE_FINDINGS = 1000  # the document sets no page for the list; more would stall every dashboard that reads it

#: names and colours of the provider donut; the document fixes those of the vault and Snyk
_PROVIDERS = {"secure_vault": ("vault", "Secure Vault", "#0891b2"), "snyk": ("snyk", "Snyk", "#db2777"),
              "sonarqube": ("sonar", "SonarQube", "#2563eb"), "checkmarx": ("checkmarx", "Checkmarx", "#7c3aed")}
_OTHER_FILLS = ("#0d9488", "#ca8a04", "#9333ea", "#475569")
SEVERITY_FILLS = {"critical": "#dc2626", "high": "#ea580c", "medium": "#ca8a04", "low": "#2563eb"}


@dataclass(frozen=True, slots=True)
class Live:
    """Live counts of some assets, and when each source gave them (milliseconds)."""

    counts: Mapping[str, LiveCounts]
    answered_at: Mapping[str, int]


NO_LIVE = Live(MappingProxyType({}), MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class SourceUsed:
    """Where a source's figures come from: ``live`` or ``stored``, and from when (None: never synced)."""

    source: str
    used: str
    at: int | None


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of a donut."""

    key: str
    name: str
    value: int
    fill: str


@dataclass(frozen=True, slots=True)
class OffensiveFinding:
    """An open offensive finding with the environment or folder that it hangs on."""

    finding: Finding
    asset: Asset
    details: dict


@dataclass(frozen=True, slots=True)
class ManagedAssets:
    """What ``GET /api/manage-assets`` answers."""

    application: Totals
    offensive: Totals
    offensive_findings: Sequence[OffensiveFinding]
    sources: Sequence["SourceUsed"]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One row of ``GET /api/security-overview``."""

    group: AssetGroup
    application: Totals
    offensive: Totals


@dataclass(frozen=True, slots=True)
class Overview:
    """What ``GET /api/dashboard/overview`` answers, and the Security Overview page shows."""

    is_limited_to_groups: bool
    groups: int
    totals: Totals
    provider_donut: Sequence[Slice]
    severity_donut: Sequence[Slice]
    top_assets: Sequence[Asset]
    merges_sonar: bool
    sources: Sequence["SourceUsed"]
    offensive: Totals
    by_source: Mapping[str, Totals]


@dataclass(frozen=True, slots=True)
class SonarOverview:
    """What ``GET /api/dashboard/overview/sonar`` answers."""

    totals: Totals
    projects: Sequence[Asset]
    top_assets: Sequence[Asset]


def live_counts(deployment: Deployment, scope: Scope, *, afresh: bool = False) -> Live:
    """What sources count now, as far as they can tell in time."""
    answers = live_totals.ask(deployment, scope, afresh=afresh)
    counts = {asset_id: given for answered in answers.values() for asset_id, given in answered.counts.items()}
    return Live(counts, {source: answered.at for source, answered in answers.items()})


def sources_used(union: kernel.Union, live: Live) -> list[SourceUsed]:
    """For each source in the figures, which of its counts were used and how old they are."""
    sources = sorted({source for _, source in union.parts})
    return [SourceUsed(source, "live", live.answered_at[source]) if source in live.answered_at
            else SourceUsed(source, "stored", union.of(source=source).updated_at) for source in sources]


def managed_assets(scope: Scope, live: Live = NO_LIVE) -> ManagedAssets:
    """Open findings of the union of visible groups, application against offensive, with the offensive ones listed."""
    union = kernel.union(scope, live.counts)
    offensive = union.of(Discipline.OFFSEC)
    return ManagedAssets(union.of(Discipline.APPSEC), offensive, offensive_findings(scope) if offensive.assets else (),
                         sources_used(union, live))


def offensive_findings(scope: Scope, limit: int = MOST_OFFENSIVE_FINDINGS) -> list[OffensiveFinding]:
    """Open offensive findings of visible assets, the most severe and newest first."""
    assets = kernel.visible_assets(scope).where(Asset.discipline == Discipline.OFFSEC)
    found = list(Finding.within(scope).where(Finding.status == Status.OPEN, Finding.asset_id.in_(assets.select(Asset.id)))
                 .order_by(Finding.severity.desc(), Finding.id.desc()).limit(limit))
    by_id = findings.assets_of(found)
    return [OffensiveFinding(finding, by_id[finding.asset_id], json.loads(finding.details)) for finding in found]


def group_rows(scope: Scope, live: Live = NO_LIVE) -> list[GroupRow]:
    """One row for each visible group; adding rows up counts an asset once for every group that holds it."""
    totals = kernel.per_group(scope, live.counts)
    groups = AssetGroup.visible_in(scope).order_by(AssetGroup.name, AssetGroup.id)
    return [GroupRow(group, totals.get((group.id, Discipline.APPSEC), Totals()), totals.get((group.id, Discipline.OFFSEC), Totals()))
            for group in groups]


def overview(scope: Scope, live: Live = NO_LIVE) -> Overview:
    """The dashboard's figures; group-scoped ones never ask for the Sonar merge."""
    union = kernel.union(scope, live.counts)
    totals = union.of()
    has_sonar = any(source == SONAR for _, source in union.parts)
    used = sources_used(union, live)
    return Overview(scope.is_limited_to_groups, AssetGroup.visible_in(scope).count(), totals, _providers(union), _severities(totals),
                    kernel.top_assets(scope, TOP_ASSETS), has_sonar and not scope.is_limited_to_groups, used, union.of(Discipline.OFFSEC),
                    {one.source: union.of(source=one.source) for one in used})


def breaches(scope: Scope) -> int:
    """Open findings that are past the day by which the policy wants them fixed."""
    return kernel.breaches(scope, day_of(clock.now()))


def sonar(scope: Scope) -> SonarOverview:
    """Sonar's own figures per project, and the top assets with these merged in."""
    projects = kernel.visible_assets(scope).where(Asset.source == SONAR).order_by(Asset.name, Asset.id)
    return SonarOverview(kernel.union(scope).of(source=SONAR), list(projects), kernel.top_assets(scope, TOP_ASSETS))


def _providers(union: kernel.Union) -> list[Slice]:
    sources = sorted({source for _, source in union.parts})
    others = iter(_OTHER_FILLS * (len(sources) // len(_OTHER_FILLS) + 1))
    slices = []
    for source in sources:
        key, name, fill = _PROVIDERS.get(source) or (source, source.replace("_", " ").title(), next(others))
        slices.append(Slice(key, name, union.of(source=source).total, fill))
    return slices


def _severities(totals: Totals) -> list[Slice]:
    return [Slice(name, name.capitalize(), getattr(totals, name), fill) for name, fill in SEVERITY_FILLS.items()]


@dataclass(frozen=True, slots=True)
class AcsSource:
    """One source's open application findings."""

    slice: Slice
    totals: Totals
    used: SourceUsed


@dataclass(frozen=True, slots=True)
class AcsSummary:
    """What ``GET /api/application-code-security/summary`` answers."""

    totals: Totals
    sources: Sequence[AcsSource]


def acs_summary(scope: Scope, live: Live = NO_LIVE) -> AcsSummary:
    """Open application findings, in all and by source."""
    union = kernel.union(scope, live.counts)
    used = {one.source: one for one in sources_used(union, live)}
    named = dict(zip(sorted(used), _providers(union), strict=True))
    mine = sorted({source for discipline, source in union.parts if discipline is Discipline.APPSEC})
    return AcsSummary(union.of(Discipline.APPSEC),
                      [AcsSource(named[source], union.of(Discipline.APPSEC, source), used[source]) for source in mine])


@dataclass(frozen=True, slots=True)
class Contribution:
    """One asset's part of a figure, and the visible groups through which it counts."""

    asset: Asset
    value: int
    used: str
    groups: Sequence[AssetGroup]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What ``GET /api/explain`` answers: the figure and all that makes it up."""

    figure: str
    value: int
    contributions: Sequence[Contribution]
    sources: Sequence[SourceUsed]


def explain(scope: Scope, figure: str, live: Live = NO_LIVE, *, discipline: Discipline | None = None,
            source: str | None = None) -> Explanation:
    """Which assets, through which groups and from which source's counts, make up a figure of the dashboards."""
    parts = kernel.contributions(scope, figure, live.counts, discipline=discipline, source=source, today=day_of(clock.now()))
    groups = kernel.groups_of(scope)
    counted_live = live.counts if figure not in _ALWAYS_STORED else {}
    shown = [Contribution(asset, value, "live" if asset.id in counted_live else "stored", groups.get(asset.id, ()))
             for asset, value in parts]
    return Explanation(figure, sum(value for _, value in parts), shown, sources_used(kernel.union(scope, live.counts), live))


def severity_counts(asset: Asset) -> dict[Severity, int]:
    """An asset's open findings by severity."""
    return {severity: getattr(asset, f"open_{severity.name.lower()}") for severity in Severity}
