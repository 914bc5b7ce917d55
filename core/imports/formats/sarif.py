"""SARIF 2.1 of any tool.

What is not obvious (``docs/imports.md`` tells the rest): a result without a level has that of its rule, then ``warning``; a
``security-severity`` decides before the level; results of kind ``pass`` and ``notApplicable`` are no findings; code that a
report quotes is not kept, since it may be the very secret that was found.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from core import clock
from core.hooks.contracts import AssetDraft, FindingDraft, ReportFile, RuleDraft, Severity, SourceState, Unmapped
from core.imports.json_stream import JsonStream, outline
from core.imports.limits import LONGEST_RULE, LONGEST_TEXT, MOST_LOOKED_UP, MOST_RULES, MOST_STEPS

Record = Mapping[str, Any]
Drafts = Iterator[AssetDraft | RuleDraft | FindingDraft | Unmapped]

_LEVELS = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW, "none": Severity.INFO}
_NO_FINDINGS = frozenset({"pass", "notApplicable"})
_CWE = re.compile(r"\bCWE[-_: ]?0*(\d{1,5})\b", re.IGNORECASE)
_CWE_PAGE = re.compile(r"//cwe\.mitre\.org/data/definitions/(\d{1,5})\b", re.IGNORECASE)
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d{1,3})\}")
_LINK = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]\([^()\s]*\)")  # [text](target), where a target is a number or an address
_REPOSITORY = re.compile(r"(?:^[a-z+]+://(?:[^/@]*@)?[^/]*/|^[^/:@]*@?[^/:]+:)([^?#]+?)(?:\.git)?/?$", re.IGNORECASE)
_LONGEST_TITLE = 200
_MOST_KEPT = 20  # further places, tags
_MOST_BASES = 10  # beneath each other
#: what some tools call a fingerprint though it tells no two results apart: who committed, and what Semgrep says who is not signed in
_NO_FINGERPRINTS = frozenset({"author", "email", "date", "commitmessage", "commitsha"})
_NO_FINGERPRINT = "requires login"


@dataclass(slots=True)
class Rule:
    """What results need of their rule."""

    id: str = ""
    title: str = ""
    level: str = ""
    score: float | None = None
    cwe: tuple[int, ...] = ()
    cve: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    url: str = ""
    messages: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Component:
    """The driver of a tool, or one of its extensions."""

    name: str = ""
    rules: list[Rule] = field(default_factory=list)
    by_id: dict[str, Rule] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Run:
    """All of a run but its results.

    :ivar artifacts: files that results name by number: address, and the base that it is beneath.
    :ivar bases: what those are called beneath which addresses are: an address, and the base that this is beneath.
    :ivar facts: ``automationDetails``, ``versionControlProvenance`` and the like, as they stand.
    """

    driver: Component = field(default_factory=Component)
    extensions: list[Component] = field(default_factory=list)
    artifacts: list[tuple[str, str]] = field(default_factory=list)
    bases: dict[str, tuple[str, str]] = field(default_factory=dict)
    taxonomies: list[tuple[str, list[str]]] = field(default_factory=list)
    has_results: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


_NO_RULE = Rule()


def asset_of_repository(run: Run) -> AssetDraft | None:
    """The repository that a run says it looked at; None when it does not say."""
    for version in run.facts.get("versionControlProvenance") or ():
        uri = version.get("repositoryUri") or ""
        found = _REPOSITORY.search(uri)
        if found:
            return AssetDraft(found[1], found[1], "report", url=uri if uri.startswith("https://") else "")
    return None


def as_it_is(draft: FindingDraft, result: Record, rule: Rule, run: Run) -> FindingDraft:
    """The finding of a tool that has no ways of its own."""
    return draft


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a tool's SARIF says beyond the standard: which asset a run is about, and how a finding is to be changed."""

    asset_of: Callable[[Run], AssetDraft | None] = asset_of_repository
    finish: Callable[[FindingDraft, Record, Rule, Run], FindingDraft] = as_it_is


class SarifReport:
    """The parser for every tool that no plugin knows better."""

    format, title, source = "sarif", "SARIF 2.1", "sarif"

    def recognises(self, head: bytes) -> bool:
        return is_sarif(head)

    def read(self, report: ReportFile) -> Drafts:
        return read(report, Dialect())


def is_sarif(head: bytes) -> bool:
    document = outline(head)
    if not isinstance(document, dict) or not isinstance(document.get("runs"), list):
        return False
    runs = document["runs"]
    first = runs[0] if runs and isinstance(runs[0], dict) else {}
    return "sarif" in str(document.get("$schema")) or "version" in document or "tool" in first or "results" in first


