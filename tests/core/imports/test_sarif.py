"""SARIF of tools that say much, and of tools that say little."""

import json
from typing import Any

import pytest

from core.hooks.contracts import AssetDraft, Severity, SourceState, Unmapped
from core.imports.formats.sarif import SarifReport
from core.imports.limits import MOST_RULES
from tests.core.imports.reading import assets_of, drafts_of, findings_of, refusal_of, rules_of

PARSER = SarifReport()
PLACE = {"physicalLocation": {"artifactLocation": {"uri": "src/a.py"}, "region": {"startLine": 7, "startColumn": 3}}}


def sarif(*results: dict[str, Any], rules: Any = (), tool: str = "Acme", **run: Any) -> str:
    driver = {"name": tool, "rules": list(rules)}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results), **run}]})


def result(**more: Any) -> dict[str, Any]:
    return {"ruleId": "R1", "message": {"text": "It is wrong"}, "locations": [PLACE], **more}


def one(*args: Any, **kwargs: Any) -> Any:
    (finding,) = findings_of(PARSER, sarif(*args, **kwargs))
    return finding


def test_a_result_has_its_place_message_rule_and_tool():
    finding = one(result(level="error"), rules=[{"id": "R1", "shortDescription": {"text": "A fault"}, "properties": {"tags": ["CWE-79"]}}])
    assert (finding.title, finding.description, finding.severity) == ("A fault", "It is wrong", Severity.HIGH)
    assert (finding.path, finding.line, finding.rule, finding.cwe) == ("src/a.py", 7, "Acme:R1", (79,))
    assert (finding.details["tool"], finding.details["column"], finding.category) == ("Acme", 3, "vulnerability")


@pytest.mark.parametrize(("told", "rule", "severity"), [
    ({"level": "error"}, {}, Severity.HIGH),
    ({"level": "warning"}, {}, Severity.MEDIUM),
    ({"level": "note"}, {}, Severity.LOW),
    ({"level": "none"}, {}, Severity.INFO),
    ({}, {}, Severity.MEDIUM),
    ({}, {"defaultConfiguration": {"level": "note"}}, Severity.LOW),
    ({"level": "error"}, {"defaultConfiguration": {"level": "note"}}, Severity.HIGH),
    ({"level": "note"}, {"properties": {"security-severity": "9.8"}}, Severity.CRITICAL),
    ({"level": "note"}, {"properties": {"security-severity": 7.0}}, Severity.HIGH),
    ({"level": "note"}, {"properties": {"security-severity": "4.0"}}, Severity.MEDIUM),
    ({"level": "error"}, {"properties": {"security-severity": "0.1"}}, Severity.LOW),
    ({"level": "error"}, {"properties": {"security-severity": "0.0"}}, Severity.INFO),
    ({"level": "error"}, {"properties": {"security-severity": "undefined"}}, Severity.HIGH),
    ({"level": "note", "properties": {"security-severity": "9.1"}}, {"properties": {"security-severity": "1"}}, Severity.CRITICAL),
    ({"kind": "informational"}, {}, Severity.INFO),
    ({"kind": "review", "level": "warning"}, {}, Severity.MEDIUM),
    ({"level": "catastrophe"}, {}, Severity.MEDIUM),
    ({"level": "Error"}, {}, Severity.HIGH),
])
def test_the_severity_is_that_of_the_score_then_of_the_result_then_of_the_rule(told, rule, severity):
    assert one(result(**told), rules=[{"id": "R1", **rule}]).severity is severity


@pytest.mark.parametrize("kind", ["pass", "notApplicable"])
def test_what_passed_is_no_finding(kind):
    assert findings_of(PARSER, sarif(result(kind=kind))) == []


