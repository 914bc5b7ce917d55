"""The stand-in answers as Snyk does, down to its error bodies."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import requests

from core import clock
from core.testing.standin import StandInProcess
from plugins.snyk.upstream import (
    COMPANIES,
    TODAY,
    Ignore,
    Issue,
    Organization,
    Plan,
    Project,
    Throttle,
    Token,
    World,
    admit_companies,
    create_app,
    default_world,
    group_of,
)
from tests.plugins.snyk.worlds import acme, numbered

VERSION = "2024-10-15"
GROUP = "9f1c6e0a-0000-4000-8000-000000000001"


class Snyk:
    """A served world with one token; calls give the response."""

    def __init__(self, url: str, token: str, world: World) -> None:
        self.url, self.token, self.world = url, token, world
        self.org = next(iter(world.organizations), "")

    def get(self, path: str, **query: Any) -> requests.Response:
        """A call of the REST API; ``{org}`` in the path stands for the first organization."""
        named = {"version": VERSION, **{name.replace("__", "."): value for name, value in query.items()}}
        return self.raw(f"/rest{path.format(org=self.org)}", params=named)

    def ids(self, path: str, **query: Any) -> list[str]:
        return [entry["id"] for entry in self.get(path, **query).json()["data"]]

    def v1(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{self.url}/v1{path.format(org=self.org)}", json=body, headers=self._headers, timeout=5)

    def raw(self, path: str, **kw: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=self._headers, timeout=5, **kw)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}


@pytest.fixture
def snyk(serve) -> Callable[..., Snyk]:
    def served(world: World, token: Token | None = None) -> Snyk:
        return Snyk(serve(create_app(world)), world.admit(token), world)

    return served


def world() -> World:
    issues = (Issue("high", severity="high"), Issue("low", severity="low", ignored=Ignore()), Issue("lic", "license", severity="high"),
              Issue("done", severity="critical", status="resolved", created=TODAY - 9 * clock.DAY, updated=TODAY - 5 * clock.DAY))
    return acme(Project.holding("app", *issues, tags=(("team", "a"),)), Project.holding("web", type="maven", origin="cli"), group=GROUP)


def error(response: requests.Response) -> tuple[int, str, str]:
    """Status, code and the parameter that is meant, of the one error told."""
    (told,) = response.json()["errors"]
    assert told["status"] == str(response.status_code)
    assert response.headers["Content-Type"] == "application/vnd.api+json"
    return response.status_code, told.get("code", ""), told.get("source", {}).get("parameter", "")


# -- versions and parameters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "version", "status"), [
    ("/self", "", 400), ("/self", "latest", 400), ("/self", "2024-10", 400), ("/self", "2024-04-21", 404), ("/self", "2024-04-22", 200),
    ("/self", "2026-03-25", 200), ("/self", "2024-10-15~beta", 200), ("/groups", VERSION, 404), ("/groups", "2024-10-15~beta", 200),
    ("/orgs/{org}/issues", "2023-12-31", 404), ("/orgs/{org}/projects", "2023-06-19", 200), ("/nothing", VERSION, 404),
])
def test_every_call_needs_a_version_that_it_existed_in(snyk, path, version, status):
    response = snyk(world()).get(path, version=version)
    assert response.status_code == status
    if status != 200:
        assert error(response)[0] == status


def test_the_version_that_was_served_is_told(snyk):
    headers = snyk(world()).get("/self").headers
    assert (headers["snyk-version-requested"], headers["snyk-version-served"]) == (VERSION, "2024-04-22")
    assert headers["snyk-version-lifecycle-stage"] == "ga"
    assert headers["snyk-request-id"]


@pytest.mark.parametrize(("query", "parameter"), [
    ({"limit": 5}, "limit"), ({"limit": 15}, "limit"), ({"limit": 110}, "limit"), ({"limit": "x"}, "limit"), ({"colour": "red"}, "colour"),
    ({"type": "x"}, "type"), ({"type": "code,license"}, "type"), ({"status": "gone"}, "status"), ({"ignored": "True"}, "ignored"),
    ({"scan_item__id": "x"}, "scan_item.id"), ({"scan_item__type": "project"}, "scan_item.id"), ({"updated_after": "now"}, "updated_after"),
])
def test_parameters_that_are_not_what_they_must_be(snyk, query, parameter):
    assert error(snyk(world()).get("/orgs/{org}/issues", **query)) == (400, "SNYK-0003", parameter)


@pytest.mark.parametrize("twice", ["limit=100&limit=100", "version=2024-10-15"])
def test_a_parameter_given_twice_is_refused(snyk, twice):
    served = snyk(world())
    assert served.raw(f"/rest/orgs/{served.org}/issues?version={VERSION}&{twice}").status_code == 400


# -- who is asking --------------------------------------------------------------------------------------------------------------


def test_credentials(snyk):
    served = snyk(world())
    accepted = {f"bearer {served.token}": 200, f"TOKEN {served.token}": 200}
    for header, status in {"token x": 401, "": 401, served.token: 401, **accepted}.items():
        answer = requests.get(f"{served.url}/rest/self?version={VERSION}", headers={"Authorization": header}, timeout=5)
        assert answer.status_code == status
        assert status == 200 or error(answer) == (401, "SNYK-0005", "")


def test_the_older_api_tells_errors_in_its_own_way(snyk):
    answer = snyk(world()).v1("GET", "/org/nobody/project/x")
    assert (answer.status_code, answer.json()["code"]) == (404, 404)
    assert answer.headers["x-error-reference"]


def test_what_the_token_may_not_see_is_not_there_and_what_it_may_not_do_is_forbidden(snyk):
    held = world()
    held.organizations["x"] = Organization("other", id="x")
    served = snyk(held, Token(frozenset({next(iter(held.organizations))}), frozenset(), frozenset({"org.project.read"})))
    assert served.get("/orgs/x").status_code == served.get("/orgs/nobody").status_code == 404
    assert served.get("/orgs/{org}/projects").status_code == 403
    assert served.get(f"/groups/{GROUP}/orgs").status_code == 404
    assert served.ids("/orgs") == [served.org]


# -- listings -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("links", ["rest", "bare", "absolute", "object"])
def test_pages_follow_one_another_and_back(snyk, links):
    held = acme(Project.holding("app", *numbered(35)))
    held.links = links
    served = snyk(held)

    def follow(answer: dict[str, Any], name: str) -> dict[str, Any]:
        link = answer["links"][name]
        link = link["href"] if isinstance(link, dict) else link
        path = link.removeprefix(served.url)
        return served.raw(path if path.startswith("/rest") else f"/rest{path}").json()

    pages = [served.get("/orgs/{org}/issues", limit=10).json()]
    while "next" in pages[-1]["links"]:
        pages.append(follow(pages[-1], "next"))
    ids = [entry["id"] for answer in pages for entry in answer["data"]]
    assert [len(answer["data"]) for answer in pages] == [10, 10, 10, 5]
    assert ids == sorted(set(ids))
    assert [entry["id"] for entry in follow(pages[2], "prev")["data"]] == ids[10:20]
    assert [entry["id"] for entry in follow(pages[0], "last")["data"]] == ids[25:]
    assert follow(pages[3], "first") == pages[0]


def test_a_cursor_that_cannot_be_read_is_an_unexpected_failure(snyk):
    assert error(snyk(world()).get("/orgs/{org}/issues", starting_after="???")) == (500, "SNYK-9999", "")


@pytest.mark.parametrize(("query", "keys"), [
    ({}, {"high", "low", "lic", "done"}), ({"status": "open"}, {"high", "low", "lic"}), ({"status": "resolved"}, {"done"}),
    ({"status": "open,resolved"}, {"high", "low", "lic", "done"}),
    ({"ignored": "true"}, {"low"}), ({"ignored": "false", "status": "open"}, {"high", "lic"}), ({"type": "license"}, {"lic"}),
    ({"effective_severity_level": "high,critical"}, {"high", "lic", "done"}), ({"updated_before": "2026-11-12T00:00:00Z"}, {"done"}),
    ({"created_after": "2026-11-12T00:00:00Z"}, {"high", "low", "lic"}), ({"scan_item__id": "nobody", "scan_item__type": "project"}, set()),
])
def test_filters_of_issues(snyk, query, keys):
    told = snyk(world()).get("/orgs/{org}/issues", **query).json()["data"]
    assert {issue["attributes"]["key"] for issue in told} == keys


def test_issues_of_a_group_tell_their_organization(snyk):
    served = snyk(world())
    told = served.get(f"/groups/{GROUP}/issues").json()["data"]
    assert {issue["relationships"]["organization"]["data"]["id"] for issue in told} == {served.org}
    one = told[0]
    assert served.get(f"/groups/{GROUP}/issues/{one['id']}").json()["data"] == one
    assert served.get("/orgs/{org}/issues/" + one["id"]).json()["data"] == one
    assert served.get("/orgs/{org}/issues/nobody").status_code == 404


def test_projects_with_and_without_what_can_be_added(snyk):
    served = snyk(world())
    plain = served.get("/orgs/{org}/projects").json()["data"][0]
    assert set(plain["meta"]) == {"cli_monitored_at"}
    assert "attributes" not in plain["relationships"]["target"]["data"]
    query = {"expand": "target", "meta.latest_issue_counts": "true", "meta.latest_dependency_total": "true", "names": "app"}
    (full,) = served.get("/orgs/{org}/projects", **query).json()["data"]
    counts = {name: number for name, number in full["meta"]["latest_issue_counts"].items() if name != "updated_at"}
    assert counts == {"critical": 0, "high": 2, "medium": 0, "low": 0}
    assert full["relationships"]["target"]["data"]["attributes"]["display_name"] == "app"
    assert served.get("/orgs/{org}/projects", meta_count="only").json()["meta"] == {"count": 2}
    assert served.get("/orgs/{org}/projects/nobody").status_code == 404


@pytest.mark.parametrize(("query", "names"), [({"types": "maven"}, {"web"}), ({"origins": "github,cli"}, {"app", "web"}),
                                              ({"tags": "team:a"}, {"app"}), ({"names_start_with": "w"}, {"web"}), ({"ids": "x"}, set())])
def test_filters_of_projects(snyk, query, names):
    told = snyk(world()).get("/orgs/{org}/projects", **query).json()["data"]
    assert {project["attributes"]["name"] for project in told} == names


def test_organizations_groups_and_targets(snyk):
    served = snyk(world())
    assert served.ids("/orgs", slug="acme") == served.ids("/orgs", group_id=GROUP) == [served.org]
    assert served.ids("/orgs", slug="acm") == served.ids("/orgs", name="other") == []
    assert served.ids("/groups", version="2024-10-15~beta") == [GROUP]
    assert served.get(f"/groups/{GROUP}/orgs", expand="count").json()["meta"] == {"total_count": 1}
    targets = served.get("/orgs/{org}/targets", count="true").json()
    assert targets["meta"] == {"count": 2}
    assert served.get("/orgs/{org}/targets/" + targets["data"][0]["id"]).json()["data"] == targets["data"][0]
    assert served.get("/orgs/{org}/targets/nobody").status_code == 404
    assert served.get("/orgs/{org}/policies").status_code == 403


# -- the older API --------------------------------------------------------------------------------------------------------------


def test_ignoring_and_not_ignoring_any_more(snyk):
    served = snyk(world())
    app = next(iter(served.world.organizations[served.org].projects))
    path = f"/org/{{org}}/project/{app}"
    served.v1("POST", f"{path}/ignore/high", {"reason": "Not called", "reasonType": "not-vulnerable"})
    reasons = served.v1("GET", f"{path}/ignores").json()
    assert (set(reasons), reasons["high"][0]["*"]["reasonType"]) == ({"high", "low"}, "not-vulnerable")
    assert len(served.ids("/orgs/{org}/issues", ignored="true")) == 2
    served.v1("DELETE", f"{path}/ignore/high")
    assert len(served.ids("/orgs/{org}/issues", ignored="true")) == 1


def test_what_public_clients_read_of_a_project(snyk):
    served = snyk(world())
    app = next(iter(served.world.organizations[served.org].projects))
    path = f"/org/{{org}}/project/{app}"
    assert served.v1("GET", "/user/me").json()["orgs"] == served.v1("GET", "/orgs").json()["orgs"]
    assert served.v1("GET", path).json()["issueCountsBySeverity"]["high"] == 2
    found = served.v1("POST", f"{path}/aggregated-issues", {"filters": {"severities": ["high"], "types": ["vuln"]}}).json()["issues"]
    assert [issue["id"] for issue in found] == ["high"]
    assert served.v1("GET", f"{path}/issue/high/paths").json()["total"] == 0


# -- misbehaviour ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tells", [True, False])
def test_too_many_requests_are_refused_until_there_was_a_rest(snyk, tells):
    held = world()
    held.throttle = Throttle(2, 0.2, tells=tells)
    served = snyk(held)
    answers = [served.get("/self") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert error(answers[2])[1] == "SNYK-0001"
    assert ("Retry-After" in answers[2].headers) is tells


def test_a_test_may_tell_it_from_outside(snyk):
    served = snyk(world())
    requests.post(f"{served.url}/_standin/faults", json={"kind": "status", "path": "orgs/issues", "status": 503}, timeout=5)
    assert error(served.get("/orgs/{org}/issues")) == (503, "SNYK-0009", "")
    requests.delete(f"{served.url}/_standin/faults", timeout=5)
    assert served.get("/orgs/{org}/issues").status_code == 200
    assert served.raw("/_standin/calls").json() == {"orgs/issues": 2}
    assert served.raw("/org/acme/project/x").status_code == served.raw("/").status_code == 200


# -- the worlds to begin with ---------------------------------------------------------------------------------------------------


def facts_of(held: World) -> str:
    return json.dumps([[organization.slug, project.id, project.name, [repr(issue) for issue in project.issues]]
                       for organization in held.organizations.values() for project in organization.projects.values()])


def test_the_demo_has_two_companies_with_issues_of_every_kind_and_is_always_the_same():
    held = default_world()
    projects = [project for organization in held.organizations.values() for project in organization.projects.values()]
    issues = [issue for project in projects for issue in project.issues]
    assert [organization.slug for organization in held.organizations.values()] == list(COMPANIES)
    assert (len(projects), sum(issue.status == "open" for issue in issues)) == (20, 1_500)
    assert {issue.type for issue in issues} == {"package_vulnerability", "code", "config", "license"}
    assert {issue.severity for issue in issues} == {"critical", "high", "medium", "low"}
    assert {issue.ignored.kind for issue in issues if issue.ignored} == {"not-vulnerable", "wont-fix", "temporary-ignore"}
    assert {project.type for project in projects} >= {"npm", "maven", "pip", "deb", "sast", "k8sconfig", "terraformconfig"}
    assert sum(not project.issues for project in projects) == 2
    assert all(len({issue.key for issue in project.issues}) == len(project.issues) for project in projects)
    assert facts_of(held) == facts_of(default_world())


def test_a_plan_keeps_its_numbers():
    held = default_world(Plan(projects=31, issues=777, organizations=3))
    projects = [project for organization in held.organizations.values() for project in organization.projects.values()]
    assert (len(held.organizations), len({project.id for project in projects})) == (6, 31)
    assert sum(issue.status == "open" for project in projects for issue in project.issues) == 777


def test_each_company_s_token_sees_its_own_group():
    held = default_world(Plan(4, 10, organizations=2))
    tokens = admit_companies(held, {"northwind": "given"})
    assert tokens["northwind"] == "given"
    northwind = held.tokens["given"]
    assert {one.slug for one in held.organizations.values() if northwind.sees(one)} == {"northwind", "northwind-2"}
    assert [northwind.sees_group(group_of(company)) for company in COMPANIES] == [True, False]


def test_it_runs_by_itself_with_the_tokens_it_is_given():
    env = {**os.environ, "STANDIN_TOKENS": json.dumps(dict(zip(COMPANIES, ("a" * 36, "b" * 36), strict=True)))}
    with StandInProcess("plugins.snyk.upstream", ["--projects", "2", "--issues", "5"], env=env) as process:
        answer = requests.get(f"{process.url}/rest/self?version={VERSION}", headers={"Authorization": f"token {'b' * 36}"}, timeout=5)
    assert answer.json()["data"]["attributes"]["name"] == "contoso-sync"
