"""What a pull brings of each project: which findings, how they read, and how many calls they take."""

from math import ceil

import pytest

from core.hooks.contracts import AssetDraft, Severity, SourceState, Unmapped
from core.hooks.failures import LoginRejected, NotThere
from plugins.snyk.upstream import Ignore, Issue, Organization, Plan, Project, Token, World, default_world, group_of
from tests.plugins.snyk.worlds import acme, numbered

GROUP = "9f1c6e0a-0000-4000-8000-000000000001"


@pytest.fixture
def only(findings_of):
    """The findings of a pull's one project, by the issue's key."""

    def pulled(pull):
        (found,) = findings_of(pull).values()
        by_key = {finding.details["key"]: finding for finding in found}
        assert len(by_key) == len(found)
        return by_key

    return pulled


MIXED = (
    Issue("SNYK-JS-LODASH-1", title="Prototype Pollution", severity="high", packages=(("lodash", "4.17.15"),), cwe=(1321,),
          cve=("CVE-2031-10001",), score=7.5, vector="CVSS:3.1/AV:N", fixes=frozenset({"is_upgradeable"}), reachability="function",
          maturity="Proof of Concept", risk=512),
    Issue("0b7bcb5f", "code", "SQL Injection", "medium", file="src/dao.py", line=48, cwe=(89,), key_asset="9c2c8ab1"),
    Issue("5f2a6ac7", "config", "S3 bucket is not encrypted", "low", file="main.tf", line=3, rule="SNYK-CC-TF-4", resource="bucket"),
    Issue("snyk:lic:npm:x:GPL-3.0", "license", "GPL-3.0 license", "high", packages=(("x", "1.0.0"),)),
)


def test_issues_of_every_type_arrive(pull_of, only):
    found = only(pull_of(acme(Project.holding("app", *MIXED)), include_licenses=True))
    assert {finding.category for finding in found.values()} == {"open_source", "code", "iac", "license"}
    package = found["SNYK-JS-LODASH-1"]
    assert (package.severity, package.path, package.cwe, package.cve) == (Severity.HIGH, "lodash@4.17.15", (1321,), ("CVE-2031-10001",))
    assert (package.details["cvss"], package.details["fixes"]) == (7.5, ["upgrade"])
    assert (found["0b7bcb5f"].path, found["0b7bcb5f"].line) == ("src/dao.py", 48)
    assert package.url.endswith("#issue-SNYK-JS-LODASH-1")
    assert "/org/acme/project/" in package.url


def test_licenses_are_left_out_unless_they_are_asked_for(pull_of, only):
    held = acme(Project.holding("app", *MIXED))
    assert set(only(pull_of(held))) == {issue.key for issue in MIXED[:3]}
    assert only(pull_of(held, include_licenses=True))["snyk:lic:npm:x:GPL-3.0"].severity is Severity.HIGH


def test_an_image_s_packages_are_of_the_container_family(pull_of, only):
    image = Project.holding("shop", MIXED[0], type="deb")
    assert only(pull_of(acme(image)))["SNYK-JS-LODASH-1"].category == "container"


IGNORED = (Issue("fp", ignored=Ignore("Not called", "not-vulnerable")), Issue("risk", ignored=Ignore("Later", "wont-fix")),
           Issue("open"), Issue("fixed", status="resolved"))


def test_ignored_issues_arrive_with_their_reason_and_resolved_ones_are_left_out(pull_of, only):
    held = acme(Project.holding("app", *IGNORED))
    found = only(pull_of(held))
    assert {key: finding.state for key, finding in found.items()} == {
        "fp": SourceState.FALSE_POSITIVE, "risk": SourceState.ACCEPTED, "open": SourceState.OPEN}
    assert (found["fp"].source_status, found["fp"].details["ignore"]["reason"]) == ("ignored/not-vulnerable", "Not called")
    assert held.calls["v1/ignores"] == 1


def test_resolved_issues_arrive_when_they_are_asked_for(pull_of, only):
    held = acme(Project.holding("app", *IGNORED))
    assert only(pull_of(held, include_resolved=True))["fixed"].state is SourceState.FIXED
    pull = pull_of(held, include_resolved=True)
    (app,) = next(iter(held.organizations.values())).projects
    assert {finding.details["key"] for finding in pull.findings(pull.asset(app))} == {issue.key for issue in IGNORED}


@pytest.mark.parametrize(("settings", "token"), [
    ({"ignore_reasons": False}, None), ({}, Token(lacks=frozenset({"org.project.ignore.read"}))),
])
def test_ignored_issues_are_accepted_ones_when_nobody_knows_why(pull_of, only, settings, token):
    held = acme(Project.holding("app", *IGNORED))
    found = only(pull_of(held, token, **settings))
    assert (found["fp"].state, found["fp"].source_status) == (SourceState.ACCEPTED, "ignored")
    assert held.calls["v1/ignores"] == (0 if settings else 1)


def test_reasons_are_asked_for_only_where_something_is_ignored(pull_of, findings_of):
    held = acme(Project.holding("app", Issue("a")), Project.holding("web", *IGNORED))
    findings_of(pull_of(held))
    assert held.calls["v1/ignores"] == 1


