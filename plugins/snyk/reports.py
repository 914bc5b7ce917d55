"""Files that Snyk wrote, uploaded in place of a pull: the JSON of its command line, its SARIF, and pages of issues of its REST API."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from core.hooks.contracts import AssetDraft, FindingDraft, ReportFile, RuleDraft, Severity, SourceState, Unmapped
from core.imports.formats import sarif
from core.imports.json_stream import JsonStream, outline
from plugins.snyk import cli
from plugins.snyk.mapper import ASSET_KIND, Links, Project, to_finding

Record = Mapping[str, Any]

_FACTS = frozenset({"projectName", "displayTargetFile", "targetFile", "packageManager", "path", "docker", "error", "ok"})
#: what only a record of Snyk has; a head may be cut in the first one
_MARKS = frozenset({"CVSSv3", "packageName", "moduleName", "semver", "upgradePath", "publicId", "severityWithCritical"})
_TOOL = "Snyk"
_CATEGORIES = {"snykcode": "code", "snyk code": "code", "snyk open source": "open_source", "snykopensource": "open_source",
               "snyk container": "container", "snyk iac": "iac",
               "snyk secrets": "secret"}
_WORDS = {severity.name.lower(): severity for severity in Severity}
_MOST_PROJECTS = 10_000

Drafts = Iterator[AssetDraft | RuleDraft | FindingDraft | Unmapped]


# -- the command line's JSON ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Test:
    """A test of one project; ``applications`` are those that were found within an image."""

    facts: dict[str, Any] = field(default_factory=dict)
    applications: list["_Test"] = field(default_factory=list)


@dataclass(slots=True)
class _Ways:
    """By which ways each finding's package comes in, as far as the file has been read; and which advisories are told."""

    by_key: dict[str, tuple[Sequence[str], int]] = field(default_factory=dict)
    rules: set[str] = field(default_factory=set)


class SnykReport:
    """``snyk test``, and those of containers, configurations and unmanaged code, with ``--json``: one project, or an array of them."""

    format, title, source = "snyk-cli", "Snyk CLI JSON", "snyk"

    def recognises(self, head: bytes) -> bool:
        document = outline(head)
        first = document[0] if isinstance(document, list) and document else document
        if not isinstance(first, dict):
            return False
        if {"ok", "error"} <= set(first):
            return True
        # a scan that found something has a Snyk id in its first record; one that found nothing has its other fields in the head
        return _has_unmanaged(first) or any(_begins_a_test(first, name) for name in ("vulnerabilities", cli.CONFIGURATION))

    def read(self, report: ReportFile) -> Drafts:
        """Two walks: what a test says of its project stands behind what it found."""
        tests: list[_Test] = []
        with JsonStream(report) as document:
            is_array = document.kind() == "array"
            _each_test(document, lambda _: tests.append(_headed(document, len(tests))))
        with JsonStream(report) as document:
            yield from _each_read(document, tests, is_array)


def _has_unmanaged(document: Record) -> bool:
    """``snyk unmanaged test`` has two other lists before its vulnerabilities."""
    listed = document.get("issues")
    return isinstance(listed, list) and bool(listed) and isinstance(listed[0], dict) and {"issueId", "pkgName"} <= set(listed[0])


def _begins_a_test(document: Record, name: str) -> bool:
    listed = document.get(name)
    if not isinstance(listed, list):
        return False
    if not listed:
        return bool({"ok", "dependencyCount", "packageManager", "projectName"} & set(document))
    return isinstance(listed[0], dict) and bool(_MARKS & set(listed[0]))


def _each_test(document: JsonStream, take: Callable[[int], Any]) -> None:
    if document.kind() == "array":
        for number in document.items():
            take(number)
    else:
        take(0)


def _headed(document: JsonStream, number: int) -> _Test:
    """A test without what it found.

    :raises ReportInvalid: when Snyk could not test the project; to read it as "nothing found" would close what is there.
    """
    if number >= _MOST_PROJECTS:
        raise document.too_large(f"A report may have at most {_MOST_PROJECTS:,} projects")
    test, has_result = _Test(), False
    for name in document.members():
        kind = document.kind()
        if name in ("vulnerabilities", cli.CONFIGURATION) and kind == "array":
            has_result, test.facts[name] = True, True
        elif name == "applications" and kind == "array":
            _each_test(document, lambda inner: test.applications.append(_headed(document, inner)))
        elif name in _FACTS:
            test.facts[name] = document.value() if kind != "object" else True
    if not has_result:
        reason = str(test.facts.get("error") or "there is no list of what was found").partition("\n")[0][:200]
        raise document.invalid(f"A project was not tested: {reason}")
    return test


def _each_read(document: JsonStream, tests: Sequence[_Test], is_one_of_several: bool) -> Drafts:
    ways = _Ways()
    if document.kind() == "array":
        for number in document.items():
            yield from _read(document, tests[number], is_one_of_several, ways)
    else:
        yield from _read(document, tests[0], is_one_of_several, ways)


def _read(document: JsonStream, test: _Test, is_one_of_several: bool, ways: _Ways) -> Drafts:
    tested = cli.to_tested(test.facts, is_one_of_several or bool(test.applications))
    yield cli.to_asset(tested)
    for name in document.members():
        kind = document.kind()
        if name == "vulnerabilities" and kind == "array":
            for found in document.each(partial(_found, tested, ways)):
                yield from found
        elif name == cli.CONFIGURATION and kind == "array":
            yield from document.each(lambda told: cli.to_configuration_finding(told, tested))
        elif name == "filtered" and kind == "object":
            for part in document.members():
                if part == "ignore" and document.kind() == "array":
                    for found in document.each(partial(_ignored, tested, ways)):
                        yield from found
        elif name == "applications" and kind == "array":
            for number in document.items():
                yield from _read(document, test.applications[number], True, ways)
            yield cli.to_asset(tested)  # what follows is of the image itself again


