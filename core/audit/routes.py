"""``GET /v1/audit``: MSP staff see everything, others what belongs to the customers in which they hold the node."""

from typing import Any

from flask_smorest import Blueprint

from core.audit import listing
from core.audit.listing import Filter
from core.audit.schemas import AuditEventSchema, AuditFilterSchema
from core.errors import Forbidden
from core.http import v1
from core.http.access import CustomerFrom, current_principal, requires
from core.http.deployed import deployment

blp = Blueprint("audit", __name__, url_prefix="/v1/audit", description="What was changed or revealed, by whom")
_NODE = "audit.read"


@blp.get("")
@requires(_NODE, customer=CustomerFrom.ANY)
@blp.arguments(AuditFilterSchema, location="query")
@v1.answers(blp, AuditEventSchema(many=True), "Audit Events Fetched Successfully!", paged=True)
def list_events(args: dict[str, Any]) -> v1.NumberedPage:
    """Events, newest first."""
    page, rpp, company = args.pop("page"), args.pop("rpp"), args.pop("company")
    events, total = listing.page(_visible(company, Filter(**args)), page, rpp)
    return v1.NumberedPage(events, page, rpp, total)


def _visible(company: str | None, wanted: Filter) -> Filter:
    """What the caller may see of it. Events tell of all assets, so customers of whom he may see only some groups are left out."""
    reach, limited = deployment().gate.reach(_NODE), frozenset(current_principal().group_limits)
    if company is None:
        return wanted.of(None if reach is None else reach - limited, limited)
    if company in limited or (reach is not None and company not in reach):
        raise Forbidden
    return wanted.of([company])