def test_reasons_are_not_taken_for_unknown_when_the_token_was_revoked(pull_of, findings_of):
    held = acme(Project.holding("app", *IGNORED))
    held.faults.add("revoke", path="v1/ignores")
    with pytest.raises(LoginRejected):
        findings_of(pull_of(held))


def test_a_token_that_v1_alone_does_not_take_still_pulls(pull_of, only):
    held = acme(Project.holding("app", *IGNORED))
    held.faults.add("status", path="v1/ignores", status=401)
    assert only(pull_of(held))["fp"].state is SourceState.ACCEPTED


def test_rules_are_those_of_the_findings_just_given(pull_of):
    pull = pull_of(acme(Project.holding("app", *MIXED)))
    list(pull.findings(next(iter(pull.catalog()))))
    rules = list(pull.rules(["SNYK-JS-LODASH-1", "SNYK-CC-TF-4", "nobody-s"]))
    assert [(rule.key, rule.name, rule.url) for rule in rules] == [
        ("SNYK-JS-LODASH-1", "Prototype Pollution", "https://security.snyk.io/vuln/SNYK-JS-LODASH-1"),
        ("SNYK-CC-TF-4", "S3 bucket is not encrypted", "")]


def test_an_asset_of_which_only_the_key_is_known_is_looked_up(pull_of):
    held = acme(Project.holding("app", Issue("a")), Project.holding("web"))
    (app, web) = next(iter(held.organizations.values())).projects
    pull = pull_of(held)
    assert [finding.details["key"] for finding in pull.findings(AssetDraft(app, "App", "snyk_project"))] == ["a"]
    with pytest.raises(NotThere):
        list(pull.findings(AssetDraft("gone", "Gone", "snyk_project")))


def test_a_record_that_cannot_be_read_is_told_with_its_key(pull_of, findings_of):
    held = acme(Project.holding("app", Issue("bad", id="1", told={"title": ...}), Issue("worse", id="2", told={"created_at": "soon"}),
                                Issue("good", id="3")))
    (found,) = findings_of(pull_of(held)).values()
    assert [entry.source_key for entry in found] == ["1", "2", "3"]
    assert [isinstance(entry, Unmapped) for entry in found] == [True, True, False]


def test_records_without_optional_blocks_and_with_null_ones_are_read(pull_of, only):
    nothing = dict.fromkeys(("coordinates", "problems", "classes", "severities", "risk", "description"))
    held = acme(Project.holding("app", Issue("null", told=nothing), Issue("absent", told=dict.fromkeys(nothing, ...))))
    assert {finding.title for finding in only(pull_of(held)).values()} == {"Prototype Pollution"}


def test_projects_of_the_same_name_keep_their_own_findings(pull_of, findings_of):
    one, two = (Project(f"p{number}", "app", make_issues=lambda number=number: [Issue(f"k{number}")]) for number in (1, 2))
    found = findings_of(pull_of(acme(one, two)))
    assert {key: [finding.details["key"] for finding in given] for key, given in found.items()} == {"p1": ["k1"], "p2": ["k2"]}


# -- how many calls, and how much memory ----------------------------------------------------------------------------------------


def test_findings_take_one_call_for_each_hundred_of_an_organization(pull_of):
    """At most 120 calls for each 10,000 findings of 300 projects, measured on half as many of both; asking each project would
    take more than 300."""
    held = default_world(Plan(projects=300, issues=10_000, ignored_percent=0))
    pull = pull_of(held, group=group_of("northwind"))
    assets = list(pull.catalog())
    licenses = sum(sum(asset.attributes.get("license_issues", {}).values()) for asset in assets)
    findings = sum(1 for asset in assets for _ in pull.findings(asset))
    assert (len(assets), findings + licenses) == (150, 5_001)
    pages = ceil(5_001 / 100) + ceil(licenses / 100)
    assert dict(held.calls) == {"groups/orgs": 1, "orgs/projects": 1 + 2, "orgs/issues": pages}
    assert held.calls.total() <= 60


def test_a_webhook_s_project_alone_takes_a_handful_of_calls(pull_of):
    held = acme(*(Project.holding(f"app-{number}", *numbered(20)) for number in range(50)))
    pull = pull_of(held)
    asset = pull.asset(next(iter(next(iter(held.organizations.values())).projects)))
    assert len(list(pull.findings(asset))) == 20
    assert dict(held.calls) == {"orgs": 1, "orgs/project": 1, "orgs/issues": 2}


def test_each_organization_is_read_once_however_its_projects_are_asked_for(pull_of, findings_of):
    held = World.of(*(Organization.of(name, *(Project.holding(f"{name}-{number}", *numbered(3)) for number in range(4)), group=GROUP)
                      for name in ("blue", "red")), groups={GROUP: "Acme"})
    found = findings_of(pull_of(held, group=GROUP, include_licenses=True))
    assert {len(given) for given in found.values()} == {3}
    assert held.calls["orgs/issues"] == 2
