"""The REST API: the account, organizations, projects, targets, issues."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.snyk.upstream.answers import Call, Refused, date, document, page_of
from plugins.snyk.upstream.world import Issue, Organization, Project, Target, made_id

_TYPES = ("package_vulnerability", "license", "code", "config", "cloud", "custom")
_SEVERITIES = ("info", "low", "medium", "high", "critical")
_STATUSES = ("open", "resolved")
_FLAGS = ("is_fixable_manually", "is_fixable_snyk", "is_fixable_upstream", "is_patchable", "is_pinnable", "is_upgradeable")
_PAGING = ("limit", "starting_after", "ending_before")
_ISSUE_FILTERS = ("scan_item.id", "scan_item.type", "type", "effective_severity_level", "status", "ignored", "updated_after",
                  "updated_before", "created_after", "created_before")
_PROJECT_EXTRAS = ("expand", "meta.latest_issue_counts", "meta.latest_dependency_total")
_PROJECT_FILTERS = ("target_id", "target_reference", "target_file", "target_runtime", "ids", "names", "names_start_with", "origins",
                    "types", "tags", "business_criticality", "environment", "lifecycle", "importing_user_public_id",
                    "cli_monitored_before", "cli_monitored_after", "meta_count")
_TO_READ_ISSUES = ("org.read", "org.project.read", "org.project.snapshot.read")


@dataclass(frozen=True, slots=True)
class Route:
    """One call: its path under ``/rest``, its name for counting and faults, since when it exists, and what it takes."""

    path: str
    name: str
    view: Callable[..., Any]
    since: str
    parameters: Sequence[str] = ()
    stability: str = ""


def account(call: Call) -> Any:
    token = call.token
    organization = min(token.organizations) if token.organizations else None
    facts = {"name": token.name, "default_org_context": organization}
    if token.kind == "user":
        facts |= {"email": f"{token.name}@example.org", "username": token.name, "avatar_url": ""}
    data = {"type": token.kind, "id": made_id("account", token.name), "attributes": _given(facts)}
    return document(data, links={"self": f"/self?version={call.one('version')}"})


def organizations(call: Call) -> Any:
    group, slug, name = call.one("group_id"), call.one("slug"), call.one("name")
    found = [one for one in call.world.organizations.values()
             if call.token.sees(one) and group in ("", one.group) and slug in ("", one.slug) and name.lower() in one.name.lower()]
    return page_of(call, sorted(found, key=_by_id), _by_id, _organization)


def organization(call: Call, org: str) -> Any:
    return document(_organization(call.organization(org, "org.read")))


def groups(call: Call) -> Any:
    found = sorted(key for key in call.world.groups if call.token.sees_group(key))
    return page_of(call, found, str, lambda key: {"type": "group", "id": key, "attributes": {"name": call.world.groups[key]}})


def group_organizations(call: Call, group: str) -> Any:
    slug, name = call.one("slug"), call.one("name")
    found = [one for one in call.group(group, "group.read", "group.org.list")
             if slug in ("", one.slug) and name.lower() in one.name.lower()]
    meta = {"total_count": len(found)} if call.one("expand") == "count" else None
    return page_of(call, sorted(found, key=_by_name), _by_name, _organization, meta)


def projects(call: Call, org: str) -> Any:
    owner = call.organization(org, "org.project.read")
    found = [project for project in owner.projects.values() if _fits(call, project)]
    if call.one("meta_count") == "only":
        return {"jsonapi": {"version": "1.0"}, "meta": {"count": len(found)}, "links": {}}
    return page_of(call, sorted(found, key=_by_id), _by_id, lambda project: _project(call, owner, project))


def project(call: Call, org: str, key: str) -> Any:
    owner = call.organization(org, "org.project.read")
    return document(_project(call, owner, call.project(owner, key)))


def targets(call: Call, org: str) -> Any:
    owner = call.organization(org, "org.project.read")
    prefix, url = call.one("display_name"), call.one("url")
    found = {one.target.id: one.target for one in owner.projects.values()
             if one.target.name.startswith(prefix) and url in ("", one.target.url)}
    meta = {"count": len(found)} if call.flag("count") else None
    return page_of(call, sorted(found.values(), key=_by_id), _by_id, lambda target: _target(owner, target), meta)


def target(call: Call, org: str, key: str) -> Any:
    owner = call.organization(org, "org.project.read")
    found = next((one.target for one in owner.projects.values() if one.target.id == key), None)
    if found is None:
        raise Refused(404, f"Target {key} was not found")
    return document(_target(owner, found))


def issues(call: Call, org: str) -> Any:
    return _issues(call, [call.organization(org, *_TO_READ_ISSUES)])


def group_issues(call: Call, group: str) -> Any:
    return _issues(call, [one for one in call.group(group, "group.issues.read") if call.token.sees(one)])


def issue(call: Call, org: str, key: str) -> Any:
    return _one_issue([call.organization(org, *_TO_READ_ISSUES)], key)


def group_issue(call: Call, group: str, key: str) -> Any:
    return _one_issue(call.group(group, "group.issues.read"), key)


def policies(call: Call, org: str) -> Any:
    call.organization(org, "org.project.ignore.read")
    raise Refused(403, "The organization does not have the feature Code consistent ignores")


ROUTES = (
    Route("/self", "self", account, "2024-04-22"),
    Route("/orgs", "orgs", organizations, "2023-05-29", (*_PAGING, "group_id", "is_personal", "slug", "name", "expand")),
    Route("/orgs/<org>", "org", organization, "2023-05-29", ("expand",)),
    Route("/groups", "groups", groups, "2023-01-30", _PAGING, "beta"),
    Route("/groups/<group>/orgs", "groups/orgs", group_organizations, "2023-05-29", (*_PAGING, "name", "slug", "expand")),
    Route("/groups/<group>/issues", "groups/issues", group_issues, "2024-01-23", (*_PAGING, *_ISSUE_FILTERS)),
    Route("/groups/<group>/issues/<key>", "groups/issue", group_issue, "2024-01-23"),
    Route("/orgs/<org>/projects", "orgs/projects", projects, "2023-02-15", (*_PAGING, *_PROJECT_FILTERS, *_PROJECT_EXTRAS)),
    Route("/orgs/<org>/projects/<key>", "orgs/project", project, "2023-02-15", _PROJECT_EXTRAS),
    Route("/orgs/<org>/targets", "orgs/targets", targets, "2024-02-21", (*_PAGING, "count", "is_private", "exclude_empty", "url",
                                                                         "source_types", "display_name", "created_gte")),
    Route("/orgs/<org>/targets/<key>", "orgs/target", target, "2024-02-21"),
    Route("/orgs/<org>/issues", "orgs/issues", issues, "2024-01-23", (*_PAGING, *_ISSUE_FILTERS)),
    Route("/orgs/<org>/issues/<key>", "orgs/issue", issue, "2024-01-23"),
    Route("/orgs/<org>/policies", "orgs/policies", policies, "2024-10-15", _PAGING),
)

_Found = tuple[Organization, Project, Issue]


def _issues(call: Call, owners: Sequence[Organization]) -> Any:
    if bool(call.one("scan_item.id")) != bool(call.one("scan_item.type")):
        raise Refused(400, "'scan_item.id' and 'scan_item.type' belong together", code="SNYK-0003", parameter="scan_item.id")
    wanted = _wanted(call)
    asked = (tuple(owner.id for owner in owners), *(call.args.get(name, "") for name in _ISSUE_FILTERS))
    with call.world.lock:
        found = call.world.listings.get(asked)
    if found is None:
        found = sorted(((owner, project, issue) for owner in owners for project in owner.projects.values() for issue in project.issues
                        if wanted(project, issue)), key=_issue_id)
        with call.world.lock:
            call.world.listings[asked] = found
    return page_of(call, found, _issue_id, lambda entry: _issue(*entry))


def _wanted(call: Call) -> Callable[[Project, Issue], bool]:
    item, kind = call.one("scan_item.id"), call.one("scan_item.type")
    types, severities = call.words("type", _TYPES), call.words("effective_severity_level", _SEVERITIES)
    if len(types) > 1:
        raise Refused(400, "'type' takes one value", code="SNYK-0003", parameter="type")
    statuses, ignored = call.words("status", _STATUSES), call.flag("ignored")
    dates = [(name.split("_"), moment) for name in _ISSUE_FILTERS[-4:] if (moment := call.moment(name)) is not None]

    def fits(project: Project, issue: Issue) -> bool:
        return ((not item or (project.id == item and kind == "project")) and (not types or issue.type in types)
                and (not severities or issue.severity in severities) and (not statuses or issue.status in statuses)
                and (ignored is None or ignored == (issue.ignored is not None))
                and all((getattr(issue, which) > moment) == (side == "after") for (which, side), moment in dates))

    return fits


def _one_issue(owners: Sequence[Organization], key: str) -> Any:
    for owner in owners:
        for project in owner.projects.values():
            for issue in project.issues:
                if issue.id == key:
                    return document(_issue(owner, project, issue))
    raise Refused(404, f"Issue {key} was not found")


def _fits(call: Call, project: Project) -> bool:
    exact = (("target_id", project.target.id), ("target_reference", project.target_reference), ("target_file", project.target_file),
             ("ids", project.id), ("names", project.name), ("origins", project.origin), ("types", project.type))
    tags = {f"{key}:{value}" for key, value in project.tags}
    prefixes = call.words("names_start_with")
    return (all(not (words := call.words(name)) or value in words for name, value in exact)
            and all(tag in tags for tag in call.words("tags"))
            and (not prefixes or project.name.startswith(tuple(prefixes)))
            and all(not (words := call.words(name)) or set(words) & set(held) for name, held in (
                ("business_criticality", project.criticality), ("environment", project.environment), ("lifecycle", project.lifecycle))))


def _organization(one: Organization) -> dict[str, Any]:
    facts = {"name": one.name, "slug": one.slug, "is_personal": not one.group, "group_id": one.group or None,
             "created_at": date(one.created), "updated_at": date(one.created)}
    return {"type": "org", "id": one.id, "attributes": _given(facts)}


def _project(call: Call, owner: Organization, project: Project) -> dict[str, Any]:
    meta: dict[str, Any] = {"cli_monitored_at": None}
    if call.flag("meta.latest_issue_counts"):
        meta["latest_issue_counts"] = {**project.counts(), "updated_at": date(project.tested)}
    if call.flag("meta.latest_dependency_total"):
        meta["latest_dependency_total"] = {"total": 40 + len(project.issues), "updated_at": date(project.tested)}
    held: dict[str, Any] = {"type": "target", "id": project.target.id}
    if "target" in call.words("expand"):
        held |= {"attributes": {"display_name": project.target.name, "url": project.target.url or None}, "meta": {"integration_data": {}}}
    return {
        "type": "project", "id": project.id, "meta": meta,
        "attributes": {
            "name": project.name, "type": project.type, "origin": project.origin, "created": date(project.created),
            "status": project.status, "target_file": project.target_file, "target_reference": project.target_reference,
            "target_runtime": "", "read_only": False, "business_criticality": list(project.criticality),
            "environment": list(project.environment), "lifecycle": list(project.lifecycle),
            "tags": [{"key": key, "value": value} for key, value in project.tags],
            "settings": {"recurring_tests": {"frequency": "daily"}, "pull_requests": {}},
        },
        "relationships": {
            "organization": {"data": {"type": "organization", "id": owner.id}, "links": {"related": f"/orgs/{owner.id}"}},
            "target": {"data": held, "links": {"related": f"/orgs/{owner.id}/targets/{project.target.id}"}},
            "importer": {"data": {"type": "user", "id": made_id("importer", owner.id)}},
        },
    }


def _target(owner: Organization, target: Target) -> dict[str, Any]:
    return {
        "type": "target", "id": target.id,
        "attributes": {"display_name": target.name, "url": target.url or None, "is_private": target.is_private,
                       "created_at": date(owner.created)},
        "relationships": {
            "integration": {"data": {"type": "integration", "id": made_id("integration", owner.id, target.integration),
                                     "attributes": {"integration_type": target.integration}}},
            "organization": {"data": {"type": "organization", "id": owner.id}},
        },
    }


def _issue(owner: Organization, project: Project, issue: Issue) -> dict[str, Any]:
    relationships: dict[str, Any] = {
        "organization": {"data": {"type": "organization", "id": owner.id}, "links": {"related": f"/orgs/{owner.id}"}},
        "scan_item": {"data": {"type": "project", "id": project.id}, "links": {"related": f"/orgs/{owner.id}/projects/{project.id}"}},
    }
    facts = {**_facts(issue), **issue.told}
    attributes = {name: value for name, value in facts.items() if value is not ...}
    return {"type": "issue", "id": issue.id, "attributes": attributes, "relationships": relationships}


def _facts(issue: Issue) -> dict[str, Any]:
    told: dict[str, Any] = {
        "key": issue.key, "title": issue.title, "type": issue.type, "status": issue.status, "ignored": issue.ignored is not None,
        "effective_severity_level": issue.severity, "created_at": date(issue.created), "updated_at": date(issue.updated),
        "coordinates": [_coordinate(issue)],
    }
    maturity = {"sources": ["Snyk"], "maturity_levels": [{"format": "CVSSv3", "level": issue.maturity}]}
    optional = {
        "key_asset": issue.key_asset, "description": issue.description,
        "classes": [{"id": f"CWE-{number}", "source": "CWE", "type": "weakness"} for number in issue.cwe],
        "problems": _problems(issue),
        "severities": _severities(issue),
        "risk": {"score": {"model": "v4", "value": issue.risk}, "factors": []} if issue.risk is not None else None,
        "exploit_details": maturity if issue.maturity else None,
        "resolution": {"type": issue.resolution, "resolved_at": date(issue.updated)} if issue.status == "resolved" else None,
    }
    return told | _given(optional)


def _coordinate(issue: Issue) -> dict[str, Any]:
    shown: list[dict[str, Any]] = [{"dependency": {"package_name": name, "package_version": version}} for name, version in issue.packages]
    if issue.file:
        region = {"region": {"start": {"line": issue.line, "column": 5}, "end": {"line": issue.line, "column": 40}}} if issue.line else {}
        shown.append({"sourceLocation": {"file": issue.file, **region}})
    if issue.resource:
        shown.append({"resourcePath": issue.resource})
    told = {flag: flag in issue.fixes for flag in _FLAGS}
    return {**told, **({"reachability": issue.reachability} if issue.reachability else {}), "representations": shown}


def _problems(issue: Issue) -> list[dict[str, Any]]:
    when, kind = date(issue.updated), "rule" if issue.type in ("config", "license") else "vulnerability"
    own = {"id": issue.rule or issue.key, "source": "SNYK", "type": kind, "updated_at": when}
    return [own, *({"id": cve, "source": "NVD", "type": "vulnerability", "updated_at": when,
                    "url": f"https://nvd.nist.gov/vuln/detail/{cve}"} for cve in issue.cve)]


def _severities(issue: Issue) -> list[dict[str, Any]]:
    if issue.score is None:
        return []
    told: Mapping[str, Any] = {"level": issue.severity, "score": issue.score, "vector": issue.vector, "version": "3.1",
                               "modification_time": date(issue.updated)}
    return [{"source": "NVD", **told}, {"source": "Snyk", **told}] if issue.cve else [{"source": "Snyk", **told}]


def _issue_id(entry: _Found) -> str:
    return entry[2].id


def _by_id(one: Organization | Project | Target) -> str:
    return one.id


def _by_name(one: Organization) -> str:
    return f"{one.name} {one.id}"


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [])}
