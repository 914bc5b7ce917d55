"""The stand-in is as the real service: signing in, paging, limits, error bodies, and the same world in every process."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from core.hooks import offers
from core.testing.standin import StandInProcess
from plugins import checkmarx
from plugins.checkmarx.connector import CheckmarxConnector
from plugins.checkmarx.settings import claims_of
from plugins.checkmarx.upstream import TENANTS, Credential, Plan, Scan, World, create_app, default_world, stable_id
from tests.plugins.checkmarx.conftest import CLIENT, SECRET
from tests.plugins.checkmarx.results import P1, P2, S1, S2, attack, environment, kics, project, sast, sca

GRANT = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}


@pytest.fixture
def served(serve) -> Callable[..., str]:
    def at(world: World, **rights: Any) -> str:
        world.admit_client(Credential(next(iter(world.tenants)), CLIENT, SECRET, **rights))
        return serve(create_app(world))

    return at


def token(url: str, tenant: str = "acme", **form: str) -> requests.Response:
    return requests.post(f"{url}/auth/realms/{tenant}/protocol/openid-connect/token", form or GRANT, timeout=5)


def ask(url: str, path: str, method: str = "GET", **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token(url).json()['access_token']}", "Accept": "*/*; version=1.0"}
    return requests.request(method, f"{url}{path}", headers=headers, timeout=5, **more)


def small() -> World:
    return World.of(project(Scan.holding(S1, *(kics(f"{number}") for number in range(5)), sast("a")), tags={"application": "shop"}),
                    project(key=P2), environments=[environment(attack("x"), attack("y"))])


def test_both_grants_give_a_token_that_says_whose_it_is(served):
    held = small()
    url = served(held)
    answer = token(url).json()
    assert (answer["token_type"], answer["expires_in"], "refresh_token" in answer) == ("Bearer", 1800, False)
    claims = claims_of(answer["access_token"])
    assert (claims["tenant_name"], claims["ast-base-url"], claims["ast-license"]["LicenseData"]["dastEnabled"]) == ("acme", url, True)
    key = held.admit_key(Credential("acme", "anna"), url)
    answer = token(url, grant_type="refresh_token", client_id="ast-app", refresh_token=key).json()
    assert answer["refresh_token"] == key


@pytest.mark.parametrize(("tenant", "form", "status", "body"), [
    ("moon", GRANT, 404, {"error": "Realm does not exist"}),
    ("acme", {**GRANT, "client_secret": "x"}, 401,
     {"error": "invalid_client", "error_description": "Invalid client or Invalid client credentials"}),
    ("acme", {"client_id": "x"}, 400, {"error": "invalid_request", "error_description": "Missing form parameter: grant_type"}),
    ("acme", {"grant_type": "refresh_token", "client_id": "ast-app", "refresh_token": "x"}, 400,
     {"error": "invalid_grant", "error_description": "Invalid refresh token"}),
])
def test_refusals_of_the_token_service(served, tenant, form, status, body):
    answer = token(served(small()), tenant, **form)
    assert (answer.status_code, answer.json()) == (status, body)


def test_an_api_key_with_another_client_and_one_that_is_over(served):
    held = small()
    url = served(held)
    form = {"grant_type": "refresh_token", "refresh_token": held.admit_key(Credential("acme", "anna"), url)}
    assert token(url, **form, client_id="other").json()["error_description"] == "Session doesn't have required client"
    over = held.admit_key(Credential("acme", "bob", expires=1), url)
    assert token(url, **{**form, "refresh_token": over}, client_id="ast-app").json()["error_description"] == "Token is not active"
    assert requests.get(f"{url}/auth/realms/acme/protocol/openid-connect/token", timeout=5).status_code == 405
    assert ask(url, "/api/custom-states").json() == []


def test_who_is_nobody_and_who_may_not_get_an_empty_answer(served):
    held = small()
    held.expires_in = 0
    url = served(held, forbidden=("/api/results",))
    answers = [ask(url, "/api/projects"), requests.get(f"{url}/api/projects", timeout=5)]
    held.expires_in = 60
    answers.append(ask(url, "/api/results?scan-id=x"))
    assert [(answer.status_code, answer.text) for answer in answers] == [(401, ""), (401, ""), (403, "")]


def test_the_offset_of_results_counts_pages_and_that_of_others_items(served):
    url = served(small())

    def ids(path: str, offset: int) -> list[str]:
        return [entry.get("id") or entry.get("ID") for entry in ask(url, f"{path}?scan-id={S1}&limit=2&offset={offset}").json()["results"]]

    assert len({key for offset in range(3) for key in ids("/api/results", offset)}) == 6
    assert ids("/api/kics-results", 1)[0] == ids("/api/kics-results", 0)[1]
    assert ask(url, f"/api/results?scan-id={S1}&limit=2&offset=3").json() == {"results": None, "totalCount": 6}
    assert [len(ask(url, f"/api/{name}-results?scan-id={S1}").json()["results"]) for name in ("sast", "kics")] == [1, 5]


@pytest.mark.parametrize(("path", "status", "keys"), [
    ("/api/results", 400, "data"), (f"/api/results?scan-id={S1}&limit=10001", 400, "data"), (f"/api/results?scan-id={S2}", 404, "data"),
    (f"/api/results?scan-id={S1}&offset=x", 400, "data"), (f"/api/projects/{S2}", 404, "type"),
    ("/api/webhooks/tenant?limit=101", 400, "type"),
    (f"/api/dast/mfe-results/results/{S1}?per_page=101", 400, "data"), ("/api/nothing", 404, "type"),
])
def test_error_bodies_of_both_families(served, path, status, keys):
    answer = ask(served(small()), path)
    assert (answer.status_code, set(answer.json())) == (status, {"code", "message", keys})


def test_content_types_differ_by_family(served):
    url = served(small())
    assert ask(url, "/api/projects").headers["Content-Type"] == "application/json; version=1.0"
    assert ask(url, f"/api/scan-summary?scan-ids={S1}").headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(("query", "found"), [("", 2), ("ids=" + P1, 1), ("names=acme/11", 1), ("name=ACME", 2),
                                              ("name-regex=^acme/1.$", 1), ("tags-keys=application,x", 1), ("tags-values=shop", 1),
                                              ("groups=g", 0), ("repo-url=x", 0)])
def test_projects_are_narrowed(served, query, found):
    answer = ask(served(small()), f"/api/projects?{query}").json()
    assert (answer["totalCount"], answer["filteredTotalCount"], len(answer["projects"] or [])) == (2, found, found)


def test_scan_ids_are_taken_joined_or_repeated(served):
    url = served(World.of(project(Scan.holding(S1)), project(Scan.holding(S2), key=P2)))
    for query in (f"scan-ids={S1},{S2}", f"scan-ids={S1}&scan-ids={S2}"):
        assert ask(url, f"/api/scan-summary?{query}").json()["totalCount"] == 2


@pytest.mark.parametrize("path", [
    "/api/versions", "/api/flags", "/api/projects/tags", f"/api/projects/branches?project-id={P1}", "/api/applications",
    f"/api/projects/{P1}", f"/api/projects/last-scan?project-ids={P1}", "/api/scans?sort=-created_at", f"/api/scans/{S1}",
    f"/api/scans/{S1}/workflow", "/api/scans/tags", "/api/scans/summary", f"/api/apisec/static/api/risks/{S1}?page=1&per_page=10",
    f"/api/apisec/static/api/scan/{S1}/risks-overview", "/api/dast/scans/tenant", "/api/dast/scans/environments?from=0&to=10",
    f"/api/dast/scans/scan/{S1}", f"/api/dast/mfe-results/results/{S1}/group?group=severity",
    f"/api/dast/mfe-results/results/info/x/{S1}", f"/api/dast/mfe-results/results/environment/{P1}/{S1}/alert_level",
])
def test_the_small_calls_answer(served, path):
    answer = ask(served(small()), path)
    assert answer.status_code == 200, answer.text
    assert answer.json()


def test_webhooks_are_kept_and_their_secret_is_not_told(served):
    url = served(small())
    wanted = {"name": "portal", "active": True, "enabledEvents": ["scan_partial"], "config": {"url": "https://x.example", "secret": "s"}}
    made = ask(url, "/api/webhooks/tenant", "POST", json=wanted)
    assert (made.status_code, made.json()["config"]) == (201, {"url": "https://x.example"})
    assert ask(url, "/api/webhooks/tenant").json()["totalCount"] == 1
    assert ask(url, f"/api/webhooks/{made.json()['id']}", "PATCH", json={"active": False}).status_code == 204
    assert ask(url, f"/api/webhooks/{made.json()['id']}").json()["active"] is False
    assert ask(url, f"/api/webhooks/{made.json()['id']}", "DELETE").status_code == 204
    assert ask(url, "/api/webhooks/tenant", "POST", json={"name": "x"}).status_code == 400


def test_sums_leave_out_what_does_not_occur_and_count_dismissed_results(served):
    scan = Scan.holding(S1, sca("CVE-2031-1111", state="NOT_EXPLOITABLE"), sca("CVE-2031-2222"), fixed={("sca", "LOW"): 3})
    (told,) = ask(served(World.of(project(scan))), f"/api/scan-summary?scan-ids={S1},{S2}").json()["scansSummaries"]
    assert told["scaCounters"]["severityCounters"] == [{"severity": "HIGH", "counter": 2}]
    assert told["scaCounters"]["statusCounters"] == [{"status": "FIXED", "counter": 3}, {"status": "RECURRENT", "counter": 2}]
    assert (told["scaCounters"]["totalCounter"], told["sastCounters"]["totalCounter"]) == (2, 0)


def test_faults_are_set_and_taken_back_over_http(served):
    url = served(small())
    wanted = {"kind": "status", "path": "versions", "status": 503, "times": 1}
    assert requests.post(f"{url}/_standin/faults", json=wanted, timeout=5).ok
    assert [ask(url, "/api/versions").status_code for _ in range(2)] == [503, 200]
    assert requests.post(f"{url}/_standin/faults", json={"kind": "nonsense"}, timeout=5).status_code == 400
    assert len(requests.get(f"{url}/_standin/faults", timeout=5).json()["faults"]) == 1
    assert requests.delete(f"{url}/_standin/faults", timeout=5).status_code == 204
    assert requests.get(f"{url}/_standin/calls", timeout=5).json()["versions"] == 2


def test_the_demo_world_is_as_large_and_as_various_as_it_says():
    held = default_world()
    tenants = [held.tenants[name] for name in TENANTS]
    projects = [project for tenant in tenants for project in tenant.projects.values()]
    whole = [len(scan.results) for project in projects for scan in project.scans if scan.id == stable_id(project.id, "now")]
    results = [result for project in projects for scan in project.scans for result in scan.results]
    assert len(projects) == 16
    assert sum(not project.scans for project in projects) == 1
    assert sum(whole) > 1_000
    assert {result.type for result in results} == {"sast", "sca", "kics", "containers", "sscs-secret-detection", "sscs-scorecard"}
    assert {result.severity for result in results} == {"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO"}
    assert {result.state for result in results} >= {"TO_VERIFY", "NOT_EXPLOITABLE", "PROPOSED_NOT_EXPLOITABLE", "Accepted Risk"}
    assert any(result.similarity.startswith("-") for result in results if result.type == "sast")
    assert all(result.data["queryId"] > 2**53 for result in results if result.type == "sast")
    environments = [environment for tenant in tenants for environment in tenant.environments.values()]
    assert len(environments) == 4
    assert {environment.last.status.partition("@")[0] for environment in environments} == {"Completed", "Finished", "Failed"}
    assert {scan.status for project in projects for scan in project.scans} == {"Completed", "Partial", "Running"}


@pytest.mark.parametrize("plan", [Plan(1, 10, 10, 4), Plan(2, 10, 10, 0), Plan(3, 20, 10, 4), Plan(40, 2000, 500, 40)])
def test_a_plan_keeps_its_numbers(plan):
    held = default_world(plan)
    assert sum(len(tenant.projects) for tenant in held.tenants.values()) == plan.projects


def test_a_process_of_its_own_holds_the_same_world_and_admits_what_it_is_told_to(open_at):
    (offered,) = checkmarx.register_stand_ins()
    assert offers.connectors(checkmarx.register_connectors())[0].source == offered.source
    secrets = [f"{number:040x}" for number in range(len(TENANTS))]
    with StandInProcess(offered.module, [*offered.arguments, "--port", "0"], offered.environ(secrets)) as server:
        for number, tenant in enumerate(TENANTS):
            pull = open_at(**offered.settings(server.url, secrets[number], number))
            keys = {asset.key for asset in pull.catalog() if asset.kind == "checkmarx_appsec"}
            assert keys == set(default_world().tenants[tenant].projects)


def test_a_stand_in_by_itself_tells_how_to_sign_in():
    with StandInProcess("plugins.checkmarx.upstream", env={"STANDIN_TOKENS": json.dumps({"northwind": SECRET})}) as server:
        assert token(server.url, "northwind").status_code == 200
        assert token(server.url, "contoso").status_code == 401
    assert CheckmarxConnector.source == "checkmarx"