@pytest.mark.parametrize(("told", "state", "status"), [
    ({}, SourceState.OPEN, ""),
    ({"suppressions": []}, SourceState.OPEN, ""),
    ({"suppressions": [{"kind": "inSource"}]}, SourceState.ACCEPTED, "suppressed/inSource"),
    ({"suppressions": [{"kind": "external", "status": "accepted"}]}, SourceState.ACCEPTED, "suppressed/external"),
    ({"suppressions": [{"kind": "external", "status": "underReview"}]}, SourceState.OPEN, "suppression underReview"),
    ({"suppressions": [{"kind": "external"}, {"kind": "external", "status": "rejected"}]}, SourceState.OPEN, "suppression rejected"),
    ({"baselineState": "new"}, SourceState.OPEN, "new"),
    ({"baselineState": "unchanged"}, SourceState.OPEN, "unchanged"),
    ({"baselineState": "absent"}, SourceState.FIXED, "absent"),
])
def test_suppressions_and_the_baseline_make_the_state(told, state, status):
    finding = one(result(**told))
    assert (finding.state, finding.source_status) == (state, status)


@pytest.mark.parametrize(("told", "rule", "run", "cwe"), [
    ({}, {"properties": {"tags": ["external/cwe/cwe-089", "security"]}}, {}, (89,)),
    ({}, {"properties": {"tags": ["CWE-79: Improper Neutralization", "OWASP-A7"]}}, {}, (79,)),
    ({}, {"properties": {"cwe": ["CWE-23", 22]}}, {}, (23, 22)),
    ({}, {"properties": {"cwe": "CWE-1004"}}, {}, (1004,)),
    ({}, {"relationships": [{"target": {"id": "327", "toolComponent": {"name": "CWE"}}, "kinds": ["superset"]}]}, {}, (327,)),
    ({}, {"relationships": [{"target": {"id": "A1", "toolComponent": {"name": "OWASP"}}}]}, {}, ()),
    ({"taxa": [{"id": "CWE-611", "toolComponent": {"index": 0}}]}, {}, {}, (611,)),
    ({"taxa": [{"index": 1, "toolComponent": {"index": 0}}]}, {},
     {"taxonomies": [{"name": "CWE", "taxa": [{"id": "20"}, {"id": "22"}]}]}, (22,)),
    ({"properties": {"cwe": "CWE-1"}}, {"properties": {"tags": ["cwe-2"]}}, {}, (1, 2)),
    ({}, {"helpUri": "https://cwe.mitre.org/data/definitions/91.html"}, {}, (91,)),
    ({}, {"helpUri": "https://cwe.mitre.org/data/definitions/20.html", "properties": {"tags": ["CWE-120"]}}, {}, (120,)),
])
def test_weaknesses_are_found_wherever_tools_put_them(told, rule, run, cwe):
    assert one(result(**told), rules=[{"id": "R1", **rule}], **run).cwe == cwe


@pytest.mark.parametrize(("told", "rule", "cve"), [
    ({"ruleId": "CVE-2024-12345"}, {"id": "CVE-2024-12345", "fullDescription": {"text": "An incomplete fix of cve-2023-11111"}},
     ("CVE-2024-12345",)),
    ({"ruleId": "G-1", "message": {"text": "Worse than CVE-2020-0001"}}, {"id": "G-1", "deprecatedIds": ["CVE-2024-12345"]},
     ("CVE-2024-12345",)),
    ({"ruleId": "G-1"}, {"id": "G-1", "shortDescription": {"text": "cve-2024-12345 and CVE-2024-54321"}},
     ("CVE-2024-12345", "CVE-2024-54321")),
    ({"ruleId": "BDSA-1 (CVE-2024-12345)"}, {"id": "G-1"}, ("CVE-2024-12345",)),
    ({"ruleId": "G-1", "message": {"text": "Vulnerability CVE-2024-12345"}}, {"id": "G-1"}, ("CVE-2024-12345",)),
])
def test_a_cve_is_that_of_the_rule_and_of_what_is_said_only_where_no_id_names_one(told, rule, cve):
    assert one(result(**told), rules=[rule]).cve == cve


def test_a_rule_without_an_id_goes_by_its_guid():
    rules = [{"guid": "97A5F38F-524B-4A83-94FA-9387B5265825", "shortDescription": {"text": "A leak"}}]
    finding = one({**result(), "ruleId": None, "ruleIndex": 0}, rules=rules)
    assert (finding.title, finding.rule) == ("A leak", "Acme:97A5F38F-524B-4A83-94FA-9387B5265825")


