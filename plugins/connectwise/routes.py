"""Companies on the ``/v1`` surface. A company is a customer."""

from typing import Any

from flask import after_this_request
from flask_smorest import Blueprint

from core import clock
from core.http import v1
from core.http.access import CustomerFrom, Principal, current_principal, require_also, requires
from core.http.deployed import deployment
from plugins.connectwise import service
from plugins.connectwise.schemas import CompanyArgs, CompanySchema, ConfigurationsSchema, OneCompanyArgs, OneCompanySchema

blp = Blueprint("companies", __name__, url_prefix="/v1/company", description="Companies, with what ConnectWise knows about them")
MANY, ONE, ADDRESS, CONFIGURATIONS = "company.fetch.many", "company.fetch", "company.fetch.address", "company.fetch.configurations"


@blp.get("/companies")
@requires(MANY, customer=CustomerFrom.ANY)
@blp.arguments(CompanyArgs, location="query")
@v1.answers(blp, CompanySchema(many=True), "Companies Fetched Successfully!", paged=True)
def list_companies(wanted: dict[str, Any]) -> v1.NumberedPage:
    """Companies by name, as far as the caller may list them."""
    return service.page_of(wanted["page"], wanted["rpp"], search=wanted["search"], among=_listable(current_principal()))


@blp.get("/companies/<customer_id>")
@requires(ONE, customer=CustomerFrom.PATH, conditional=(ADDRESS,))
@blp.arguments(OneCompanyArgs, location="query")
@v1.answers(blp, OneCompanySchema, "Company Fetched Successfully!")
def get_company(wanted: dict[str, Any], customer_id: str) -> dict[str, Any]:
    """One company, as ConnectWise has it in this moment; what is stored when it does not answer. ``source`` says which."""
    if wanted["include_address"]:
        require_also(ADDRESS)
    told = service.fresh(deployment(), customer_id).told(with_address=wanted["include_address"])
    _say_where_from(told)
    return told


@blp.get("/companies/<customer_id>/configurations")
@requires(ONE, CONFIGURATIONS, customer=CustomerFrom.PATH)
@v1.answers(blp, ConfigurationsSchema, "Company Configurations Fetched Successfully!")
def get_configurations(customer_id: str) -> dict[str, Any]:
    """A company's configurations, as ConnectWise has them in this moment; what is stored when it does not answer."""
    told = service.fresh_configurations(deployment(), customer_id)
    _say_where_from(told)
    return told


def _listable(principal: Principal) -> list[str] | None:
    """The customers whose companies this principal may list; None for all."""
    if principal.holds(MANY):
        return None
    return [customer_id for customer_id in principal.home_customers if principal.holds(MANY, customer_id)]


def _say_where_from(told: dict[str, Any]) -> None:
    """For clients that read the documented fields alone."""
    if told["source"] is not None:
        headers = {"X-Data-Source": told["source"], "X-Data-As-Of": clock.iso(told["as_of"]) or ""}

        @after_this_request
        def add(response: Any) -> Any:
            response.headers.update(headers)
            return response
