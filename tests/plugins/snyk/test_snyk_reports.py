"""Files of Snyk's command line and API, uploaded in place of a pull."""

import json
from typing import Any

import pytest

from core.hooks.contracts import Severity, SourceState
from plugins.snyk.reports import SnykIssues, SnykReport, SnykSarif
from tests.core.imports.payloads import SNYK_REST, SNYK_SARIF
from tests.core.imports.reading import assets_of, drafts_of, findings_of, refusal_of, rules_of

CLI, SARIF, REST = SnykReport(), SnykSarif(), SnykIssues()


def vulnerability(**more: Any) -> dict[str, Any]:
    return {"CVSSv3": "CVSS:3.1/AV:N", "cvssScore": 9.8, "id": "SNYK-JS-1", "title": "RCE", "severity": "high",
            "severityWithCritical": "critical", "identifiers": {"CVE": ["CVE-2024-12345"], "CWE": ["CWE-94"], "GHSA": ["GHSA-1"]},
            "packageName": "left-pad", "version": "1.0.0", "from": ["app@1", "a@1", "left-pad@1.0.0"], "upgradePath": [False, "a@2"],
            "isUpgradable": True, "fixedIn": ["1.1.0"], "exploit": "Proof of Concept", "epssDetails": {"probability": "0.5"}, **more}


