"""A source that says "not so fast": its wait is kept, measured at the source; one that is too long ends the run."""

import pytest

from tests.faults.site import CATALOG, ISSUES, at_the_source, project_with, totals_are_right


@pytest.fixture
def sonar(sonar_of):
    return sonar_of(*(project_with(f"p{number}", 12) for number in range(7)))


def test_the_wait_that_a_429_asks_for_is_kept(sqlite_site, sonar):
    site = sqlite_site
    site.worker()
    sonar.world.faults.add("status", status=429, retry_after="1", path=ISSUES, about="p3", times=2)
    run = site.sync()
    first, second, third = (call.at for call in sonar.log.of(ISSUES) if "p3" in call.query)
    assert 1.0 <= second - first < 2.0
    assert 1.0 <= third - second < 2.0
    assert (run["state"], run["problems"]) == ("succeeded", [])
    assert site.stored() == at_the_source(sonar.world)


@pytest.mark.parametrize("path", [CATALOG, ISSUES])
def test_a_wait_longer_than_the_operator_grants_fails_the_run_at_once_and_closes_nothing(site_at, sqlite_database, sonar, path):
    site = site_at(sqlite_database, sonar, upstream_longest_wait=2)
    site.worker()
    assert site.sync()["state"] == "succeeded"
    before = site.stored()
    for key in sonar.world.projects:
        sonar.forget(key, 1)
    sonar.world.faults.add("status", status=429, retry_after="3600", path=path)
    asked_before = len(sonar.log.of(path))
    run = site.sync()
    assert (run["state"], run["reasonCode"]) == ("failed", "unavailable")
    assert "asked for a wait of 3600 seconds" in run["reason"]
    assert len(sonar.log.of(path)) - asked_before == (1 if path == CATALOG else 5)  # a project after the other, none of them twice
    assert site.stored() == before
    assert site.health() == ("failing", "unavailable")
    assert totals_are_right()
