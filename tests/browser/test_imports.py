"""Uploading a report: seeing first what it would do, importing it, and what was imported before."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.assets.models import Asset
from core.connections.models import IMPORT, Run
from core.findings.models import Finding
from core.scope import Scope
from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, ANALYST, VIEWER, Site, enter
from tests.servers import Processes

HERE = "/imports"
PARTS = ("opens", "closes", "reopens", "changes", "unchanged")


@pytest.fixture(scope="module")
def worker(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real ``stockade worker``, for the whole file."""
    running = Processes(Path(tmp_path_factory.mktemp("worker")))
    running.worker(site.environ)
    yield
    running.end()


def sarif(*rules: str) -> dict[str, Any]:
    """A report with one finding of each rule."""
    results = [{"ruleId": rule, "level": "error", "message": {"text": f"Something is wrong with {rule}"},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": f"src/{rule}.py"}, "region": {"startLine": 7}}}]}
               for rule in rules]
    driver = {"name": "Linty", "rules": [{"id": rule} for rule in rules]}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def chosen(page: Page, report: Any, name: str = "linty.sarif") -> None:
    content = report if isinstance(report, bytes) else json.dumps(report).encode()
    page.get_by_label("Report file").set_input_files({"name": name, "mimeType": "application/json", "buffer": content})


def said(page: Page) -> dict[str, int]:
    expect(page.locator("[data-preview]")).to_be_visible()
    return {part: int(page.locator(f'[data-part="{part}"]').inner_text()) for part in PARTS}


def imported(page: Page) -> None:
    """The page of a run that has ended well."""
    expect(page.locator("[data-run-state]")).to_have_attribute("data-run-state", "succeeded")


def test_a_report_is_checked_first_and_then_imported(admin: Page, site: Site, worker: None) -> None:
    scope = Scope(site.contoso.id)
    admin.goto(site.url + "/")
    admin.get_by_role("navigation", name="Main").get_by_role("link", name="Imports").click()
    chosen(admin, sarif("one", "two"))
    admin.get_by_label("Asset", exact=False).first.fill("Checkout service")
    admin.get_by_role("button", name="Check first").click()
    assert said(admin) == {"opens": 2, "closes": 0, "reopens": 0, "changes": 0, "unchanged": 0}
    expect(admin.locator(".preview")).to_contain_text("Something is wrong with one")
    assert not Asset.within(scope).where(Asset.name == "Checkout service").exists(), "a check writes nothing"

    admin.get_by_role("button", name="Import it").click()
    imported(admin)
    expect(admin.get_by_role("heading", name="Import of SARIF 2.1")).to_be_visible()
    expect(admin.locator('[data-count="added"]')).to_have_text("2")
    asset = Asset.within(scope).where(Asset.name == "Checkout service").get()
    assert asset.open_high == 2

    admin.goto(site.url + HERE)
    chosen(admin, sarif("two", "three"))
    admin.get_by_label("Asset", exact=False).first.fill("Checkout service")
    admin.get_by_role("button", name="Check first").click()
    assert said(admin) == {"opens": 1, "closes": 1, "reopens": 0, "changes": 0, "unchanged": 1}
    admin.get_by_role("button", name="Import it").click()
    imported(admin)
    states = dict(Finding.within(scope).where(Finding.asset_id == asset.id).select(Finding.path, Finding.status).tuples())
    assert states == {"src/one.py": "gone", "src/two.py": "open", "src/three.py": "open"}

    admin.goto(site.url + HERE)
    first = admin.locator("[data-import]").first
    expect(first).to_contain_text("SARIF 2.1: Checkout service")
    expect(first).to_contain_text(ADMIN)
    expect(first.locator(".run-file")).to_have_text("linty.sarif")
    found = Finding.within(scope).where(Finding.path == "src/three.py").get()
    admin.goto(site.url + "/findings?text=three.py")
    admin.locator(".row-link").click()
    expect(admin.locator(".events")).to_contain_text(f"Import by {ADMIN}")
    admin.locator(".events").get_by_role("link", name=found.first_run_id).click()
    expect(admin.get_by_role("heading", name="Import of SARIF 2.1")).to_be_visible()


def test_a_report_that_is_not_sound_is_refused_with_its_place(admin: Page, site: Site, watch: Watch) -> None:
    watch.expected = {400, 415}
    admin.goto(site.url + HERE)
    for content, name, told in ((b"nothing that anybody knows", "notes.txt", "no report of a known format"), (b"", "none.json", "is empty"),
                                (b'{"version": "2.1.0", "runs": [{"results": [', "cut.sarif", "line 1")):
        chosen(admin, content, name)
        admin.get_by_role("button", name="Check first").click()
        expect(admin.locator("#error-file")).to_contain_text(told)
    expect(admin.locator("[data-preview]")).to_have_count(0)
    before = Run.select().count()
    chosen(admin, b"nothing that anybody knows", "notes.txt")
    admin.get_by_role("button", name="Import", exact=True).click()
    expect(admin.locator("#error-file")).to_contain_text("no report of a known format")
    assert Run.select().count() == before


def test_a_report_is_asked_for_when_none_is_chosen(admin: Page, site: Site, watch: Watch) -> None:
    watch.expected = {400}
    admin.goto(site.url + HERE)
    admin.get_by_role("button", name="Check first").click()
    expect(admin.locator("#error-file")).to_have_text("Choose the file of the report first")


def test_an_import_that_fails_says_why_on_its_page(admin: Page, site: Site, worker: None) -> None:
    admin.goto(site.url + HERE)
    chosen(admin, b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [', "cut.sarif")
    admin.get_by_label("Format").select_option("SARIF 2.1")
    admin.get_by_role("button", name="Import", exact=True).click()
    expect(admin.locator("[data-run-state]")).to_have_attribute("data-run-state", "failed")
    expect(admin.get_by_role("main")).to_contain_text("The report is not sound")
    expect(admin.get_by_role("main")).to_contain_text("Nothing was changed.")


def test_an_import_that_would_close_too_much_waits_for_a_decision(admin: Page, site: Site, worker: None) -> None:
    many, few = [f"rule{number}" for number in range(30)], ["rule0"]
    for rules in (many, few):
        admin.goto(site.url + HERE)
        chosen(admin, sarif(*rules))
        admin.get_by_label("Asset", exact=False).first.fill("Ledger")
        if rules is few:
            admin.get_by_role("button", name="Check first").click()
            expect(admin.locator(".preview")).to_contain_text("somebody would have to approve it: 29 of 30 findings")
        admin.get_by_role("button", name="Import", exact=True).click()
        expect(admin.locator("[data-run-state]")).to_have_attribute("data-run-state", "succeeded" if rules is many else "held")
    expect(admin.locator(".decision")).to_contain_text("29 of 30")
    admin.get_by_text("Approve…").click()
    admin.get_by_role("button", name="Yes, go on").click()
    imported(admin)
    asset = Asset.within(Scope(site.contoso.id)).where(Asset.name == "Ledger").get()
    assert Finding.select().where(Finding.asset_id == asset.id, Finding.status == "open").count() == 1


def test_uploading_needs_no_script(open_page: Callable[..., Page], site: Site, worker: None, watch: Watch) -> None:
    watch.expected = {400}
    page = open_page(java_script_enabled=False)
    enter(page, site, ADMIN, site.contoso)
    page.goto(site.url + HERE)
    chosen(page, sarif("plain"))
    page.get_by_label("Asset", exact=False).first.fill("No\u2028script")
    page.get_by_role("button", name="Check first").click()
    expect(page.locator("#error-asset")).to_contain_text("one line")
    chosen(page, sarif("plain"))
    page.get_by_label("Asset", exact=False).first.fill("No script")
    page.get_by_role("button", name="Check first").click()
    assert said(page)["opens"] == 1
    expect(page.get_by_label("Asset", exact=False).first).to_have_value("No script")
    chosen(page, sarif("plain"))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import of SARIF 2.1")).to_be_visible()


def test_who_may_not_import_sees_what_was_imported_and_no_form(page: Page, site: Site) -> None:
    run = Run.create(id="run_read", customer_id=site.contoso.id, connection_id="imp_test", source="csv", trigger=IMPORT, state="succeeded",
                     requested_by="anna@example.test", requested_at=1, asset_keys=["Shop"], counts={"added": 3}, finished_at=2)
    enter(page, site, VIEWER)
    page.goto(site.url + HERE)
    expect(page.locator(f'[data-import="{run.id}"]')).to_contain_text("CSV: Shop")
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Imports")).to_have_count(0)
    expect(page.locator("main form, main button")).to_have_count(0)
    for path in (HERE, HERE + "/check"):
        report = {"name": "report.csv", "mimeType": "text/csv", "buffer": b"title,severity\nWeak,high\n"}
        answer = page.request.post(site.url + path, multipart={"file": report}, headers={"Origin": site.url})
        assert answer.status == 403, path
    page.goto(f"{site.url}/runs/{run.id}")
    expect(page.get_by_role("heading", name="Import of CSV")).to_be_visible()
    for decision in ("approve", "discard"):
        assert page.request.post(f"{site.url}/runs/{run.id}/{decision}", headers={"Origin": site.url}).status == 403


def test_another_customer_sees_neither_the_import_nor_its_run(page: Page, site: Site) -> None:
    run = Run.create(id="run_notyours", customer_id=site.contoso.id, connection_id="imp_other", source="csv", trigger=IMPORT, state="held",
                     requested_by="anna@example.test", asset_keys=["Secret project"], requested_at=1, plan={})
    enter(page, site, ADMIN, site.northwind)
    page.goto(site.url + HERE)
    expect(page.get_by_text("No report was imported yet.")).to_be_visible()
    assert page.request.get(f"{site.url}/runs/{run.id}").status == 404
    assert page.request.post(f"{site.url}/runs/{run.id}/approve", headers={"Origin": site.url}).status == 404
    run.delete_instance()


def test_another_site_uploads_nothing(admin: Page, site: Site) -> None:
    report = {"name": "report.csv", "mimeType": "text/csv", "buffer": b"title,severity\nWeak,high\n"}
    before = Run.select().count()
    answer = admin.request.post(site.url + HERE, multipart={"file": report}, headers={"Origin": "https://evil.example"})
    assert answer.status == 403
    assert Run.select().count() == before


def test_the_runs_of_a_source_have_pages_too(page: Page, site: Site) -> None:
    enter(page, site, ANALYST, site.contoso)
    page.goto(site.url + "/integrations/sonarqube")
    page.locator("[data-history] .run-when a").first.click()
    expect(page.get_by_role("heading", name="Sync of SonarQube")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("All of the source")
