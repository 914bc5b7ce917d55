"""Findings, for those who look beyond the totals."""

from typing import Any

from flask_smorest import Blueprint

from core.findings import service
from core.findings.models import Finding
from core.findings.schemas import FindingFilterSchema, FindingPageSchema, OpenedFindingSchema, shown, shown_whole
from core.findings.service import Filter
from core.http.access import CustomerFrom, current_scope, requires
from core.http.caching import revalidated
from core.http.paging import cursor_after, key_of

blp = Blueprint("findings", __name__, url_prefix="/api/findings", description="Findings of all sources")


@blp.get("")
@requires("finding.list", customer=CustomerFrom.HEADER_OR_SESSION)
@revalidated
@blp.arguments(FindingFilterSchema, location="query")
@blp.response(200, FindingPageSchema)
def list_findings(wanted: dict[str, Any]) -> dict[str, Any]:
    """Findings from the most severe and newest on; open ones unless ``state`` says otherwise.

    ``count`` is bounded: with ``isExact`` false there are more than its value. ``nextCursor`` continues the list.
    """
    scope = current_scope()
    sources = tuple(word.strip() for word in wanted["source"].split(",") if word.strip())
    narrowed = Filter(states=wanted["state"], severities=wanted["severity"], sources=sources, asset_id=wanted["asset"],
                      group_id=wanted["group"], text=wanted["text"], cwe=wanted["cwe"], category=wanted["category"])
    page = service.page(scope, narrowed, after=key_of(wanted["cursor"], int, int), limit=wanted["limit"])
    value, is_exact = service.count(scope, narrowed)
    return {"findings": [shown(finding, page.assets) for finding in page.findings], "count": {"value": value, "is_exact": is_exact},
            "next_cursor": cursor_after(page.after)}


@blp.get("/<finding_id>")
@requires("finding.read", customer=CustomerFrom.HEADER_OR_SESSION)
@blp.response(200, OpenedFindingSchema)
def get_finding(finding_id: str) -> Finding:
    """One finding with its details, the text of its rule, and its history."""
    return shown_whole(service.opened(current_scope(), finding_id))
