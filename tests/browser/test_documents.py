"""The API documents in Swagger UI: offline, under the strict policy."""

from playwright.sync_api import Page, expect

from tests.browser.site import Site


def test_the_documents_are_read_offline_and_an_operation_unfolds(page: Page, site: Site):
    page.goto(f"{site.url}/docs")
    operation = page.locator(".opblock", has_text="/api/manage-assets")
    expect(operation).to_be_visible()
    operation.click()
    expect(operation).to_contain_text("x-customer-id")
    expect(operation).to_contain_text("applicationCodeSecurity")


def test_each_surface_has_its_document(page: Page, site: Site):
    page.goto(f"{site.url}/docs")
    page.get_by_role("link", name="Stockade v1 API").click()
    expect(page.locator(".opblock", has_text="/v1/user/@me/check-permission")).to_be_visible()
    expect(page.get_by_role("link", name="Stockade v1 API")).to_have_attribute("aria-current", "page")
