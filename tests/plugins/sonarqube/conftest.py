"""Fixtures: a SonarQube stand-in on the loopback, and pulls opened against it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from core.hooks.contracts import AssetDraft, FindingDraft
from core.http.upstream import Upstream, UpstreamPolicy
from core.testing.standin import StandIn
from plugins.sonarqube.connector import SonarConnector, SonarPull
from plugins.sonarqube.settings import SonarSettings
from plugins.sonarqube.upstream import Token, World, create_app
from tests.servers import HURRIED


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts an app on a loopback port until the test ends, and gives its address."""
    with ExitStack() as running:
        yield lambda app, **kw: running.enter_context(StandIn(app, **kw)).url


@pytest.fixture
def open_at() -> Callable[..., SonarPull]:
    """Opens a pull with these settings, as core does: through the form."""

    def opened(*, policy: UpstreamPolicy = HURRIED, **settings: Any) -> SonarPull:
        return SonarConnector().open(SonarSettings().load(settings), lambda base, **kw: Upstream(base, policy, **kw))

    return opened


@pytest.fixture
def pull_of(serve, open_at) -> Callable[..., SonarPull]:
    """Serves a world and opens a pull of it with a token that sees all, or with the token's rights given. The organization of
    a Cloud is that of its first project."""

    def opened(world: World, token: Token | None = None, **settings: Any) -> SonarPull:
        if world.flavour.cloud:
            settings.setdefault("organization", next(iter(world.organizations), "acme"))
        value = settings.pop("value", None) or world.admit(token or Token(admin=True))
        return open_at(url=serve(create_app(world)), token=value, **settings)

    return opened


@pytest.fixture
def findings_of() -> Callable[..., list[FindingDraft]]:
    """All findings of the asset with this key."""

    def pulled(pull: SonarPull, key: str) -> list[FindingDraft]:
        return list(pull.findings(AssetDraft(key, key, "sonar_project", attributes={"project": key.partition("::")[0]})))

    return pulled


@pytest.fixture
def issues_of(findings_of) -> Callable[..., dict[str, FindingDraft]]:
    """The findings of an asset that are no hotspots, by their key; fails when a key came twice."""

    def pulled(pull: SonarPull, key: str) -> dict[str, FindingDraft]:
        issues = [finding for finding in findings_of(pull, key) if finding.category != "hotspot"]
        by_key = {finding.source_key: finding for finding in issues}
        assert len(by_key) == len(issues)
        return by_key

    return pulled
