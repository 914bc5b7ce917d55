"""Whether somebody holds permissions, and on request why: which role or direct grant, which node of it, in which customer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.access.principals import Grant, grants_of, of_user
from core.access.reach import EVERYWHERE, Reach
from core.http.access import Principal, node_matches
from core.people.models import User


@dataclass(frozen=True, slots=True)
class Reason:
    """One grant that covers a permission.

    :ivar via: ``role`` or ``permission``, for one that is held directly.
    :ivar role: the role's moniker.
    :ivar node: the granted pattern.
    :ivar company_id: where it is held; None for everywhere.
    """

    via: str
    role: str | None
    node: str
    company_id: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """:ivar trace: why it is held, None when nobody asked; empty when it is not.
    :ivar narrowed: whether it is held, but the token that asks is narrowed to other permissions or another customer."""

    permission: str
    has_permission: bool
    trace: tuple[Reason, ...] | None = None
    narrowed: bool = False


def check_own(principal: Principal, permissions: Iterable[str], *, traced: bool) -> list[Checked]:
    """What the caller holds, as narrowed as he asks: everywhere, or in at least one customer. One statement when traced, else none."""
    grants = [grant for grant in grants_of(principal.user_id) if _shows(principal, grant.customer_id)] if traced else []
    return [_checked(principal, permission, grants, traced) for permission in permissions]


def check(user: User, permissions: Iterable[str], reach: Reach, *, traced: bool) -> list[Checked]:
    """What another user holds by grants within reach."""
    principal = within(of_user(user), reach)
    grants = [grant for grant in grants_of(user.id) if reach.covers(grant.customer_id)] if traced else []
    return [_checked(principal, permission, grants, traced) for permission in permissions]


def within(principal: Principal, reach: Reach) -> Principal:
    """What is left of a principal when only grants within reach count."""
    if reach.is_whole:
        return principal
    held = {customer_id: nodes for customer_id, nodes in principal.by_customer.items() if reach.covers(customer_id)}
    return Principal(principal.user_id, principal.email, principal.name, principal.via, by_customer=held)


def _checked(principal: Principal, permission: str, grants: Iterable[Grant], traced: bool) -> Checked:
    is_held = principal.holds_anywhere(permission)
    if not traced:
        return Checked(permission, is_held)
    reasons = tuple(_reasons(grants, permission))
    return Checked(permission, is_held, reasons, narrowed=bool(reasons) and not is_held)


def _shows(principal: Principal, place: str) -> bool:
    """A token that is narrowed to one customer does not tell where else its user holds something."""
    return principal.only_customer is None or place in (EVERYWHERE, principal.only_customer)


def _reasons(grants: Iterable[Grant], permission: str) -> Iterator[Reason]:
    for grant in grants:
        for node in grant.nodes:
            if node_matches(node, permission):
                company_id = None if grant.customer_id == EVERYWHERE else grant.customer_id
                yield Reason("role" if grant.role else "permission", grant.role or None, node, company_id)
