"""Whom a caller may see or change: everybody, or the users of the customers in which he holds the nodes that it takes."""

from dataclasses import dataclass
from typing import Any

import peewee

from core.access.models import NodeGrant, RoleGrant
from core.errors import Forbidden
from core.http.access import Principal
from core.people.models import User
from core.tenancy.models import Customer

EVERYWHERE = ""  # as grants write the customer of what is held everywhere


@dataclass(frozen=True, slots=True)
class Reach:
    """:ivar customers: None for the whole deployment."""

    customers: frozenset[str] | None = None

    @property
    def is_whole(self) -> bool:
        return self.customers is None

    @property
    def only_customer(self) -> str | None:
        """The one customer that it is limited to; None when there are several or it is not limited."""
        return next(iter(self.customers)) if self.customers is not None and len(self.customers) == 1 else None

    def covers(self, place: str) -> bool:
        """Whether grants of this customer, or with ``EVERYWHERE`` those of MSP staff, lie within."""
        return self.customers is None or place in self.customers

    def over(self, customer_id: peewee.Field) -> Any:
        """A condition: the grants within."""
        return peewee.SQL("1 = 1") if self.customers is None else customer_id.in_(sorted(self.customers))

    def over_users(self) -> Any:
        """A condition on users: those who hold something within, so that it takes one grant to be seen."""
        if self.customers is None:
            return peewee.SQL("1 = 1")
        return (User.id.in_(RoleGrant.select(RoleGrant.user_id).where(self.over(RoleGrant.customer_id)))
                | User.id.in_(NodeGrant.select(NodeGrant.user_id).where(self.over(NodeGrant.customer_id))))

    def holds_all_of(self, user: User) -> bool:
        """Whether the user belongs nowhere else: what is his own, such as his name, may be changed from here."""
        if self.customers is None:
            return True
        return not any(grants.select().where(grants.user_id == user.id, ~self.over(grants.customer_id)).exists()
                       for grants in (RoleGrant, NodeGrant))


def reach_of(caller: Principal, *nodes: str) -> Reach:
    """How far a caller reaches with these nodes, all of which he needs. Customers that are switched off are out of reach for all
    but those who hold the nodes everywhere.

    :raises Forbidden: when he holds them nowhere.
    """
    if all(map(caller.holds, nodes)):
        return Reach()
    held = [customer_id for customer_id in caller.home_customers if all(caller.holds(node, customer_id) for node in nodes)]
    active = Customer.select(Customer.id).where(Customer.id.in_(held), Customer.status == "active").tuples() if held else ()
    customers = frozenset(customer_id for (customer_id,) in active)
    if not customers:
        raise Forbidden
    return Reach(customers)
