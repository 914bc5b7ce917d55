"""Companies on the ``/v1`` surface. A company is a customer."""

from typing import Any

from flask import after_this_request
from flask_smorest import Blueprint

from core import clock
from core.errors import Forbidden
from core.http import v1
from core.http.access import CustomerFrom, current_principal, current_scope, require_also, requires
from core.http.deployed import deployment
from plugins.connectwise import reviewing, service
from plugins.connectwise.schemas import (
    ChoiceSchema,
    CompanyArgs,
    CompanySchema,
    ConfigurationsSchema,
    DecidedSchema,
    OneCompanyArgs,
    OneCompanySchema,
    ReviewArgs,
    ReviewedSchema,
)

blp = Blueprint("companies", __name__, url_prefix="/v1/company", description="Companies, with what ConnectWise knows about them")
REVIEW, DECIDE = "company.review", "company.review.decide"
MANY, ONE, ADDRESS, CONFIGURATIONS = "company.fetch.many", "company.fetch", "company.fetch.address", "company.fetch.configurations"


@blp.get("/companies")
@requires(MANY, customer=CustomerFrom.ANY)
@blp.arguments(CompanyArgs, location="query")
@v1.answers(blp, CompanySchema(many=True), "Companies Fetched Successfully!", paged=True)
def list_companies(wanted: dict[str, Any]) -> v1.NumberedPage:
    """Companies by name, as far as the caller may list them."""
    return service.page_of(wanted["page"], wanted["rpp"], search=wanted["search"], among=_listable())


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
    if current_scope().is_limited_to_groups:
        raise Forbidden("You are limited to some asset groups, and configurations belong to none")
    told = service.fresh_configurations(deployment(), customer_id)
    _say_where_from(told)
    return told


@blp.delete("/companies/<customer_id>/link")
@requires(DECIDE, customer=CustomerFrom.PATH)
@v1.answers(blp, None, "Company Unlinked Successfully!")
def unlink_company(customer_id: str) -> None:
    """Say that this customer is not the company that it is linked to. The company goes to the review list."""
    reviewing.unlink(customer_id, actor=current_principal().actor)


@blp.get("/review")
@requires(REVIEW, customer=CustomerFrom.NONE)
@blp.arguments(ReviewArgs, location="query")
@v1.answers(blp, ReviewedSchema(many=True), "Companies Fetched Successfully!", paged=True)
def list_review(wanted: dict[str, Any]) -> v1.NumberedPage:
    """Companies in ConnectWise of which a person has to say which customer they are, with the reason and the likely ones."""
    return reviewing.page_of(wanted["page"], wanted["rpp"], ignored=wanted["ignored"])


@blp.post("/review/<review_id>")
@requires(DECIDE, customer=CustomerFrom.NONE)
@blp.arguments(ChoiceSchema)
@v1.answers(blp, DecidedSchema, "Company Reviewed Successfully!")
def review_company(body: dict[str, Any], review_id: str) -> Any:
    """Say which customer a company is (``link``), that it is a new one (``create``, under another ``name`` if need be), or that it is none
    (``ignore``)."""
    return reviewing.decide(deployment(), review_id, reviewing.Choice(**body), actor=current_principal().actor)


def _listable() -> list[str] | None:
    """The customers whose companies the caller may list; None for all."""
    reach = deployment().gate.reach(MANY)
    return None if reach is None else sorted(reach)


def _say_where_from(told: dict[str, Any]) -> None:
    """For clients that read the documented fields alone."""
    if told["source"] is not None:
        headers = {"X-Data-Source": told["source"], "X-Data-As-Of": clock.iso(told["as_of"]) or ""}

        @after_this_request
        def add(response: Any) -> Any:
            response.headers.update(headers)
            return response
