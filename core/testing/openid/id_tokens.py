"""ID tokens of the stand-in: true ones, and the ones that it was told to make wrong."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization

from core.testing.openid.world import CONTOSO, Code, Key, World

_LASTS_SECONDS = 3900
_BEFORE_SECONDS = 300


@dataclass
class Draft:
    """An ID token before it is signed."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key: Key


def made(world: World, code: Code, faults: set[str]) -> str:
    """The ID token for a redeemed code."""
    key = world.signing_key
    draft = Draft({"typ": "JWT", "alg": "RS256", "kid": key.kid}, _claims(code), key)
    for kind in faults & _SPOILERS.keys():
        _SPOILERS[kind](draft, world, code)
    return _signed(draft, world, faults)


def _claims(code: Code) -> dict[str, Any]:
    now, person = int(time.time()), code.person
    claims = {"iss": code.issuer.replace("{tenantid}", person.tenant), "aud": code.app.client_id, "iat": now, "nbf": now,
              "exp": now + _LASTS_SECONDS, "nonce": code.nonce, "name": person.name, "preferred_username": person.username,
              "email": person.email, "sub": _pairwise(code)}
    if "/realms/" in code.issuer:
        claims |= {"azp": code.app.client_id, "email_verified": True, "typ": "ID"}
    else:
        claims |= {"ver": "2.0", "oid": person.oid, "tid": person.tenant, "rh": "0.opaque", "uti": "opaque"}
    return {name: value for name, value in (claims | dict(person.more)).items() if value is not None}


def _pairwise(code: Code) -> str:
    digest = hashlib.sha256(f"{code.app.client_id} {code.person.oid}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _signed(draft: Draft, world: World, faults: set[str]) -> str:
    if "alg_none" in faults:
        return f"{_part({**draft.header, 'alg': 'none'})}.{_part(draft.claims)}."
    if "alg_hs256" in faults:
        return _sealed(draft, draft.key.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    if "alg_hs256_secret" in faults:
        return _sealed(draft, world.app.secret.encode())
    token = jwt.encode(draft.claims, draft.key.private, draft.header["alg"], headers=draft.header)
    return token[:-20] if "broken" in faults else token


def _sealed(draft: Draft, secret: bytes) -> str:
    """HS256 by hand: libraries refuse to take a public key for a secret."""
    body = f"{_part({**draft.header, 'alg': 'HS256'})}.{_part(draft.claims)}"
    return f"{body}.{base64.urlsafe_b64encode(hmac.new(secret, body.encode(), hashlib.sha256).digest()).rstrip(b'=').decode()}"


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _claim(**changes: Any) -> Callable[[Draft, World, Code], None]:
    """Sets claims, or with None takes them out."""
    def spoil(draft: Draft, world: World, code: Code) -> None:
        draft.claims = {name: value for name, value in (draft.claims | changes).items() if value is not None}
    return spoil


def _in_seconds(**offsets: int) -> Callable[[Draft, World, Code], None]:
    def spoil(draft: Draft, world: World, code: Code) -> None:
        draft.claims |= {name: int(time.time()) + offset for name, offset in offsets.items()}
    return spoil


def _many_audiences(draft: Draft, world: World, code: Code) -> None:
    draft.claims["aud"] = [code.app.client_id, "another-application"]


def _unknown_key(draft: Draft, world: World, code: Code) -> None:
    draft.key = world.unpublished_key()
    draft.header["kid"] = draft.key.kid


def _foreign_key(draft: Draft, world: World, code: Code) -> None:
    draft.key = world.unpublished_key()


def _access_token(draft: Draft, world: World, code: Code) -> None:
    draft.header["typ"] = "at+jwt"


_SPOILERS: dict[str, Callable[[Draft, World, Code], None]] = {
    "wrong_aud": _claim(aud="another-application"), "many_aud": _many_audiences, "wrong_azp": _claim(azp="another-application"),
    "wrong_iss": _claim(iss="https://evil.example/v2.0"), "foreign_tid": _claim(tid=CONTOSO), "no_tid": _claim(tid=None),
    "expired": _in_seconds(exp=-_BEFORE_SECONDS, iat=-_LASTS_SECONDS, nbf=-_LASTS_SECONDS), "not_yet": _in_seconds(nbf=_BEFORE_SECONDS),
    "no_exp": _claim(exp=None), "wrong_nonce": _claim(nonce="another nonce"), "no_nonce": _claim(nonce=None), "no_oid": _claim(oid=None),
    "no_sub": _claim(sub=None), "old_version": _claim(ver="1.0"), "unknown_kid": _unknown_key, "foreign_key": _foreign_key,
    "wrong_type": _access_token,
}
