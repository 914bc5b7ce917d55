"""A deployment that signs people in with the stand-in, and browsers that go there and back."""

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from flask import Flask
from flask.testing import FlaskClient

from core.app import create_app
from core.hooks.manager import Plugins
from core.people.models import User
from core.settings import Settings
from core.signin import identities, providers
from core.testing.openid import NORTHWIND, REALM, App, World
from tests.factories import SETTINGS

CLIENT_ID, SECRET = "66666666-7777-4888-9999-aaaaaaaaaaaa", "s3cret/with+signs=&more"
BACK = ("http://localhost/api/auth/callback/microsoft", "http://localhost/api/auth/callback/oidc", "http://localhost/v1/auth/redirect")


def new_world() -> World:
    return World(App(CLIENT_ID, SECRET, BACK))


def settings_for(provider_url: str, **changes: Any) -> Settings:
    """With Microsoft of one tenant; ``changes`` as ``Settings`` has them."""
    microsoft = replace(SETTINGS, oidc_microsoft_client_id=CLIENT_ID, oidc_microsoft_client_secret=SECRET, oidc_microsoft_tenant=NORTHWIND,
                        oidc_microsoft_authority=provider_url)
    return replace(microsoft, **changes)


def with_realm(provider_url: str, **changes: Any) -> Settings:
    """With the Keycloak-shaped provider alone."""
    realm = replace(SETTINGS, oidc_issuer=f"{provider_url}/realms/{REALM}", oidc_client_id=CLIENT_ID, oidc_client_secret=SECRET,
                    oidc_name="Keycloak")
    return replace(realm, **changes)


def app_for(settings: Settings, database: str) -> Flask:
    settings = replace(settings, database_url=database)
    return create_app(settings, plugins=Plugins(settings))


def know(user: User, world: World, provider_url: str, key: str) -> None:
    """Let the user's identity be that of a person at the stand-in."""
    person = world.people[key]
    [provider] = providers.configured(settings_for(provider_url))
    identities.link(user, provider.identity_of(person.oid, person.tenant), actor="test")


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass
class Browser:
    """A browser of its own; the provider's pages are fetched without it, for it keeps nothing of them."""

    app: Flask
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def set_out(self, provider: str = "microsoft", **more: str) -> str:
        """The address at the provider that it is sent to."""
        answer = self.client.post(f"/api/auth/signin/{provider}", data={"csrfToken": self.csrf_token, "json": "true", **more})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()["url"]

    @property
    def csrf_token(self) -> str:
        return self.client.get("/api/auth/csrf").get_json()["csrfToken"]

    def come_back(self, location: str) -> Any:
        parts = urlsplit(location)
        return self.client.get(f"{parts.path}?{parts.query}")

    def sign_in(self, provider: str = "microsoft", **more: str) -> Any:
        """All the way; the answer to coming back."""
        return self.come_back(at_provider(self.set_out(provider, **more)))

    @property
    def user(self) -> dict[str, Any]:
        """Who is signed in; empty when nobody is."""
        return self.client.get("/api/auth/session").get_json().get("user", {})


def at_provider(url: str) -> str:
    """Where the provider sends the browser after whoever signs in there has done so."""
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def error_of(answer: Any) -> str:
    """What the sign-in page is to say."""
    assert urlsplit(answer.headers["Location"]).path == "/signin", answer.headers["Location"]
    return query_of(answer.headers["Location"]).get("error", "")
