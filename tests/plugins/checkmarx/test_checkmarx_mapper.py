"""One record in, one draft out: payloads as the service sends them, field by field; and real exports where they are present."""

import json
import re
from pathlib import Path

import pytest

from core import clock
from core.hooks.contracts import Severity, SourceState
from plugins.checkmarx import mapper
from plugins.checkmarx.mapper import Keys, Links, Origin, Target
from plugins.checkmarx.readings import cve_of, cwe_of, line_of, moment, normal_state, plain, severity_of, without_user

PROJECT, SCAN = "3f0c9a52-6d3e-4d0c-b6a1-8e1b7e2a4c10", "5e2d6a0f-3b0c-4a35-9c6b-12f0a4d7e911"
ORIGIN = Origin(PROJECT, SCAN, Links("https://eu.ast.checkmarx.net"))
RESULTS = f"https://eu.ast.checkmarx.net/results/{SCAN}/{PROJECT}"
OTHERS = Path(__file__).parents[3].parent / "shared" / "samples" / "checkmarx"

COMMON = {"status": "NEW", "state": "TO_VERIFY", "severity": "HIGH", "confidenceLevel": 0, "created": "2026-03-02T17:19:05Z",
          "firstFoundAt": "2025-11-10T08:00:00Z", "foundAt": "2026-03-02T17:19:05.123456789Z", "comments": {}, "vulnerabilityDetails": {}}
SAST = {
    **COMMON, "type": "sast", "id": "9nq0ZtG1XkWc2k0m3J8Q7o5p6+A=", "similarityId": "-1184470237",
    "alternateId": "9nq0ZtG1XkWc2k0m3J8Q7o5p6+A=", "description": "User input reaches\xa0a statement.\n\n",
    "data": {
        "queryId": 11838250936012445671, "queryName": "SQL_Injection", "group": "Java_High_Risk", "languageName": "Java",
        "resultHash": "9nq0ZtG1XkWc2k0m3J8Q7o5p6+A=",
        "nodes": [{"line": 41, "name": "getParameter", "method": "doGet", "fileName": "/src/Servlet.java", "definitions": "1"},
                  {"line": 77, "name": "executeQuery", "method": "find", "fileName": "/src/Dao.java", "definitions": "0"}]},
    "vulnerabilityDetails": {"cweId": 89, "compliances": ["OWASP Top 10 2021", "PCI DSS v4.0"]},
}
KICS = {
    **COMMON, "type": "kics", "id": "81204455", "similarityId": "3b1f6a0c", "status": "RECURRENT", "severity": "MEDIUM",
    "description": "The image runs as root because no USER is set.",
    "data": {"queryId": "0b7a1d52 [Taken from query_id]", "queryName": "Missing User Instruction [Taken from query_name]",
             "group": "Build Process [Taken from category]", "fileName": "/deploy/Dockerfile", "line": 1, "platform": "Dockerfile",
             "issueType": "MissingAttribute", "expectedValue": "A USER is set.", "value": "No USER is set."},
}
SCA = {
    **COMMON, "type": "sca", "id": "CVE-2031-40417", "similarityId": "CVE-2031-40417", "severity": "CRITICAL",
    "comments": {"comments": "soon"}, "description": "Crafted headers lead to code execution.",
    "data": {"packageIdentifier": "Npm-example-hdr-2.3.0", "publishedAt": "2026-02-20T00:00:00Z", "recommendations": "",
             "recommendedVersion": "2.4.1", "exploitableMethods": None,
             "packageData": [{"url": "https://example.org/40417", "type": "Advisory"}, {"type": "Commit"}, None]},
    "vulnerabilityDetails": {"cvssScore": 9.800000190734863, "cveName": "CVE-2031-40417", "cweId": "CWE-94",
                             "cvss": {"version": 3, "attackVector": "NETWORK", "scope": ""}},
}
CONTAINER = {
    **COMMON, "type": "containers", "id": "CVE-2031-10007", "similarityId": "CVE-2031-10007", "severity": "LOW",
    "data": {"packageName": "libuuid1", "packageVersion": "2.38", "imageName": "registry.example/api", "imageTag": "1.14.0",
             "imageFilePath": "/deploy/Dockerfile", "imageOrigin": "Dockerfile"},
    "vulnerabilityDetails": {"cvssScore": 3.3, "cveName": "CVE-2031-10007", "cweId": "CWE-150", "cvss": None},
}
SECRET = {
    **COMMON, "type": "sscs-secret-detection", "id": "sec-1", "similarityId": "sim-sec-1", "severity": "CRITICAL",
    "data": {"ruleId": "aws", "ruleName": "AWS Access Token", "filename": "/config.yml", "line": "3", "snippet": "AKIA0000SECRET",
             "remediation": "Revoke it.", "validity": "Valid", "isInSource": True},
}
ATTACK = {
    "id": "1f8e7d6c", "severity": "high", "state": "Proposed Not Exploitable", "name": "Cross Site Scripting (Reflected)",
    "description": "Input is echoed.", "url": "https://qa:pw@pay.example/search?q=abc&page=2", "method": "GET", "path": "/search",
    "cwe_id": "79", "owasp": ["A03:2021"], "solution": "Encode output.", "status": "New", "scan_type": "DAST",
}


