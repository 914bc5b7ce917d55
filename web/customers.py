"""Choosing the customer that the pages show: for MSP staff, and for people who belong to several customers."""

from typing import Any

from flask import Response, g, redirect, request

from core.errors import BadRequest, Forbidden
from core.http.access import CustomerFrom, Principal, current_principal, requires
from core.http.addresses import own_url
from core.http.deployed import settings
from core.people import sessions
from core.tenancy import service as tenancy
from core.tenancy.models import Customer
from web.blueprint import blp
from web.frame import page


@blp.get("/customers")
@requires(customer=CustomerFrom.NONE)
def customers() -> Response:
    return chooser(own_url(request.args.get("next"), settings()))


@blp.post("/customers")
@requires(customer=CustomerFrom.NONE)
def pick_customer() -> Any:
    """The form's way to what ``PUT /api/session/customer`` does, so that switching needs no script."""
    principal, customer_id = current_principal(), request.form.get("customerId", "")
    if principal.via != "session":
        raise BadRequest("A token has no session: send x-customer-id instead")
    if customer_id not in {customer.id for customer in open_to(principal)}:
        raise Forbidden
    sessions.pick_customer(g.user_session, customer_id)
    return redirect(own_url(request.form.get("next"), settings()))


def chooser(next_url: str) -> Response:
    """The page that asks for a customer, and goes on to ``next_url``."""
    principal = current_principal()
    return page("customers.html", customers=open_to(principal), next_url=next_url, active_id=principal.session_customer_id)


def open_to(principal: Principal) -> list[Customer]:
    """The active customers that somebody may pick, by name."""
    if principal.is_msp:
        return [customer for customer in tenancy.all_customers() if customer.status == "active"]
    homes = (tenancy.find(customer_id) for customer_id in principal.home_customers)
    return sorted((customer for customer in homes if customer and customer.status == "active"), key=lambda customer: customer.name_key)
