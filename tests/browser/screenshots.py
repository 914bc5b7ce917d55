"""``make screenshots``: a picture of every page, light and dark, wide and narrow, into ``./screenshots``."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from core import clock, db
from core.assets.models import Asset, AssetGroup
from core.connections import runs
from core.connections.models import Connection, Run
from core.db import schema
from core.findings import service as findings
from core.findings import sla, terms, verdicts
from core.findings.models import Finding
from core.findings.settling import Target
from core.findings.sla import Policy
from core.findings.state import VerdictKind
from core.findings.verdicts import Decision
from core.ids import finding_public_id
from core.imports import service as imports
from core.imports.report import on_disk
from core.scope import Scope
from plugins.sonarqube.upstream import DEMO
from tests import factories
from tests.browser.site import ADMIN, ANALYST, VIEWER, Site, checkmarx_of, choose, launched, served, sign_in
from tests.chromium import found
from tests.servers import RedisServer

FOLDER = Path("screenshots")
_WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
_THEMES = ("light", "dark")
_REASON = """Reachable from the branch offices' network alone, and the service is replaced in the second quarter.
Agreed with the owner: https://tickets.contoso.example/browse/SEC-20418"""


@dataclass(frozen=True)
class Shot:
    """One page to be pictured. ``customer`` is the attribute of the site; ``prepare`` brings the page to what is shown.

    :ivar is_whole: the whole page, however long; else what a window shows of it.
    """

    name: str
    path: str
    email: str = ADMIN
    customer: str = "contoso"
    prepare: Callable[[Page], None] = lambda page: None
    is_whole: bool = True


@dataclass(frozen=True)
class Seen:
    """Public ids of findings to be pictured, each in the state that its name says."""

    open: str
    accepted: str
    by_rule: str


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


def _open_decision(page: Page) -> None:
    page.locator(".decide > summary").click()
    page.get_by_text("Everything that its rule finds").click()
    page.locator("[data-count]").filter(has_text="now").wait_for()


def _refused_decision(page: Page) -> None:
    page.locator(".decide > summary").click()
    page.locator(".decide").get_by_role("button", name="Decide").click()
    page.locator("#error-reason").filter(has_text="needs").wait_for()


def _ask_once_more(page: Page) -> None:
    _open_decision(page)
    page.get_by_label("Reason").fill("Every one of them sits behind the login of the branch offices")
    page.locator(".decide").get_by_role("button", name="Decide").click()
    page.get_by_role("button", name="Decide about").wait_for()


def _select_some(page: Page) -> None:
    for number in (0, 1, 3):
        page.locator('.findings tbody [name="finding"]').nth(number).check()


def _decide_selected(page: Page) -> None:
    _select_some(page)
    page.get_by_role("button", name="Decide about the selected").click()
    page.get_by_role("button", name="Decide about 3 findings").wait_for()


def _ask_to_end(page: Page) -> None:
    page.get_by_role("link", name="End…").first.click()
    page.get_by_role("button", name="End it").wait_for()


def _faulty_policy(page: Page) -> None:
    page.get_by_label("High, days for the organization").fill("99999")
    page.get_by_label("Low, days for the new group").fill("5")
    page.get_by_role("button", name="Save").click()
    page.locator("#error-new-group").filter(has_text="Choose").wait_for()


def _check_report(page: Page) -> None:
    page.get_by_label("Report file").set_input_files({"name": "semgrep.csv", "mimeType": "text/csv", "buffer": _report(range(9, 34))})
    page.get_by_role("button", name="Check first").click()
    page.locator("[data-preview]").wait_for()


def _check_nonsense(page: Page) -> None:
    page.get_by_label("Report file").set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"what nobody can read"})
    page.get_by_role("button", name="Check first").click()
    page.locator("#error-file").filter(has_text="no report").wait_for()


def _open_first_import(page: Page) -> None:
    _open_import(page, "succeeded")


def _open_import(page: Page, state: str) -> None:
    page.locator(f'[data-import][data-state="{state}"] .run-title').first.click()
    page.locator("[data-run-state]").wait_for()


