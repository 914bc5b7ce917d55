"""Users and their sign-in with a password."""

import hashlib
import logging
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, NamedTuple

import peewee

from core import clock
from core.audit import record
from core.db import atomic, db, is_unique_violation
from core.errors import BadRequest, Conflict, NotFound
from core.ids import new_id
from core.people import families, passwords, sessions
from core.people.models import User, UserIdentity, UserInvitation
from core.settings import Settings

log = logging.getLogger(__name__)

_DECOYS = 1024
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_SERVICE_LOGIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
SERVICE_DOMAIN = "@service.invalid"  # a name that RFC 2606 keeps free for good
_LONGEST_TYPED = 1000  # to fold a text takes the square of its length, when somebody wants it to; no address is that long
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}@[^\s@\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,190}")


def email_key(email: str) -> str:
    """The form in which two spellings of one address are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email[:_LONGEST_TYPED]).casefold()).strip()


def _has_invisible(text: str) -> bool:
    """Whether something in it is not seen, so that it looks like another text."""
    return any(unicodedata.category(character) == "Cf" for character in text)


def find_by_email(email: str) -> User | None:
    if _UNSTORABLE.search(email):
        return None
    return User.get_or_none(User.email_key == email_key(email))


def by_email(email: str) -> User:
    """The user with this address.

    :raises NotFound: when there is none.
    """
    user = find_by_email(email)
    if user is None:
        raise NotFound(f"There is no user {email}")
    return user


def add(email: str, *, actor: str, settings: Settings, name: str = "", password: str | None = None) -> User:
    """Create a user; without a password nobody can sign in until one is set.

    :raises Conflict: when the address is taken.
    :raises BadRequest: when address or password is not acceptable.
    """
    email = unicodedata.normalize("NFKC", email).strip()
    if not _EMAIL.fullmatch(email) or _has_invisible(email) or email_key(email).endswith(SERVICE_DOMAIN):
        raise BadRequest("This is not an e-mail address", details={"email": ["Not a valid email address."]})
    if password is not None:
        passwords.check_acceptable(password, email)
    moment = clock.now()
    try:
        with atomic():
            user = User.create(id=new_id("usr"), email=email, email_key=email_key(email), login=email.partition("@")[0],
                               name=name.strip(), created_at=moment,
                               password_hash=passwords.hashed(password, settings.password_cost) if password is not None else None,
                               updated_at=moment)
            record("user.created", actor=actor, target=user.id, details={"email": email, "withPassword": password is not None})
    except peewee.IntegrityError as problem:
        if is_unique_violation(problem):
            raise Conflict("A user with this e-mail address exists already") from problem
        raise
    return user


def add_service(login: str, *, actor: str, name: str = "") -> User:
    """Create an account for a program. It has API tokens and never signs in, so its address is one that no mail can reach.

    :raises Conflict: when the login is another service account's.
    :raises BadRequest: when the login is not acceptable.
    """
    if not _SERVICE_LOGIN.fullmatch(login):
        said = "The login of a service account is made of lower-case letters, digits, dots and dashes"
        raise BadRequest(said, details={"login": [said]})
    email, moment = login + SERVICE_DOMAIN, clock.now()
    try:
        with atomic():
            user = User.create(id=new_id("usr"), kind="service", email=email, email_key=email_key(email), login=login,
                               name=name.strip() or login, created_at=moment, updated_at=moment)
            record("user.created", actor=actor, target=user.id, details={"email": email, "kind": "service"})
    except peewee.IntegrityError as problem:
        if is_unique_violation(problem):
            raise Conflict("A service account with this login exists already", details={"login": ["Taken."]}) from problem
        raise
    return user


def is_able_to_sign_in() -> Any:
    """A condition on users: active people with a password or a provider's identity. Whether an account is locked for a while does not
    matter."""
    with_identity = User.id.in_(UserIdentity.select(UserIdentity.user_id))
    return (User.status == "active") & (User.kind == "person") & (User.password_hash.is_null(False) | with_identity)


def change(user: User, *, actor: str, **changes: str) -> None:
    """Change ``name`` or ``image``; what is left out stays as it is."""
    changed = {name: value for name, value in changes.items() if getattr(user, name) != value}
    if not changed:
        return
    with atomic():
        User.update(**changed, updated_at=clock.now()).where(User.id == user.id).execute()
        record("user.changed", actor=actor, target=user.id, details=changed)


def remove(user: User, *, actor: str) -> None:
    """Delete a user and sign him out everywhere. What he did stays in the audit log; what he holds is the caller's to take away."""
    with atomic():
        sessions.end_all(user.id)
        families.end_all(user.id)
        for of_his in (UserIdentity, UserInvitation):
            of_his.delete().where(of_his.user_id == user.id).execute()
        User.delete().where(User.id == user.id).execute()
        record("user.deleted", actor=actor, target=user.id, details={"email": user.email})


def set_password(user: User, password: str, *, actor: str, settings: Settings) -> None:
    """Give a user a password, unlock him, and sign him out everywhere, since somebody else may be signed in as him.

    :raises BadRequest: when the password is not acceptable, or the user is a service account.
    """
    if user.kind == "service":
        raise BadRequest("A service account cannot sign in; make a token for it")
    passwords.check_acceptable(password, user.email)
    with atomic():
        User.update(password_hash=passwords.hashed(password, settings.password_cost), failed_attempts=0, locked_until=None,
                    updated_at=clock.now()).where(User.id == user.id).execute()
        sessions.end_all(user.id)
        families.end_all(user.id)
        record("user.password_set", actor=actor, target=user.id)


