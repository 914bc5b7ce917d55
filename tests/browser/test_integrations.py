"""Configuring SonarQube, trying its settings, and syncing it with a real worker; deciding about a run that is held."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.connections import service
from core.scope import Scope
from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, ANALYST, VIEWER, Site, enter
from tests.servers import Processes

HERE = "/integrations/sonarqube"


@pytest.fixture(scope="module")
def worker(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real ``stockade worker``, for the whole file."""
    running = Processes(Path(tmp_path_factory.mktemp("worker")))
    running.worker(site.environ)
    yield
    running.end()


def outcome(page: Page, code: str) -> None:
    expect(page.locator("[data-outcome]")).to_have_attribute("data-outcome", code)


def test_a_source_is_configured_validated_and_synced_with_live_progress(admin: Page, site: Site, watch: Watch, worker: None) -> None:
    watch.expected = {400}
    enter(admin, site, ADMIN, site.northwind)
    admin.goto(site.url + "/integrations")
    expect(admin.locator(".source", has_text="SonarQube")).to_contain_text("Not configured")
    admin.get_by_role("link", name="SonarQube").click()

    admin.get_by_label("Address", exact=True).fill(site.sonar_url)
    admin.get_by_label("Organization key").fill("northwind")
    admin.get_by_role("button", name="Save").click()
    expect(admin.locator("#error-s-token")).to_have_text("Please fill this in.")
    expect(admin.get_by_label("Token")).to_be_focused()

    admin.get_by_label("Token").fill("sqp_wrong")
    admin.get_by_role("button", name="Validate").click()
    outcome(admin, "token_refused")
    expect(admin.locator("#error-s-token")).to_be_empty()
    admin.get_by_label("Token").fill(site.tokens["northwind"])
    admin.get_by_role("button", name="Validate").click()
    outcome(admin, "valid")
    expect(admin.locator("#outcome")).to_contain_text("Projects visible")
    admin.get_by_label("Schedule").select_option("Every 6 hours")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Saved.")).to_be_visible()
    assert site.tokens["northwind"] not in admin.content()

    gate = threading.Event()
    site.world.faults.add("slow", path="hotspots/search", gate=gate, after=2, times=1)  # the third project waits for us
    admin.evaluate("document.body.dataset.loaded = 'once'")
    admin.get_by_role("button", name="Sync now").click()
    expect(admin.locator("[data-run-phase]")).to_have_text("Pulling findings")
    expect(admin.locator("[data-run-done]")).to_have_text("2 of 4")
    expect(admin.locator("[data-run-counts]")).to_contain_text("new")
    assert admin.locator("progress").evaluate("bar => [bar.value, bar.max]") == [2, 4]
    gate.set()
    expect(admin.locator('[data-health="ok"]')).to_be_visible()
    expect(admin.locator(".history > li").first).to_contain_text("Succeeded")
    assert admin.locator("body").get_attribute("data-loaded") == "once", "the page was loaded anew"

    told = admin.request.get(site.url + "/api/dashboard/overview").json()
    admin.goto(site.url + "/")
    expect(admin.locator('[data-figure="open"]')).to_have_text(f"{told['vulnerabilitiesOpen']:,}")
    assert told["vulnerabilitiesOpen"] > 0


def test_a_stored_secret_stays_when_its_field_is_left_empty(admin: Page, site: Site) -> None:
    admin.goto(site.url + HERE)
    expect(admin.locator("details.secret").first).to_contain_text("Stored")
    admin.get_by_label("Further branches").fill("release/*")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Saved.")).to_be_visible()
    expect(admin.get_by_label("Further branches")).to_have_value("release/*")
    admin.get_by_label("Further branches").fill("")
    admin.get_by_role("button", name="Validate").click()
    outcome(admin, "valid")


