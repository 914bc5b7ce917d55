"""The Security overview shows what the API tells, of the active customer alone."""

from playwright.sync_api import Page, expect

from core.assets.models import Asset
from core.scope import Scope
from tests.browser.site import ADMIN, VIEWER, Site, enter


def shown(page: Page, figure: str) -> int:
    return int(page.locator(f'[data-figure="{figure}"]').inner_text().replace(",", ""))


def test_the_figures_are_those_of_the_api(admin: Page, site: Site) -> None:
    told = admin.request.get(site.url + "/api/dashboard/overview").json()
    admin.goto(site.url + "/")
    assert {name: shown(admin, name) for name in ("open", "critical", "high", "medium", "low", "remediated", "assets", "groups")} == {
        "open": told["vulnerabilitiesOpen"], "critical": told["criticalSeverity"], "high": told["highSeverity"],
        "medium": told["mediumSeverity"], "low": told["lowSeverity"], "remediated": told["remediated"],
        "assets": told["totalLinkedAssets"], "groups": told["assetGroups"]}
    assert told["vulnerabilitiesOpen"] > 0


def test_the_donuts_have_a_legend_with_the_figures_of_the_api(admin: Page, site: Site) -> None:
    donuts = admin.request.get(site.url + "/api/dashboard/overview").json()["donuts"]
    admin.goto(site.url + "/")
    for piece in donuts["provider"] + donuts["severity"]:
        expect(admin.locator(f'.legend [data-slice="{piece["key"]}"]')).to_have_text(f"{piece['value']:,}")


def test_top_assets_lead_to_their_findings(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/")
    first = admin.locator(".top-assets tbody tr").first
    name = first.get_by_role("rowheader").inner_text()
    first.get_by_role("link", name=name, exact=True).click()
    expect(admin.get_by_text(f"In {name}")).to_be_visible()


def test_the_table_of_groups_says_that_an_asset_may_count_twice(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/")
    groups = admin.locator("#groups")
    expect(groups).to_contain_text("counts in every group that holds it")
    expect(groups.get_by_role("row")).to_have_count(4)  # head, SonarQube projects, and the two that overlap
    expect(groups.get_by_role("row", name="Crown jewels")).to_contain_text("Shared")


def test_a_customer_without_a_source_is_led_to_integrations(admin: Page, site: Site) -> None:
    enter(admin, site, ADMIN, site.northwind)
    admin.goto(site.url + "/")
    expect(admin.get_by_role("heading", name="Connect the first source")).to_be_visible()
    admin.get_by_role("link", name="Go to Integrations").click()
    expect(admin.get_by_role("heading", name="Integrations")).to_be_visible()


def test_nothing_of_another_customer_shows(admin: Page, site: Site) -> None:
    names = [asset.name for asset in Asset.within(Scope(site.contoso.id))]
    enter(admin, site, ADMIN, site.northwind)
    for path in ("/", "/findings", "/findings/verdicts", "/findings/sla-policy", "/integrations", "/integrations/sonarqube"):
        admin.goto(site.url + path)
        text = admin.locator("body").inner_text()
        assert names
        assert not [name for name in (*names, site.contoso.name) if name in text], path


def test_a_viewer_sees_his_customer_and_no_integrations(page: Page, site: Site) -> None:
    enter(page, site, VIEWER)
    page.goto(site.url + "/")
    expect(page.get_by_role("main")).to_contain_text("Contoso Insurance")
    expect(page.get_by_role("navigation", name="Main").get_by_role("link")).to_have_text(["Overview", "Findings"])
