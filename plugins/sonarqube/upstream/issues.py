"""``issues/search`` and its kin: filters, sorting, facets, and what people do with an issue."""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core import clock
from plugins.sonarqube.upstream.answers import Call, Refused, component, date, moment_of, present
from plugins.sonarqube.upstream.world import Branch, Issue, Project, Rule, World

TYPES = ("CODE_SMELL", "BUG", "VULNERABILITY")
SEVERITIES = ("INFO", "MINOR", "MAJOR", "CRITICAL", "BLOCKER")
QUALITIES = ("MAINTAINABILITY", "RELIABILITY", "SECURITY")
IMPACTS = ("LOW", "MEDIUM", "HIGH", "INFO", "BLOCKER")
ISSUE_STATUSES = ("OPEN", "CONFIRMED", "FALSE_POSITIVE", "ACCEPTED", "FIXED", "IN_SANDBOX")
STATUSES = ("OPEN", "CONFIRMED", "REOPENED", "RESOLVED", "CLOSED")
RESOLUTIONS = ("FALSE-POSITIVE", "WONTFIX", "FIXED", "REMOVED")
SORTS = ("CREATION_DATE", "UPDATE_DATE", "CLOSE_DATE", "SEVERITY", "STATUS", "FILE_LINE", "HOTSPOTS", "ASSIGNEE")
_FACETS = ("severities", "types", "statuses", "resolutions", "scopes", "issueStatuses", "impactSeverities", "impactSoftwareQualities",
           "cleanCodeAttributeCategories", "rules", "tags", "languages", "directories", "files", "fileUuids", "projects", "cwe", "author",
           "authors", "assignees", "createdAt", "owaspTop10", "owaspTop10-2021", "sansTop25", "sonarsourceSecurity", "codeVariants",
           "prioritizedRule", "assigned_to_me", "moduleUuids")
_ALL_VALUES = {"severities": SEVERITIES, "types": TYPES, "statuses": STATUSES, "resolutions": ("", *RESOLUTIONS),
               "scopes": ("MAIN", "TEST"), "impactSeverities": IMPACTS, "impactSoftwareQualities": QUALITIES}
_OF_ONE_PROJECT = ("files", "fileUuids", "directories")
_LONGEST_FACET = 100
_LEGACY = {"OPEN": ("OPEN", ""), "CONFIRMED": ("CONFIRMED", ""), "FALSE_POSITIVE": ("RESOLVED", "FALSE-POSITIVE"),
           "ACCEPTED": ("RESOLVED", "WONTFIX"), "FIXED": ("CLOSED", "FIXED"), "IN_SANDBOX": ("OPEN", "")}
_TRANSITIONS = {"confirm": "CONFIRMED", "unconfirm": "OPEN", "reopen": "OPEN", "falsepositive": "FALSE_POSITIVE", "wontfix": "ACCEPTED",
                "accept": "ACCEPTED", "resolve": "FIXED"}
_ATTRIBUTE_CATEGORY = {"TRUSTWORTHY": "RESPONSIBLE", "LOGICAL": "INTENTIONAL", "CLEAR": "INTENTIONAL", "FOCUSED": "ADAPTABLE"}
_SCOPING = ("components", "componentKeys", "projects", "branch", "pullRequest", "organization")
_KEPT_LISTINGS = 16
_PERIOD = re.compile(r"(?:(\d+)y)?(?:(\d+)m)?(?:(\d+)w)?(?:(\d+)d)?")


@dataclass(frozen=True, slots=True)
class Found:
    """An issue, and where it is."""

    issue: Issue
    project: Project
    branch: Branch


Test = Callable[[Found], bool]


