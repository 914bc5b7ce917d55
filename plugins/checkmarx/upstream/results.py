"""What the engines found: results, the SAST and IaC views of them, API risks, and the texts of queries."""

from collections import Counter
from typing import Any

from plugins.checkmarx.upstream.answers import Call, Refused, date, null_if_empty
from plugins.checkmarx.upstream.contents import QUERIES
from plugins.checkmarx.upstream.world import Result, Risk, Scan

_MOST = 10_000


def results(call: Call) -> dict[str, Any]:
    """``GET /api/results``: here, and only here, the offset counts pages."""
    project, scan = call.results_of(call.need("scan-id"))
    found = _narrowed(call, scan)
    page, limit = call.number("offset", 0), call.number("limit", 20, 1, _MOST)
    limit = min(limit, call.world.page_cap or limit)
    start = call.drifted(page * limit)
    if "null" in call.struck:
        return {"results": None, "totalCount": 0}
    return {"results": null_if_empty([_result(result, scan) for result in found[start:page * limit + limit]]), "totalCount": len(found)}


def _narrowed(call: Call, scan: Scan) -> list[Result]:
    severities, states, statuses = call.words("severity"), call.words("state"), call.words("status")
    return [result for result in scan.results if (not severities or result.severity in severities)
            and (not states or result.state.strip() in states) and (not statuses or result.status in statuses)]


def _result(result: Result, scan: Scan) -> dict[str, Any]:
    answer = {"type": result.type, "id": result.id, "similarityId": result.similarity or result.id, "status": result.status,
              "state": result.state, "severity": result.severity, "confidenceLevel": 0, "created": date(scan.created),
              "firstFoundAt": date(result.first_found), "foundAt": date(scan.created), "firstScanId": result.first_scan or scan.id,
              "description": result.description, "data": dict(result.data),
              "comments": {"comments": result.comment} if result.comment else {},
              "vulnerabilityDetails": dict(result.more)}
    return answer | ({"alternateId": result.alternate} if result.alternate else {})


def sast_results(call: Call) -> dict[str, Any]:
    """``GET /api/sast-results``: the offset counts results."""
    _, scan = call.results_of(call.need("scan-id"))
    found = [result for result in _narrowed(call, scan) if result.type == "sast"]
    return {"results": [_sast(result, scan) for result in call.items(found, 20, _MOST)], "totalCount": len(found)}


def _sast(result: Result, scan: Scan) -> dict[str, Any]:
    data, query = result.data, result.data["queryId"]
    return {"ID": f"{scan.id}-{result.id}", "resultHash": data["resultHash"], "queryID": query, "queryIDStr": str(query),
            "queryName": data["queryName"], "languageName": data["languageName"], "group": data["group"],
            "cweID": result.more.get("cweId"), "severity": result.severity, "similarityID": int(result.similarity), "confidenceLevel": 0,
            "compliances": result.more.get("compliances"), "firstScanID": result.first_scan or scan.id,
            "firstFoundAt": date(result.first_found), "foundAt": date(scan.created), "status": result.status, "state": result.state,
            "nodes": data["nodes"]}


def kics_results(call: Call) -> dict[str, Any]:
    """``GET /api/kics-results``: the offset counts results."""
    _, scan = call.results_of(call.need("scan-id"))
    found = [result for result in _narrowed(call, scan) if result.type == "kics"]
    return {"results": [_kics(result, scan) for result in call.items(found, 20, _MOST)], "totalCount": len(found)}


def _kics(result: Result, scan: Scan) -> dict[str, Any]:
    told = {name: result.data.get(name) for name in ("queryName", "fileName", "line", "platform", "issueType", "expectedValue", "value")}
    return {"ID": result.id, "similarityID": result.similarity, "severity": result.severity, "firstScanID": result.first_scan or scan.id,
            "firstFoundAt": date(result.first_found), "foundAt": date(scan.created), "status": result.status, "state": result.state,
            "type": "kics", "queryID": result.data.get("queryId"), "description": result.description, **told}


def query_texts(call: Call) -> list[dict[str, Any]]:
    """``GET /api/queries/descriptions``"""
    wanted = call.words("ids")
    return [{"queryId": str(query.id), "queryName": query.name, "queryDescriptionId": query.name, "resultDescription": query.text,
             "risk": query.risk, "cause": query.cause, "generalRecommendations": query.advice, "samples": []}
            for query in QUERIES if str(query.id) in wanted]


# -- API security -----------------------------------------------------------------------------------------------------------------


def risks(call: Call, scan: str) -> dict[str, Any]:
    """``GET /api/apisec/static/api/risks/{scan}``: numbers of the paging are texts."""
    project, known = call.results_of(scan)
    if "apisec" not in known.engines:
        raise Refused(404, "scan not found")
    page, size = call.number("page", 1, 1), call.number("per_page", 20, 1, 1000)
    pages = max(1, -(-len(known.risks) // size))
    entries = [_risk(risk, project.id, known) for risk in call.numbered(known.risks, 20, 1000)]
    return {"entries": entries, "total_records": str(len(known.risks)), "total_pages": str(pages), "has_previous": page > 1,
            "has_next": page < pages, "next_page_number": min(page + 1, pages), "previous_page_number": max(1, page - 1)}


def risks_overview(call: Call, scan: str) -> dict[str, Any]:
    _, known = call.results_of(scan)
    by_severity = Counter(risk.severity for risk in known.risks)
    origins = Counter(risk.origin for risk in known.risks)
    return {"api_count": 14, "total_risks_count": len(known.risks), "risks": [by_severity[name] for name in ("high", "medium", "low")],
            "risk_distribution": [{"origin": origin, "total": number} for origin, number in sorted(origins.items())]}


def _risk(risk: Risk, project: str, scan: Scan) -> dict[str, Any]:
    return {"risk_id": risk.id, "api_id": risk.id[::-1], "severity": risk.severity, "name": risk.name, "status": risk.status,
            "http_method": risk.method, "url": risk.url, "origin": risk.origin, "documented": risk.origin == "documentation",
            "authenticated": None, "discovery_date": date(risk.found).replace("T", " ").replace("Z", "+00:00"), "scan_id": scan.id,
            "sast_risk_id": risk.sast, "project_id": project, "state": risk.state}
