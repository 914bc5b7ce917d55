"""People on their way to a provider and back. All that is secret about it is in the state, of which the database has only a digest.

The nonce and the PKCE verifier are derived from the state, so that they are kept nowhere, and a state that is swapped for another
brings another nonce and another verifier with it.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any

from core import clock
from core.db import atomic
from core.errors import TooManyRequests
from core.people.sessions import digest_of
from core.signin.models import SignInAttempt

#: how long somebody may take at the provider
LASTS = 10 * clock.MINUTE
#: how long he may take to say that the client is his, and then the client to fetch its tokens
CONFIRMS_WITHIN, FETCHES_WITHIN = 5 * clock.MINUTE, clock.MINUTE
_MOST_A_MINUTE = 60  # from one address
_SECRET = re.compile(r"[0-9A-Za-z_-]{43}")


@dataclass(frozen=True, slots=True)
class Begun:
    """What goes to the provider, to the browser (as a cookie) and to the client (when tokens are wanted)."""

    state: str
    browser_secret: str
    callback_key: str | None


def begin(provider: str, redirect_uri: str, *, browser_secret: str | None, address: str, callback_url: str = "", for_client: bool = False,
          invitation: str | None = None) -> Begun:
    """Remember that somebody sets out.

    :param browser_secret: of an earlier attempt of this browser, so that several windows can be under way.
    :param for_client: tokens are wanted, not a session.
    :raises TooManyRequests: when too many set out from one address.
    """
    moment = clock.now()
    known = browser_secret is not None and _SECRET.fullmatch(browser_secret) is not None
    begun = Begun(secrets.token_urlsafe(32), browser_secret if known and browser_secret else secrets.token_urlsafe(32),
                  "ck" + secrets.token_urlsafe(32) if for_client else None)
    with atomic():
        SignInAttempt.delete().where(SignInAttempt.expires_at <= moment).execute()
        lately = SignInAttempt.select().where(SignInAttempt.address == address, SignInAttempt.created_at > moment - clock.MINUTE)
        if lately.count() >= _MOST_A_MINUTE:
            raise TooManyRequests(headers={"Retry-After": "60"})
        SignInAttempt.create(state_digest=digest_of(begun.state), provider=provider, redirect_uri=redirect_uri, address=address,
                             browser_digest=digest_of(begun.browser_secret), callback_url=callback_url, created_at=moment,
                             callback_digest=digest_of(begun.callback_key) if begun.callback_key else None,
                             invitation_digest=digest_of(invitation) if invitation else None, expires_at=moment + LASTS)
    return begun


def nonce(keyring: Any, state: str) -> str:
    return _derived(keyring, "nonce", state)


def code_verifier(keyring: Any, state: str) -> str:
    return _derived(keyring, "verifier", state)


def _derived(keyring: Any, purpose: str, state: str) -> str:
    digest = hmac.new(keyring.derived("sign-in"), f"{purpose} {state}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def take_for_page(state: str, provider: str, browser_secret: str) -> SignInAttempt | None:
    """The attempt with this state, once, in the browser that began it; None when there is none (any more)."""
    return _taken(state, SignInAttempt.provider == provider, SignInAttempt.callback_digest.is_null(),
                  SignInAttempt.browser_digest == digest_of(browser_secret))


def take_for_client(state: str) -> SignInAttempt | None:
    """The same for a client, whose person may have opened another browser: see ``is_same_browser``."""
    return _taken(state, SignInAttempt.callback_digest.is_null(False))


def is_same_browser(attempt: SignInAttempt, browser_secret: str) -> bool:
    return hmac.compare_digest(attempt.browser_digest, digest_of(browser_secret))


def _taken(state: str, *conditions: Any) -> SignInAttempt | None:
    moment = clock.now()
    taken = (SignInAttempt.update(used_at=moment)
             .where(SignInAttempt.state_digest == digest_of(state), SignInAttempt.used_at.is_null(), SignInAttempt.expires_at > moment,
                    *conditions)
             .returning(SignInAttempt))
    return next(iter(taken.execute()), None)


# -- for a client that waits ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class News:
    """What a waiting client can be told: whose tokens it gets, or why it gets none. Neither: nothing yet."""

    user_id: str | None = None
    failure: str | None = None


def note_failure(attempt: SignInAttempt, failure: str) -> None:
    _note(attempt, FETCHES_WITHIN, failure=failure)


def note_arrival(attempt: SignInAttempt, user_id: str) -> None:
    """He came back, and the client may fetch its tokens."""
    _note(attempt, FETCHES_WITHIN, user_id=user_id)


def ask_to_confirm(attempt: SignInAttempt, user_id: str) -> str:
    """He came back in another browser than the client's: the secret with which he says that the client is his."""
    secret = secrets.token_urlsafe(32)
    _note(attempt, CONFIRMS_WITHIN, user_id=user_id, confirm_digest=digest_of(secret))
    return secret


def confirm(secret: str) -> bool:
    """Whether this was the secret of somebody who had to confirm; the client may fetch its tokens then."""
    return _answered(secret, confirm_digest=None)


def decline(secret: str) -> bool:
    """He says that the client is not his: it gets nothing."""
    return _answered(secret, confirm_digest=None, user_id=None, failure="AccessDenied")


def _answered(secret: str, **changes: Any) -> bool:
    moment = clock.now()
    return SignInAttempt.update(expires_at=moment + FETCHES_WITHIN, **changes).where(
        SignInAttempt.confirm_digest == digest_of(secret), SignInAttempt.expires_at > moment).execute() > 0


def _note(attempt: SignInAttempt, lasts: int, **changes: Any) -> None:
    SignInAttempt.update(expires_at=clock.now() + lasts, **changes).where(SignInAttempt.state_digest == attempt.state_digest).execute()


def news(callback_key: str) -> News | None:
    """What there is for the client with this key, which is void once it was told; None when the key is not (or no longer) good."""
    of_client = (SignInAttempt.callback_digest == digest_of(callback_key), SignInAttempt.expires_at > clock.now())
    row = SignInAttempt.get_or_none(*of_client)
    if row is None:
        return None
    if row.failure is None and (row.user_id is None or row.confirm_digest is not None):
        return News()
    told = SignInAttempt.delete().where(*of_client).returning(SignInAttempt.user_id, SignInAttempt.failure)
    return next((News(taken.user_id, taken.failure) for taken in told.execute()), None)
