"""The catalog: every project and environment, or a failure; never a part of them as if it were all."""

import pytest

from core import clock
from core.hooks.failures import AnswerInvalid, LoginRejected, NotThere, PermissionMissing, PullIncomplete, UpstreamUnavailable
from plugins.checkmarx.upstream import ALL_ENGINES, TODAY, Project, Scan, World
from plugins.checkmarx.upstream.dast import TARGETS_PASSWORD
from tests.plugins.checkmarx.results import E1, P1, P2, S1, attack, environment, project, sast


def numbered(count: int, *, scanned: bool = False) -> list[Project]:
    return [Project(f"{number:08}-0000-4000-8000-000000000000", f"acme/{number}", created=TODAY - number,
                    scans=[Scan.holding(f"scan-{number}")] if scanned else []) for number in range(count)]


def keys(pull) -> list[str]:
    return [asset.key for asset in pull.catalog()]


def test_projects_and_environments_are_assets_of_their_kinds(pull_of):
    shop = project(Scan.holding(S1, sast("a"), created=TODAY, branch="main"), name="acme/shop", repository="https://me:pw@git.example/shop",
                   tags={"team": "web", "pci": ""}, criticality=5)
    assets = {asset.key: asset for asset in pull_of(World.of(shop, environments=[environment(attack("x"), projects=[P1])])).catalog()}
    told = assets[P1]
    assert (told.name, told.kind) == ("acme/shop", "checkmarx_appsec")
    assert told.url.endswith(f"/projects/{P1}/overview?branch=main")
    assert told.attributes == {"branch": "main", "main_branch": "main", "engines": sorted(ALL_ENGINES), "last_scan": TODAY,
                               "repository": "https://git.example/shop", "origin": "GITHUB", "criticality": 5,
                               "tags": ["pci", "team:web"]}
    target = assets[f"dast:{E1}"]
    assert (target.name, target.kind) == ("Payments staging", "dast_environment")
    assert target.attributes == {"target": "https://pay.example", "scan_type": "DAST", "last_status": "Completed", "last_scan": TODAY,
                                 "risk_rating": "High", "projects": [P1]}


def test_the_credentials_of_a_target_are_not_kept(pull_of):
    pull = pull_of(World.of(project(), environments=[environment(attack("x"))]))
    list(pull.catalog())
    assert TARGETS_PASSWORD not in str(list(pull.catalog())) + str(vars(pull))


def test_a_project_that_was_never_scanned_is_an_asset_too(pull_of):
    (told,) = pull_of(World.of(project(key=P2, main_branch=""))).catalog()
    assert told.attributes == {"criticality": 3}


def test_many_projects_come_a_hundred_a_page_with_one_question_for_each_engine(pull_of):
    held = World.of(*numbered(230, scanned=True), has_dast=False)
    assert len(set(keys(pull_of(held)))) == 230
    assert held.calls["projects"] == 3
    assert held.calls["projects/last-scan"] == 3 * 6


def test_a_credential_that_sees_nothing_prunes_nothing(pull_of):
    with pytest.raises(PermissionMissing, match="shows this credential no project"):
        keys(pull_of(World.of(project()), {"sees": frozenset()}))
    held = World.of(project())
    held.faults.add("null", path="projects")
    with pytest.raises(PermissionMissing):
        keys(pull_of(held))


def test_projects_that_the_credential_does_not_see_are_left_out(pull_of):
    assert keys(pull_of(World.of(project(), project(key=P2)), {"sees": frozenset([P2])})) == [P2]


@pytest.mark.parametrize(("coverage", "expected"), [("auto", [P1, f"dast:{E1}"]), ("both", [P1, f"dast:{E1}"]), ("projects", [P1]),
                                                     ("dast", [f"dast:{E1}"])])
def test_the_setting_says_what_is_pulled(pull_of, coverage, expected):
    assert keys(pull_of(World.of(project(), environments=[environment()]), coverage=coverage)) == expected


def test_a_tenant_without_dast_has_projects_alone(pull_of):
    held = World.of(project(), has_dast=False)
    assert keys(pull_of(held)) == [P1]
    with pytest.raises(PermissionMissing, match="choose 'Projects only'"):
        keys(pull_of(held, coverage="both"))


def test_dast_that_is_licensed_but_refused_is_no_reason_to_prune_it(pull_of):
    with pytest.raises(PermissionMissing, match="DAST"):
        keys(pull_of(World.of(project(), environments=[environment()]), {"forbidden": ("/api/dast",)}))


@pytest.mark.parametrize("closed", [False, True], ids=["windows leave their end out", "windows include their end"])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 200, 202, 250])
def test_environments_are_complete_whichever_way_windows_are_cut(pull_of, closed, count):
    held = World.of(environments=[environment(key=f"{number:08}-2222-4222-8222-222222222222", scans=[]) for number in range(count)])
    held.closed_windows = closed
    assert len(set(keys(pull_of(held, coverage="dast")))) == count


