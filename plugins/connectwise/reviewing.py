"""The review list: companies of which a person has to say which customer they are, and what that person says."""

from dataclasses import dataclass
from typing import Any

from core.audit.many import Happening, record_many
from core.connections import runs
from core.connections import service as connections
from core.deployment import Deployment
from core.errors import BadRequest, Conflict, NotFound
from core.http.v1 import NumberedPage
from core.scope import HOUSE, Scope
from core.tenancy import service as tenancy
from plugins.connectwise.connector import WHOLE, ConnectWiseConnector
from plugins.connectwise.matching import IGNORED, REASONS, UNLINKED
from plugins.connectwise.models import CwCompany, CwConfiguration
from plugins.connectwise.storing import Store, linking

_TOLD = {**REASONS, IGNORED: "Somebody said that it is no customer", UNLINKED: "Somebody said that it is not the customer that it was"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person says of a company: the customer that it is, a new customer (of another name, if one is given), or none."""

    link: str | None = None
    create: bool = False
    ignore: bool = False
    name: str | None = None


def page_of(number: int, size: int, *, ignored: bool) -> NumberedPage:
    """One page of the companies that wait, by name; or of those that were said to be no customer."""
    query = CwCompany.select().where(CwCompany.customer_id.is_null(), CwCompany.removed_at.is_null(),
                                     CwCompany.review == IGNORED if ignored else CwCompany.review.not_in(["", IGNORED]))
    rows = list(query.order_by(CwCompany.name_key, CwCompany.cw_id).paginate(number, size))
    names = tenancy.names_of({candidate for row in rows for candidate in row.candidates})
    return NumberedPage([_told(row, names) for row in rows], number, size, query.count())


def _told(row: CwCompany, names: dict[str, tenancy.Naming]) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "cw_company_id": row.cw_id, "cw_identifier": row.identifier,
            "status": row.data.get("status") or None, "reason": row.review, "message": _TOLD.get(row.review, ""),
            "candidates": [{"id": key, "name": names[key].name} for key in row.candidates if key in names]}


def decide(deployment: Deployment, company_id: str, choice: Choice, *, actor: str) -> CwCompany:
    """Carry out what a person says of a company that waits.

    :raises NotFound: when there is no such company.
    :raises BadRequest: when not exactly one thing is said, or the customer does not exist.
    :raises Conflict: when the company or the customer is linked already, or a name is taken.
    """
    if sum((choice.link is not None, choice.create, choice.ignore)) != 1 or (choice.name is not None and not choice.create):
        raise BadRequest("The request is not valid", details={"_schema": ["Give exactly one of link, create and ignore."]})
    with linking():
        row = CwCompany.get_or_none(CwCompany.id == company_id)
        if row is None:
            raise NotFound(f"Company with identifier '{company_id}' was not found.", code="CompanyNotFound")
        if row.customer_id is not None:
            raise Conflict("This company is a customer already", code="CompanyLinked")
        if choice.ignore:
            CwCompany.update(review=IGNORED, candidates=[]).where(CwCompany.id == row.id).execute()
            record_many([Happening("company.ignored", row.id, None, {"company": row.cw_id, "identifier": row.identifier})], actor=actor)
        else:
            _link(row, _customer_for(row, choice, actor), actor)
    if not choice.ignore:
        _ask_for(deployment, row)
    return CwCompany.get_by_id(row.id)


def _customer_for(row: CwCompany, choice: Choice, actor: str) -> str:
    if choice.link is None:
        return tenancy.create(choice.name or row.name, actor=actor).id
    if tenancy.find(choice.link) is None:
        raise BadRequest("The request is not valid", details={"link": ["There is no such customer."]})
    if CwCompany.select().where(CwCompany.customer_id == choice.link, CwCompany.tenant == row.tenant,
                                CwCompany.removed_at.is_null()).exists():
        raise Conflict("This customer is another company already", code="CustomerLinked")
    return choice.link


def _link(row: CwCompany, customer_id: str, actor: str) -> None:
    Store(row.tenant, actor, False, {}).link({row.id: (row, customer_id)}, "person")


def _ask_for(deployment: Deployment, row: CwCompany) -> None:
    """Have what is known of a company that has just become a customer pulled."""
    connection = connections.find(Scope(HOUSE), ConnectWiseConnector.source)
    if connection is not None:
        runs.request_sync(deployment, connection, trigger="person", requested_by=ConnectWiseConnector.source,
                          asset_keys=[f"{WHOLE}:{row.cw_id}"])


def unlink(customer_id: str, *, actor: str) -> None:
    """Say that a customer is not the company that it is linked to; the company waits for a person, who alone can link it again.

    :raises NotFound: when the customer is no company.
    """
    with linking():
        row = CwCompany.get_or_none(CwCompany.customer_id == customer_id)
        if row is None:
            raise NotFound("This customer is no company of ConnectWise", code="CompanyNotFound")
        CwCompany.update(customer_id=None, review=UNLINKED, candidates=[customer_id]).where(CwCompany.id == row.id).execute()
        CwConfiguration.delete().where(CwConfiguration.customer_id == customer_id).execute()
        tenancy.rename_many({key: tenancy.Naming(naming.name) for key, naming in tenancy.names_of([customer_id]).items()}, actor=actor)
        record_many([Happening("company.unlinked", customer_id, customer_id, {"company": row.cw_id, "identifier": row.identifier})],
                    actor=actor)
