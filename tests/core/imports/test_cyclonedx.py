"""CycloneDX with vulnerabilities, in both notations, of old and new versions."""

import json
from typing import Any

import pytest

from core.hooks.contracts import AssetDraft, Severity, SourceState
from core.imports.formats.cyclonedx import CycloneDxReport
from tests.core.imports.reading import drafts_of, findings_of, refusal_of

PARSER = CycloneDxReport()
LOG4J = {"bom-ref": "log", "type": "library", "group": "org.apache.logging.log4j", "name": "log4j-core", "version": "2.14.1",
         "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}


def bom(*vulnerabilities: dict[str, Any], components: Any = (LOG4J,), **more: Any) -> str:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": list(components),
                       "vulnerabilities": list(vulnerabilities), **more})


def vulnerability(**more: Any) -> dict[str, Any]:
    return {"id": "CVE-2021-44228", "affects": [{"ref": "log"}], "ratings": [{"severity": "critical", "score": 10.0}], "cwes": [502],
            **more}


def one(**more: Any) -> Any:
    (finding,) = findings_of(PARSER, bom(vulnerability(**more)))
    return finding


def test_a_vulnerability_of_a_component_is_a_finding():
    finding = one(description="Log4Shell\nLookups run code.", recommendation="Upgrade to 2.17.1")
    assert finding.source_key == "CVE-2021-44228:pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
    assert finding.title == "CVE-2021-44228: Log4Shell (org.apache.logging.log4j:log4j-core@2.14.1)"
    assert (finding.severity, finding.cwe, finding.cve) == (Severity.CRITICAL, (502,), ("CVE-2021-44228",))
    assert finding.path == "org.apache.logging.log4j:log4j-core@2.14.1"
    assert finding.description.endswith("Upgrade to 2.17.1")
    assert (finding.details["version"], finding.details["score"]) == ("2.14.1", 10.0)


def test_each_component_that_is_affected_is_a_finding():
    other = {"bom-ref": "npm", "name": "left-pad", "version": "1.0.0"}
    nested = {"bom-ref": "app", "name": "app", "components": [{"bom-ref": "inner", "name": "inner", "version": "3"}]}
    affects = [{"ref": ref} for ref in ("log", "npm", "inner", "urn:cdx:1/1#elsewhere")]
    findings = findings_of(PARSER, bom(vulnerability(affects=affects), components=[LOG4J, other, nested]))
    assert [finding.path for finding in findings] == [
        "org.apache.logging.log4j:log4j-core@2.14.1", "left-pad@1.0.0", "inner@3", "elsewhere"]
    assert len({finding.source_key for finding in findings}) == 4


def test_a_component_may_be_named_by_its_purl_and_stand_behind_the_vulnerabilities():
    document = {"bomFormat": "CycloneDX", "vulnerabilities": [vulnerability(affects=[{"ref": LOG4J["purl"]}])], "components": [LOG4J]}
    assert findings_of(PARSER, json.dumps(document))[0].details["package"] == "org.apache.logging.log4j/log4j-core"


def test_a_new_version_with_the_same_weakness_has_a_second_chance():
    newer = {**LOG4J, "version": "2.15.0", "purl": LOG4J["purl"].replace("2.14.1", "2.15.0")}
    before, after = (findings_of(PARSER, bom(vulnerability(), components=[component]))[0] for component in (LOG4J, newer))
    assert before.source_key != after.source_key
    assert before.fingerprint == after.fingerprint


