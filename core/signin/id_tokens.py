"""The checks of an ID token, every one of them written out."""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from core import clock

if TYPE_CHECKING:
    from core.signin.providers import Provider

LEEWAY_SECONDS = 120
_TENANT = "{tenantid}"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class TokenRefused(Exception):
    """An ID token that proves nothing; the message says which check it failed, and nothing of its content that is secret."""


class NotAdmitted(TokenRefused):
    """A sound token of somebody whom this deployment does not let in."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom a provider vouches for. Issuer and subject together are who it is, for ever; the rest may change.

    :ivar tenant: Microsoft's; empty elsewhere.
    :ivar email: as the provider tells it.
    :ivar is_email_verified: whether the provider vouches that the address is this person's.
    """

    issuer: str
    subject: str
    tenant: str
    name: str
    username: str
    email: str
    is_email_verified: bool


def checked(token: str, provider: "Provider", issuer: str, key_of: Callable[[str], Mapping[str, Any] | None], nonce: str,
            now: int) -> Identity:
    """Who it is that an ID token speaks of.

    :param issuer: as the provider's discovery document has it; with ``{tenantid}`` when it is that of many tenants.
    :param key_of: gives the published JWK with this id.
    :raises TokenRefused: when any check fails.
    """
    header = _header(token, provider)
    jwk = key_of(header["kid"])
    if jwk is None:
        raise TokenRefused("no key with its id is published")
    claims = _verified(token, header["alg"], jwk)
    _check_times(claims, now)
    _check_audience(claims, provider)
    _check_nonce(claims, nonce)
    if provider.is_microsoft:
        return _microsoft_identity(claims, provider, issuer, jwk)
    if claims.get("iss") != issuer:
        raise TokenRefused("it is of another issuer")
    if provider.required_claim is not None and not _has(claims, *provider.required_claim):
        raise NotAdmitted(f"it lacks the claim {provider.required_claim[0]} that this deployment requires")
    return _identity(claims, issuer, claims.get("sub"), "", claims.get("email_verified") is True)


def _header(token: str, provider: "Provider") -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenRefused("it is no JWT") from None
    if header.get("alg") not in provider.algorithms:
        raise TokenRefused("it is signed in a way that is not accepted")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise TokenRefused("it is a token of another type")
    if not isinstance(header.get("kid"), str):
        raise TokenRefused("it does not say which key it is signed with")
    return header


def _verified(token: str, algorithm: str, jwk: Mapping[str, Any]) -> dict[str, Any]:
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        raise TokenRefused("its key is for something else")
    try:
        # Only the signature is left to the library: what else it would check, it would check in the words of another specification.
        return jwt.decode(token, jwt.PyJWK(dict(jwk), algorithm), [algorithm], options={"verify_signature": True, "verify_exp": False,
                          "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_iss": False, "verify_sub": False,
                          "verify_jti": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise TokenRefused("its signature does not fit") from None


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    seconds = now // clock.SECOND
    if _moment(claims, "exp") <= seconds - LEEWAY_SECONDS:
        raise TokenRefused("it is over")
    if _moment(claims, "iat") > seconds + LEEWAY_SECONDS or ("nbf" in claims and _moment(claims, "nbf") > seconds + LEEWAY_SECONDS):
        raise TokenRefused("it is of the future")


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"it has no {name}")
    return value


def _check_audience(claims: Mapping[str, Any], provider: "Provider") -> None:
    if claims.get("aud") not in (provider.client_id, [provider.client_id]):
        raise TokenRefused("it is for another application")
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise TokenRefused("it was asked for by another application")


def _check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), nonce.encode()):
        raise TokenRefused("it was made for another sign-in")


def _microsoft_identity(claims: Mapping[str, Any], provider: "Provider", issuer: str, jwk: Mapping[str, Any]) -> Identity:
    tenant, subject = claims.get("tid"), claims.get("oid")
    if claims.get("ver") != "2.0":
        raise TokenRefused("it is not of version 2.0")
    if not isinstance(tenant, str) or not _GUID.fullmatch(tenant):
        raise TokenRefused("it names no tenant")
    if not isinstance(subject, str) or not _GUID.fullmatch(subject):
        raise TokenRefused("it names nobody")
    own_issuer = issuer.replace(_TENANT, tenant)
    if claims.get("iss") != own_issuer:
        raise TokenRefused("issuer and tenant differ, or it is of another issuer")
    is_key_of_tenant = str(jwk.get("issuer")).replace(_TENANT, tenant) == own_issuer
    if not is_key_of_tenant and ("issuer" in jwk or not provider.is_single_tenant):
        raise TokenRefused("its key belongs to another tenant")
    if tenant not in provider.tenants:
        raise NotAdmitted(f"its tenant {tenant} is none of those that may sign in")
    # Nobody vouches for an address in a tenant that strangers manage, unless Microsoft has proved that its domain is the tenant's.
    is_verified = provider.is_single_tenant or claims.get("xms_edov") in (True, 1, "1", "true")
    return _identity(claims, own_issuer, subject, tenant, is_verified)


def _identity(claims: Mapping[str, Any], issuer: str, subject: Any, tenant: str, is_email_verified: bool) -> Identity:
    if not isinstance(subject, str) or not subject or len(subject) > _LONGEST or _CONTROL.search(subject):
        raise TokenRefused("it names nobody")
    email = _shown(claims.get("email"))
    return Identity(issuer.rstrip("/"), subject, tenant, _shown(claims.get("name")), _shown(claims.get("preferred_username")), email,
                    bool(email) and is_email_verified)


def _shown(value: Any) -> str:
    """A text for people to read, on one line; empty when the claim is none."""
    return _CONTROL.sub(" ", value).strip()[:200] if isinstance(value, str) else ""


def _has(claims: Mapping[str, Any], name: str, expected: str) -> bool:
    value = claims.get(name)
    return expected in value if isinstance(value, list) else value == expected