def _found(tested: cli.Tested, ways: _Ways, told: Record) -> list[RuleDraft | FindingDraft]:
    """Every further path to the same package tells the finding anew, with all paths so far: the last one counts."""
    key = cli.key_of(told, tested)
    known, count = ways.by_key.get(key, ((), 0))
    further = cli.ways_in(told)
    known = cli.more_ways(known, further)
    ways.by_key[key] = known, count + len(further)
    return _with_rule(cli.to_finding(told, tested, known, count + len(further)), ways)


def _ignored(tested: cli.Tested, ways: _Ways, told: Record) -> list[RuleDraft | FindingDraft]:
    """What is ignored on one path and found on another is open."""
    if cli.key_of(told, tested) in ways.by_key:
        return []
    return _with_rule(cli.to_finding(told, tested, cli.more_ways((), cli.ways_in(told)), 1, SourceState.ACCEPTED), ways)


def _with_rule(draft: FindingDraft, ways: _Ways) -> list[RuleDraft | FindingDraft]:
    if draft.rule in ways.rules:
        return [draft]
    ways.rules.add(draft.rule)
    return [cli.to_rule(draft), draft]


# -- SARIF ----------------------------------------------------------------------------------------------------------------------


class SnykSarif:
    """The SARIF of Snyk Code, and of the other products with ``--sarif``."""

    format, title, source = "snyk-sarif", "Snyk SARIF", "snyk"

    def recognises(self, head: bytes) -> bool:
        tools = sarif.tools_in(head) if sarif.is_sarif(head) else []
        return bool(tools) and all(tool.startswith(_TOOL) for tool in tools)

    def read(self, report: ReportFile) -> Drafts:
        return sarif.read(report, sarif.Dialect(_asset_of, _finished))


def _asset_of(run: sarif.Run) -> AssetDraft | None:
    """``Snyk/Open Source/<project>/<number>/<time>`` names the project, which may have slashes itself."""
    parts = str((run.facts.get("automationDetails") or {}).get("id") or "").split("/")
    if len(parts) >= 5 and parts[0] == _TOOL:
        name = "/".join(parts[2:-2])
        return AssetDraft(name, name, ASSET_KIND)
    known = sarif.asset_of_repository(run)
    return replace(known, kind=ASSET_KIND) if known else None


def _finished(draft: FindingDraft, result: Record, rule: sarif.Rule, run: sarif.Run) -> FindingDraft:
    """Snyk's levels know no critical, but the rule's title begins with the word; of several suppressions an accepted one counts."""
    category = _CATEGORIES.get(run.driver.name.lower(), "code")
    word = rule.title.partition(" ")[0].lower()
    severity = _WORDS.get(word, draft.severity) if category != "code" else draft.severity
    told = [suppression.get("status") or "accepted" for suppression in result.get("suppressions") or ()]
    state, status = (SourceState.ACCEPTED, "ignored") if "accepted" in told else (draft.state, draft.source_status)
    return replace(draft, category=category, severity=severity, state=state, source_status=status,
                   details={**draft.details, **_facts_of(result)})


def _facts_of(result: Record) -> dict[str, Any]:
    package = next((logical.get("fullyQualifiedName") for place in result.get("locations") or ()
                    for logical in place.get("logicalLocations") or () if logical.get("fullyQualifiedName")), None)
    facts = {"package": package, "priority": (result.get("properties") or {}).get("priorityScore")}
    return {name: value for name, value in facts.items() if value is not None}


# -- pages of the REST API ------------------------------------------------------------------------------------------------------


class SnykIssues:
    """Pages of ``/rest/orgs/.../issues``, as they came; every project is an asset of its own."""

    format, title, source = "snyk-rest", "Snyk REST issues", "snyk"

    def recognises(self, head: bytes) -> bool:
        document = outline(head)
        if not isinstance(document, dict) or not isinstance(document.get("data"), list):
            return False
        first = document["data"][0] if document["data"] else {}
        return "jsonapi" in document or (isinstance(first, dict) and first.get("type") == "issue")

    def read(self, report: ReportFile) -> Drafts:
        here, assets, has_next = "", dict[str, AssetDraft](), False
        with JsonStream(report) as document:
            for name in document.members():
                if name == "data" and document.kind() == "array":
                    for project, draft in filter(None, document.each(_issue)):
                        if project != here:
                            here = project
                            yield assets.setdefault(project, AssetDraft(project, project, ASSET_KIND))
                        yield draft
                elif name == "links" and document.kind() == "object":
                    has_next = bool(document.value().get("next"))
        for asset in assets.values() if has_next else ():
            yield asset
            yield Unmapped("The next page is missing")


def _issue(told: Record) -> tuple[str, FindingDraft] | None:
    if told["type"] != "issue":
        return None
    item = ((told.get("relationships") or {}).get("scan_item") or {}).get("data") or {}
    project = str(item.get("id") or "")
    draft = to_finding(told, Project(project), Links(""), None)
    return project or "(no project)", replace(draft, url=Links("").advisory(draft.rule) if draft.rule else "")
