"""API tokens: bearer secrets for programs, shown once, kept as SHA-256, narrowed, expiring, revocable."""

import contextlib
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from core import clock
from core.access import principals
from core.access.administrators import one_at_a_time
from core.access.models import ApiToken
from core.access.nodes import EVERYTHING, NodeRegistry
from core.access.reach import Reach
from core.access.service import refuse_more_than_held
from core.audit import record
from core.db import atomic
from core.errors import BadRequest, Forbidden, NotFound, StorageFull, Unauthorized
from core.http.access import INSUFFICIENT, Principal
from core.ids import new_id
from core.people.models import User

PREFIX = "stk_"
LONGEST_DAYS = 3650
_SHOWN = len(PREFIX) + 6
_TOUCH_EVERY = clock.MINUTE


@dataclass(frozen=True, slots=True)
class Made:
    """A new token: its secret, which cannot be shown again, and what is kept of it."""

    secret: str
    row: ApiToken


def create(giver: Principal, user: User, *, registry: NodeRegistry, name: str = "", nodes: Sequence[str] | None = None,
           customer_id: str | None = None, expires_days: int | None = None, made_with: ApiToken | None = None) -> Made:
    """Make a token that acts for ``user``.

    :param nodes: what it is narrowed to; None for all that the user holds, now and later.
    :param customer_id: the one customer that it is narrowed to.
    :param expires_days: from 1 to 3650; None for never.
    :param made_with: the token that the giver sent. The new one is at most as wide, does not outlive it, and ends with it.
    :raises Forbidden: when giver or user does not hold a node where the token would act, or may not enter the customer.
    :raises BadRequest: when a node does not exist or the days are out of bounds.
    """
    if expires_days is not None and not 1 <= expires_days <= LONGEST_DAYS:
        said = f"A token is valid for 1 to {LONGEST_DAYS} days"
        raise BadRequest(said, details={"expiresInDays": [said]})
    if made_with is not None:
        nodes = made_with.nodes if nodes is None else nodes
        customer_id = customer_id or made_with.customer_id
    _check_nodes(nodes, registry)
    with one_at_a_time():
        if made_with is not None and not _is_living(made_with.id):
            raise Unauthorized  # revoked since the request began
        _refuse_wider(giver, user, nodes, customer_id)
        return _kept(giver, user, name, nodes, customer_id, _expiry(expires_days, made_with), made_with)


def _kept(giver: Principal, user: User, name: str, nodes: Sequence[str] | None, customer_id: str | None, expires_at: int | None,
          made_with: ApiToken | None) -> Made:
    secret = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken.create(
        id=new_id("tok"), user_id=user.id, name=name, prefix=secret[:_SHOWN], digest=_digest(secret),
        nodes=None if nodes is None else sorted(set(nodes)), customer_id=customer_id, created_at=clock.now(), expires_at=expires_at,
        made_by=made_with.id if made_with is not None else None)
    record("token.created", actor=giver.actor, target=row.id, customer_id=customer_id,
           details={"user": user.id, "name": name, "nodes": row.nodes, "expiresAt": clock.iso(expires_at)})
    return Made(secret, row)


def _check_nodes(nodes: Sequence[str] | None, registry: NodeRegistry) -> None:
    for node in nodes or ():
        if not registry.covers(node):
            raise BadRequest(f"There is no permission node {node}", details={"permissions": [f"{node} does not exist."]})


def _expiry(days: int | None, made_with: ApiToken | None) -> int | None:
    latest = made_with.expires_at if made_with is not None else None
    if days is None:
        return latest
    expires_at = clock.now() + days * clock.DAY
    if latest is not None and expires_at > latest:
        raise Forbidden("A token makes none that outlives it", code=INSUFFICIENT)
    return expires_at