@pytest.mark.parametrize(("ratings", "severity"), [
    ([{"severity": "high"}], Severity.HIGH),
    ([{"severity": "none"}], Severity.INFO),
    ([{"severity": "unknown", "score": 9.1}], Severity.CRITICAL),
    ([{"score": 5.0}], Severity.MEDIUM),
    ([{"severity": "low", "source": {"name": "GHSA"}}, {"severity": "high", "source": {"name": "NVD"}}], Severity.HIGH),
    ([{"severity": "low", "source": {"name": "GHSA"}}, {"severity": "high", "source": {"name": "RH"}}], Severity.LOW),
    ([], Severity.MEDIUM),
    ([{"method": "CVSSv3"}], Severity.MEDIUM),
    ([{"severity": "unknown"}], Severity.MEDIUM),
    ([{"severity": "unknown", "source": {"name": "NVD"}}, {"severity": "high", "source": {"name": "RH"}}], Severity.HIGH),
    ([{"score": 9.9, "source": {"name": "RH"}}, {"severity": "low", "source": {"name": "GHSA"}}], Severity.LOW),
    ([{"severity": "low", "method": "OWASP"}, {"severity": "critical", "method": "CVSSv31"}, {"severity": "medium", "method": "CVSSv2"}],
     Severity.CRITICAL),
    ([{"severity": "high", "method": "CVSSv3"}, {"severity": "medium", "method": "CVSSv4"}], Severity.MEDIUM),
    ([{"severity": "critical"}, {"score": 5.0, "method": "CVSSv31"}], Severity.CRITICAL),
    ([{"score": 0.03, "method": "other", "source": {"name": "FIRST"}}, {"score": 8.2, "method": "CVSSv31"}], Severity.HIGH),
    ([{"severity": "unknown"}, {"score": 1, "method": "other", "source": {"name": "CISA KEV Catalog"}}], Severity.MEDIUM),
    ([{"severity": "low", "source": {"name": "GHSA"}}, {"severity": "high", "source": {"name": "RH"}, "method": "CVSSv31"}], Severity.LOW),
])
def test_the_rating_of_the_vulnerabilitys_own_database_counts_else_the_first_and_of_one_database_the_newest_method(ratings, severity):
    assert one(ratings=ratings, source={"name": "NVD"}).severity is severity


@pytest.mark.parametrize(("analysis", "state"), [
    ("exploitable", SourceState.OPEN), ("in_triage", SourceState.OPEN), ("resolved", SourceState.FIXED),
    ("resolved_with_pedigree", SourceState.FIXED), ("false_positive", SourceState.FALSE_POSITIVE),
    ("not_affected", SourceState.FALSE_POSITIVE),
])
def test_the_analysis_makes_the_state(analysis, state):
    finding = one(analysis={"state": analysis, "justification": "code_not_reachable", "detail": "we looked"})
    assert (finding.state, finding.source_status) == (state, analysis)
    assert finding.details["justification"] == "code_not_reachable"


def test_a_vulnerability_that_affects_nothing_named_is_of_the_whole():
    findings = findings_of(PARSER, bom(vulnerability(affects=[]), metadata={"component": {"name": "shop", "version": "7"}}))
    assert [finding.path for finding in findings] == ["shop@7"]
    assert [finding.path for finding in findings_of(PARSER, bom(vulnerability(affects=[])))] == [""]


def test_other_names_dates_and_advisories_are_kept():
    finding = one(id="GHSA-jfh8-c2jp-5v3q", references=[{"id": "CVE-2021-44228"}], source={"name": "GitHub", "url": "https://ghsa.example"},
                  advisories=[{"url": "https://a.example"}], published="2021-12-10T00:00:00Z", updated="2021-12-11T00:00:00Z")
    assert (finding.cve, finding.url) == (("CVE-2021-44228",), "https://ghsa.example")
    assert (finding.created_at, finding.updated_at) == (1639094400000, 1639180800000)
    assert finding.details["also_known_as"] == ["CVE-2021-44228"]


def test_the_thing_itself_and_services_may_be_affected():
    subject = {"bom-ref": "root", "name": "shop", "version": "7", "components": [{"bom-ref": "part", "name": "part", "version": "1"}]}
    services = [{"bom-ref": "pay", "name": "payments", "services": [{"bom-ref": "card", "name": "cards"}]}]
    affects = [{"ref": ref} for ref in ("root", "part", "pay", "card")]
    findings = findings_of(PARSER, bom(vulnerability(affects=affects), metadata={"component": subject}, services=services))
    assert [finding.path for finding in findings] == ["shop@7", "part@1", "payments", "cards"]


