"""Fixtures: a Checkmarx One stand-in on the loopback, and pulls opened against it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask, jsonify

from core.hooks.contracts import AssetDraft, FindingDraft
from core.http.upstream import Upstream, UpstreamPolicy
from core.testing.standin import StandIn
from plugins.checkmarx.connector import CheckmarxConnector, CheckmarxPull
from plugins.checkmarx.settings import CheckmarxSettings
from plugins.checkmarx.upstream import Credential, World, create_app
from plugins.checkmarx.upstream.world import make_jwt
from tests.servers import HURRIED

CLIENT, SECRET = "findings-portal", "client-secret-nobody-may-see"


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts an app on a loopback port until the test ends, and gives its address."""
    with ExitStack() as running:
        yield lambda app, **kw: running.enter_context(StandIn(app, **kw)).url


@pytest.fixture
def open_at() -> Callable[..., CheckmarxPull]:
    """Opens a pull with these settings, as core does: through the form."""

    def opened(*, policy: UpstreamPolicy = HURRIED, **settings: Any) -> CheckmarxPull:
        return CheckmarxConnector().open(CheckmarxSettings().load(settings), lambda base, **kw: Upstream(base, policy, **kw))

    return opened


@pytest.fixture
def settings_for(serve) -> Callable[..., dict[str, Any]]:
    """Serves a world, admits an OAuth client to its first tenant with the rights given, and tells the settings to connect with."""

    def settings(world: World, **rights: Any) -> dict[str, Any]:
        tenant = next(iter(world.tenants))
        world.admit_client(Credential(tenant, CLIENT, SECRET, **rights))
        return {"url": serve(create_app(world)), "tenant": tenant, "client_id": CLIENT, "client_secret": SECRET}

    return settings


@pytest.fixture
def pull_of(settings_for, open_at) -> Callable[..., CheckmarxPull]:
    """Serves a world and opens a pull of its first tenant.

    ``rights`` are those of its credential, all else are settings.
    """

    def opened(world: World, rights: dict[str, Any] | None = None, **settings: Any) -> CheckmarxPull:
        return open_at(**{**settings_for(world, **(rights or {})), **settings})

    return opened


@pytest.fixture
def pull_answered(serve, open_at) -> Callable[..., CheckmarxPull]:
    """Opens a pull of a service that gives any token and answers these paths with these bodies, or with what they return."""

    def opened(answers: Mapping[str, Any], **settings: Any) -> CheckmarxPull:
        app = Flask("answers")
        app.add_url_rule("/auth/<path:_>", "token", lambda _: {"access_token": make_jwt({}), "expires_in": 60}, methods=["POST"])

        def answer(path: str) -> Any:
            told = answers.get(f"/api/{path}", ("", 404))
            return told() if callable(told) else jsonify(told) if not isinstance(told, tuple) else told

        app.add_url_rule("/api/<path:path>", "any", answer)
        return open_at(**{"url": serve(app), "tenant": "acme", "client_id": CLIENT, "client_secret": SECRET, **settings})

    return opened


@pytest.fixture
def findings_of() -> Callable[..., dict[str, FindingDraft]]:
    """All findings of the asset with this key, by their own; fails when a record could not be read."""

    def pulled(pull: CheckmarxPull, key: str) -> dict[str, FindingDraft]:
        return {finding.source_key: finding for finding in everything_of(pull, key)}

    return pulled


def everything_of(pull: CheckmarxPull, key: str) -> list[Any]:
    """All that a pull gives of the asset with this key, as it comes."""
    return list(pull.findings(AssetDraft(key, key, "checkmarx_appsec")))
