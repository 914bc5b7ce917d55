"""Files of CxSAST and Checkmarx One, uploaded in place of a pull."""

import json
from typing import Any

import pytest

from core.hooks.contracts import Severity, SourceState, Unmapped
from plugins.checkmarx.reports import CheckmarxOneReport, CxSastReport
from tests.core.imports.payloads import CHECKMARX_ONE
from tests.core.imports.reading import assets_of, drafts_of, findings_of, refusal_of, rules_of

XML, ONE = CxSastReport(), CheckmarxOneReport()


# -- CxSAST -----------------------------------------------------------------------------------------------------------------------------


def node(file: str, line: int, name: str = "x", column: int = 1) -> str:
    return f"<PathNode><FileName>{file}</FileName><Line>{line}</Line><Column>{column}</Column><Name>{name}</Name></PathNode>"


def found(nodes: str = node("a.java", 4) + node("b.java", 9, "query"), similarity: str = "-5", **more: str) -> str:
    told = {"NodeId": "1", "FileName": "a.java", "Status": "New", "Line": "4", "FalsePositive": "False", "Severity": "High", "state": "0",
            "Remark": "", "DeepLink": "https://cx.example/1", **more}
    attributes = " ".join(f'{name}="{value}"' for name, value in told.items())
    return f'<Result {attributes}><Path ResultId="1" PathId="1" SimilarityId="{similarity}">{nodes}</Path></Result>'


def report(*results: str, query: str = "") -> str:
    return (f'<?xml version="1.0" encoding="utf-8"?><CxXMLResults ProjectName="Shop" ScanId="1"><Query id="594" cweId="89" Severity="High" '
            f'name="SQL_Injection" group="Java_High_Risk" Language="Java" {query}>{"".join(results)}</Query></CxXMLResults>')


def one_of(**more: str) -> Any:
    (finding,) = findings_of(XML, report(found(**more)))
    return finding


def test_a_result_of_cxsast_has_its_query_place_and_path():
    finding = one_of()
    assert (finding.source_key, finding.title, finding.severity) == ("cxsast:594:-5", "SQL Injection", Severity.HIGH)
    assert (finding.path, finding.line, finding.cwe, finding.url) == ("a.java", 4, (89,), "https://cx.example/1")
    assert finding.description == "1. a.java:4 x\n2. b.java:9 query"
    assert (finding.details["sink"], finding.details["language"], finding.details["status"]) == ("b.java:9 query", "Java", "NEW")
    assert list(assets_of(XML, report(found()))) == ["Shop"]
    assert rules_of(XML, report(found()))["sast:594"].name == "SQL Injection"


@pytest.mark.parametrize(("told", "state", "status"), [
    ({"state": "0"}, SourceState.OPEN, "TO_VERIFY"), ({"state": "2"}, SourceState.OPEN, "CONFIRMED"),
    ({"state": "3"}, SourceState.OPEN, "URGENT"), ({"state": "4"}, SourceState.OPEN, "PROPOSED_NOT_EXPLOITABLE"),
    ({"state": "1"}, SourceState.FALSE_POSITIVE, "NOT_EXPLOITABLE"), ({"FalsePositive": "True"}, SourceState.FALSE_POSITIVE, "TO_VERIFY"),
    ({"state": "6"}, SourceState.OPEN, "6"), ({"Status": "Fixed"}, SourceState.FIXED, "TO_VERIFY"),
    ({"state": ""}, SourceState.OPEN, "TO_VERIFY"),
])
def test_states_of_cxsast_are_told_by_their_names(told, state, status):
    assert (one_of(**told).state, one_of(**told).source_status) == (state, status)


@pytest.mark.parametrize(("word", "severity"), [("Critical", Severity.CRITICAL), ("High", Severity.HIGH), ("Medium", Severity.MEDIUM),
                                                ("Low", Severity.LOW), ("Information", Severity.INFO), ("Info", Severity.INFO)])
def test_severities_of_cxsast(word, severity):
    assert one_of(Severity=word).severity is severity


def test_results_that_share_a_similarity_are_told_apart_by_their_paths():
    other = found(node("a.java", 40) + node("c.java", 9, "query"), Line="40")
    keys = [finding.source_key for finding in findings_of(XML, report(found(), other, found("", similarity="", FileName="", Line="")))]
    assert len(set(keys)) == 3
    assert keys[0] == "cxsast:594:-5"


def test_a_result_without_a_file_has_that_of_its_path_and_a_scan_without_results_is_a_report():
    assert one_of(FileName="").path == "a.java"
    assert findings_of(XML, report()) == []
    assert list(assets_of(XML, report())) == ["Shop"]


