"""Files that Checkmarx wrote, uploaded in place of a pull: the XML of CxSAST, results of Checkmarx One as its API and its command line
write them (also for GitLab), and the JSON of a scan report."""

from collections.abc import Iterator, Mapping
from functools import partial
from html import unescape
from typing import Any

from core.hooks.contracts import AssetDraft, FindingDraft, ReportFile, RuleDraft, SourceState, Unmapped
from core.hooks.failures import ReportInvalid
from core.imports.formats.sarif import moment_of
from core.imports.json_stream import JsonStream, outline
from core.imports.limits import MOST_STEPS
from core.imports.xml_stream import Element, elements, root
from plugins.checkmarx import scan_report
from plugins.checkmarx.engines import query_rule
from plugins.checkmarx.mapper import PROJECT_KIND, Keys, Origin, natural_key, result_mark, result_to_finding, rule_of
from plugins.checkmarx.readings import cwe_of, fingerprint, line_of, normal_state, severity_of, without_nothing, words

Record = Mapping[str, Any]
Drafts = Iterator[AssetDraft | RuleDraft | FindingDraft | Unmapped]

_ROOT = "CxXMLResults"
#: the states of CxSAST, which its XML has as numbers
_STATES = {"0": "TO_VERIFY", "1": "NOT_EXPLOITABLE", "2": "CONFIRMED", "3": "URGENT", "4": "PROPOSED_NOT_EXPLOITABLE"}
_SCAN_REPORT = {"scanResults": scan_report.of_code, "iacScanResults": scan_report.of_configurations,
                "scaScanResults": scan_report.of_packages, "containerScanResults": scan_report.of_images}
#: what a scan report begins with; its results may stand behind all of its tables
_REPORT_HEADS = frozenset({"reportType", "executiveSummary", "scanInformation"})
_DATES = ("firstFoundAt", "foundAt", "created")
_TYPES = frozenset({"sast", "sca", "kics", "containers", "sca-container", "sscs-secret-detection", "sscs-scorecard"})


class CxSastReport:
    """The XML report of CxSAST: a query, its results, and the path of each."""

    format, title, source = "checkmarx-xml", "Checkmarx CxSAST XML", "checkmarx"

    def recognises(self, head: bytes) -> bool:
        outermost = root(head)
        return outermost is not None and outermost.name == _ROOT

    def read(self, report: ReportFile) -> Drafts:
        keys, query = Keys(), None
        for element in elements(report, {"Result"}, {_ROOT, "Query"}):
            if element.name == _ROOT:
                yield from _project(element.attributes.get("ProjectName", ""))
            elif element.name == "Query":
                query = element
                yield element.mapped(_query_to_rule)
            elif query is None:
                raise element.invalid("A result stands outside of a query")
            else:
                yield element.mapped(partial(_result_of_sast, query.attributes, keys))


class CheckmarxOneReport:
    """The JSON of Checkmarx One: ``{"results": [...]}`` of all engines or of one, or a scan report, which has results by query."""

    format, title, source = "checkmarx-one", "Checkmarx One JSON", "checkmarx"

    def recognises(self, head: bytes) -> bool:
        document = outline(head)
        if not isinstance(document, dict):
            return False
        if any(isinstance(document.get(name), dict) for name in _SCAN_REPORT):
            return True
        if isinstance(document.get("reportHeader"), dict) and _REPORT_HEADS & set(document):
            return True
        if _is_for_gitlab(document):
            return True
        results = document.get("results")
        if "results" in document and not results:  # an empty list, which the API writes as null
            return bool({"totalCount", "scanID"} & set(document))
        return isinstance(results, list) and isinstance(results[0], dict) and _is_result(results[0])

    def read(self, report: ReportFile) -> Drafts:
        keys, rules, has_results, total = Keys(), set[str](), False, 0
        take = partial(_result, keys)
        with JsonStream(report) as document:
            for name in document.members():
                kind = document.kind()
                has_results = has_results or name in ("results", "vulnerabilities", *_SCAN_REPORT)
                if name == "projectName":
                    yield from _project(document.text())
                elif name == "reportHeader" and kind == "object":
                    yield from _project(str(document.value().get("projectName") or ""))
                elif name == "totalCount" and kind == "number":
                    total = document.value()
                elif name == "results" and kind == "array":
                    yield from _told(document.each(take), rules)
                elif name == "vulnerabilities" and kind == "array":
                    yield from _told(document.each(lambda told: take(_of_gitlab(told))), rules)
                elif name in _SCAN_REPORT and kind == "object":
                    yield from _told(_SCAN_REPORT[name](document, take), rules)
                elif name == "apiSecScanResults" and kind == "object" and scan_report.has_any(document):
                    yield Unmapped("Risks of APIs are not read from a scan report")
        if not has_results:
            raise ReportInvalid("The file has no results", "line 1, column 1")
        if total > keys.given:
            yield Unmapped(f"Of {total} results {keys.given} were sent: the others are on further pages")


def _is_result(record: Record) -> bool:
    return record.get("type") in _TYPES or ("severity" in record and bool({"similarityId", "similarityID"} & set(record)))


