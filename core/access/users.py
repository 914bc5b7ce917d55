"""Users with their roles: seeing, changing and deleting them, as far as a caller reaches."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.access import tokens
from core.access.administrators import keeping_one
from core.access.models import GroupLimit, NodeGrant, Role, RoleGrant
from core.access.nodes import NodeRegistry
from core.access.reach import EVERYWHERE, Reach, reach_of
from core.access.replacing import Target, replace_nodes, replace_roles
from core.errors import BadRequest, Forbidden, NotFound
from core.http.access import Principal
from core.people import service as people
from core.people.models import User
from core.tenancy import service as tenancy

_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")
_LONGEST_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Account:
    """A user as a caller sees him: with the roles that he holds within the caller's reach, in the order in which they were given."""

    user: User
    roles: tuple[Role, ...]

    @property
    def monikers(self) -> list[str]:
        return [role.moniker for role in self.roles]

    @property
    def role_ids(self) -> list[str]:
        return [role.id for role in self.roles]


@dataclass(frozen=True, slots=True)
class DirectNode:
    """A permission that a user holds beside his roles. ``customer_id`` is None for what he holds everywhere."""

    node: str
    customer_id: str | None


def listing(reach: Reach) -> list[Account]:
    """The users within reach, by e-mail, in two statements."""
    found = reach.over_users()
    return _accounts(User.select().where(found).order_by(User.email_key), reach, User.select(User.id).where(found))


def holders_of(role: Role, reach: Reach) -> list[Account]:
    """The users who hold a role within reach, by e-mail, in two statements."""
    holders = RoleGrant.select(RoleGrant.user_id).where(RoleGrant.role == role, reach.over(RoleGrant.customer_id))
    return _accounts(User.select().where(User.id.in_(holders)).order_by(User.email_key), reach, holders)


def service_accounts(reach: Reach) -> list[Account]:
    """The service accounts within reach, by login."""
    found = (User.kind == "service") & reach.over_users()
    return _accounts(User.select().where(found).order_by(User.email_key), reach, User.select(User.id).where(found))


def find(user_id: str, reach: Reach) -> User:
    """The user with this id.

    :raises NotFound: when there is none within reach, whether or not there is one beyond.
    """
    user = User.get_or_none((User.id == user_id) & reach.over_users()) if _ID.fullmatch(user_id) else None
    if user is None:
        raise NotFound(f"User with identifier '{user_id[:_LONGEST_SHOWN]}' was not found.", code="UserNotFound")
    return user


def account_of(user: User, reach: Reach) -> Account:
    return _accounts([user], reach, [user.id])[0]


def direct_nodes(user: User, reach: Reach) -> list[DirectNode]:
    """What the user holds within reach beside his roles, in the order in which it was given."""
    rows = NodeGrant.select().where(NodeGrant.user_id == user.id, reach.over(NodeGrant.customer_id)).order_by(NodeGrant.id)
    return [DirectNode(row.node, row.customer_id or None) for row in rows]


def change_own(principal: Principal, changes: Mapping[str, str]) -> Account:
    """Change one's own ``name`` or ``image``."""
    people.change(find(principal.user_id, Reach()), actor=principal.actor, **changes)
    return account_of(find(principal.user_id, Reach()), Reach())


def change(caller: Principal, user_id: str, changes: Mapping[str, Any], registry: NodeRegistry) -> Account:
    """Change ``name``, ``image`` or ``status``, replace ``roles`` or ``permissions``; all of it or nothing.

    :param changes: what is to be changed; ``company_id`` says where the roles and permissions are held, None for everywhere.
    :raises NotFound: when the user is not within reach.
    :raises Forbidden: when what is his own is to be changed, and he belongs to customers beyond reach as well; when the caller
        gives what he does not hold.
    :raises Conflict: when the last administrator would be none any more.
    """
    reach = reach_of(caller, "user.write.other")
    with keeping_one():
        user = find(user_id, reach)
        target = Target.of(user, _place(changes, reach))
        own = {name: changes[name] for name in ("name", "image") if name in changes}
        if (own or "status" in changes) and not reach.holds_all_of(user):
            raise Forbidden
        people.change(user, actor=caller.actor, **own)
        if changes.get("status", user.status) != user.status:
            (people.enable if changes["status"] == "active" else people.disable)(user, actor=caller.actor)
        if "roles" in changes:
            replace_roles(caller, target, reach_of(caller, "user.write.other", "user.roles.other"), changes["roles"])
        if "permissions" in changes:
            replace_nodes(caller, target, reach_of(caller, "user.write.other", "user.permissions.other"), changes["permissions"], registry)
    return account_of(User.get_by_id(user.id), reach)


def delete(caller: Principal, user_id: str) -> Account:
    """Delete a user with his sessions, grants and tokens; gives him as he was. The audit log keeps what he did.

    :raises NotFound: when he is not within reach.
    :raises Forbidden: when he belongs to customers beyond reach as well.
    :raises Conflict: when he is the last administrator.
    """
    reach = reach_of(caller, "user.delete.other")
    with keeping_one():
        user = find(user_id, reach)
        if not reach.holds_all_of(user):
            raise Forbidden
        was = account_of(user, reach)
        tokens.delete_all(user, actor=caller.actor)
        for kept in (RoleGrant, NodeGrant, GroupLimit):
            kept.delete().where(kept.user_id == user.id).execute()
        people.remove(user, actor=caller.actor)
    return was


def create_service_account(maker: Principal, facts: Mapping[str, Any]) -> Account:
    """Make an account for a program.

    :param facts: ``login``, ``name``, ``roles``, and ``company_id`` as in ``change``.
    :raises Conflict: when the login is taken.
    :raises Forbidden: when the maker does not hold all that the roles gather.
    """
    reach = reach_of(maker, "user.create.service")
    with keeping_one():
        place = _place(facts, reach)
        user = people.add_service(facts["login"], actor=maker.actor, name=facts["name"])
        replace_roles(maker, Target.of(user, place), reach, facts["roles"])
    return account_of(user, reach)


def _place(changes: Mapping[str, Any], reach: Reach) -> str | None:
    """Where the request says that roles and permissions are held; None when it does not say.

    :raises BadRequest: when there is no such customer within reach.
    """
    if "company_id" not in changes:
        return None
    place = changes["company_id"] or EVERYWHERE
    if not reach.covers(place) or (place != EVERYWHERE and tenancy.find(place) is None):
        raise BadRequest("There is no such company", details={"companyId": ["Unknown company."]})
    return place


def _accounts(users: Iterable[User], reach: Reach, ids: Any) -> list[Account]:
    rows = (RoleGrant.select(RoleGrant, Role).join(Role).where(RoleGrant.user_id.in_(ids), reach.over(RoleGrant.customer_id))
            .order_by(RoleGrant.id))
    roles: dict[str, dict[str, Role]] = {}
    for grant in rows:
        roles.setdefault(grant.user_id, {}).setdefault(grant.role.id, grant.role)
    return [Account(user, tuple(roles.get(user.id, {}).values())) for user in users]
