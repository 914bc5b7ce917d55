"""``GET /api/acme/summary``."""

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields

from core.findings import service
from core.http.access import CustomerFrom, current_scope, requires

blp = Blueprint("acme", __name__, url_prefix="/api/acme", description="The Acme scanner")


class SummarySchema(Schema):
    open = fields.Integer(required=True)
    is_exact = fields.Boolean(required=True, data_key="isExact")


@blp.get("/summary")
@requires("acme.summary.read", customer=CustomerFrom.HEADER_OR_SESSION)
@blp.response(200, SummarySchema)
def get_summary() -> dict[str, Any]:
    """How many findings of the Acme scanner are open"""
    count, is_exact = service.count(current_scope(), service.Filter(sources=("acme",)))
    return {"open": count, "is_exact": is_exact}