def test_one_package_in_two_places_is_two_findings_and_keeps_its_keys():
    twin = {**LOG4J, "bom-ref": "5b0c-another-each-time"}
    affects = [{"ref": "log"}, {"ref": twin["bom-ref"]}]
    keys = [finding.source_key for finding in findings_of(PARSER, bom(vulnerability(affects=affects), components=[LOG4J, twin]))]
    assert keys == [f"CVE-2021-44228:{LOG4J['purl']}", f"CVE-2021-44228:{LOG4J['purl']}:2"]


@pytest.mark.parametrize(("versions", "state"), [
    ([{"version": "2.14.1", "status": "affected"}, {"range": "vers:maven/>=2.15", "status": "unaffected"}], SourceState.OPEN),
    ([{"range": "vers:maven/*", "status": "unaffected"}], SourceState.FALSE_POSITIVE),
    ([{"version": "2.14.1"}], SourceState.OPEN),
])
def test_a_component_whose_versions_are_all_unaffected_is_not_affected(versions, state):
    finding = one(affects=[{"ref": "log", "versions": versions}])
    assert (finding.state, len(finding.details["versions"])) == (state, len(versions))


def test_a_lone_version_needs_no_list():
    finding = one(affects=[{"ref": "log", "versions": {"version": "2.14.1", "status": "unaffected"}}])
    assert (finding.state, finding.details["versions"]) == (SourceState.FALSE_POSITIVE, ["2.14.1"])


@pytest.mark.parametrize(("told", "name"), [
    ({"references": [{"id": "CVE-2024-1"}], "bom-ref": "v1"}, "CVE-2024-1"), ({"bom-ref": "v1"}, "v1"),
])
def test_a_vulnerability_without_an_id_is_known_by_what_else_names_it(told, name):
    (finding,) = findings_of(PARSER, bom({"affects": [{"ref": "log"}], **told}))
    assert finding.source_key == f"{name}:{LOG4J['purl']}"


@pytest.mark.parametrize("empty", [
    {"ratings": None}, {"cwes": None}, {"advisories": None}, {"references": None}, {"source": None}, {"analysis": None},
    {"description": None}, {"created": "yesterday"}, {"updated": "0001-01-01T00:00:00Z"}, {"affects": [{"ref": "log", "versions": None}]},
], ids=str)
def test_what_a_vulnerability_has_as_null_is_no_fault(empty):
    assert one(**empty).updated_at is None


def test_what_the_bill_is_about_is_the_asset_without_its_version():
    first = drafts_of(PARSER, bom(metadata={"component": {"name": "shop", "group": "acme", "version": "7", "type": "application"}}))[0]
    assert isinstance(first, AssetDraft)
    assert (first.key, first.name, first.attributes) == ("acme/shop", "acme/shop", {"version": "7", "type": "application"})
    assert drafts_of(PARSER, bom()) == []


