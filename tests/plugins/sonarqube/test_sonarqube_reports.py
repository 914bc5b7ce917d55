"""Files of SonarQube's API and of its tools, uploaded in place of a pull."""

import itertools
import json
from typing import Any

import pytest

from core.hooks.contracts import AssetDraft, FindingDraft, Severity, SourceState, Unmapped
from plugins.sonarqube.reports import SonarReport
from tests.core.imports.payloads import zipped
from tests.core.imports.reading import assets_of, drafts_of, findings_of, refusal_of, rules_of

PARSER = SonarReport()


def issue(**more: Any) -> dict[str, Any]:
    return {"key": "AY1", "rule": "java:S2077", "severity": "MAJOR", "component": "acme:shop:src/A.java", "project": "acme:shop", "line": 3,
            "status": "OPEN", "message": "Bind this", "type": "VULNERABILITY", "creationDate": "2024-01-01T00:00:00+0000", **more}


def hotspot(**more: Any) -> dict[str, Any]:
    return {"key": "AH1", "component": "acme:shop:src/B.java", "project": "acme:shop", "securityCategory": "sql-injection",
            "vulnerabilityProbability": "HIGH", "status": "TO_REVIEW", "message": "Check this", "ruleKey": "java:S1", **more}


def page(*issues: dict[str, Any], **more: Any) -> str:
    return json.dumps({"paging": {"total": len(issues)}, "issues": list(issues), **more})


def test_a_page_of_issues_gives_their_projects_and_findings():
    components = [{"key": "acme:shop", "qualifier": "TRK", "name": "Shop"},
                  {"key": "acme:shop:src/A.java", "qualifier": "FIL", "name": "A"}]
    asset, finding = drafts_of(PARSER, page(issue(), components=components))
    assert (asset.key, asset.name, asset.kind, asset.url) == ("acme:shop", "Shop", "sonar_project", "")
    assert (finding.source_key, finding.severity, finding.category) == ("AY1", Severity.MEDIUM, "vulnerability")
    assert (finding.path, finding.line, finding.url) == ("src/A.java", 3, "")


def test_branches_and_projects_are_assets_of_their_own():
    data = page(issue(), issue(key="2", branch="dev"), issue(key="3", project="bank", component="bank:x"), issue(key="4"))
    assert assets_of(PARSER, data) == {"acme:shop": ["AY1", "4"], "acme:shop::dev": ["2"], "bank": ["3"]}


@pytest.mark.parametrize(("told", "severity", "category"), [
    ({"severity": "BLOCKER", "type": "BUG"}, Severity.CRITICAL, "bug"),
    ({"severity": "INFO", "type": "CODE_SMELL"}, Severity.INFO, "code_smell"),
    ({"severity": "MAJOR", "impacts": [{"softwareQuality": "SECURITY", "severity": "BLOCKER"}]}, Severity.MEDIUM, "vulnerability"),
    ({"severity": None, "type": None, "impacts": [{"softwareQuality": "SECURITY", "severity": "HIGH"}]}, Severity.HIGH, "vulnerability"),
    ({"severity": None, "impacts": [{"softwareQuality": "RELIABILITY", "severity": "LOW"}]}, Severity.LOW, "bug"),
])
def test_both_scales_are_understood(told, severity, category):
    record = {name: value for name, value in issue(**told).items() if value is not None}
    (finding,) = findings_of(PARSER, page(record))
    assert (finding.severity, finding.category) == (severity, category)


@pytest.mark.parametrize(("told", "state"), [
    ({"status": "CONFIRMED"}, SourceState.OPEN), ({"status": "RESOLVED", "resolution": "FALSE-POSITIVE"}, SourceState.FALSE_POSITIVE),
    ({"status": "RESOLVED", "resolution": "WONTFIX"}, SourceState.ACCEPTED),
    ({"status": "CLOSED", "resolution": "FIXED"}, SourceState.FIXED), ({"issueStatus": "ACCEPTED"}, SourceState.ACCEPTED),
])
def test_what_was_decided_in_sonarqube_is_kept(told, state):
    assert findings_of(PARSER, page(issue(**told)))[0].state is state