def test_an_index_that_belongs_to_another_rule_than_the_id_is_not_believed():
    rules = [{"id": "A", "shortDescription": {"text": "first"}}, {"id": "B", "shortDescription": {"text": "second"}}]
    assert one(result(ruleId="B", ruleIndex=0), rules=rules).title == "second"
    assert one(result(ruleId="B/sub", ruleIndex=1), rules=rules).title == "second"


def test_a_rule_is_found_by_index_by_reference_into_an_extension_and_by_the_beginning_of_its_id():
    rules = [{"id": "A", "shortDescription": {"text": "first"}}, {"id": "B", "shortDescription": {"text": "second"}}]
    extension = {"name": "Plugin", "rules": [{"id": "C", "shortDescription": {"text": "third"}}]}
    document = json.loads(sarif(result(ruleId="", ruleIndex=1), result(ruleId="A/sub"), result(ruleId="C"),
                                {**result(), "ruleId": None, "rule": {"index": 0, "toolComponent": {"index": 0}}}, rules=rules))
    document["runs"][0]["tool"]["extensions"] = [extension]
    findings = findings_of(PARSER, json.dumps(document))
    assert [(finding.title, finding.rule) for finding in findings] == [
        ("second", "Acme:B"), ("first", "Acme:A"), ("third", "Plugin:C"), ("third", "Plugin:C")]


def test_rules_and_artifacts_may_stand_behind_the_results():
    place = {"physicalLocation": {"artifactLocation": {"index": 1}, "region": {"startLine": 2}}}
    run = {"results": [result(locations=[place])], "artifacts": [{"location": {"uri": "x"}}, {"location": {"uri": "src/late.py"}}],
           "tool": {"driver": {"rules": [{"id": "R1", "name": "Late"}], "name": "Acme"}}}
    (finding,) = findings_of(PARSER, json.dumps({"runs": [run], "version": "2.1.0"}))
    assert (finding.path, finding.title, finding.rule) == ("src/late.py", "Late", "Acme:R1")


def test_messages_are_put_together_from_the_rules_texts_and_their_arguments():
    rules = [{"id": "R1", "messageStrings": {"default": {"text": "{0} calls {1} {{twice}}, {7}"}}}]
    assert one(result(message={"id": "default", "arguments": ["main", "exec"]}), rules=rules).description == "main calls exec {twice}, {7}"
    assert one(result(message={"text": "See [this value](1) of {0}"})).description == "See this value of {0}"
    assert one(result(message={"markdown": "only markdown"})).title == "only markdown"


def test_the_steps_of_a_data_flow_are_told():
    step = {"location": {**PLACE, "message": {"text": "enters"}}}
    finding = one(result(codeFlows=[{"threadFlows": [{"locations": [step, step]}]}]))
    assert finding.description == "It is wrong\n1. src/a.py:7 enters\n2. src/a.py:7 enters"


def test_a_result_without_a_file_has_the_place_that_it_says():
    assert one(result(locations=[{"logicalLocations": [{"fullyQualifiedName": "app.Main.run"}]}])).path == "app.Main.run"
    assert one(result(locations=[], analysisTarget={"uri": "https://shop.example"})).path == "https://shop.example"
    assert (one(result(locations=[])).path, one(result(locations=[])).line) == ("", None)


def keys(*results: dict[str, Any], **run: Any) -> list[str]:
    return [finding.source_key for finding in findings_of(PARSER, sarif(*results, **run))]


def moved(line: int, **more: Any) -> dict[str, Any]:
    return result(locations=[{"physicalLocation": {"artifactLocation": {"uri": "src/a.py"}, "region": {"startLine": line}}}], **more)


def test_a_fingerprint_keeps_a_result_the_same_when_its_line_moves():
    for name in ("fingerprints", "partialFingerprints"):
        assert keys(moved(1, **{name: {"primary/v1": "abc"}})) == keys(moved(99, **{name: {"primary/v1": "abc", "primary/v2": "def"}}))
        assert keys(moved(1, **{name: {"primary/v1": "abc"}})) != keys(moved(1, **{name: {"primary/v1": "other"}}))


def test_without_a_fingerprint_a_moved_line_is_another_key_with_the_same_second_chance():
    before, after = (findings_of(PARSER, sarif(moved(line)))[0] for line in (1, 99))
    assert before.source_key != after.source_key
    assert before.fingerprint == after.fingerprint != ""