def test_xml_with_a_byte_order_mark_and_characters_of_every_kind():
    body = report(found(node("Bücher/日本.java", 4), FileName="Bücher/日本.java", Remark="a &amp; b &lt;c&gt; &#10;"))
    (finding,) = findings_of(XML, b"\xef\xbb\xbf" + body.encode())
    assert (finding.path, finding.details["comment"].strip()) == ("Bücher/日本.java", "a & b <c>")


@pytest.mark.parametrize(("body", "place"), [
    (report(found(Line="four")), "/CxXMLResults/Query/Result (line 1)"), (report(found(Severity="Awful")), "/CxXMLResults/Query/Result"),
    (report(found(), found(Line="x")), "/CxXMLResults/Query/Result[2]"), (report(found())[:-10], "line 1"),
    ('<CxXMLResults ProjectName="x">' + found() + "</CxXMLResults>", "/CxXMLResults/Result"),
])
def test_what_is_not_sound_in_an_xml_is_refused_by_its_place(body, place):
    assert refusal_of(XML, body).place.startswith(place)


# -- Checkmarx One ----------------------------------------------------------------------------------------------------------------------


def results(*records: dict[str, Any]) -> str:
    return json.dumps({"results": list(records), "totalCount": len(records), "scanID": "1"})


def sast(**more: Any) -> dict[str, Any]:
    return {**json.loads(CHECKMARX_ONE)["results"][0], **more}


def test_results_of_every_engine_are_findings():
    kics = {"type": "kics", "id": "2", "similarityId": "f00", "state": "TO_VERIFY", "severity": "MEDIUM",
            "data": {"queryId": "q", "queryName": "Missing User Instruction", "filename": "/Dockerfile", "line": 1}}
    sca = {"type": "sca", "id": "CVE-2024-12345", "state": "TO_VERIFY", "severity": "CRITICAL",
           "data": {"packageIdentifier": "Npm-x-1.0.0"}, "vulnerabilityDetails": {"cweId": "CWE-79", "cveName": "CVE-2024-12345"}}
    image = {"type": "containers", "id": "CVE-2024-54321", "state": "TO_VERIFY", "severity": "LOW",
             "data": {"packageName": "openssl", "packageVersion": "1.1", "imageName": "shop", "imageTag": "7"}}
    secret = {"type": "sscs-secret-detection", "id": "3", "similarityId": "5ec", "state": "TO_VERIFY", "severity": "HIGH",
              "data": {"ruleName": "aws-key", "fileName": "a.env", "line": 2}}
    unknown = {"type": "brand-new", "id": "9", "state": "TO_VERIFY", "severity": "INFO", "data": {}}
    findings = findings_of(ONE, results(sast(), kics, sca, image, secret, unknown))
    assert [finding.source_key for finding in findings] == [
        "sast:abc=", "kics:f00", "sca:CVE-2024-12345:Npm-x-1.0.0", "containers:CVE-2024-54321:openssl:1.1:shop:7",
        "sscs-secret-detection:5ec", "brand-new:9"]
    assert [finding.category for finding in findings] == ["sast", "iac", "sca", "container", "secret", "brand-new"]
    assert [(finding.path, finding.line) for finding in findings[:3]] == [("/a.java", 4), ("/Dockerfile", 1), ("Npm-x-1.0.0", None)]


@pytest.mark.parametrize(("told", "state", "status"), [
    ({"state": "NOT_EXPLOITABLE"}, SourceState.FALSE_POSITIVE, "NOT_EXPLOITABLE"),
    ({"state": "Accepted Risk"}, SourceState.OPEN, "Accepted Risk"),
    ({"state": None}, SourceState.OPEN, "TO_VERIFY"), ({"status": "FIXED"}, SourceState.FIXED, "TO_VERIFY"),
])
def test_states_are_kept(told, state, status):
    (finding,) = findings_of(ONE, results(sast(**told)))
    assert (finding.state, finding.source_status) == (state, status)


@pytest.mark.parametrize("told", ['{"results": null, "totalCount": 0}', '{"results": [], "scanID": "1"}'])
def test_a_scan_that_found_nothing_is_a_report(told):
    assert drafts_of(ONE, told) == []


@pytest.mark.parametrize("date", ["yesterday", "0001-01-01T00:00:00Z", None])
def test_a_date_that_is_none_is_left_out(date):
    (finding,) = findings_of(ONE, results(sast(firstFoundAt=date, foundAt=date, created=date)))
    assert (finding.created_at, finding.updated_at) == (None, None)


