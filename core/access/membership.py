"""The users of a customer: who holds a role in it, and letting another one in."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.access.administrators import one_at_a_time
from core.access.models import Role, RoleGrant
from core.access.service import grant_role
from core.errors import Conflict
from core.http.access import Principal
from core.people import service as people
from core.people.models import User
from core.settings import Settings

_TAKEN = "A user with this e-mail address exists already"


@dataclass(frozen=True, slots=True)
class Member:
    """A user as one customer sees him: nothing of what he holds elsewhere."""

    id: str
    email: str
    name: str
    status: str
    roles: tuple[str, ...]
    last_sign_in_at: int | None
    created_at: int

    @property
    def role(self) -> str | None:
        return self.roles[0] if self.roles else None


def members_of(customer_id: str) -> list[Member]:
    """The users who hold a role in this customer, by e-mail; MSP staff, who may enter every customer, are not listed."""
    rows = (RoleGrant.select(RoleGrant.user_id, Role.moniker).join(Role).where(RoleGrant.customer_id == customer_id).tuples())
    roles: dict[str, list[str]] = {}
    for user_id, moniker in rows:
        roles.setdefault(user_id, []).append(moniker)
    in_customer = RoleGrant.select(RoleGrant.user_id).where(RoleGrant.customer_id == customer_id)
    users: Iterable[User] = User.select().where(User.id.in_(in_customer)).order_by(User.email_key)
    return [_member(user, roles[user.id]) for user in users]


def add_member(giver: Principal, customer_id: str, *, email: str, role: str, settings: Settings, name: str = "",
               password: str | None = None) -> Member:
    """Let somebody into a customer, creating his account when there is none.

    An account that exists is never changed: no name, no password. And only MSP staff may let it in. A customer's own
    administrator could otherwise read a stranger's name from the list, or give him a second customer, so that his requests
    in the first no longer know which one is meant.

    :raises Conflict: when the account exists already, in this customer or (for portal users) at all, or comes with a password.
    :raises Forbidden: when the giver does not hold what the role gathers.
    """
    with one_at_a_time():
        user = people.find_by_email(email)
        if user is None:
            user = people.add(email, actor=giver.actor, settings=settings, name=name, password=password)
        elif not giver.is_msp or _belongs_to(user, customer_id):
            raise Conflict(_TAKEN)
        elif password is not None:
            raise Conflict(f"{_TAKEN}; leave the password out to let that user in")
        grant_role(giver, user, role, customer_id)
    return _member(user, [role])


def _belongs_to(user: User, customer_id: str) -> bool:
    return RoleGrant.select().where(RoleGrant.user_id == user.id, RoleGrant.customer_id == customer_id).exists()


def _member(user: User, roles: Iterable[str]) -> Member:
    return Member(user.id, user.email, user.name, user.status, tuple(sorted(roles)), user.last_sign_in_at, user.created_at)
