"""The users of a customer, over HTTP."""

from typing import Any

from flask_smorest import Blueprint

from core.access import membership
from core.access.membership import Member
from core.access.schemas import CustomerUserListSchema, CustomerUserSchema, NewCustomerUserSchema
from core.http.access import CustomerFrom, current_principal, requires
from core.http.deployed import settings

blp = Blueprint("customer_users", __name__, url_prefix="/api/customers/<customer_id>/users", description="The users of a customer")


@blp.get("")
@requires("customer.user.list", customer=CustomerFrom.PATH)
@blp.response(200, CustomerUserListSchema)
def list_users(customer_id: str) -> dict[str, list[Member]]:
    """The users who hold a role in this customer, by e-mail."""
    return {"users": membership.members_of(customer_id)}


@blp.post("")
@requires("customer.user.create", customer=CustomerFrom.PATH)
@blp.arguments(NewCustomerUserSchema)
@blp.response(201, CustomerUserSchema)
def add_user(body: dict[str, Any], customer_id: str) -> Member:
    """Add a user with a role in this customer; 409 when the address has an account that may not be let in here."""
    return membership.add_member(current_principal(), customer_id, settings=settings(), **body)