def test_a_package_of_an_image_goes_by_the_name_of_the_engine_also_where_the_command_line_calls_it_sca():
    told = {"type": "sca", "id": "CVE-2005-2541", "similarityId": "CVE-2005-2541", "state": "TO_VERIFY", "severity": "HIGH",
            "data": {"packageName": "tar", "packageVersion": "1.34"}, "vulnerabilityDetails": {"cweId": "NVD-CWE-Other", "cvss": {}}}
    (finding,) = findings_of(ONE, results(told))
    assert (finding.source_key, finding.path, finding.category) == ("sca-container:CVE-2005-2541:tar:1.34", "tar 1.34", "container")
    assert (finding.cve, finding.cwe) == (("CVE-2005-2541",), ())


def test_a_page_of_many_closes_nothing():
    told = {"results": [sast()], "totalCount": 2}
    assert isinstance(drafts_of(ONE, json.dumps(told))[-1], Unmapped)
    assert not any(isinstance(draft, Unmapped) for draft in drafts_of(ONE, json.dumps({**told, "totalCount": 1})))


def test_the_listings_of_one_engine_are_read_too():
    record = {"ID": "5e2d-17", "resultHash": "9nq0=", "queryID": 11838250936012445671, "queryIDStr": "11838250936012445671",
              "queryName": "SQL_Injection", "languageName": "Java", "group": "Java_High_Risk", "cweID": 89, "severity": "HIGH",
              "similarityID": -118, "status": "NEW", "state": "TO_VERIFY", "nodes": [{"fileName": "/a.java", "line": 7, "name": "id"}]}
    kics = {"ID": "77", "similarityID": "f00d", "queryID": "q-1", "queryName": "Open Port", "severity": "LOW", "state": "CONFIRMED",
            "fileName": "/main.tf", "line": 3, "type": "kics", "cwe": "CWE-200", "expectedValue": "closed", "actualValue": "open"}
    first, second = (findings_of(ONE, results(told))[0] for told in (record, kics))
    assert (first.source_key, first.cwe, first.path, first.line, first.rule) == (
        "sast:9nq0=", (89,), "/a.java", 7, "sast:11838250936012445671")
    assert (second.source_key, second.cwe, second.path, second.line, second.source_status) == (
        "kics:f00d", (200,), "/main.tf", 3, "CONFIRMED")


SCAN_REPORT: dict[str, Any] = {
    "reportHeader": {"projectName": "Shop"},
    "scanResults": {"resultsList": [{"queryId": 11, "queryName": "SQL_Injection", "queryPath": "Java", "cweId": 89, "vulnerabilities": [
        {"severity": "HIGH", "state": "CONFIRMED", "status": "NEW", "resultHash": "h1", "sourceFileName": "/a.java", "sourceLine": 4,
         "destinationFileName": "/b.java", "destinationLine": 9, "firstFoundDate": {"seconds": 1700000000}},
        {"severity": "HIGH", "status": "RECURRENT", "sourceFileName": "/c.java", "sourceLine": 5, "firstFoundDate": "Jan 1, 2026"}]}]},
    "iacScanResults": {"technology": [{"name": "Terraform", "queries": [{"queryName": "Open Port", "category": "Network", "resultsList": [
        {"severity": "MEDIUM", "state": "TO_VERIFY", "fileName": "/main.tf", "actualValue": "open", "expectedValue": "closed"}]}]}]},
    "scaScanResults": {"packages": [{"packageName": "lodash", "packageVersion": "4.17.20", "packageManager": "Npm", "vulnerabilities": [
        {"cveName": "CVE-2021-23337", "severity": "High", "cweId": "CWE-94", "state": "TO_VERIFY"}]}, {"packageName": "left-pad"}]},
}


def test_a_scan_report_has_results_by_query_of_code_configurations_and_packages():
    (asset, keys), = assets_of(ONE, json.dumps(SCAN_REPORT)).items()
    assert (asset, len(set(keys))) == ("Shop", 4)
    code, other, configuration, package = findings_of(ONE, json.dumps(SCAN_REPORT))
    assert (code.source_key, code.cwe, code.path, code.line, code.created_at) == ("sast:h1", (89,), "/a.java", 4, 1_700_000_000_000)
    assert (code.details["sink"], code.source_status) == ("/b.java:9", "CONFIRMED")
    assert (other.path, other.state, other.created_at) == ("/c.java", SourceState.OPEN, None)
    assert (configuration.path, configuration.category, configuration.severity) == ("/main.tf", "iac", Severity.MEDIUM)
    assert (package.source_key, package.cve, package.cwe) == ("sca:CVE-2021-23337:Npm-lodash-4.17.20", ("CVE-2021-23337",), (94,))
    assert package.title == "CVE-2021-23337 in lodash 4.17.20"


