"""What holds for every page: nothing sticks out of a narrow window, texts are legible, the keyboard suffices, the policy is strict."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core import clock
from core.connections.models import Run
from core.findings import sla, verdicts
from core.findings.models import Finding
from core.findings.settling import Target
from core.findings.sla import Policy
from core.findings.state import VerdictKind
from core.findings.verdicts import Decision
from core.ids import finding_public_id
from core.imports import service as imports
from core.imports.report import on_disk
from core.scope import Scope
from plugins.connectwise.models import CwCompany
from tests import factories
from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, VIEWER, Site, enter, sign_in

PATHS = ("/", "/explain", "/findings", "/findings?state=all", "/findings/decide?about=filter", "/findings/verdicts", "/findings/sla-policy",
         "/imports", "/integrations", "/integrations/sonarqube", "/integrations/connectwise",
         "/integrations/connectwise/review", "/customers")

#: texts whose contrast with what lies behind them is less than WCAG's level AA asks for
_TOO_FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 250) return color;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest(".hidden, svg, script")) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${text.slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return faint;
}"""


#: elements that reach beyond the window, or beyond their card, which would cut them off
_STICKS_OUT = """() => {
  const scrolls = (element, card) => {
    for (let at = element.parentElement; at && at !== card; at = at.parentElement)
      if (getComputedStyle(at).overflowX !== "visible") return true;
    return false;
  };
  const right = (element) => element.getBoundingClientRect().right;
  return [...document.querySelectorAll("main *")].filter((element) => {
    const card = element.closest(".card");
    const edge = card && card !== element ? right(card) : innerWidth;
    return element.checkVisibility() && !element.closest(".hidden, thead") && right(element) > edge + 1 && !scrolls(element, card);
  }).map((element) => element.outerHTML.slice(0, 120));
}"""
#: numbers, and words of a usual length, in tables of which a part stands in the next line
_BROKEN = """() => {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const broken = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!element.closest("th, td") || !element.checkVisibility() || element.closest(".hidden, .mono")) continue;
    for (const word of node.textContent.matchAll(/(?<![^\\s(])(?:[A-Za-z]{2,14}|[0-9,]{2,9})(?![^\\s,.)])/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((part) => Math.round(part.top))).size > 1) broken.push(word[0]);
    }
  }
  return broken;
}"""
LONG = "Unbreakable" * 18


@pytest.fixture(scope="module")
def lived_in(site: Site) -> list[str]:
    """Pages as they are after some time, with very long words in every place that takes them: verdicts of all levels, what is overdue,
    imports that went well, failed, and wait for a decision."""
    scope = Scope(site.contoso.id)
    rows = [f"{LONG}{number},critical,{LONG[:190]},{LONG},src/{LONG}{number}.py,CVE-2021-4422{number % 9}" for number in range(20)]
    for number in (20, 2):
        content = "\n".join(["title,severity,asset,rule,path,cve", *rows[:number]]).encode()
        with on_disk(iter([content]), "long.csv") as report:
            held, _ = imports.store(site.deployment, scope, report, imports.Request(), actor=f"{LONG}@example.test")
    failed = Run.create(id="run_failed", customer_id=scope.customer_id, connection_id="imp_failed", source="csv", trigger="import",
                        state="failed", requested_by=ADMIN, requested_at=1, reason_code="report_invalid", reason=f"CSV: {LONG} (line 3)")
    Finding.update(first_seen_at=clock.now() - 30 * clock.DAY).where(Finding.customer_id == scope.customer_id).execute()
    sla.replace(scope, [Policy(None, critical=7, high=28)], actor="test")
    long, *others = Finding.within(scope).where(Finding.source == "csv", Finding.status == "open").order_by(Finding.id).limit(4)
    until = clock.now() + 3 * clock.DAY
    verdicts.decide(scope, [others[0].id], Decision(VerdictKind.ACCEPTED, LONG * 3, until), actor=f"{LONG}@example.test")
    cve = Target("cve", cve="CVE-2021-44222")
    verdicts.decide_broadly(scope, cve, Decision(VerdictKind.IGNORED), actor=ADMIN)
    ruled = Finding.within(scope).where(Finding.source == "sonarqube", Finding.status == "open").first()
    rule = Target("rule", source="sonarqube", rule_key=ruled.rule_key)
    verdict_id = verdicts.decide_broadly(scope, rule, Decision(VerdictKind.FALSE_POSITIVE, LONG), actor=ADMIN).verdict_id
    CwCompany.create(id="cwc_long", tenant="nordlys", cw_id=1, identifier=LONG[:100], identifier_key="", name=LONG, name_key="", digest="",
                     data={"status": "Active"}, fetched_at=1, review="similar", candidates=[factories.make_customer(LONG).id])
    findings = [f"/findings/{finding_public_id(finding.id)}" for finding in (long, *others, ruled)]
    return [*findings, f"/findings/verdicts/{verdict_id}/end", f"/findings/decide?about=rule&source=csv&rule={LONG}",
            "/findings?due=overdue", f"/findings?asset={long.asset_id}", f"/runs/{held.id}", f"/runs/{failed.id}",
            "/explain?figure=overdue"]


