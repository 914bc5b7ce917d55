"""Fixtures: a Snyk stand-in on the loopback, and pulls opened against it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from core.hooks.contracts import FindingDraft, Unmapped
from core.http.upstream import Upstream, UpstreamPolicy
from core.testing.standin import StandIn
from plugins.snyk.connector import SnykConnector, SnykPull
from plugins.snyk.settings import SnykSettings
from plugins.snyk.upstream import Token, World, create_app
from tests.plugins.snyk.worlds import HURRIED


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts an app on a loopback port until the test ends, and gives its address."""
    with ExitStack() as running:
        yield lambda app, **kw: running.enter_context(StandIn(app, **kw)).url


@pytest.fixture
def open_at() -> Callable[..., SnykPull]:
    """Opens a pull with these settings, as core does: through the form."""

    def opened(*, policy: UpstreamPolicy = HURRIED, **settings: Any) -> SnykPull:
        return SnykConnector().open(SnykSettings().load(settings), lambda base, **kw: Upstream(base, policy, **kw))

    return opened


@pytest.fixture
def pull_of(serve, open_at) -> Callable[..., SnykPull]:
    """Serves a world and opens a pull of it with a token that sees all, or with the token's rights given. Nothing else given,
    it pulls every organization."""

    def opened(world: World, token: Token | None = None, **settings: Any) -> SnykPull:
        if "group" not in settings:
            settings.setdefault("organizations", ", ".join(one.slug for one in world.organizations.values()))
        value = settings.pop("value", None) or world.admit(token)
        return open_at(url=serve(create_app(world)), token=value, **settings)

    return opened


@pytest.fixture
def findings_of() -> Callable[..., dict[str, list[FindingDraft | Unmapped]]]:
    """What a pull of everything gives, by the asset's key."""
    return lambda pull: {asset.key: list(pull.findings(asset)) for asset in pull.catalog()}
