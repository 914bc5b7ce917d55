"""Grants, one by one. Nobody grants what he does not hold."""

from collections.abc import Iterable

import peewee

from core import clock
from core.access.administrators import one_at_a_time
from core.access.models import GroupLimit, NodeGrant, Role, RoleGrant
from core.access.nodes import BUILT_IN_ROLES, CUSTOMER_ROLES, NodeRegistry
from core.audit import record
from core.db import atomic, is_unique_violation
from core.errors import BadRequest, Conflict, Forbidden
from core.http.access import INSUFFICIENT, Principal
from core.ids import new_id
from core.people.models import User

#: whoever has a shell on the machine: the command line acts as this
COMMAND = Principal(user_id="", email="command", name="command line", via="command", everywhere=frozenset({"*"}))


def ensure_built_in_roles() -> None:
    """Bring the shipped roles to what this version ships; roles made by people stay as they are. Safe to repeat."""
    moment = clock.now()
    with atomic():
        present = {role.moniker: role for role in Role.select()}
        for shipped in BUILT_IN_ROLES:
            role = present.get(shipped.moniker)
            facts = {"name": shipped.name, "nodes": list(shipped.nodes), "built_in": True, "updated_at": moment}
            if role is None:
                Role.insert(id=new_id("rol"), moniker=shipped.moniker, created_at=moment, **facts).on_conflict_ignore().execute()
            elif (role.name, role.nodes, role.built_in) != (shipped.name, list(shipped.nodes), True):
                Role.update(facts).where(Role.id == role.id).execute()
                record("role.changed", actor="upgrade", target=role.id, details={
                    "role": shipped.moniker, "title": shipped.name, "added": [node for node in shipped.nodes if node not in role.nodes],
                    "removed": [node for node in role.nodes if node not in shipped.nodes]})


def role_by_moniker(moniker: str) -> Role:
    """The role with this name.

    :raises BadRequest: when there is none.
    """
    role = Role.get_or_none(Role.moniker == moniker)
    if role is None:
        raise BadRequest(f"There is no role {moniker}", details={"role": ["Unknown role."]})
    return role


def grant_role(giver: Principal, user: User, moniker: str, customer_id: str | None = None) -> None:
    """Let a user hold a role: in a customer, or everywhere with None.

    :raises Forbidden: when the giver does not hold all that the role gathers.
    :raises BadRequest: when the role is unknown, or is one of customers' and no customer is named, or the other way round.
    :raises Conflict: when the user holds it already.
    """
    with one_at_a_time():
        role = role_by_moniker(moniker)
        refuse_misplaced(role, customer_id)
        refuse_more_than_held(giver, role.nodes, customer_id, to=user)
        try:
            with atomic():
                RoleGrant.create(user_id=user.id, role=role, customer_id=customer_id or "")
        except peewee.IntegrityError as problem:
            if is_unique_violation(problem):
                raise Conflict("The user holds this role already") from problem
            raise
        record("role.granted", actor=giver.actor, target=user.id, customer_id=customer_id, details={"role": moniker})


def grant_node(giver: Principal, user: User, node: str, customer_id: str | None, registry: NodeRegistry) -> None:
    """Let a user hold a single node or pattern; refusals as in ``grant_role``."""
    if not registry.covers(node):
        raise BadRequest(f"There is no permission node {node}")
    with one_at_a_time():
        refuse_more_than_held(giver, [node], customer_id, to=user)
        try:
            with atomic():
                NodeGrant.create(user_id=user.id, node=node, customer_id=customer_id or "")
        except peewee.IntegrityError as problem:
            if is_unique_violation(problem):
                raise Conflict("The user holds this node already") from problem
            raise
        record("node.granted", actor=giver.actor, target=user.id, customer_id=customer_id, details={"node": node})


def refuse_misplaced(role: Role, customer_id: str | None) -> None:
    """:raises BadRequest: for a shipped role of customers that is to be held everywhere, or one of MSP staff in a customer."""
    if role.built_in and (role.moniker in CUSTOMER_ROLES) != (customer_id is not None):
        held = "in one customer" if customer_id is None else "everywhere"
        said = f"The role {role.moniker} is held {held}"
        raise BadRequest(said, details={"role": [said]})


def refuse_more_than_held(giver: Principal, nodes: Iterable[str], customer_id: str | None, *, to: User | None = None) -> None:
    """:param to: who is to hold them; a giver who is limited to asset groups cannot give them to somebody who is not.

    :raises Forbidden: when the giver does not hold each of the nodes in the customer (everywhere with None).
    """
    missing = sorted({node for node in nodes if not giver.holds(node, customer_id)})
    if missing:
        raise Forbidden("You cannot give what you do not hold yourself", code=INSUFFICIENT,
                        details={"permissions": [f"You do not hold {node}." for node in missing]})
    limits = {place: groups for place, groups in giver.group_limits.items() if customer_id in (None, place)}
    if to is not None and not all(_is_limited_to(to, place, groups) for place, groups in limits.items()):
        raise Forbidden("You are limited to asset groups, and cannot give to somebody who is not limited to these", code=INSUFFICIENT)


def _is_limited_to(user: User, customer_id: str, groups: frozenset[str]) -> bool:
    rows = GroupLimit.select(GroupLimit.group_id).where(GroupLimit.user_id == user.id, GroupLimit.customer_id == customer_id).tuples()
    limits = {group_id for (group_id,) in rows}
    return bool(limits) and limits <= groups
