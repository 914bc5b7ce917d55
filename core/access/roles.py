"""Roles: what people make of permission nodes. Each belongs to the whole deployment; where it is held is a grant's matter."""

import re
from collections.abc import Collection, Sequence
from contextlib import contextmanager
from typing import Any

import peewee

from core import clock
from core.access.administrators import keeping_one, one_at_a_time
from core.access.models import Role, RoleGrant
from core.access.nodes import CUSTOMER_ROLES, NodeRegistry
from core.access.reach import Reach
from core.access.service import refuse_more_than_held
from core.audit import record
from core.db import is_unique_violation
from core.errors import BadRequest, Conflict, NotFound
from core.http.access import Principal
from core.ids import new_id

ID_PREFIX = "rol"
MONIKER = re.compile(rf"(?!{ID_PREFIX}_)[A-Za-z0-9][A-Za-z0-9_.-]{{0,63}}")
_SOUND = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_SHOWN = 64


def listing(reach: Reach) -> list[Role]:
    """The roles that show within reach, oldest first."""
    return list(_showing(reach).order_by(Role.created_at, Role.id))


def find(identifier: str, reach: Reach) -> Role:
    """The role with this id or moniker.

    :raises NotFound: when there is none, or none that shows within reach.
    """
    role = _showing(reach).where(_is_called(identifier)).first() if _SOUND.fullmatch(identifier) else None
    if role is None:
        raise NotFound(f"Role with identifier '{identifier[:_LONGEST_SHOWN]}' was not found.", code="RoleNotFound")
    return role


def named(identifiers: Sequence[str], reach: Reach) -> list[Role]:
    """The roles with these ids or monikers, each once, in this order.

    :raises BadRequest: with the place of each that does not show within reach.
    """
    known = {name: role for role in _showing(reach) for name in (role.id, role.moniker)}
    unknown = {place: ["Unknown role."] for place, name in enumerate(identifiers) if name not in known}
    if unknown:
        raise BadRequest("There is no such role", details={"roles": unknown})
    return list({known[name].id: known[name] for name in identifiers}.values())


def create(maker: Principal, *, title: str, moniker: str, permissions: Sequence[str], registry: NodeRegistry) -> Role:
    """Make a role.

    :raises Conflict: when the moniker is another role's; upper and lower case are one.
    :raises BadRequest: when a permission is none.
    :raises Forbidden: when the maker does not hold a permission everywhere.
    """
    nodes, moment = _each_once(permissions), clock.now()
    _check_nodes(nodes, permissions, registry)
    refuse_more_than_held(maker, nodes, None)
    with _telling_taken_monikers(), one_at_a_time():
        role = Role.create(id=new_id(ID_PREFIX), moniker=moniker, name=title, nodes=nodes, created_at=moment, updated_at=moment)
        record("role.created", actor=maker.actor, target=role.id, details={"title": title, "moniker": moniker, "permissions": nodes})
    return role


def change(editor: Principal, identifier: str, registry: NodeRegistry, *, title: str | None = None, moniker: str | None = None,
           permissions: Sequence[str] | None = None) -> Role:
    """Change what is given; ``permissions`` replaces all of them. Refusals as in ``create``, for what is added.

    :raises Conflict: also for a shipped role, or when the last administrator would be none any more.
    """
    with _editing():
        role = _own(identifier)
        nodes = role.nodes if permissions is None else _each_once(permissions)
        facts = {"name": title or role.name, "moniker": moniker or role.moniker, "nodes": nodes}
        return _write(editor, role, registry, facts, permissions or ())


def add_nodes(editor: Principal, identifier: str, permissions: Sequence[str], registry: NodeRegistry) -> Role:
    """Let a role gather these permissions too; refusals as in ``change``."""
    with _editing():
        role = _own(identifier)
        return _write(editor, role, registry, {"nodes": _each_once([*role.nodes, *permissions])}, permissions)


def remove_nodes(editor: Principal, identifier: str, permissions: Sequence[str], registry: NodeRegistry) -> Role:
    """Take permissions out of a role; those that it does not have are passed over."""
    with _editing():
        role, gone = _own(identifier), set(permissions)
        return _write(editor, role, registry, {"nodes": [node for node in role.nodes if node not in gone]})


def delete(editor: Principal, identifier: str) -> Role:
    """Delete a role and take it from all who hold it; gives the role as it was."""
    with keeping_one():
        role = _own(identifier)
        holders = RoleGrant.delete().where(RoleGrant.role == role).execute()
        Role.delete().where(Role.id == role.id).execute()
        record("role.deleted", actor=editor.actor, target=role.id,
               details={"title": role.name, "moniker": role.moniker, "removed": role.nodes, "grants": holders})
    return role


def _write(editor: Principal, role: Role, registry: NodeRegistry, facts: dict[str, Any], given: Sequence[str] = ()) -> Role:
    changed = {name: value for name, value in facts.items() if getattr(role, name) != value}
    if not changed:
        return role
    nodes = changed.get("nodes", role.nodes)
    added, removed = [node for node in nodes if node not in role.nodes], [node for node in role.nodes if node not in nodes]
    _check_nodes(added, given, registry)
    refuse_more_than_held(editor, added, None)
    Role.update(**changed, updated_at=clock.now()).where(Role.id == role.id).execute()
    words = {"name": "title", "moniker": "moniker"}
    record("role.changed", actor=editor.actor, target=role.id,
           details={"role": role.moniker, **{words[name]: value for name, value in changed.items() if name in words},
                    **({"added": added, "removed": removed} if "nodes" in changed else {})})
    return Role.get_by_id(role.id)


def _own(identifier: str) -> Role:
    """A role that people made.

    :raises Conflict: for a shipped one: every start of Stockade brings those back, so a change would not last.
    """
    role = find(identifier, Reach())
    if role.built_in:
        raise Conflict(f"The role {role.moniker} comes with Stockade and stays as it is; make one of your own", code="BuiltInRole")
    return role


def _showing(reach: Reach) -> peewee.ModelSelect:
    """All of them, or within customers those of customers and those that somebody holds there: other roles may name other customers."""
    if reach.is_whole:
        return Role.select()
    held = RoleGrant.select(RoleGrant.role).where(reach.over(RoleGrant.customer_id))
    return Role.select().where((Role.built_in & Role.moniker.in_(CUSTOMER_ROLES)) | Role.id.in_(held))


def _is_called(identifier: str) -> Any:
    return (Role.id == identifier) | (Role.moniker == identifier)


def _check_nodes(nodes: Collection[str], given: Sequence[str], registry: NodeRegistry) -> None:
    """Refuse those that do not exist, at their places among the given ones."""
    unknown = {place: [f"{node[:_LONGEST_SHOWN]} does not exist."] for place, node in enumerate(given)
               if node in nodes and not registry.covers(node)}
    if unknown:
        raise BadRequest("There is no such permission", details={"permissions": unknown})


def _each_once(nodes: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(nodes))


@contextmanager
def _telling_taken_monikers() -> Any:
    try:
        yield
    except peewee.IntegrityError as problem:
        if is_unique_violation(problem):
            raise Conflict("A role with this moniker exists already", code="RoleExists", details={"moniker": ["Taken."]}) from problem
        raise


@contextmanager
def _editing() -> Any:
    with _telling_taken_monikers(), keeping_one():
        yield