@pytest.mark.parametrize("kind", ["cut", "cut_json", "html"])
@pytest.mark.parametrize(("path", "after"), [("projects", 0), ("projects/last-scan", 2), ("dast/scans/environments", 0)])
def test_a_catalog_cut_short_raises(pull_of, kind, path, after):
    held = World.of(*numbered(130, scanned=True), environments=[environment()])
    held.faults.add(kind, path=path, after=after)
    with pytest.raises((AnswerInvalid, UpstreamUnavailable)):
        keys(pull_of(held))


@pytest.mark.parametrize("path", ["projects", "dast/scans/environments"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_page_without_what_it_announces_raises(pull_of, path, after):
    environments = [environment(key=f"{number:08}-2222-4222-8222-222222222222", scans=[]) for number in range(130)]
    held = World.of(*numbered(130), environments=environments)
    held.faults.add("empty_page", path=path, after=after)
    with pytest.raises(PullIncomplete):
        keys(pull_of(held))


def test_a_listing_that_moves_is_read_once_more_and_then_complete(pull_of):
    held = World.of(*numbered(230), has_dast=False)
    held.faults.add("drift", path="projects", times=3)
    assert len(set(keys(pull_of(held)))) == 230


def test_a_listing_that_keeps_moving_is_never_called_complete(pull_of):
    held = World.of(*numbered(230), has_dast=False)
    held.faults.add("drift", path="projects")
    with pytest.raises(PullIncomplete, match="came of 230 that were announced"):
        keys(pull_of(held))


def test_a_project_that_vanishes_between_pages_is_no_failure(pull_of):
    held = World.of(*numbered(230), has_dast=False)
    gone = numbered(230)[-1].id
    held.faults.add("vanish", path="projects", what=gone, after=1, times=1)
    assert gone not in keys(pull_of(held))


@pytest.mark.parametrize("kind", ["429", "503", "expire"])
def test_what_passes_is_waited_for(pull_of, kind):
    held = World.of(*numbered(230), has_dast=False)
    held.faults.add(*(["expire"] if kind == "expire" else ["status"]), path="projects", after=1, times=1, retry_after="0",
                    status=int(kind) if kind.isdigit() else 500)
    assert len(keys(pull_of(held))) == 230


def test_a_credential_that_is_revoked_midway_ends_the_pull(pull_of):
    held = World.of(*numbered(230), has_dast=False)
    held.faults.add("revoke", path="projects", after=1, times=1)
    with pytest.raises(LoginRejected):
        keys(pull_of(held))


@pytest.mark.parametrize("answer", [
    {"projects": [{"name": "without id"}], "filteredTotalCount": 1}, {"projects": ["no object"], "filteredTotalCount": 1},
    {"projects": [None], "filteredTotalCount": 1}, {"projects": {}, "filteredTotalCount": 1, "x": 1}, {"projects": []}, [], None,
    {"projects": [], "filteredTotalCount": "many"},
])
def test_an_answer_of_another_shape_is_not_passed_over(pull_answered, answer):
    with pytest.raises((AnswerInvalid, PullIncomplete)):
        keys(pull_answered({"/api/projects": answer}))


@pytest.mark.parametrize("answer", [{P1: []}, {P1: {"status": "Completed"}}, [], None])
def test_newest_scans_of_another_shape_are_not_passed_over(pull_answered, answer):
    listed = {"projects": [{"id": P1, "name": "shop"}], "filteredTotalCount": 1}
    with pytest.raises(AnswerInvalid):
        keys(pull_answered({"/api/projects": listed, "/api/projects/last-scan": answer}))


def test_engines_may_be_told_as_a_json_text(pull_answered):
    scan = {"id": S1, "status": "Completed", "branch": "main", "engines": '["sast","sca"]', "createdAt": "2026-03-02T17:05:10.880412123Z"}
    listed = {"projects": [{"id": P1, "name": "shop"}], "filteredTotalCount": 1}
    (told,) = pull_answered({"/api/projects": listed, "/api/projects/last-scan": {P1: scan, P2: None}}, coverage="projects").catalog()
    assert told.attributes["engines"] == ["sast", "sca"]
    assert clock.iso(told.attributes["last_scan"]) == "2026-03-02T17:05:10.880Z"


def test_one_asset_by_its_key(pull_of):
    pull = pull_of(World.of(project(Scan.holding(S1)), environments=[environment()]))
    assert pull.asset(P1).attributes["branch"] == "main"
    assert pull.asset(f"dast:{E1}").name == "Payments staging"
    for key in (P2, f"dast:{P2}", "not/an id", ""):
        with pytest.raises(NotThere):
            pull.asset(key)


def test_an_id_that_the_service_finds_impossible_is_not_there(pull_of):
    held = World.of(project())
    held.faults.add("status", path="projects/{}", status=400)
    with pytest.raises(NotThere):
        pull_of(held).asset("x")


def test_the_first_page_is_given_before_the_last_is_read(pull_of):
    held = World.of(*numbered(230), has_dast=False)
    catalog = pull_of(held).catalog()
    next(catalog)
    assert held.calls["projects"] == 1
    catalog.close()
