"""The dashboards of the portal."""

from flask_smorest import Blueprint

from core.http.access import CustomerFrom, current_scope, requires
from core.http.caching import revalidated
from core.overview import service
from core.overview.schemas import ManagedAssetsSchema, OverviewSchema, SecurityOverviewSchema, SonarOverviewSchema, last_updated
from core.overview.service import ManagedAssets, Overview, SonarOverview

blp = Blueprint("overview", __name__, url_prefix="/api", description="Totals over assets and groups")


@blp.get("/manage-assets")
@requires("overview.read", customer=CustomerFrom.HEADER)
@revalidated
@blp.response(200, ManagedAssetsSchema)
def manage_assets() -> ManagedAssets:
    """Open findings of the union of all visible asset groups, each asset once, with the offensive ones listed."""
    return service.managed_assets(current_scope())


@blp.get("/security-overview")
@requires("overview.read", customer=CustomerFrom.HEADER_OR_SESSION)
@revalidated
@blp.response(200, SecurityOverviewSchema)
def security_overview() -> dict:
    """Totals of each visible asset group. Rows must not be added up: an asset counts in every group that holds it."""
    rows = service.group_rows(current_scope())
    return {"groups": rows, "last_updated": last_updated(rows)}


@blp.get("/dashboard/overview")
@requires("overview.read")
@revalidated
@blp.response(200, OverviewSchema)
def dashboard() -> Overview:
    """KPI figures, donuts and top assets of the session's organization; the customer headers are not read.

    Stored figures of Sonar are in all totals already. Where ``mergeSonar`` is true, ``/api/dashboard/overview/sonar`` has them
    apart, to replace (not to add to) what is shown.
    """
    return service.overview(current_scope())


@blp.get("/dashboard/overview/sonar")
@requires("overview.read")
@revalidated
@blp.response(200, SonarOverviewSchema)
def dashboard_sonar() -> SonarOverview:
    """Sonar's open findings in all and per project, and the top assets with them merged."""
    return service.sonar(current_scope())