def test_a_scan_report_may_have_engines_with_languages():
    queries = SCAN_REPORT["scanResults"]["resultsList"]
    told = {"projectName": "Shop", "scanResults": {"sast": {"languages": [{"languageName": "Java", "queries": queries}]}}}
    findings = findings_of(ONE, json.dumps(told))
    assert ([finding.source_key for finding in findings][0], findings[0].details["language"], len(findings)) == ("sast:h1", "Java", 2)


def test_engines_of_a_scan_report_have_packages_and_platforms_beside_languages():
    package = {"name": "Npm-bootstrap-3.1.1", "vulnerabilities": [
        {"id": "h1=", "similarityId": "CVE-2018-14042", "version": "3.1.1", "severity": "MEDIUM", "status": "NEW", "state": "To verify",
         "cveId": "CVE-2018-14042", "cveName": "CVE-2018-14042", "cwe": "79", "firstFoundDate": "2022-05-06T10:47:54Z"}]}
    own = {"name": "Maven-com.beust:jcommander-1.72", "vulnerabilities": [
        {"id": "h2=", "similarityId": "Cx8fd408ac-dd80", "severity": "HIGH", "cveId": "Cx8fd408ac-dd80", "cveName": "", "cwe": "829"}]}
    chown = {"severity": "LOW", "state": "To verify", "fileName": "/Dockerfile", "queryName": "Chown Flag Exists", "category": "Practice"}
    platform = {"name": "Dockerfile", "vulnerabilities": [{**chown, "id": "k1", "similarityId": "s1"},
                                                          {**chown, "id": "k2", "similarityId": "s2"}]}
    told = {"reportHeader": {"projectName": "Shop"}, "scanResults": {
        "sca": {"packages": [package, own], "vulnerabilities": {"total": 2}}, "kics": {"results": [platform], "vulnerabilities": {}}}}
    first, second, third, fourth = findings_of(ONE, json.dumps(told))
    assert (first.source_key, first.cve, first.cwe, first.path) == (
        "sca:CVE-2018-14042:Npm-bootstrap-3.1.1", ("CVE-2018-14042",), (79,), "Npm-bootstrap-3.1.1")
    assert (second.source_key, second.cve, second.severity) == ("sca:Cx8fd408ac-dd80:Maven-com.beust:jcommander-1.72", (), Severity.HIGH)
    assert (third.source_key, fourth.source_key, third.title, third.path) == ("kics:s1", "kics:s2", "Chown Flag Exists", "/Dockerfile")
    assert (third.details["platform"], third.details["group"]) == ("Dockerfile", "Practice")


def test_results_of_a_scan_report_that_have_no_ids_are_told_apart_by_their_links_and_by_their_paths():
    told = {"severity": "High", "state": "To Verify", "sourceFileName": "/a.kt", "sourceLine": 69, "sourceNode": "s",
            "destinationFileName": "/b.kt", "destinationLine": 9, "nodes": []}
    linked = [{**told, "resultViewerLink": f"https://cx.example/p/s/sast?result-id={name}"} for name in ("3BD%2FLS%3D", "a+b=")]
    other = {**told, "nodes": [{"fileName": "/a.kt", "line": 71, "node": "t"}]}
    queries = [{"queryId": "", "queryName": name, "cweId": 79, "vulnerabilities": [*linked, told, other]} for name in ("XSS", "SSRF")]
    findings = findings_of(ONE, json.dumps({"scanResults": {"resultsList": queries}}))
    assert [finding.source_key for finding in findings[:2]] == ["sast:3BD/LS=", "sast:a+b="]
    assert len({finding.source_key for finding in [*findings[2:4], *findings[6:]]}) == 4
    assert {(finding.path, finding.line, finding.cwe) for finding in findings} == {("/a.kt", 69, (79,))}


def test_a_scan_report_is_known_by_its_head_and_tells_which_engines_are_left_out():
    long = {"reportHeader": {"projectName": "Shop"}, "reportType": "scan", "languageOverview": ["x" * 100_000], **SCAN_REPORT}
    assert len(findings_of(ONE, json.dumps(long))) == 4
    nothing = {"reportHeader": {"projectName": "Shop"}, "reportType": "scan", "scanResults": None, "containerScanResults": None}
    assert list(assets_of(ONE, json.dumps(nothing))) == ["Shop"]
    assert len(drafts_of(ONE, json.dumps({**nothing, "apiSecScanResults": {"totalResults": 0, "risks": []}}))) == 1
    assert isinstance(drafts_of(ONE, json.dumps({**nothing, "apiSecScanResults": {"risks": [{"name": "BOLA"}]}}))[-1], Unmapped)