def tools_in(head: bytes) -> list[str]:
    """Names of the drivers that a head shows."""
    document = outline(head)
    runs = document.get("runs") if isinstance(document, dict) else None
    drivers = [((run.get("tool") or {}).get("driver") or {}) for run in runs or () if isinstance(run, dict)]
    return [driver["name"] for driver in drivers if isinstance(driver, dict) and isinstance(driver.get("name"), str)]


def read(report: ReportFile, dialect: Dialect) -> Drafts:
    """The rules, then the results of every run.

    Two walks over the file: rules, artifacts and taxonomies may stand behind the results that refer to them.
    """
    runs: list[Run] = []
    yield from _heads(report, runs)
    repeated: dict[int, int] = {}
    with JsonStream(report) as document:
        for name in document.members():
            if name == "runs":
                for number in document.items():
                    yield from _results(document, runs[number], dialect, repeated)
    if not runs:
        yield Unmapped("The report has no runs: no tool looked for anything")


# -- the first walk: everything but the results ---------------------------------------------------------------------------------


def _heads(report: ReportFile, runs: list[Run]) -> Iterator[RuleDraft]:
    is_there = False
    with JsonStream(report) as document:
        for name in document.members():
            if name == "version":
                version = document.text()
                if not version.startswith("2."):
                    raise document.invalid(f"SARIF {version} is not read, but 2.1.0 is")
            elif name == "runs":
                is_there = True
                for _ in document.items():
                    runs.append(Run())
                    yield from _head(document, runs[-1])
        if not is_there:
            raise document.invalid("The member 'runs' is missing")


def _head(document: JsonStream, run: Run) -> Iterator[RuleDraft]:
    for name in document.members():
        kind = document.kind()
        if name == "tool":
            yield from _tool(document, run)
        elif name == "results":
            run.has_results = kind == "array"
        elif name == "artifacts" and kind == "array":
            for _ in document.items():
                run.artifacts.append(document.mapped(lambda told: _address(told.get("location") or {}), document.value()))
                if len(run.artifacts) > MOST_LOOKED_UP:
                    raise document.too_large(f"A run may have at most {MOST_LOOKED_UP:,} artifacts")
        elif name == "taxonomies" and kind == "array":
            run.taxonomies += document.each(_taxonomy)
        elif name == "originalUriBaseIds" and kind == "object":
            run.bases = document.mapped(lambda told: {name: _address(base) for name, base in told.items()}, document.value())
        elif name in ("automationDetails", "versionControlProvenance"):
            run.facts[name] = document.value()
        elif name == "externalPropertyFileReferences" and "results" in (document.value() or {}):
            raise document.invalid("The results lie in other files; send one file that holds them")


def _tool(document: JsonStream, run: Run) -> Iterator[RuleDraft]:
    for part in document.members():
        if part == "driver":
            yield from _component(document, run.driver)
        elif part == "extensions" and document.kind() == "array":
            for _ in document.items():
                run.extensions.append(Component())
                yield from _component(document, run.extensions[-1])


def _component(document: JsonStream, component: Component) -> Iterator[RuleDraft]:
    """Fill in a driver or extension; its rules are given when its name is known, which may come last."""
    texts: list[tuple[Rule, str]] = []
    for name in document.members():
        if name == "name":
            component.name = document.text()
        elif name == "globalMessageStrings":
            component.messages = _messages(document.value())
        elif name == "rules" and document.kind() == "array":
            for rule, text in document.each(_rule):
                texts.append((rule, text))
                component.rules.append(rule)
                component.by_id.setdefault(rule.id, rule)
                if len(texts) > MOST_RULES:
                    raise document.too_large(f"A tool may have at most {MOST_RULES:,} rules")
    for rule, text in texts:
        yield RuleDraft(_rule_key(component, rule.id), rule.title or rule.id, text, rule.cwe, rule.url)