def test_what_somebody_trimmed_away_is_not_missed():
    (finding,) = findings_of(PARSER, json.dumps({"issues": [{"key": "k", "rule": "r", "component": "p:a.py", "project": "p"}]}))
    assert (finding.title, finding.severity, finding.path, finding.line) == ("r", Severity.INFO, "a.py", None)


def test_hotspots_come_as_pages_arrays_and_beside_issues():
    for data in (json.dumps({"paging": {}, "hotspots": [hotspot()]}), json.dumps([hotspot()])):
        (finding,) = findings_of(PARSER, data)
        assert (finding.category, finding.severity, finding.cwe, finding.rule) == ("hotspot", Severity.HIGH, (89,), "java:S1")
    assert [finding.category for finding in findings_of(PARSER, page(issue(), hotspots=[hotspot()]))] == ["vulnerability", "hotspot"]


def test_a_plain_array_of_issues_is_read():
    assert [finding.source_key for finding in findings_of(PARSER, json.dumps([issue(), issue(key="2")]))] == ["AY1", "2"]


def test_the_export_of_a_project_uses_other_names():
    both = {"projectKey": "shop", "branch": "main", "message": "m"}
    exported = [{**both, "key": "E1", "type": "VULNERABILITY", "severity": "CRITICAL", "status": "OPEN", "ruleReference": "java:S5",
                 "lineNumber": "12", "path": "src/A.java", "createdAt": "2024-01-01T00:00:00+0000"},
                {**both, "key": "E2", "type": "SECURITY_HOTSPOT", "status": "REVIEWED", "resolution": "SAFE", "ruleReference": "java:S6",
                 "lineNumber": "n/a"}]
    first, second = findings_of(PARSER, json.dumps({"export_findings": exported}))
    assert (first.rule, first.line, first.path, first.severity) == ("java:S5", 12, "src/A.java", Severity.HIGH)
    assert first.created_at == 1704067200000
    assert (second.category, second.state, second.line) == ("hotspot", SourceState.FALSE_POSITIVE, None)
    assert second.rule == "java:S6"


def test_sonar_report_brings_the_texts_of_its_rules_and_where_its_server_is():
    issues = [{"rule": "java:S1", "severity": "MAJOR", "status": "OPEN", "component": "src/A.java", "line": 3, "message": "here",
               "description": "Bind it", "key": "K1", "type": "VULNERABILITY"},
              {"rule": "java:S9", "severity": "CRITICAL", "status": "TO_REVIEW", "component": "src/B.java", "message": "m", "key": "K2"}]
    report = {"date": "Monday", "projectName": "Shop", "sonarBaseURL": "https://sonar.example/", "sonarComponent": "acme:shop",
              "branch": "dev", "rules": {"java:S1": {"name": "Bind it", "htmlDesc": "<p>See CWE-89.</p>", "severity": "MAJOR"}},
              "issues": issues}
    data = json.dumps(report)
    asset = next(draft for draft in drafts_of(PARSER, data) if isinstance(draft, AssetDraft))
    assert (asset.key, asset.name) == ("acme:shop::dev", "Shop (dev)")
    issue_finding, hotspot_finding = findings_of(PARSER, data)
    assert (issue_finding.cwe, issue_finding.path, issue_finding.severity) == ((89,), "src/A.java", Severity.MEDIUM)
    assert issue_finding.url == "https://sonar.example/project/issues?id=acme%3Ashop&issues=K1&open=K1&branch=dev"
    assert (hotspot_finding.category, hotspot_finding.severity) == ("hotspot", Severity.HIGH)
    assert rules_of(PARSER, data)["java:S1"].description == "<p>See CWE-89.</p>"
    older = json.dumps({**report, "rules": [{"key": "java:S1", **report["rules"]["java:S1"]}]})
    assert rules_of(PARSER, older)["java:S1"].name == "Bind it"


