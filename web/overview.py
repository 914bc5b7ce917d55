"""Security Overview: the figures of one customer, each asset counted once."""

from dataclasses import dataclass

from flask import Response, request

from core.assets.models import AssetGroup
from core.connections import runs
from core.connections import service as connections
from core.http.access import current_principal, current_scope, requires
from core.http.deployed import deployment
from core.overview import service
from core.overview.kernel import Totals
from core.overview.service import GroupRow
from web.blueprint import blp
from web.frame import page
from web.sources import titles

_GROUPS_AT_FIRST = 10
_RECENT_RUNS = 6


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One line of the table of groups."""

    group: AssetGroup
    application: Totals
    offensive: Totals
    totals: Totals


@blp.get("/")
@requires("overview.read")
def overview() -> Response:
    scope, principal = current_scope(), current_principal()
    live = service.live_counts(deployment(), scope)
    figures = service.overview(scope, live)
    lines = sorted(map(_line, service.group_rows(scope, live)), key=_worst_first)
    shown = lines if request.args.get("groups") == "all" else lines[:_GROUPS_AT_FIRST]
    recent = runs.listing(scope, limit=_RECENT_RUNS) if principal.holds("run.read", scope.customer_id) else []
    return page("overview.html", figures=figures, totals=figures.totals, lines=shown, hidden_lines=len(lines) - len(shown), recent=recent,
                connections=connections.listing(scope), titles=titles())


def _line(row: GroupRow) -> GroupLine:
    totals = Totals()
    totals += row.application
    totals += row.offensive
    return GroupLine(row.group, row.application, row.offensive, totals)


def _worst_first(line: GroupLine) -> tuple:
    totals = line.totals
    return (-totals.critical, -totals.high, -totals.medium, -totals.low, line.group.name)
