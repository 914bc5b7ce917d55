"""The list of verdicts in force, and ending one."""

import re

import pytest
from playwright.sync_api import Page, expect

from core.findings import verdicts
from core.findings.models import Finding
from core.findings.settling import Target
from core.findings.state import VerdictKind
from core.findings.verdicts import Decision
from core.scope import Scope
from tests.browser.conftest import Watch
from tests.browser.site import ADMIN, ANALYST, VIEWER, Site, enter

HERE = "/findings/verdicts"


@pytest.fixture
def decided(site: Site) -> dict[str, str]:
    """Ids of one verdict of each level; the findings that they are about are Contoso's."""
    scope = Scope(site.contoso.id)
    while found := verdicts.in_force(scope)[0]:
        for verdict in found:
            verdicts.end(scope, verdict.id, actor="test")
    single, ruled, owned = (Finding.within(scope).where(Finding.status == "open", Finding.severity == severity).first()
                            for severity in (4, 3, 2))
    verdicts.decide(scope, [single.id], Decision(VerdictKind.FALSE_POSITIVE, "The input is a constant"), actor=ANALYST)
    targets = {"rule": Target("rule", source="sonarqube", rule_key=ruled.rule_key), "asset": Target("asset", asset_id=owned.asset_id),
               "cve": Target("cve", cve="CVE-2021-44228")}
    ids = {"finding": Finding.get_by_id(single.id).verdict_id}
    for level, target in targets.items():
        outcome = verdicts.decide_broadly(scope, verdicts.check_target(scope, target), Decision(VerdictKind.IGNORED), actor=ADMIN)
        ids[level] = outcome.verdict_id
    return ids


def shown(page: Page, number: int) -> list[str]:
    expect(page.locator("[data-verdict]")).to_have_count(number)
    return [str(row.get_attribute("data-verdict")) for row in page.locator("[data-verdict]").all()]


def test_verdicts_of_every_level_are_listed_the_newest_first(admin: Page, site: Site, decided: dict[str, str]) -> None:
    told = [entry["id"] for entry in admin.request.get(site.url + "/api/verdicts").json()["verdicts"]]
    admin.goto(site.url + "/findings")
    admin.get_by_role("navigation", name="About findings").get_by_role("link", name="Verdicts").click()
    assert shown(admin, 4) == told
    assert set(told) == set(decided.values())
    row = admin.locator(f'[data-verdict="{decided["finding"]}"]')
    expect(row).to_contain_text("False positive")
    expect(row).to_contain_text("The input is a constant")
    expect(row).to_contain_text(ANALYST)
    expect(admin.locator(f'[data-verdict="{decided["cve"]}"]')).to_contain_text("Everything with CVE-2021-44228")


def test_the_list_is_narrowed_by_level_and_kind(admin: Page, site: Site, decided: dict[str, str]) -> None:
    admin.goto(site.url + HERE)
    filters = admin.get_by_role("form", name="Filters")
    filters.get_by_text("Rules").click()
    filters.get_by_text("Assets").click()
    filters.get_by_role("button", name="Apply").click()
    expect(admin).to_have_url(re.compile("level=asset&level=rule"))
    assert set(shown(admin, 2)) == {decided["rule"], decided["asset"]}
    admin.goto(site.url + HERE + "?verdict=accepted")
    expect(admin.get_by_role("heading", name="No verdict fits these filters")).to_be_visible()


def test_a_verdict_is_ended_after_the_page_has_said_how_many_stand_under_it(admin: Page, site: Site, decided: dict[str, str]) -> None:
    scope = Scope(site.contoso.id)
    under = Finding.within(scope).where(Finding.verdict_id == decided["rule"]).count()
    assert under > 1
    admin.goto(site.url + HERE + "?level=rule")
    admin.get_by_role("link", name="End…").click()
    expect(admin.get_by_role("main")).to_contain_text(f"{under} findings stand under it")
    admin.get_by_role("button", name="End it").click()
    expect(admin.get_by_text(f"{under} findings stand again where they would without it.")).to_be_visible()
    assert admin.url.startswith(site.url + HERE + "?level=rule")
    assert decided["rule"] not in {verdict.id for verdict in verdicts.in_force(scope)[0]}


def test_ending_a_verdict_twice_is_told_in_a_sentence(admin: Page, site: Site, watch: Watch, decided: dict[str, str]) -> None:
    watch.expected = {409}
    admin.goto(f"{site.url}{HERE}/{decided['asset']}/end")
    verdicts.end(Scope(site.contoso.id), decided["asset"], actor="somebody else")
    admin.get_by_role("button", name="End it").click()
    expect(admin.get_by_text("This verdict has ended before")).to_be_visible()
    admin.goto(f"{site.url}{HERE}/{decided['asset']}/end")
    expect(admin.get_by_role("heading", name="This verdict has ended")).to_be_visible()
    expect(admin.get_by_role("button", name="End it")).to_have_count(0)


def test_verdicts_of_another_customer_are_neither_shown_nor_ended(admin: Page, site: Site, decided: dict[str, str]) -> None:
    enter(admin, site, ADMIN, site.northwind)
    admin.goto(site.url + HERE)
    expect(admin.get_by_role("heading", name="Nobody has decided about anything yet")).to_be_visible()
    for key in decided.values():
        assert admin.request.get(f"{site.url}{HERE}/{key}/end").status == 404
        assert admin.request.post(f"{site.url}{HERE}/{key}/end", headers={"Origin": site.url}).status == 404
    assert len(verdicts.in_force(Scope(site.contoso.id))[0]) == 4


def test_who_may_only_read_sees_the_list_and_ends_nothing(page: Page, site: Site, decided: dict[str, str]) -> None:
    enter(page, site, VIEWER)
    page.goto(site.url + HERE)
    assert set(shown(page, 4)) == set(decided.values())
    expect(page.get_by_text("End…")).to_have_count(0)
    assert page.request.get(f"{site.url}{HERE}/{decided['rule']}/end").status == 403
    assert page.request.post(f"{site.url}{HERE}/{decided['rule']}/end", headers={"Origin": site.url}).status == 403


def test_another_site_cannot_end_one(admin: Page, site: Site, decided: dict[str, str]) -> None:
    answer = admin.request.post(f"{site.url}{HERE}/{decided['rule']}/end", headers={"Origin": "https://evil.example"})
    assert answer.status == 403
