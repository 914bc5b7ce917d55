"""What holds for every page: nothing sticks out of a narrow window, texts are legible, the keyboard suffices, the policy is strict."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, VIEWER, Site, enter, sign_in

PATHS = ("/", "/explain", "/findings", "/findings?state=all", "/findings/decide?about=filter", "/findings/verdicts", "/findings/sla-policy",
         "/imports", "/integrations", "/integrations/sonarqube", "/customers")

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


def every_page(page: Page, site: Site) -> list[str]:
    finding = page.request.get(site.url + "/api/findings?limit=1").json()["findings"][0]["id"]
    return [site.url + path for path in (*PATHS, f"/findings/{finding}", "/nothing-here")]


@pytest.fixture
def at_contoso(open_page: Callable[..., Page], site: Site, watch: Watch) -> Callable[..., Page]:
    watch.expected = {404}

    def opened(**options: Any) -> Page:
        page = open_page(**options)
        enter(page, site, ADMIN, site.contoso)
        return page

    return opened


def test_nothing_sticks_out_of_a_narrow_window(at_contoso: Callable[..., Page], site: Site) -> None:
    page = at_contoso(viewport={"width": 390, "height": 844})
    for url in [*every_page(page, site), site.url + "/signin"]:
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, url


def test_the_navigation_folds_away_in_a_narrow_window(at_contoso: Callable[..., Page], site: Site) -> None:
    page = at_contoso(viewport={"width": 390, "height": 844})
    page.goto(site.url + "/")
    expect(page.get_by_role("link", name="Integrations")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Integrations").click()
    expect(page.get_by_role("heading", name="Integrations")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_is_legible(at_contoso: Callable[..., Page], site: Site, theme: str) -> None:
    page = at_contoso(color_scheme=theme)
    faint = {}
    for url in every_page(page, site):
        page.goto(url)
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


def test_every_page_has_a_strict_policy_and_is_not_kept(at_contoso: Callable[..., Page], site: Site) -> None:
    page = at_contoso()
    for url in every_page(page, site):
        headers = page.request.get(url).headers
        assert "default-src 'none'" in headers["content-security-policy"], url
        assert "unsafe" not in headers["content-security-policy"], url
        assert headers["cache-control"] == "no-store", url


def test_every_field_and_button_has_a_name(at_contoso: Callable[..., Page], site: Site) -> None:
    page = at_contoso()
    for url in [*every_page(page, site), site.url + "/signin"]:
        page.goto(url)
        nameless = page.locator("input:not([type=hidden]), select, textarea, button, a").evaluate_all("""elements => elements.filter(
            (element) => !element.labels?.length && !element.textContent.trim() && !element.getAttribute("aria-label"))
            .map((element) => element.outerHTML)""")
        assert nameless == [], url
