"""The review list as a page: people say which customer a company in ConnectWise is."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.access import service as access
from core.access.nodes import NodeRegistry
from core.audit.models import AuditEvent
from core.connections import service as connections
from core.people import service as people
from core.scope import HOUSE, Scope
from core.tenancy import service as tenancy
from plugins.connectwise.models import CwCompany
from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, VIEWER, Site, enter

HERE = "/integrations/connectwise/review"


def keep(cw_id: int, name: str, review: str, *candidates: str) -> CwCompany:
    """A company that waits for a person."""
    return CwCompany.create(id=f"cwc_{cw_id}", tenant="nordlys", cw_id=cw_id, identifier=name[:20], identifier_key=f"key {cw_id}",
                            name=name, name_key=tenancy.folded(name), data={"status": "Active"}, digest="", fetched_at=1_770_000_000_000,
                            review=review, candidates=list(candidates))


@pytest.fixture
def waiting(site: Site) -> Iterator[None]:
    keep(11, "Contoso Insurances", "similar", site.contoso.id)
    keep(12, "Blåfjell AS", "new")
    keep(13, "Old Supplier", "new")
    yield
    CwCompany.delete().execute()



def decide(page: Page, cw_id: int, choice: str) -> None:
    company = page.locator(f'[data-review="cwc_{cw_id}"]')
    company.get_by_label(choice).first.check()
    company.get_by_role("button", name="Decide").click()


def test_each_company_is_linked_created_or_left_alone(admin: Page, site: Site, watch: Watch, waiting: None) -> None:
    watch.expected = {400, 409}
    admin.goto(site.url + "/integrations/connectwise")
    admin.get_by_role("link", name="Companies to review").click()
    expect(admin.locator("[data-review]")).to_have_count(3)
    expect(admin.locator('[data-review="cwc_11"]')).to_contain_text("Its name is like that of a customer, but not the same.")

    admin.locator('[data-review="cwc_12"]').get_by_role("button", name="Decide").click()
    expect(admin.locator('[data-review="cwc_12"] .fault')).to_have_text("Choose first what it is.")
    company = admin.locator('[data-review="cwc_12"]')
    company.get_by_label("Name of the customer that").fill("Nobody & Sons")
    expect(company.get_by_label("A customer that is here already")).to_be_checked()
    company.get_by_role("button", name="Decide").click()
    expect(company.locator(".fault")).to_have_text("There is no customer called Nobody & Sons.")
    expect(company.get_by_label("Name of the customer that")).to_have_value("Nobody & Sons")
    company.get_by_label("A new customer", exact=True).check()
    company.get_by_label("Name of the new customer").fill(site.northwind.name.upper())
    company.get_by_role("button", name="Decide").click()
    expect(company.locator(".fault")).to_have_text("A customer with this name exists already")
    company.get_by_label("Name of the new customer").fill("Blåfjell")
    company.get_by_role("button", name="Decide").click()
    expect(admin.get_by_text("It is a new customer now.")).to_be_visible()
    assert tenancy.get(CwCompany.get_by_id("cwc_12").customer_id).name == "Blåfjell"

    decide(admin, 11, site.contoso.name)
    expect(admin.get_by_text("Linked.")).to_be_visible()
    assert CwCompany.get_by_id("cwc_11").customer_id == site.contoso.id
    decide(admin, 13, "No customer")
    expect(admin.get_by_role("heading", name="Nothing waits for a decision")).to_be_visible()
    admin.get_by_role("link", name="Left alone").click()
    decide(admin, 13, "A customer that is here already")
    expect(admin.locator('[data-review="cwc_13"] .fault')).to_have_text("Which customer? Type its name.")
    admin.get_by_label("Name of the customer that").fill(site.northwind.name)
    admin.get_by_role("button", name="Decide").click()
    expect(admin.get_by_role("heading", name="No company is left alone")).to_be_visible()
    assert CwCompany.get_by_id("cwc_13").customer_id == site.northwind.id
    told = AuditEvent.select(AuditEvent.action, AuditEvent.actor).where(AuditEvent.action.in_(["company.linked", "company.ignored"]))
    assert sorted(told.tuples()) == [("company.ignored", ADMIN), *[("company.linked", ADMIN)] * 3]
    assert connections.find(Scope(HOUSE), "connectwise") is None, "nothing is pulled where nothing is connected"


def test_who_may_only_look_sees_no_form_and_who_may_for_one_customer_nothing(page: Page, site: Site, watch: Watch, waiting: None) -> None:
    watch.expected = {403}
    registry = NodeRegistry(site.deployment.plugins.permission_nodes)
    access.grant_node(access.COMMAND, people.by_email(VIEWER), "company.review", site.contoso.id, registry)
    enter(page, site, VIEWER)
    assert page.goto(site.url + HERE).status == 403  # type: ignore[union-attr]
    access.grant_node(access.COMMAND, people.by_email(VIEWER), "company.review", None, registry)
    page.goto(site.url + HERE)
    expect(page.locator('[data-review="cwc_11"]')).to_contain_text(site.contoso.name)
    expect(page.locator("main form, main button")).to_have_count(0)
    form = {"what": "ignore"}
    assert page.request.post(f"{site.url}{HERE}/cwc_11", form=form, headers={"Origin": site.url}).status == 403
    assert CwCompany.get_by_id("cwc_11").review == "similar"


def test_long_lists_have_pages_and_a_page_that_was_emptied_leads_to_the_first(admin: Page, site: Site) -> None:
    for number in range(100, 121):
        keep(number, f"Company {number}", "new")
    admin.goto(site.url + HERE)
    expect(admin.locator("[data-review]")).to_have_count(20)
    admin.get_by_role("link", name="Next").click()
    decide(admin, 120, "No customer")
    expect(admin.locator("[data-review]")).to_have_count(20)
    CwCompany.delete().execute()
