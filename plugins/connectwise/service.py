"""Companies as the routes show them: customers with what ConnectWise knows about them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from core.deployment import Deployment
from core.http.v1 import NumberedPage
from core.tenancy import service as tenancy
from core.tenancy.models import Customer
from plugins.connectwise import live
from plugins.connectwise.models import CwCompany, CwConfiguration

STORED, LIVE = "stored", "live"
_NO_ADDRESS = dict.fromkeys(("line1", "line2", "city", "state", "zip", "country"))


@dataclass(frozen=True, slots=True)
class Shown:
    """A customer and its company; the company is None when ConnectWise has none, or nobody has said yet which it is.

    :ivar source: ``live`` or ``stored``; None without a company.
    """

    customer: Customer
    company: CwCompany | None = None
    source: str | None = None

    def listed(self) -> dict[str, Any]:
        """What a listing tells."""
        company = self.company
        return {"id": self.customer.id, "name": self.customer.name, "cw_company_id": company.cw_id if company else None,
                "cw_identifier": company.identifier if company else None}

    def told(self, *, with_address: bool) -> dict[str, Any]:
        """What the route of one company tells. Clients of the document look into ``cw_Data`` and its address without asking whether there
        is one, so both are there always; what is not known is null."""
        company = self.company
        known: dict[str, Any] = company.data if company else {}
        data = {"address": _NO_ADDRESS | (known.get("address") or {})} if with_address else {}
        return {**self.listed(), "cw_data": data, "source": self.source, "as_of": company.fetched_at if company else None,
                "status": known.get("status") or None, "types": known.get("types") or [], "website": known.get("website") or None,
                "removed_at": company.removed_at if company else None}


def page_of(number: int, size: int, *, search: str, among: Collection[str] | None) -> NumberedPage:
    """One page of the customers by name, each with its company.

    :param among: the customers that may be seen; None for all.
    """
    page = tenancy.page_of(number, size, search=search, among=among)
    ids = [customer.id for customer in page.customers]
    companies = {company.customer_id: company for company in CwCompany.select().where(CwCompany.customer_id.in_(ids))} if ids else {}
    rows = [Shown(customer, companies.get(customer.id)).listed() for customer in page.customers]
    return NumberedPage(rows, number, size, page.total)


def stored(customer_id: str) -> Shown:
    """The customer with what is stored of its company.

    :raises NotFound: when there is no such customer.
    """
    company = CwCompany.get_or_none(CwCompany.customer_id == customer_id)
    return Shown(tenancy.get(customer_id), company, STORED if company else None)


def fresh(deployment: Deployment, customer_id: str) -> Shown:
    """The customer with what ConnectWise has of its company in this moment; with what is stored when it does not answer.

    :raises NotFound: when there is no such customer.
    """
    shown = stored(customer_id)
    is_live = shown.company is not None and live.refresh_company(deployment, shown.company)
    return replace(stored(customer_id), source=LIVE) if is_live else stored(customer_id)


def fresh_configurations(deployment: Deployment, customer_id: str) -> dict[str, Any]:
    """A customer's configurations, as ``fresh`` gives its company.

    :raises NotFound: when there is no such customer.
    """
    company = stored(customer_id).company
    is_live = company is not None and live.refresh_its_configurations(deployment, company)
    company = stored(customer_id).company
    return {"configurations": stored_configurations(customer_id), "source": None if company is None else LIVE if is_live else STORED,
            "as_of": company.configurations_at or company.fetched_at if company else None}


def stored_configurations(customer_id: str) -> list[dict[str, Any]]:
    """What is stored of a customer's configurations, as ConnectWise tells them."""
    return [{"id": row.cw_id, "name": row.name, **row.data} for row in CwConfiguration.of(customer_id)]