def test_names_of_rules_without_their_texts_are_left_for_a_connection_to_ask_for():
    data = page(issue(), rules=[{"key": "java:S2077", "name": "Bind it"}])
    assert rules_of(PARSER, data) == {}
    assert findings_of(PARSER, data)[0].description == "Bind it"


def test_a_zip_of_pages_is_one_report():
    data = zipped({"2.json": page(issue(key="2")).encode(), "1.json": page(issue(key="1")).encode(), "notes.txt": b"x"})
    assert [finding.source_key for finding in findings_of(PARSER, data)] == ["1", "2"]
    assert findings_of(PARSER, zipped({})) == []


def test_an_array_of_pages_is_one_report():
    components = [{"key": "acme:shop", "qualifier": "TRK", "name": "Shop"}]
    rules = [{"key": "java:S2077", "name": "Bind it", "htmlDesc": "<p>CWE-89</p>"}]
    told = [json.loads(page(issue(), components=components, rules=rules)), json.loads(page(issue(key="2"))),
            {"paging": {"total": 1}, "hotspots": [hotspot()]}]
    drafts = drafts_of(PARSER, json.dumps(told))
    assert [draft.source_key for draft in drafts if isinstance(draft, FindingDraft)] == ["AY1", "2", "AH1"]
    assert [draft.name for draft in drafts if isinstance(draft, AssetDraft)] == ["Shop"]
    assert list(rules_of(PARSER, json.dumps(told))) == ["java:S2077"]
    assert refusal_of(PARSER, json.dumps([*told, {"issues": [issue(impacts="x")]}])).place.startswith("/3")


def test_pages_that_are_missing_are_told_for_every_asset_so_that_nothing_closes():
    first, second = (json.loads(page(*issues, paging={"pageIndex": number, "pageSize": 2, "total": 3})) for number, issues in
                     ((1, (issue(), issue(key="2", project="bank", component="bank:x"))), (2, (issue(key="3"),))))

    def gaps(*pages: Any) -> list[str]:
        drafts = drafts_of(PARSER, json.dumps(list(pages)))
        return [before.key for before, draft in itertools.pairwise(drafts) if isinstance(draft, Unmapped)]
    assert gaps(first, second) == []
    assert gaps(first) == ["acme:shop", "bank"]
    assert gaps(second) == ["acme:shop"]
    assert isinstance(drafts_of(PARSER, json.dumps(first))[-1], Unmapped)
    assert isinstance(drafts_of(PARSER, zipped({"1.json": json.dumps(first).encode()}))[-1], Unmapped)


def test_an_empty_listing_is_a_report_that_found_nothing():
    for told in ({"paging": {"total": 0}, "issues": []}, {"total": 0, "p": 1, "ps": 100, "issues": []}):
        assert drafts_of(PARSER, json.dumps(told)) == []


def test_a_date_that_is_none_is_left_out():
    (finding,) = findings_of(PARSER, page(issue(creationDate="yesterday", updateDate="2024-01-02T00:00:00+0000")))
    assert (finding.created_at, finding.updated_at) == (None, 1_704_153_600_000)


@pytest.mark.parametrize(("data", "said", "place"), [
    (page(issue(), {"rule": "r", "component": "x"}), "The field 'key' is missing", "/issues/1"),
    (page({"key": "1", "engineId": "x", "ruleId": "y", "primaryLocation": {}}), "external issues", "/issues/0"),
    (json.dumps({"rule": {"key": "java:S1", "htmlDesc": "x"}}), "holds no findings", "line 1"),
    (page(issue(impacts="x")), "not as it should be", "/issues/0"),
])
def test_what_is_not_sound_is_refused_by_its_place(data, said, place):
    refusal = refusal_of(PARSER, data)
    assert said in str(refusal)
    assert refusal.place.startswith(place)


@pytest.mark.parametrize("data", ["{}", "[]", '{"issues": []}', '{"issues": [{"id": 1}]}', '[{"key": 1}]', "<a/>", "PK"])
def test_other_content_is_not_taken_for_sonarqubes(data):
    assert not PARSER.recognises(data.encode())
