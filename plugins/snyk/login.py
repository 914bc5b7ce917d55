"""How a connection identifies itself to Snyk: a token that stays as it is, or one that is fetched with OAuth and renewed."""

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.hooks.contracts import UpstreamMaker
from core.hooks.failures import AnswerInvalid, LoginRejected, NotThere, UpstreamRefused, WrongService

_TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path
_ACCEPTED = "application/vnd.api+json, application/json;q=0.9"
_RENEWED_BEFORE = 60.0  # seconds before it ends, or the last tenth of a life that is shorter
_LATEST = 250_000_000_000  # seconds; no date is later than the year 9999
_SELF_TELLING = re.compile(r"snyk_(?:uat|sat)\.[a-z0-9]{8}\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a newer token tells of itself: the host of its region, and when it ends (milliseconds)."""

    host: str = ""
    expires: int | None = None


def token_facts(token: str) -> TokenFacts:
    """What can be read in the token; nothing for the older kinds, which are plain ids."""
    found = _SELF_TELLING.fullmatch(token)
    if not found:
        return TokenFacts()
    try:
        told = json.loads(base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)))
        host, ends = told.get("h"), told.get("e")
    except (ValueError, binascii.Error, AttributeError):
        return TokenFacts()
    is_date = isinstance(ends, int | float) and 0 < ends < _LATEST
    return TokenFacts(host if isinstance(host, str) else "", int(ends * 1000) if is_date else None)


class TokenLogin:
    """A token given by the administrator."""

    def __init__(self, upstream: UpstreamMaker, base: str, token: str, ca_pem: str = "") -> None:
        self.facts = token_facts(token)
        scheme = "bearer" if _JWT.fullmatch(token) else "token"
        self._carrier = upstream(base, headers={"Authorization": f"{scheme} {token}", "Accept": _ACCEPTED}, secrets=[token], ca_pem=ca_pem)

    def get(self, path: str) -> Any:
        """The decoded answer of a GET with the token."""
        return self._carrier.get(path)

    @property
    def last_headers(self) -> Mapping[str, str]:
        """Headers of the last answer."""
        headers: Mapping[str, str] = self._carrier.last_headers
        return headers


class OAuthLogin:
    """A service account that signs in with its client's id and secret. Tokens live for about an hour, so that a long pull
    needs several."""

    def __init__(self, upstream: UpstreamMaker, base: str, client_id: str, client_secret: str, ca_pem: str = "") -> None:
        self.facts = TokenFacts()
        self._maker, self._base, self._ca_pem = upstream, base, ca_pem
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._issuer = upstream(base, secrets=[client_secret], ca_pem=ca_pem)
        self._carrier: Any = None
        self._renew_at = 0.0

    def get(self, path: str) -> Any:
        """The decoded answer of a GET with a token that is still good; one that is refused early is renewed once."""
        is_new = self._carrier is None or time.monotonic() >= self._renew_at
        if is_new:
            self._renew()
        try:
            return self._carrier.get(path)
        except LoginRejected:
            if is_new:
                raise
            self._renew()
            return self._carrier.get(path)

    @property
    def last_headers(self) -> Mapping[str, str]:
        """Headers of the last answer."""
        return self._carrier.last_headers if self._carrier is not None else {}

    def _renew(self) -> None:
        try:
            answer = self._issuer.post_form(_TOKEN_PATH, {"grant_type": "client_credentials", **self._client})
        except UpstreamRefused as problem:  # token services answer 400 to what they do not know
            raise LoginRejected(f"The OAuth client was refused: {problem}") from None
        except (AnswerInvalid, NotThere) as problem:
            raise WrongService(f"What answers at {self._base} is not Snyk: {problem}") from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        lives = answer.get("expires_in") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise WrongService(f"What answers at {self._base} gives no OAuth token")
        self._carrier = self._maker(self._base, headers={"Authorization": f"bearer {token}", "Accept": _ACCEPTED}, secrets=[token],
                                    ca_pem=self._ca_pem)
        seconds = float(lives) if isinstance(lives, int | float) else 0.0
        self._renew_at = time.monotonic() + seconds - min(_RENEWED_BEFORE, seconds / 10)


Login = TokenLogin | OAuthLogin


def login(upstream: UpstreamMaker, base: str, settings: Mapping[str, Any]) -> Login:
    """The login that the settings ask for."""
    ca_pem = settings.get("ca_certificate") or ""
    if settings.get("client_id"):
        return OAuthLogin(upstream, base, settings["client_id"], settings.get("client_secret") or "", ca_pem)
    return TokenLogin(upstream, base, settings.get("token") or "", ca_pem)