class Listings:
    """Listings of one world, kept until its findings change, since each is asked for page by page."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, Sequence[Found]] = OrderedDict()

    def get(self, key: object, make: Callable[[], Sequence[Found]]) -> Sequence[Found]:
        listing = self._kept.get(key)
        if listing is None:
            listing = self._kept[key] = make()
            while len(self._kept) > _KEPT_LISTINGS:
                self._kept.popitem(last=False)
        return listing


def search(call: Call, listings: Listings) -> dict[str, Any]:
    """``GET issues/search``."""
    call.organization(needed=call.cloud and not call.args.get("componentKeys") and not call.args.get("issues"))
    tests = _tests(call)
    facets = call.words("facets", _FACETS)
    everything = listings.get(_asked(call, _SCOPING), lambda: _scope(call))
    asked = _asked(call, set(call.args) - {"p", "ps", "facets", "additionalFields"})
    found = listings.get(asked, lambda: _sorted(_passing(everything, tests.values()), call))
    page, paging = call.page(found)
    answer = {
        "total": paging["total"], "p": paging["pageIndex"], "ps": paging["pageSize"], "paging": paging,
        "effortTotal": sum(entry.issue.effort for entry in page),
        "issues": [as_json(entry, call) for entry in page],
        "components": _components(page, call),
        "facets": [_facet(name, call, everything, tests) for name in facets],
    }
    return answer | _additional(page, call)


def _asked(call: Call, names: Iterable[str]) -> object:
    """What makes two listings the same: who asks, for what, and of which state of the world."""
    return call.world.revision, call.token, call.no_projects, tuple(sorted((name, call.args.get(name, "")) for name in names))


def _passing(found: Sequence[Found], tests: Iterable[Test]) -> list[Found]:
    passing = list(found)
    for test in tests:
        passing = [entry for entry in passing if test(entry)]
    return passing


def listed(call: Call) -> dict[str, Any]:
    """``GET issues/list``: the database's own view, without a window."""
    if call.cloud or not call.since(10, 2):
        raise Refused(404, "Unknown url : /api/issues/list")
    project = call.project("project" if call.args.get("project") else "component")
    branch, types, resolved = call.branch(project), call.words("types", TYPES), call.flag("resolved")
    found = [Found(issue, project, branch) for issue in branch.issues
             if (not types or issue.type in types) and (resolved is None or bool(_LEGACY[issue.status][1]) == resolved)]
    page, paging = call.page(found, windowed=False)
    return {"paging": paging, "issues": [as_json(entry, call) for entry in page], "components": _components(page, call)}


def transition(call: Call) -> dict[str, Any]:
    """``POST issues/do_transition``."""
    entry = _by_key(call, call.need("issue"))
    name = call.need("transition")
    if name not in _TRANSITIONS:
        raise Refused(400, f"Value of parameter 'transition' ({name}) must be one of: [{', '.join(_TRANSITIONS)}]")
    entry.issue.status, entry.issue.updated = _TRANSITIONS[name], present() // 1000 * 1000
    call.world.changed()
    return {"issue": as_json(entry, call), "components": _components([entry], call), "rules": [], "users": []}


def assign(call: Call) -> dict[str, Any]:
    """``POST issues/assign``; nobody, when no assignee is named."""
    entry = _by_key(call, call.need("issue"))
    entry.issue.assignee = call.args.get("assignee", "").replace("_me", "svc-findings")
    call.world.changed()
    return {"issue": as_json(entry, call), "components": _components([entry], call), "rules": [], "users": []}


def as_json(entry: Found, call: Call) -> dict[str, Any]:
    """One issue, with the fields that this version has."""
    issue, project = entry.issue, entry.project
    status, resolution = _LEGACY[issue.status]
    rule = call.world.rules.get(issue.rule)
    where = f"{project.key}:{issue.path}" if issue.path else project.key
    effort = f"{issue.effort}min"
    answer: dict[str, Any] = {
        "key": issue.key, "rule": issue.rule, "severity": issue.severity, "component": where, "project": project.key,
        "flows": [{"locations": [_location(project, step)]} for step in issue.flow], "status": status, "message": issue.message,
        "effort": effort, "debt": effort, "author": issue.author, "tags": list(issue.tags), "creationDate": date(issue.created),
        "updateDate": date(issue.updated), "type": issue.type, "scope": "MAIN", "quickFixAvailable": False, "messageFormattings": [],
    }
    if issue.line is not None:
        answer |= {"line": issue.line, "hash": issue.hash,
                   "textRange": {"startLine": issue.line, "endLine": issue.line, "startOffset": 8, "endOffset": 40}}
    if resolution:
        answer["resolution"] = resolution
    if issue.assignee:
        answer["assignee"] = issue.assignee
    if status == "CLOSED":
        answer["closeDate"] = date(issue.updated)
    if not entry.branch.is_main:
        answer["branch"] = entry.branch.name
    return answer | _newer_fields(issue, rule, call) | _cloud_fields(project, call)