def every_page(page: Page, site: Site, lived_in: list[str]) -> list[str]:
    finding = page.request.get(site.url + "/api/findings?limit=1").json()["findings"][0]["id"]
    return [site.url + path for path in (*PATHS, f"/findings/{finding}", *lived_in, "/nothing-here")]


def unfold(page: Page) -> None:
    page.locator("main details").evaluate_all("all => all.forEach((details) => { details.open = true; })")


@pytest.fixture
def at_contoso(open_page: Callable[..., Page], site: Site, watch: Watch) -> Callable[..., Page]:
    watch.expected = {404}

    def opened(**options: Any) -> Page:
        page = open_page(**options)
        enter(page, site, ADMIN, site.contoso)
        return page

    return opened


@pytest.mark.parametrize("width", [768, 1024, 1280, 1440])
def test_words_in_tables_stay_whole(at_contoso: Callable[..., Page], site: Site, width: int) -> None:
    page, broken = at_contoso(viewport={"width": width, "height": 844}), {}
    for path in ("/", "/explain", "/findings", "/findings?state=all", "/findings/verdicts"):
        page.goto(site.url + path)
        if found := page.evaluate(_BROKEN):
            broken[path] = found[:5]
    assert broken == {}


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_nothing_sticks_out_of_a_window(at_contoso: Callable[..., Page], site: Site, lived_in: list[str], width: int) -> None:
    page, wide = at_contoso(viewport={"width": width, "height": 844}), []
    for url in [*every_page(page, site, lived_in), site.url + "/signin"]:
        page.goto(url)
        unfold(page)
        if page.evaluate("document.documentElement.scrollWidth") > width or page.evaluate(_STICKS_OUT):
            wide += [f"{url[len(site.url):][:60]}: {element}" for element in page.evaluate(_STICKS_OUT) or ["the page"]]
    assert wide == []


def test_the_navigation_folds_away_in_a_narrow_window(at_contoso: Callable[..., Page], site: Site) -> None:
    page = at_contoso(viewport={"width": 390, "height": 844})
    page.goto(site.url + "/")
    expect(page.get_by_role("link", name="Integrations")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Integrations").click()
    expect(page.get_by_role("heading", name="Integrations")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_is_legible(at_contoso: Callable[..., Page], site: Site, lived_in: list[str], theme: str) -> None:
    page = at_contoso(color_scheme=theme)
    faint = {}
    for url in every_page(page, site, lived_in):
        page.goto(url)
        unfold(page)
        if found := page.evaluate(_TOO_FAINT):
            faint[url] = found
    assert faint == {}


def test_the_system_decides_between_light_and_dark_until_somebody_does(at_contoso: Callable[..., Page], site: Site) -> None:
    page = at_contoso(color_scheme="dark")
    page.goto(site.url + "/")
    dark = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    page.locator("details.account summary").click()
    page.get_by_role("button", name="Switch to light").click()
    light = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert dark != light
    page.goto(site.url + "/findings")
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == light


def test_the_keyboard_alone_reaches_the_content_and_closes_the_menu(page: Page, site: Site) -> None:
    sign_in(page, site, VIEWER)
    expect(page.get_by_role("heading", name="Security overview")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.locator("details.account summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_every_page_has_a_strict_policy_and_is_not_kept(at_contoso: Callable[..., Page], site: Site, lived_in: list[str]) -> None:
    page = at_contoso()
    for url in every_page(page, site, lived_in):
        headers = page.request.get(url).headers
        assert "default-src 'none'" in headers["content-security-policy"], url
        assert "unsafe" not in headers["content-security-policy"], url
        assert headers["cache-control"] == "no-store", url


def test_every_field_and_button_has_a_name(at_contoso: Callable[..., Page], site: Site, lived_in: list[str]) -> None:
    page = at_contoso()
    for url in [*every_page(page, site, lived_in), site.url + "/signin"]:
        page.goto(url)
        nameless = page.locator("input:not([type=hidden]), select, textarea, button, a").evaluate_all("""elements => elements.filter(
            (element) => !element.labels?.length && !element.textContent.trim() && !element.getAttribute("aria-label"))
            .map((element) => element.outerHTML)""")
        assert nameless == [], url
