"""From "sign me in with that provider" to a user, or to a word that says why not.

The words are those of NextAuth where it has one: ``OAuthSignin`` (the provider could not be asked), ``OAuthCallback`` (it did not vouch
for anybody), ``AccessDenied`` (it did, and he has no account here); and ``Cancelled`` and ``Restart``.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app

from core.audit import record
from core.people.models import User
from core.settings import Settings
from core.signin import attempts, identities, tokens
from core.signin.models import SignInAttempt
from core.signin.openid import OpenIdClient, SignInFailed
from core.signin.providers import Provider, Providers

log = logging.getLogger(__name__)

_DECLINED = frozenset({"access_denied", "consent_required", "interaction_required", "login_required"})


@dataclass(frozen=True, slots=True)
class Started:
    """Where the person goes now, the secret that his browser keeps, and the key that a client keeps; or why he goes nowhere."""

    url: str = ""
    browser_secret: str = ""
    callback_key: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CameBack:
    """Who came back, or why nobody did.

    :ivar callback_url: where the page leads to then.
    :ivar confirm_secret: for a client: set when he has to say first that the client is his.
    :ivar asked_from: the address of that client.
    """

    user: User | None = None
    failure: str = ""
    callback_url: str = ""
    confirm_secret: str | None = None
    asked_from: str = ""
    asked_at: int = 0


class SignIn:
    """The sign-in of one web app."""

    @staticmethod
    def current() -> "SignIn":
        """That of the app that answers this request."""
        return current_app.extensions["stockade_sign_in"]

    def __init__(self, settings: Settings, keyring: Any, providers: Providers) -> None:
        self._settings = settings
        self._keyring = keyring
        self._providers = providers

    @property
    def providers(self) -> list[Provider]:
        """The ways in beside the password, in the order in which they are offered."""
        return list(self._providers)

    def start(self, provider_id: str, redirect_uri: str, *, browser_secret: str | None, address: str, callback_url: str = "",
              for_client: bool = False, invitation: str | None = None) -> Started:
        """Send somebody to a provider.

        :raises NotFound: when there is no such provider.
        :raises TooManyRequests: when too many come from one address.
        """
        client = self._providers.client(provider_id)
        begun = attempts.begin(provider_id, redirect_uri, browser_secret=browser_secret, address=address, callback_url=callback_url,
                               for_client=for_client, invitation=invitation)
        try:
            url = client.authorization_url(redirect_uri, begun.state, attempts.nonce(self._keyring, begun.state),
                                           attempts.code_verifier(self._keyring, begun.state))
        except SignInFailed as problem:
            return Started(failure=problem.code)
        return Started(url, begun.browser_secret, begun.callback_key or "")

    def finish_page(self, provider_id: str, said: Mapping[str, str], browser_secret: str) -> CameBack:
        """Somebody came back to get a session; only in the browser in which he set out."""
        state = said.get("state", "")
        client = self._providers.client(provider_id)
        attempt = attempts.take_for_page(state, provider_id, browser_secret)
        if attempt is None:
            return CameBack(failure="Restart")
        user, failure = self._vouched_for(client, attempt, state, said)
        attempt.delete_instance()
        if user is not None:
            record("user.signed_in", actor=user.email, target=user.id, details={"provider": provider_id})
        return CameBack(user, failure, attempt.callback_url)

    def finish_client(self, said: Mapping[str, str], browser_secret: str) -> CameBack:
        """Somebody came back to get tokens for a client, which waits with its callback key."""
        state = said.get("state", "")
        attempt = attempts.take_for_client(state)
        if attempt is None:
            return CameBack(failure="Restart")
        user, failure = self._vouched_for(self._providers.client(attempt.provider), attempt, state, said)
        if user is None:
            attempts.note_failure(attempt, failure)
            return CameBack(failure=failure)
        if attempts.is_same_browser(attempt, browser_secret):
            attempts.note_arrival(attempt, user.id)
            return CameBack(user)
        # Else anybody could send him a link that signs the sender's client in as him.
        return CameBack(user, confirm_secret=attempts.ask_to_confirm(attempt, user.id), asked_from=attempt.address,
                        asked_at=attempt.created_at)

    def fetched(self, callback_key: str) -> "tokens.Tokens | attempts.News | None":
        """What a client gets that waits with this key: its tokens, news (nothing yet, or a failure), or None for a key that is not good.

        Tokens are made now, and kept nowhere before.
        """
        news = attempts.news(callback_key)
        if news is None or news.user_id is None:
            return news
        user = User.get_or_none(User.id == news.user_id, User.status == "active")
        if user is None:
            return attempts.News(failure="AccessDenied")
        record("user.signed_in", actor=user.email, target=user.id, details={"for": "client"})
        return tokens.given(self._keyring, self._settings, user.id)

    def _vouched_for(self, client: OpenIdClient, attempt: SignInAttempt, state: str, said: Mapping[str, str]) -> tuple[User | None, str]:
        if "error" in said:
            log.info("sign-in with %s: it answered %s", attempt.provider, said["error"][:80],
                     extra={"fields": {"description": said.get("error_description", "")[:300]}})
            return None, "Cancelled" if said["error"] in _DECLINED else "OAuthCallback"
        if not said.get("code"):
            return None, "OAuthCallback"
        try:
            identity = client.identity(said["code"], attempt.redirect_uri, attempts.nonce(self._keyring, state),
                                       attempts.code_verifier(self._keyring, state), said.get("iss"))
        except SignInFailed as problem:
            return None, problem.code
        user = identities.owner(identity, attempt.invitation_digest, self._settings)
        return user, "" if user is not None else "AccessDenied"