def test_a_sast_result():
    told = mapper.result_to_finding(SAST, ORIGIN)
    assert (told.source_key, told.title, told.category) == ("sast:9nq0ZtG1XkWc2k0m3J8Q7o5p6+A=", "SQL Injection", "sast")
    assert (told.severity, told.state, told.source_status) == (Severity.HIGH, SourceState.OPEN, "TO_VERIFY")
    assert (told.path, told.line, told.cwe, told.cve) == ("/src/Servlet.java", 41, (89,), ())
    assert told.rule == "sast:11838250936012445671"
    assert told.description == "User input reaches a statement.\n1. /src/Servlet.java:41 getParameter\n2. /src/Dao.java:77 executeQuery"
    assert told.url == f"{RESULTS}/sast?result-id=9nq0ZtG1XkWc2k0m3J8Q7o5p6%2BA%3D&redirect=true"
    assert (told.created_at, told.updated_at) == (clock.from_iso("2025-11-10T08:00:00Z"), clock.from_iso("2026-03-02T17:19:05.123Z"))
    assert told.details == {"engine": "sast", "status": "NEW", "similarity_id": "-1184470237", "query_id": "11838250936012445671",
                            "group": "Java_High_Risk", "language": "Java", "result_id": "9nq0ZtG1XkWc2k0m3J8Q7o5p6+A=", "method": "doGet",
                            "sink": "/src/Dao.java:77 executeQuery", "compliances": ["OWASP Top 10 2021", "PCI DSS v4.0"]}


def test_a_sast_result_without_a_data_flow():
    for nodes in ([], None):
        bare = {**SAST, "data": {**SAST["data"], "nodes": nodes}, "vulnerabilityDetails": {"compliances": None}}
        told = mapper.result_to_finding(bare, ORIGIN)
        assert (told.path, told.line, told.cwe, told.description) == ("", None, (), "User input reaches a statement.")


def test_an_older_sast_result_is_known_by_its_hash_and_not_by_its_number():
    assert mapper.natural_key({**SAST, "id": "599424943"}) == mapper.natural_key(SAST)
    without = {**SAST, "data": {"queryId": 1, "queryName": "X"}}
    assert mapper.natural_key({**without, "alternateId": ""}) == "sast:9nq0ZtG1XkWc2k0m3J8Q7o5p6+A="


def test_an_iac_result():
    told = mapper.result_to_finding(KICS, ORIGIN)
    assert (told.source_key, told.title, told.category, told.rule) == ("kics:3b1f6a0c", "Missing User Instruction", "iac", "kics:0b7a1d52")
    assert (told.path, told.line, told.severity, told.cwe) == ("/deploy/Dockerfile", 1, Severity.MEDIUM, ())
    assert told.description == "The image runs as root because no USER is set.\nExpected: A USER is set.\nFound: No USER is set."
    assert told.url == f"{RESULTS}/kics?result-id=81204455&redirect=true"
    assert (told.details["group"], told.details["platform"]) == ("Build Process", "Dockerfile")
    assert "Taken from" not in str(told)