def _newer_fields(issue: Issue, rule: Rule | None, call: Call) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if call.since(10, 1):
        fields["codeVariants"] = []
    if call.since(10, 2):
        attribute = rule.attribute if rule else "TRUSTWORTHY"
        fields["impacts"] = [{"softwareQuality": quality, "severity": _impact(severity, call)} for quality, severity in issue.impacts]
        fields["cleanCodeAttribute"] = attribute
        fields["cleanCodeAttributeCategory"] = _ATTRIBUTE_CATEGORY.get(attribute, "INTENTIONAL")
    if call.since(10, 4):
        fields["issueStatus"] = issue.status
    if call.since(10, 6):
        fields["prioritizedRule"] = False
    if call.since(2025, 5) and not call.cloud:
        fields["internalTags"] = []
    return fields


def _cloud_fields(project: Project, call: Call) -> dict[str, Any]:
    return {"organization": project.organization, "projectName": project.name} if call.cloud else {}


def _impact(severity: str, call: Call) -> str:
    if call.since(10, 8):
        return severity
    return {"BLOCKER": "HIGH", "INFO": "LOW"}.get(severity, severity)


def _location(project: Project, step: tuple[str, int, str]) -> dict[str, Any]:
    path, line, message = step
    return {"component": f"{project.key}:{path}", "textRange": {"startLine": line, "endLine": line, "startOffset": 4, "endOffset": 30},
            "msg": message, "msgFormattings": []}


def _components(page: Iterable[Found], call: Call) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for entry in page:
        for path in {entry.issue.path, *(step[0] for step in entry.issue.flow), ""}:
            answer = component(entry.project, path, organization=call.cloud)
            found[answer["key"]] = answer
    return list(found.values())


def _additional(page: Iterable[Found], call: Call) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    asked = call.words("additionalFields")
    if "rules" in asked or "_all" in asked:
        keys = dict.fromkeys(entry.issue.rule for entry in page)
        rules = [call.world.rules[key] for key in keys if key in call.world.rules]
        answer["rules"] = [{"key": rule.key, "name": rule.name, "lang": rule.lang, "status": "READY", "langName": rule.lang_name}
                           for rule in rules]
    if "users" in asked or "_all" in asked:
        answer["users"] = []
    if "languages" in asked or "_all" in asked:
        answer["languages"] = [{"key": "java", "name": "Java"}, {"key": "js", "name": "JavaScript"}, {"key": "py", "name": "Python"}]
    if call.cloud:
        keys = dict.fromkeys(entry.project.organization for entry in page)
        answer["organizations"] = [{"key": key, "name": key.title()} for key in keys]
    return answer


def _scope(call: Call) -> list[Found]:
    """All issues that the component parameters leave; of every project that may be browsed when there are none.
    An unknown or hidden component leaves nothing, and that is no error."""
    name = "components" if not call.cloud and call.since(10, 2) and call.args.get("components") else "componentKeys"
    wanted = call.words(name) or call.words("projects")
    branch = call.args.get("branch", "") if call.world.flavour.branches else ""
    if call.args.get("pullRequest"):
        return []
    found: list[Found] = []
    for project in call.browsable():
        paths = [key.removeprefix(project.key) for key in wanted if key == project.key or key.startswith(f"{project.key}:")]
        held = project.branch(branch)
        if held is None or (wanted and not paths):
            continue
        whole = not wanted or "" in paths
        found += [Found(issue, project, held) for issue in held.issues if whole or any(_lies_in(issue.path, path) for path in paths)]
    return found


