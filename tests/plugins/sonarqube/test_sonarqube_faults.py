"""A SonarQube that misbehaves: the pull says what happened, and never ends as if it were complete."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from core.hooks.contracts import AssetDraft
from core.hooks.failures import (
    AnswerInvalid,
    ConnectorError,
    LoginRejected,
    NotThere,
    PermissionMissing,
    PullIncomplete,
    Unreachable,
    UpstreamUnavailable,
)
from core.http.upstream import UpstreamPolicy
from core.testing.connector_kit import check_cut_short
from plugins.sonarqube.connector import SonarConnector
from plugins.sonarqube.upstream import TODAY, Flavour, Hotspot, Issue, Project, Token, World, create_app
from plugins.sonarqube.upstream.rules import RULES
from tests.servers import LOOPBACK

PROJECT = "acme:billing"


@pytest.fixture
def world() -> World:
    """One project with 1,200 issues, which are three pages, and a hotspot."""
    issues = [Issue(f"{number:04}", "java:S5542", impacts=(("SECURITY", "HIGH"),), message="Fix it.", path="src/A.java", line=number + 1)
              for number in range(1200)]
    spots = [Hotspot("h", "java:S2245", message="Check it.", path="src/A.java")]
    return World.of(Project.holding(PROJECT, issues, spots, organization="acme"), rules=RULES)


@pytest.mark.parametrize(("fault", "failure"), [
    ({"kind": "status", "status": 401}, LoginRejected), ({"kind": "revoke"}, LoginRejected),
    ({"kind": "status", "status": 403}, PermissionMissing), ({"kind": "status", "status": 500}, UpstreamUnavailable),
    ({"kind": "status", "status": 503}, UpstreamUnavailable), ({"kind": "status", "status": 429}, UpstreamUnavailable),
    ({"kind": "html"}, UpstreamUnavailable), ({"kind": "cut"}, AnswerInvalid), ({"kind": "cut_json"}, AnswerInvalid),
    ({"kind": "empty_page"}, PullIncomplete), ({"kind": "drift"}, PullIncomplete),
    ({"kind": "vanish", "what": PROJECT}, PullIncomplete),
])
def test_whatever_goes_wrong_on_the_second_page_ends_the_pull_with_its_name(pull_of, findings_of, world, fault, failure):
    world.faults.add(path="issues/search", after=1, **fault)
    with pytest.raises(failure):
        findings_of(pull_of(world), PROJECT)


@pytest.mark.parametrize("path", ["hotspots/search", "rules/search", "system/status", "issues/search"])
@pytest.mark.parametrize("kind", ["cut", "html", "cut_json"])
def test_whatever_goes_wrong_anywhere_raises(pull_of, findings_of, world, path, kind):
    world.faults.add(kind, path=path)
    with pytest.raises(ConnectorError):
        findings_of(pull_of(world), PROJECT)


def test_a_project_that_vanishes_between_two_windows_is_not_complete(pull_of, findings_of, world):
    issues = [Issue(f"{number:05}", "java:S5542", impacts=(("SECURITY", "HIGH"),), message="Fix it.", created=TODAY - number * 1000)
              for number in range(10_100)]
    world.projects[PROJECT] = Project.holding(PROJECT, issues, organization="acme")
    world.faults.add("vanish", path="issues/search", what=PROJECT, after=22)
    with pytest.raises((PullIncomplete, NotThere)):
        findings_of(pull_of(world), PROJECT)
    assert world.calls["issues/search"] > 22


@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "html"}, {"kind": "status", "status": 503}, {"kind": "status", "status": 429}])
def test_a_failure_that_passes_does_no_harm(pull_of, issues_of, world, fault):
    world.faults.add(path="issues/search", after=1, times=1, **fault)
    assert len(issues_of(pull_of(world), PROJECT)) == 1200


def test_one_drift_is_made_up_for_by_a_second_pass(pull_of, issues_of, world):
    world.faults.add("drift", path="issues/search", after=1, times=1)
    assert len(issues_of(pull_of(world), PROJECT)) == 1200


def test_an_issue_closed_between_two_pages_hides_no_other(pull_of, world):
    pull = pull_of(world)
    findings = pull.findings(AssetDraft(PROJECT, "P", "sonar_project"))
    came = {finding.source_key for finding in islice(findings, 10)}
    del world.projects[PROJECT].main.issues[:3]  # the second page now begins three too late
    world.changed()
    came |= {finding.source_key for finding in findings}
    assert came >= {issue.key for issue in world.projects[PROJECT].main.issues}


def test_a_token_revoked_while_pulling_stops_the_whole_run(pull_of, world):
    world.faults.add("revoke", path="issues/search", after=2)
    pull = pull_of(world)
    with pytest.raises(LoginRejected) as caught:
        list(pull.findings(AssetDraft(PROJECT, "P", "sonar_project")))
    assert not caught.value.asset_only
    assert caught.value.needs_attention
    with pytest.raises(LoginRejected):
        pull.check()


def test_retry_after_is_obeyed(pull_of, issues_of, world):
    world.faults.add("status", path="issues/search", after=1, times=1, status=429, retry_after="1")
    begun = datetime.now(UTC)
    assert len(issues_of(pull_of(world), PROJECT)) == 1200
    assert datetime.now(UTC) - begun >= timedelta(seconds=0.95)


def test_a_wait_longer_than_granted_ends_the_pull_and_says_how_long(pull_of, findings_of, world):
    world.faults.add("status", path="issues/search", after=1, status=429, retry_after="3600")
    with pytest.raises(UpstreamUnavailable, match="3600") as caught:
        findings_of(pull_of(world), PROJECT)
    assert caught.value.retry_after == 3600
    assert world.calls["issues/search"] == 2


def test_a_page_that_comes_too_late_is_unreachable(pull_of, findings_of, world):
    gate = threading.Event()
    world.faults.add("slow", path="issues/search", after=1, gate=gate, seconds=10)
    policy = UpstreamPolicy(allow=LOOPBACK, retries=0, read_timeout=0.1)
    try:
        with pytest.raises(Unreachable, match="no answer in time"):
            findings_of(pull_of(world, policy=policy), PROJECT)
    finally:
        gate.set()


def test_a_slow_page_that_comes_in_time_does_no_harm(pull_of, issues_of, world):
    gate = threading.Event()
    world.faults.add("slow", path="issues/search", after=1, times=1, gate=gate, seconds=10)
    threading.Timer(0.05, gate.set).start()
    assert len(issues_of(pull_of(world), PROJECT)) == 1200


@pytest.mark.parametrize("kind", ["cut_json", "empty_page", "drift", "html", "revoke"])
def test_the_connector_keeps_the_contract_when_cut_short(serve, world, kind):
    world.faults.add(kind, path="issues/search", after=1)
    token = world.admit(Token(admin=True))
    check_cut_short(SonarConnector(), {"url": serve(create_app(world)), "token": token})


def test_a_cloud_that_is_too_busy(pull_of, findings_of, world):
    world.flavour = Flavour(cloud=True)
    world.faults.add("status", path="issues/search", status=429)
    with pytest.raises(UpstreamUnavailable):
        findings_of(pull_of(world), PROJECT)
