"""Everything that is not a result: versions, projects, applications, scans and their sums."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from plugins.checkmarx.upstream.answers import Call, Refused, date, null_if_empty
from plugins.checkmarx.upstream.world import Project, Result, Scan, stable_id

_STATUSES = {"sast-status": "sast", "sca-status": "sca", "kics-status": "kics", "apisec-status": "apisec",
             "microengines-status": "microengines", "containers-status": "containers"}
_COUNTED = {"sastCounters": ("sast",), "kicsCounters": ("kics",), "scaCounters": ("sca",), "containersCounters": ("containers",),
            "microEnginesCounters": ("sscs-secret-detection", "sscs-scorecard")}


def versions(call: Call) -> dict[str, str]:
    return {"SAST": "9.7.2", "KICS": "2.1.3", "CxOne": "3.41.5"}


def flags(call: Call) -> list[dict[str, Any]]:
    return [{"name": "CONTAINER_ENGINE_CLI_ENABLED", "status": True, "payload": None}]


def custom_states(call: Call) -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "type": "custom", "isAllowed": True} for number, name in enumerate(call.tenant.custom_states, 100)]


# -- projects -------------------------------------------------------------------------------------------------------------------


def listed(call: Call) -> dict[str, Any]:
    """``GET /api/projects``"""
    visible = call.visible()
    if sum(bool(call.args.get(name)) for name in ("names", "name", "name-regex")) > 1:
        raise Refused(400, "names, name and name-regex exclude one another")
    found = [project for project in visible if _is_wanted(call, project)]
    if "null" in call.struck:
        visible, found = [], []
    return {"totalCount": len(visible), "filteredTotalCount": len(found),
            "projects": null_if_empty([_project(project) for project in call.items(found)])}


def _is_wanted(call: Call, project: Project) -> bool:
    ids, names, groups = call.words("ids"), call.words("names"), call.words("groups")
    keys, values = call.words("tags-keys"), call.words("tags-values")
    return ((not ids or project.id in ids) and (not names or project.name in names)
            and call.args.get("name", "").lower() in project.name.lower()
            and re.search(call.args.get("name-regex", ""), project.name) is not None
            and (not groups or not set(groups).isdisjoint(project.groups)) and (not keys or not set(keys).isdisjoint(project.tags))
            and (not values or not set(values).isdisjoint(project.tags.values()))
            and (not call.args.get("repo-url") or project.repository == call.args["repo-url"]))


def one(call: Call, project: str) -> dict[str, Any]:
    return _project(call.project(project))


def tags(call: Call) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for project in call.visible():
        for name, value in project.tags.items():
            found.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in sorted(found.items())}


def branches(call: Call) -> list[str]:
    project = call.project(call.need("project-id"))
    return list(call.items([name for name in project.branches if call.args.get("branch-name", "") in name]))


def last_scans(call: Call) -> dict[str, Any]:
    """``GET /api/projects/last-scan``: by project; those without a scan that fits are not there."""
    wanted, application = call.words("project-ids"), call.args.get("application-id")
    if wanted and application:
        raise Refused(400, "project-ids and application-id exclude one another")
    found = [project for project in call.visible() if (not wanted or project.id in wanted)
             and (not application or application in _applications_of(project))]
    told = {project.id: _last(call, project) for project in call.items(found)}
    return {key: scan for key, scan in told.items() if scan is not None}


def _last(call: Call, project: Project) -> dict[str, Any] | None:
    fitting = [scan for scan in project.scans if _fits(call, scan)]
    if call.flag("use-main-branch"):
        of_main = [scan for scan in fitting if project.main_branch and scan.branch == project.main_branch]
        fitting = of_main or ([] if project.main_branch and call.world.only_main_branch else fitting)
    elif call.args.get("branch"):
        fitting = [scan for scan in fitting if scan.branch == call.args["branch"]]
    if not fitting:
        return None
    scan = max(fitting, key=lambda scan: scan.created)
    return {"id": scan.id, "createdAt": date(scan.created), "updatedAt": date(scan.created), "status": scan.status,
            "userAgent": "ASTCLI/2.3.29", "initiator": f"ci-bot@{call.tenant.name}.example", "branch": scan.branch,
            "engines": list(scan.engines), "sourceType": "github", "sourceOrigin": "GitHub Action"}


def _fits(call: Call, scan: Scan) -> bool:
    if call.args.get("scan-status") and scan.status.lower() != call.args["scan-status"].lower():
        return False
    if call.args.get("engine") and call.args["engine"] not in scan.engines:
        return False
    return all(scan.engines.get(engine, "").lower() == call.args[name].lower() for name, engine in _STATUSES.items() if call.args.get(name))


def _project(project: Project) -> dict[str, Any]:
    return {"id": project.id, "name": project.name, "groups": list(project.groups), "repoUrl": project.repository,
            "mainBranch": project.main_branch, "origin": "GITHUB" if project.repository else "", "createdAt": date(project.created),
            "updatedAt": date(max([project.created, *(scan.created for scan in project.scans)])), "tags": dict(project.tags),
            "criticality": project.criticality, "applicationIds": _applications_of(project), "imported_proj_name": ""}


# -- applications ---------------------------------------------------------------------------------------------------------------


def applications(call: Call) -> dict[str, Any]:
    """``GET /api/applications``: one for each value of the tag ``application``."""
    known = list(_applications(call))
    ids, text = call.words("application-ids"), call.args.get("name", "").lower()
    if len(ids) > 200:
        raise Refused(400, "at most 200 application-ids")
    found = [entry for entry in known if (not ids or entry["id"] in ids) and text in entry["name"].lower()]
    return {"totalCount": len(known), "filteredTotalCount": len(found), "applications": null_if_empty(call.items(found))}


def application(call: Call, application: str) -> dict[str, Any]:
    for entry in _applications(call):
        if entry["id"] == application:
            return entry
    raise Refused(404, "application not found")


def _applications(call: Call) -> Iterable[dict[str, Any]]:
    members: dict[str, list[Project]] = {}
    for project in call.visible():
        for name in filter(None, [project.tags.get("application")]):
            members.setdefault(name, []).append(project)
    for name, projects in sorted(members.items()):
        rule = {"id": stable_id("rule", name), "type": "project.tag.key-value.exists", "value": f"application;{name}"}
        since = min(project.created for project in projects)
        yield {"id": stable_id("application", name), "name": name, "description": "", "type": "business", "criticality": 3,
               "rules": [rule], "projectIds": [project.id for project in projects], "createdAt": date(since), "updatedAt": date(since),
               "tags": {}}


def _applications_of(project: Project) -> list[str]:
    name = project.tags.get("application")
    return [stable_id("application", name)] if name else []


# -- scans ------------------------------------------------------------------------------------------------------------------------


def scans(call: Call) -> dict[str, Any]:
    """``GET /api/scans``: the oldest first unless it is sorted otherwise."""
    every = [(project, scan) for project in call.visible() for scan in project.scans]
    found = [(project, scan) for project, scan in every if _wanted(call, project, scan)]
    newest_first = call.args.get("sort", "+created_at").startswith("-")
    found.sort(key=lambda pair: (pair[1].created, pair[1].id), reverse=newest_first)
    return {"totalCount": len(every), "filteredTotalCount": len(found),
            "scans": null_if_empty([_scan(call, *pair) for pair in call.items(found)])}


def scan(call: Call, scan: str) -> dict[str, Any]:
    return _scan(call, *call.scan(scan))


def scan_tags(call: Call) -> dict[str, Any]:
    return {"pipeline": ["release"]}


def scan_statuses(call: Call) -> dict[str, Any]:
    return {"status": dict(Counter(scan.status for project in call.visible() for scan in project.scans))}


def workflow(call: Call, scan: str) -> list[dict[str, str]]:
    _, known = call.scan(scan)
    return [{"source": "scans", "timestamp": date(known.created), "info": f"scan is {known.status}"}]


def _wanted(call: Call, project: Project, scan: Scan) -> bool:
    projects = [*call.words("project-id"), *call.words("project-ids")]
    statuses, ids = [word.lower() for word in call.words("statuses")], call.words("scan-ids")
    names = [*call.words("branch"), *call.words("branches")]
    return ((not projects or project.id in projects) and (not statuses or scan.status.lower() in statuses)
            and (not ids or scan.id in ids) and (not names or scan.branch in names)
            and (not call.words("project-names") or project.name in call.words("project-names")))


def _scan(call: Call, project: Project, scan: Scan) -> dict[str, Any]:
    details = [{"name": "general", "status": scan.status, "details": ""},
               *({"name": engine, "status": status, "details": ""} for engine, status in scan.engines.items())]
    return {"id": scan.id, "status": scan.status, "statusDetails": details, "positionInQueue": 0, "projectId": project.id,
            "projectName": project.name, "branch": scan.branch, "commitId": "", "commitTag": "", "uploadUrl": "",
            "createdAt": date(scan.created), "updatedAt": date(scan.created), "userAgent": "ASTCLI/2.3.29",
            "initiator": f"ci-bot@{call.tenant.name}.example", "tags": {"pipeline": "release"},
            "metadata": {"id": scan.id, "type": "git", "configs": [{"type": engine, "value": {}} for engine in scan.engines],
                         "project": {"id": project.id}, "Handler": {"GitHandler": {"branch": scan.branch, "repo_url": project.repository}}},
            "engines": list(scan.engines), "sourceType": "github", "sourceOrigin": "GitHub Action"}


# -- sums -------------------------------------------------------------------------------------------------------------------------


def summaries(call: Call) -> dict[str, Any]:
    """``GET /api/scan-summary``: scans that are unknown are left out."""
    ids = call.words("scan-ids")
    if not ids:
        raise Refused(400, "scan-ids is required")
    known = {scan.id: scan for project in call.visible() for scan in project.scans if scan.is_published}
    told = [_summary(call, known[key]) for key in ids if key in known]
    return {"scansSummaries": told, "totalCount": len(told)}


def _summary(call: Call, scan: Scan) -> dict[str, Any]:
    predicates = call.flag("apply-predicates", True)
    answer: dict[str, Any] = {"tenantId": call.tenant.id, "scanId": scan.id}
    for name, types in _COUNTED.items():
        fixed = sum(number for (kind, _), number in scan.fixed.items() if kind in types)
        answer[name] = _counters([result for result in scan.results if result.type in types], fixed, predicates)
    answer["scaPackagesCounters"] = {**_counters([], 0, predicates), "totalCounter": 212, "outdatedCounter": 58,
                                     "packageCounters": [{"package": "Npm", "counter": 212}]}
    answer["scaContainersCounters"] = _old_containers([result for result in scan.results if result.type == "sca-container"])
    risks = Counter(risk.severity.upper() for risk in scan.risks)
    # its other lists stay empty
    answer["apiSecCounters"] = {**_counters([], 0, predicates), "severityCounters": _rows("severity", risks), "totalCounter": risks.total(),
                                "riskLevel": "High" if risks else "", "apiSecTotal": 14 if risks else 0}
    answer["aiscCounters"] = {"assetsCounter": 0, "assetTypesCounter": 0}
    return answer


def _counters(results: list[Result], fixed: int, predicates: bool) -> dict[str, Any]:
    statuses = Counter(result.status for result in results)
    if fixed:
        statuses["FIXED"] = fixed
    pairs = Counter((result.severity, result.status) for result in results)
    return {"severityCounters": _rows("severity", Counter(result.severity for result in results)),
            "statusCounters": _rows("status", statuses),
            "stateCounters": _rows("state", Counter(result.state for result in results)) if predicates else None,
            "customStateCounters": None,
            "severityStatusCounters": [{"severity": severity, "status": status, "counter": number}
                                       for (severity, status), number in sorted(pairs.items())],
            "sourceFileCounters": [], "ageCounters": [], "totalCounter": len(results), "filesScannedCounter": 0}


def _old_containers(results: list[Result]) -> dict[str, Any]:
    return {"totalPackagesCounter": 0, "totalVulnerabilitiesCounter": len(results),
            "severityVulnerabilitiesCounters": _rows("severity", Counter(result.severity for result in results)),
            "stateVulnerabilitiesCounters": _rows("state", Counter(result.state for result in results)) or None,
            "customStateCounters": None, "statusVulnerabilitiesCounters": [], "ageVulnerabilitiesCounters": [],
            "packageVulnerabilitiesCounters": []}


def _rows(name: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """A row for each value that occurs; those that do not are left out."""
    return [{name: value, "counter": number} for value, number in sorted(counts.items())]
