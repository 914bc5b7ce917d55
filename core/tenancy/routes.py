"""Customers, for MSP staff; a portal user may read his own."""

from typing import Any

from flask_smorest import Blueprint

from core.http.access import CustomerFrom, current_principal, requires
from core.tenancy import service
from core.tenancy.models import Customer
from core.tenancy.schemas import CustomerChangesSchema, CustomerListSchema, CustomerSchema, NewCustomerSchema

blp = Blueprint("customers", __name__, url_prefix="/api/customers", description="Customers and their users")


@blp.get("")
@requires("customer.list", customer=CustomerFrom.NONE)
@blp.response(200, CustomerListSchema)
def list_customers() -> dict[str, list[Customer]]:
    """All customers, by name. MSP staff only."""
    return {"customers": service.all_customers()}


@blp.post("")
@requires("customer.create", customer=CustomerFrom.NONE)
@blp.arguments(NewCustomerSchema)
@blp.response(201, CustomerSchema)
def create_customer(body: dict[str, Any]) -> Customer:
    """Add a customer; 409 when the name is taken."""
    return service.create(**body, actor=current_principal().actor)


@blp.get("/<customer_id>")
@requires("customer.read", customer=CustomerFrom.PATH)
@blp.response(200, CustomerSchema)
def get_customer(customer_id: str) -> dict[str, Any]:
    """One customer. A portal user may read his own, without what the MSP noted down about it."""
    customer = service.get(customer_id)
    shown = dict(customer.__data__)
    if not current_principal().is_msp:
        del shown["notes"]
    return shown


@blp.patch("/<customer_id>")
@requires("customer.update", customer=CustomerFrom.PATH)
@blp.arguments(CustomerChangesSchema)
@blp.response(200, CustomerSchema)
def change_customer(body: dict[str, Any], customer_id: str) -> Customer:
    """Change name, status, contact or notes. A disabled customer's users are shut out until it is active again."""
    return service.change(customer_id, **body, actor=current_principal().actor)
