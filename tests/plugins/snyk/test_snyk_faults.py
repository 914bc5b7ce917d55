"""A Snyk that misbehaves: the pull says what happened, and never ends as if it were complete."""

import threading

import pytest

from core.hooks.failures import (
    AnswerInvalid,
    LoginRejected,
    NotThere,
    PullIncomplete,
    Unreachable,
    UpstreamUnavailable,
)
from core.http.upstream import UpstreamPolicy
from core.testing.connector_kit import check_cut_short
from plugins.snyk.connector import SnykConnector
from plugins.snyk.upstream import Organization, Project, Throttle, Token, World, create_app
from tests.plugins.snyk.worlds import acme, numbered
from tests.servers import LOOPBACK

ISSUES = "orgs/issues"
#: what strikes every page after the first one of an organization, and what asking project by project then meets
LASTING = [
    ({"kind": "status", "status": 500}, UpstreamUnavailable), ({"kind": "status", "status": 503}, UpstreamUnavailable),
    ({"kind": "status", "status": 429}, UpstreamUnavailable), ({"kind": "html"}, UpstreamUnavailable), ({"kind": "cut"}, AnswerInvalid),
    ({"kind": "cut_json"}, AnswerInvalid), ({"kind": "foreign_next"}, AnswerInvalid), ({"kind": "empty"}, PullIncomplete),
    ({"kind": "empty_page"}, PullIncomplete), ({"kind": "lost_next"}, PullIncomplete), ({"kind": "self_next"}, PullIncomplete),
    ({"kind": "first_next"}, PullIncomplete),
]


@pytest.fixture
def world() -> World:
    """Two projects, one with 250 issues, which are three pages, and one with 120."""
    return acme(Project.holding("app", *numbered(250)), Project.holding("web", *numbered(120)))


@pytest.fixture
def everything(findings_of):
    """How many findings each asset gives."""
    return lambda pull: sorted(len(given) for given in findings_of(pull).values())


@pytest.mark.parametrize(("fault", "failure"), LASTING)
def test_whatever_goes_wrong_ends_each_asset_with_its_name(pull_of, world, fault, failure):
    pull = pull_of(world, include_licenses=True)
    assets = list(pull.catalog())
    world.faults.add(path=ISSUES, after=1, **fault)
    for asset in assets:
        with pytest.raises(failure) as caught:
            list(pull.findings(asset))
        assert caught.value.asset_only


@pytest.mark.parametrize("fault", [fault for fault, _ in LASTING])
def test_a_page_of_the_organization_that_goes_wrong_is_made_up_for_by_asking_project_by_project(pull_of, everything, world, fault):
    pull = pull_of(world, include_licenses=True)
    world.faults.add(path=ISSUES, after=1, times=3 if fault["kind"] in ("status", "html", "cut") else 1, **fault)
    assert everything(pull) == [120, 250]


def test_after_that_only_the_projects_that_go_wrong_fail(pull_of, world):
    pull = pull_of(world, include_licenses=True)
    assets = {asset.name: asset for asset in pull.catalog()}
    app, web = (assets[f"{name} (main)"] for name in ("app", "web"))
    world.faults.add("cut_json", path=ISSUES, times=1)
    world.faults.add("status", path=ISSUES, about=app.key, status=500)
    with pytest.raises(UpstreamUnavailable):
        list(pull.findings(app))
    assert len(list(pull.findings(web))) == 120


@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "html"}, {"kind": "status", "status": 503}, {"kind": "status", "status": 429}])
def test_a_failure_that_passes_costs_nothing_but_a_repetition(pull_of, everything, world, fault):
    world.faults.add(path=ISSUES, after=1, times=1, **fault)
    assert everything(pull_of(world, include_licenses=True)) == [120, 250]
    assert world.calls[ISSUES] == 4 + 1


def test_a_project_without_issues_is_believed_only_when_it_can_be_seen(pull_of, world):
    world.faults.add("cut_json", path=ISSUES, times=1)  # so that projects are asked one by one
    pull = pull_of(world, include_licenses=True)
    first, second = pull.catalog()
    list(pull.findings(first))
    counts = {**second.attributes, "issue_counts": {}}
    world.remove(second.key)
    with pytest.raises(NotThere):
        list(pull.findings(type(second)(second.key, second.name, second.kind, attributes=counts)))