def test_every_result_is_a_finding_even_where_two_say_the_same():
    first, second, third = keys(result(), result(), moved(8))
    assert second == f"{first}:2"
    assert third != first
    assert keys(result(), result()) == [first, second]


def test_results_of_two_tools_in_two_runs_keep_apart():
    runs = [json.loads(sarif(result(), tool=tool, rules=[{"id": "R1", "name": tool}]))["runs"][0] for tool in ("One", "Two")]
    data = json.dumps({"version": "2.1.0", "runs": runs})
    findings = findings_of(PARSER, data)
    assert [finding.title for finding in findings] == ["One", "Two"]
    assert len({finding.source_key for finding in findings}) == 2
    assert set(rules_of(PARSER, data)) == {"One:R1", "Two:R1"}


@pytest.mark.parametrize(("uri", "name"), [
    ("https://github.com/acme/billing.git", "acme/billing"), ("https://user:pw@git.example/group/sub/shop", "group/sub/shop"),
    ("git@github.com:acme/billing.git", "acme/billing"), ("ssh://git@host:22/acme/billing/", "acme/billing"),
])
def test_the_repository_is_the_asset_when_the_run_says_which_it_is(uri, name):
    data = sarif(result(), versionControlProvenance=[{"repositoryUri": uri}])
    assert list(assets_of(PARSER, data)) == [name]
    assert "pw" not in str(drafts_of(PARSER, data)[0].key)


def test_code_and_properties_that_may_hold_the_secret_itself_are_not_kept():
    region = {"startLine": 1, "snippet": {"text": "AKIAIOSFODNN7EXAMPLE"}}
    place = {"physicalLocation": {"artifactLocation": {"uri": "a"}, "region": region}}
    assert "AKIA" not in str(one(result(locations=[place], properties={"offender": "AKIAIOSFODNN7EXAMPLE"})))


def test_rules_come_with_their_help_as_cleanable_html():
    rule = {"id": "R1", "shortDescription": {"text": "A fault"}, "help": {"text": "Do <this>.\n\nThen that."}, "helpUri": "https://acme.example/R1"}
    told = rules_of(PARSER, sarif(rules=[rule]))["Acme:R1"]
    assert (told.name, told.description, told.url) == ("A fault", "<p>Do &lt;this&gt;.</p><p>Then that.</p>", "https://acme.example/R1")


@pytest.mark.parametrize("document", [
    {"version": "2.1.0", "runs": []}, {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "A"}}, "results": []}]},
    {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "A"}}, "results": None}]},
    {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": [{"tool": {}}]},
])
def test_a_report_without_results_is_a_report(document):
    assert findings_of(PARSER, json.dumps(document)) == []


@pytest.mark.parametrize(("document", "said", "place"), [
    ({"version": "1.0.0", "runs": []}, "SARIF 1.0.0 is not read", "/version"),
    ({"version": "2.1.0", "runs": [{"results": [result(), {"message": 5}]}]}, "not as it should be", "/runs/0/results/1"),
    ({"version": "2.1.0", "runs": [{"results": ["text"]}]}, "not as it should be", "/runs/0/results/0"),
    ({"version": "2.1.0", "runs": [{"results": [result(locations=5)]}]}, "not as it should be", "/runs/0/results/0"),
    ({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "A", "rules": [{}]}}}]}, "The field 'id' is missing",
     "/runs/0/tool/driver/rules/0"),
    ({"version": "2.1.0", "runs": [{"externalPropertyFileReferences": {"results": [{}]}}]}, "other files", "/runs/0"),
    ({"version": "2.1.0", "runs": {"tool": {}}}, "There should be an array here", "/runs"),
    ({"version": "2.1.0", "runs": [5]}, "There should be an object here", "/runs/0"),
    ({"version": "2.1.0", "runs": [{"versionControlProvenance": ["x"], "results": []}]}, "not as it should be", "/runs/0"),
    ({"version": "2.1.0", "$schema": "sarif"}, "'runs' is missing", "line"),
])
def test_what_is_no_sound_sarif_is_refused_by_its_place(document, said, place):
    refusal = refusal_of(PARSER, json.dumps(document))
    assert said in str(refusal)
    assert refusal.place.startswith(place)


