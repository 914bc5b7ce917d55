"""From a cookie or a token to a principal, in two statements: who it is, and all that he holds."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import peewee

from core import clock
from core.access.models import ApiToken, GroupLimit, NodeGrant, Role, RoleGrant
from core.http.access import Principal
from core.people import sessions
from core.people.models import TokenFamily, User, UserSession
from core.signin.access_tokens import Claims


@dataclass(frozen=True, slots=True)
class Held:
    """What a user holds, and what he is limited to."""

    roles: tuple[str, ...]
    everywhere: frozenset[str]
    by_customer: dict[str, frozenset[str]]
    group_limits: dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Grant:
    """One thing that a user holds. ``customer_id`` is empty for everywhere, ``role`` for a single node."""

    customer_id: str
    role: str
    nodes: tuple[str, ...]


def grants_of(user_id: str) -> Iterator[Grant]:
    """Everything that a user holds, grant by grant, in one statement; for telling why he may."""
    for kind, customer_id, name, gathered in _grants(user_id):
        if kind == "role":
            yield Grant(customer_id, name, tuple(gathered))
        elif kind == "node":
            yield Grant(customer_id, "", (name,))


def session_of(token: str) -> UserSession | None:
    """The living session with this token, its active user as ``.user``; None when there is none."""
    return (UserSession.select(UserSession, User).join(User, on=(User.id == UserSession.user_id), attr="user")
            .where(UserSession.token_digest == sessions.digest_of(token), UserSession.expires_at > clock.now(), User.status == "active")
            .get_or_none())


def api_token_of(token: str) -> ApiToken | None:
    """The valid API token, its active user as ``.user``; None when it is unknown, revoked, expired, or its user is disabled."""
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
    return (ApiToken.select(ApiToken, User).join(User, on=(User.id == ApiToken.user_id), attr="user")
            .where(ApiToken.digest == digest, ApiToken.revoked_at.is_null(), User.status == "active",
                   ApiToken.expires_at.is_null() | (ApiToken.expires_at > clock.now()))
            .get_or_none())


def family_of(claims: Claims) -> TokenFamily | None:
    """The living family that an access token belongs to, its active user as ``.user``; None once he signed out or was shut out."""
    return (TokenFamily.select(TokenFamily, User).join(User, on=(User.id == TokenFamily.user_id), attr="user")
            .where(TokenFamily.id == claims.family_id, TokenFamily.user_id == claims.user_id, TokenFamily.ended_at.is_null(),
                   TokenFamily.expires_at > clock.now(), User.status == "active")
            .get_or_none())


def by_family(family: TokenFamily) -> Principal:
    return _principal(family.user, "access_token")


def by_session(session: UserSession) -> Principal:
    return _principal(session.user, "session", active_customer_id=session.customer_id)


def by_api_token(token: ApiToken) -> Principal:
    only_nodes = None if token.nodes is None else frozenset(token.nodes)
    return _principal(token.user, "token", only_nodes=only_nodes, only_customer=token.customer_id)


def of_user(user: User) -> Principal:
    """What this user would be as a principal; for asking what he holds while he is not there."""
    return _principal(user, "session")


def _principal(user: User, via: str, **rest: Any) -> Principal:
    held = held_by(user.id)
    return Principal(user_id=user.id, email=user.email, name=user.name, image=user.image, via=via, roles=held.roles,
                     everywhere=held.everywhere, by_customer=held.by_customer, group_limits=held.group_limits, **rest)


def held_by(user_id: str) -> Held:
    """Everything that a user holds, in one statement."""
    roles: list[str] = []
    nodes: defaultdict[str, set[str]] = defaultdict(set)
    limits: defaultdict[str, set[str]] = defaultdict(set)
    for kind, customer_id, name, gathered in _grants(user_id):
        if kind == "role":
            roles.append(name)
            nodes[customer_id].update(gathered)
        elif kind == "node":
            nodes[customer_id].add(name)
        else:
            limits[customer_id].add(name)
    everywhere = frozenset(nodes.pop("", ()))
    return Held(tuple(sorted(set(roles))), everywhere, {customer: frozenset(held) for customer, held in nodes.items()},
                {customer: frozenset(groups) for customer, groups in limits.items()})


def _grants(user_id: str) -> peewee.CompoundSelectQuery:
    """Rows of (kind, customer or '', role, node or group, the role's nodes)."""
    word, no_nodes = peewee.Value, peewee.Value("null")
    roles = (RoleGrant.select(word("role"), RoleGrant.customer_id, Role.moniker, Role.nodes).join(Role)
             .where(RoleGrant.user_id == user_id))
    nodes = NodeGrant.select(word("node"), NodeGrant.customer_id, NodeGrant.node, no_nodes).where(NodeGrant.user_id == user_id)
    limits = GroupLimit.select(word("limit"), GroupLimit.customer_id, GroupLimit.group_id, no_nodes).where(GroupLimit.user_id == user_id)
    return (roles + nodes + limits).tuples()
