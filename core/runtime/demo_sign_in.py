"""The demo's sign-in with Microsoft: a stand-in on this machine, which knows the demo's people and asks for no password."""

import os
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from core.runtime import ports
from core.settings import PREFIX, Settings
from core.testing.standin import StandInProcess

MODULE = "core.testing.openid"
#: which person at the stand-in is which of the demo's users
PEOPLE = {"admin@demo.example": "alex", "viewer@demo.example": "vera"}
_CLIENT_ID = "66666666-7777-4888-9999-aaaaaaaaaaaa"
_PORTS = range(41900, 42000)


def environ_for(given: Mapping[str, str], home: Path) -> dict[str, str]:
    """The variables that make the stand-in the demo's provider; none when a provider is configured already."""
    from core.testing.openid.world import NORTHWIND

    if any(name.startswith(f"{PREFIX}OIDC_") for name in given):
        return {}
    port = next(filter(ports.is_free, _in_turn(home)), None)
    if port is None:
        return {}
    values = {"CLIENT_ID": _CLIENT_ID, "CLIENT_SECRET": secrets.token_urlsafe(24), "TENANT": NORTHWIND,
              "AUTHORITY": f"http://127.0.0.1:{port}"}
    return {f"{PREFIX}OIDC_MICROSOFT_{name}": value for name, value in values.items()}


def _in_turn(home: Path) -> Iterator[int]:
    """All ports, from one on that the folder decides: the stand-in listens a second later, and of two demos that start at once each would
    find the same first one free."""
    first = zlib.crc32(str(home.resolve()).encode())
    return (_PORTS[(first + number) % len(_PORTS)] for number in range(len(_PORTS)))


def is_ours(settings: Settings) -> bool:
    return settings.oidc_microsoft_client_id == _CLIENT_ID and _port(settings) in _PORTS


def ensure_identities(settings: Settings) -> None:
    """Let the people of the stand-in be the demo's users, at its present address."""
    from core.people import service as people
    from core.people.models import UserIdentity
    from core.signin import identities, providers
    from core.testing.openid.world import PEOPLE as EVERYBODY

    provider = next(found for found in providers.configured(settings) if found.is_microsoft)
    persons = {person.key: person for person in EVERYBODY}
    for email, key in PEOPLE.items():
        identity = provider.identity_of(persons[key].oid, persons[key].tenant)
        if not UserIdentity.select().where(UserIdentity.issuer == identity.issuer, UserIdentity.subject == identity.subject).exists():
            identities.link(people.by_email(email), identity, actor="demo")


def process(settings: Settings, addresses: Sequence[str]) -> StandInProcess:
    """The stand-in, to be started.

    :param addresses: where people reach the demo, and so may be sent back to.
    """
    back = [f"{address}{path}" for address in addresses for path in ("/api/auth/callback/microsoft", "/v1/auth/redirect")]
    arguments = ["--port", str(_port(settings)), "--client-id", settings.oidc_microsoft_client_id]
    for uri in back:
        arguments += ["--redirect-uri", uri]
    return StandInProcess(MODULE, arguments, env={**os.environ, "STANDIN_CLIENT_SECRET": settings.oidc_microsoft_client_secret})


def _port(settings: Settings) -> int | None:
    return urlsplit(settings.oidc_microsoft_authority).port
