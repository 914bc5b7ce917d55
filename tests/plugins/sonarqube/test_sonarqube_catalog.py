"""Projects and branches as assets."""

import pytest

from core.hooks.failures import AnswerInvalid, LoginRejected, NotThere, PermissionMissing, PullIncomplete
from plugins.sonarqube.upstream import Branch, Flavour, Project, Token, World

FLAVOURS = [Flavour(), Flavour(cloud=True), Flavour(version="9.9.4.87374"), Flavour(version="26.5.0.1", branches=False)]


def branched(key: str = "acme:billing") -> Project:
    branches = [Branch("main", is_main=True, gate="ERROR"), Branch("release/1"), Branch("release/2"), Branch("feature/x")]
    return Project(key, "Billing", "acme", branches)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: "cloud" if flavour.cloud else flavour.version)
@pytest.mark.parametrize("admin", [True, False])
def test_every_project_is_an_asset_whatever_the_flavour_and_the_token_s_rights(pull_of, flavour, admin):
    held = World.of(*(Project(f"acme:{number}", f"P {number}", "acme") for number in range(3)), flavour=flavour)
    assets = list(pull_of(held, Token(admin=admin)).catalog())
    assert {asset.key for asset in assets} == set(held.projects)
    assert held.calls["project_branches/list"] == 3
    assert held.calls["projects/search"] == 1
    assert held.calls["components/search"] == (0 if admin else 1)


@pytest.mark.parametrize("admin", [True, False])
def test_a_listing_of_projects_costs_one_call_for_each_five_hundred(pull_of, admin):
    held = World.of(*(Project(f"acme:{number}", f"P {number}", "acme") for number in range(1001)), flavour=Flavour(cloud=True))
    assert len({project["key"] for project in pull_of(held, Token(admin=admin))._client.projects()}) == 1001
    assert held.calls["projects/search"] + held.calls["components/search"] == (3 if admin else 4)


def test_main_branches_alone_are_assets_unless_others_are_asked_for(pull_of):
    assets = list(pull_of(World.of(branched())).catalog())
    assert [asset.key for asset in assets] == ["acme:billing"]
    assert assets[0].attributes["branches"] == ["feature/x", "main", "release/1", "release/2"]
    assert assets[0].attributes["quality_gate"] == "ERROR"


def test_branches_that_fit_a_pattern_are_assets_too(pull_of):
    assets = list(pull_of(World.of(branched()), branches="release/*, main").catalog())
    assert [(asset.key, asset.name) for asset in assets] == [
        ("acme:billing", "Billing"), ("acme:billing::release/1", "Billing (release/1)"), ("acme:billing::release/2", "Billing (release/2)")]


@pytest.mark.parametrize("key", ["acme:billing", "acme:billing::release/2"])
@pytest.mark.parametrize("flavour", FLAVOURS[:3], ids=lambda flavour: flavour.version)
def test_one_asset_is_the_same_as_in_the_catalog(pull_of, flavour, key):
    pull = pull_of(World.of(branched(), flavour=flavour), branches="release/*")
    assert pull.asset(key) == next(asset for asset in pull.catalog() if asset.key == key)


@pytest.mark.parametrize("key", ["gone", "acme:billing::gone", "acme:billing::feature/x", "acme:billing::main"])
def test_an_asset_that_is_gone_or_not_covered_is_not_there(pull_of, key):
    with pytest.raises(NotThere):
        pull_of(World.of(branched()), branches="release/*").asset(key)


def test_a_project_whose_key_looks_like_a_branch_is_found(pull_of):
    pull = pull_of(World.of(branched("acme::web"), branched("acme")), branches="release/*")
    assert pull.asset("acme::web").name == "Billing"
    assert {asset.key for asset in pull.catalog()} >= {"acme::web", "acme::web::release/1", "acme", "acme::release/1"}


def test_each_token_sees_its_own_organization(pull_of):
    held = World.of(Project("n", "N", "northwind"), Project("c", "C", "contoso"), flavour=Flavour(cloud=True))
    assert [asset.key for asset in pull_of(held, Token("northwind", admin=True), organization="northwind").catalog()] == ["n"]
    assert [asset.key for asset in pull_of(held, Token("contoso"), organization="contoso").catalog()] == ["c"]


def test_a_project_that_an_administrator_may_not_browse_is_listed_without_branches(pull_of):
    held = World.of(branched("open"), branched("closed"))
    rights = Token(admin=True, projects=frozenset({"open"}))
    attributes = {asset.key: asset.attributes for asset in pull_of(held, rights).catalog()}
    assert attributes["closed"] == {"project": "closed"}
    with pytest.raises(PermissionMissing, match="'closed'"):
        list(pull_of(held, rights, branches="release/*").catalog())


@pytest.mark.parametrize("flavour", [Flavour(), Flavour(cloud=True)])
def test_more_projects_than_can_be_listed_are_never_taken_for_all(pull_of, flavour):
    held = World.of(*(Project(f"p{number}", f"P {number}", "acme") for number in range(10_001)), flavour=flavour)
    came = []
    with pytest.raises(PullIncomplete, match="10000"):
        came.extend(pull_of(held, Token())._client.projects())
    assert len(came) == 10_000
    assert held.calls["components/search"] == 20


def test_an_administrator_s_listing_has_no_such_limit(pull_of):
    held = World.of(*(Project(f"p{number}", f"P {number}") for number in range(10_001)))
    assert sum(1 for _ in pull_of(held)._client.projects()) == 10_001


def test_a_listing_that_shifts_once_is_read_again_and_gives_every_project_once(pull_of):
    held = World.of(*(Project(f"p{number:04}", f"P {number}") for number in range(1200)))
    held.faults.add("drift", path="projects/search", after=1, times=1)
    keys = [project["key"] for project in pull_of(held)._client.projects()]
    assert len(keys) == len(set(keys)) == 1200


@pytest.mark.parametrize(("fault", "failure"), [
    ({"kind": "drift"}, PullIncomplete), ({"kind": "empty_page", "after": 1}, PullIncomplete),
    ({"kind": "cut_json", "after": 1}, AnswerInvalid), ({"kind": "cut", "after": 1}, AnswerInvalid),
    ({"kind": "revoke", "after": 1}, LoginRejected),
])
def test_a_listing_that_goes_wrong_raises(pull_of, fault, failure):
    held = World.of(*(Project(f"p{number}", f"P {number}") for number in range(1200)))
    held.faults.add(path="projects/search", **fault)
    with pytest.raises(failure):
        list(pull_of(held)._client.projects())


def test_a_source_without_projects_gives_an_empty_catalog(pull_of):
    held = World.of(branched())
    held.faults.add("no_projects")
    assert list(pull_of(held).catalog()) == []


def test_a_project_that_vanishes_while_it_is_listed_fails_the_catalog(pull_of):
    held = World.of(branched("a"), branched("b"))
    held.faults.add("vanish", path="project_branches/list", what="b", after=1)
    with pytest.raises(NotThere):
        list(pull_of(held).catalog())
