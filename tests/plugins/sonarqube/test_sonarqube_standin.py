"""The stand-in answers as SonarQube does, down to its error bodies."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import requests

from core import clock
from core.testing.standin import StandInProcess
from plugins.sonarqube.upstream import (
    TODAY,
    Flavour,
    Hotspot,
    Issue,
    Plan,
    Project,
    Token,
    World,
    admit_organizations,
    create_app,
    default_world,
    demo_world,
    one_moment,
)
from plugins.sonarqube.upstream.rules import RULES

SERVER, CLOUD, V9 = Flavour(), Flavour(cloud=True), Flavour(version="9.9.4.87374")


class Sonar:
    """A served world with one token; ``get`` gives the response of a call."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def get(self, action: str, **params: Any) -> requests.Response:
        return requests.get(f"{self.url}/api/{action}", params=params, auth=(self.token, ""), timeout=5)

    def post(self, action: str, **form: Any) -> requests.Response:
        return requests.post(f"{self.url}/api/{action}", data=form, auth=(self.token, ""), timeout=5)


@pytest.fixture
def sonar(serve) -> Callable[..., Sonar]:
    def served(world: World, token: Token | None = None) -> Sonar:
        return Sonar(serve(create_app(world)), world.admit(token or Token(admin=True)))

    return served


def issue(key: str, **fields: Any) -> Issue:
    return Issue(key, **{"rule": "java:S5542", "impacts": (("SECURITY", "HIGH"),), "path": "src/app/A.java", "line": 7,
                         "message": "Fix it.", "tags": ("cwe",), "author": "dev@example.org", **fields})


def world(flavour: Flavour = SERVER, *issues: Issue) -> World:
    spots = [Hotspot("h1", "java:S2245", "weak-cryptography", "LOW", path="src/app/A.java", line=1, message="Check."),
             Hotspot("h2", "java:S2245", "auth", "HIGH", status="REVIEWED", resolution="SAFE", path="src/B.java", message="Check.")]
    billing = Project.holding("acme:billing", issues or (issue("a"),), spots, name="Billing", organization="acme", develop=[issue("d")])
    return World.of(billing, Project("acme:web", "Web", "acme"), rules=RULES, flavour=flavour)


def messages(response: requests.Response) -> list[str]:
    return [error["msg"] for error in response.json()["errors"]]


# -- who is asking --------------------------------------------------------------------------------------------------------------


def test_some_calls_are_open_to_everybody(sonar):
    url = sonar(world()).url
    assert requests.get(f"{url}/api/system/status", timeout=5).json()["status"] == "UP"
    version = requests.get(f"{url}/api/server/version", timeout=5)
    assert (version.text, version.headers["Content-Type"].partition(";")[0]) == (SERVER.version, "text/plain")
    assert requests.get(f"{url}/api/authentication/validate", timeout=5).json() == {"valid": False}


def test_no_credential_and_a_bad_one_are_refused_differently(sonar):
    url = sonar(world()).url
    missing = requests.get(f"{url}/api/projects/search", timeout=5)
    assert (missing.status_code, messages(missing)) == (401, ["Authentication is required"])
    for headers in ({"Authorization": "Bearer squ_wrong"}, {"Authorization": "Basic !!!"}, {"Authorization": "Basic c3F1X3g6cHc="}):
        bad = requests.get(f"{url}/api/projects/search", headers=headers, timeout=5)
        assert (bad.status_code, bad.content, bad.headers["Content-Length"]) == (401, b"", "0")
        assert requests.get(f"{url}/api/authentication/validate", headers=headers, timeout=5).json() == {"valid": False}


def test_both_ways_of_sending_a_token(sonar):
    for flavour, bearer in ((SERVER, 200), (CLOUD, 200), (V9, 401)):
        served = sonar(world(flavour))
        params = {"qualifiers": "TRK", "organization": "acme"}
        assert served.get("components/search", **params).status_code == 200
        headers = {"Authorization": f"Bearer {served.token}"}
        assert requests.get(f"{served.url}/api/components/search", params=params, headers=headers, timeout=5).status_code == bearer


def test_tokens_that_expire_say_when_and_then_are_refused(sonar):
    moment = clock.now() + clock.DAY
    answer = sonar(world(), Token(expires=moment)).get("components/search", qualifiers="TRK")
    assert answer.headers["SonarQube-Authentication-Token-Expiration"].endswith("+0000")
    assert sonar(world(), Token(expires=clock.now() - 1)).get("components/search", qualifiers="TRK").status_code == 401
    assert "SonarQube-Authentication-Token-Expiration" not in sonar(world()).get("components/search", qualifiers="TRK").headers