def shots(seen: Seen) -> list[Shot]:
    finding = seen.open
    return [
        Shot("finding-accepted", f"/findings/{seen.accepted}"), Shot("finding-by-rule", f"/findings/{seen.by_rule}"),
        Shot("finding-deciding", f"/findings/{finding}", prepare=_open_decision),
        Shot("finding-refused", f"/findings/{finding}", prepare=_refused_decision),
        Shot("finding-readonly", f"/findings/{seen.accepted}", email=VIEWER, customer=""),
        Shot("findings-selected", "/findings", prepare=_select_some, is_whole=False),
        Shot("findings-all", "/findings?state=all&text=OrderController"), Shot("decide-selected", "/findings", prepare=_decide_selected),
        Shot("findings-readonly", "/findings?due=overdue", email=VIEWER, customer="", is_whole=False),
        Shot("findings-accepted", "/findings?state=accepted&changed=1"),
        Shot("explain", "/explain"), Shot("explain-critical", "/explain?figure=critical&source=sonarqube"),
        Shot("explain-none", "/explain", customer="fabrikam"), Shot("findings-offensive", "/findings?discipline=offsec", is_whole=False),
        Shot("imports", "/imports"), Shot("imports-none", "/imports", customer="fabrikam"),
        Shot("imports-preview", "/imports", prepare=_check_report), Shot("imports-fault", "/imports", prepare=_check_nonsense),
        Shot("imports-readonly", "/imports", email=VIEWER, customer=""), Shot("run-import", "/imports", prepare=_open_first_import),
        Shot("run-held", "/imports", prepare=lambda page: _open_import(page, "held")),
        Shot("run-failed", "/imports", prepare=lambda page: _open_import(page, "failed")),
        Shot("run-syncing", "/integrations/sonarqube", customer="northwind",
             prepare=lambda page: page.locator(".run-when a").first.click()),
        Shot("verdicts", "/findings/verdicts"), Shot("verdicts-none", "/findings/verdicts", customer="fabrikam"),
        Shot("verdicts-readonly", "/findings/verdicts", email=VIEWER, customer=""),
        Shot("verdict-end", "/findings/verdicts?level=rule", prepare=_ask_to_end),
        Shot("policy", "/findings/sla-policy"), Shot("policy-none", "/findings/sla-policy", customer="fabrikam"),
        Shot("policy-faults", "/findings/sla-policy", prepare=_faulty_policy),
        Shot("policy-readonly", "/findings/sla-policy", email=VIEWER, customer=""),
        Shot("decide-rule", f"/findings/{finding}", prepare=_ask_once_more),
        Shot("overview", "/"), Shot("overview-empty", "/", customer="fabrikam"), Shot("findings", "/findings", is_whole=False),
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
        with served(home, url, redis.url, DEMO) as site, checkmarx_of(site, site.contoso):
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
    _imported(site)
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


def _report(numbers: Iterable[int]) -> bytes:
    """A CSV of findings in the service that signs invoices."""
    places = ("InvoiceSigner", "KeyStoreReader", "TimestampAuthorityClient", "ArchiveTransferService")
    severities = ("critical", "high", "medium", "low")
    rows = (f"Weak hash in the signature of an invoice ({number}),{severities[number % 4]},invoice-signing-service,crypto:S{number},"
            f"src/main/java/com/contoso/invoicing/signing/{places[number % 4]}.java,{number * 7 + 3}" for number in numbers)
    return "\n".join(["title,severity,asset,rule,path,line", *rows]).encode()


def _import(site: Site, content: bytes) -> None:
    with on_disk(iter([content]), "semgrep.csv") as report:
        imports.store(site.deployment, Scope(site.contoso.id), report, imports.Request(), actor=ANALYST)


def _imported(site: Site) -> None:
    """Imports that went well, that failed, and that wait for a decision."""
    _import(site, _report(range(12)))
    _import(site, _report(range(30)))
    now = clock.now()
    Run.create(id="run_0failed0", customer_id=site.contoso.id, connection_id="imp_picture", source="sarif", trigger="import",
               state="failed", requested_by=ADMIN, requested_at=now, started_at=now, finished_at=now + 1200, reason_code="report_invalid",
               reason="SARIF 2.1: the document ends in the middle (line 20418, column 7)")
    _import(site, _report(range(8)))


def _under_way(site: Site, connection: Connection) -> Run:
    """A run that a worker seems to have in hand."""
    run = runs.request_sync(site.deployment, connection, trigger="person", requested_by=ADMIN)
    now = clock.now()
    Run.update(state="running", phase="findings", done=9, of_how_many=24, worker="picture", started_at=now, heartbeat_at=now + clock.HOUR,
               counts={"added": 1284, "unchanged": 0}).where(Run.id == run.id).execute()
    return run


def _decided(site: Site) -> Seen:
    """Policies and verdicts of Contoso, as they may be after some weeks."""
    scope = Scope(site.contoso.id)
    crown_jewels = AssetGroup.get(AssetGroup.name == "Crown jewels")
    long_ago = clock.now() - 40 * clock.DAY
    Finding.update(first_seen_at=long_ago).where(Finding.customer_id == scope.customer_id, Finding.id % 5 == 0).execute()
    policies = [Policy(None, critical=7, high=30, medium=90), Policy(crown_jewels.id, critical=2, counts_working_days=True)]
    sla.replace(scope, policies, actor=ADMIN)
    found = [finding for finding in findings.page(scope, findings.Filter(text="src/"), limit=60).findings if finding.cwe]
    shown = found[0]
    accepted, by_rule, *_ = {finding.rule_key: finding for finding in found if finding.rule_key != shown.rule_key}.values()
    verdicts.decide(scope, [accepted.id], Decision(VerdictKind.FALSE_POSITIVE, "The input is a constant"), actor=ANALYST)
    until = terms.end_of(terms.day_of(clock.now()) + 40)
    verdicts.decide(scope, [accepted.id], Decision(VerdictKind.ACCEPTED, _REASON, until), actor=ADMIN)
    rule = Target("rule", source="sonarqube", rule_key=by_rule.rule_key)
    verdicts.decide_broadly(scope, rule, Decision(VerdictKind.IGNORED, "Only in generated code, which is never deployed"), actor=ANALYST)
    verdicts.decide_broadly(scope, Target("cve", cve="CVE-2021-44906"), Decision(VerdictKind.ACCEPTED, "Not reachable", until), actor=ADMIN)
    smallest = Asset.within(scope).order_by(Asset.findings_total).first()
    archived = Decision(VerdictKind.IGNORED, "Archived since 2024; kept for the auditors, and deployed nowhere")
    verdicts.decide_broadly(scope, verdicts.check_target(scope, Target("asset", asset_id=smallest.id)), archived, actor=ADMIN)
    return Seen(*(finding_public_id(finding.id) for finding in (shown, accepted, by_rule)))


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
    if shot.is_whole:
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
        wanted = [shot for shot in shots(_decided(site)) if not only or shot.name in only]
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