def _rule(told: Record) -> tuple[Rule, str]:
    facts = told.get("properties") or {}
    tags = [str(tag) for tag in facts.get("tags") or ()]
    short, full = _text(told.get("shortDescription")), _text(told.get("fullDescription"))
    targets = [link.get("target") or {} for link in told.get("relationships") or ()]
    rule_id = str(told.get("id") or told.get("guid") or told["id"])  # converted reports of old tools have the latter alone
    ids = " ".join(map(str, [rule_id, *(told.get("deprecatedIds") or ()), told.get("name") or "", *tags]))
    cwe = _distinct([*_cwe_of(tags), *_cwe_of(_listed(facts.get("cwe"))), *filter(None, map(_cwe_of_reference, targets))])
    rule = Rule(
        id=rule_id,
        title=_line(short or told.get("name") or full),
        level=(told.get("defaultConfiguration") or {}).get("level") or "",
        score=_score(facts.get("security-severity")),
        cwe=cwe or _distinct(int(number) for number in _CWE_PAGE.findall(told.get("helpUri") or "")),
        cve=_cve_of(ids, short, full),
        tags=tuple(tags[:_MOST_KEPT]),
        url=told.get("helpUri") or "",
        messages=_messages(told.get("messageStrings")),
    )
    help_text = _text(told.get("help")) or full
    return rule, "".join(f"<p>{escape(part)}</p>" for part in help_text[:LONGEST_RULE].split("\n\n") if part.strip())


def _messages(told: Any) -> dict[str, str]:
    return {name: _text(message)[:LONGEST_RULE] for name, message in (told or {}).items()}


def _address(location: Record) -> tuple[str, str]:
    return str(location.get("uri") or ""), str(location.get("uriBaseId") or "")


def _taxonomy(told: Record) -> tuple[str, list[str]]:
    return told.get("name") or "", [str(taxon.get("id") or "") for taxon in told.get("taxa") or ()]


# -- the second walk: the results -----------------------------------------------------------------------------------------------


def _results(document: JsonStream, run: Run, dialect: Dialect,
             repeated: dict[int, int]) -> Iterator[AssetDraft | FindingDraft | Unmapped]:
    asset = document.mapped(dialect.asset_of, run)
    if asset is not None:
        yield asset
    if not run.has_results:  # an empty list would say that nothing was found; ``executionSuccessful`` is false in any report of SpotBugs
        yield Unmapped("The run has no results: the tool did not get to look for any")
    for name in document.members():
        if name == "results" and document.kind() == "array":
            for _ in document.items():
                draft = document.mapped(lambda result: _finding(result, run, dialect, repeated), document.value())
                if draft is not None:
                    yield draft


def _finding(result: Record, run: Run, dialect: Dialect, repeated: dict[int, int]) -> FindingDraft | None:
    if result.get("kind") in _NO_FINDINGS:
        return None
    component, rule = _rule_of(result, run)
    facts = result.get("properties") or {}
    message = _message(result.get("message") or {}, rule, component)
    path, line, region = _where(result, run)
    state, status = _state(result)
    rule_id = rule.id or _rule_id(result)
    key, fingerprint = _identity(result, run.driver.name, rule_id, path, line, message)
    draft = FindingDraft(
        source_key=_numbered(key, repeated),
        title=rule.title or _line(message) or rule_id or "(no message)",
        severity=_severity(result, facts, rule),
        state=state,
        source_status=status,
        category="vulnerability" if _is_security(facts, rule) else "issue",
        rule=_rule_key(component, rule_id) if rule_id else "",
        description=_description(message, result, run),
        cwe=_distinct([*_cwe_of_result(result, facts, run), *rule.cwe]),
        cve=_cve_of(rule_id) or rule.cve or _cve_of(message),
        path=path,
        line=line,
        url=result.get("hostedViewerUri") or "",
        fingerprint=fingerprint,
        created_at=moment_of((result.get("provenance") or {}).get("firstDetectionTimeUtc")),
        details=_without_nothing({
            "tool": run.driver.name,
            "level": result.get("level"),
            "baseline": result.get("baselineState"),
            "score": _score(facts.get("security-severity")) or rule.score,
            "column": region.get("startColumn"),
            "end_line": region.get("endLine"),
            "tags": [*rule.tags],
            "places": [_place_words(place, run) for place in (result.get("locations") or ())[1:_MOST_KEPT]],
            "justification": _justification(result),
        }),
    )
    return dialect.finish(draft, result, rule, run)


def _rule_of(result: Record, run: Run) -> tuple[Component, Rule]:
    """By reference, by index, or by id; an id such as ``CA1000/1`` means a rule ``CA1000``."""
    told = result.get("rule") or {}
    where = (told.get("toolComponent") or {}).get("index")
    component = run.extensions[where] if isinstance(where, int) and 0 <= where < len(run.extensions) else run.driver
    index, rule_id = told.get("index", result.get("ruleIndex")), _rule_id(result)
    if isinstance(index, int) and 0 <= index < len(component.rules):
        indexed = component.rules[index]
        if not rule_id or rule_id == indexed.id or rule_id not in component.by_id:  # reports that were put together keep stale indexes
            return component, indexed
    for candidate in (component, run.driver, *run.extensions):
        known = candidate.by_id.get(rule_id) or candidate.by_id.get(rule_id.rpartition("/")[0])
        if known is not None:
            return candidate, known
    return component, _NO_RULE


