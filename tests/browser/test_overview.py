"""The Security overview shows what the API tells, of the active customer alone."""

from playwright.sync_api import Page, expect

from core import clock
from core.assets.models import Asset
from core.findings import sla
from core.findings.models import Finding
from core.findings.sla import Policy
from core.scope import Scope
from tests import factories
from tests.browser.site import ADMIN, VIEWER, Site, checkmarx_of, enter


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
    for path in ("/", "/explain", "/findings", "/findings/verdicts", "/findings/sla-policy", "/imports", "/integrations",
                 "/integrations/sonarqube"):
        admin.goto(site.url + path)
        text = admin.locator("body").inner_text()
        assert names
        assert not [name for name in (*names, site.contoso.name) if name in text], path


def test_a_viewer_sees_his_customer_and_no_integrations(page: Page, site: Site) -> None:
    enter(page, site, VIEWER)
    page.goto(site.url + "/")
    expect(page.get_by_role("main")).to_contain_text("Contoso Insurance")
    expect(page.get_by_role("navigation", name="Main").get_by_role("link")).to_have_text(["Overview", "Findings"])


def test_what_is_overdue_is_counted_and_leads_to_the_list(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/")
    expect(admin.locator('[data-figure="overdue"]')).to_have_text("0")
    expect(admin.get_by_role("link", name="no SLA policy yet")).to_be_visible()
    scope = Scope(site.contoso.id)
    Finding.update(first_seen_at=clock.now() - 30 * clock.DAY).where(Finding.customer_id == scope.customer_id).execute()
    sla.replace(scope, [Policy(None, critical=7)], actor="test")
    try:
        told = admin.request.get(site.url + "/api/dashboard/overview/sla").json()["breaches"]
        assert told > 0
        admin.goto(site.url + "/")
        assert shown(admin, "overdue") == told
        admin.locator('[data-figure="overdue"]').click()
        expect(admin.locator('[data-figure="count"]')).to_have_text(str(told))
    finally:
        sla.replace(scope, [], actor="test")


def test_a_figure_leads_to_the_assets_that_make_it_up(admin: Page, site: Site) -> None:
    told = admin.request.get(site.url + "/api/explain?figure=critical").json()
    admin.goto(site.url + "/")
    admin.get_by_role("link", name="What makes up the critical findings").click()
    expect(admin.locator('[data-figure="explained"]')).to_have_text(str(told["value"]))
    expect(admin.locator("[data-asset] [data-part]")).to_have_count(len(told["assets"]))
    parts = [int(part.replace(",", "")) for part in admin.locator("[data-asset] [data-part]").all_inner_texts()]
    assert parts == [entry["value"] for entry in told["assets"]]
    assert sum(parts) == told["value"] > 0
    expect(admin.get_by_role("main")).to_contain_text("in several groups, so these parts add up to more")
    first = told["assets"][0]
    admin.get_by_role("link", name=first["name"], exact=True).click()
    expect(admin.locator('[data-figure="count"]')).to_have_text(str(first["value"]))


def test_other_figures_are_chosen_on_the_page_that_explains(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/explain")
    for label, query in (("Remediated findings", "figure=remediated"), ("High findings", "figure=high")):
        admin.get_by_label("Figure", exact=True).select_option(label)
        admin.get_by_role("button", name="Apply").click()
        expect(admin.get_by_role("heading", level=1)).to_contain_text(label.lower())
        value = admin.request.get(f"{site.url}/api/explain?{query}").json()["value"]
        expect(admin.locator('[data-figure="explained"]')).to_have_text(f"{value:,}")
    admin.get_by_label("Kind").select_option("Offensive")
    admin.get_by_role("button", name="Apply").click()
    expect(admin.get_by_role("heading", name="Nothing makes up this figure")).to_be_visible()


def test_every_source_is_shown_with_the_age_of_its_figures_and_offensive_findings_have_a_block(admin: Page, site: Site) -> None:
    customer = factories.make_customer("Wide World Importers")
    enter(admin, site, ADMIN, customer)
    site.sync(site.connect(customer, "northwind"))
    with checkmarx_of(site, customer):
        admin.goto(site.url + "/")
        told = admin.request.get(site.url + "/api/manage-assets", headers={"x-customer-id": customer.id}).json()
        expect(admin.locator('[data-source="checkmarx"]')).to_contain_text("Live")
        expect(admin.locator('[data-source="sonarqube"]')).to_contain_text("Stored")
        block = admin.locator("#offensive")
        for name in ("critical", "high", "medium", "low"):
            expect(block.locator(f'[data-offensive="{name}"]')).to_have_text(str(told["offensiveSecurity"][name]))
        expect(block.locator(".row-link")).to_have_text([finding["title"] for finding in told["offensiveFindings"][:5]])
        block.get_by_role("link", name="offensive findings").click()
        expect(admin.locator(".narrowed")).to_contain_text("Offensive findings")
        listed = admin.request.get(site.url + "/api/findings?discipline=offsec").json()["count"]["value"]
        expect(admin.locator('[data-figure="count"]')).to_have_text(str(listed))


def test_without_offensive_assets_there_is_no_block_for_them(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/")
    expect(admin.locator('[data-source="sonarqube"]')).to_be_visible()
    expect(admin.locator("#offensive")).to_have_count(0)


def test_a_viewer_sees_what_makes_up_a_figure_of_his_customer_alone(page: Page, site: Site) -> None:
    enter(page, site, VIEWER)
    page.goto(site.url + "/explain")
    expect(page.locator("[data-asset]")).not_to_have_count(0)
    enter(page, site, ADMIN, site.northwind)
    page.goto(site.url + "/explain")
    expect(page.get_by_role("heading", name="Nothing makes up this figure")).to_be_visible()
