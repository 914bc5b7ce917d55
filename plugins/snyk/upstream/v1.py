"""The older API, v1: what has no successor (ignores, webhooks), and what public clients still call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.snyk.upstream import webhooks
from plugins.snyk.upstream.answers import Call, Refused, date
from plugins.snyk.upstream.v1_facts import issue_facts, project_facts
from plugins.snyk.upstream.world import Ignore, Issue, Organization, Project, made_id

_FIXABLE = {"isUpgradable": "is_upgradeable", "isPinnable": "is_pinnable", "isPatchable": "is_patchable"}
_TYPES = {"package_vulnerability": "vuln", "license": "license", "config": "configuration"}
_SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Route:
    """One call of v1: method, path under ``/v1``, and its name for counting and faults."""

    method: str
    path: str
    name: str
    view: Callable[..., Any]


def me(call: Call) -> Any:
    return {"id": made_id("account", call.token.name), "username": call.token.name, "email": f"{call.token.name}@example.org",
            "orgs": [_organization(call, one) for one in _visible(call)]}


def organizations(call: Call) -> Any:
    return {"orgs": [_organization(call, one) for one in _visible(call)]}


def project(call: Call, org: str, key: str) -> Any:
    owner, found = _project(call, org, key)
    return project_facts(call.host, owner, found)


def ignores(call: Call, org: str, key: str) -> Any:
    owner, found = _project(call, org, key)
    if not call.token.may("org.project.ignore.read", owner.id):
        raise Refused(403, "Missing permission org.project.ignore.read")
    return {issue.key: [_ignore(issue.ignored)] for issue in found.issues if issue.ignored}


def ignore(call: Call, org: str, key: str, issue_key: str) -> Any:
    _, found = _project(call, org, key)
    body = call.body if isinstance(call.body, dict) else {}
    reason = Ignore(str(body.get("reason") or ""), str(body.get("reasonType") or "temporary-ignore"), by=call.token.name)
    for issue in _with_key(found, issue_key):
        issue.ignored = reason
    call.world.changed()
    return {issue_key: [_ignore(reason)]}


def stop_ignoring(call: Call, org: str, key: str, issue_key: str) -> Any:
    _, found = _project(call, org, key)
    for issue in _with_key(found, issue_key):
        issue.ignored = None
    call.world.changed()
    return {}


def aggregated_issues(call: Call, org: str, key: str) -> Any:
    _, found = _project(call, org, key)
    body = call.body if isinstance(call.body, dict) else {}
    wanted = body.get("filters") or {}
    return {"issues": [_aggregated(call, org, key, issue, bool(body.get("includeDescription")))
                       for issue in found.issues if _is_wanted(issue, wanted)]}


def paths(call: Call, org: str, key: str, issue_key: str) -> Any:
    _, found = _project(call, org, key)
    shown = [[{"name": found.name, "version": ""}, {"name": name, "version": version, "fixVersion": issue.fixed_in or None}]
             for issue in _with_key(found, issue_key) for name, version in issue.packages]
    return {"snapshotId": made_id("snapshot", key), "paths": shown, "total": len(shown), "links": {}}


ROUTES = (
    Route("GET", "/user/me", "v1/user/me", me),
    Route("GET", "/orgs", "v1/orgs", organizations),
    Route("GET", "/org/<org>/project/<key>", "v1/project", project),
    Route("GET", "/org/<org>/project/<key>/ignores", "v1/ignores", ignores),
    Route("POST", "/org/<org>/project/<key>/ignore/<issue_key>", "v1/ignore", ignore),
    Route("DELETE", "/org/<org>/project/<key>/ignore/<issue_key>", "v1/ignore", stop_ignoring),
    Route("POST", "/org/<org>/project/<key>/aggregated-issues", "v1/aggregated-issues", aggregated_issues),
    Route("GET", "/org/<org>/project/<key>/issue/<issue_key>/paths", "v1/paths", paths),
    Route("GET", "/org/<org>/webhooks", "v1/webhooks", webhooks.listed),
    Route("POST", "/org/<org>/webhooks", "v1/webhooks", webhooks.create),
    Route("GET", "/org/<org>/webhooks/<hook>", "v1/webhooks", webhooks.one),
    Route("DELETE", "/org/<org>/webhooks/<hook>", "v1/webhooks", webhooks.delete),
    Route("POST", "/org/<org>/webhooks/<hook>/ping", "v1/webhooks", webhooks.ping),
)


def _visible(call: Call) -> list[Organization]:
    return [one for one in call.world.organizations.values() if call.token.sees(one)]


def _organization(call: Call, one: Organization) -> dict[str, Any]:
    group = {"id": one.group, "name": call.world.groups.get(one.group, "")} if one.group else None
    return {"id": one.id, "name": one.name, "slug": one.slug, "url": f"{call.host}/org/{one.slug}", "group": group}


def _project(call: Call, org: str, key: str) -> tuple[Organization, Project]:
    owner = call.organization(org, "org.project.read")
    return owner, call.project(owner, key)


def _with_key(one: Project, key: str) -> Iterator[Issue]:
    return (issue for issue in one.issues if key in (issue.key, issue.rule))


def _ignore(reason: Ignore) -> dict[str, Any]:
    told = {"reason": reason.reason, "reasonType": reason.kind, "created": date(reason.created), "source": "api",
            "disregardIfFixable": False,
            "ignoredBy": {"id": made_id("person", reason.by), "name": reason.by, "email": "security@example.org"}}
    return {"*": {**told, **({"expires": date(reason.expires)} if reason.expires else {})}}


def _is_wanted(issue: Issue, wanted: Mapping[str, Any]) -> bool:
    severities: Sequence[str] = wanted.get("severities") or _SEVERITIES
    types: Sequence[str] = wanted.get("types") or ("vuln", "license")
    ignored = wanted.get("ignored")
    return (issue.status == "open" and _TYPES.get(issue.type) in types and issue.severity in severities
            and (ignored is None or ignored == (issue.ignored is not None)))


def _aggregated(call: Call, org: str, key: str, issue: Issue, with_description: bool) -> dict[str, Any]:
    name = issue.packages[0][0] if issue.packages else ""
    facts = issue_facts(issue) | ({} if with_description else {"description": None})
    ways = {name: flag in issue.fixes for name, flag in _FIXABLE.items()}
    return {
        "id": facts["id"], "issueType": _TYPES[issue.type], "pkgName": name, "pkgVersions": [version for _, version in issue.packages],
        "priorityScore": issue.risk or 0, "priority": {"score": issue.risk or 0, "factors": []}, "issueData": facts, "isPatched": False,
        "isIgnored": issue.ignored is not None,
        "ignoreReasons": [{"reason": issue.ignored.reason, "source": "api"}] if issue.ignored else [],
        "fixInfo": {**ways, "isFixable": any(ways.values()), "isPartiallyFixable": any(ways.values()),
                    "nearestFixedInVersion": issue.fixed_in, "fixedIn": [issue.fixed_in] if issue.fixed_in else []},
        "links": {"paths": f"{call.host}/v1/org/{org}/project/{key}/issue/{facts['id']}/paths"},
    }
