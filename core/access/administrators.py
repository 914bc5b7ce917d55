"""There is always an administrator: an active person who can sign in and holds ``*`` everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.access.models import NodeGrant, Role, RoleGrant
from core.access.nodes import EVERYTHING
from core.db import atomic, db, is_postgres
from core.errors import Conflict
from core.people import service as people
from core.people.models import User

_LOCK_NUMBER = 0x47524E54  # "GRNT": any number, the same in every process


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """A transaction in which nobody else changes roles or grants.

    SQLite's transactions are one at a time already. Begin it before anything else of the transaction is written: whoever holds
    another lock, such as an audit chain's, and then waits for this one could wait for ever.
    """
    with atomic():
        if is_postgres():
            db.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK_NUMBER,))
        yield


@contextmanager
def keeping_one() -> Iterator[None]:
    """``one_at_a_time`` for what may take an administrator away; it is undone when it takes the last.

    :raises Conflict: when nobody would be left. A deployment that has none yet may be changed freely.
    """
    with one_at_a_time():
        was_there = _is_there()
        yield
        if was_there and not _is_there():
            raise Conflict("This would leave no administrator who can sign in", code="LastAdministrator")


def _is_there() -> bool:
    roles = [role.id for role in Role.select(Role.id, Role.nodes) if EVERYTHING in role.nodes]
    by_role = RoleGrant.select(RoleGrant.user_id).where(RoleGrant.role.in_(roles), RoleGrant.customer_id == "")
    by_node = NodeGrant.select(NodeGrant.user_id).where(NodeGrant.node == EVERYTHING, NodeGrant.customer_id == "")
    return User.select().where(people.is_able_to_sign_in(), User.id.in_(by_role) | User.id.in_(by_node)).exists()
