"""Fixtures: a Snyk stand-in on the loopback, and pulls opened against it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest

from core.hooks.contracts import FindingDraft, Unmapped
from core.http.upstream import Upstream, UpstreamPolicy
from core.testing.standin import StandIn
from plugins.snyk.connector import SnykConnector, SnykPull
from plugins.snyk.settings import SnykSettings
from plugins.snyk.upstream import Token, World, create_app
from tests.servers import HURRIED


class _Port:
    """A server that stays, for one app after another: starting one for each of some hundred tests would take most of their time."""

    def __init__(self) -> None:
        self.app: Any = None
        self.server = StandIn(self)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


@pytest.fixture(scope="session")
def ports() -> Iterator[list[_Port]]:
    """Those opened so far."""
    opened: list[_Port] = []
    yield opened
    for port in opened:
        port.server.stop()


@pytest.fixture
def serve(ports: list[_Port]) -> Iterator[Callable[..., str]]:
    """Serves an app on a loopback port until the test ends, and gives its address."""
    with ExitStack() as running:
        taken = count()

        def served(app: Any, **kw: Any) -> str:
            if kw:
                return running.enter_context(StandIn(app, **kw)).url
            number = next(taken)
            if number == len(ports):
                ports.append(_Port())
                ports[number].server.start()
            ports[number].app = app
            return ports[number].server.url

        yield served


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
