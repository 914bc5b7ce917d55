"""Files that Checkmarx wrote, uploaded in place of a pull: the XML of CxSAST, results of Checkmarx One as its API and its command line
write them (also for GitLab), and the JSON of a scan report."""

from collections.abc import Iterator, Mapping
from functools import partial
from html import unescape
from typing import Any
from urllib.parse import parse_qs

from core import clock
from core.hooks.contracts import AssetDraft, FindingDraft, ReportFile, RuleDraft, SourceState, Unmapped
from core.hooks.failures import ReportInvalid
from core.imports.formats.sarif import moment_of
from core.imports.json_stream import JsonStream, outline
from core.imports.limits import MOST_STEPS
from core.imports.xml_stream import Element, elements, root
from plugins.checkmarx.engines import query_rule
from plugins.checkmarx.mapper import PROJECT_KIND, Keys, Origin, natural_key, result_mark, result_to_finding, rule_of
from plugins.checkmarx.readings import cwe_of, fingerprint, line_of, normal_state, severity_of, split, without_nothing, words

Record = Mapping[str, Any]
Drafts = Iterator[AssetDraft | RuleDraft | FindingDraft | Unmapped]

_ROOT = "CxXMLResults"
#: the states of CxSAST, which its XML has as numbers
_STATES = {"0": "TO_VERIFY", "1": "NOT_EXPLOITABLE", "2": "CONFIRMED", "3": "URGENT", "4": "PROPOSED_NOT_EXPLOITABLE"}
_SCAN_REPORT = ("scanResults", "iacScanResults", "scaScanResults")
#: what a scan report begins with; its results may stand behind all of its tables
_REPORT_HEADS = frozenset({"reportType", "executiveSummary", "scanInformation"})
_DATES = ("firstFoundAt", "foundAt", "created")
_NOT_READ = {"containerScanResults": "containers", "apiSecScanResults": "APIs"}
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
                    yield from _told(document.each(partial(_result, keys)), rules)
                elif name == "vulnerabilities" and kind == "array":
                    yield from _told(document.each(lambda told: _result(keys, _of_gitlab(told))), rules)
                elif name == "scanResults" and kind == "object":
                    yield from _told(_of_scan(document, keys), rules)
                elif name == "iacScanResults" and kind == "object":
                    yield from _told(_of_configurations(document, keys), rules)
                elif name == "scaScanResults" and kind == "object":
                    yield from _told(_of_packages(document, keys), rules)
                elif name in _NOT_READ and kind == "object":
                    yield Unmapped(f"Results of {_NOT_READ[name]} are not read from a scan report; send those of the command line")
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


def _of_scan(document: JsonStream, keys: Keys) -> Iterator[FindingDraft]:
    """``scanResults``: a list of queries, or engines with languages with queries."""
    for name in document.members():
        kind = document.kind()
        if name == "resultsList" and kind == "array":
            for found in document.each(partial(_of_query, keys, "")):
                yield from found
        elif kind == "object":
            yield from _of_engine(document, keys)


def _of_engine(document: JsonStream, keys: Keys) -> Iterator[FindingDraft]:
    """SAST by language, packages, and configurations by platform."""
    for name in document.members():
        if document.kind() != "array":
            continue
        if name == "languages":
            for _ in document.items():
                yield from _of_language(document, keys)
        elif name in ("packages", "results"):
            for found in document.each(partial(_of_package if name == "packages" else _of_platform, keys)):
                yield from found


def _of_language(document: JsonStream, keys: Keys) -> Iterator[FindingDraft]:
    language = ""
    for part in document.members():
        if part == "languageName":
            language = document.text()
        elif part == "queries" and document.kind() == "array":
            for found in document.each(partial(_of_query, keys, language)):
                yield from found


def _of_query(keys: Keys, language: str, query: Record) -> list[FindingDraft]:
    return [_result(keys, _of_sast(query, told, language)) for told in query.get("vulnerabilities") or ()]


def _of_sast(query: Record, told: Record, language: str) -> dict[str, Any]:
    """A result of a query as the API would tell it."""
    nodes = _nodes(told)
    digest = fingerprint(str(query.get("queryId") or query["queryName"]),
                         *(f"{node.get('fileName')}:{node.get('line')}:{node.get('column')}:{node.get('name')}" for node in nodes))
    return {
        "type": "sast",
        "id": told.get("id") or told.get("resultHash") or _linked_id(told) or digest,
        "similarityId": told.get("similarityId"),
        "severity": told["severity"],
        "state": told.get("state") or told.get("status"),
        "status": told.get("status"),
        "description": query.get("description"),
        "firstFoundAt": _instant(told.get("firstFoundDate")),
        "foundAt": _instant(told.get("foundDate")),
        "data": {"queryId": query.get("queryId") or query["queryName"], "queryName": query["queryName"],
                 "group": query.get("groupName") or query.get("queryPath"), "resultHash": told.get("resultHash"),
                 "languageName": language, "nodes": nodes},
        "vulnerabilityDetails": {"cweId": told.get("cweId") or query.get("cweId")},
    }


