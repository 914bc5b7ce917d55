"""``make screenshots``: a picture of every page, light and dark, wide and narrow, into ``./screenshots``."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from core import clock, db
from core.connections import runs
from core.connections.models import Connection, Run
from core.db import schema
from core.findings import service as findings
from core.ids import finding_public_id
from core.scope import Scope
from plugins.sonarqube.upstream import DEMO
from tests import factories
from tests.browser.site import ADMIN, VIEWER, Site, choose, launched, served, sign_in
from tests.chromium import found
from tests.servers import RedisServer

FOLDER = Path("screenshots")
_WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
_THEMES = ("light", "dark")


@dataclass(frozen=True)
class Shot:
    """One page to be pictured. ``customer`` is the attribute of the site; ``prepare`` brings the page to what is shown."""

    name: str
    path: str
    email: str = ADMIN
    customer: str = "contoso"
    prepare: Callable[[Page], None] = lambda page: None


def _wrong_password(page: Page) -> None:
    page.get_by_label("E-mail address").fill(ADMIN)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()


def _validate(page: Page) -> None:
    page.get_by_role("button", name="Validate").click()
    page.locator("#outcome .notice").wait_for()


def _faulty_form(page: Page) -> None:
    page.get_by_label("Address", exact=True).fill("sonar.example")
    page.get_by_role("button", name="Save").click()
    page.locator("#outcome .notice").wait_for()


def _open_menu(page: Page) -> None:
    if page.get_by_role("button", name="Menu").is_visible():
        page.get_by_role("button", name="Menu").click()
    page.locator("details.account summary").click()


def _open_picker(page: Page) -> None:
    if page.get_by_role("button", name="Menu").is_visible():
        page.get_by_role("button", name="Menu").click()
    page.locator("[data-picker]").click()
    page.locator("#picker[open]").wait_for()


def shots(finding: str) -> list[Shot]:
    return [
        Shot("overview", "/"), Shot("overview-empty", "/", customer="fabrikam"), Shot("findings", "/findings"),
        Shot("findings-none", "/findings?text=nothing+has+this+name&severity=critical"), Shot("finding", f"/findings/{finding}"),
        Shot("integrations", "/integrations"), Shot("integration", "/integrations/sonarqube", prepare=_validate),
        Shot("integration-new", "/integrations/sonarqube", customer="fabrikam"),
        Shot("integration-faults", "/integrations/sonarqube", customer="fabrikam", prepare=_faulty_form),
        Shot("integration-syncing", "/integrations/sonarqube", customer="northwind"),
        Shot("integration-held", "/integrations/sonarqube", customer="tailspin"),
        Shot("integrations-failing", "/integrations", customer="wingtip"),
        Shot("integration-failing", "/integrations/sonarqube", customer="wingtip"),
        Shot("menu", "/", prepare=_open_menu), Shot("picker", "/", prepare=_open_picker), Shot("not-found", "/nothing-here"),
        Shot("forbidden", "/integrations", email=VIEWER, customer=""),
    ]


OUTSIDE = [Shot("signin", "/signin"), Shot("signin-refused", "/signin", prepare=_wrong_password)]


@contextmanager
def _deployment() -> Iterator[Site]:
    home = Path(tempfile.mkdtemp(prefix="stockade-pictures-"))
    redis = RedisServer(home)
    redis.start()
    url = f"sqlite:///{home}/stockade.sqlite3"
    db.configure(url)
    schema.upgrade()
    try:
        with served(home, url, redis.url, DEMO) as site:
            _prepare(site)
            yield site
    finally:
        redis.stop()
        shutil.rmtree(home, ignore_errors=True)


def _prepare(site: Site) -> None:
    """Customers in every state that a page can show."""
    for name in ("Fabrikam Health", "Tailspin Toys", "Wingtip Energy", "Adventure Works"):
        setattr(site, name.split()[0].lower(), factories.make_customer(name))
    site.sync(site.connect(site.contoso, "contoso"))
    _under_way(site, site.connect(site.northwind, "northwind"))
    tailspin = site.connect(site.tailspin, "northwind")  # type: ignore[attr-defined]
    site.sync(tailspin)
    site.world.faults.add("no_projects")
    site.sync(tailspin)
    site.world.faults.clear()
    wingtip = site.connect(site.wingtip, "northwind")  # type: ignore[attr-defined]
    site.sync(wingtip)
    site.world.faults.add("status", status=401)
    site.sync(wingtip)
    site.world.faults.clear()


def _under_way(site: Site, connection: Connection) -> Run:
    """A run that a worker seems to have in hand."""
    run = runs.request_sync(site.deployment, connection, trigger="person", requested_by=ADMIN)
    now = clock.now()
    Run.update(state="running", phase="findings", done=9, of_how_many=24, worker="picture", started_at=now, heartbeat_at=now + clock.HOUR,
               counts={"added": 1284, "unchanged": 0}).where(Run.id == run.id).execute()
    return run


def _some_finding(site: Site) -> str:
    page = findings.page(Scope(site.contoso.id), findings.Filter(text="src/"), limit=40)
    return finding_public_id(next(finding for finding in page.findings if finding.cwe).id)


def _take(browser: Browser, site: Site, theme: str, width: str, wanted: list[Shot]) -> None:
    size = dict(zip(("width", "height"), _WIDTHS[width], strict=True))
    for email in dict.fromkeys(shot.email for shot in wanted):
        context = browser.new_context(viewport=size, color_scheme=theme, device_scale_factor=1, reduced_motion="reduce")  # type: ignore[arg-type]
        page = context.new_page()
        if wanted is not OUTSIDE:
            sign_in(page, site, email)
            if email == ADMIN:
                _picture(page, site, Shot("choose-customer", "/", customer=""), theme, width)
        for shot in (shot for shot in wanted if shot.email == email):
            if wanted is not OUTSIDE and shot.customer and email == ADMIN:
                choose(page, site, getattr(site, shot.customer))
            _picture(page, site, shot, theme, width)
        context.close()


def _picture(page: Page, site: Site, shot: Shot, theme: str, width: str) -> None:
    page.goto(site.url + shot.path)
    shot.prepare(page)
    page.wait_for_load_state("networkidle") if "syncing" not in shot.name else page.wait_for_timeout(1500)
    _grow(page, width)  # rather than a picture of the full page, in which what sticks to the window's edge hangs in the middle
    page.screenshot(path=FOLDER / f"{shot.name}-{width}-{theme}.png")
    _grow(page, width, _WIDTHS[width][1])


def _grow(page: Page, width: str, height: int = 0) -> None:
    """Make the window as high as the page, or as ``height`` says."""
    needed = height or max(_WIDTHS[width][1], page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": _WIDTHS[width][0], "height": needed})


def main() -> int:
    if not found():
        print("no Chromium: install one, then try again", file=sys.stderr)
        return 1
    only = set(sys.argv[1:])
    FOLDER.mkdir(exist_ok=True)
    with _deployment() as site, sync_playwright() as playwright:
        wanted = [shot for shot in shots(_some_finding(site)) if not only or shot.name in only]
        browser = launched(playwright)
        for theme in _THEMES:
            for width in _WIDTHS:
                _take(browser, site, theme, width, OUTSIDE)
                _take(browser, site, theme, width, wanted)
        browser.close()
    print(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER.absolute()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
