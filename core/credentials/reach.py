"""Which credentials somebody may do something with. Every route asks here, and nowhere else.

For each action there is a node for all types, ``credential.<action>``, and one for the types of a permission scope,
``<scope>.<action>``; either will do, held everywhere or in the credential's customer. Whoever is limited to asset groups in a
customer sees no credentials of it, since these belong to the customer as a whole.
"""

import operator
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from core.access import scopes
from core.credentials.models import Credential
from core.credentials.types import TypeDefinition
from core.errors import BadRequest, Forbidden, NotFound
from core.http.access import INSUFFICIENT, Principal
from core.scope import HOUSE
from core.tenancy.models import Customer


@dataclass(frozen=True, slots=True)
class Found:
    """A credential that the principal may see, with what it belongs to."""

    credential: Credential
    type: TypeDefinition
    customer: Customer


def may(principal: Principal, action: str, customer_id: str | None, type: TypeDefinition) -> bool:
    """Whether the principal holds a node for this action on credentials of this type; with None, whether everywhere."""
    node = f"{scopes.EVERY_TYPE}.{action}"
    return principal.holds(node, customer_id) or principal.holds(scopes.in_place_of(node, type.permission_scope), customer_id)


def has_business(principal: Principal, customer: Customer) -> bool:
    """Whether there can be anything at all for the principal in this customer."""
    return (principal.may_enter(customer.id) and customer.id not in principal.group_limits
            and (customer.status == "active" or principal.is_msp))


def find(principal: Principal, types: Iterable[TypeDefinition], credential_id: str, *actions: str) -> Found:
    """The credential, when the principal may do all of these with it.

    :raises NotFound: when there is none, and just so when it is a customer's that he has nothing to do with, or of a type that
        he sees nothing of.
    :raises Forbidden: when he may see it, but not do this.
    """
    credential = Credential.get_or_none(Credential.id == credential_id)
    type = next((one for one in types if credential is not None and one.id == credential.type), None)
    customer = None if credential is None else Customer.get_or_none(Customer.id == credential.customer_id)
    if credential is None or type is None or customer is None or not has_business(principal, customer):
        raise NotFound
    held = {action for action in (*actions, "fetch") if may(principal, action, customer.id, type)}
    if not held:
        raise NotFound
    if not held.issuperset(actions):
        raise Forbidden(code=INSUFFICIENT)
    return Found(credential, type, customer)


def company(principal: Principal, customer_id: str) -> Customer:
    """The customer whose credentials are asked for.

    :raises NotFound: when there is none, or none that he has anything to do with.
    """
    customer = Customer.get_or_none(Customer.id == customer_id)
    if customer is None or not has_business(principal, customer):
        raise NotFound
    return customer


def company_to_add_to(principal: Principal, customer_id: str, type: TypeDefinition) -> Customer:
    """The customer that a new credential of this type is for.

    :raises BadRequest: when there is none, or none that he has anything to do with.
    :raises Forbidden: when he may not create such credentials there.
    """
    customer = Customer.get_or_none(Customer.id == customer_id)
    if customer is None or not has_business(principal, customer):
        raise BadRequest("The request is not valid", details={"companyId": ["There is no such company."]})
    if not may(principal, "create", customer.id, type):
        raise Forbidden(code=INSUFFICIENT)
    return customer


def visible(principal: Principal, types: Sequence[TypeDefinition], action: str) -> Any:
    """The condition that narrows a query of credentials to those that he may do this with; None when there can be none.

    Of one who holds the node everywhere it names types, of others also their customers; so it is short for both.
    """
    everywhere = [type.id for type in types if may(principal, action, None, type)]
    conditions = [Credential.type.in_(everywhere)] if everywhere else []
    customers = _own_customers(principal)
    by_types: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for customer_id in customers:
        by_types[frozenset(type.id for type in types if may(principal, action, customer_id, type))].append(customer_id)
    conditions += [Credential.customer_id.in_(ids) & Credential.type.in_(sorted(open)) for open, ids in by_types.items() if open]
    if not conditions:
        return None
    shut = [HOUSE, *sorted(principal.group_limits)]  # the MSP's own connections are of no company
    return reduce(operator.or_, conditions) & Credential.customer_id.not_in(shut)


def _own_customers(principal: Principal) -> list[str]:
    """The customers that he holds something in besides what he holds everywhere, as far as they let him in."""
    query = Customer.select(Customer.id).where(Customer.id.in_(principal.home_customers))
    if not principal.is_msp:
        query = query.where(Customer.status == "active")
    return [customer_id for (customer_id,) in query.order_by(Customer.id).tuples()] if principal.home_customers else []