def test_a_package_with_a_known_vulnerability():
    told = mapper.result_to_finding(SCA, ORIGIN)
    assert told.source_key == "sca:CVE-2031-40417:Npm-example-hdr-2.3.0"
    assert (told.title, told.category) == ("CVE-2031-40417 in example-hdr 2.3.0", "sca")
    assert (told.cve, told.cwe, told.path, told.rule) == (("CVE-2031-40417",), (94,), "Npm-example-hdr-2.3.0", "")
    assert told.url == f"{RESULTS}/sca?internalPath=%2Fpackages"
    assert told.details == {"engine": "sca", "status": "NEW", "similarity_id": "CVE-2031-40417", "comment": "soon",
                            "package": "example-hdr", "version": "2.3.0", "package_manager": "Npm", "fixed_in": "2.4.1",
                            "advisory": "CVE-2031-40417",
                            "published": "2026-02-20T00:00:00Z", "references": ["https://example.org/40417"], "cvss": 9.8,
                            "cvss_vector": {"version": 3, "attackVector": "NETWORK"}}


def test_an_advisory_of_the_vendor_has_a_weakness_where_others_have_a_cve():
    vendors = {**SCA, "id": "Cxda14f253-4e52", "vulnerabilityDetails": {"cveName": "CWE-401", "cweId": ""}}
    told = mapper.result_to_finding(vendors, ORIGIN)
    assert (told.cve, told.cwe, told.rule, told.title) == ((), (401,), "sca:Cxda14f253-4e52", "Cxda14f253-4e52 in example-hdr 2.3.0")


@pytest.mark.parametrize(("identifier", "parts"), [
    ("Npm-examplehdr-2.3.0", ("Npm", "examplehdr", "2.3.0")),
    ("Maven-org.example:core-utils-1.0.2", ("Maven", "org.example:core-utils", "1.0.2")),
    ("Go-github.com/acme/x-1.0", ("Go", "github.com/acme/x", "1.0")), ("odd", (None, "odd", None)), ("Npm-odd", (None, "Npm-odd", None)),
])
def test_the_parts_of_a_package(identifier, parts):
    details = mapper.result_to_finding({**SCA, "data": {"packageIdentifier": identifier}}, ORIGIN).details
    assert (details.get("package_manager"), details["package"], details.get("version")) == parts


def test_a_package_of_an_image():
    told = mapper.result_to_finding(CONTAINER, ORIGIN)
    assert told.source_key == "containers:CVE-2031-10007:libuuid1:2.38:registry.example/api:1.14.0"
    assert (told.title, told.category, told.path) == ("CVE-2031-10007 in libuuid1 2.38", "container", "registry.example/api:1.14.0")
    assert (told.cve, told.cwe, told.details["cvss"]) == (("CVE-2031-10007",), (150,), 3.3)
    assert told.url == f"{RESULTS}/containers?result-id=CVE-2031-10007&redirect=true"


def test_a_secret_is_told_without_the_secret():
    told = mapper.result_to_finding(SECRET, ORIGIN)
    assert (told.source_key, told.title, told.category) == ("sscs-secret-detection:sim-sec-1", "Secret: AWS Access Token", "secret")
    assert (told.path, told.line, told.cwe, told.rule) == ("/config.yml", 3, (798,), "sscs-secret-detection:aws")
    assert told.url == f"https://eu.ast.checkmarx.net/projects/{PROJECT}/scans?id={SCAN}"
    assert "AKIA" not in str(told)


def test_a_scorecard():
    told = mapper.result_to_finding({**COMMON, "type": "sscs-scorecard", "id": "1", "data": {"ruleName": "Branch-Protection"}}, ORIGIN)
    assert (told.title, told.category, told.cwe) == ("Branch-Protection", "supply_chain", ())


def test_a_result_of_a_report_file_has_no_address():
    assert mapper.result_to_finding(SAST, Origin()).url == ""


def test_a_dast_result_carries_what_the_portal_shows():
    target = Target("env-1", "https://pay.example", PROJECT, "acme/payments", "https://eu.ast.checkmarx.net/dast")
    told = mapper.dast_to_finding(ATTACK, target)
    assert (told.title, told.category, told.cwe) == ("Cross Site Scripting (Reflected)", "dast", (79,))
    assert (told.severity, told.state, told.source_status) == (Severity.HIGH, SourceState.OPEN, "PROPOSED_NOT_EXPLOITABLE")
    assert told.path == "https://pay.example/search?q=abc&page=2"
    assert told.details == {"risk_impact": "High risk (OWASP A03:2021)", "recommendation": "Encode output.",
                            "checkmarx_project_id": PROJECT, "checkmarx_project_name": "acme/payments", "engine": "dast",
                            "status": "NEW", "method": "GET", "owasp": ["A03:2021"],
                            "scan_type": "DAST", "environment_id": "env-1"}