def disable(user: User, *, actor: str) -> None:
    """Shut a user out at once: he is signed out everywhere, and his API tokens are refused while he is disabled."""
    with atomic():
        User.update(status="disabled", updated_at=clock.now()).where(User.id == user.id).execute()
        sessions.end_all(user.id)
        families.end_all(user.id)
        record("user.disabled", actor=actor, target=user.id)


def enable(user: User, *, actor: str) -> None:
    with atomic():
        User.update(status="active", failed_attempts=0, locked_until=None, updated_at=clock.now()).where(User.id == user.id).execute()
        record("user.enabled", actor=actor, target=user.id)


def authenticate(email: str, password: str, settings: Settings) -> User | None:
    """The active user with this address and password, else None.

    The caller learns nothing more: an unknown address, a wrong password, a locked and a disabled account do the same work and
    look the same. An attempt is counted before the password is looked at, so that guesses made at once are all counted.
    """
    account = _account(email)
    attempt = _count_attempt(account.id, settings) if account is not None else _count_on_decoy(email, settings)
    fits = passwords.matches(password, account.password_hash if account is not None else None, settings.password_cost)
    if account is None or attempt is None or not fits or account.status != "active":
        _note_failure(account, attempt)
        return None
    # He may have been shut out, or been given another password, while this one was looked at.
    as_before = (User.id == account.id, User.status == "active", User.password_hash == account.password_hash)
    is_let_in = User.update(failed_attempts=0, locked_until=None, last_sign_in_at=clock.now()).where(*as_before).execute()
    return User.get_by_id(account.id) if is_let_in else None


def sign_out(token: str) -> None:
    """End the session with this token, when there is one."""
    with atomic():
        user = User.get_or_none(User.id == sessions.end(token))
        if user is not None:
            record("user.signed_out", actor=user.email, target=user.id)


def _note_failure(user: "_Account | None", attempt: "_Attempt | None") -> None:
    log.info("sign-in failed", extra={"fields": {"user": user.id if user is not None else None, "locked": attempt is None}})
    if attempt is None or attempt.locked_until is None:
        return
    if user is not None:
        record("user.locked", actor=user.email, target=user.id, details={"attempts": attempt.number})
    else:  # what was typed is not kept: people type passwords into the wrong field
        record("unknown_user.locked", actor="", details={"attempts": attempt.number})


# Attempts are counted by one statement, so that parallel guesses add up. The last one locks the account before its password is
# looked at; when it fits after all, signing in unlocks it. Once a lock has expired, counting starts anew. Written as SQL, because
# peewee takes so much longer to put an upsert together than an update that one could tell by the time whose address it was.
_COUNT = "CASE WHEN {table}.locked_until IS NULL THEN {table}.failed_attempts + 1 ELSE 1 END"
_COUNTED = (f"SET failed_attempts = {_COUNT}, locked_until = CASE WHEN {_COUNT} >= {{p}} THEN {{p}} ELSE NULL END "
            "WHERE ({table}.locked_until IS NULL OR {table}.locked_until <= {p})")
_COUNT_FOR_USER = f'UPDATE "user" {_COUNTED} AND id = {{p}} RETURNING failed_attempts, locked_until'  # noqa: S608
_COUNT_FOR_DECOY = ("INSERT INTO sign_in_decoy (failed_attempts, locked_until, number) VALUES (1, {p}, {p}) "  # noqa: S608
                    f"ON CONFLICT (number) DO UPDATE {_COUNTED} RETURNING failed_attempts, locked_until")


_FOUND = 'SELECT id, email, password_hash, status FROM "user" WHERE email_key = {p}'


class _Account(NamedTuple):
    """What an attempt needs to know of a user. To make a whole one takes so long that one could tell by the time whose address it was."""

    id: str
    email: str
    password_hash: str | None
    status: str


def _account(email: str) -> _Account | None:
    if _UNSTORABLE.search(email):
        return None
    row = db.execute_sql(_FOUND.format(p=db.param), (email_key(email),)).fetchone()
    return _Account(*row) if row is not None else None


@dataclass(frozen=True, slots=True)
class _Attempt:
    number: int
    locked_until: int | None


def _count_attempt(user_id: str, settings: Settings) -> _Attempt | None:
    """Take one of the attempts that are left; None when the account is locked."""
    moment = clock.now()
    lock = moment + settings.lockout_minutes * clock.MINUTE
    return _counted(_COUNT_FOR_USER.format(table='"user"', p=db.param), (settings.lockout_attempts, lock, moment, user_id))


def _count_on_decoy(email: str, settings: Settings) -> _Attempt | None:
    """The same for an address that nobody has."""
    moment = clock.now()
    lock = moment + settings.lockout_minutes * clock.MINUTE
    digest = hashlib.sha256(email_key(email).encode("utf-8", "surrogatepass")).digest()
    return _counted(_COUNT_FOR_DECOY.format(table="sign_in_decoy", p=db.param),
                    (lock if settings.lockout_attempts == 1 else None, int.from_bytes(digest[:8], "big") % _DECOYS,
                     settings.lockout_attempts, lock, moment))


def _counted(statement: str, values: tuple[Any, ...]) -> _Attempt | None:
    row = db.execute_sql(statement, values).fetchone()
    return _Attempt(*row) if row is not None else None
