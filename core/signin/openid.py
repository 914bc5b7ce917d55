"""OpenID Connect towards one provider: its discovery document, its keys, the address to send people to, and codes for ID tokens."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from core import clock
from core.hooks.failures import AnswerInvalid, ConnectorError, UpstreamRefused
from core.http.upstream import Upstream, UpstreamPolicy
from core.settings import is_loopback
from core.signin.id_tokens import Identity, NotAdmitted, TokenRefused, checked

if TYPE_CHECKING:
    from core.signin.providers import Provider

log = logging.getLogger(__name__)

_METADATA_KEPT = 12 * clock.HOUR
_KEYS_KEPT = 24 * clock.HOUR
#: an unknown key id is looked up at once, and then not again for so long, whatever comes
_KEYS_ASKED_AGAIN = 5 * clock.MINUTE


class SignInFailed(Exception):
    """The provider did not sign anybody in. The message is for the log; ``code`` is what the person is told.

    :ivar code: one of the words of ``core.signin.service``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Metadata:
    """What we need of a discovery document. ``issuer`` may hold ``{tenantid}``; ``tells_issuer`` when every answer names it (RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_secret_in_form: bool
    tells_issuer: bool = False


class OpenIdClient:
    """One provider, asked by one process. What it told is kept for hours, and on when it cannot be reached."""

    def __init__(self, provider: "Provider", policy: UpstreamPolicy, now: Callable[[], int] = clock.now) -> None:
        self.provider = provider
        self._policy = policy
        self._now = now
        self._lock = threading.Lock()
        self._metadata: tuple[int, Metadata] | None = None
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._keys_at = 0
        self._unknown_at = 0

    def authorization_url(self, redirect_uri: str, state: str, nonce: str, code_verifier: str) -> str:
        """Where to send the person.

        :raises SignInFailed: when the provider cannot be asked where that is.
        """
        try:
            metadata = self._known_metadata()
        except ConnectorError as problem:
            raise self._failed(f"cannot be asked how to sign in: {problem}", "OAuthSignin") from problem
        # Without select_account whoever used this browser before is signed in again without a question.
        more = {"prompt": "select_account"} if self.provider.is_microsoft else {}
        challenge = {"code_challenge": create_s256_code_challenge(code_verifier), "code_challenge_method": "S256"}
        return prepare_grant_uri(metadata.authorization_endpoint, self.provider.client_id, "code", redirect_uri, self.provider.scopes,
                                 state, nonce=nonce, **challenge, **more)

    def identity(self, code: str, redirect_uri: str, nonce: str, code_verifier: str, answered_by: str | None = None) -> Identity:
        """Who it is that came back with this code.

        :param answered_by: the issuer that the answer names; None when it names none.
        :raises SignInFailed: when the provider does not take the code, or its ID token is not acceptable.
        """
        try:
            metadata = self._known_metadata()
            if not _is_answer_of(metadata, answered_by):
                raise self._failed("is not the one that answered, by what the answer says", "OAuthCallback")
            token = self._redeemed(metadata, code, redirect_uri, code_verifier)
            return checked(token, self.provider, metadata.issuer, self._key, nonce, self._now())
        except ConnectorError as problem:
            raise self._failed(f"did not redeem a code: {problem}", "OAuthCallback") from problem
        except NotAdmitted as problem:
            raise self._failed(f"vouched for somebody who may not sign in: {problem}", "AccessDenied") from problem
        except TokenRefused as problem:
            raise self._failed(f"sent an ID token that is not acceptable: {problem}", "OAuthCallback") from problem

    def _failed(self, what: str, code: str) -> SignInFailed:
        log.warning("sign-in with %s: it %s", self.provider.id, what)
        return SignInFailed(f"{self.provider.name} {what}", code)

    def _redeemed(self, metadata: Metadata, code: str, redirect_uri: str, code_verifier: str) -> str:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier}
        answer = self._ask(metadata.token_endpoint, fields, metadata.takes_secret_in_form)
        if not isinstance(answer, dict) or not isinstance(answer.get("id_token"), str):
            raise AnswerInvalid(f"the answer of {metadata.token_endpoint} holds no ID token")
        return answer["id_token"]

    # -- what the provider tells of itself ------------------------------------------------------------------------------------

    def _known_metadata(self) -> Metadata:
        kept = self._metadata
        if kept is not None and self._now() - kept[0] < _METADATA_KEPT:
            return kept[1]
        try:
            fresh = self._read_metadata(self._ask(self.provider.authority + "/.well-known/openid-configuration"))
        except ConnectorError as problem:
            if kept is None:
                raise
            log.warning("sign-in with %s: going on with what it told earlier: %s", self.provider.id, problem)
            fresh = kept[1]
        self._metadata = (self._now(), fresh)
        return fresh

    def _read_metadata(self, document: Any) -> Metadata:
        try:
            issuer = document["issuer"]
            endpoints = [document[name] for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
            methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            takes_secret_in_form = "client_secret_post" in methods
        except (KeyError, TypeError, AttributeError):
            raise AnswerInvalid("its discovery document lacks what every provider tells") from None
        if issuer not in self._expected_issuers():
            raise UpstreamRefused(f"its discovery document is of another issuer: {str(issuer)[:200]}")
        for endpoint in endpoints:
            self._refuse_plain(endpoint)
        return Metadata(issuer, endpoints[0], endpoints[1], endpoints[2], takes_secret_in_form,
                        document.get("authorization_response_iss_parameter_supported") is True)

    def _expected_issuers(self) -> set[str]:
        authority = self.provider.authority
        if self.provider.is_single_tenant:
            return {authority, authority + "/"}
        root = authority.removesuffix("/v2.0").rpartition("/")[0]
        return {f"{root}/{{tenantid}}/v2.0"}

    def _refuse_plain(self, endpoint: Any) -> None:
        """A document that was fetched safely must not lead to where it is not safe."""
        parts = urlsplit(endpoint if isinstance(endpoint, str) else "")
        may_be_plain = is_loopback(urlsplit(self.provider.authority).hostname or "") and is_loopback(parts.hostname or "")
        if parts.scheme != "https" and not (parts.scheme == "http" and may_be_plain):
            raise UpstreamRefused("its discovery document names an address without https")

    def _key(self, kid: str) -> Mapping[str, Any] | None:
        """The published key with this id, looked up anew when it is not known."""
        if self._now() - self._keys_at >= _KEYS_KEPT:
            self._look_up_keys(may_fail=bool(self._keys))
        if kid in self._keys:
            return self._keys[kid]
        with self._lock:  # whoever else comes with the new key meanwhile waits for it
            moment = self._now()
            if kid not in self._keys and self._keys_at < moment and moment - self._unknown_at >= _KEYS_ASKED_AGAIN:
                self._unknown_at = moment
                self._look_up_keys(may_fail=True)
        return self._keys.get(kid)

    def _look_up_keys(self, *, may_fail: bool) -> None:
        keys: dict[str, Mapping[str, Any]] = {}
        try:
            document = self._ask(self._known_metadata().jwks_uri)
            keys = {key["kid"]: key for key in document["keys"] if isinstance(key, dict) and isinstance(key.get("kid"), str)}
        except (KeyError, TypeError):
            log.warning("sign-in with %s: what lies where its keys should be is something else", self.provider.id)
        except ConnectorError as problem:
            if not may_fail:
                raise
            log.warning("sign-in with %s: its keys could not be read, those that are known stay: %s", self.provider.id, problem)
            return
        if keys:
            self._keys, self._keys_at = keys, self._now()

    def _ask(self, address: str, form: Mapping[str, str] | None = None, secret_in_form: bool = True) -> Any:
        """The JSON at an address of the provider; with a form it is sent there, as this application."""
        parts = urlsplit(address)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        client_id, secret = self.provider.client_id, self.provider.client_secret
        basic = None
        if form is not None and secret and not secret_in_form:
            basic = (quote_plus(client_id), quote_plus(secret))
        elif form is not None:
            form = {**form, "client_id": client_id, **({"client_secret": secret} if secret else {})}
        upstream = Upstream(f"{parts.scheme}://{parts.netloc}", self._policy, auth=basic,
                            secrets=[text for text in (secret, *(form or {}).values()) if text])
        return upstream.get(path) if form is None else upstream.post_form(path, form)


def _is_answer_of(metadata: Metadata, answered_by: str | None) -> bool:
    """Whether an answer can be this provider's, so that no code that another one gave is handed to it. One of many tenants answers in the
    name of one of them."""
    if answered_by is None:
        return not metadata.tells_issuer
    beginning, is_of_many, _ = metadata.issuer.partition("{tenantid}")
    return answered_by.startswith(beginning) if is_of_many else answered_by == metadata.issuer
