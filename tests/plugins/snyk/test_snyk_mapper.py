"""Records of Snyk become drafts, one at a time."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core import clock
from core.hooks.contracts import AssetDraft, FindingDraft, Severity, SourceState
from plugins.snyk.mapper import (
    Links,
    Project,
    counted_issues,
    family,
    is_active,
    is_license,
    project_of,
    reason_of,
    to_asset,
    to_finding,
    to_organization,
    to_rule,
)
from plugins.snyk.places import Organization

OWN = Path(__file__).parent / "payloads"
#: real exports, read too where they lie beside the project
OTHERS = Path(__file__).parents[3].parent / "shared" / "samples" / "snyk"
LINKS = Links("https://app.eu.snyk.io")
ACME = Organization("o1", "acme", "Acme Inc.", "g1")
NPM = Project("p1", "acme", "open_source", "package.json")
PACKAGE, CODE, CONFIG, LICENSE, CLOUD = json.loads((OWN / "issues.json").read_text("utf-8"))["data"]


def changed(issue: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """A copy of the issue with other attributes; ``...`` removes one."""
    copied = copy.deepcopy(dict(issue))
    copied["attributes"] = {name: value for name, value in {**copied["attributes"], **facts}.items() if value is not ...}
    return copied


def finding(issue: Mapping[str, Any], project: Project = NPM, ignored: Mapping[str, Any] | None = None) -> FindingDraft:
    return to_finding(issue, project, LINKS, ignored)


def coordinate(**facts: Any) -> list[dict[str, Any]]:
    return [{"representations": [], **facts}]


# -- issues ---------------------------------------------------------------------------------------------------------------------


def test_an_issue_of_a_package():
    mapped = finding(PACKAGE)
    assert (mapped.source_key, mapped.title, mapped.severity) == (PACKAGE["id"], "Prototype Pollution", Severity.HIGH)
    assert (mapped.state, mapped.source_status, mapped.category) == (SourceState.OPEN, "open", "open_source")
    assert (mapped.rule, mapped.cwe, mapped.cve) == ("SNYK-JS-EXAMPLELIB-9000001", (1321, 20), ("CVE-2031-10001",))
    assert (mapped.path, mapped.line) == ("example-lib@1.2.3", None)
    assert mapped.url == "https://app.eu.snyk.io/org/acme/project/p1#issue-SNYK-JS-EXAMPLELIB-9000001"
    assert mapped.created_at == clock.from_iso("2031-01-11T18:25:22.457Z")
    assert mapped.updated_at == clock.from_iso("2031-02-19T09:01:03.316Z")
    assert mapped.details == {
        "key": "SNYK-JS-EXAMPLELIB-9000001", "package": "example-lib", "version": "1.2.3", "packages": ["example-lib@1.2.4"],
        "fix_available": True, "fixes": ["snyk", "upgrade"], "reachability": "function", "cvss": 7.5, "cvss_source": "Snyk",
        "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "cvss4": 8.7, "cvss4_source": "Snyk",
        "cvss4_vector": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N", "risk_score": 512, "risk_factors": ["deployed"],
        "exploit_maturity": "Proof of Concept", "ghsa": ["GHSA-xxxx-1234-abcd"], "file": "package.json", "tool": "snyk://npm-deps"}


def test_an_issue_in_code():
    reason = {"reasonType": "not-vulnerable", "reason": "Constant", "ignoredBy": {"name": "Ann"}, "created": "2031-02-01T10:00:00.000Z"}
    mapped = finding(CODE, Project("p1", "acme", "code"), reason)
    assert (mapped.category, mapped.path, mapped.line, mapped.rule, mapped.cwe) == ("code", "src/dao.py", 48, "", (89,))
    assert (mapped.state, mapped.source_status) == (SourceState.FALSE_POSITIVE, "ignored/not-vulnerable")
    assert mapped.description == "Unsanitized input flows into a query."
    assert mapped.details["ignore"] == {"type": "not-vulnerable", "reason": "Constant", "by": "Ann",
                                        "since": clock.from_iso("2031-02-01T10:00:00Z")}
    assert mapped.details["fix_available"] is False  # what upgrades a package says nothing of code
    assert mapped.details["key_asset"] == "9c2c8ab1-0000-4000-8000-000000000800"


def test_an_issue_of_configuration():
    mapped = finding(CONFIG, Project("p1", "acme", "iac", "main.tf"))
    assert (mapped.category, mapped.rule, mapped.path, mapped.line) == ("iac", "SNYK-CC-TF-4", "main.tf", None)
    assert (mapped.state, mapped.source_status, mapped.cwe) == (SourceState.FIXED, "resolved/fixed", ())
    assert mapped.details["resources"] == ["resource > aws_s3_bucket[logs]"]
    assert mapped.details["resolved_at"] == clock.from_iso("2031-02-19T09:01:03.316Z")
    assert finding(CONFIG, Project("p1")).path == "resource > aws_s3_bucket[logs]"


def test_an_issue_about_a_license_is_a_family_of_its_own():
    mapped = finding(LICENSE)
    assert (mapped.category, mapped.severity, mapped.rule, mapped.cve) == ("license", Severity.HIGH, "", ())
    assert mapped.path == "example-lib@1.2.3"
    assert [is_license(issue) for issue in (PACKAGE, CODE, CONFIG, LICENSE, CLOUD)] == [False, False, False, True, False]
    assert not any(map(is_license, (None, [], {}, {"attributes": None})))


def test_an_issue_of_a_kind_and_a_severity_that_nobody_knows_yet():
    mapped = finding(CLOUD)
    assert (mapped.category, mapped.severity, mapped.details["resources"]) == ("cloud", Severity.INFO, ["arn:aws:ec2:i-1"])
    assert mapped.updated_at is None


@pytest.mark.parametrize(("level", "expected"), [("critical", Severity.CRITICAL), ("high", Severity.HIGH), ("medium", Severity.MEDIUM),
                                                 ("low", Severity.LOW), ("info", Severity.INFO), (..., Severity.INFO)])
def test_severities(level, expected):
    assert finding(changed(PACKAGE, effective_severity_level=level)).severity is expected


@pytest.mark.parametrize(("facts", "reason", "expected", "said"), [
    ({}, None, SourceState.OPEN, "open"), ({"ignored": True}, None, SourceState.ACCEPTED, "ignored"),
    ({"ignored": True}, "not-vulnerable", SourceState.FALSE_POSITIVE, "ignored/not-vulnerable"),
    ({"ignored": True}, "wont-fix", SourceState.ACCEPTED, "ignored/wont-fix"),
    ({"ignored": True}, "temporary-ignore", SourceState.ACCEPTED, "ignored/temporary-ignore"),
    ({"ignored": True}, "brand-new", SourceState.ACCEPTED, "ignored/brand-new"),
    ({"status": "resolved"}, None, SourceState.FIXED, "resolved"),
    ({"status": "resolved", "ignored": True}, "wont-fix", SourceState.FIXED, "resolved"),
    ({"status": "resolved", "resolution": {"type": "disappeared"}}, None, SourceState.FIXED, "resolved/disappeared"),
])
def test_states(facts, reason, expected, said):
    mapped = finding(changed(PACKAGE, **facts), ignored={"reasonType": reason} if reason else None)
    assert (mapped.state, mapped.source_status) == (expected, said)


def test_the_end_of_an_ignore_is_told():
    mapped = finding(changed(PACKAGE, ignored=True), ignored={"expires": "2031-08-01T00:00:00.000Z"})
    assert mapped.details["ignore"] == {"until": clock.from_iso("2031-08-01T00:00:00Z")}


@pytest.mark.parametrize(("ignores", "reason"), [
    ({"SNYK-JS-EXAMPLELIB-9000001": [{"*": {"reasonType": "wont-fix"}}]}, "wont-fix"),
    ({"SNYK-JS-EXAMPLELIB-9000001": [{"a > b": {"reasonType": "x"}}, {"*": {"reasonType": "wont-fix"}}]}, "wont-fix"),
    ({"SNYK-JS-EXAMPLELIB-9000001": [{"a > b": {"reasonType": "x"}}]}, "x"), ({"SNYK-JS-EXAMPLELIB-9000001": []}, None),
    ({"another": [{"*": {"reasonType": "x"}}]}, None), ({"SNYK-JS-EXAMPLELIB-9000001": [None, {"*": "odd"}]}, None),
])
def test_the_reason_that_holds_everywhere_comes_before_one_for_a_path(ignores, reason):
    found = reason_of(ignores, PACKAGE)
    assert (found or {}).get("reasonType") == reason


def test_a_reason_is_found_by_the_problem_s_id_where_the_key_has_a_suffix():
    assert reason_of({"SNYK-JS-EXAMPLELIB-9000001": [{"*": {"reason": "x"}}]}, changed(PACKAGE, key="SNYK-JS-EXAMPLELIB-9000001:x"))


@pytest.mark.parametrize(("kind", "expected"), [
    ("npm", "open_source"), ("maven", "open_source"), ("brand-new", "open_source"), ("sast", "code"), ("deb", "container"),
    ("apk", "container"), ("rpm", "container"), ("linux", "container"), ("dockerfile", "container"), ("k8sconfig", "iac"),
    ("terraformconfig", "iac"), ("helmconfig", "iac"), ("cloudformationconfig", "iac"), ("armconfig", "iac"), ("terraformplan", "iac"),
])
def test_families_of_projects(kind, expected):
    assert family(kind) == expected


def test_what_is_found_in_an_image_is_of_the_container_family():
    assert finding(PACKAGE, Project("p1", family="container")).category == "container"


@pytest.mark.parametrize(("flags", "available", "ways"), [
    ({"is_upgradeable": True, "is_pinnable": True}, True, ["upgrade", "pin"]), ({"is_patchable": True}, True, ["patch"]),
    ({"is_fixable_manually": True, "is_fixable_upstream": True}, True, ["manually", "upstream"]), ({"is_upgradeable": False}, False, None),
])
def test_whether_and_how_it_can_be_fixed(flags, available, ways):
    details = finding(changed(PACKAGE, coordinates=coordinate(**flags))).details
    assert (details["fix_available"], details.get("fixes")) == (available, ways)


def test_without_coordinates_nobody_knows_whether_it_can_be_fixed():
    mapped = finding(changed(PACKAGE, coordinates=...))
    assert "fix_available" not in mapped.details
    assert mapped.path == "package.json"


@pytest.mark.parametrize("missing", ["key", "title", "type", "status", "ignored", "created_at"])
def test_an_issue_without_what_every_issue_has_is_refused(missing):
    with pytest.raises(KeyError):
        finding(changed(PACKAGE, **{missing: ...}))


@pytest.mark.parametrize("broken", [
    {"created_at": "yesterday"}, {"classes": [1]}, {"problems": ["x"]}, {"coordinates": ["x"]}, {"severities": [None]},
    {"coordinates": [{"representations": [{"sourceLocation": {"file": "a", "region": {"start": {"line": "x"}}}}]}]},
])
def test_an_issue_with_an_impossible_value_is_refused(broken):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        finding(changed(PACKAGE, **broken))


@pytest.mark.parametrize("block", ["description", "severities", "coordinates", "risk", "classes", "problems", "exploit_details",
                                   "resolution", "updated_at", "tool"])
@pytest.mark.parametrize("value", [None, ...])
def test_blocks_may_be_absent_or_null(block, value):
    assert finding(changed(PACKAGE, **{block: value})).source_key == PACKAGE["id"]


def test_the_severity_of_another_source_serves_where_snyk_gives_none():
    details = finding(changed(PACKAGE, severities=[{"source": "NVD", "score": 9.8, "version": "3.1"}])).details
    assert (details["cvss"], details["cvss_source"]) == (9.8, "NVD")
    assert "cvss4" not in details


@pytest.mark.parametrize(("line", "expected"), [(0, None), (-1, None), (7, 7), ("7", 7), (None, None)])
def test_a_line_counts_from_one_or_is_not_told(line, expected):
    place = {"sourceLocation": {"file": "a.py", "region": {"start": {"line": line}}}}
    assert finding(changed(CODE, coordinates=coordinate(representations=[place, {"sourceLocation": {"file": "b.py"}}]))).line == expected


def test_further_places_are_told():
    places = [{"sourceLocation": {"file": name, "region": {"start": {"line": 3}}}} for name in ("a.py", "b.py")]
    assert finding(changed(CODE, coordinates=coordinate(representations=places))).details["places"] == ["b.py:3"]


# -- what stays the same --------------------------------------------------------------------------------------------------------


def test_the_fingerprint_survives_a_new_import_and_a_new_version_of_the_package():
    later = changed(PACKAGE, created_at="2032-01-01T00:00:00Z", coordinates=coordinate(
        representations=[{"dependency": {"package_name": "example-lib", "package_version": "1.3.0"}}]))
    later["id"] = "another"
    assert finding(later, Project("p2", "acme")).fingerprint == finding(PACKAGE).fingerprint


def test_the_fingerprint_tells_other_packages_and_other_problems_apart():
    other = coordinate(representations=[{"dependency": {"package_name": "other-lib", "package_version": "1.2.3"}}])
    prints = {finding(issue).fingerprint for issue in (
        PACKAGE, CODE, CONFIG, LICENSE, CLOUD, changed(PACKAGE, coordinates=other),
        changed(PACKAGE, problems=[{"id": "SNYK-JS-OTHER-1", "source": "SNYK", "type": "vulnerability"}]),
        changed(CONFIG, coordinates=coordinate(representations=[{"resourcePath": "elsewhere"}])))}
    assert len(prints) == 8


def test_the_fingerprint_of_code_is_that_of_the_repository_and_moves_with_the_line():
    moved = changed(CODE, key="new", coordinates=coordinate(representations=[{"sourceLocation": {"file": "src/dao.py"}}]))
    assert finding(moved).fingerprint == finding(CODE).fingerprint
    assert finding(changed(moved, key_asset=...)).fingerprint != finding(CODE).fingerprint


def test_two_issues_of_one_rule_without_a_resource_are_told_apart_by_their_keys():
    bare = changed(CONFIG, coordinates=coordinate(representations=[{"sourceLocation": {"file": "main.tf"}}]))
    assert finding(bare).fingerprint != finding(changed(bare, key="another")).fingerprint


# -- projects -------------------------------------------------------------------------------------------------------------------

PROJECT = {
    "type": "project", "id": "p1",
    "attributes": {"name": "acme/billing:package.json", "type": "npm", "origin": "github", "created": "2030-05-29T09:50:54.014Z",
                   "status": "active", "target_file": "package.json", "target_reference": "main", "business_criticality": ["high"],
                   "environment": ["backend"], "lifecycle": ["production"], "tags": [{"key": "team", "value": "billing"}]},
    "meta": {"latest_issue_counts": {"critical": 1, "high": 4, "medium": 9, "low": 2, "updated_at": "2031-03-01T02:10:11.000Z"}},
    "relationships": {"target": {"data": {"id": "t1", "type": "target", "attributes": {"display_name": "acme/billing",
                                                                                       "url": "https://git.example.org/acme/billing"}}}},
}


def asset(project: Mapping[str, Any] = PROJECT, licenses: Mapping[str, int] | None = None) -> AssetDraft:
    return to_asset(project, ACME, LINKS, licenses or {})


def project(**facts: Any) -> dict[str, Any]:
    return {**PROJECT, "attributes": {**PROJECT["attributes"], **facts}}


def test_a_project_with_its_target_and_its_organization():
    mapped = asset(licenses={"high": 2})
    assert (mapped.key, mapped.name, mapped.kind) == ("p1", "acme/billing:package.json (main)", "snyk_project")
    assert mapped.url == "https://app.eu.snyk.io/org/acme/project/p1"
    assert mapped.attributes == {
        "organization": "o1", "organization_slug": "acme", "organization_name": "Acme Inc.", "group": "g1", "target": "acme/billing",
        "target_url": "https://git.example.org/acme/billing", "target_file": "package.json", "branch": "main", "type": "npm",
        "family": "open_source", "origin": "github", "issue_counts": {"critical": 1, "high": 4, "medium": 9, "low": 2},
        "license_issues": {"high": 2}, "last_test": clock.from_iso("2031-03-01T02:10:11Z"), "tags": ["team:billing"],
        "criticality": ["high"], "environment": ["backend"], "lifecycle": ["production"]}
    assert project_of(mapped) == NPM


def test_a_project_of_which_little_is_known():
    bare = {"id": "p1", "attributes": {"name": "x", "type": "npm"}, "meta": None, "relationships": None}
    mapped = asset(bare)
    assert mapped.name == "x"
    assert set(mapped.attributes) == {"organization", "organization_slug", "organization_name", "group", "target", "type", "family"}
    assert counted_issues(bare) == {}
    assert is_active(bare)
    assert not is_active(project(status="inactive"))


def test_a_branch_that_the_name_tells_already_is_not_told_twice():
    assert asset(project(name="acme/billing(main):package.json")).name == "acme/billing(main):package.json"
    assert asset(project(target_reference="")).name == "acme/billing:package.json"


@pytest.mark.parametrize("facts", [
    {"target_reference": "release/2"}, {"status": "inactive"}, {"tags": []}, {"name": "acme/billing:package.json", "origin": "cli"},
])
def test_branches_and_later_imports_are_of_one_lineage(facts):
    assert asset({**project(**facts), "id": "p2"}).lineage == asset().lineage


def test_branches_within_the_name_are_of_one_lineage():
    one, two = (project(name=f"acme/billing({branch}):package.json", target_reference=branch) for branch in ("main", "dev"))
    assert asset(one).lineage == asset(two).lineage


@pytest.mark.parametrize("facts", [{"target_file": "web/package.json"}, {"type": "sast"}, {"name": "acme/billing:core"}])
def test_other_manifests_are_of_another_lineage(facts):
    assert asset(project(**facts)).lineage != asset().lineage


def image(name: str) -> dict[str, Any]:
    return {**project(name=name, type="deb", target_file="", target_reference=name.rpartition(":")[2]),
            "relationships": {"target": {"data": {"attributes": {"display_name": name}}}}}


def test_tags_of_an_image_are_of_one_lineage():
    assert asset(image("registry:5000/shop:1.4")).lineage == asset(image("registry:5000/shop:1.5")).lineage
    assert asset(image("registry:5000/shop:1.4")).lineage != asset(image("registry:5000/pay:1.4")).lineage


def test_organizations():
    record = {"id": "o1", "attributes": {"name": "Acme Inc.", "slug": "acme", "group_id": "g1", "is_personal": False}}
    assert to_organization(record) == ACME
    assert to_organization({"id": "o1", "attributes": {}}) == Organization("o1", "o1", "o1")


def test_the_advisory_of_a_package_is_a_rule_with_a_link():
    rule = to_rule(finding(PACKAGE), LINKS)
    assert (rule.key, rule.name, rule.cwe) == ("SNYK-JS-EXAMPLELIB-9000001", "Prototype Pollution", (1321, 20))
    assert rule.url == "https://security.snyk.io/vuln/SNYK-JS-EXAMPLELIB-9000001"
    assert to_rule(finding(CONFIG), LINKS).url == ""


# -- recorded files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted([OWN / "issues.json", *OTHERS.glob("rest_issues*.json")]), ids=lambda path: path.name)
def test_recorded_issues_are_read_as_a_plain_reading_of_the_file_has_them(path):
    issues = [entry for entry in json.loads(path.read_text("utf-8"))["data"] if entry["type"] == "issue"]
    mapped = [finding(issue) for issue in issues]
    facts = [issue["attributes"] for issue in issues]
    assert [entry.source_key for entry in mapped] == [issue["id"] for issue in issues]
    assert [entry.title for entry in mapped] == [told["title"] for told in facts]
    known = {"critical", "high", "medium", "low", "info"}
    assert [entry.severity.name.lower() for entry in mapped] == [
        level if (level := told["effective_severity_level"]) in known else "info" for told in facts]
    assert [entry.cwe for entry in mapped] == [
        tuple(int(each["id"][4:]) for each in told.get("classes") or () if each["id"].startswith("CWE-")) for told in facts]
    assert [entry.cve for entry in mapped] == [
        tuple(each["id"] for each in told.get("problems") or () if each["id"].startswith("CVE-")) for told in facts]
    assert [entry.state is SourceState.FIXED for entry in mapped] == [told["status"] == "resolved" for told in facts]
    assert [entry.state is SourceState.ACCEPTED for entry in mapped] == [told["ignored"] for told in facts]
    packages = [[part["dependency"] for place in told["coordinates"] for part in place["representations"] if "dependency" in part]
                for told in facts]
    assert [(entry.details.get("package"), entry.details.get("version")) for entry in mapped] == [
        (found[0]["package_name"], found[0]["package_version"]) if found else (None, None) for found in packages]
    assert [entry.created_at for entry in mapped] == [clock.from_iso(told["created_at"]) for told in facts]
    assert len({entry.fingerprint for entry in mapped}) == len(mapped)