def test_a_dast_result_of_an_environment_without_a_project():
    told = mapper.dast_to_finding({**ATTACK, "url": "", "solution": "", "owasp": None, "cwe_id": "-1"}, Target("env-1", "https://pay.example"))
    assert (told.path, told.cwe) == ("https://pay.example", ())
    assert told.details["recommendation"] is None
    assert told.details["checkmarx_project_id"] is None
    assert told.details["risk_impact"] == "High risk"


def test_a_dast_result_is_known_by_what_and_where_and_not_by_the_values_sent():
    assert mapper.dast_key(ATTACK) == "dast:Cross Site Scripting (Reflected):GET:/search:page&q:79"
    assert mapper.dast_key({**ATTACK, "id": "other", "url": "https://pay.example/search?page=9&q=%27"}) == mapper.dast_key(ATTACK)
    assert mapper.dast_key({**ATTACK, "method": "POST"}) != mapper.dast_key(ATTACK)
    assert mapper.dast_key({**ATTACK, "url": "http://[half", "path": ""}) == "dast:Cross Site Scripting (Reflected):GET:::79"


@pytest.mark.parametrize(("record", "changed"), [
    (SAST, {"id": "new", "alternateId": "new", "data": {**SAST["data"], "resultHash": "new", "nodes": []}}),
    (KICS, {"id": "new", "similarityId": "new", "data": {**KICS["data"], "line": 40}}),
    (SCA, {"alternateId": "new", "data": {**SCA["data"], "packageIdentifier": "Npm-example-hdr-2.3.1"}}),
    (CONTAINER, {"data": {**CONTAINER["data"], "imageTag": "1.15.0", "packageVersion": "2.39"}}),
    (SECRET, {"id": "new", "similarityId": "new", "data": {**SECRET["data"], "line": 9}}),
])
def test_a_fingerprint_outlives_a_new_id_a_moved_line_and_a_new_version(record, changed):
    before, after = (mapper.result_to_finding(entry, ORIGIN) for entry in (record, {**record, **changed}))
    assert before.fingerprint == after.fingerprint
    assert before.source_key != after.source_key
    assert re.fullmatch("[0-9a-f]{32}", before.fingerprint)


def test_what_differs_has_another_fingerprint():
    every = [SAST, {**SAST, "similarityId": "5"}, KICS, {**KICS, "data": {**KICS["data"], "fileName": "/b"}}, SCA,
             {**SCA, "id": "CVE-2031-1111"},
             CONTAINER, {**CONTAINER, "data": {**CONTAINER["data"], "packageName": "zlib"}}, SECRET]
    assert len({mapper.result_to_finding(record, ORIGIN).fingerprint for record in every}) == len(every)


@pytest.mark.parametrize(("spelled", "normal"), [
    ("TO_VERIFY", "TO_VERIFY"), ("to_verify", "TO_VERIFY"), ("ToVerify", "TO_VERIFY"), ("To Verify", "TO_VERIFY"), ("URGENT ", "URGENT"),
    ("Not Exploitable", "NOT_EXPLOITABLE"), ("ProposedNotExploitable", "PROPOSED_NOT_EXPLOITABLE"), ("FALSE_POSITIVE", "FALSE_POSITIVE"),
    ("False Positive", "FALSE_POSITIVE"), (" Accepted by Board ", "Accepted by Board"), (None, ""),
])
def test_states_have_one_spelling(spelled, normal):
    assert normal_state(spelled) == normal


@pytest.mark.parametrize(("spelled", "severity"), [("CRITICAL", 4), ("High", 3), ("medium ", 2), ("LOW", 1), ("INFO", 0),
                                                   ("INFORMATION", 0), ("NONE", 0)])
def test_severities(spelled, severity):
    assert severity_of(spelled) is Severity(severity)


@pytest.mark.parametrize("spelled", ["", None, "TERRIBLE", 5])
def test_a_severity_that_is_not_known_is_not_guessed(spelled):
    with pytest.raises(KeyError):
        severity_of(spelled)


@pytest.mark.parametrize(("value", "numbers"), [(89, (89,)), ("CWE-89", (89,)), ("cwe-89", (89,)), ("79", (79,)), ("-1", ()), (-1, ()),
                                                (0, ()), ("", ()), (None, ()), ("CVE-2031-1", ())])