def _rule_id(result: Record) -> str:
    return str(result.get("ruleId") or (result.get("rule") or {}).get("id") or "")


def _rule_key(component: Component, rule_id: str) -> str:
    """With the tool's name, since rules of all tools lie in one table."""
    return f"{component.name}:{rule_id}" if component.name else rule_id


def _severity(result: Record, facts: Record, rule: Rule) -> Severity:
    score = _score(facts.get("security-severity"))
    score = rule.score if score is None else score
    if score is not None:
        return of_score(score)
    if result.get("kind", "fail") != "fail" and "level" not in result:
        return Severity.INFO
    return _LEVELS.get(str(result.get("level") or rule.level).lower(), Severity.MEDIUM)


def of_score(score: float) -> Severity:
    """The severity of a CVSS score."""
    bands = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
    return next((severity for least, severity in bands if score >= least), Severity.INFO)


def _state(result: Record) -> tuple[SourceState, str]:
    """A suppression that nobody has accepted yet, or that was rejected, leaves the result open."""
    baseline = result.get("baselineState") or ""
    if baseline == "absent":
        return SourceState.FIXED, baseline
    suppressions = result.get("suppressions") or ()
    if not suppressions:
        return SourceState.OPEN, baseline
    told = [suppression.get("status") or "accepted" for suppression in suppressions]
    if all(status == "accepted" for status in told):
        return SourceState.ACCEPTED, f"suppressed/{suppressions[0].get('kind') or 'external'}"
    return SourceState.OPEN, f"suppression {next(status for status in told if status != 'accepted')}"


def _justification(result: Record) -> str:
    return next((suppression["justification"] for suppression in result.get("suppressions") or () if suppression.get("justification")), "")


def _identity(result: Record, tool: str, rule: str, path: str, line: int | None, message: str) -> tuple[str, str]:
    """A key, and what is left of it when file or line change.

    Of several fingerprints the first by name counts, so that a tool may add others without making every finding a new one.
    """
    whole, partial = _telling(result.get("fingerprints")), _telling(result.get("partialFingerprints"))
    if whole:
        digest = _digest(tool, rule, _first(whole))
        return f"{rule}#{digest}", digest
    if partial:
        return f"{rule}#{_digest(tool, rule, path, _first(partial))}", _digest(tool, rule, _first(partial))
    return f"{rule}#{_digest(tool, rule, path, str(line), message)}", _digest(tool, rule, path, message)


def _telling(fingerprints: Record | None) -> Record:
    """Without those that tell no two results apart."""
    return {name: value for name, value in (fingerprints or {}).items()
            if value and value != _NO_FINGERPRINT and name.lower() not in _NO_FINGERPRINTS}


def _first(fingerprints: Record) -> str:
    name = min(fingerprints)
    return f"{name}={fingerprints[name]}"


def _numbered(key: str, repeated: dict[int, int]) -> str:
    """Each result is a finding, also where several say the same: later ones get a number."""
    known = hash(key)
    repeated[known] = number = repeated.get(known, 0) + 1
    return key if number == 1 else f"{key}:{number}"


def _where(result: Record, run: Run) -> tuple[str, int | None, Record]:
    for place in result.get("locations") or ():
        physical = place.get("physicalLocation") or {}
        region = physical.get("region") or {}
        path = _path(physical.get("artifactLocation") or {}, run)
        if path:
            return path, region.get("startLine"), region
        for logical in place.get("logicalLocations") or ():
            name = logical.get("fullyQualifiedName") or logical.get("name")
            if name:
                return name, region.get("startLine"), region
    return _path(result.get("analysisTarget") or {}, run), None, {}


def _path(location: Record, run: Run) -> str:
    address, base = _address(location)
    index = location.get("index")
    if not address and isinstance(index, int) and 0 <= index < len(run.artifacts):
        address, base = run.artifacts[index]
    return _beneath(base, run) + address if base in run.bases and ":/" not in address else address


def _beneath(base: str, run: Run) -> str:
    """The folder of a base that is itself beneath another, as ``src/``. Where the outermost lay when the tool ran is not kept: it
    differs from machine to machine."""
    steps: list[str] = []
    for _ in range(_MOST_BASES):
        address, above = run.bases.get(base, ("", ""))
        if not address or not above or ":/" in address:
            break
        steps.append(address if address.endswith("/") else f"{address}/")
        base = above
    return "".join(reversed(steps))


