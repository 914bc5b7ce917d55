"""Users and their sign-in with a password."""

import logging
import re
import unicodedata

import peewee

from core import clock
from core.audit import record
from core.db import atomic, is_unique_violation
from core.errors import BadRequest, Conflict, NotFound
from core.ids import new_id
from core.people import passwords, sessions
from core.people.models import User
from core.settings import Settings

log = logging.getLogger(__name__)

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}@[^\s@\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,190}")


def email_key(email: str) -> str:
    """The form in which two spellings of one address are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold()).strip()


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
    if not _EMAIL.fullmatch(email):
        raise BadRequest("This is not an e-mail address", details={"email": ["Not a valid email address."]})
    if password is not None:
        passwords.check_acceptable(password, email)
    moment = clock.now()
    try:
        with atomic():
            user = User.create(id=new_id("usr"), email=email, email_key=email_key(email), name=name.strip(), created_at=moment,
                               password_hash=passwords.hashed(password, settings.password_cost) if password is not None else None,
                               updated_at=moment)
            record("user.created", actor=actor, target=user.id, details={"email": email, "withPassword": password is not None})
    except peewee.IntegrityError as problem:
        if is_unique_violation(problem):
            raise Conflict("A user with this e-mail address exists already") from problem
        raise
    return user


def set_password(user: User, password: str, *, actor: str, settings: Settings) -> None:
    """Give a user a password, unlock him, and end his sessions, since somebody else may hold one of them."""
    passwords.check_acceptable(password, user.email)
    with atomic():
        User.update(password_hash=passwords.hashed(password, settings.password_cost), failed_attempts=0, locked_until=None,
                    updated_at=clock.now()).where(User.id == user.id).execute()
        sessions.end_all(user.id)
        record("user.password_set", actor=actor, target=user.id)


def disable(user: User, *, actor: str) -> None:
    """Shut a user out at once: his sessions end, and his tokens are refused while he is disabled."""
    with atomic():
        User.update(status="disabled", updated_at=clock.now()).where(User.id == user.id).execute()
        sessions.end_all(user.id)
        record("user.disabled", actor=actor, target=user.id)


def enable(user: User, *, actor: str) -> None:
    with atomic():
        User.update(status="active", failed_attempts=0, locked_until=None, updated_at=clock.now()).where(User.id == user.id).execute()
        record("user.enabled", actor=actor, target=user.id)


def authenticate(email: str, password: str, settings: Settings) -> User | None:
    """The active user with this address and password, else None.

    The caller learns nothing more: an unknown address, a wrong password, a locked and a disabled account take as long and
    look the same. An attempt is counted before the password is looked at, so that guesses made at once are all counted.
    """
    user = find_by_email(email)
    attempt = _count_attempt(user.id if user is not None else "", settings)
    fits = passwords.matches(password, user.password_hash if user is not None else None, settings.password_cost)
    if user is None or attempt is None or not fits or user.status != "active":
        if user is not None:
            _note_failure(user, attempt)
        return None
    User.update(failed_attempts=0, locked_until=None, last_sign_in_at=clock.now()).where(User.id == user.id).execute()
    return user


def _note_failure(user: User, attempt: "User | None") -> None:
    log.info("sign-in failed", extra={"fields": {"user": user.id, "locked": attempt is None}})
    if attempt is not None and attempt.locked_until is not None:
        record("user.locked", actor=user.email, target=user.id, details={"attempts": attempt.failed_attempts})


def _count_attempt(user_id: str, settings: Settings) -> User | None:
    """Take one of the attempts that are left; gives the new count and lock, or None when the account is locked (or nobody's).

    One statement, so that parallel guesses add up. The last attempt locks the account before its password is looked at;
    when it fits after all, signing in unlocks it.
    """
    moment = clock.now()
    is_fresh = User.locked_until.is_null()  # else a lock has expired, and counting starts anew
    count = peewee.Case(None, [(is_fresh, User.failed_attempts + 1)], 1)
    is_last = count >= settings.lockout_attempts
    locked_until = peewee.Case(None, [(is_last, moment + settings.lockout_minutes * clock.MINUTE)], None)
    update = (User.update(failed_attempts=count, locked_until=locked_until)
              .where(User.id == user_id, is_fresh | (User.locked_until <= moment))
              .returning(User.failed_attempts, User.locked_until))
    return next(iter(update.execute()), None)
