"""``hotspots/search`` and its kin."""

from typing import Any

from plugins.sonarqube.upstream.answers import Call, Refused, component, date, present
from plugins.sonarqube.upstream.world import Branch, Hotspot, Project

_STATUSES = ("TO_REVIEW", "REVIEWED")
_RESOLUTIONS = ("FIXED", "SAFE", "ACKNOWLEDGED")
_MOST_KEYS = 500


def search(call: Call) -> dict[str, Any]:
    """``GET hotspots/search``; unlike issues, an unknown project is an error here."""
    name = "project" if not call.cloud and call.since(10, 2) and call.args.get("project") else "projectKey"
    keys, status, resolution = call.words("hotspots"), call.args.get("status", ""), call.args.get("resolution", "")
    _refuse_contradictions(call, named=bool(call.args.get(name)), by_key=bool(keys))
    found = _of_project(call, name) if call.args.get(name) else _of_all(call)
    files, categories = set(call.words("files")), set(call.words("sonarsourceSecurity"))
    chosen = [entry for entry in found if (not keys or entry[0].key in keys)
              and status in ("", entry[0].status) and resolution in ("", entry[0].resolution)
              and (not files or entry[0].path in files) and (not categories or entry[0].category in categories)]
    page, paging = call.page(chosen)
    components = {answer["key"]: answer for hotspot, project, _ in page
                  for answer in (component(project, hotspot.path, organization=call.cloud), component(project, organization=call.cloud))}
    return {"paging": paging, "hotspots": [_as_json(*entry, call) for entry in page],
            "components": [{name: value for name, value in answer.items() if name != "enabled"} for answer in components.values()]}


def show(call: Call) -> dict[str, Any]:
    """``GET hotspots/show``."""
    hotspot, project, branch = _by_key(call)
    answer = _as_json(hotspot, project, branch, call)
    rule = call.world.rules.get(hotspot.rule)
    for name in ("securityCategory", "vulnerabilityProbability", "ruleKey"):
        answer.pop(name, None)
    return answer | {
        "component": component(project, hotspot.path), "project": component(project), "changelog": [], "comment": [], "users": [],
        "canChangeStatus": True, "hash": "",
        "rule": {"key": hotspot.rule, "name": rule.name if rule else hotspot.rule, "securityCategory": hotspot.category,
                 "vulnerabilityProbability": hotspot.probability},
    }


def change_status(call: Call) -> None:
    """``POST hotspots/change_status``."""
    hotspot, _, _ = _by_key(call)
    status = (call.words("status", _STATUSES) or [call.need("status")])[0]
    resolution = (call.words("resolution", _RESOLUTIONS) or [""])[0]
    if (status == "REVIEWED") != bool(resolution):
        raise Refused(400, "A resolution must be given when, and only when, the status is REVIEWED")
    hotspot.status, hotspot.resolution, hotspot.updated = status, resolution, present() // 1000 * 1000
    call.world.changed()


def _refuse_contradictions(call: Call, *, named: bool, by_key: bool) -> None:
    parameter = "projectKey" if call.cloud or not call.since(10, 2) else "project"
    call.words("status", _STATUSES)
    call.words("resolution", _RESOLUTIONS)
    if not named and not by_key:
        raise Refused(400, f"A value must be provided for either parameter '{parameter}' or parameter 'hotspots'")
    if call.args.get("branch") and not named:
        raise Refused(400, f"Parameter 'branch' must be used with parameter '{parameter}'")
    if call.args.get("branch") and call.args.get("pullRequest"):
        raise Refused(400, "Only one of parameters 'branch' and 'pullRequest' can be provided")
    if call.args.get("status") and by_key:
        raise Refused(400, "Parameter 'status' can't be used with parameter 'hotspots'")
    if len(call.words("hotspots")) > _MOST_KEYS:
        raise Refused(400, f"Number of hotspots keys must be less than {_MOST_KEYS}")
    if call.args.get("resolution") and call.args.get("status") != "REVIEWED":
        raise Refused(400, f"Value '{call.args['resolution']}' of parameter 'resolution' can only be provided if value of parameter "
                           "'status' is 'REVIEWED'")


def _of_project(call: Call, name: str) -> list[tuple[Hotspot, Project, Branch]]:
    project = call.project(name)
    branch = call.branch(project)
    return [] if call.args.get("pullRequest") else [(hotspot, project, branch) for hotspot in branch.hotspots]


def _of_all(call: Call) -> list[tuple[Hotspot, Project, Branch]]:
    return [(hotspot, project, branch) for project in call.browsable() for branch in project.branches for hotspot in branch.hotspots]


def _by_key(call: Call) -> tuple[Hotspot, Project, Branch]:
    key = call.need("hotspot")
    found = next((entry for entry in _of_all(call) if entry[0].key == key), None)
    if found is None:
        raise Refused(404, f"Hotspot '{key}' does not exist")
    return found


def _as_json(hotspot: Hotspot, project: Project, branch: Branch, call: Call) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "key": hotspot.key, "component": f"{project.key}:{hotspot.path}" if hotspot.path else project.key, "project": project.key,
        "securityCategory": hotspot.category, "vulnerabilityProbability": hotspot.probability, "status": hotspot.status,
        "message": hotspot.message, "messageFormattings": [], "author": hotspot.author, "creationDate": date(hotspot.created),
        "updateDate": date(hotspot.updated), "flows": [],
    }
    if hotspot.resolution:
        answer["resolution"] = hotspot.resolution
    if hotspot.line is not None:
        answer |= {"line": hotspot.line,
                   "textRange": {"startLine": hotspot.line, "endLine": hotspot.line, "startOffset": 4, "endOffset": 19}}
    if call.since(9, 7):
        answer["ruleKey"] = hotspot.rule
    if call.cloud:
        answer["organization"] = project.organization
    return answer