def _place_words(place: Record, run: Run) -> str:
    physical = place.get("physicalLocation") or {}
    line = (physical.get("region") or {}).get("startLine")
    return _path(physical.get("artifactLocation") or {}, run) + (f":{line}" if line else "")


def _message(told: Record, rule: Rule, component: Component) -> str:
    name = told.get("id") or ""
    text = told.get("text") or rule.messages.get(name) or component.messages.get(name) or told.get("markdown") or ""
    arguments = told.get("arguments") or ()
    if "{" in text and (arguments or not told.get("text")):
        text = _PLACEHOLDER.sub(lambda found: _filled(found, arguments), text)
    return _LINK.sub(lambda found: found[1].replace("\\", ""), text) if "](" in text else text


def _filled(found: re.Match[str], arguments: Sequence[Any]) -> str:
    if found[1] is None:
        return found[0][0]
    number = int(found[1])
    return str(arguments[number]) if number < len(arguments) else found[0]


def _description(message: str, result: Record, run: Run) -> str:
    """The message, then the steps of the first data flow."""
    flows = result.get("codeFlows") or ()
    threads = (flows[0].get("threadFlows") or ()) if flows else ()
    steps = [step.get("location") or {} for step in (threads[0].get("locations") or ())[:MOST_STEPS]] if threads else []
    lines = [f"{number}. {_place_words(step, run)} {_text(step.get('message'))}".rstrip() for number, step in enumerate(steps, 1)]
    return "\n".join([message, *lines])[:LONGEST_TEXT] if lines else message[:LONGEST_TEXT]


def _is_security(facts: Record, rule: Rule) -> bool:
    return bool(rule.score is not None or rule.cwe or rule.cve or "security-severity" in facts
                or any(tag.lower() == "security" for tag in rule.tags))


def _cwe_of_result(result: Record, facts: Record, run: Run) -> Iterator[int]:
    yield from _cwe_of([*_listed(facts.get("cwe")), *_listed(facts.get("tags"))])
    for reference in result.get("taxa") or ():
        number = _cwe_of_reference(reference, run)
        if number:
            yield number


def _cwe_of_reference(reference: Record, run: Run | None = None) -> int | None:
    """A reference into the CWE taxonomy; its id is ``CWE-89`` or ``89``, or stands at its index alone."""
    named, index = reference.get("toolComponent") or {}, named_index(reference)
    name, known = named.get("name") or "", str(reference.get("id") or "")
    where = named_index(named)
    if run is not None and where is not None and where < len(run.taxonomies):
        taxonomy, taxa = run.taxonomies[where]
        name = name or taxonomy
        known = known or (taxa[index] if index is not None and index < len(taxa) else "")
    if name.upper() != "CWE" and not known.upper().startswith("CWE"):
        return None
    digits = known.upper().removeprefix("CWE").lstrip("-_: 0")
    return int(digits) if digits.isdecimal() and len(digits) <= 5 else None


def named_index(reference: Record) -> int | None:
    index = reference.get("index")
    return index if isinstance(index, int) and index >= 0 else None


def _cwe_of(texts: Iterable[str]) -> list[int]:
    return [int(number) for text in texts for number in _CWE.findall(text)]


def _cve_of(*texts: str) -> tuple[str, ...]:
    """Those of the first text that names any: what stands further behind may be said of other ones."""
    found = next(filter(None, map(_CVE.findall, texts)), [])
    return _distinct(name.upper() for name in found)


def _listed(value: Any) -> list[str]:
    """One text or several; numbers mean CWE numbers."""
    values = value if isinstance(value, list) else [value]
    return [f"CWE-{entry}" if isinstance(entry, int) else str(entry) for entry in values if entry]


def _text(message: Any) -> str:
    return str(message.get("text") or message.get("markdown") or "") if isinstance(message, dict) else ""


def _line(text: str) -> str:
    first = text.strip().partition("\n")[0].strip()
    return first if len(first) <= _LONGEST_TITLE else first[:_LONGEST_TITLE - 1].rstrip() + "…"


def _score(value: Any) -> float | None:
    try:
        score = float(value)
    except (TypeError, ValueError):
        return None
    return score if 0 <= score <= 10 else None


def moment_of(text: Any) -> int | None:
    """An instant; None for what is none, or stands for none, as the year 1 does: no report is refused for its dates."""
    try:
        return max(0, clock.from_iso(text)) or None if isinstance(text, str) and text else None
    except (ValueError, OverflowError):
        return None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _without_nothing(facts: Record) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}
