"""Records of SonarQube become drafts, one at a time."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core import clock
from core.hooks.contracts import FindingDraft, RuleDraft, Severity, SourceState
from plugins.sonarqube.mapper import Links, Scale, category, hotspot_to_finding, issue_to_finding, to_asset, to_rule
from plugins.sonarqube.places import Place, branch_place

SERVER = Links("https://sq.example.org/sonar")
CLOUD = Links("https://sonarcloud.io", cloud=True, organization="acme")
PLACE = Place("acme:billing")
OWN = Path(__file__).parent / "payloads"
#: real exports, read too where they lie beside the project
OTHERS = Path(__file__).parents[3].parent / "shared" / "samples" / "sonarqube"


def issue(**fields: Any) -> dict[str, Any]:
    """An issue as a Server since 10.4 tells it; None removes a field."""
    told = {"key": "k1", "rule": "java:S3649", "severity": "MAJOR", "type": "VULNERABILITY", "component": "acme:billing:src/Dao.java",
            "project": "acme:billing", "line": 48, "hash": "0d3b", "flows": [], "status": "OPEN", "issueStatus": "OPEN",
            "message": "Bind this value.", "tags": ["cwe"], "creationDate": "2031-01-05T10:02:44+0000",
            "updateDate": "2031-02-11T07:20:01+0000", "impacts": [{"softwareQuality": "SECURITY", "severity": "HIGH"}]} | fields
    return {name: value for name, value in told.items() if value is not None}


def finding(record: Mapping[str, Any], scale: Scale = Scale.MQR, place: Place = PLACE, links: Links = SERVER,
            rule: RuleDraft | None = None) -> FindingDraft:
    return issue_to_finding(record, place, scale, links, rule)


def hotspot(**fields: Any) -> dict[str, Any]:
    told = {"key": "h1", "component": "acme:billing:src/pay.py", "project": "acme:billing", "securityCategory": "weak-cryptography",
            "vulnerabilityProbability": "MEDIUM", "status": "TO_REVIEW", "line": 12, "message": "Make sure this is safe.",
            "creationDate": "2031-01-05T10:02:44+0000", "updateDate": "2031-01-09T10:02:44+0000", "ruleKey": "python:S2245"} | fields
    return {name: value for name, value in told.items() if value is not None}


@pytest.mark.parametrize(("severity", "expected"), [("BLOCKER", Severity.CRITICAL), ("CRITICAL", Severity.HIGH), ("MAJOR", Severity.MEDIUM),
                                                    ("MINOR", Severity.LOW), ("INFO", Severity.INFO), ("UNHEARD_OF", Severity.INFO),
                                                    (None, Severity.INFO)])
def test_standard_severities(severity, expected):
    assert finding(issue(severity=severity), Scale.STANDARD).severity is expected


@pytest.mark.parametrize(("impacts", "expected"), [
    ({"SECURITY": "BLOCKER"}, Severity.CRITICAL), ({"SECURITY": "HIGH"}, Severity.HIGH), ({"SECURITY": "MEDIUM"}, Severity.MEDIUM),
    ({"SECURITY": "LOW"}, Severity.LOW), ({"SECURITY": "INFO"}, Severity.INFO), ({"SECURITY": "UNHEARD_OF"}, Severity.INFO),
    ({"RELIABILITY": "BLOCKER", "SECURITY": "LOW"}, Severity.LOW),  # security decides
    ({"RELIABILITY": "LOW", "MAINTAINABILITY": "HIGH"}, Severity.HIGH),  # without it the highest
    ({}, Severity.MEDIUM),  # a service without impacts: the severity
])
def test_severities_of_the_impact_model(impacts, expected):
    record = issue(impacts=[{"softwareQuality": quality, "severity": severity} for quality, severity in impacts.items()])
    assert finding(record).severity is expected


@pytest.mark.parametrize(("scale", "type", "qualities", "expected"), [
    (Scale.STANDARD, "VULNERABILITY", ["SECURITY"], "vulnerability"), (Scale.STANDARD, "CODE_SMELL", ["SECURITY"], "code_smell"),
    (Scale.STANDARD, "BUG", [], "bug"), (Scale.MQR, "CODE_SMELL", ["SECURITY", "MAINTAINABILITY"], "vulnerability"),
    (Scale.MQR, "VULNERABILITY", ["RELIABILITY", "MAINTAINABILITY"], "bug"), (Scale.MQR, "BUG", ["MAINTAINABILITY"], "code_smell"),
    (Scale.MQR, "BUG", [], "bug"), (Scale.STANDARD, "BRAND_NEW", [], "brand_new"),
])
def test_the_scale_decides_the_category(scale, type, qualities, expected):
    assert category(issue(type=type, impacts=[{"softwareQuality": quality, "severity": "LOW"} for quality in qualities]), scale) == expected


@pytest.mark.parametrize(("issue_status", "status", "resolution", "expected", "said"), [
    ("OPEN", "OPEN", None, SourceState.OPEN, "OPEN"), ("CONFIRMED", "CONFIRMED", None, SourceState.OPEN, "CONFIRMED"),
    ("IN_SANDBOX", "IN_SANDBOX", None, SourceState.OPEN, "IN_SANDBOX"),
    ("ACCEPTED", "RESOLVED", "WONTFIX", SourceState.ACCEPTED, "ACCEPTED"),
    ("FALSE_POSITIVE", "RESOLVED", "FALSE-POSITIVE", SourceState.FALSE_POSITIVE, "FALSE_POSITIVE"),
    ("FIXED", "CLOSED", "FIXED", SourceState.FIXED, "FIXED"), ("BRAND_NEW", "OPEN", None, SourceState.OPEN, "BRAND_NEW"),
    (None, "OPEN", None, SourceState.OPEN, "OPEN"), (None, "REOPENED", None, SourceState.OPEN, "REOPENED"),
    (None, "CONFIRMED", None, SourceState.OPEN, "CONFIRMED"), (None, "RESOLVED", "WONTFIX", SourceState.ACCEPTED, "RESOLVED/WONTFIX"),
    (None, "RESOLVED", "FALSE-POSITIVE", SourceState.FALSE_POSITIVE, "RESOLVED/FALSE-POSITIVE"),
    (None, "RESOLVED", "FIXED", SourceState.FIXED, "RESOLVED/FIXED"), (None, "CLOSED", "REMOVED", SourceState.FIXED, "CLOSED/REMOVED"),
])
def test_states_of_issues(issue_status, status, resolution, expected, said):
    mapped = finding(issue(issueStatus=issue_status, status=status, resolution=resolution))
    assert (mapped.state, mapped.source_status) == (expected, said)


@pytest.mark.parametrize(("status", "resolution", "expected", "said"), [
    ("TO_REVIEW", None, SourceState.OPEN, "TO_REVIEW"), ("REVIEWED", "SAFE", SourceState.FALSE_POSITIVE, "REVIEWED/SAFE"),
    ("REVIEWED", "ACKNOWLEDGED", SourceState.ACCEPTED, "REVIEWED/ACKNOWLEDGED"), ("REVIEWED", "FIXED", SourceState.FIXED, "REVIEWED/FIXED"),
    ("REVIEWED", "BRAND_NEW", SourceState.OPEN, "REVIEWED/BRAND_NEW"),
])
def test_states_of_hotspots(status, resolution, expected, said):
    mapped = hotspot_to_finding(hotspot(status=status, resolution=resolution), PLACE, SERVER, None)
    assert (mapped.state, mapped.source_status) == (expected, said)


@pytest.mark.parametrize(("probability", "expected"), [("HIGH", Severity.HIGH), ("MEDIUM", Severity.MEDIUM), ("LOW", Severity.LOW),
                                                       ("UNHEARD_OF", Severity.INFO)])
def test_a_hotspot_s_probability_is_its_severity(probability, expected):
    assert hotspot_to_finding(hotspot(vulnerabilityProbability=probability), PLACE, SERVER, None).severity is expected


def test_a_hotspot_has_the_weakness_of_its_rule_or_else_of_its_category():
    rule = RuleDraft("python:S2245", "Random numbers", cwe=(338, 330))
    assert hotspot_to_finding(hotspot(), PLACE, SERVER, rule).cwe == (338, 330)
    assert hotspot_to_finding(hotspot(), PLACE, SERVER, None).cwe == (327,)
    assert hotspot_to_finding(hotspot(securityCategory="others"), PLACE, SERVER, None).cwe == ()
    assert hotspot_to_finding(hotspot(ruleKey=None), PLACE, SERVER, None).category == "hotspot"


def test_an_issue_s_facts_arrive():
    mapped = finding(issue(), rule=RuleDraft("java:S3649", "Queries should be bound", cwe=(89, 20)))
    assert (mapped.source_key, mapped.title, mapped.rule) == ("k1", "Bind this value.", "java:S3649")
    assert (mapped.path, mapped.line, mapped.cwe) == ("src/Dao.java", 48, (89, 20))
    assert mapped.description == "Queries should be bound"
    assert mapped.created_at == clock.from_iso("2031-01-05T10:02:44Z")
    assert mapped.updated_at == clock.from_iso("2031-02-11T07:20:01Z")
    assert mapped.details["impacts"] == {"SECURITY": "HIGH"}


def test_dates_of_servers_in_other_zones_are_the_same_instant():
    assert finding(issue(creationDate="2031-01-05T12:02:44+0200")).created_at == clock.from_iso("2031-01-05T10:02:44Z")


def test_the_steps_of_a_data_flow_are_told():
    steps = [{"component": "acme:billing:src/Dao.java", "textRange": {"startLine": 48}, "msg": "used here"},
             {"component": "acme:billing:src/Form.java", "textRange": {"startLine": 9}, "msg": "enters here"}]
    mapped = finding(issue(flows=[{"locations": steps}]))
    assert mapped.description == "Bind this value.\n1. src/Dao.java:48 used here\n2. src/Form.java:9 enters here"


def test_an_imported_issue_names_its_vulnerability_score_and_weakness_in_its_message():
    message = "Filename: x | Reference: CVE-2031-0001 | CVSS Score: 5.9 | Category: CWE-400 | see also cve-2031-12345"
    mapped = finding(issue(message=message, tags=["cwe-937", "cwe", "cwe-400"], line=None, hash=None))
    assert mapped.cve == ("CVE-2031-0001", "CVE-2031-12345")
    assert mapped.cwe == (400, 937)
    assert mapped.details["cvss"] == 5.9
    assert mapped.line is None


@pytest.mark.parametrize(("component", "project", "path"), [
    ("acme:billing:src/Dao.java", "acme:billing", "src/Dao.java"), ("acme:billing", "acme:billing", ""), ("p:a:b.txt", "p", "a:b.txt"),
    ("elsewhere", "p", "elsewhere"),
])
def test_the_path_is_what_follows_the_project_s_key(component, project, path):
    assert finding(issue(component=component), place=Place(project)).path == path


def test_the_fingerprint_survives_a_new_key_and_a_moved_line_but_not_another_place():
    first = finding(issue(key="a", line=10)).fingerprint
    assert finding(issue(key="b", line=99)).fingerprint == first
    assert finding(issue(component="acme:billing:src/Other.java")).fingerprint != first
    assert finding(issue(hash="ffff")).fingerprint != first


@pytest.mark.parametrize(("links", "place", "expected"), [
    (SERVER, PLACE, "https://sq.example.org/sonar/project/issues?id=acme%3Abilling&issues=k1&open=k1"),
    (SERVER, Place("acme:billing", "release/2"),
     "https://sq.example.org/sonar/project/issues?id=acme%3Abilling&issues=k1&open=k1&branch=release%2F2"),
    (CLOUD, PLACE, "https://sonarcloud.io/project/issues?id=acme%3Abilling&issues=k1&open=k1"),
])
def test_links_to_issues(links, place, expected):
    assert finding(issue(), place=place, links=links).url == expected


def test_links_to_hotspots_projects_and_rules():
    assert SERVER.hotspot(PLACE, "h 1") == "https://sq.example.org/sonar/security_hotspots?id=acme%3Abilling&hotspots=h+1"
    assert CLOUD.hotspot(PLACE, "h1") == "https://sonarcloud.io/project/security_hotspots?id=acme%3Abilling&hotspots=h1"
    assert SERVER.project(PLACE) == "https://sq.example.org/sonar/dashboard?id=acme%3Abilling"
    assert CLOUD.project(PLACE) == "https://sonarcloud.io/project/overview?id=acme%3Abilling"
    assert SERVER.rule("java:S1") == "https://sq.example.org/sonar/coding_rules?open=java%3AS1&rule_key=java%3AS1"
    assert CLOUD.rule("java:S1") == "https://sonarcloud.io/organizations/acme/rules?open=java%3AS1&rule_key=java%3AS1"


@pytest.mark.parametrize("missing", ["key", "rule", "component", "status"])
def test_an_issue_without_what_every_issue_has_is_refused(missing):
    with pytest.raises(KeyError):
        finding(issue(issueStatus=None, **{missing: None}))


@pytest.mark.parametrize("broken", [{"creationDate": "yesterday"}, {"line": "x"}, {"impacts": ["HIGH"]}, {"flows": [1]}])
def test_an_issue_with_an_impossible_value_is_refused(broken):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        finding(issue(**broken))


def test_a_message_may_be_absent():
    assert finding(issue(message=None)).title == "java:S3649"
    assert finding(issue(message=None), rule=RuleDraft("java:S3649", "Bind")).title == "Bind"


RESOURCES = {"key": "resources", "content": '<a href="https://cwe.mitre.org/data/definitions/89">CWE-89 - SQL</a> <a>MITRE, CWE-20</a>'}


@pytest.mark.parametrize(("told", "cwe"), [
    ({"descriptionSections": [{"key": "root_cause", "content": "unlike CWE-1"}, RESOURCES]}, (89, 20)),
    ({"descriptionSections": [{"key": "default", "content": "<p>See CWE-79 and CWE-79</p>"}]}, (79,)),
    ({"htmlDesc": "<p>MITRE, CWE-563</p>", "sysTags": ["cwe"]}, (563,)), ({"mdDesc": "CWE-12"}, (12,)),
    ({"securityStandards": ["cwe:327", "owaspTop10:a1", "cwe:89", "cwe:unknown"]}, (327, 89)),
    ({"descriptionSections": [RESOURCES], "securityStandards": ["cwe:943", "cwe:89"]}, (89, 20, 943)),
    ({"sysTags": ["cwe-400"], "tags": ["cwe-7"]}, (7, 400)), ({}, ()),
])
def test_weaknesses_of_rules(told, cwe):
    assert to_rule({"key": "java:S1", **told}, SERVER).cwe == cwe


def test_the_text_of_a_rule_is_its_sections_under_their_titles():
    sections = [{"key": "introduction", "content": "<p>Intro.</p>"}, {"key": "root_cause", "content": "<p>Harm.</p>"},
                {"key": "how_to_fix", "content": "<p>Fix.</p>", "context": {"key": "jdbc", "displayName": "JDBC <5>"}}]
    rule = to_rule({"key": "java:S1", "name": "Name", "descriptionSections": sections, "htmlDesc": "old"}, SERVER)
    assert rule.description == ("<p>Intro.</p>\n<h2>Why is this an issue?</h2>\n<p>Harm.</p>\n"
                                "<h2>How to fix it (JDBC &lt;5&gt;)</h2>\n<p>Fix.</p>")
    assert rule.name == "Name"
    assert to_rule({"key": "external_x:y"}, SERVER).name == "external_x:y"


BRANCHES = [{"name": "main", "isMain": True, "status": {"qualityGateStatus": "ERROR"}, "analysisDate": "2031-03-02T08:11:27+0000"},
            {"name": "release/2", "isMain": False, "type": "LONG", "status": {}}]


def test_a_project_and_its_branches_as_assets():
    main = to_asset({"key": "acme:billing", "name": "Billing"}, BRANCHES, BRANCHES[0], SERVER)
    assert (main.key, main.name, main.kind) == ("acme:billing", "Billing", "sonar_project")
    assert main.attributes == {"project": "acme:billing", "branch": "main", "branches": ["main", "release/2"], "quality_gate": "ERROR",
                               "last_analysis": clock.from_iso("2031-03-02T08:11:27Z")}
    other = to_asset({"key": "acme:billing", "name": "Billing"}, BRANCHES, BRANCHES[1], SERVER)
    assert (other.key, other.name) == ("acme:billing::release/2", "Billing (release/2)")
    assert other.url.endswith("?id=acme%3Abilling&branch=release%2F2")
    assert other.attributes == {"project": "acme:billing", "branch": "release/2"}


def test_a_project_whose_branches_are_unknown_is_an_asset_all_the_same():
    assert to_asset({"key": "p"}, (), None, SERVER).attributes == {"project": "p"}


@pytest.mark.parametrize(("key", "place"), [("p", None), ("a:b", None), ("p::main", Place("p", "main")), ("a::b::c", Place("a::b", "c")),
                                            ("::x", None), ("x::", None)])
def test_keys_of_branches(key, place):
    assert branch_place(key) == place
    if place:
        assert place.key == key


def payload_files() -> list[Path]:
    return sorted([*OWN.glob("*.json"), *OTHERS.glob("*.json")])


def records(told: Any, name: str) -> Iterator[Mapping[str, Any]]:
    yield from told.get(name, ()) if isinstance(told, dict) else [entry for entry in told if name == "issues"]


@pytest.mark.parametrize("path", payload_files(), ids=lambda path: path.name)
@pytest.mark.parametrize("scale", Scale)
def test_recorded_answers_are_read_whole(path, scale):
    told = json.loads(path.read_text("utf-8"))
    mapped = [issue_to_finding(record, Place(record["project"]), scale, SERVER, None) for record in records(told, "issues")]
    mapped += [hotspot_to_finding(record, Place(record["project"]), SERVER, None) for record in records(told, "hotspots")]
    assert all(entry.title and entry.source_key and entry.created_at for entry in mapped)
    if isinstance(told, dict) and "repo" in told:
        assert to_rule(told, SERVER).description
    else:
        assert mapped


def test_recorded_issues_of_a_server():
    told = json.loads((OWN / "issues_server.json").read_text("utf-8"))["issues"]
    flow, imported, smell = (issue_to_finding(record, PLACE, Scale.MQR, SERVER, None) for record in told)
    assert flow.description.endswith("\n2. src/main/java/acme/Form.java:9 value enters here")
    assert (imported.state, imported.cve, imported.cwe, imported.path) == (SourceState.ACCEPTED, ("CVE-2031-0007",), (611,), "")
    assert (smell.category, smell.severity, smell.state) == ("code_smell", Severity.LOW, SourceState.OPEN)


def test_recorded_issues_of_9_9():
    told = json.loads((OWN / "issues_server_9_9.json").read_text("utf-8"))["issues"]
    mapped = issue_to_finding(told[0], Place("legacy"), Scale.STANDARD, SERVER, None)
    assert (mapped.severity, mapped.state) == (Severity.CRITICAL, SourceState.FALSE_POSITIVE)
    assert mapped.created_at == clock.from_iso("2030-10-18T02:51:38Z")
