"""Everything that is not a finding: the service itself, organizations, projects, branches, measures, rules."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from plugins.sonarqube.upstream.answers import Call, Refused, component, date
from plugins.sonarqube.upstream.world import Branch, Project, Rule

_SEARCH_LENGTHS = (2, 15)
_RULE_FIELDS = ("name", "severity", "status", "tags", "sysTags", "lang", "langName", "repo", "descriptionSections", "htmlDesc", "mdDesc",
                "htmlNote", "params", "scope", "isTemplate", "isExternal", "templateKey", "createdAt", "updatedAt", "internalKey",
                "actives", "remFn", "defaultRemFn", "debtRemFn", "gapDescription", "cleanCodeAttribute", "educationPrinciples",
                "securityStandards")
_SETTINGS = {"sonar.core.serverBaseURL": "http://localhost:9000", "projects.default.visibility": "private",
             "sonar.forceAuthentication": "true"}
_METRICS = {"vulnerabilities": "Vulnerabilities", "bugs": "Bugs", "code_smells": "Code Smells", "security_hotspots": "Security Hotspots",
            "violations": "Issues", "blocker_violations": "Blocker Issues", "critical_violations": "Critical Issues",
            "major_violations": "Major Issues", "minor_violations": "Minor Issues", "info_violations": "Info Issues",
            "accepted_issues": "Accepted Issues", "false_positive_issues": "False Positive Issues", "ncloc": "Lines of Code",
            "security_rating": "Security Rating", "alert_status": "Quality Gate Status", "coverage": "Coverage"}


def system_status(call: Call) -> dict[str, Any]:
    flavour = call.world.flavour
    return {"id": "20260101-AXstandin", "version": "8.0.0.71245" if flavour.cloud else flavour.version, "status": flavour.status}


def server_version(call: Call) -> str:
    return str(system_status(call)["version"])


def health(call: Call) -> dict[str, Any]:
    return {"health": "GREEN" if call.world.flavour.status == "UP" else "RED", "causes": []}


def ping(call: Call) -> str:
    return "pong"


def nothing_installed(call: Call) -> dict[str, Any]:
    return {"plugins": []}


def settings(call: Call) -> dict[str, Any]:
    """``settings/values`` of the few settings that there are."""
    keys = call.words("keys")
    told = [{"key": key, "value": value, "inherited": True} for key, value in _SETTINGS.items() if not keys or key in keys]
    return {"settings": told, "setSecuredSettings": []}


def setting_definitions(call: Call) -> dict[str, Any]:
    return {"definitions": [{"key": key, "name": key, "type": "STRING", "category": "general", "subCategory": "general", "fields": [],
                             "options": [], "multiValues": False} for key in _SETTINGS]}


def new_code_period(call: Call) -> dict[str, Any]:
    return {"type": "PREVIOUS_VERSION", "inherited": True}


def navigation(call: Call) -> dict[str, Any]:
    """What a page of SonarQube asks first; tools read the edition from it."""
    flavour = call.world.flavour
    return {"canAdmin": call.token.admin, "globalPages": [], "settings": {}, "qualifiers": ["TRK"], "version": flavour.version,
            "productionDatabase": True, "branchesEnabled": flavour.branches, "edition": "developer" if flavour.branches else "community",
            "standalone": True, "instanceUsesDefaultAdminCredentials": False}


def current_user(call: Call) -> dict[str, Any]:
    return {"isLoggedIn": True, "login": "svc-findings", "name": "Findings service", "email": "svc-findings@example.com",
            "groups": ["members"], "scmAccounts": [], "permissions": {"global": ["admin"] if call.token.admin else []}}


def own_tokens(call: Call) -> dict[str, Any]:
    expiry = {"expirationDate": date(call.token.expires)} if call.token.expires else {}
    return {"login": "svc-findings", "userTokens": [{"name": "findings", "type": "USER_TOKEN", "isExpired": False,
                                                     "createdAt": "2026-01-05T08:00:00+0000", **expiry}]}


def mode(call: Call) -> dict[str, Any]:
    if call.cloud or not call.since(10, 8):
        raise Refused(404, "Unknown url : /api/v2/clean-code-policy/mode")
    return {"mode": call.world.flavour.mode, "modified": False}


def organizations(call: Call) -> dict[str, Any]:
    if not call.cloud:
        raise Refused(404, "Unknown url : /api/organizations/search")
    keys = call.words("organizations")
    found = [key for key in call.world.organizations if (not keys or key in keys) and call.token.organization in ("", key)]
    page, paging = call.page(found)
    return {"organizations": [{"key": key, "name": key.title(), "description": "", "url": "", "avatar": "",
                               "actions": {"admin": call.token.admin}, "subscription": "PAID"} for key in page], "paging": paging}


def projects(call: Call) -> dict[str, Any]:
    """``projects/search``: for administrators, without a window."""
    call.organization()
    if not call.token.admin:
        raise Refused(403, "Insufficient privileges")
    keys, text = set(call.words("projects")), call.args.get("q", "").lower()
    found = [project for project in call.listable()
             if (not keys or project.key in keys) and text in f"{project.name}\n{project.key}".lower()]
    page, paging = call.page(found, windowed=False)
    return {"paging": paging, "components": [_administered(project, call) for project in page]}


def _administered(project: Project, call: Call) -> dict[str, Any]:
    dates = [branch.analysed for branch in project.branches if branch.analysed]
    answer: dict[str, Any] = {"key": project.key, "name": project.name, "qualifier": "TRK", "visibility": "private",
                              "revision": "5f1c0de5f1c0de5f1c0de5f1c0de5f1c0de5f1c0"}
    if dates:
        answer["lastAnalysisDate"] = date(max(dates))
    if call.cloud:
        answer["organization"] = project.organization
    elif call.since(10, 2):
        answer["managed"] = False
    return answer


def create_project(call: Call) -> dict[str, Any]:
    """``POST projects/create``."""
    organization = call.organization() or call.token.organization
    if not call.token.admin:
        raise Refused(403, "Insufficient privileges")
    key, name = call.need("project"), call.need("name")
    if key in call.world.projects:
        raise Refused(400, f"Could not create Project with key: \"{key}\". A similar key already exists: \"{key}\"")
    call.world.projects[key] = Project(key, name, organization, [Branch("main", is_main=True, analysed=None)])
    call.world.changed()
    return {"project": {"key": key, "name": name, "qualifier": "TRK", "visibility": "private"}}


def delete_project(call: Call) -> None:
    """``POST projects/delete``."""
    project = call.project("project")
    if not call.token.admin:
        raise Refused(403, "Insufficient privileges")
    call.world.remove(project.key)


def components(call: Call) -> dict[str, Any]:
    """``components/search``: by name, for everybody who may browse."""
    call.organization()
    call.need("qualifiers")
    text = call.args.get("q", "")
    if text and len(text) < _SEARCH_LENGTHS[0]:
        raise Refused(400, f"'q' length ({len(text)}) is shorter than the minimum authorized ({_SEARCH_LENGTHS[0]})")
    text = text[:_SEARCH_LENGTHS[1]].lower()
    found = [project for project in call.browsable() if text in project.name.lower() or text == project.key.lower()]
    page, paging = call.page(found)
    named = {"organization": call.args.get("organization", "")} if call.cloud else {}
    return {"paging": paging, "components": [{"key": project.key, "name": project.name, "qualifier": "TRK", "project": project.key, **named}
                                             for project in page]}


def project_list(call: Call) -> dict[str, Any]:
    """``components/search_projects``: what the list of projects in the pages uses."""
    call.organization()
    page, paging = call.page(call.browsable())
    dated = {"analysisDate", "_all"} & set(call.words("f"))
    return {"paging": paging, "facets": [], "components": [
        {"key": project.key, "name": project.name, "qualifier": "TRK", "visibility": "private", "tags": [], "isFavorite": False,
         **({"analysisDate": date(project.main.analysed)} if dated and project.main.analysed else {})} for project in page]}


def show(call: Call) -> dict[str, Any]:
    """``components/show``."""
    project = call.project()
    branch = call.branch(project)
    answer = {**component(project, organization=call.cloud), "visibility": "private", "tags": [], "version": "1.0"}
    del answer["enabled"], answer["longName"]
    if branch.analysed:
        answer["analysisDate"] = date(branch.analysed)
    return {"component": answer, "ancestors": []}


def branches(call: Call) -> dict[str, Any]:
    project = call.project("project")
    known = project.branches if call.world.flavour.branches else [project.main]
    return {"branches": [_branch(branch, call) for branch in known]}


def _branch(branch: Branch, call: Call) -> dict[str, Any]:
    answer: dict[str, Any] = {"name": branch.name, "isMain": branch.is_main, "type": "LONG" if call.cloud else "BRANCH",
                              "status": {"qualityGateStatus": branch.gate}, "excludedFromPurge": branch.is_main}
    if branch.analysed:
        answer["analysisDate"] = date(branch.analysed)
    return answer


def pull_requests(call: Call) -> dict[str, Any]:
    call.project("project")
    return {"pullRequests": []}


def measures(call: Call) -> dict[str, Any]:
    """``measures/component``; values are text."""
    project = call.project()
    wanted = call.need("metricKeys").split(",")
    unknown = [key for key in wanted if key not in _METRICS and not key.startswith("new_")]
    if unknown:
        raise Refused(404, f"The following metric keys are not found: {', '.join(unknown)}")
    values = _measured(call.branch(project))
    told = [{"metric": key, "value": values[key], "bestValue": values[key] == "0"} for key in wanted if key in values]
    return {"component": {"key": project.key, "name": project.name, "qualifier": "TRK", "measures": told}}


def _measured(branch: Branch) -> dict[str, str]:
    still = [issue for issue in branch.issues if issue.status in ("OPEN", "CONFIRMED")]
    types, severities = Counter(issue.type for issue in still), Counter(issue.severity for issue in still)
    statuses = Counter(issue.status for issue in branch.issues)
    worst = next((rating for severity, rating in (("BLOCKER", "5.0"), ("CRITICAL", "4.0"), ("MAJOR", "3.0"), ("MINOR", "2.0"))
                  if any(issue.severity == severity and issue.type == "VULNERABILITY" for issue in still)), "1.0")
    return {"vulnerabilities": str(types["VULNERABILITY"]), "bugs": str(types["BUG"]), "code_smells": str(types["CODE_SMELL"]),
            "security_hotspots": str(sum(hotspot.status == "TO_REVIEW" for hotspot in branch.hotspots)), "violations": str(len(still)),
            **{f"{name.lower()}_violations": str(severities[name]) for name in ("BLOCKER", "CRITICAL", "MAJOR", "MINOR", "INFO")},
            "accepted_issues": str(statuses["ACCEPTED"]), "false_positive_issues": str(statuses["FALSE_POSITIVE"]),
            "ncloc": str(400 + len(branch.issues) * 37), "security_rating": worst, "alert_status": branch.gate}


def metrics(call: Call) -> dict[str, Any]:
    page, paging = call.page(list(_METRICS.items()))
    return {"metrics": [{"id": key, "key": key, "name": name, "type": "INT", "domain": "Security", "hidden": False} for key, name in page],
            "total": paging["total"], "p": paging["pageIndex"], "ps": paging["pageSize"]}


def languages(call: Call) -> dict[str, Any]:
    found = {rule.lang: rule.lang_name for rule in call.world.rules.values() if rule.lang}
    return {"languages": [{"key": key, "name": name} for key, name in sorted(found.items())]}


def gate(call: Call) -> dict[str, Any]:
    project = call.project("projectKey")
    return {"projectStatus": {"status": call.branch(project).gate, "conditions": [], "ignoredConditions": False}}


def rule(call: Call) -> dict[str, Any]:
    """``rules/show``."""
    call.organization()
    key = call.need("key")
    found = call.world.rules.get(key)
    if found is None:
        raise Refused(404, f"Rule not found: {key}")
    return {"rule": _rule(found, call, None), "actives": []}


def rules(call: Call) -> dict[str, Any]:
    """``rules/search``."""
    call.organization()
    allowed = [name for name in _RULE_FIELDS if name != "htmlDesc" or not call.since(2025, 1) or call.cloud]
    fields = call.words("f", allowed) or None
    page, paging = call.page(list(_matching_rules(call)))
    answer = {"total": paging["total"], "p": paging["pageIndex"], "ps": paging["pageSize"],
              "rules": [_rule(found, call, fields) for found in page]}
    return answer | ({"paging": paging} if call.since(9, 8) else {})


def _matching_rules(call: Call) -> Iterable[Rule]:
    repositories, types, languages, tags, severities, weaknesses = (
        set(call.words(name)) for name in ("repositories", "types", "languages", "tags", "severities", "cwe"))
    key, text = call.args.get("rule_key"), call.args.get("q", "")
    for found in call.world.rules.values():
        if (
            (not repositories or found.key.partition(":")[0] in repositories)
            and (not types or found.type in types)
            and (not languages or found.lang in languages)
            and (not tags or not tags.isdisjoint(found.tags))
            and (not severities or found.severity in severities)
            and (not weaknesses or not weaknesses.isdisjoint(map(str, found.cwe)))
            and key in (None, "", found.key)
            and text.lower() in found.name.lower()
            and (call.flag("include_external") or not found.key.startswith("external_"))
        ):
            yield found


def _rule(found: Rule, call: Call, fields: list[str] | None) -> dict[str, Any]:
    """A rule with the fields asked for, or with all; key and type are always there."""
    sections = [{"key": key, "content": content} for key, content in found.sections]
    everything: dict[str, Any] = {
        "repo": found.key.partition(":")[0], "name": found.name, "severity": found.severity, "status": "READY", "lang": found.lang,
        "langName": found.lang_name, "tags": [], "sysTags": list(found.tags), "isTemplate": False, "isExternal": False, "params": [],
        "scope": "MAIN", "createdAt": "2024-03-01T09:00:00+0000", "remFnType": "CONSTANT_ISSUE", "remFnBaseEffort": f"{found.effort}min",
    }
    if call.since(9, 5) and sections:
        everything["descriptionSections"] = sections
    if not call.since(2025, 1) or call.cloud:
        everything["htmlDesc"] = "\n".join(content for _, content in found.sections)
    if call.cloud and fields and "securityStandards" in fields:
        everything["securityStandards"] = [f"cwe:{number}" for number in found.cwe]
    if call.since(10, 2):
        everything["cleanCodeAttribute"] = found.attribute
    chosen = everything if fields is None else {name: value for name, value in everything.items() if name in fields}
    impacts = [{"softwareQuality": quality, "severity": severity} for quality, severity in found.impacts]
    return {"key": found.key, "type": found.type, **chosen, **({"impacts": impacts} if call.since(10, 2) and impacts else {})}