def scan(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    """As the command line writes it: what it says of the project stands last."""
    return {"vulnerabilities": list(found), "ok": not found, "dependencyCount": 3, "packageManager": "npm", "projectName": "app",
            "displayTargetFile": "package.json", "path": "/build/1234", **more}


def one(**more: Any) -> Any:
    (finding,) = findings_of(CLI, json.dumps(scan(vulnerability(**more))))
    return finding


def test_a_vulnerability_of_a_package_is_a_finding_of_its_project():
    asset, rule, finding = drafts_of(CLI, json.dumps(scan(vulnerability())))
    assert (asset.key, asset.name, asset.kind) == ("app:package.json", "app (package.json)", "snyk_project")
    assert (finding.source_key, finding.path, finding.category) == ("SNYK-JS-1:left-pad@1.0.0", "left-pad@1.0.0", "open_source")
    assert (finding.severity, finding.cwe, finding.cve) == (Severity.CRITICAL, (94,), ("CVE-2024-12345",))
    assert finding.url == rule.url == "https://security.snyk.io/vuln/SNYK-JS-1"
    kept = finding.details
    assert (kept["fixed_in"], kept["upgrade_to"], kept["fix_available"]) == (["1.1.0"], "a@2", True)
    assert (kept["cvss"], kept["epss"], kept["paths"], kept["ghsa"]) == (9.8, 0.5, ["a@1 > left-pad@1.0.0"], ["GHSA-1"])


@pytest.mark.parametrize(("told", "severity"), [
    ({"severity": "high", "severityWithCritical": "critical"}, Severity.CRITICAL),
    ({"severity": "critical", "severityWithCritical": "critical"}, Severity.CRITICAL),
    ({"severity": "low", "severityWithCritical": "high"}, Severity.LOW),  # lowered by a policy
    ({"severity": "medium", "severityWithCritical": None}, Severity.MEDIUM),
    ({"severity": "none"}, Severity.INFO),
])
def test_the_severity_is_what_policies_made_of_it(told, severity):
    assert one(**told).severity is severity


def test_many_paths_to_one_package_are_one_finding_that_knows_them():
    ways = [vulnerability(**{"from": ["app@1", f"w{number}@1", "left-pad@1.0.0"]}) for number in range(30)]
    drafts = findings_of(CLI, json.dumps(scan(*ways, vulnerability(version="2.0.0"))))
    assert len({draft.source_key for draft in drafts}) == 2
    last = drafts[29]
    assert (last.details["paths_in_all"], len(last.details["paths"])) == (30, 20)


def test_paths_that_the_command_line_grouped_are_told_apart():
    grouped = one(**{"from": [["app@1", "a@1", "left-pad@1.0.0"], ["app@1", "b@1", "left-pad@1.0.0"]], "upgradePath": [[False, "a@2"], []]})
    assert (grouped.details["paths"], grouped.details["paths_in_all"]) == (["a@1 > left-pad@1.0.0", "b@1 > left-pad@1.0.0"], 2)
    assert grouped.details["upgrade_to"] == "a@2"


def test_unmanaged_code_has_its_packages_versions_in_their_names():
    found = vulnerability(packageName="curl", name="https://curl.se|curl@7.58.0", version=None, **{"from": ["https://curl.se|curl@7.58.0"]})
    told = {"issues": [{"pkgName": "https://curl.se|curl", "pkgVersion": "7.58.0", "issueId": found["id"]}],
            "issuesData": {found["id"]: {**found, "description": "x" * 100_000}}, "vulnerabilities": [found], "path": "/build/shop"}
    finding = findings_of(CLI, json.dumps([told]))[0]
    assert (finding.path, finding.details["package"], finding.details["version"]) == ("curl@7.58.0", "curl", "7.58.0")
    assert list(assets_of(CLI, json.dumps([told]))) == ["shop"]


def test_a_package_of_an_image_is_fixed_in_the_nearest_version():
    finding = one(fixedIn=None, isUpgradable=False, nearestFixedInVersion="1.1.1n-0+deb11u5", upgradePath=[])
    assert (finding.details["fixed_in"], finding.details["fix_available"]) == (["1.1.1n-0+deb11u5"], True)


@pytest.mark.parametrize("name", ["identifiers", "from", "upgradePath", "fixedIn", "CVSSv3", "cvssScore", "epssDetails", "references",
                                  "description", "severityWithCritical", "version", "exploit", "language", "filtered"])
def test_what_a_vulnerability_has_as_null_is_no_fault(name):
    assert one(**{name: None}).title == "RCE"


def test_several_projects_are_several_assets_and_keys_never_meet():
    other = scan(vulnerability(), projectName="web", displayTargetFile="web\\package.json")
    data = json.dumps([scan(vulnerability()), other, scan()])
    assert assets_of(CLI, data) == {"app:package.json": ["SNYK-JS-1:left-pad@1.0.0 in app:package.json"],
                                    "web:web/package.json": ["SNYK-JS-1:left-pad@1.0.0 in web:web/package.json"]}


def test_one_advisory_in_two_projects_is_told_once():
    data = json.dumps([scan(vulnerability()), scan(vulnerability(), projectName="web")])
    assert list(rules_of(CLI, data)) == ["SNYK-JS-1"]
    assert sum("RuleDraft" in type(draft).__name__ for draft in drafts_of(CLI, data)) == 1


def test_an_image_has_its_applications_beside_it():
    image = scan(vulnerability(), projectName="docker-image|shop", displayTargetFile=None, docker={"baseImage": "debian"},
                   applications=[scan(vulnerability(), projectName="shop", targetFile="/app/package.json", displayTargetFile=None)])
    assert assets_of(CLI, json.dumps(image)) == {
        "docker-image|shop": ["SNYK-JS-1:left-pad@1.0.0 in docker-image|shop"],
        "shop:/app/package.json": ["SNYK-JS-1:left-pad@1.0.0 in shop:/app/package.json"]}
    assert {finding.category for finding in findings_of(CLI, json.dumps(image))} == {"container", "open_source"}


def test_a_license_issue_is_kept_apart_by_its_category():
    finding = one(id="snyk:lic:npm:x:GPL-3.0", type="license", license="GPL-3.0", identifiers=None, title="GPL-3.0 license", CVSSv3=None)
    assert (finding.category, finding.cwe, finding.details["license"]) == ("license", (), "GPL-3.0")


def test_what_is_ignored_is_accepted_unless_it_is_also_found():
    ignored = vulnerability(id="SNYK-JS-2", filtered={"ignored": [{"reason": "later", "reasonType": "wont-fix"}]})
    wrong = vulnerability(id="SNYK-JS-3", filtered={"ignored": [{"reasonType": "not-vulnerable"}]})
    both = vulnerability(filtered={"ignored": [{}]})
    data = json.dumps(scan(vulnerability(), filtered={"ignore": [ignored, wrong, both], "patch": []}))
    states = {finding.rule: (finding.state, finding.source_status) for finding in findings_of(CLI, data)}
    assert states == {"SNYK-JS-1": (SourceState.OPEN, "open"), "SNYK-JS-2": (SourceState.ACCEPTED, "ignored/wont-fix"),
                      "SNYK-JS-3": (SourceState.FALSE_POSITIVE, "ignored/not-vulnerable")}


def test_configurations_of_one_scan_are_one_asset():
    def scanned(file: str, **more: Any) -> dict[str, Any]:
        found = {"id": "SNYK-CC-1", "publicId": "SNYK-CC-1", "title": "Open port", "severity": "medium", "lineNumber": 4,
                 "path": ["resource", "aws", 0], "issue": "It is open", "impact": "Anybody", "resolve": "Close it", **more}
        return {"meta": {}, "infrastructureAsCodeIssues": [found], "ok": False, "projectName": "infra", "targetFile": file,
                "packageManager": "terraformconfig"}
    first, second = findings_of(CLI, json.dumps([scanned("a.tf"), scanned("b.tf", lineNumber=-1, isIgnored=True)]))
    assert (first.path, first.line, first.category, first.severity) == ("a.tf", 4, "iac", Severity.MEDIUM)
    assert (second.line, second.state) == (None, SourceState.ACCEPTED)
    assert first.description == "It is open\n\nAnybody\n\nClose it"
    assert list(assets_of(CLI, json.dumps([scanned("a.tf"), scanned("b.tf")]))) == ["infra"]


def test_a_test_that_found_nothing_is_a_report():
    assert findings_of(CLI, json.dumps(scan())) == []


@pytest.mark.parametrize(("data", "said", "place"), [
    ({"ok": False, "error": "Missing node_modules\nTry again", "path": "/x"}, "was not tested: Missing node_modules", "line 1"),
    ([scan(vulnerability()), {"ok": False, "error": "Boom", "path": "/x"}], "was not tested: Boom", "/1"),
    (scan(vulnerability(), {"id": "SNYK-2", "packageName": "x"}), "The field 'title' is missing", "/vulnerabilities/1"),
    (scan(vulnerability(identifiers=5)), "not as it should be", "/vulnerabilities/0"),
    (scan(vulnerability(), applications=[{"ok": False, "error": "Sub"}]), "was not tested: Sub", "/applications/0"),
])
def test_a_failed_test_and_what_is_not_sound_are_refused_by_their_place(data, said, place):
    refusal = refusal_of(CLI, json.dumps(data))
    assert said in str(refusal)
    assert refusal.place.startswith(place)


def test_the_sarif_of_open_source_tells_critical_ones_by_the_rules_title():
    _, asset, finding = drafts_of(SARIF, SNYK_SARIF)
    assert (asset.key, asset.kind) == ("org/app", "snyk_project")
    assert (finding.severity, finding.category, finding.details["package"]) == (Severity.CRITICAL, "open_source", "left-pad@1.0.0")


@pytest.mark.parametrize(("suppressions", "state"), [
    ([{"status": "accepted"}, {"status": "rejected"}], SourceState.ACCEPTED), ([{"status": ""}], SourceState.ACCEPTED),
    ([{"status": "underReview"}], SourceState.OPEN), ([], SourceState.OPEN),
])
def test_an_accepted_ignore_of_snyk_code_counts_before_others(suppressions, state):
    result = {"ruleId": "js/Sqli", "level": "error", "message": {"text": "m"}, "fingerprints": {"0": "a"}, "suppressions": suppressions,
              "properties": {"priorityScore": 751}}
    run = {"tool": {"driver": {"name": "SnykCode", "rules": [{"id": "js/Sqli", "shortDescription": {"text": "High risk"}}]}},
           "results": [result]}
    (finding,) = findings_of(SARIF, json.dumps({"version": "2.1.0", "runs": [run]}))
    assert (finding.state, finding.category, finding.severity) == (state, "code", Severity.HIGH)
    assert finding.details["priority"] == 751


def test_pages_of_the_api_are_read_with_their_projects():
    assert assets_of(REST, SNYK_REST) == {"p-1": ["1534153a"]}
    (finding,) = findings_of(REST, SNYK_REST)
    assert (finding.path, finding.severity, finding.cwe) == ("pillow@9.5.0", Severity.HIGH, (400,))
    told = json.loads(SNYK_REST)
    told["data"].insert(0, {"type": "organization", "id": "x"})
    assert len(findings_of(REST, json.dumps(told))) == 1
    assert refusal_of(REST, json.dumps({"jsonapi": {}, "data": [{"id": "1"}]})).place.startswith("/data/0")


@pytest.mark.parametrize("data", [
    "{}", "[]", '{"vulnerabilities": []}', '{"vulnerabilities": [{"id": "x", "location": {}}]}',
    '{"bomFormat": "CycloneDX", "vulnerabilities": []}',
    '{"runs": [{"tool": {"driver": {"name": "Semgrep"}}}]}', '{"runs": []}', '{"data": []}', '{"data": [{"type": "repo"}]}', "<a/>", "PK",
])
def test_other_content_is_not_taken_for_snyks(data):
    assert not any(parser.recognises(data.encode()) for parser in (CLI, SARIF, REST))
