"""Projects of the organizations covered, as assets."""

import pytest

from core.hooks.failures import (
    AnswerInvalid,
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    PullIncomplete,
)
from plugins.snyk.client import OrganizationForbidden
from plugins.snyk.upstream import Issue, Organization, Plan, Project, Token, World, default_world, group_of
from tests.plugins.snyk.worlds import acme

GROUP = "9f1c6e0a-0000-4000-8000-000000000001"


def projects(count: int) -> list[Project]:
    return [Project.holding(f"app-{number:04}") for number in range(count)]


def two_teams() -> World:
    return World.of(Organization.of("blue", Project.holding("b", Issue("1")), group=GROUP),
                    Organization.of("red", Project.holding("r", Issue("2")), group=GROUP),
                    Organization.of("stranger", Project.holding("s")), groups={GROUP: "Acme"})


@pytest.mark.parametrize("links", ["rest", "bare", "absolute", "object"])
def test_every_project_is_an_asset_however_links_are_written(pull_of, links):
    held = acme(*projects(205))
    held.links = links
    assets = list(pull_of(held).catalog())
    assert {asset.key for asset in assets} == set(next(iter(held.organizations.values())).projects)
    assert held.calls["orgs/projects"] == 1 + 3  # the count, and a page for each hundred


@pytest.mark.parametrize(("settings", "names"), [
    ({"group": GROUP}, {"b", "r"}), ({"group": GROUP, "organizations": "red"}, {"r"}), ({"organizations": "stranger, blue"}, {"s", "b"}),
])
def test_the_organizations_that_are_asked_for_are_covered_and_no_others(pull_of, settings, names):
    assert {asset.name.partition(" ")[0] for asset in pull_of(two_teams(), **settings).catalog()} == names


def test_each_asset_tells_its_organization(pull_of):
    asset = next(iter(pull_of(two_teams(), group=GROUP, organizations="red").catalog()))
    told = {name: asset.attributes[name] for name in ("organization_slug", "organization_name", "group")}
    assert told == {"organization_slug": "red", "organization_name": "Red", "group": GROUP}


def test_one_asset_is_the_same_as_in_the_catalog(pull_of):
    pull = pull_of(default_world(Plan(12, 200)), group=group_of("contoso"))
    assets = list(pull.catalog())
    assert [pull.asset(asset.key) for asset in assets] == assets


def test_a_project_of_a_large_group_is_found_without_asking_every_organization(pull_of):
    held = World.of(*(Organization.of(f"team-{number:02}", Project.holding(f"p{number}", Issue("1")), Project.holding(f"clean{number}"),
                                      group=GROUP) for number in range(30)), groups={GROUP: "Acme"})
    pull = pull_of(held, group=GROUP)
    key = next(asset.key for asset in pull.catalog() if asset.name.startswith("p29"))
    held.calls.clear()
    assert pull.asset(key).name == "p29 (main)"
    assert (held.calls["groups/issues"], held.calls["orgs/project"]) == (1, 1)
    clean = next(asset.key for asset in pull.catalog() if asset.name.startswith("clean29"))
    assert pull.asset(clean).name == "clean29 (main)"  # it has no issue that would tell, so each organization is asked


@pytest.mark.parametrize("key", ["gone", "5b1c6e0a-0000-4000-8000-000000000001", "../projects", "a b"])
def test_an_asset_that_is_gone_is_not_there(pull_of, key):
    with pytest.raises(NotThere):
        pull_of(two_teams(), group=GROUP).asset(key)


def test_an_asset_of_an_organization_that_is_not_covered_is_not_there(pull_of):
    held = two_teams()
    stranger = next(iter(held.organization_by("stranger").projects))
    with pytest.raises(NotThere):
        pull_of(held, group=GROUP).asset(stranger)


def test_a_project_that_was_deactivated_leaves_the_catalog_and_returns_when_it_is_active_again(pull_of):
    held = acme(Project.holding("app", Issue("a")), Project.holding("web"))
    pull = pull_of(held)
    app = next(project for project in next(iter(held.organizations.values())).projects.values() if project.name == "app")
    app.status = "inactive"
    assert [asset.name for asset in pull.catalog()] == ["web (main)"]
    with pytest.raises(NotThere, match="deactivated"):
        pull.asset(app.id)
    app.status = "active"
    assert len(list(pull.catalog())) == 2