def test_the_settings_can_be_saved_without_a_script(open_page: Callable[..., Page], site: Site, watch: Watch) -> None:
    watch.expected = {400}
    page = open_page(java_script_enabled=False)
    enter(page, site, ADMIN, site.contoso)
    page.goto(site.url + HERE)
    page.get_by_label("Address", exact=True).fill("not an address")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error-s-url")).to_contain_text("Not a web address")
    page.get_by_label("Address", exact=True).fill(site.sonar_url)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_the_webhooks_address_is_shown_and_can_be_copied(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    enter(page, site, ADMIN, site.contoso)
    page.goto(site.url + HERE)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    connection = service.must_find(Scope(site.contoso.id), "sonarqube")
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.url}/api/integrations/sonarqube/webhook/{connection.webhook_key}"


def hold_a_run(site: Site) -> None:
    fault = site.world.faults.add("no_projects")
    run = site.sync(service.must_find(Scope(site.contoso.id), "sonarqube"))
    fault.times = fault.seen
    assert run.state == "held"


def open_findings(page: Page, site: Site) -> int:
    return page.request.get(site.url + "/api/dashboard/overview").json()["vulnerabilitiesOpen"]


def test_a_held_run_is_shown_with_what_it_would_do_and_discarded(admin: Page, site: Site) -> None:
    hold_a_run(site)
    before = open_findings(admin, site)
    admin.goto(site.url + HERE)
    decision = admin.locator(".decision")
    expect(decision).to_contain_text("4 of 4")
    decision.get_by_role("button", name="Discard").click()
    expect(decision).to_have_count(0)
    expect(admin.get_by_text("Nothing was closed or removed.")).to_be_visible()
    expect(admin.locator(".history > li").first).to_contain_text("Discarded")
    assert open_findings(admin, site) == before > 0


def test_approving_a_held_run_asks_once_more_and_then_carries_it_out(admin: Page, site: Site, worker: None) -> None:
    hold_a_run(site)
    admin.goto(site.url + HERE)
    admin.get_by_text("Approve…").click()
    admin.get_by_role("button", name="Yes, go on").click()
    expect(admin.locator(".history > li").first).to_contain_text("Succeeded")
    assert open_findings(admin, site) == 0
    site.sync(service.must_find(Scope(site.contoso.id), "sonarqube"))
    assert open_findings(admin, site) > 0


def test_a_viewer_may_not_look_at_integrations(page: Page, site: Site, watch: Watch) -> None:
    watch.expected = {403}
    enter(page, site, VIEWER)
    for path in ("/integrations", HERE):
        answer = page.goto(site.url + path)
        assert answer is not None
        assert answer.status == 403
        expect(page.get_by_role("heading", name="You do not have access to this")).to_be_visible()


def test_an_analyst_sees_how_a_source_fares_but_no_form(page: Page, site: Site) -> None:
    enter(page, site, ANALYST, site.contoso)
    page.goto(site.url + HERE)
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    expect(page.locator("#settings")).to_have_count(0)
    expect(page.get_by_role("button", name="Sync now")).to_have_count(0)


def test_a_connection_is_removed_only_after_a_second_question(admin: Page, site: Site) -> None:
    site.connect(site.northwind, "northwind")
    enter(admin, site, ADMIN, site.northwind)
    admin.goto(site.url + HERE)
    expect(admin.get_by_role("button", name="Yes, remove it")).to_be_hidden()
    admin.get_by_text("Remove connection…").click()
    admin.get_by_role("button", name="Yes, remove it").click()
    expect(admin).to_have_url(site.url + "/integrations?notice=removed")
    expect(admin.locator(".source", has_text="SonarQube")).to_contain_text("Not configured")


def test_a_decision_that_comes_too_late_says_why_nothing_happened(admin: Page, site: Site, watch: Watch) -> None:
    watch.expected = {409}
    hold_a_run(site)
    admin.goto(site.url + HERE)
    held = admin.locator('[data-history][data-state="held"]').get_attribute("data-history")
    assert admin.request.post(f"{site.url}/api/runs/{held}/discard", headers={"Origin": site.url}).ok
    admin.get_by_role("button", name="Discard").click()
    expect(admin.get_by_text("Only a held run can be decided")).to_be_visible()