NEW_XML = """<?xml version="1.0"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.4">
  <metadata><component type="application"><name>shop</name><version>7</version></component></metadata>
  <components><component type="library" bom-ref="log"><group>org.apache</group><name>log4j</name><version>2.14</version>
    <purl>pkg:maven/org.apache/log4j@2.14</purl></component></components>
  <vulnerabilities>
    <vulnerability bom-ref="v1"><id>CVE-2021-44228</id><source><name>NVD</name><url>https://nvd.example</url></source>
      <references><reference><id>GHSA-1</id></reference></references>
      <ratings><rating><source><name>NVD</name></source><score>10.0</score><severity>critical</severity><method>CVSSv31</method></rating></ratings>
      <cwes><cwe>502</cwe><cwe>917</cwe></cwes><description>Log4Shell</description><recommendation>Upgrade</recommendation>
      <advisories><advisory><url>https://a.example</url></advisory></advisories><published>2021-12-10T00:00:00Z</published>
      <analysis><state>exploitable</state></analysis>
      <affects><target><ref>log</ref><versions><version><version>2.14</version></version></versions></target></affects></vulnerability>
  </vulnerabilities>
</bom>"""
OLD_XML = """<bom xmlns="http://cyclonedx.org/schema/bom/1.2" xmlns:v="http://cyclonedx.org/schema/ext/vulnerability/1.0">
  <components><component type="library" bom-ref="log"><name>log4j</name><version>2.14</version><purl>pkg:maven/log4j@2.14</purl>
    <v:vulnerabilities><v:vulnerability ref="log"><v:id>CVE-2018-7489</v:id><v:source name="NVD"><v:url>https://nvd.example</v:url></v:source>
      <v:ratings><v:rating><v:score><v:base>9.8</v:base></v:score><v:severity>Critical</v:severity><v:method>CVSSv3</v:method></v:rating></v:ratings>
      <v:cwes><v:cwe>184</v:cwe></v:cwes><v:description>Bypass</v:description>
      <v:recommendations><v:recommendation>Upgrade</v:recommendation></v:recommendations>
      <v:advisories><v:advisory>https://a.example</v:advisory></v:advisories></v:vulnerability></v:vulnerabilities></component></components>
  <v:vulnerabilities><v:vulnerability ref="log"><v:id>CVE-2020-1</v:id></v:vulnerability></v:vulnerabilities>
</bom>"""


def test_the_xml_notation_says_the_same():
    asset, finding = drafts_of(PARSER, NEW_XML)
    assert asset.key == "shop"
    assert finding.source_key == "CVE-2021-44228:pkg:maven/org.apache/log4j@2.14"
    assert (finding.severity, finding.cwe, finding.path) == (Severity.CRITICAL, (502, 917), "org.apache:log4j@2.14")
    assert (finding.source_status, finding.url, finding.created_at) == ("exploitable", "https://nvd.example", 1639094400000)
    assert finding.details["advisories"] == ["https://nvd.example", "https://a.example"]
    assert finding.details["versions"] == ["2.14"]


def test_the_extension_of_older_versions_is_read_within_components_and_beside_them():
    inner, outer = findings_of(PARSER, OLD_XML)
    assert (inner.source_key, inner.severity, inner.cwe) == ("CVE-2018-7489:pkg:maven/log4j@2.14", Severity.CRITICAL, (184,))
    assert (inner.details["score"], inner.details["advisories"]) == (9.8, ["https://nvd.example", "https://a.example"])
    assert (outer.source_key, outer.path, outer.severity) == ("CVE-2020-1:pkg:maven/log4j@2.14", "log4j@2.14", Severity.MEDIUM)


@pytest.mark.parametrize(("data", "place"), [
    (bom({"affects": []}), "/vulnerabilities/0"),
    (bom(vulnerability(affects=[{}])), "/vulnerabilities/0"),
    (bom(components=[{"version": "1"}]), "/components/0"),
    (bom(metadata=5), "/metadata"),
    (NEW_XML.replace("<name>log4j</name>", ""), "/bom/components/component (line 4)"),
    (NEW_XML.replace("<id>CVE-2021-44228</id>", "").replace("<id>GHSA-1</id>", "").replace(' bom-ref="v1"', ""),
     "/bom/vulnerabilities/vulnerability (line 7)"),
    (NEW_XML.replace("</bom>", ""), "line 15"),
])
def test_what_is_not_sound_is_refused_by_its_place(data, place):
    assert refusal_of(PARSER, data).place.startswith(place)


@pytest.mark.parametrize("data", ["{}", '{"vulnerabilities": []}', "<bom/>", '<bom xmlns="http://example.org/"/>', "[]", "title,severity"])
def test_other_content_is_not_taken_for_cyclonedx(data):
    assert not PARSER.recognises(data.encode())