def test_weaknesses(value, numbers):
    assert cwe_of(value) == numbers


def test_small_readings():
    assert cve_of("CWE-1", "cve-2031-12345") == ("CVE-2031-12345",)
    assert cve_of("", None, "Cxda14f253-4e52", "see CVE-2031-12345") == ()
    assert [line_of(value) for value in (7, "7", 0, -1, "", None)] == [7, 7, None, None, None, None]
    assert plain("Build Process [Taken from category]") == "Build Process"
    assert moment("2026-03-02 17:19:05+00:00") == clock.from_iso("2026-03-02T17:19:05Z")
    assert moment("2026-03-02T17:19:05.123456789Z") == clock.from_iso("2026-03-02T17:19:05.123Z")
    assert without_user("https://me:pw@git.example/a@b?mail=x@y") == "https://git.example/a@b?mail=x@y"
    assert without_user("https://shop.example?mail=a@b.c/d") == "https://shop.example?mail=a@b.c/d"


def test_a_fixed_result_is_not_open():
    assert mapper.result_to_finding({**SAST, "status": "FIXED"}, ORIGIN).state is SourceState.FIXED


@pytest.mark.parametrize("lacking", ["state", "severity", "type"])
def test_what_every_result_has_is_demanded(lacking):
    with pytest.raises(KeyError):
        mapper.result_to_finding({name: value for name, value in SAST.items() if name != lacking}, ORIGIN)


def test_a_second_result_with_the_same_natural_key_gets_one_of_its_own():
    keys = Keys()
    assert [keys.key("kics:x", mark) for mark in ("1", "2", "1", "3")] == ["kics:x", "kics:x#2", "kics:x", "kics:x#3"]


def test_texts_of_rules_are_html_in_which_nothing_of_the_source_is_markup():
    text = mapper.to_rule({"queryId": "7", "queryName": "Stored_XSS", "resultDescription": "a <b>\nb", "risk": "<script>", "cause": "",
                           "generalRecommendations": "Encode."})
    assert (text.key, text.name) == ("sast:7", "Stored XSS")
    assert text.description == ("<p>a &lt;b&gt;</p><p>b</p>\n<h2>What is at risk?</h2>\n<p>&lt;script&gt;</p>\n"
                                "<h2>How to fix it</h2>\n<p>Encode.</p>")
    told = mapper.rule_of(mapper.dast_to_finding(ATTACK, Target("env-1")))
    assert (told.key, told.name, told.cwe) == ("dast:Cross Site Scripting (Reflected)", "Cross Site Scripting (Reflected)", (79,))
    assert told.description == "<p>Input is echoed.</p>\n<h2>How to fix it</h2>\n<p>Encode output.</p>"


# -- exports of the real service ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not OTHERS.is_dir(), reason="the real exports are not here")
@pytest.mark.parametrize("name", ["one_api_export.json", "one_results_report.json"])
def test_a_real_export_gives_what_a_plain_reading_of_it_gives(name):
    records = json.loads((OTHERS / name).read_text(encoding="utf-8"))["results"]
    told = [mapper.result_to_finding(record, Origin()) for record in records]
    assert len({finding.source_key for finding in told}) == len(records)
    for record, finding in zip(records, told, strict=True):
        data, more = record["data"], record["vulnerabilityDetails"]
        assert finding.severity.name == record["severity"]
        assert finding.source_status == record["state"]
        assert finding.description.startswith(record["description"].replace("\xa0", " ").strip())
        assert finding.details["similarity_id"] == record["similarityId"]
        assert clock.iso(finding.created_at).startswith(record["firstFoundAt"][:19])
        assert finding.cwe == tuple(int(number) for number in re.findall(r"\d+", str(more.get("cweId") or "")))
        assert finding.cve == ((record["id"],) if record["id"].startswith("CVE-") else ())
        assert (finding.path, finding.line) == _place(record["type"], data)
        assert "Taken from" not in json.dumps(finding.details) + finding.title + finding.rule


def _place(kind: str, data: dict) -> tuple[str, int | None]:
    if kind == "sast":
        return data["nodes"][0]["fileName"], data["nodes"][0]["line"]
    if kind == "kics":
        return data.get("fileName") or data["filename"], data["line"]
    if kind == "sca":
        return data["packageIdentifier"], None
    return f"{data['packageName']} {data['packageVersion']}", None
