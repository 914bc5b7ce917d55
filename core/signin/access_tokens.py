"""Access tokens: JWTs of ten minutes that say who signed in, and with which client. What he may do is read anew with each request."""

import secrets
from dataclasses import dataclass
from typing import Any

import jwt

from core import clock
from core.settings import Settings
from core.signin import keys

LIFETIME = 10 * clock.MINUTE
TYPE = "at+jwt"  # of RFC 9068, so that no other token of ours can be taken for one
AUDIENCE = "stockade"
_LEEWAY_SECONDS = 10  # as far as the clocks of our machines may differ
_REQUIRED = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: whose it is, of which family, and when it ends."""

    user_id: str
    family_id: str
    expires_at: int


def issuer(settings: Settings) -> str:
    # Never from the request: whoever sends the Host header would choose it.
    return settings.public_url.rstrip("/") or "urn:stockade"


def issue(keyring: Any, settings: Settings, user_id: str, family_id: str) -> str:
    """A signed token for the client of this family."""
    moment = clock.now()
    signer = keys.signer(keyring)
    claims = {"iss": issuer(settings), "aud": AUDIENCE, "client_id": AUDIENCE, "sub": user_id, "sid": family_id,
              "jti": secrets.token_urlsafe(12), "iat": moment // clock.SECOND, "exp": (moment + LIFETIME) // clock.SECOND}
    return jwt.encode(claims, signer.private_key, keys.ALGORITHM, headers={"kid": signer.kid, "typ": TYPE})


def read(text: str, settings: Settings, verifiers: keys.Verifiers) -> Claims | None:
    """What a token says; None when it is not one of ours, not for us, over, or not well formed.

    The key is ours by its id, and the algorithm the one that our keys have: neither is chosen by the token.
    """
    try:
        header = jwt.get_unverified_header(text)
        kid = header.get("kid")
        if header.get("typ") != TYPE or header.get("alg") != keys.ALGORITHM or not isinstance(kid, str):
            return None
        key = verifiers.get(kid)
        if key is None:
            return None
        claims = jwt.decode(text, key, [keys.ALGORITHM], audience=AUDIENCE, issuer=issuer(settings), leeway=_LEEWAY_SECONDS,
                            options={"require": _REQUIRED, "strict_aud": True})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    if not isinstance(claims["sub"], str) or not isinstance(claims["sid"], str):
        return None
    return Claims(claims["sub"], claims["sid"], int(claims["exp"]) * clock.SECOND)
