"""Signed-in browsers. The cookie holds a random token of 256 bits; the database only its SHA-256."""

import hashlib
import secrets

from core import clock
from core.errors import StorageFull
from core.people.models import UserSession
from core.settings import Settings

_TOUCH_EVERY = clock.MINUTE


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def begin(user_id: str, settings: Settings, replaced_token: str | None = None) -> str:
    """Start a session with a fresh token and return the token; the session it replaces ends, and all expired ones are swept away."""
    moment = clock.now()
    if replaced_token:
        end(replaced_token)
    UserSession.delete().where(UserSession.expires_at <= moment).execute()
    token = secrets.token_urlsafe(32)
    UserSession.create(token_digest=digest_of(token), user_id=user_id, created_at=moment, seen_at=moment,
                       expires_at=_expiry(moment, settings))
    return token


def end(token: str) -> str | None:
    """End a session; the id of the user whose it was, None when there was none."""
    ended = UserSession.delete().where(UserSession.token_digest == digest_of(token)).returning(UserSession.user_id).execute()
    return next((session.user_id for session in ended), None)


def end_all(user_id: str) -> None:
    UserSession.delete().where(UserSession.user_id == user_id).execute()


def end_expired() -> int:
    """Delete the sessions that ended by themselves; how many there were."""
    return UserSession.delete().where(UserSession.expires_at <= clock.now()).execute()


def touch(session: UserSession, settings: Settings) -> bool:
    """Note that the session is in use and put off its end; written at most once a minute. True when it was."""
    moment = clock.now()
    if moment - session.seen_at < _TOUCH_EVERY:
        return False
    renewed = {"seen_at": moment, "expires_at": _expiry(moment, settings)}
    try:
        UserSession.update(renewed).where(UserSession.token_digest == session.token_digest).execute()
    except StorageFull:
        return False  # what only reads is answered all the same
    session.__data__.update(renewed)
    return True


def pick_customer(session: UserSession, customer_id: str | None) -> None:
    """Make a customer the active one of this session; None for no customer."""
    UserSession.update(customer_id=customer_id).where(UserSession.token_digest == session.token_digest).execute()


def _expiry(moment: int, settings: Settings) -> int:
    return moment + settings.session_hours * clock.HOUR