def test_administrators_and_others(sonar):
    assert sonar(world(), Token()).get("projects/search").status_code == 403
    assert len(sonar(world()).get("projects/search").json()["components"]) == 2
    hidden = sonar(world(), Token(admin=True, projects=frozenset()))
    assert hidden.get("components/search", qualifiers="TRK").json()["components"] == []
    assert messages(hidden.get("components/show", component="acme:billing")) == ["Insufficient privileges"]


# -- paging and refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "params", "status", "message"), [
    ("issues/search", {"ps": 501}, 400, "'ps' value (501) must be less than 500"),
    ("issues/search", {"ps": 100, "p": 101}, 400, "Can return only the first 10000 results. 10100th result asked."),
    ("issues/search", {"types": "SECURITY_HOTSPOT"}, 400,
     "Value of parameter 'types' (SECURITY_HOTSPOT) must be one of: [CODE_SMELL, BUG, VULNERABILITY]"),
    ("issues/search", {"createdAfter": "2999-01-01"}, 400, "Start bound cannot be in the future"),
    ("issues/search", {"createdAfter": "2020-01-02", "createdBefore": "2020-01-02"}, 400,
     "Start bound cannot be larger or equal to end bound"),
    ("issues/search", {"createdAfter": "2020-01-02", "createdInLast": "1m"}, 400,
     "Parameters createdAfter and createdInLast cannot be set simultaneously"),
    ("issues/search", {"facets": "files"}, 400, "Facet(s) 'files' require to also filter by project"),
    ("components/show", {}, 400, "The 'component' parameter is missing"),
    ("components/show", {"component": "x"}, 404, "Component key 'x' not found"),
    ("hotspots/search", {}, 400, "A value must be provided for either parameter 'project' or parameter 'hotspots'"),
    ("hotspots/search", {"hotspots": "h1", "status": "REVIEWED"}, 400, "Parameter 'status' can't be used with parameter 'hotspots'"),
    ("hotspots/search", {"project": "acme:billing", "branch": "a", "pullRequest": "1"}, 400,
     "Only one of parameters 'branch' and 'pullRequest' can be provided"),
    ("hotspots/search", {"project": "acme:billing", "resolution": "SAFE"}, 400,
     "Value 'SAFE' of parameter 'resolution' can only be provided if value of parameter 'status' is 'REVIEWED'"),
    ("hotspots/search", {"project": "gone"}, 404, "Component key 'gone' not found"),
    ("measures/component", {"component": "acme:billing", "metricKeys": "xyz"}, 404, "The following metric keys are not found: xyz"),
    ("rules/show", {"key": "x:y"}, 404, "Rule not found: x:y"),
    ("rules/search", {"f": "htmlDesc"}, 400, None),
    ("organizations/search", {}, 404, "Unknown url : /api/organizations/search"),
    ("foo/bar", {}, 404, "Unknown url : /api/foo/bar"), ("issues/do_transition", {}, 405, "HTTP method POST is required"),
])
def test_refusals_in_sonarqube_s_words(sonar, action, params, status, message):
    answer = sonar(world()).get(action, **params)
    assert answer.status_code == status
    if message:
        assert messages(answer) == [message]


def test_a_cloud_wants_an_organization_that_exists_and_is_the_token_s(sonar):
    served = sonar(world(CLOUD), Token("acme"))
    for action in ("components/search", "projects/search", "rules/show"):
        assert messages(served.get(action, qualifiers="TRK", key="java:S5542")) == ["The 'organization' parameter is missing"]
        assert served.get(action, qualifiers="TRK", organization="nobody").status_code == 404
    held = world(CLOUD)
    held.projects["c"] = Project("c", "C", "contoso")
    assert sonar(held, Token("contoso")).get("components/search", qualifiers="TRK", organization="acme").status_code == 403


@pytest.mark.parametrize(("flavour", "total"), [(SERVER, 10_050), (CLOUD, 10_000)])
def test_a_server_tells_the_true_total_and_a_cloud_caps_it(sonar, flavour, total):
    held = World.of(one_moment("acme:old", 10_050, organization="acme"), flavour=flavour)
    answer = sonar(held).get("issues/search", componentKeys="acme:old", ps=1).json()
    assert answer["paging"]["total"] == answer["total"] == total


