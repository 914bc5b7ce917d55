"""Whose account an identity is. Decided by issuer and subject alone: an address proves nothing, for a stranger can write any into his own
directory, and would then be somebody else here."""

import logging
import secrets

import peewee

from core import clock
from core.audit import record
from core.db import atomic, is_unique_violation
from core.errors import BadRequest, Conflict
from core.ids import new_id
from core.people import families, sessions
from core.people import service as people
from core.people.models import User, UserIdentity, UserInvitation
from core.people.sessions import digest_of
from core.settings import Settings
from core.signin.id_tokens import Identity

log = logging.getLogger(__name__)

INVITATION_DAYS = 7


def owner(identity: Identity, invitation: str | None, settings: Settings) -> User | None:
    """The active user whom this identity belongs to; None when there is none, and nobody let him in.

    An identity that nobody has yet becomes that of the user who was invited, or with ``oidc_provision`` of a new one.

    :param invitation: digest of the invitation that the sign-in began with.
    """
    try:
        with atomic():
            return _owner(identity, invitation, settings)
    except peewee.IntegrityError as problem:
        if not is_unique_violation(problem):
            raise
        with atomic():  # he came in twice at once, and the other was first
            return _owner(identity, None, settings)


def link(user: User, identity: Identity, *, actor: str) -> None:
    """Let this identity be the user's from now on.

    :raises Conflict: when it is somebody's already.
    :raises BadRequest: when the user is a service account.
    """
    _refuse_services(user)
    try:
        with atomic():
            _link(user, identity, actor)
    except peewee.IntegrityError as problem:
        if is_unique_violation(problem):
            raise Conflict("This identity belongs to a user already") from problem
        raise


def unlink_all(user: User, *, actor: str) -> int:
    """Take all identities from a user, and sign him out everywhere; how many there were. He can be invited anew."""
    with atomic():
        sessions.end_all(user.id)
        families.end_all(user.id)
        number = UserIdentity.delete().where(UserIdentity.user_id == user.id).execute()
        UserInvitation.delete().where(UserInvitation.user_id == user.id).execute()
        record("user.identities_removed", actor=actor, target=user.id, details={"number": number})
    return number


def invite(user: User, *, actor: str, days: int = INVITATION_DAYS) -> str:
    """The secret of a link by which the user's identity is found out; earlier links of his are void. Whoever has it becomes that user.

    :raises BadRequest: when the user is a service account.
    """
    _refuse_services(user)
    secret = secrets.token_urlsafe(32)
    moment = clock.now()
    with atomic():
        UserInvitation.delete().where((UserInvitation.user_id == user.id) | (UserInvitation.expires_at <= moment)).execute()
        UserInvitation.create(digest=digest_of(secret), user_id=user.id, created_at=moment, expires_at=moment + days * clock.DAY)
        record("user.invited", actor=actor, target=user.id, details={"days": days})
    return secret


def invited(secret: str) -> User | None:
    """Whom an invitation is for, as long as it is good."""
    return (User.select().join(UserInvitation, on=(UserInvitation.user_id == User.id))
            .where(UserInvitation.digest == digest_of(secret), UserInvitation.expires_at > clock.now(), User.status == "active").first())


def _refuse_services(user: User) -> None:
    if user.kind == "service":
        raise BadRequest("A service account cannot sign in; make a token for it")


def _owner(identity: Identity, invitation: str | None, settings: Settings) -> User | None:
    known = UserIdentity.get_or_none(UserIdentity.issuer == identity.issuer, UserIdentity.subject == identity.subject)
    if known is None:
        user = _let_in(identity, invitation, settings)
    else:
        user = User.get_or_none(User.id == known.user_id)
    if user is None or user.status != "active":
        log.info("sign-in by an identity that has no active user", extra={"fields": {
            "issuer": identity.issuer, "subject": identity.subject, "user": user.id if user is not None else None}})
        return None
    _refresh(user, identity)
    return user


def _let_in(identity: Identity, invitation: str | None, settings: Settings) -> User | None:
    if invitation is not None:
        taken = (UserInvitation.delete().where(UserInvitation.digest == invitation, UserInvitation.expires_at > clock.now())
                 .returning(UserInvitation.user_id))
        user = User.get_or_none(User.id == next((row.user_id for row in taken.execute()), None), User.status == "active")
    else:
        user = _provisioned(identity, settings) if settings.oidc_provision else None
    if user is not None:
        _link(user, identity, actor=user.email)
    return user


def _provisioned(identity: Identity, settings: Settings) -> User:
    """A new user who holds nothing. He gets the address that the provider vouches for when nobody has it; else one that reaches nobody,
    so that no administrator takes him for its owner."""
    made_up = f"{identity.subject[:48]}@{identity.tenant or 'oidc'}.invalid"
    for email in (identity.email if identity.is_email_verified else "", made_up, f"{new_id('sub')}@oidc.invalid"):
        try:
            if email and people.find_by_email(email) is None:
                return people.add(email, actor="sign-in", settings=settings, name=identity.name or identity.username)
        except BadRequest:
            continue  # what the provider has for an address is none
    raise AssertionError("unreachable: the last address is fresh")


def _link(user: User, identity: Identity, actor: str) -> None:
    UserIdentity.create(id=new_id("idn"), user_id=user.id, issuer=identity.issuer, subject=identity.subject, tenant=identity.tenant,
                        created_at=clock.now())
    record("user.identity_linked", actor=actor, target=user.id, details={"issuer": identity.issuer, "subject": identity.subject})


def _refresh(user: User, identity: Identity) -> None:
    """Take over a name that the provider has changed. One that was changed here stays until then."""
    kept = UserIdentity.get(UserIdentity.issuer == identity.issuer, UserIdentity.subject == identity.subject)
    moment = clock.now()
    renamed = {"name": identity.name, "updated_at": moment} if identity.name and (identity.name != kept.name or not user.name) else {}
    User.update(last_sign_in_at=moment, **renamed).where(User.id == user.id).execute()
    (UserIdentity.update(name=identity.name, username=identity.username, used_at=moment)
     .where(UserIdentity.id == kept.id).execute())
