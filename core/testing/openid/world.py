"""Who can sign in at the stand-in, with which keys it signs, and what it does wrong on request."""

import json
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin, list_to_scope, scope_to_list
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from core.testing.faults import Faults

NORTHWIND = "11111111-2222-4333-8444-555555555555"
CONTOSO = "22222222-3333-4444-8555-666666666666"
STRANGE = "33333333-4444-4555-8666-777777777777"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
TENANTS = frozenset({NORTHWIND, CONTOSO, STRANGE, CONSUMERS})
REALM = "stockade"  # of the Keycloak-shaped provider, beside the Microsoft-shaped one

#: what it does wrong with an ID token, or with the answer that holds it
KINDS = {
    "wrong_aud": "the ID token is for another application", "many_aud": "it is for another application as well",
    "wrong_azp": "it was asked for by another application", "wrong_iss": "it is of another issuer",
    "foreign_tid": "issuer and tenant differ", "no_tid": "it names no tenant", "expired": "it is over", "not_yet": "it is of the future",
    "no_exp": "it never ends", "wrong_nonce": "it has another nonce", "no_nonce": "it has none", "no_oid": "it names nobody",
    "no_sub": "it names nobody", "old_version": "it is of version 1.0", "alg_none": "it is not signed",
    "alg_hs256": "it is sealed with the public key", "alg_hs256_secret": "it is sealed with the application's secret",
    "unknown_kid": "its key is not published", "foreign_key": "it is signed by another key under a published id",
    "other_tenants_key": "its key belongs to another tenant", "broken": "it is cut short",
    "no_id_token": "the answer holds no ID token", "wrong_type": "it is an access token", "access_denied": "the person declined",
    "secret_expired": "the application's secret has expired",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account. ``oid`` is the same for all applications of the tenant."""

    key: str
    name: str
    username: str
    tenant: str
    oid: str
    email: str | None = None
    more: tuple[tuple[str, Any], ...] = ()


PEOPLE = (
    Person("alex", "Alex Admin", "alex@northwind.example", NORTHWIND, "0a000000-0000-4000-8000-000000000001", "admin@demo.example"),
    Person("vera", "Vera Viewer", "vera@northwind.example", NORTHWIND, "0a000000-0000-4000-8000-000000000002", "viewer@demo.example"),
    Person("kari", "Kåri Nordmann-Żółć", "kari@northwind.example", NORTHWIND, "0a000000-0000-4000-8000-000000000003",
           "kari@northwind.example", (("roles", ["Platform.Admin"]),)),
    Person("nomail", "No Mailbox", "nomail@northwind.example", NORTHWIND, "0a000000-0000-4000-8000-000000000004"),
    Person("guest", "Gus Guest", "gus_contoso.example#EXT#@northwind.example", NORTHWIND, "0a000000-0000-4000-8000-000000000005",
           "gus@contoso.example", (("idp", f"https://sts.windows.net/{CONTOSO}/"),)),
    Person("carl", "Carl Contoso", "carl@contoso.example", CONTOSO, "0b000000-0000-4000-8000-000000000001", "carl@contoso.example"),
    # in a tenant of his own, with the address of somebody else: how accounts are taken over where they are found by e-mail
    Person("mallory", "Mallory", "mallory@strange.example", STRANGE, "0c000000-0000-4000-8000-000000000001", "admin@demo.example"),
    Person("pat", "Pat Personal", "pat@outlook.example", CONSUMERS, "00000000-0000-0000-0a0b-000000000001", "pat@outlook.example"),
)


@dataclass(frozen=True, slots=True)
class Key:
    """``issuer`` is the property that Microsoft's published keys have beside those of the standard."""

    kid: str
    private: rsa.RSAPrivateKey
    issuer: str

    @property
    def public_jwk(self) -> dict[str, Any]:
        jwk = json.loads(RSAAlgorithm.to_jwk(self.private.public_key()))
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid, "n": jwk["n"], "e": jwk["e"]}


@cache
def _private(number: int) -> rsa.RSAPrivateKey:
    """Made once in a process: making one takes longer than a whole sign-in."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class App(ClientMixin):
    """An application that was registered."""

    client_id: str
    secret: str
    redirect_uris: tuple[str, ...]
    auth_methods: tuple[str, ...] = ("client_secret_post", "client_secret_basic")

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str) -> str:
        return list_to_scope(scope_to_list(scope) if scope else [])

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in self.auth_methods

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass(slots=True)
class Code:
    """What an authorization code stands for."""

    text: str
    app: App
    person: Person
    issuer: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    auth_time: int = field(default_factory=lambda: int(time.time()))

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class World:
    """Everything that one stand-in knows.

    :ivar signs_in: the key of the person who signs in without being asked; empty shows the page to pick one.
    """

    def __init__(self, app: App, people: tuple[Person, ...] = PEOPLE) -> None:
        self.app = app
        self.people = {person.key: person for person in people}
        self.signs_in = ""
        self.faults = Faults(KINDS)
        self.codes: dict[str, Code] = {}
        self.spent: set[str] = set()
        self._made = 0
        self.keys: list[Key] = []
        self.rotate()
        self.rotate(drop=False)

    def rotate(self, *, drop: bool = True) -> Key:
        """Sign with a new key from now on; with ``drop`` the earlier ones are no longer published."""
        self._made += 1
        key = Key(f"sim-key-{self._made}", _private(self._made), "{base}/{tenantid}/v2.0")
        self.keys = [key] if drop else [key, *self.keys]
        return key

    @property
    def signing_key(self) -> Key:
        return self.keys[0]

    def unpublished_key(self) -> Key:
        return Key("sim-key-unknown", _private(0), "{base}/{tenantid}/v2.0")

    def who(self, hint: str) -> Person | None:
        """The person whom a login hint or the picker means."""
        return next((person for person in self.people.values() if hint in (person.key, person.username)), None)