def _nodes(told: Record) -> list[Record]:
    """The path, which some reports begin behind its source, or leave out between its ends."""
    nodes = list(told.get("nodes") or ())
    ends: list[Record] = [{"fileName": told.get(f"{end}FileName"), "line": told.get(f"{end}Line"), "name": told.get(f"{end}Node")}
            for end in ("source", "destination") if told.get(f"{end}FileName")]
    if not nodes:
        return ends
    if ends and told.get("sourceLine") and _spot(ends[0]) != _spot(nodes[0]):
        return [ends[0], *nodes]
    return nodes


def _spot(node: Record) -> tuple[Any, Any]:
    return node.get("fileName"), node.get("line")


def _linked_id(told: Record) -> str:
    """The id that the link to a result ends in; some reports have it nowhere else."""
    return "".join(parse_qs(split(told.get("resultViewerLink")).query.replace("+", "%2B")).get("result-id", ())[:1])


def _of_configurations(document: JsonStream, keys: Keys) -> Iterator[FindingDraft]:
    """``iacScanResults``: technologies with queries with results."""
    for name in document.members():
        if name == "technology" and document.kind() == "array":
            for found in document.each(partial(_of_technology, keys)):
                yield from found


def _of_platform(keys: Keys, platform: Record) -> list[FindingDraft]:
    """Results of a platform, each of which has its query in itself."""
    return [_result(keys, _of_kics(platform, told, told)) for told in platform.get("vulnerabilities") or ()]


def _of_technology(keys: Keys, technology: Record) -> list[FindingDraft]:
    return [_result(keys, _of_kics(technology, query, told)) for query in technology.get("queries") or ()
            for told in query.get("resultsList") or ()]


def _of_kics(technology: Record, query: Record, told: Record) -> dict[str, Any]:
    """A result for a configuration as the API would tell it."""
    return {
        "type": "kics",
        "id": told.get("id") or _linked_id(told) or fingerprint(
            str(query["queryName"]), str(told.get("fileName")), str(told.get("line")), str(told.get("actualValue"))),
        "similarityId": told.get("similarityId"),
        "severity": told["severity"],
        "state": told.get("state"),
        "status": told.get("status"),
        "description": query.get("description"),
        "firstFoundAt": _instant(told.get("firstDetectionDate") or told.get("firstFoundDate")),
        "foundAt": _instant(told.get("lastDetectionDate") or told.get("foundDate")),
        "data": {**told, "queryId": query.get("queryId") or query["queryName"], "queryName": query["queryName"],
                 "group": query.get("category"), "platform": technology.get("name")},
        "vulnerabilityDetails": {"cweId": told.get("cweId") or query.get("cweId")},
    }


def _of_packages(document: JsonStream, keys: Keys) -> Iterator[FindingDraft]:
    """``scaScanResults``: packages with vulnerabilities."""
    for name in document.members():
        if name == "packages" and document.kind() == "array":
            for found in document.each(partial(_of_package, keys)):
                yield from found


def _of_package(keys: Keys, package: Record) -> list[FindingDraft]:
    return [_result(keys, _of_sca(package, told)) for told in package.get("vulnerabilities") or ()]


def _of_sca(package: Record, told: Record) -> dict[str, Any]:
    """A vulnerability of a package as the API would tell it."""
    name, version = package.get("packageName") or package["name"], package.get("packageVersion") or package.get("version") or ""
    manager = package.get("packageManager") or package.get("packageRepository") or ""
    advisory = next((told[field] for field in ("cveName", "cveId", "cve", "vulnerabilityId") if told.get(field)), None) or told["id"]
    return {
        "type": "sca",
        "id": advisory,
        "similarityId": told.get("similarityId"),
        "severity": told["severity"],
        "state": told.get("state"),
        "status": told.get("status"),
        "description": told.get("description"),
        "firstFoundAt": _instant(told.get("firstFoundDate") or told.get("firstFoundAt")),
        "foundAt": _instant(told.get("foundDate")),
        "data": {"packageIdentifier": f"{manager}-{name}-{version}".strip("-"),
                 "recommendedVersion": told.get("fixVersion") or told.get("recommendedVersion")},
        "vulnerabilityDetails": {"cweId": told.get("cweId") or told.get("cwe"), "cveName": told.get("cveName"),
                                 "cvssScore": told.get("cvssScore") or told.get("score")},
    }


def _instant(told: Any) -> str | None:
    """Some write their dates for people; those are left out."""
    if isinstance(told, Mapping) and isinstance(told.get("seconds"), int):
        return clock.iso(told["seconds"] * clock.SECOND)
    return told if isinstance(told, str) and told[:4].isdecimal() and told[4:5] == "-" else None


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