def test_issues_of_an_unknown_or_hidden_project_are_none_and_no_error(sonar):
    served = sonar(world(), Token(projects=frozenset({"acme:web"})))
    for key in ("gone", "acme:billing"):
        answer = served.get("issues/search", components=key)
        assert (answer.status_code, answer.json()["paging"]["total"]) == (200, 0)
    assert served.get("hotspots/search", project="acme:billing").status_code == 403


def test_a_listing_can_be_read_by_post_with_a_form(sonar):
    assert sonar(world()).post("issues/search", components="acme:billing").json()["total"] == 1


# -- findings -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("params", "keys"), [
    ({}, {"a", "b", "c"}), ({"severities": "MINOR,BLOCKER"}, {"b", "c"}), ({"types": "BUG"}, {"c"}), ({"rules": "java:S2259"}, {"c"}),
    ({"issueStatuses": "ACCEPTED,FALSE_POSITIVE"}, {"b"}), ({"resolved": "false"}, {"a", "c"}), ({"resolved": "yes"}, {"b"}),
    ({"statuses": "RESOLVED"}, {"b"}), ({"resolutions": "WONTFIX"}, {"b"}), ({"impactSoftwareQualities": "SECURITY"}, {"a", "b"}),
    ({"impactSeverities": "HIGH"}, {"a", "b"}), ({"tags": "special"}, {"b"}), ({"cwe": "780"}, {"a", "b"}), ({"languages": "py"}, set()),
    ({"directories": "src/app"}, {"a", "b"}), ({"files": "lib/C.java"}, {"c"}), ({"components": "acme:billing:src"}, {"a", "b"}),
    ({"components": "acme:billing:lib/C.java"}, {"c"}), ({"issues": "a,c"}, {"a", "c"}), ({"createdAt": "2024-01-01T00:00:00+0000"}, {"c"}),
    ({"createdBefore": "2024-01-02"}, {"c"}),
    ({"createdAfter": "2024-01-01T00:00:00+0000", "createdBefore": "2024-01-01T00:00:01+0000"}, {"c"}),
    ({"createdInLast": "1y"}, {"a", "b"}), ({"branch": "develop"}, {"d"}), ({"branch": "gone"}, set()), ({"pullRequest": "1"}, set()),
])
def test_filters_of_issues(sonar, params, keys):
    held = world(SERVER, issue("a"), issue("b", severity="MINOR", status="ACCEPTED", tags=("special",)),
                 issue("c", severity="BLOCKER", type="BUG", rule="java:S2259", impacts=(("RELIABILITY", "LOW"),), path="lib/C.java",
                       created=clock.from_iso("2024-01-01T00:00:00Z")))
    answer = sonar(held).get("issues/search", **{"components": "acme:billing", **params}).json()
    assert {entry["key"] for entry in answer["issues"]} == keys
    assert answer["paging"]["total"] == len(keys)


def test_facets_ignore_the_filter_on_their_own_field_and_tell_zeros(sonar):
    held = world(SERVER, issue("a"), issue("b", severity="MINOR"), issue("c", severity="MINOR", type="BUG"))
    answer = sonar(held).get("issues/search", components="acme:billing", severities="MAJOR", facets="severities,types,rules,files").json()
    facets = {facet["property"]: {entry["val"]: entry["count"] for entry in facet["values"]} for facet in answer["facets"]}
    assert facets["severities"] == {"MAJOR": 1, "MINOR": 2, "INFO": 0, "CRITICAL": 0, "BLOCKER": 0}
    assert facets["types"] == {"VULNERABILITY": 1, "BUG": 0, "CODE_SMELL": 0}
    assert facets["rules"] == {"java:S5542": 1}
    assert facets["files"] == {"src/app/A.java": 1}


@pytest.mark.parametrize(("version", "has", "lacks"), [
    ("9.9.4.1", {"hash", "type", "quickFixAvailable"}, {"impacts", "issueStatus", "codeVariants", "organization"}),
    ("10.2.0.1", {"impacts", "cleanCodeAttribute", "codeVariants"}, {"issueStatus", "prioritizedRule"}),
    ("2025.5.0.1", {"impacts", "issueStatus", "prioritizedRule", "internalTags"}, {"organization"}),
    ("26.5.0.1", {"issueStatus", "internalTags"}, {"organization"}),
    ("cloud", {"issueStatus", "organization", "projectName"}, {"internalTags"}),
])
def test_each_version_has_its_fields(sonar, version, has, lacks):
    flavour = CLOUD if version == "cloud" else Flavour(version=version)
    entry = sonar(world(flavour)).get("issues/search", componentKeys="acme:billing").json()["issues"][0]
    assert has <= set(entry)
    assert not lacks & set(entry)


