"""API tokens: bearer secrets for programs, shown once, kept as SHA-256, narrowed, expiring, revocable."""

import contextlib
import hashlib
import secrets
from collections.abc import Sequence

from core import clock
from core.access import principals
from core.access.models import ApiToken
from core.access.nodes import NodeRegistry
from core.audit import record
from core.db import atomic
from core.errors import BadRequest, Forbidden, NotFound, StorageFull
from core.http.access import Principal
from core.ids import new_id
from core.people.models import User

PREFIX = "stk_"
LONGEST_DAYS = 3650
_SHOWN = len(PREFIX) + 6
_TOUCH_EVERY = clock.MINUTE


def create(giver: Principal, user: User, *, registry: NodeRegistry, name: str = "", nodes: Sequence[str] | None = None,
           customer_id: str | None = None, expires_days: int | None = None) -> str:
    """Make a token that acts for ``user``, and return it: it cannot be shown again.

    :param nodes: what it is narrowed to; None for all that the user holds, now and later.
    :param customer_id: the one customer that it is narrowed to.
    :param expires_days: from 1 to 3650; None for never.
    :raises Forbidden: when giver or user does not hold a node, or may not enter the customer, so that it could never be used.
    :raises BadRequest: when a node does not exist or the days are out of bounds.
    """
    if expires_days is not None and not 1 <= expires_days <= LONGEST_DAYS:
        raise BadRequest(f"A token is valid for 1 to {LONGEST_DAYS} days", details={"expires": ["Out of bounds."]})
    holder = principals.of_user(user)
    for who in (giver, holder):
        _refuse_more_than_held(who, nodes, customer_id, registry)
    token, moment = PREFIX + secrets.token_urlsafe(32), clock.now()
    with atomic():
        row = ApiToken.create(
            id=new_id("tok"), user_id=user.id, name=name, prefix=token[:_SHOWN], digest=_digest(token),
            nodes=None if nodes is None else sorted(set(nodes)), customer_id=customer_id, created_at=moment,
            expires_at=None if expires_days is None else moment + expires_days * clock.DAY)
        record("token.created", actor=giver.actor, target=row.id, customer_id=customer_id,
               details={"user": user.id, "name": name, "nodes": row.nodes, "expiresAt": clock.iso(row.expires_at)})
    return token


def _refuse_more_than_held(who: Principal, nodes: Sequence[str] | None, customer_id: str | None, registry: NodeRegistry) -> None:
    if customer_id is not None and not who.may_enter(customer_id):
        raise Forbidden(f"{who.email} may not enter this customer")
    for node in nodes or ():
        if not registry.covers(node):
            raise BadRequest(f"There is no permission node {node}", details={"nodes": [f"{node} does not exist."]})
        places = [customer_id] if customer_id is not None else [None, *who.by_customer]
        if not any(who.holds(node, place) for place in places):
            raise Forbidden(f"{who.email} does not hold {node}")


def revoke(token_id: str, *, actor: str, user_id: str | None = None) -> None:
    """End a token for good.

    :param user_id: only when the token is this user's.
    :raises NotFound: when there is no such token (of that user).
    """
    with atomic():
        query = ApiToken.update(revoked_at=clock.now()).where(ApiToken.id == token_id, ApiToken.revoked_at.is_null())
        if user_id is not None:
            query = query.where(ApiToken.user_id == user_id)
        if not query.execute():
            raise NotFound("There is no such token")
        record("token.revoked", actor=actor, target=token_id)


def of_user(user_id: str) -> list[ApiToken]:
    """A user's tokens, newest first, with those that ended."""
    return list(ApiToken.select().where(ApiToken.user_id == user_id).order_by(ApiToken.created_at.desc(), ApiToken.id))


def touch(token: ApiToken) -> None:
    """Note that a token is in use; written at most once a minute."""
    moment = clock.now()
    if token.last_used_at is None or moment - token.last_used_at >= _TOUCH_EVERY:
        with contextlib.suppress(StorageFull):  # what only reads is answered all the same
            ApiToken.update(last_used_at=moment).where(ApiToken.id == token.id).execute()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