def test_license_issues_are_counted_apart(pull_of):
    licenses = [Issue(f"snyk:lic:npm:x:GPL-{number}", "license", severity="high" if number < 2 else "low") for number in range(5)]
    held = acme(Project.holding("app", Issue("a", severity="high"), *licenses), Project.holding("web"))
    facts = {asset.name: asset.attributes.get("license_issues") for asset in pull_of(held).catalog()}
    assert facts == {"app (main)": {"high": 2, "low": 3}, "web (main)": None}
    assert all("license_issues" not in asset.attributes for asset in pull_of(held, include_licenses=True).catalog())


def test_a_project_that_cannot_be_read_fails_the_catalog_by_name(pull_of):
    held = acme(Project("p1", "app", type=None))
    with pytest.raises(AnswerInvalid, match="Project 'p1' of organization 'acme' cannot be read"):
        list(pull_of(held).catalog())


def test_licenses_that_cannot_be_counted_are_not_worth_failing_for(pull_of):
    held = acme(Project.holding("app", Issue("a"), Issue("lic", "license")))
    held.faults.add("status", path="orgs/issues", status=500)
    assert [asset.attributes.get("license_issues") for asset in pull_of(held).catalog()] == [None]
    held.faults.clear()
    held.faults.add("revoke", path="orgs/issues")
    with pytest.raises(LoginRejected):
        list(pull_of(held).catalog())


def test_an_organization_without_projects_gives_an_empty_catalog(pull_of):
    assert list(pull_of(acme()).catalog()) == []


def test_each_token_sees_its_own_organization(pull_of):
    held = two_teams()
    own = frozenset({held.organization_by("red").id})
    assert [asset.name for asset in pull_of(held, Token(own), organizations="").catalog()] == ["r (main)"]
    with pytest.raises(OrganizationUnknown):
        list(pull_of(held, Token(own), organizations="blue").catalog())


@pytest.mark.parametrize("permission", ["org.project.read", "org.project.snapshot.read"])
def test_one_organization_of_a_group_that_may_not_be_read(pull_of, findings_of, permission):
    held = two_teams()
    blue = held.organization_by("blue")
    pull = pull_of(held, Token(lacks=frozenset({f"{blue.id}:{permission}"})), group=GROUP)
    if permission == "org.project.read":  # its projects are not known, so that nothing may be pruned
        with pytest.raises(PermissionMissing, match="'blue'.*name the organizations to pull"):
            list(pull.catalog())
        return
    blues, reds = sorted(pull.catalog(), key=lambda asset: asset.name)
    for _ in range(2):
        with pytest.raises(OrganizationForbidden) as caught:
            list(pull.findings(blues))
    assert caught.value.asset_only
    assert len(list(pull.findings(reds))) == 1


def test_an_organization_that_alone_answers_401_is_told_from_a_token_that_was_revoked(pull_of):
    held = two_teams()
    blue = held.organization_by("blue").id
    pull = pull_of(held, group=GROUP)
    held.faults.add("status", path="orgs/projects", about=blue, status=401)
    with pytest.raises(PermissionMissing, match="refused by organization 'blue' alone"):
        list(pull.catalog())
    held.faults.add("revoke", path="orgs/projects", about=blue)
    with pytest.raises(LoginRejected):
        list(pull.catalog())


def test_an_organization_that_is_gone_while_the_catalog_is_read(pull_of):
    held = two_teams()
    held.faults.add("status", path="orgs/projects", about=held.organization_by("red").id, status=404)
    with pytest.raises(OrganizationUnknown, match="'red'"):
        list(pull_of(held, group=GROUP).catalog())


@pytest.mark.parametrize(("fault", "failure"), [
    ({"kind": "lost_next"}, PullIncomplete), ({"kind": "self_next"}, PullIncomplete), ({"kind": "first_next"}, PullIncomplete),
    ({"kind": "empty"}, PullIncomplete), ({"kind": "empty_page"}, PullIncomplete), ({"kind": "foreign_next"}, AnswerInvalid),
    ({"kind": "cut_json"}, AnswerInvalid), ({"kind": "cut"}, AnswerInvalid), ({"kind": "revoke"}, LoginRejected),
])
def test_a_listing_that_goes_wrong_raises(pull_of, fault, failure):
    held = acme(*projects(310))
    held.faults.add(path="orgs/projects", after=2, **fault)
    with pytest.raises(failure):
        list(pull_of(held).catalog())


def test_a_listing_that_goes_wrong_once_is_read_again(pull_of):
    held = acme(*projects(310))
    held.faults.add("lost_next", path="orgs/projects", after=2, times=1)
    assert len(list(pull_of(held).catalog())) == 310


def test_a_snyk_that_does_not_count_its_projects_is_believed(pull_of):
    held = acme(*projects(110))
    held.faults.add("status", path="orgs/projects", times=1, status=400)
    assert len(list(pull_of(held).catalog())) == 110
