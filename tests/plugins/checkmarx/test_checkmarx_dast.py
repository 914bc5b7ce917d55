"""What a pull brings of a DAST environment."""

import pytest

from core import clock
from core.hooks.contracts import SourceState, Unmapped
from core.hooks.failures import AnswerInvalid, NotThere, PullIncomplete, UpstreamUnavailable
from plugins.checkmarx.upstream import TODAY, Attack, DastScan, Environment, World
from tests.plugins.checkmarx.conftest import everything_of
from tests.plugins.checkmarx.results import E1, P1, P2, S1, S2, S3, attack, environment, project

KEY = f"dast:{E1}"


def with_scans(*scans: DastScan, **fields) -> World:
    return World.of(project(name="acme/payments"), environments=[environment(scans=list(scans), **fields)])


def scan(key: str, *attacks: Attack, days_ago: int = 0, status: str = "Completed") -> DastScan:
    return DastScan(key, status, TODAY - days_ago * clock.DAY, list(attacks))


def test_results_are_offensive_findings_with_their_project(pull_of, findings_of):
    login = attack("y", path="/login", url="https://pay.example/login")
    held = with_scans(scan(S1, attack("x", state="Not Exploitable"), login), projects=[P1])
    found = findings_of(pull_of(held), KEY)
    dismissed, still = (found[f"dast:Cross Site Scripting (Reflected):GET:{path}:79"] for path in ("/search:q", "/login:"))
    assert (dismissed.state, still.state) == (SourceState.FALSE_POSITIVE, SourceState.OPEN)
    assert still.path == "https://pay.example/login"
    assert (still.details["checkmarx_project_id"], still.details["checkmarx_project_name"]) == (P1, "acme/payments")
    assert still.details["environment_id"] == E1


def test_the_name_of_a_project_comes_from_the_catalog_and_costs_no_call(pull_of):
    held = with_scans(scan(S1, attack("x")), projects=[P1])
    pull = pull_of(held)
    asset = next(asset for asset in pull.catalog() if asset.key == KEY)
    (found,) = pull.findings(asset)
    assert found.details["checkmarx_project_name"] == "acme/payments"
    assert held.calls["projects/{}"] == held.calls["dast/scans/environment/{}"] == 0


def test_a_project_that_the_credential_does_not_see_is_named_by_its_id_alone(pull_of, findings_of):
    (found,) = findings_of(pull_of(with_scans(scan(S1, attack("x")), projects=[P2])), KEY).values()
    assert (found.details["checkmarx_project_id"], found.details["checkmarx_project_name"]) == (P2, None)


@pytest.mark.parametrize("status", ["Completed", "Finished", "Finished@Scan finished successfully"])
def test_the_last_scan_counts_when_it_is_finished(pull_of, findings_of, status):
    held = with_scans(scan(S1, attack("old", path="/old"), days_ago=9), scan(S2, attack("new"), status=status))
    assert [finding.path for finding in findings_of(pull_of(held), KEY).values()] == ["https://pay.example/search?q=abc"]
    assert held.calls["dast/scans/scans"] == 0


@pytest.mark.parametrize("status", ["Running", "Failed", "Cancelled", "New", "Failed@Timeout"])
def test_the_newest_finished_scan_counts_when_the_last_is_not_finished(pull_of, findings_of, status):
    held = with_scans(scan(S1, attack("older", path="/older", url="https://pay.example/older"), days_ago=20),
                      scan(S2, attack("old", path="/old", url="https://pay.example/old"), days_ago=9), scan(S3, status=status))
    assert [finding.path for finding in findings_of(pull_of(held), KEY).values()] == ["https://pay.example/old"]


def test_an_environment_that_was_never_scanned_has_nothing_to_tell(pull_of):
    assert everything_of(pull_of(with_scans()), KEY) == []


def test_an_environment_of_which_no_scan_is_finished_closes_nothing(pull_of):
    (told,) = everything_of(pull_of(with_scans(scan(S1, status="Failed"))), KEY)
    assert told == Unmapped(f"No scan of DAST environment '{E1}' is finished")


def test_two_results_at_one_place_are_two_findings(pull_of, findings_of):
    found = findings_of(pull_of(with_scans(scan(S1, attack("x"), attack("y")))), KEY)
    natural = "dast:Cross Site Scripting (Reflected):GET:/search:q:79"
    assert set(found) == {natural, f"{natural}#y"}


def many(count: int) -> World:
    attacks = (attack(f"{number:05}", path=f"/p{number}", url=f"https://pay.example/p{number}") for number in range(count))
    return with_scans(scan(S1, *attacks))


def test_results_come_a_hundred_a_page(pull_of, findings_of):
    held = many(250)
    assert len(findings_of(pull_of(held), KEY)) == 250
    assert held.calls["dast/mfe-results/results/{}"] == 3


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(("kind", "failure"), [("cut", AnswerInvalid), ("cut_json", AnswerInvalid), ("empty_page", PullIncomplete),
                                               ("html", UpstreamUnavailable)])
def test_results_cut_short_raise(pull_of, kind, failure, after):
    held = many(250)
    held.faults.add(kind, path="dast/mfe-results/results/{}", after=after)
    with pytest.raises(failure) as caught:
        everything_of(pull_of(held), KEY)
    assert caught.value.asset_only


def test_results_that_are_not_published_yet_are_no_empty_scan(pull_of):
    held = with_scans(scan(S1, attack("x")))
    pull = pull_of(held)
    asset = next(asset for asset in pull.catalog() if asset.key == KEY)
    held.tenants["acme"].environments[E1].scans[0].attacks.clear()
    with pytest.raises(PullIncomplete, match="not published yet: 0 came of 1"):
        list(pull.findings(asset))


def test_an_environment_that_vanished_is_left_alone(pull_of):
    with pytest.raises(NotThere):
        everything_of(pull_of(World.of(project())), KEY)


def test_environments_of_two_tenants_stay_apart(pull_of):
    held = with_scans(scan(S1, attack("x")))
    other = World.of(tenant="other", environments=[Environment(P2, "Other", "https://other.example", [scan(S2, attack("y"))])])
    held.tenants |= other.tenants
    pull = pull_of(held)
    assert [asset.key for asset in pull.catalog()] == [P1, KEY]
    with pytest.raises(NotThere):
        everything_of(pull, f"dast:{P2}")
