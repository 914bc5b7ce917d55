"""Pages that fail, are cut short, come back empty or as somebody else's HTML: of what they concern nothing is closed, and the run
says which project it was, and why."""

import pytest

from tests.faults.site import CATALOG, HOTSPOTS, ISSUES, at_the_source, project_with, totals_are_right

# of each project, what happens to its second page of issues, and how the run names it
SPOILT = {
    "answers-500": ("status", "unavailable", "too many 500 error responses"),
    "cut-off": ("cut", "invalid_answer", "cut short"),
    "empty-page": ("empty_page", "incomplete", "page 2 is empty, although 599 are announced"),
    "half-json": ("cut_json", "invalid_answer", "not JSON"),
    "html-502": ("html", "unavailable", "too many 502 error responses"),
    "moving": ("drift", "incomplete", "came of 599 announced"),
}
CATALOG_KINDS = {"status": "unavailable", "html": "unavailable", "cut": "invalid_answer", "cut_json": "invalid_answer",
                 "empty_page": "incomplete"}


@pytest.fixture
def sonar(sonar_of):
    """One page of issues for each project."""
    return sonar_of(*(project_with(key, 20, hotspots=2) for key in (*SPOILT, "sound")))


@pytest.fixture
def larger_sonar(sonar_of):
    """Two pages."""
    return sonar_of(*(project_with(key, 600) for key in (*SPOILT, "sound")))


def synced_before(site, sonar):
    """Everything was pulled once; then the first issue of each project was corrected at the source."""
    site.worker()
    assert site.sync()["state"] == "succeeded"
    assert site.stored() == at_the_source(sonar.world)
    for key in sonar.world.projects:
        sonar.forget(key, 1)


def test_a_spoilt_page_of_issues_leaves_its_project_as_it_was(site_at, database, larger_sonar):
    sonar, site = larger_sonar, site_at(database, larger_sonar)
    synced_before(site, sonar)
    for key, (kind, _, _) in SPOILT.items():
        sonar.world.faults.add(kind, path=ISSUES, about=key, after=0 if kind == "drift" else 1)
    run = site.sync()
    assert (run["state"], run["reasonCode"]) == ("partial", "assets_failed")
    assert {problem["asset"]: problem["code"] for problem in run["problems"]} == {key: code for key, (_, code, _) in SPOILT.items()}
    for problem in run["problems"]:
        assert SPOILT[problem["asset"]][2] in problem["message"]
        assert sonar.token not in problem["message"]
    assert site.closed() == {("sound", "sound-00000")}
    assert site.health() == ("failing", "assets_failed")
    assert totals_are_right()
    sonar.world.faults.clear()
    assert site.sync()["state"] == "succeeded"
    assert site.closed() == {(key, f"{key}-00000") for key in sonar.world.projects}
    assert site.open_or_dismissed() == at_the_source(sonar.world)
    assert site.health() == ("ok", "")
    assert totals_are_right()


def test_a_source_that_fails_everywhere_ends_the_run_with_the_reason(sqlite_site, sonar):
    site = sqlite_site
    synced_before(site, sonar)
    sonar.world.faults.add("status", path=HOTSPOTS)
    run = site.sync()
    assert (run["state"], run["reasonCode"]) == ("failed", "unavailable")
    assert "GET /api/hotspots/search" in run["reason"]
    assert "500" in run["reason"]
    assert site.closed() == set()
    assert site.health() == ("failing", "unavailable")
    assert totals_are_right()


def test_a_spoilt_page_of_the_catalog_fails_the_run_and_takes_nothing_away(sqlite_site, sonar):
    site = sqlite_site
    synced_before(site, sonar)
    before = site.stored()
    for kind, code in CATALOG_KINDS.items():
        sonar.world.faults.clear()
        sonar.world.faults.add(kind, path=CATALOG)
        run = site.sync()
        assert (kind, run["state"], run["reasonCode"]) == (kind, "failed", code)
        assert sonar.token not in run["reason"]
    assert site.stored() == before
    assert totals_are_right()
    sonar.world.faults.clear()
    assert site.sync()["counts"]["closed"] == len(sonar.world.projects)