def test_old_servers_do_not_know_the_new_parameter_names(sonar):
    assert sonar(world(V9)).get("hotspots/search", project="acme:billing").status_code == 400
    assert len(sonar(world(V9)).get("hotspots/search", projectKey="acme:billing").json()["hotspots"]) == 2


def test_hotspots_come_with_the_likeliest_first_and_can_be_narrowed(sonar):
    served = sonar(world())
    assert [entry["key"] for entry in served.get("hotspots/search", project="acme:billing").json()["hotspots"]] == ["h2", "h1"]
    for params, keys in (({"status": "TO_REVIEW"}, ["h1"]), ({"status": "REVIEWED", "resolution": "SAFE"}, ["h2"]),
                         ({"sonarsourceSecurity": "auth"}, ["h2"]), ({"files": "src/B.java"}, ["h2"])):
        assert [entry["key"] for entry in served.get("hotspots/search", project="acme:billing", **params).json()["hotspots"]] == keys
    shown = served.get("hotspots/show", hotspot="h1").json()
    assert (shown["rule"]["key"], shown["project"]["key"]) == ("java:S2245", "acme:billing")


def test_people_may_decide_about_issues_and_hotspots(sonar):
    served = sonar(world())
    assert served.post("issues/do_transition", issue="a", transition="accept").json()["issue"]["issueStatus"] == "ACCEPTED"
    assert served.get("issues/search", components="acme:billing", issueStatuses="ACCEPTED").json()["total"] == 1
    assert served.post("issues/assign", issue="a", assignee="mo").json()["issue"]["assignee"] == "mo"
    assert served.post("issues/do_transition", issue="a", transition="x").status_code == 400
    assert served.post("issues/do_transition", issue="gone", transition="accept").status_code == 404
    assert served.post("hotspots/change_status", hotspot="h1", status="REVIEWED", resolution="FIXED").status_code == 204
    assert len(served.get("hotspots/search", project="acme:billing", status="REVIEWED").json()["hotspots"]) == 2


def test_projects_come_and_go(sonar):
    served = sonar(world(), Token("acme", admin=True))
    assert served.post("projects/create", project="acme:new", name="New").json()["project"]["key"] == "acme:new"
    assert served.post("projects/create", project="acme:new", name="New").status_code == 400
    assert served.get("components/show", component="acme:new").json()["component"]["name"] == "New"
    assert served.post("projects/delete", project="acme:new").status_code == 204
    assert served.get("components/show", component="acme:new").status_code == 404
    assert sonar(world(), Token()).post("projects/create", project="x", name="X").status_code == 403


def test_the_database_s_listing_has_no_window(sonar):
    held = World.of(one_moment("acme:old", 10_050, organization="acme"))
    assert len(sonar(held).get("issues/list", project="acme:old", p=21, ps=500).json()["issues"]) == 50
    assert sonar(world(V9)).get("issues/list", project="acme:billing").status_code == 404


@pytest.mark.parametrize("action", ["navigation/global", "new_code_periods/show", "plugins/installed", "settings/list_definitions",
                                    "settings/values", "system/health", "user_tokens/search", "users/current", "webhooks/list",
                                    "v2/clean-code-policy/mode", "components/search_projects"])
def test_small_calls_of_public_clients_are_answered(sonar, action):
    assert sonar(world()).get(action).json()


def test_measures_gate_and_metrics(sonar):
    served = sonar(world(SERVER, issue("a", severity="BLOCKER"), issue("b", type="BUG"), issue("c", status="ACCEPTED")))
    metrics = "vulnerabilities,bugs,security_rating,accepted_issues"
    told = served.get("measures/component", component="acme:billing", metricKeys=metrics).json()
    assert {entry["metric"]: entry["value"] for entry in told["component"]["measures"]} == {
        "vulnerabilities": "1", "bugs": "1", "security_rating": "5.0", "accepted_issues": "1"}
    assert served.get("qualitygates/project_status", projectKey="acme:billing").json()["projectStatus"]["status"] == "OK"
    assert served.get("metrics/search").json()["total"] > 10
    assert {"key": "java", "name": "Java"} in served.get("languages/list").json()["languages"]


