"""Files that the real tools wrote, where the folder with them is present: each gives the findings that a plain reading finds in it."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from core.assets.models import Asset
from core.findings import rollups
from core.findings.models import Finding, FindingEvent
from core.hooks.contracts import Severity

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"
FOLDERS = ("sonarqube", "snyk", "checkmarx", "sarif", "cyclonedx")
FILES = sorted(path for folder in FOLDERS if (SAMPLES / folder).is_dir() for path in (SAMPLES / folder).iterdir())


class Read(NamedTuple):
    """What a plain reading says of one finding; ``key`` is what its source key has to hold."""

    key: str
    severity: str
    cwe: frozenset[int]
    path: str
    line: int | None


# -- plain readings, each of one format ------------------------------------------------------------------------------------------


def sonar(path: Path) -> list[Read]:
    told = json.loads(path.read_text())
    records = told if isinstance(told, list) else told.get("issues") or told["hotspots"]
    words = {"BLOCKER": "CRITICAL", "CRITICAL": "HIGH", "MAJOR": "MEDIUM", "MINOR": "LOW"}
    by_key = {}
    for record in records:
        texts = " ".join([record["message"], *(record.get("tags") or ())])
        named = {int(number) for number in re.findall(r"CWE-(\d+)", texts, re.IGNORECASE)}
        named |= {"xss": {79}}.get(record.get("securityCategory"), set())
        component = record["component"].removeprefix(record["project"]).removeprefix(":")
        severity = record.get("vulnerabilityProbability") or words[record["severity"]]
        by_key[record["key"]] = Read(record["key"], severity, frozenset(named), component, record.get("line"))
    return list(by_key.values())


def snyk_cli(path: Path) -> list[Read]:
    told = json.loads(path.read_text())
    found = {}
    for project in told if isinstance(told, list) else [told]:
        for record in project["vulnerabilities"]:
            cwe = frozenset(int(name.removeprefix("CWE-")) for name in record["identifiers"]["CWE"])
            package = f"{record['packageName']}@{record['version']}"
            key = project["projectName"], record["id"], package
            found[key] = Read(f"{record['id']}:{package}", record["severityWithCritical"].upper(), cwe, package, None)
    return list(found.values())


def snyk_rest(path: Path) -> list[Read]:
    read = []
    for record in json.loads(path.read_text())["data"]:
        facts = record["attributes"]
        package = facts["coordinates"][0]["representations"][0]["dependency"]
        read.append(Read(record["id"], facts["effective_severity_level"].upper(),
                         frozenset(int(entry["id"].removeprefix("CWE-")) for entry in facts["classes"]),
                         f"{package['package_name']}@{package['package_version']}", None))
    return read


def sarif(path: Path) -> list[Read]:
    words = {"error": "HIGH", "warning": "MEDIUM", "note": "LOW"}
    read = []
    for run in json.loads(path.read_text())["runs"]:
        rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
        for result in run["results"]:
            rule = rules.get(result.get("ruleId"), {})
            cwe = frozenset(int(name.removeprefix("CWE-")) for name in (rule.get("properties") or {}).get("cwe", ()))
            place = result["locations"][0]["physicalLocation"]
            read.append(Read(f"{result.get('ruleId', '')}#", words[result.get("level", "warning")], cwe, place["artifactLocation"]["uri"],
                             place["region"]["startLine"]))
    return read


def checkmarx_one(path: Path) -> list[Read]:
    read = []
    for record in json.loads(path.read_text())["results"]:
        data, kind = record["data"], record["type"]
        number = re.search(r"\d+", str(record["vulnerabilityDetails"].get("cweId") or ""))
        node = (data.get("nodes") or [data])[0]
        place = {"sast": node.get("fileName"), "kics": data.get("fileName") or data.get("filename"), "sca": data.get("packageIdentifier"),
                 "sca-container": f"{data.get('packageName')} {data.get('packageVersion')}"}[kind]
        key = {"sast": data.get("resultHash"), "kics": record["similarityId"]}.get(kind, record["id"])
        read.append(Read(f"{kind}:{key}", record["severity"], frozenset({int(number[0])} if number else ()), place, node.get("line")))
    return read


def cxsast(path: Path) -> list[Read]:
    read = []
    for query in ElementTree.parse(path).getroot().iter("Query"):
        for result in query.iter("Result"):
            read.append(Read(result.find("Path").attrib["SimilarityId"], result.attrib["Severity"].upper(),
                             frozenset({int(query.attrib["cweId"])}), result.attrib["FileName"], int(result.attrib["Line"])))
    return read


def cyclonedx(path: Path) -> list[Read]:
    assert "vulnerabilit" not in path.read_text()  # a bill of materials that knows of none
    return []


READINGS = {"sonarqube/*": sonar, "snyk/cli_*": snyk_cli, "snyk/rest_*": snyk_rest, "*/*sarif*": sarif, "checkmarx/one_*": checkmarx_one,
            "checkmarx/*.xml": cxsast, "cyclonedx/*": cyclonedx}


def plain(path: Path) -> list[Read]:
    return next(read for pattern, read in READINGS.items() if path.match(pattern))(path)


# -- against what is stored ------------------------------------------------------------------------------------------------------


def stored() -> list[Finding]:
    return list(Finding.select().order_by(Finding.id))


def as_read(finding: Finding, key: str) -> Read:
    cwe = frozenset(int(part) for part in finding.cwe.split(",") if part)
    return Read(key, Severity(finding.severity).name, cwe, finding.path, finding.line)


def rows() -> list[Any]:
    return [row.__data__ for row in stored()]


@pytest.mark.parametrize("named", [True, False])
def test_every_sample_gives_the_findings_that_it_holds_and_a_second_time_changes_nothing(send, subtests, named):
    for path in FILES:
        if path.name == "rule_show.json":
            continue
        with subtests.test(path.name):
            Finding.delete().execute()
            Asset.delete().execute()
            query = {"asset": path.name} if named else {"name": path.name}
            body = path.read_bytes()
            told = send(body, **query)
            expected = plain(path)
            findings = stored()
            assert len(findings) == len(expected) == told["run"]["counts"]["added"]
            matched = []
            for read in expected:
                fits = [finding for finding in findings if read.key in finding.source_key and as_read(finding, read.key) == read]
                assert fits, read
                matched.append(fits[0])
                findings.remove(fits[0])
            assert rollups.check() == []
            if named:
                assert [asset.name for asset in Asset.select()] == [path.name]
            before = rows()
            assert send(body, **query)["run"]["counts"]["unchanged"] == len(expected)
            assert rows() == before
            assert FindingEvent.select().count() == 0


def test_the_text_of_a_rule_is_refused_as_no_report(send, subtests):
    for path in FILES:
        if path.name == "rule_show.json":
            with subtests.test(path.name):
                told = send(path.read_bytes(), expect=400, asset="x")
                assert "holds no findings" in told["error"]
                assert told["details"]["place"]
