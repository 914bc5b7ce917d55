"""The dashboards of the portal."""

from collections.abc import Sequence
from typing import Any

from flask import after_this_request
from flask_smorest import Blueprint
from werkzeug.wrappers import Response

from core import clock
from core.http.access import CustomerFrom, current_scope, requires
from core.http.caching import revalidated
from core.http.deployed import deployment
from core.overview import service
from core.overview.schemas import (
    AcsSummaryArgs,
    AcsSummarySchema,
    BreachesSchema,
    ExplainArgs,
    ExplanationSchema,
    ManagedAssetsSchema,
    OverviewSchema,
    SecurityOverviewSchema,
    SonarOverviewSchema,
    last_updated,
)
from core.overview.service import AcsSummary, Explanation, Live, ManagedAssets, Overview, SonarOverview, SourceUsed

blp = Blueprint("overview", __name__, url_prefix="/api", description="Totals over assets and groups")
USED_HEADER = "X-Stockade-Totals"


@blp.get("/manage-assets")
@requires("overview.read", customer=CustomerFrom.HEADER)
@revalidated
@blp.response(200, ManagedAssetsSchema)
def manage_assets() -> ManagedAssets:
    """Open findings of the union of all visible asset groups, each asset once, with the offensive ones listed.

    ``X-Stockade-Totals`` says for each source whether its figures are live or stored, and how old they are in seconds.
    """
    answer = service.managed_assets(current_scope(), _live())
    _tell(answer.sources)
    return answer


@blp.get("/security-overview")
@requires("overview.read", customer=CustomerFrom.HEADER_OR_SESSION)
@revalidated
@blp.response(200, SecurityOverviewSchema)
def security_overview() -> dict[str, Any]:
    """Totals of each visible asset group. Rows must not be added up: an asset counts in every group that holds it."""
    rows = service.group_rows(current_scope(), _live())
    return {"groups": rows, "last_updated": last_updated(rows)}


@blp.get("/dashboard/overview")
@requires("overview.read")
@revalidated
@blp.response(200, OverviewSchema)
def dashboard() -> Overview:
    """KPI figures, donuts and top assets of the session's organization; the customer headers are not read.

    Stored figures of Sonar are in all totals already. Where ``mergeSonar`` is true, ``/api/dashboard/overview/sonar`` has them
    apart, to replace (not to add to) what is shown. ``X-Stockade-Totals`` as for ``/api/manage-assets``.
    """
    answer = service.overview(current_scope(), _live())
    _tell(answer.sources)
    return answer


@blp.get("/dashboard/overview/sonar")
@requires("overview.read")
@revalidated
@blp.response(200, SonarOverviewSchema)
def dashboard_sonar() -> SonarOverview:
    """Sonar's open findings in all and per project, and the top assets with them merged."""
    return service.sonar(current_scope())


@blp.get("/dashboard/overview/sla")
@requires("overview.read")
@revalidated
@blp.response(200, BreachesSchema)
def dashboard_sla() -> dict[str, int]:
    """How many open findings are past their due day; 0 as long as there is no policy (``/api/sla-policy``)."""
    return {"breaches": service.breaches(current_scope())}


@blp.get("/application-code-security/summary")
@requires("overview.read")
@revalidated
@blp.arguments(AcsSummaryArgs, location="query")
@blp.response(200, AcsSummarySchema)
def application_code_security(wanted: dict[str, Any]) -> AcsSummary:
    """Open application findings in all and by source. ``forceRefresh=true`` asks the sources that can answer live once more."""
    answer = service.acs_summary(current_scope(), _live(afresh=wanted["force_refresh"]))
    _tell([one.used for one in answer.sources])
    return answer


@blp.get("/explain")
@requires("overview.read", customer=CustomerFrom.HEADER_OR_SESSION)
@revalidated
@blp.arguments(ExplainArgs, location="query")
@blp.response(200, ExplanationSchema)
def explain(wanted: dict[str, Any]) -> Explanation:
    """Which assets, groups and sources make up a figure of the dashboards; the parts add up to it."""
    return service.explain(current_scope(), wanted["figure"], _live(), discipline=wanted["discipline"], source=wanted["source"])


def _live(*, afresh: bool = False) -> Live:
    return service.live_counts(deployment(), current_scope(), afresh=afresh)


def _tell(sources: Sequence[SourceUsed]) -> None:
    """``checkmarx=live;age=12, sonarqube=stored;age=3600`` in the response's header."""
    told = ", ".join(map(_told, sources))

    @after_this_request
    def tell(response: Response) -> Response:
        response.headers[USED_HEADER] = told
        return response


def _told(one: SourceUsed) -> str:
    if one.at is None:
        return f"{one.source}={one.used}"
    return f"{one.source}={one.used};age={(clock.now() - one.at) // clock.SECOND}"