# -- the worlds -----------------------------------------------------------------------------------------------------------------


def test_two_worlds_of_the_same_plan_are_the_same():
    first, second = demo_world(), demo_world()
    assert [(project.key, project.main.issues, project.main.hotspots) for project in first.projects.values()] == [
        (project.key, project.main.issues, project.main.hotspots) for project in second.projects.values()]


def test_the_demo_is_of_modest_size_and_has_variety():
    held = demo_world()
    issues = [entry for project in held.projects.values() for entry in project.main.issues]
    assert len(held.projects) == 24
    assert sum(entry.type == "VULNERABILITY" and entry.status != "FIXED" for entry in issues) == 3000
    assert len({entry.rule for entry in issues}) > 20
    assert {entry.severity for entry in issues} >= {"BLOCKER", "CRITICAL", "MAJOR", "MINOR"}
    assert max(entry.created for entry in issues) <= TODAY
    assert max(entry.created for entry in issues) - min(entry.created for entry in issues) > 900 * clock.DAY
    assert all(len({entry.key for entry in branch.issues}) == len(branch.issues) for project in held.projects.values()
               for branch in project.branches)


def test_each_company_s_token_sees_its_own_projects(sonar, serve):
    held = demo_world(SERVER)
    url = serve(create_app(held))
    for organization, token in admit_organizations(held).items():
        told = Sonar(url, token).get("components/search", qualifiers="TRK", ps=500).json()["components"]
        assert len(told) == 12
        assert all(entry["key"].startswith(organization) for entry in told)


def test_a_world_of_any_size():
    for plan in (Plan(0, 0, 0), Plan(1, 10, 4), Plan(2, 10, 100), Plan(75, 400, 40)):
        held = default_world(plan)
        assert len(held.projects) == plan.projects
        assert sum(entry.type == "VULNERABILITY" and entry.status != "FIXED" for project in held.projects.values()
                   for entry in project.main.issues) == plan.issues


# -- controls -------------------------------------------------------------------------------------------------------------------


def test_faults_and_counts_over_http(sonar):
    served = sonar(world())
    control = f"{served.url}/_standin"
    made = requests.post(f"{control}/faults", timeout=5, json={"kind": "status", "path": "issues/search", "status": 429,
                                                               "retryAfter": 7, "fromCall": 2, "times": 1}).json()
    assert (made["after"], made["times"]) == (1, 1)
    answers = [served.get("issues/search", components="acme:billing") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert requests.get(f"{control}/calls", timeout=5).json() == {"issues/search": 3}
    assert requests.get(f"{control}/faults", timeout=5).json()["faults"][0]["seen"] == 3
    assert requests.post(f"{control}/faults", json={"kind": "x"}, timeout=5).status_code == 400
    assert requests.delete(f"{control}/faults", timeout=5).status_code == 204
    assert requests.delete(f"{control}/calls", timeout=5).status_code == 204
    assert requests.get(f"{control}/calls", timeout=5).json() == {}


def test_the_controls_answer_callers_on_this_machine_alone():
    client = create_app(world()).test_client()
    assert client.get("/_standin/calls", environ_base={"REMOTE_ADDR": "127.0.0.1"}).status_code == 200
    for address in ("192.0.2.7", "10.0.0.1"):
        assert client.get("/_standin/calls", environ_base={"REMOTE_ADDR": address}).status_code == 403


def test_links_lead_to_a_page(sonar):
    served = sonar(world())
    assert "stand-in" in requests.get(f"{served.url}/project/issues?id=acme%3Abilling&open=a", timeout=5).text


def test_it_runs_as_a_process_of_its_own_with_the_tokens_it_is_given():
    tokens = {"northwind": "squ_" + os.urandom(20).hex(), "contoso": "squ_" + os.urandom(20).hex()}
    with StandInProcess("plugins.sonarqube.upstream", ["--demo", "--cloud"], env={"STANDIN_TOKENS": json.dumps(tokens)}) as process:
        served = Sonar(process.url, tokens["contoso"])
        assert served.get("components/search", qualifiers="TRK", organization="contoso").json()["paging"]["total"] == 12
        assert served.get("components/search", qualifiers="TRK", organization="northwind").status_code == 403
