"""Deciding about one finding, and about all of its asset, its rule or its CVE."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.findings import sla, verdicts
from core.findings.models import Finding
from core.ids import finding_public_id
from core.scope import Scope
from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, ANALYST, VIEWER, Site, enter

IN_A_MONTH = (datetime.now(UTC) + timedelta(days=30)).date()


@pytest.fixture(autouse=True)
def nothing_decided(site: Site) -> None:
    """Every test begins with findings that nobody has decided about."""
    for customer in (site.contoso, site.northwind):
        scope = Scope(customer.id)
        while found := verdicts.in_force(scope)[0]:
            for verdict in found:
                verdicts.end(scope, verdict.id, actor="test")


def some_finding(page: Page, site: Site) -> dict[str, Any]:
    """An open finding whose rule has found others too."""
    findings = page.request.get(site.url + "/api/findings?limit=100").json()["findings"]
    rules = [finding["rule"] for finding in findings]
    return next(finding for finding in findings if rules.count(finding["rule"]) > 1)


def told(page: Page, site: Site, finding: dict[str, Any]) -> dict[str, Any]:
    return page.request.get(f"{site.url}/api/findings/{finding['id']}").json()


def opened(page: Page, site: Site, finding: dict[str, Any]) -> Any:
    page.goto(f"{site.url}/findings/{finding['id']}")
    return page.locator(".verdict")


def test_the_risk_of_a_finding_is_accepted_until_a_day_with_a_reason(admin: Page, site: Site) -> None:
    finding = some_finding(admin, site)
    card = opened(admin, site, finding)
    expect(card).to_contain_text("Nobody has decided about it yet.")
    card.get_by_text("Decide…").click()
    card.get_by_label("Reason").fill("Behind a firewall\nuntil the rebuild")
    card.get_by_label("Until the end of").fill(IN_A_MONTH.isoformat())
    card.get_by_role("button", name="Decide").click()

    expect(admin.get_by_text("Decided.", exact=True)).to_be_visible()
    expect(card).to_contain_text("Risk accepted")
    expect(card).to_contain_text(ADMIN)
    expect(card).to_contain_text(f"Until {IN_A_MONTH.day} {IN_A_MONTH:%b %Y}")
    expect(card.locator(".verdict-reason")).to_have_text("Behind a firewall\nuntil the rebuild")
    expect(admin.locator(".events > li").first).to_contain_text("Decided: risk accepted until")
    decision = told(admin, site, finding)["decision"]
    assert (decision["verdict"], decision["until"]) == ("accepted", f"{IN_A_MONTH}T23:59:59.999Z")


def test_an_acceptance_without_a_reason_is_asked_for_one_and_keeps_what_was_typed(admin: Page, site: Site, watch: Watch) -> None:
    watch.expected = {400}
    card = opened(admin, site, some_finding(admin, site))
    card.get_by_text("Decide…").click()
    card.get_by_label("Until the end of").fill(IN_A_MONTH.isoformat())
    card.get_by_role("button", name="Decide").click()
    expect(card.locator("#error-reason")).to_have_text("An acceptance needs a reason.")
    expect(card.get_by_label("Until the end of")).to_have_value(IN_A_MONTH.isoformat())


def test_a_day_that_was_typed_means_nothing_for_a_false_positive(admin: Page, site: Site) -> None:
    finding = some_finding(admin, site)
    card = opened(admin, site, finding)
    card.get_by_text("Decide…").click()
    card.get_by_label("Until the end of").fill(IN_A_MONTH.isoformat())
    card.get_by_text("False positive").click()
    expect(card.get_by_label("Until the end of")).to_be_hidden()
    card.get_by_role("button", name="Decide").click()
    expect(card.locator(".chip")).to_have_text("False positive")
    assert told(admin, site, finding)["decision"]["until"] is None


def test_a_decided_finding_is_reopened(admin: Page, site: Site) -> None:
    finding = some_finding(admin, site)
    verdicts.decide(Scope(site.contoso.id), verdicts.keys_by_id(Scope(site.contoso.id), [finding["id"]]),
                    verdicts.Decision(verdicts.VerdictKind.IGNORED), actor=ADMIN)
    card = opened(admin, site, finding)
    card.get_by_role("button", name="Reopen").click()
    expect(card).to_contain_text("Nobody has decided about it yet.")
    expect(admin.locator(".events > li").first).to_contain_text("Verdict ended")
    assert told(admin, site, finding)["state"] == "open"


def test_a_decision_about_a_rule_says_how_many_it_concerns_and_asks_once_more(admin: Page, site: Site) -> None:
    finding = some_finding(admin, site)
    concerned = Finding.within(Scope(site.contoso.id)).where(Finding.rule_key == finding["rule"]).count()
    assert concerned > 1
    card = opened(admin, site, finding)
    card.get_by_text("Decide…").click()
    card.get_by_text("Ignore", exact=True).click()
    card.get_by_text("Everything that its rule finds").click()
    expect(card.locator("[data-count]").filter(has_text=f"{concerned} findings now")).to_be_visible()
    card.get_by_role("button", name="Decide").click()

    expect(admin.get_by_role("heading", name=f"Decide about {concerned} findings")).to_be_visible()
    assert told(admin, site, finding)["verdict"] is None, "nothing is decided before somebody has agreed to the number"
    expect(admin.get_by_role("radio", name="Ignore")).to_be_checked()
    admin.get_by_role("button", name=f"Decide about {concerned} findings").click()
    expect(card).to_contain_text("This comes from a decision about the rule")
    expect(card.get_by_role("button", name="Reopen")).to_have_count(0)
    assert Finding.within(Scope(site.contoso.id)).where(Finding.verdict == "ignored").count() == concerned

    card.get_by_role("link", name="End that verdict…").click()
    expect(admin.get_by_role("main")).to_contain_text(f"{concerned} findings stand under it")
    admin.get_by_role("button", name="End it").click()
    expect(card).to_contain_text("Nobody has decided about it yet.")
    assert Finding.within(Scope(site.contoso.id)).where(Finding.verdict == "ignored").count() == 0


def test_a_verdict_on_the_asset_is_told_as_that(admin: Page, site: Site) -> None:
    finding = some_finding(admin, site)
    card = opened(admin, site, finding)
    card.get_by_text("Decide…").click()
    card.get_by_text("False positive").click()
    card.get_by_text("Everything in its asset").click()
    card.get_by_role("button", name="Decide").click()
    admin.get_by_role("button", name="Decide about").click()
    expect(card).to_contain_text(f"This comes from a decision about the whole asset {finding['asset']['name']}")


def test_a_number_that_has_changed_meanwhile_is_said_before_anything_is_decided(admin: Page, site: Site, watch: Watch) -> None:
    watch.expected = {409}
    finding = some_finding(admin, site)
    card = opened(admin, site, finding)
    card.get_by_text("Decide…").click()
    card.get_by_text("Ignore", exact=True).click()
    card.get_by_text("Everything that its rule finds").click()
    card.get_by_role("button", name="Decide").click()
    other = Finding.within(Scope(site.contoso.id)).where(Finding.rule_key == finding["rule"]).order_by(Finding.id).first()
    Finding.update(rule_key="another:rule").where(Finding.id == other.id).execute()
    admin.get_by_role("button", name="Decide about").click()
    expect(admin.get_by_role("alert")).to_contain_text("Meanwhile there")
    assert verdicts.in_force(Scope(site.contoso.id))[0] == []
    Finding.update(rule_key=finding["rule"]).where(Finding.id == other.id).execute()


def test_deciding_needs_no_script(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(java_script_enabled=False)
    enter(page, site, ADMIN, site.contoso)
    card = opened(page, site, some_finding(page, site))
    card.get_by_text("Decide…").click()
    card.get_by_label("Reason").fill("Tolerable")
    card.get_by_text("Everything that its rule finds").click()
    card.get_by_role("button", name="Decide").click()
    page.get_by_role("button", name="Decide about").click()
    expect(card).to_contain_text("Risk accepted")
    expect(card).to_contain_text("For good")


def test_somebody_limited_to_groups_is_not_offered_rules_and_cves(page: Page, site: Site) -> None:
    from core.access.models import GroupLimit
    from core.assets.models import AssetGroup
    from tests import factories

    user = factories.make_user("customer_admin", customer=site.contoso)
    group = AssetGroup.get(AssetGroup.name == "Crown jewels")
    GroupLimit.create(customer_id=site.contoso.id, user_id=user.id, group_id=group.id)
    enter(page, site, user.email)
    finding = page.request.get(site.url + "/api/findings?limit=1").json()["findings"][0]
    card = opened(page, site, finding)
    card.get_by_text("Decide…").click()
    expect(card.locator('[name="scope"]')).to_have_count(2)


def test_who_may_only_read_sees_the_verdict_and_no_control(page: Page, site: Site) -> None:
    scope = Scope(site.contoso.id)
    finding = Finding.within(scope).where(Finding.status == "open").first()
    verdicts.decide(scope, [finding.id], verdicts.Decision(verdicts.VerdictKind.ACCEPTED, "Known to all"), actor=ADMIN)
    enter(page, site, VIEWER)
    card = opened(page, site, {"id": finding_public_id(finding.id)})
    expect(card).to_contain_text("Known to all")
    expect(card.locator("button, summary, form")).to_have_count(0)
    for path, form in ((f"/findings/{finding_public_id(finding.id)}/verdict", {"verdict": "ignored"}),
                       (f"/findings/{finding_public_id(finding.id)}/reopen", {}),
                       (f"/findings/verdicts/{Finding.get_by_id(finding.id).verdict_id}/end", {}),
                       ("/findings/decide", {"about": "asset", "assetId": finding.asset_id, "verdict": "ignored"})):
        answer = page.request.post(site.url + path, form=form, headers={"Origin": site.url})
        assert answer.status == 403, path
    assert page.request.get(site.url + "/findings/decide").status == 403
    assert Finding.get_by_id(finding.id).verdict == "accepted"


def test_another_site_and_another_customer_decide_nothing(page: Page, site: Site) -> None:
    enter(page, site, ADMIN, site.contoso)
    finding = some_finding(page, site)
    path = f"{site.url}/findings/{finding['id']}/verdict"
    forged = page.request.post(path, form={"verdict": "ignored"}, headers={"Origin": "https://evil.example"})
    assert forged.status == 403
    enter(page, site, ANALYST, site.northwind)
    answer = page.request.post(path, form={"verdict": "ignored"}, headers={"Origin": site.url})
    assert answer.status == 404
    assert Finding.select().where(Finding.verdict.is_null(False)).count() == 0


# -- several at once, from the list --------------------------------------------------------------------------------------------


def decided(site: Site) -> set[str]:
    """Ids of what somebody has decided about."""
    return {finding_public_id(finding.id) for finding in Finding.within(Scope(site.contoso.id)).where(Finding.verdict.is_null(False))}


def test_several_findings_are_selected_and_decided_about_in_one_go(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/findings?severity=high")
    button = admin.get_by_role("button", name="Decide about the selected…")
    expect(button).to_be_disabled()
    boxes = admin.locator('.findings tbody [name="finding"]')
    chosen = {boxes.nth(number).get_attribute("value") for number in (0, 2)}
    for number in (0, 2):
        boxes.nth(number).check()
    expect(admin.get_by_text("2 selected")).to_be_visible()
    button.click()
    expect(admin.get_by_role("heading", name="Decide about 2 findings")).to_be_visible()
    expect(admin.locator(".concerned li")).to_have_count(2)
    admin.get_by_role("radio", name="False positive").check()
    admin.get_by_role("button", name="Decide about 2 findings").click()
    expect(admin.get_by_text("2 findings have another verdict now.")).to_be_visible()
    assert decided(site) == chosen
    assert admin.url.startswith(site.url + "/findings?severity=high")


def test_a_whole_page_is_selected_with_one_click(admin: Page, site: Site) -> None:
    admin.goto(site.url + "/findings")
    admin.get_by_label("Select all on this page").check()
    expect(admin.get_by_text("50 selected")).to_be_visible()
    admin.locator('.findings tbody [name="finding"]').first.uncheck()
    expect(admin.get_by_text("49 selected")).to_be_visible()


def test_all_that_fit_the_filters_are_decided_about_and_reopened_again(admin: Page, site: Site) -> None:
    told = admin.request.get(site.url + "/api/findings?severity=critical").json()["count"]["value"]
    admin.goto(site.url + "/findings?severity=critical")
    admin.get_by_role("link", name=f"Decide about all {told}…").click()
    expect(admin.get_by_role("main")).to_contain_text("Open · Critical")
    admin.get_by_label("Reason").fill("Until the audit")
    admin.get_by_role("button", name=f"Decide about {told} findings").click()
    expect(admin.get_by_text(f"{told} findings have another verdict now.")).to_be_visible()
    expect(admin.get_by_role("heading", name="Nothing fits these filters")).to_be_visible()
    assert len(decided(site)) == told

    admin.goto(site.url + "/findings?severity=critical&state=accepted")
    admin.get_by_role("link", name=f"Decide about all {told}…").click()
    admin.get_by_role("radio", name="Reopen").check()
    admin.get_by_role("button", name=f"Decide about {told} findings").click()
    expect(admin.get_by_text(f"{told} findings have another verdict now.")).to_be_visible()
    assert decided(site) == set()


def test_several_are_decided_about_without_a_script(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(java_script_enabled=False)
    enter(page, site, ADMIN, site.contoso)
    page.goto(site.url + "/findings")
    page.locator('.findings tbody [name="finding"]').nth(1).check()
    page.get_by_role("button", name="Decide about the selected…").click()
    page.get_by_role("radio", name="Ignore").check()
    page.get_by_role("button", name="Decide about 1 finding").click()
    expect(page.get_by_text("1 finding has another verdict now.")).to_be_visible()
    assert len(decided(site)) == 1


def test_nothing_selected_is_said_in_a_sentence(open_page: Callable[..., Page], site: Site, watch: Watch) -> None:
    watch.expected = {400}
    page = open_page(java_script_enabled=False)
    enter(page, site, ADMIN, site.contoso)
    page.goto(site.url + "/findings")
    page.get_by_role("button", name="Decide about the selected…").click()
    expect(page.get_by_text("Select first what you want to decide about")).to_be_visible()


def test_findings_of_another_customer_cannot_be_slipped_in(admin: Page, site: Site) -> None:
    theirs = some_finding(admin, site)["id"]
    enter(admin, site, ADMIN, site.northwind)
    assert admin.request.get(f"{site.url}/findings/decide?about=chosen&finding={theirs}").status == 404
    form = {"about": "chosen", "finding": theirs, "matched": "1", "verdict": "ignored"}
    assert admin.request.post(site.url + "/findings/decide", form=form, headers={"Origin": site.url}).status == 404
    assert decided(site) == set()


def test_who_may_only_read_has_nothing_to_select(page: Page, site: Site) -> None:
    enter(page, site, VIEWER)
    page.goto(site.url + "/findings")
    expect(page.locator(".findings tbody tr")).to_have_count(50)
    expect(page.locator('[name="finding"], .pick-bar')).to_have_count(0)


def test_due_dates_are_shown_and_the_list_is_narrowed_to_what_is_overdue(admin: Page, site: Site) -> None:
    scope = Scope(site.contoso.id)
    admin.goto(site.url + "/findings")
    expect(admin.get_by_role("columnheader", name="Due")).to_have_count(0)
    sla.replace(scope, [sla.Policy(None, critical=5)], actor="test")
    late = Finding.within(scope).where(Finding.status == "open", Finding.severity == 4).first()
    Finding.update(due_day=late.due_day - 30).where(Finding.id == late.id).execute()
    try:
        admin.goto(site.url + "/findings")
        expect(admin.locator(".findings tbody tr").nth(0)).to_contain_text("Due in 5 days")
        admin.get_by_label("Due date").select_option("Overdue")
        admin.get_by_role("button", name="Apply").click()
        expect(admin.locator(".findings tbody tr")).to_have_count(1)
        expect(admin.locator(".findings tbody tr")).to_contain_text("25 days overdue")
        admin.locator(".row-link").click()
        expect(admin.locator(".title-chips")).to_contain_text("25 days overdue")
        assert admin.request.get(site.url + "/api/findings?dueWithin=4").json()["count"]["value"] == 1
    finally:
        sla.replace(scope, [], actor="test")