def _lies_in(path: str, below: str) -> bool:
    below = below.removeprefix(":")
    return path == below or path.startswith(f"{below}/")


def _sorted(found: list[Found], call: Call) -> Sequence[Found]:
    order = (call.words("s", SORTS) or [""])[0]
    ascending = call.flag("asc") is not False
    if order == "UPDATE_DATE":
        return sorted(found, key=lambda entry: (entry.issue.updated, entry.issue.key), reverse=not ascending)
    if order == "SEVERITY":
        return sorted(found, key=lambda entry: (SEVERITIES.index(entry.issue.severity), entry.issue.key), reverse=not ascending)
    if order == "FILE_LINE":
        return sorted(found, key=lambda entry: (entry.issue.path, entry.issue.line or 0, entry.issue.key), reverse=not ascending)
    if order == "CREATION_DATE":
        return sorted(found, key=lambda entry: (entry.issue.created, entry.issue.key), reverse=not ascending)
    return found


def _tests(call: Call) -> dict[str, Test]:
    """The filters of a search, by the name of their parameter."""
    tests: dict[str, Test] = {}
    world = call.world

    def one_of(name: str, allowed: Sequence[str], value: Callable[[Found], str]) -> None:
        words = set(call.words(name, allowed))
        if words:
            tests[name] = lambda entry: value(entry) in words

    def any_of(name: str, allowed: Sequence[str], values: Callable[[Found], Iterable[str]]) -> None:
        words = set(call.words(name, allowed))
        if words:
            tests[name] = lambda entry: not words.isdisjoint(values(entry))

    one_of("types", TYPES, lambda entry: entry.issue.type)
    one_of("severities", SEVERITIES, lambda entry: entry.issue.severity)
    one_of("statuses", STATUSES, lambda entry: _LEGACY[entry.issue.status][0])
    one_of("resolutions", RESOLUTIONS, lambda entry: _LEGACY[entry.issue.status][1])
    one_of("rules", (), lambda entry: entry.issue.rule)
    one_of("issues", (), lambda entry: entry.issue.key)
    one_of("languages", (), lambda entry: _language(entry, world))
    one_of("directories", (), lambda entry: _directory(entry.issue.path))
    one_of("scopes", ("MAIN", "TEST"), lambda entry: "MAIN")
    one_of("author", (), lambda entry: entry.issue.author)
    any_of("tags", (), lambda entry: entry.issue.tags)
    any_of("cwe", (), lambda entry: _weaknesses(entry, world))
    one_of("fileUuids" if call.cloud else "files", (), lambda entry: _file(entry, call))
    if call.since(10, 2):
        any_of("impactSoftwareQualities", QUALITIES, lambda entry: [quality for quality, _ in entry.issue.impacts])
        any_of("impactSeverities", IMPACTS, lambda entry: [_impact(severity, call) for _, severity in entry.issue.impacts])
    if call.since(10, 4):
        one_of("issueStatuses", ISSUE_STATUSES, lambda entry: entry.issue.status)
    resolved = call.flag("resolved")
    if resolved is not None:
        tests["resolved"] = lambda entry: bool(_LEGACY[entry.issue.status][1]) == resolved
    return tests | _date_tests(call)