def test_an_empty_answer_for_a_project_that_has_issues_is_not_complete(pull_of, world):
    pull = pull_of(world)
    asset = pull.asset(next(iter(world.organization_by("acme").projects)))
    world.faults.add("empty", path=ISSUES)
    with pytest.raises(PullIncomplete, match="ended after 0 records"):
        list(pull.findings(asset))


def test_a_project_whose_issues_were_all_fixed_gives_none(pull_of, findings_of, world):
    for project in world.organization_by("acme").projects.values():
        for issue in project.issues:
            issue.status = "resolved"
    world.changed()
    assert list(findings_of(pull_of(world)).values()) == [[], []]


def test_a_project_that_vanishes_while_its_organization_is_read_takes_nothing_of_the_others(pull_of, world):
    pull = pull_of(world, include_licenses=True)
    assets = {asset.name: asset for asset in pull.catalog()}
    world.faults.add("vanish", path=ISSUES, what=assets["web (main)"].key, after=1, times=1)
    assert len(list(pull.findings(assets["app (main)"]))) == 250


def test_a_token_revoked_while_pulling_stops_the_whole_run(pull_of, world):
    pull = pull_of(world)
    assets = list(pull.catalog())
    world.faults.add("revoke", path=ISSUES, after=1)
    with pytest.raises(LoginRejected) as caught:
        list(pull.findings(assets[0]))
    assert not caught.value.asset_only
    with pytest.raises(LoginRejected):
        pull.check()


@pytest.mark.parametrize("tells", [True, False])
def test_a_throttle_that_opens_after_a_rest_is_waited_for(pull_of, everything, world, tells):
    world.throttle = Throttle(4, 0.3, tells=tells)
    policy = UpstreamPolicy(allow=LOOPBACK, retries=4, backoff=0.0, limited_backoff=0.2, longest_wait=5.0, per_second=10_000.0)
    assert everything(pull_of(world, policy=policy, include_licenses=True)) == [120, 250]


def test_a_wait_longer_than_granted_ends_the_pull_and_says_how_long(pull_of, world):
    pull = pull_of(world)
    assets = list(pull.catalog())
    world.faults.add("status", path=ISSUES, status=429, retry_after="3600")
    with pytest.raises(UpstreamUnavailable, match="3600") as caught:
        list(pull.findings(assets[0]))
    assert caught.value.retry_after == 3600


def test_a_page_that_comes_too_late_is_unreachable(pull_of, world):
    gate = threading.Event()
    policy = UpstreamPolicy(allow=LOOPBACK, retries=0, read_timeout=0.5)
    pull = pull_of(world, policy=policy)
    assets = list(pull.catalog())
    world.faults.add("slow", path=ISSUES, gate=gate, seconds=10)
    try:
        with pytest.raises(Unreachable, match="no answer in time"):
            list(pull.findings(assets[0]))
    finally:
        gate.set()


@pytest.mark.parametrize("kind", ["cut_json", "empty", "lost_next", "self_next", "first_next", "html", "revoke"])
def test_the_connector_keeps_the_contract_when_cut_short(serve, world, kind):
    world.faults.add(kind, path=ISSUES, after=1)
    check_cut_short(SnykConnector(), {"url": serve(create_app(world)), "token": world.admit(Token()), "include_licenses": True})


def test_one_organization_in_trouble_leaves_the_others_alone(pull_of):
    held = World.of(*(Organization.of(name, Project.holding(name, *numbered(150))) for name in ("blue", "red")))
    held.faults.add("status", path=ISSUES, about=held.organization_by("blue").id, status=502)
    pull = pull_of(held, include_licenses=True)
    blues, reds = sorted(pull.catalog(), key=lambda asset: asset.name)
    with pytest.raises(UpstreamUnavailable):
        list(pull.findings(blues))
    assert len(list(pull.findings(reds))) == 150
