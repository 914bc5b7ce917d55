"""Replacing all that a user holds by what a request names, as the ``/v1`` surface does: told as a difference, refused as a whole.

A request names roles and permissions without saying where they are held. Those that the user holds already stay where they
are. A new one is held at home: a shipped role where it belongs, another one everywhere for MSP staff (and for somebody who holds
nothing yet), else in the user's only customer. Where that leaves a choice, the request has to name the company.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core import clock
from core.access.administrators import keeping_one
from core.access.models import NodeGrant, Role, RoleGrant
from core.access.nodes import CUSTOMER_ROLES, NodeRegistry
from core.access.reach import EVERYWHERE, Reach
from core.access.roles import named
from core.access.service import refuse_misplaced, refuse_more_than_held
from core.audit import record
from core.errors import BadRequest
from core.http.access import Principal
from core.people.models import User


@dataclass(frozen=True, slots=True)
class Target:
    """A user whose grants are replaced; made before anything of him is changed, so that all parts of a request agree about his home.

    :ivar places: where he holds anything: customers, and ``EVERYWHERE`` for MSP staff.
    :ivar place: the customer that the request names, ``EVERYWHERE``, or None when it names none. Only grants there are replaced.
    """

    user: User
    places: frozenset[str]
    place: str | None = None

    @classmethod
    def of(cls, user: User, place: str | None = None) -> "Target":
        rows = (grants.select(grants.customer_id).where(grants.user_id == user.id).tuples() for grants in (RoleGrant, NodeGrant))
        return cls(user, frozenset(held_in for query in rows for (held_in,) in query), place)

    def is_meant(self, held_in: str, reach: Reach) -> bool:
        """Whether a grant of this place is replaced by a giver with this reach."""
        return reach.covers(held_in) and self.place in (None, held_in)

    def home(self, reach: Reach, role: Role | None = None) -> str:
        """Where something new is held.

        :param role: None for a single permission.
        :raises BadRequest: when the request has to say it.
        """
        if self.place is not None:
            return self.place
        if role is not None and role.built_in:
            return self._customer(reach) if role.moniker in CUSTOMER_ROLES else EVERYWHERE
        is_staff_or_new = not self.places or EVERYWHERE in self.places
        return EVERYWHERE if reach.is_whole and is_staff_or_new else self._customer(reach)

    def _customer(self, reach: Reach) -> str:
        customers = {place for place in self.places if place != EVERYWHERE and reach.covers(place)}
        if not customers and reach.only_customer is not None:
            return reach.only_customer
        if len(customers) != 1:
            said = "Say in which company: the user does not belong to exactly one"
            raise BadRequest(said, details={"companyId": [said]})
        return customers.pop()


def replace_roles(giver: Principal, target: Target, reach: Reach, identifiers: Sequence[str]) -> None:
    """Make these roles, by id or moniker, all that the user holds within reach.

    :raises BadRequest: when there is no such role, or it is not clear where it is held.
    :raises Forbidden: when the giver does not hold all that an added role gathers.
    :raises Conflict: when the last administrator would be none any more.
    """
    with keeping_one():
        wanted = {role.id: role for role in named(identifiers, reach)}
        rows = RoleGrant.select(RoleGrant, Role).join(Role).where(RoleGrant.user_id == target.user.id).order_by(RoleGrant.id)
        current = [grant for grant in rows if target.is_meant(grant.customer_id, reach)]
        held = {grant.role.id for grant in current}
        removed = [grant for grant in current if grant.role.id not in wanted]
        added = [(role, target.home(reach, role)) for role in wanted.values() if role.id not in held]
        for role, place in added:
            refuse_misplaced(role, place or None)
        _refuse_more_than_held(giver, target.user, [(node, place) for role, place in added for node in role.nodes])
        RoleGrant.delete().where(RoleGrant.id.in_([grant.id for grant in removed])).execute()
        if added:
            RoleGrant.insert_many([{"user_id": target.user.id, "role": role, "customer_id": place} for role, place in added]).execute()
        _record("user.roles_replaced", giver, target.user, [(role.moniker, place) for role, place in added],
                [(grant.role.moniker, grant.customer_id) for grant in removed])


def replace_nodes(giver: Principal, target: Target, reach: Reach, nodes: Iterable[str], registry: NodeRegistry) -> None:
    """Make these permissions all that the user holds beside his roles; refusals as in ``replace_roles``."""
    wanted = list(dict.fromkeys(nodes))
    unknown = {place: ["Does not exist."] for place, node in enumerate(wanted) if not registry.covers(node)}
    if unknown:
        raise BadRequest("There is no such permission", details={"permissions": unknown})
    with keeping_one():
        rows = NodeGrant.select().where(NodeGrant.user_id == target.user.id).order_by(NodeGrant.id)
        current = [grant for grant in rows if target.is_meant(grant.customer_id, reach)]
        held = {grant.node for grant in current}
        removed = [grant for grant in current if grant.node not in wanted]
        added = [(node, target.home(reach)) for node in wanted if node not in held]
        _refuse_more_than_held(giver, target.user, added)
        NodeGrant.delete().where(NodeGrant.id.in_([grant.id for grant in removed])).execute()
        if added:
            NodeGrant.insert_many([{"user_id": target.user.id, "node": node, "customer_id": place} for node, place in added]).execute()
        _record("user.permissions_replaced", giver, target.user, added, [(grant.node, grant.customer_id) for grant in removed])


def _refuse_more_than_held(giver: Principal, user: User, added: Sequence[tuple[str, str]]) -> None:
    for place in {place for _, place in added}:
        refuse_more_than_held(giver, [node for node, at in added if at == place], place or None, to=user)


def _record(action: str, giver: Principal, user: User, added: Sequence[tuple[str, str]], removed: Sequence[tuple[str, str]]) -> None:
    """One event for each customer concerned, and one for what is held everywhere, each with its part of the difference."""
    if added or removed:
        User.update(updated_at=clock.now()).where(User.id == user.id).execute()
    for place in sorted({place for _, place in (*added, *removed)}):
        record(action, actor=giver.actor, target=user.id, customer_id=place or None,
               details={"added": [name for name, at in added if at == place], "removed": [name for name, at in removed if at == place]})
