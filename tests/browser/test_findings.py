"""The list of findings and one finding."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, Site, enter


def test_filters_narrow_the_list_as_the_api_does(admin: Page, site: Site) -> None:
    told = admin.request.get(site.url + "/api/findings?severity=high&limit=50").json()
    admin.goto(site.url + "/findings")
    admin.get_by_role("form", name="Filters").get_by_text("High").click()
    admin.get_by_role("button", name="Apply").click()
    expect(admin).to_have_url(site.url + "/findings?text=&severity=high&state=open&source=&due=")
    # Waited for: the address changes before the page is there.
    expect(admin.locator(".findings .row-link")).to_have_text([finding["title"] for finding in told["findings"]])
    expect(admin.locator('[data-figure="count"]')).to_have_text(str(told["count"]["value"]))


def test_the_next_page_goes_on_where_the_first_ended(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/findings")
    first = [link.get_attribute("href") for link in admin.locator(".findings .row-link").all()]
    admin.get_by_role("link", name="Next").click()
    expect(admin.get_by_role("link", name="First page")).to_be_visible()
    second = [link.get_attribute("href") for link in admin.locator(".findings .row-link").all()]
    assert len(first) == 50
    assert second
    assert not set(first) & set(second)


def test_a_finding_shows_its_place_its_rule_and_its_history(admin: Page, site: Site) -> None:
    told = next(finding for finding in admin.request.get(site.url + "/api/findings?text=SQL&limit=5").json()["findings"] if finding["cwe"])
    admin.goto(site.url + "/findings?text=SQL")
    admin.locator(f'.row-link[href="/findings/{told["id"]}"]').click()
    expect(admin.get_by_role("heading", level=1)).to_have_text(told["title"])
    main = admin.get_by_role("main")
    expect(main).to_contain_text(f"{told['path']}:{told['line']}")
    expect(main).to_contain_text(f"CWE-{told['cwe'][0]}")
    expect(admin.locator(".prose")).not_to_be_empty()
    expect(admin.locator(".events")).to_contain_text("First seen")
    expect(admin.get_by_role("link", name="Open in SonarQube")).to_have_attribute("href", told["url"])


def test_what_nothing_fits_is_said(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/findings?text=nothing+has+this+in+its+name")
    expect(admin.get_by_role("heading", name="Nothing fits these filters")).to_be_visible()


def test_a_finding_of_another_customer_is_not_there(admin: Page, site: Site, watch: Watch) -> None:
    watch.expected = {404}
    theirs = admin.request.get(site.url + "/api/findings?limit=1").json()["findings"][0]["id"]
    enter(admin, site, ADMIN, site.northwind)
    answer = admin.goto(f"{site.url}/findings/{theirs}")
    assert answer is not None
    assert answer.status == 404
    expect(admin.get_by_role("heading", name="There is nothing here")).to_be_visible()
