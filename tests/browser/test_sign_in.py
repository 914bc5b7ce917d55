"""Coming in, choosing a customer, going out."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, VIEWER, Site, choose, sign_in


def test_a_visitor_is_led_to_sign_in_and_back_to_where_he_wanted_to_go(page: Page, site: Site) -> None:
    page.goto(site.url + "/findings?severity=critical")
    expect(page).to_have_title("Sign in · Stockade")
    sign_in(page, site, VIEWER)
    expect(page).to_have_url(site.url + "/findings?severity=critical")
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()


def test_a_wrong_password_says_so_and_signs_nobody_in(page: Page, site: Site) -> None:
    sign_in(page, site, ADMIN, "not the password at all")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    page.goto(site.url + "/")
    expect(page.get_by_label("Password")).to_be_visible()


def test_signing_in_needs_no_script(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(java_script_enabled=False)
    sign_in(page, site, VIEWER, "not the password at all")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    sign_in(page, site, VIEWER)
    expect(page.get_by_role("heading", name="Security overview")).to_be_visible()


def test_an_address_elsewhere_is_not_followed_after_signing_in(page: Page, site: Site) -> None:
    page.goto(site.url + "/signin?callbackUrl=https://evil.example/")
    sign_in(page, site, VIEWER)
    expect(page).to_have_url(site.url + "/")


def test_signing_out_ends_the_session(page: Page, site: Site) -> None:
    sign_in(page, site, VIEWER)
    page.locator("details.account summary").click()
    expect(page.get_by_text("Customer viewer")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.goto(site.url + "/")
    expect(page.get_by_label("Password")).to_be_visible()


def test_msp_staff_choose_a_customer_before_they_see_any_figures(page: Page, site: Site, watch: Watch) -> None:
    sign_in(page, site, ADMIN)
    expect(page.get_by_role("heading", name="Choose a customer")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Contoso Insurance").click()
    expect(page.get_by_role("heading", name="Security overview")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Contoso Insurance")


def test_the_customer_is_switched_from_any_page(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/integrations")
    admin.locator("[data-picker]").click()
    picker = admin.get_by_role("dialog")
    picker.get_by_label("Find a customer").fill("northw")
    expect(picker.get_by_role("button")).to_have_count(1)
    picker.get_by_role("button", name="Northwind Traders").click()
    expect(admin).to_have_url(site.url + "/integrations")
    expect(admin.get_by_role("main")).to_contain_text("Northwind Traders")


def test_a_customer_is_switched_without_a_script_too(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(java_script_enabled=False)
    sign_in(page, site, ADMIN)
    choose(page, site, site.northwind)
    expect(page.locator(".switcher")).to_contain_text("Northwind Traders")


def test_somebody_of_one_customer_cannot_pick_another(page: Page, site: Site, watch: Watch) -> None:
    watch.expected = {403}
    sign_in(page, site, VIEWER)
    expect(page.locator("[data-picker]")).to_have_count(0)
    answer = page.request.post(site.url + "/customers", form={"customerId": site.northwind.id, "next": "/"}, headers={"Origin": site.url})
    assert answer.status == 403