def _date_tests(call: Call) -> dict[str, Test]:
    tests: dict[str, Test] = {}
    args = call.args
    if args.get("createdAfter") and args.get("createdInLast"):
        raise Refused(400, "Parameters createdAfter and createdInLast cannot be set simultaneously")
    start = moment_of(args["createdAfter"], "createdAfter") if args.get("createdAfter") else None
    end = moment_of(args["createdBefore"], "createdBefore") if args.get("createdBefore") else None
    if args.get("createdInLast"):
        start = _since_period(args["createdInLast"])
    if start is not None and start > present():
        raise Refused(400, "Start bound cannot be in the future")
    if start is not None and end is not None and start >= end:
        raise Refused(400, "Start bound cannot be larger or equal to end bound")
    if start is not None:
        tests["createdAfter"] = lambda entry: entry.issue.created >= start
    if end is not None:
        tests["createdBefore"] = lambda entry: entry.issue.created < end
    if args.get("createdAt"):
        exact = moment_of(args["createdAt"], "createdAt")
        tests["createdAt"] = lambda entry: entry.issue.created == exact
    return tests


def _since_period(text: str) -> int:
    found = _PERIOD.fullmatch(text)
    if not found or not text:
        raise Refused(400, f"'{text}' is not a period")
    days = sum(int(number or 0) * length for number, length in zip(found.groups(), (365, 30, 7, 1), strict=True))
    return present() - days * clock.DAY


def _facet(name: str, call: Call, everything: Sequence[Found], tests: dict[str, Test]) -> dict[str, Any]:
    """Counts per value, over everything that the other filters leave: a facet ignores the filter on its own field."""
    if name in _OF_ONE_PROJECT and not (call.args.get("components") or call.args.get("componentKeys") or call.args.get("projects")):
        raise Refused(400, f"Facet(s) '{name}' require to also filter by project")
    values = _facet_values(name, call)
    others = [test for field, test in tests.items() if field != name]
    counts = Counter(value for entry in _passing(everything, others) for value in values(entry))
    listed = counts.most_common(None if name in _ALL_VALUES else _LONGEST_FACET)
    listed += [(value, 0) for value in _ALL_VALUES.get(name, ()) if value not in counts]
    return {"property": name, "values": [{"val": value, "count": count} for value, count in listed]}


def _facet_values(name: str, call: Call) -> Callable[[Found], Iterable[str]]:
    world = call.world
    if name == ("fileUuids" if call.cloud else "files"):
        return lambda entry: [_file(entry, call)] if entry.issue.path else []
    found: dict[str, Callable[[Found], Iterable[str]]] = {
        "severities": lambda entry: [entry.issue.severity],
        "types": lambda entry: [entry.issue.type],
        "statuses": lambda entry: [_LEGACY[entry.issue.status][0]],
        "resolutions": lambda entry: [_LEGACY[entry.issue.status][1]],
        "scopes": lambda entry: ["MAIN"],
        "issueStatuses": lambda entry: [entry.issue.status],
        "impactSeverities": lambda entry: {_impact(severity, call) for _, severity in entry.issue.impacts},
        "impactSoftwareQualities": lambda entry: {quality for quality, _ in entry.issue.impacts},
        "rules": lambda entry: [entry.issue.rule],
        "tags": lambda entry: entry.issue.tags,
        "languages": lambda entry: [_language(entry, world)],
        "directories": lambda entry: [_directory(entry.issue.path)] if entry.issue.path else [],
        "projects": lambda entry: [entry.project.key],
        "author": lambda entry: [entry.issue.author],
        "cwe": lambda entry: _weaknesses(entry, world),
    }
    return found.get(name, lambda entry: ())


def _language(entry: Found, world: World) -> str:
    rule = world.rules.get(entry.issue.rule)
    return rule.lang if rule else ""


def _weaknesses(entry: Found, world: World) -> list[str]:
    rule = world.rules.get(entry.issue.rule)
    return [str(number) for number in rule.cwe] if rule and rule.cwe else ["unknown"]


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _file(entry: Found, call: Call) -> str:
    """Cloud names files by an opaque id, a Server by their path."""
    return f"uuid-{entry.issue.path}" if call.cloud else entry.issue.path


def _by_key(call: Call, key: str) -> Found:
    for project in call.browsable():
        for branch in project.branches:
            for issue in branch.issues:
                if issue.key == key:
                    return Found(issue, project, branch)
    raise Refused(404, f"Issue with key '{key}' does not exist")