def test_too_many_rules_are_refused():
    refusal = refusal_of(PARSER, sarif(rules=[{"id": str(number)} for number in range(MOST_RULES + 1)]))
    assert refusal.is_too_large


@pytest.mark.parametrize("data", ["{}", "[]", '{"runs": 5}', '{"bomFormat": "CycloneDX"}', "<sarif/>", "runs,version", "", "\x00"])
def test_other_content_is_not_taken_for_sarif(data):
    assert not PARSER.recognises(data.encode())


def test_the_asset_comes_before_its_findings():
    drafts = drafts_of(PARSER, sarif(result(), versionControlProvenance=[{"repositoryUri": "https://git.example/acme/shop"}]))
    assert isinstance(drafts[0], AssetDraft)


@pytest.mark.parametrize("fingerprints", [
    {"fingerprints": {"matchBasedId/v1": "requires login"}},
    {"partialFingerprints": {"commitSha": "6d1279", "author": "Ada", "email": "ada@x.example", "date": "2024-01-01", "commitMessage": ""}},
    {"fingerprints": {}, "partialFingerprints": {"primaryLocationLineHash": ""}},
])
def test_fingerprints_that_tell_no_two_results_apart_are_none(fingerprints):
    first, second = (result(**fingerprints, message={"text": text}) for text in ("one", "two"))
    both, alone = (findings_of(PARSER, sarif(*results)) for results in ((first, second), (second,)))
    assert len({finding.source_key for finding in both}) == 2
    assert both[1].source_key == alone[0].source_key


def test_addresses_are_told_from_the_root_of_the_sources():
    bases = {"REPO": {"description": {"text": "not told"}}, "SRC": {"uri": "src/", "uriBaseId": "REPO"},
             "IO": {"uri": "io", "uriBaseId": "SRC"}, "ABS": {"uri": "file:///home/ci/build/"}, "RING": {"uri": "x/", "uriBaseId": "RING"}}

    def path(uri: str, base: str, **more: Any) -> str:
        place = {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": base, **more}}}
        artifacts = [{"location": {"uri": "kb.c", "uriBaseId": "IO"}}]
        return one(result(locations=[place]), originalUriBaseIds=bases, artifacts=artifacts).path
    assert [path("README.md", "REPO"), path("a.c", "SRC"), path("kb.c", "IO")] == ["README.md", "src/a.c", "src/io/kb.c"]
    assert [path("a.c", "ABS"), path("a.c", "%SRCROOT%"), path("file:///x/a.c", "SRC")] == ["a.c", "a.c", "file:///x/a.c"]
    assert path("", "", index=0) == "src/io/kb.c"
    assert path("a.c", "RING").endswith("x/a.c")


@pytest.mark.parametrize("empty", [
    {"locations": None}, {"locations": []}, {"locations": [{}]}, {"locations": [{"physicalLocation": None}]}, {"message": {}},
    {"properties": None}, {"ruleId": None}, {"ruleIndex": -1}, {"codeFlows": []}, {"codeFlows": [{"threadFlows": None}]},
    {"partialFingerprints": None, "fingerprints": None}, {"suppressions": None}, {"taxa": None}, {"relatedLocations": None},
    {"provenance": {"firstDetectionTimeUtc": "yesterday"}}, {"provenance": {"firstDetectionTimeUtc": "0001-01-01T00:00:00Z"}},
], ids=str)
def test_what_a_result_leaves_out_or_has_as_null_is_no_fault(empty):
    assert one(result(**empty)).created_at is None


def test_a_report_without_runs_closes_nothing():
    assert [type(draft) for draft in drafts_of(PARSER, json.dumps({"version": "2.1.0", "runs": []}))] == [Unmapped]


@pytest.mark.parametrize("results", [None, "absent"])
def test_a_run_without_results_finds_nothing_and_closes_nothing(results):
    run = {"tool": {"driver": {"name": "Acme"}}, **({} if results else {"results": None})}
    drafts = drafts_of(PARSER, json.dumps({"version": "2.1.0", "runs": [run]}))
    assert [type(draft) for draft in drafts] == [Unmapped]
    assert drafts_of(PARSER, sarif()) == []  # looked and found nothing
