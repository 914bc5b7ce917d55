"""Permission scopes of credential types: access to the credentials of one type can be granted without that to all others.

``credential.fetch`` opens the credentials of every type, ``aws.credentials.fetch`` those of the types whose scope is
``aws.credentials``; so for each action. Types come and go while Stockade runs, so their scopes are kept in a table.
"""

from collections.abc import Callable, Iterator

from core.access.models import PermissionScope
from core.db import db, is_postgres
from core.hooks.contracts import PermissionNode

#: the node of every type; what follows it is the action
EVERY_TYPE = "credential"
#: the scope of the credentials that connections keep their secrets in
OF_CONNECTIONS = "connection.credentials"

_ACTIONS = {
    "fetch": "Open",
    "fetch.many": "List",
    "create": "Create",
    "update": "Change",
    "fields.update": "Change the field values of",
    "fields.fetch": "Read the field values, secure ones encrypted, of",
    "secure_values.read": "Read the secure values of",
    "delete": "Delete",
}
_READING = frozenset({"fetch", "fetch.many", "fields.fetch", "secure_values.read"})
_NEEDS = {"fields.update": "update", "fields.fetch": "fetch", "secure_values.read": "fetch"}


def nodes_of(scope: str, what: str) -> Iterator[PermissionNode]:
    """The nodes of one scope; ``what`` says whose credentials they open."""
    for action, verb in _ACTIONS.items():
        needed = (f"{scope}.{_NEEDS[action]}",) if action in _NEEDS else ()
        yield PermissionNode(f"{scope}.{action}", f"{verb} {what}", "credential", needed)


FIXED_NODES = (*nodes_of(EVERY_TYPE, "credentials"),
               *(node for node in nodes_of(OF_CONNECTIONS, "the credentials of connections")
                 if node.node.removeprefix(OF_CONNECTIONS + ".") in _READING))  # they are changed where the connection is
_FIXED_NAMES = frozenset(node.node for node in FIXED_NODES)


def in_use() -> list[str]:
    """Every scope by which access can be granted at present."""
    return [OF_CONNECTIONS, *(scope for (scope,) in PermissionScope.select(PermissionScope.scope).order_by(PermissionScope.scope).tuples())]


def nodes_in_use() -> Iterator[tuple[PermissionNode, str]]:
    """The nodes that the types of this deployment have added to the fixed ones, each with the one in whose place it stands."""
    for scope in in_use():
        if scope != OF_CONNECTIONS:
            for node in nodes_of(scope, f"credentials with the scope {scope}"):
                yield node, EVERY_TYPE + node.node.removeprefix(scope)


def fixed_in_place_of(node: str) -> str | None:
    """The fixed node of connections that stands in place of one of all types; None when there is none."""
    own = in_place_of(node, OF_CONNECTIONS)
    return own if has_scopes(node) and own in _FIXED_NAMES else None


def in_place_of(node: str, scope: str) -> str:
    """The node that opens the same for the types of one scope: ``aws.credentials.fetch`` for ``credential.fetch``."""
    return scope + node.removeprefix(EVERY_TYPE)


def has_scopes(node: str) -> bool:
    return node.startswith(EVERY_TYPE + ".")


def replace(asked: Callable[[], set[str]]) -> None:
    """Note which scopes the types have now; inside the transaction that changed a type.

    :param asked: looks at the types, once whoever else changes one has ended, or waits.
    """
    if is_postgres():
        db.execute_sql("LOCK TABLE permission_scope IN SHARE ROW EXCLUSIVE MODE")
    scopes = asked()
    present = {scope for (scope,) in PermissionScope.select(PermissionScope.scope).tuples()}
    if gone := present - scopes:
        PermissionScope.delete().where(PermissionScope.scope.in_(sorted(gone))).execute()
    if new := scopes - present:
        PermissionScope.insert_many([{"scope": scope} for scope in sorted(new)]).on_conflict_ignore().execute()