def _refuse_wider(giver: Principal, user: User, nodes: Sequence[str] | None, customer_id: str | None) -> None:
    """A token acts with what its user holds, so that is asked first. Somebody else who makes it must hold the same, wherever it will
    act: without a customer that is everywhere, and without nodes everything, because the user may come to hold more."""
    _refuse_beyond(principals.of_user(user), nodes, customer_id)
    if giver.user_id == user.id:
        _refuse_beyond(giver, nodes, customer_id)  # who may be narrowed by a token himself
    else:
        refuse_more_than_held(giver, [EVERYTHING] if nodes is None else nodes, customer_id, to=user)


def _refuse_beyond(who: Principal, nodes: Sequence[str] | None, customer_id: str | None) -> None:
    if customer_id is not None and not who.may_enter(customer_id):
        raise Forbidden(f"{who.email} may not enter this customer", code=INSUFFICIENT)
    for node in nodes or ():
        if not (who.holds_anywhere(node) if customer_id is None else who.holds(node, customer_id)):
            raise Forbidden(f"{who.email} does not hold {node}", code=INSUFFICIENT)


def revoke(token_id: str, *, actor: str, user_id: str | None = None, reach: Reach | None = None) -> ApiToken:
    """End a token for good, with all that were made with it.

    :param user_id: only when the token is this user's.
    :param reach: only when the token is narrowed to a customer within.
    :raises NotFound: when there is no such token (of that user) that has not ended yet.
    """
    with one_at_a_time():
        query = ApiToken.update(revoked_at=clock.now()).where(ApiToken.id == token_id, ApiToken.revoked_at.is_null())
        if user_id is not None:
            query = query.where(ApiToken.user_id == user_id)
        if reach is not None:
            query = query.where(reach.over(ApiToken.customer_id))
        if not query.execute():
            raise NotFound("There is no such token", code="TokenNotFound")
        ended = _end_those_made_with([token_id])
        record("token.revoked", actor=actor, target=token_id, details={"withIt": ended} if ended else {})
    return ApiToken.get_by_id(token_id)


def delete_all(user: User, *, actor: str) -> None:
    """Delete a user's tokens as he is deleted himself; those that they made for others end."""
    with atomic():
        ids = [row.id for row in ApiToken.select(ApiToken.id).where(ApiToken.user_id == user.id)]
        _end_those_made_with(ids)
        ApiToken.delete().where(ApiToken.user_id == user.id).execute()
        if ids:
            record("token.deleted", actor=actor, target=user.id, details={"tokens": ids})


def _is_living(token_id: str) -> bool:
    return ApiToken.select().where(ApiToken.id == token_id, ApiToken.revoked_at.is_null()).exists()


def _end_those_made_with(ids: list[str]) -> list[str]:
    """Ids of the tokens that ended: the children of these, and theirs."""
    ended: list[str] = []
    while ids:
        living = ApiToken.made_by.in_(ids) & ApiToken.revoked_at.is_null()
        ids = [row.id for row in ApiToken.select(ApiToken.id).where(living)]
        ApiToken.update(revoked_at=clock.now()).where(ApiToken.id.in_(ids)).execute()
        ended += ids
    return sorted(ended)


def of_user(user_id: str, reach: Reach | None = None) -> list[ApiToken]:
    """A user's tokens, newest first, with those that ended.

    :param reach: only those that are narrowed to a customer within; None for all.
    """
    query = ApiToken.select().where(ApiToken.user_id == user_id).order_by(ApiToken.created_at.desc(), ApiToken.id)
    return list(query if reach is None else query.where(reach.over(ApiToken.customer_id)))


def touch(token: ApiToken) -> None:
    """Note that a token is in use; written at most once a minute."""
    moment = clock.now()
    if token.last_used_at is None or moment - token.last_used_at >= _TOUCH_EVERY:
        with contextlib.suppress(StorageFull):  # what only reads is answered all the same
            ApiToken.update(last_used_at=moment).where(ApiToken.id == token.id).execute()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