def _is_for_gitlab(document: Record) -> bool:
    """Whether the command line wrote it in the notation that GitLab reads."""
    scan = document.get("scan")
    tool = (scan.get("analyzer") or scan.get("scanner")) if isinstance(scan, Mapping) else None
    return isinstance(tool, Mapping) and str(tool.get("id")).startswith("CxOne")


def _project(name: str) -> Iterator[AssetDraft]:
    if name:
        yield AssetDraft(name, name, PROJECT_KIND)


def _told(drafts: Iterator[FindingDraft], rules: set[str]) -> Iterator[RuleDraft | FindingDraft]:
    """The findings, each rule told once before them. Texts of SAST queries are left for a connection to ask for."""
    for draft in drafts:
        if draft.rule and draft.rule not in rules and draft.category != "sast":
            rules.add(draft.rule)
            yield rule_of(draft)
        yield draft


# -- Checkmarx One --------------------------------------------------------------------------------------------------------------


def _result(keys: Keys, told: Record) -> FindingDraft:
    record = {**(_of_one_engine(told) if "queryID" in told else told)}
    record["state"] = record.get("state") or "TO_VERIFY"
    record |= {name: None for name in _DATES if moment_of(record.get(name)) is None}
    if record["type"] == "sca" and "packageIdentifier" not in (record.get("data") or {}):
        record["type"] = "sca-container"  # as the API calls them; the command line has both under one name
    return result_to_finding(record, Origin(), keys.key(natural_key(record), result_mark(record)))


def _of_one_engine(told: Record) -> dict[str, Any]:
    """A result of ``/api/sast-results`` or ``/api/kics-results``, which spell ids in capitals, as ``/api/results`` has it."""
    is_sast = "nodes" in told or "languageName" in told
    return {
        **told,
        "type": "sast" if is_sast else "kics",
        "id": told.get("ID") or told.get("resultHash") or told["similarityID"],
        "similarityId": told.get("similarityID"),
        "data": {**told, "queryId": told.get("queryIDStr") or told["queryID"]},
        "vulnerabilityDetails": {"cweId": told.get("cweID") or told.get("cwe"), "compliances": told.get("compliances")},
    }


def _of_gitlab(told: Record) -> dict[str, Any]:
    """A result in GitLab's notation as the API would tell it; the notation has no states."""
    place, name = told.get("location") or {}, told["name"]
    similarity = next((entry.get("value") for entry in told.get("identifiers") or () if entry.get("type") == "cxOneScan"), None)
    return {
        "type": "kics" if str(told.get("category")).endswith("-kics") else "sast",
        "id": ":".join(map(str, filter(None, (told["id"], similarity)))),
        "similarityId": similarity,
        "severity": told["severity"],
        "description": unescape(str(told.get("description") or "")),
        "data": {"queryId": name, "queryName": name, "fileName": place.get("file"), "line": place.get("start_line"),
                 "nodes": [{"fileName": place.get("file"), "line": place.get("start_line")}]},
    }


# -- CxSAST ---------------------------------------------------------------------------------------------------------------------


def _query_to_rule(query: Element) -> RuleDraft:
    told = query.attributes
    return RuleDraft(query_rule(told["id"]), words(told["name"]), cwe=cwe_of(told.get("cweId")))


def _result_of_sast(query: Mapping[str, str], keys: Keys, result: Element) -> FindingDraft:
    """A result; its place is where its path begins."""
    told, path = result.attributes, result.child("Path")
    nodes = result.all("Path", "PathNode")
    similarity = path.attributes.get("SimilarityId", "") if path is not None else ""
    steps = [_step(node) for node in nodes]
    way = fingerprint(*steps, *(node.said("Column") for node in nodes))
    natural = f"cxsast:{query['id']}:{similarity or way}"
    state = _STATES.get(told.get("state") or "0", told.get("state", ""))
    return FindingDraft(
        source_key=keys.key(natural, way),
        title=words(query["name"]),
        severity=severity_of(told.get("Severity") or query["Severity"]),
        state=_state(told, state),
        source_status=normal_state(state),
        category="sast",
        rule=query_rule(query["id"]),
        description="\n".join(f"{number}. {step}" for number, step in enumerate(steps[:MOST_STEPS], 1)),
        cwe=cwe_of(query.get("cweId")),
        path=told.get("FileName") or (nodes[0].said("FileName") if nodes else ""),
        line=line_of(told.get("Line")),
        url=told.get("DeepLink") or "",
        fingerprint=fingerprint("cxsast", query["id"], similarity or way),
        details=without_nothing({
            "engine": "sast",
            "status": (told.get("Status") or "").upper(),
            "similarity_id": similarity,
            "language": query.get("Language"),
            "group": query.get("group"),
            "categories": query.get("categories"),
            "sink": steps[-1] if len(steps) > 1 else "",
            "comment": told.get("Remark"),
        }),
    )


def _state(told: Mapping[str, str], state: str) -> SourceState:
    if (told.get("Status") or "").lower() == "fixed":
        return SourceState.FIXED
    is_dismissed = (told.get("FalsePositive") or "").lower() == "true" or state == "NOT_EXPLOITABLE"
    return SourceState.FALSE_POSITIVE if is_dismissed else SourceState.OPEN


def _step(node: Element) -> str:
    return f"{node.said('FileName')}:{node.said('Line')} {node.said('Name')}".strip()
