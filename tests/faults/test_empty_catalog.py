"""A source that suddenly has no project at all: the run is held, and a person decides."""

import pytest

from tests.faults.site import at_the_source, totals_are_right
from tests.processes import counted

EVERYTHING = 1234


@pytest.fixture
def held(sqlite_site, sonar):
    """The id of a run that found an empty catalog after a good one."""
    sqlite_site.worker()
    assert sqlite_site.sync()["state"] == "succeeded"
    assert len(sqlite_site.stored()) == EVERYTHING
    sonar.world.faults.add("no_projects")
    run = sqlite_site.sync()
    assert (run["state"], run["reasonCode"], run["plan"]["catalogIsEmpty"]) == ("held", "held", True)
    assert (run["plan"]["prunes"], sorted(run["plan"]["prunedAssets"])) == (3, ["api", "docs", "shop"])
    assert f"remove all 3 assets with {EVERYTHING:,} open findings" in run["reason"]
    assert sqlite_site.stored() == at_the_source(sonar.world)
    assert sqlite_site.health() == ("needs_attention", "held")
    return run["id"]


def test_discarded_it_changes_nothing(sqlite_site, sonar, held):
    assert sqlite_site.client.post(f"/api/runs/{held}/discard").get_json()["state"] == "discarded"
    assert sqlite_site.stored() == at_the_source(sonar.world)
    assert sqlite_site.client.post(f"/api/runs/{held}/approve").status_code == 409
    sonar.world.faults.clear()
    run = sqlite_site.sync()
    assert (run["state"], run["counts"]["unchanged"]) == ("succeeded", EVERYTHING)
    assert sqlite_site.health() == ("ok", "")
    assert totals_are_right()


def test_approved_it_removes_everything_and_the_next_good_catalog_brings_it_back(sqlite_site, sonar, held):
    assert sqlite_site.client.post(f"/api/runs/{held}/approve").status_code == 202
    run = sqlite_site.ended(held)
    assert (run["state"], run["counts"]["pruned"]) == ("succeeded", 3)
    assert sqlite_site.stored() == {}
    assert sqlite_site.client.get("/api/dashboard/overview").get_json()["vulnerabilitiesOpen"] == 0
    sonar.world.faults.clear()
    run = sqlite_site.sync()
    assert (run["state"], run["counts"]["unchanged"]) == ("succeeded", EVERYTHING)
    assert sqlite_site.stored() == at_the_source(sonar.world)
    assert counted(sqlite_site.connection) == (EVERYTHING, EVERYTHING)
    assert sqlite_site.client.get("/api/dashboard/overview").get_json()["vulnerabilitiesOpen"] == EVERYTHING
    assert totals_are_right()
