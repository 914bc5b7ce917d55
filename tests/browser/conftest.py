"""Real pages in a real Chromium. Every test fails on an error in the console, a breach of the content policy, or a request to elsewhere.

Without a Chromium the tests are skipped with a warning, except under ``CI=true``, where one is demanded.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from core import db
from tests import chromium
from tests.browser.site import ADMIN, Site, enter, launched, served
from tests.servers import RedisServer

_HERE = Path(__file__).parent
_MISSING = "there is no Chromium for the tests of the pages; `python -m tests.chromium` installs one"
_STATUS = "Failed to load resource: the server responded with a status of "


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if _HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.browser)
    if not ours or chromium.found():
        return
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(_MISSING)
    warnings.warn(pytest.PytestWarning(f"{len(ours)} TESTS ARE SKIPPED: {_MISSING}"), stacklevel=1)
    for item in ours:
        item.add_marker(pytest.mark.skip(_MISSING))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(migrated_sqlite: Path, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One deployment for all tests of a file."""
    folder = tmp_path_factory.mktemp("site")
    url = f"sqlite:///{shutil.copyfile(migrated_sqlite, folder / 'stockade.sqlite3')}"
    if redis_server.process is None:
        redis_server.start()  # another test took it away
    configured = db.configure(url)
    with served(folder, url, redis_server.url) as site:
        yield site
    configured.close_all()


@dataclass
class Watch:
    """What a page complains of. ``expected`` has the refusals (HTTP statuses) that a test provokes."""

    origin: str
    expected: set[int] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        is_expected = any(message.text.startswith(f"{_STATUS}{status}") for status in self.expected)
        if message.type in ("error", "warning") and not is_expected:
            self.complaints.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:")):
            self.complaints.append(f"request to elsewhere: {request.url}")


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    watch = Watch(site.url)
    yield watch
    assert watch.complaints == []


@pytest.fixture
def open_page(browser: Browser, site: Site, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Opens windows of their own, each a browser that nobody has signed in to yet; the options are those of a Playwright context."""
    contexts: list[BrowserContext] = []

    def opened(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options})
        context.set_default_timeout(10_000)
        watch.over(context)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@pytest.fixture
def admin(page: Page, site: Site) -> Page:
    """A window in which an MSP administrator looks at Contoso."""
    enter(page, site, ADMIN, site.contoso)
    return page
