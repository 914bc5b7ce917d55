"""The SLA policy of the organization and of asset groups."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from core.assets.models import AssetGroup
from core.findings import sla
from core.findings.sla import Policy
from core.scope import Scope
from tests import factories
from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, VIEWER, Site, enter

HERE = "/findings/sla-policy"


@pytest.fixture(autouse=True)
def no_policy(site: Site) -> Iterator[None]:
    yield
    sla.replace(Scope(site.contoso.id), [], actor="test")


def stored(site: Site) -> dict[str | None, tuple]:
    return {policy.group_id: (policy.critical, policy.high, policy.medium, policy.low, policy.counts_working_days)
            for policy in sla.policies(Scope(site.contoso.id))}


def test_the_organizations_policy_is_set_and_due_dates_follow(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/findings")
    admin.get_by_role("link", name="SLA policy").click()
    admin.get_by_label("Critical, days for the organization").fill("7")
    admin.get_by_label("High, days for the organization").fill("30")
    admin.get_by_label("Which days count for the organization").select_option("Monday to Friday")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Saved.")).to_be_visible()
    assert stored(site) == {None: (7, 30, None, None, True)}
    told = admin.request.get(site.url + "/api/findings?severity=critical&limit=1").json()["findings"][0]
    assert told["dueAt"] is not None


def test_a_group_gets_a_policy_of_its_own_and_loses_it_when_its_days_are_cleared(admin: Page, site: Site) -> None:
    sla.replace(Scope(site.contoso.id), [Policy(None, critical=7)], actor="test")
    group = AssetGroup.get(AssetGroup.name == "Crown jewels")
    admin.goto(site.url + HERE)
    admin.get_by_label("Add an asset group").select_option("Crown jewels (shared)")
    admin.get_by_label("Critical, days for the new group").fill("2")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_label("Critical, days for Crown jewels")).to_have_value("2")
    expect(admin.get_by_label("Add an asset group").get_by_role("option", name="Crown jewels")).to_have_count(0)
    assert stored(site) == {None: (7, None, None, None, False), group.id: (2, None, None, None, False)}
    admin.get_by_label("Critical, days for Crown jewels").fill("")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_label("Critical, days for Crown jewels")).to_have_count(0)
    assert stored(site) == {None: (7, None, None, None, False)}


def test_what_is_wrong_is_said_at_its_field_and_nothing_is_saved(open_page: Callable[..., Page], site: Site, watch: Watch) -> None:
    watch.expected = {400}
    page = open_page(java_script_enabled=False)
    enter(page, site, ADMIN, site.contoso)
    page.goto(site.url + HERE)
    page.get_by_label("High, days for the organization").fill("99999")
    page.get_by_label("Critical, days for the organization").fill("7")
    page.get_by_label("Low, days for the new group").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error-days-2-own")).to_have_text("From 1 to 3650.")
    expect(page.locator("#error-new-group")).to_have_text("Choose the group.")
    expect(page.get_by_label("Critical, days for the organization")).to_have_value("7")
    assert stored(site) == {}


def test_a_change_that_somebody_made_meanwhile_is_not_overwritten_unseen(admin: Page, site: Site, watch: Watch) -> None:
    watch.expected = {409}
    admin.goto(site.url + HERE)
    sla.replace(Scope(site.contoso.id), [Policy(None, critical=3)], actor="somebody else")
    admin.get_by_label("Critical, days for the organization").fill("9")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_role("alert")).to_contain_text("Somebody changed the policy")
    expect(admin.get_by_label("Critical, days for the organization")).to_have_value("3")
    assert stored(site)[None][0] == 3


def test_who_may_not_change_it_reads_it(page: Page, site: Site) -> None:
    enter(page, site, VIEWER)
    page.goto(site.url + HERE)
    expect(page.get_by_role("heading", name="There is no policy")).to_be_visible()
    group = AssetGroup.get(AssetGroup.name == "Crown jewels")
    sla.replace(Scope(site.contoso.id), [Policy(None, critical=7, high=30), Policy(group.id, critical=1)], actor="test")
    page.goto(site.url + HERE)
    expect(page.get_by_role("row", name="Contoso Insurance")).to_contain_text("7 days")
    expect(page.get_by_role("row", name="Crown jewels")).to_contain_text("1 day")
    expect(page.get_by_role("row", name="Crown jewels")).to_contain_text("as the organization")
    expect(page.get_by_role("main").locator("form, input, button")).to_have_count(0)
    assert page.request.post(site.url + HERE, form={"own.critical": "1"}, headers={"Origin": site.url}).status == 403


def test_a_policy_of_another_customer_is_neither_shown_nor_changed(admin: Page, site: Site) -> None:
    sla.replace(Scope(site.contoso.id), [Policy(None, critical=41)], actor="test")
    enter(admin, site, ADMIN, site.northwind)
    admin.goto(site.url + HERE)
    expect(admin.get_by_label("Critical, days for the organization")).to_have_value("")
    admin.get_by_label("Critical, days for the organization").fill("5")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Saved.")).to_be_visible()
    assert stored(site) == {None: (41, None, None, None, False)}
    sla.replace(Scope(site.northwind.id), [], actor="test")


def test_another_site_changes_nothing(admin: Page, site: Site) -> None:
    answer = admin.request.post(site.url + HERE, form={"own.critical": "1"}, headers={"Origin": "https://evil.example"})
    assert answer.status == 403
    assert stored(site) == {}


def test_an_administrator_of_a_customer_changes_the_own_policy(page: Page, site: Site) -> None:
    user = factories.make_user("customer_admin", customer=site.contoso)
    enter(page, site, user.email)
    page.goto(site.url + HERE)
    page.get_by_label("Medium, days for the organization").fill("90")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert stored(site) == {None: (None, None, 90, None, False)}