def test_packages_of_a_scan_report_may_be_grouped_by_weakness():
    found = {"cve": "CVE-2024-12345", "severity": "High", "status": "New", "state": "To Verify", "resultId": "r1"}
    packages = [{"packageName": "flask", "packageVersion": "1.0", "packageId": "Python-flask-1.0",
                 "packageCategory": [{"categoryName": "CWE-539", "categoryResults": [found]}]}]
    (finding,) = findings_of(ONE, json.dumps({"reportType": "x", "scaScanResults": {"packages": packages}}))
    assert (finding.cve, finding.cwe, finding.severity, finding.path) == (("CVE-2024-12345",), (539,), Severity.HIGH, "Python-flask-1.0")
    assert finding.source_key == "sca:CVE-2024-12345:Python-flask-1.0"


@pytest.mark.parametrize(("image", "key"), [
    ("python:alpine3.8", "containers:CVE-2019-12900:libbz2:1.0.6-r6:python:alpine3.8"),
    ("reg.example:5000/python", "containers:CVE-2019-12900:libbz2:1.0.6-r6:reg.example:5000/python"),
])
def test_images_of_a_scan_report_have_layers_with_packages(image, key):
    package = {"packageName": "libbz2", "version": "1.0.6-r6",
               "vulnerabilities": [{"cve": "CVE-2019-12900", "severity": "Critical", "cwe": "CWE-787"}]}
    layers = [{"packages": [package]}, {"packages": [package]}, {"packages": []}]
    told = {"reportType": "Vulnerability Type", "containerScanResults": {"images": [{"name": image, "layers": layers}]}}
    findings = findings_of(ONE, json.dumps(told))
    assert {finding.source_key for finding in findings} == {key}
    assert (findings[0].severity, findings[0].cwe, findings[0].path) == (Severity.CRITICAL, (787,), image)


def test_the_notation_of_gitlab_is_read_when_checkmarx_wrote_it():
    told = {"id": "Client_DOM_XSS:/a.ts:744", "category": "Checkmarx-sast", "name": "Client_DOM_XSS", "severity": "Info",
            "description": "The &#34;method&#34;", "cve": "Client_DOM_XSS:/a.ts:744", "location": {"file": "/a.ts", "start_line": 744},
            "identifiers": [{"type": "cxOneScan", "name": "CxOne Scan", "value": "836714351"}]}
    report = {"scan": {"analyzer": {"id": "CxOne-SAST"}, "type": "sast"}, "version": "15.0.0", "vulnerabilities": [told, {
        **told, "category": "Checkmarx-kics", "identifiers": []}]}
    first, second = findings_of(ONE, json.dumps(report))
    assert (first.source_key, first.severity, first.path, first.line, first.cve) == (
        "sast:Client_DOM_XSS:/a.ts:744:836714351", Severity.INFO, "/a.ts", 744, ())
    assert (first.title, first.state) == ("Client DOM XSS", SourceState.OPEN)
    assert first.description.startswith('The "method"')
    assert (second.category, second.path, second.line) == ("iac", "/a.ts", 744)
    assert not ONE.recognises(json.dumps({**report, "scan": {"analyzer": {"id": "semgrep"}}}).encode())


def test_a_section_that_cannot_be_read_refuses_the_whole_report():
    strange = {"scaScanResults": {"packages": [{"packageName": "x", "vulnerabilities": [{"title": "?"}]}]}}
    assert refusal_of(ONE, json.dumps({**SCAN_REPORT, **strange})).place.startswith("/scaScanResults/packages/0")


@pytest.mark.parametrize(("record", "place"), [
    ({"severity": "HIGH", "similarityId": "1"}, "/results/0"), (sast(severity="AWFUL"), "/results/0"), (sast(data={}), "/results/0"),
])
def test_what_is_not_sound_in_a_json_is_refused_by_its_place(record, place):
    assert refusal_of(ONE, results(record)).place.startswith(place)


@pytest.mark.parametrize("body", ['{"results": []}', '{"results": [{"id": 1}]}', "[]", '{"scanResults": []}', "<CxXMLResult/>", "<a/>"])
def test_other_content_is_not_taken_for_checkmarx(body):
    assert not XML.recognises(body.encode())
    assert not ONE.recognises(body.encode())
