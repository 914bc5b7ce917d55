"""A small sound report of every format, as its tool writes it."""

import io
import json
import zipfile
from typing import Any


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in files.items():
            made.writestr(name, body)
    return held.getvalue()


SARIF = _json({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{
    "tool": {"driver": {"name": "Acme", "rules": [{"id": "R1", "properties": {"tags": ["CWE-79"], "security-severity": "8.1"}}]}},
    "results": [{"ruleId": "R1", "level": "error", "message": {"text": f"Finding {number}"}, "suppressions": [{"kind": "inSource"}],
                 "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/é.py"}, "region": {"startLine": number}}}]}
                for number in (1, 2)]}]})
SNYK_SARIF = _json({"version": "2.1.0", "runs": [{
    "tool": {"driver": {"name": "Snyk Open Source", "rules": [
        {"id": "SNYK-1", "shortDescription": {"text": "Critical severity - RCE in left-pad"}}]}},
    "automationDetails": {"id": "Snyk/Open Source/org/app/0/2026-01-01T00:00:00Z"},
    "results": [{"ruleId": "SNYK-1", "level": "error", "message": {"text": "m"}, "locations": [{"physicalLocation": {
        "artifactLocation": {"uri": "package.json"}}, "logicalLocations": [{"fullyQualifiedName": "left-pad@1.0.0"}]}]}]}]})
SNYK_CLI = _json({"vulnerabilities": [
    {"CVSSv3": "CVSS:3.1/AV:N", "cvssScore": 9.8, "id": "SNYK-JS-1", "title": "RCE", "severity": "high", "severityWithCritical": "critical",
     "identifiers": {"CVE": ["CVE-2024-12345"], "CWE": ["CWE-94"]}, "packageName": "left-pad", "version": "1.0.0",
     "from": ["app@1", way, "left-pad@1.0.0"], "upgradePath": [False, "a@2"], "fixedIn": ["1.1.0"]} for way in ("a@1", "b@1")],
    "ok": False, "dependencyCount": 2, "projectName": "app", "displayTargetFile": "package.json", "packageManager": "npm"})
SNYK_REST = _json({"jsonapi": {"version": "1.0"}, "data": [{"id": "1534153a", "type": "issue", "attributes": {
    "key": "SNYK-PY-1", "title": "DoS", "type": "package_vulnerability", "status": "open", "ignored": False,
    "created_at": "2025-09-11T18:25:22Z", "effective_severity_level": "high", "classes": [{"id": "CWE-400"}],
    "problems": [{"id": "SNYK-PY-1", "source": "SNYK"}],
    "coordinates": [{"representations": [{"dependency": {"package_name": "pillow", "package_version": "9.5.0"}}]}]},
    "relationships": {"scan_item": {"data": {"id": "p-1", "type": "project"}}}}]})
SONAR = _json({"paging": {"pageIndex": 1, "pageSize": 100, "total": 1}, "issues": [
    {"key": "AY1", "rule": "java:S2077", "severity": "MAJOR", "component": "acme:shop:src/A.java", "project": "acme:shop", "line": 3,
     "status": "OPEN", "message": "Bind this (CWE-89)", "type": "VULNERABILITY", "creationDate": "2024-01-01T00:00:00+0000"}],
    "components": [{"key": "acme:shop", "qualifier": "TRK", "name": "Shop"}]})
SONAR_ZIP = zipped({"page1.json": SONAR, "README.txt": b"pages"})
CHECKMARX_ONE = _json({"results": [{
    "type": "sast", "id": "1", "similarityId": "-5", "status": "NEW", "state": "TO_VERIFY", "severity": "HIGH",
    "data": {"queryId": 11, "queryName": "SQL_Injection", "resultHash": "abc=", "nodes": [{"fileName": "/a.java", "line": 4, "name": "x"}]},
    "vulnerabilityDetails": {"cweId": 89}}], "totalCount": 1})
CHECKMARX_XML = b"""<?xml version="1.0" encoding="utf-8"?>
<CxXMLResults ProjectName="Webgoat" ScanId="1"><Query id="594" cweId="89" name="SQL_Injection" Severity="High" Language="Java">
<Result NodeId="1" FileName="a.java" Status="New" Line="38" FalsePositive="False" Severity="High" state="0" Remark="" DeepLink="https://cx.example">
<Path SimilarityId="-11"><PathNode><FileName>a.java</FileName><Line>38</Line><Column>5</Column><Name>x</Name></PathNode></Path></Result>
</Query></CxXMLResults>"""
CYCLONEDX = _json({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [{"bom-ref": "c", "name": "log4j", "version": "2.14"}],
                   "vulnerabilities": [{"id": "CVE-2021-44228", "ratings": [{"severity": "critical"}], "cwes": [502],
                                        "affects": [{"ref": "c"}]}]})
CYCLONEDX_XML = b"""<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component bom-ref="c">
<name>log4j</name><version>2.14</version></component></components><vulnerabilities><vulnerability><id>CVE-2021-44228</id><ratings><rating><severity>critical
</severity></rating></ratings><affects><target><ref>c</ref></target></affects></vulnerability></vulnerabilities></bom>"""
CSV = b'title,severity,path,line,cwe\n"SQL ""injection""",high,a.py,3,CWE-89\nXSS,low,b.py,4,79\n'

#: by the name of the format that recognises it
REPORTS = {"sarif": SARIF, "snyk-sarif": SNYK_SARIF, "snyk-cli": SNYK_CLI, "snyk-rest": SNYK_REST, "sonarqube": SONAR,
           "checkmarx-one": CHECKMARX_ONE, "checkmarx-xml": CHECKMARX_XML, "cyclonedx": CYCLONEDX, "csv": CSV}
#: other notations of the same formats
OTHERS = {"sonarqube": SONAR_ZIP, "cyclonedx": CYCLONEDX_XML}
EVERY = [*REPORTS.items(), *OTHERS.items()]
