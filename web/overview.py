"""Security Overview: the figures of one customer, each asset counted once; and what makes up each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask import Response, request

from core.assets.models import AssetGroup
from core.connections import runs
from core.connections import service as connections
from core.connections.models import Connection
from core.findings import sla
from core.hooks.contracts import Discipline
from core.http.access import current_principal, current_scope, requires
from core.http.deployed import deployment
from core.ids import finding_public_id
from core.overview import service
from core.overview.kernel import FIGURES, Totals
from core.overview.service import Explanation, GroupRow, Overview, SourceUsed
from web.blueprint import blp
from web.frame import page
from web.sources import titles

_GROUPS_AT_FIRST = 10
_ASSETS_AT_FIRST = 50
_OFFENSIVE_SHOWN = 5
_RECENT_RUNS = 6
_DISCIPLINES = {"appsec": Discipline.APPSEC, "offsec": Discipline.OFFSEC}


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One line of the table of groups."""

    group: AssetGroup
    application: Totals
    offensive: Totals
    totals: Totals


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line of the table of sources.

    :ivar used: which figures are shown; None while nothing of it is in them.
    :ivar connection: None for a source that only reports were imported of.
    """

    source: str
    totals: Totals
    used: SourceUsed | None
    connection: Connection | None


@dataclass(frozen=True, slots=True)
class GroupShare:
    """How much of a figure lies in a group."""

    group: AssetGroup
    value: int
    assets: int


@blp.get("/")
@requires("overview.read")
def overview() -> Response:
    scope, principal = current_scope(), current_principal()
    live = service.live_counts(deployment(), scope)
    figures = service.overview(scope, live)
    lines = sorted(map(_line, service.group_rows(scope, live)), key=_worst_first)
    shown = lines if request.args.get("groups") == "all" else lines[:_GROUPS_AT_FIRST]
    recent = runs.listing(scope, limit=_RECENT_RUNS) if principal.holds("run.read", scope.customer_id) else []
    connected = connections.listing(scope)
    offensive = service.offensive_findings(scope, _OFFENSIVE_SHOWN) if figures.offensive.total else []
    return page("overview.html", figures=figures, totals=figures.totals, lines=shown, hidden_lines=len(lines) - len(shown), recent=recent,
                connections=connected, sources=list(_source_lines(figures, connected)), titles=titles(), offensive=offensive,
                public_id=finding_public_id, overdue=service.breaches(scope), has_policy=bool(sla.policies(scope)),
                source_of={piece.key: used.source for piece, used in zip(figures.provider_donut, figures.sources, strict=True)})


@blp.get("/explain")
@requires("overview.read")
def explain() -> Response:
    """Which sources, groups and assets make up a figure."""
    scope, given = current_scope(), request.args
    figure = given["figure"] if given.get("figure") in FIGURES else "open"
    discipline, source = _DISCIPLINES.get(given.get("discipline", "")), given.get("source", "")[:32] or None
    told = service.explain(scope, figure, service.live_counts(deployment(), scope), discipline=discipline, source=source)
    assets = told.contributions if given.get("assets") == "all" else told.contributions[:_ASSETS_AT_FIRST]
    return page("explain.html", told=told, figure=figure, figures=FIGURES, discipline=discipline, source=source, titles=titles(),
                assets=assets, hidden_assets=len(told.contributions) - len(assets), by_source=_by_source(told), groups=_by_group(told),
                several=sum(len(part.groups) > 1 for part in told.contributions), used={one.source: one for one in told.sources})


def _source_lines(figures: Overview, connected: list[Connection]) -> Iterator[SourceLine]:
    """Sources with figures, then those that are connected and have none yet."""
    by_source = {connection.source: connection for connection in connected}
    for used in figures.sources:
        yield SourceLine(used.source, figures.by_source[used.source], used, by_source.get(used.source))
    for source in sorted(by_source.keys() - figures.by_source.keys()):
        yield SourceLine(source, Totals(), None, by_source[source])


def _by_source(told: Explanation) -> Mapping[str, int]:
    values: dict[str, int] = {}
    for part in told.contributions:
        values[part.asset.source] = values.get(part.asset.source, 0) + part.value
    return dict(sorted(values.items(), key=lambda entry: -entry[1]))


def _by_group(told: Explanation) -> list[GroupShare]:
    """The groups, those with the largest part first; together they may be more than the figure."""
    shares: dict[str, GroupShare] = {}
    for part in told.contributions:
        for group in part.groups:
            before = shares.get(group.id, GroupShare(group, 0, 0))
            shares[group.id] = GroupShare(group, before.value + part.value, before.assets + 1)
    return sorted(shares.values(), key=lambda share: (-share.value, share.group.name))


def _line(row: GroupRow) -> GroupLine:
    totals = Totals()
    totals += row.application
    totals += row.offensive
    return GroupLine(row.group, row.application, row.offensive, totals)


def _worst_first(line: GroupLine) -> tuple:
    totals = line.totals
    return (-totals.critical, -totals.high, -totals.medium, -totals.low, line.group.name)
