"""Files that SonarQube's API or its tools wrote, uploaded in place of a pull: pages of issues and hotspots, findings as exported for
one project, the JSON of sonar-report, and an array or a ZIP of such pages."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from core.hooks.contracts import AssetDraft, FindingDraft, ReportFile, RuleDraft, Unmapped
from core.hooks.failures import ReportInvalid
from core.imports import archive
from core.imports.formats.sarif import moment_of
from core.imports.json_stream import JsonStream, Opens, outline
from plugins.sonarqube.mapper import ASSET_KIND, Links, Scale, hotspot_to_finding, issue_to_finding, to_rule
from plugins.sonarqube.places import Place

Record = Mapping[str, Any]
Drafts = Iterator[AssetDraft | RuleDraft | FindingDraft | Unmapped]

_JSON = ".json"
_LISTS = ("issues", "hotspots", "export_findings")
#: names of the same things elsewhere, and how ``issues/search`` calls them
_NAMES = {"projectKey": "project", "ruleReference": "rule", "lineNumber": "line", "createdAt": "creationDate", "updatedAt": "updateDate"}
_DATES = ("creationDate", "updateDate")
_FACTS = frozenset({"sonarBaseURL", "sonarOrganization", "sonarComponent", "projectName", "branch"})
_MARKS = frozenset({"rule", "component", "ruleReference", "vulnerabilityProbability"})
_PROBABILITIES = {"BLOCKER": "HIGH", "CRITICAL": "HIGH", "HIGH": "HIGH", "MAJOR": "MEDIUM", "MEDIUM": "MEDIUM", "MINOR": "LOW",
                  "LOW": "LOW", "INFO": "LOW"}
_MOST_NAMED = 10_000  # projects and rules of a file that are known by name


@dataclass(slots=True)
class _Page:
    """What a file says besides its findings."""

    facts: dict[str, str] = field(default_factory=dict)
    total: int = 0
    rules: dict[str, RuleDraft] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)

    @property
    def links(self) -> Links | None:
        """None when the file does not say where its server is."""
        base = self.facts.get("sonarBaseURL") or ""
        organization = self.facts.get("sonarOrganization") or ""
        return Links(base.rstrip("/"), bool(organization), organization) if base.startswith(("https://", "http://")) else None

    @property
    def project(self) -> str:
        """The one project of a file whose findings do not name theirs."""
        return self.facts.get("sonarComponent") or self.facts.get("projectName") or ""


@dataclass(slots=True)
class _Tally:
    """What came of all pages.

    :ivar announced: how many findings each kind of listing says it has, by its name and that number; and how many came of it.
    """

    here: Place | None = None
    assets: dict[str, AssetDraft] = field(default_factory=dict)
    announced: Counter[tuple[str, int]] = field(default_factory=Counter)

    def gaps(self) -> Iterator[AssetDraft | Unmapped]:
        """For each asset, that there is more than was sent; nothing when all came."""
        if all(came >= total for (_, total), came in self.announced.items()):
            return
        for asset in self.assets.values():
            yield asset
            yield Unmapped("Some pages of the listing are missing")


class SonarReport:
    """The parser of all of them; each findings' own project is its asset."""

    format, title, source = "sonarqube", "SonarQube findings", "sonarqube"

    def recognises(self, head: bytes) -> bool:
        if archive.is_archive(head):
            first = archive.first_member(head, _JSON)
            return bool(first and _is_ours(outline(first))) or head.startswith(b"PK\x05\x06")
        return _is_ours(outline(head))

    def read(self, report: ReportFile) -> Drafts:
        with report.open() as stream:
            is_archive = archive.is_archive(stream.read(4))
        tally = _Tally()
        if is_archive:
            with archive.members(report, _JSON) as members:
                for member in members:
                    yield from _read(member, tally)
        else:
            yield from _read(report, tally)
        yield from tally.gaps()


def _is_ours(document: Any) -> bool:
    if isinstance(document, list):
        return bool(document) and (_is_finding(document[0]) or _is_page(document[0]))
    if not isinstance(document, dict):
        return False
    if "export_findings" in document or "sonarBaseURL" in document or _is_a_rule(document):
        return True
    return _is_page(document)


def _is_page(document: Any) -> bool:
    return isinstance(document, dict) and any(_is_list_of_findings(document, name) for name in ("issues", "hotspots"))


def _is_list_of_findings(document: Record, name: str) -> bool:
    listed = document.get(name)
    if not isinstance(listed, list):
        return False
    return _is_finding(listed[0]) or _is_generic(listed[0]) if listed else bool({"paging", "total"} & set(document))


def _is_finding(record: Any) -> bool:
    """By what each notation has early in a record, since a head may be cut in its first."""
    return isinstance(record, dict) and "key" in record and bool(_MARKS & set(record))


def _is_generic(record: Any) -> bool:
    return isinstance(record, dict) and ("primaryLocation" in record or {"engineId", "ruleId"} <= set(record))


def _is_a_rule(document: Record) -> bool:
    told = document.get("rule", document)
    return isinstance(told, dict) and "key" in told and bool({"htmlDesc", "mdDesc", "descriptionSections"} & set(told))


# -- one file -------------------------------------------------------------------------------------------------------------------


def _read(source: Opens, tally: _Tally) -> Drafts:
    """Two walks: names of projects and rules stand behind the findings."""
    page = _Page()
    with JsonStream(source) as document:
        if document.kind() == "object":
            yield from _besides(document, page)
        else:
            document.skip()
    with JsonStream(source) as document:
        if document.kind() == "array":
            yield from _of_array(document, page, tally)
            return
        for name in document.members():
            if name in _LISTS and document.kind() == "array":
                yield from _findings(document, (document.value() for _ in document.items()), page, name, tally)


def _of_array(document: JsonStream, page: _Page, tally: _Tally) -> Drafts:
    """An array of findings, or of pages."""
    for _ in document.items():
        told = document.value()
        if not _is_page(told):
            yield from _findings(document, [told], page, "", tally)
            continue
        inner, rules = document.mapped(_page_of, told)
        yield from rules
        for name in _LISTS:
            if isinstance(told.get(name), list):
                yield from _findings(document, told[name], inner, name, tally)


def _page_of(told: Record) -> tuple[_Page, list[RuleDraft]]:
    """A page within an array, and its rules that have texts."""
    page = _Page({name: told[name] for name in _FACTS if isinstance(told.get(name), str)}, _total(told))
    rules = [_add_rule(page, rule) for rule in told.get("rules") or ()]
    for component in told.get("components") or ():
        _add_project(component, page)
    return page, [rule for rule in rules if rule.description]


def _total(told: Record) -> int:
    """How many findings the whole listing has that a page is of."""
    total = (told.get("paging") or {}).get("total")
    return total if isinstance(total, int) else 0


def _besides(document: JsonStream, page: _Page) -> Iterator[RuleDraft]:
    has_findings = False
    for name in document.members():
        kind = document.kind()
        if name in _LISTS and kind == "array":
            has_findings = True
        elif name == "rules" and kind == "object":  # sonar-report has the texts as well
            for key in document.members():
                yield document.mapped(partial(_add_rule, page, key=key), document.value())
        elif name == "rules" and kind == "array":
            for rule in document.each(partial(_add_rule, page)):
                if rule.description:
                    yield rule
        elif name == "components" and kind == "array":
            for _ in document.each(lambda told: _add_project(told, page)):
                pass
        elif name == "paging":
            page.total = document.mapped(lambda told: _total({"paging": told}), document.value())
        elif name in _FACTS:
            page.facts[name] = document.text()
    if not has_findings:
        raise ReportInvalid("The file has no list of issues or hotspots; the text of a rule holds no findings", "line 1, column 1")


def _add_rule(page: _Page, told: Record, key: str = "") -> RuleDraft:
    rule = to_rule({"key": key, **told}, page.links or Links(""))
    if len(page.rules) < _MOST_NAMED:
        page.rules[rule.key] = replace(rule, description="")
    return rule if page.links else replace(rule, url="")


def _add_project(told: Record, page: _Page) -> None:
    if told.get("qualifier") == "TRK" and len(page.projects) < _MOST_NAMED:
        page.projects[told["key"]] = told.get("name") or told["key"]


def _findings(document: JsonStream, records: Iterable[Record], page: _Page, name: str,
              tally: _Tally) -> Iterator[AssetDraft | FindingDraft]:
    for told in records:
        place, draft = document.mapped(partial(_finding, page), told)
        if place != tally.here and place.project:
            tally.here = place
            asset = tally.assets.setdefault(place.key, _asset(place, page))
            yield asset
        tally.announced[name, page.total] += 1
        yield draft


def _asset(place: Place, page: _Page) -> AssetDraft:
    name = page.projects.get(place.project) or page.facts.get("projectName") or place.project
    return AssetDraft(place.key, f"{name} ({place.branch})" if place.branch else name, ASSET_KIND,
                      url=page.links.project(place) if page.links else "", attributes={"project": place.project})


def _finding(page: _Page, told: Record) -> tuple[Place, FindingDraft]:
    if _is_generic(told):
        raise ValueError("this is a file of external issues, which SonarQube reads; upload the report that it was made of")
    record = {_NAMES.get(name, name): value for name, value in told.items()}
    project = record.get("project") or page.project
    place = Place(project, record.get("branch") or record.get("pullRequest") or page.facts.get("branch") or "")
    record = {"component": project, **record, "line": _line(record)}
    record |= {name: None for name in _DATES if moment_of(record.get(name)) is None}
    rule = page.rules.get(record.get("rule") or record.get("ruleKey") or "")
    links = page.links or Links("")
    draft = (hotspot_to_finding(_as_hotspot(record), place, links, rule) if _is_hotspot(record)
             else issue_to_finding({"type": "issue", "status": "OPEN", **record}, place, _scale(record), links, rule))
    return place, draft if page.links else replace(draft, url="")


def _line(record: Record) -> int | None:
    line = str(record.get("line") or "")
    return int(line) if line.isdecimal() else None


def _is_hotspot(record: Record) -> bool:
    return ("vulnerabilityProbability" in record or record.get("type") == "SECURITY_HOTSPOT"
            or record.get("status") in ("TO_REVIEW", "REVIEWED"))


def _as_hotspot(record: Record) -> dict[str, Any]:
    """With a probability, also where only the severity is told that somebody made of it."""
    probability = record.get("vulnerabilityProbability") or _PROBABILITIES.get(str(record.get("severity") or ""), "MEDIUM")
    return {"status": "TO_REVIEW", **record, "ruleKey": record.get("ruleKey") or record.get("rule"),
            "vulnerabilityProbability": probability}


def _scale(record: Record) -> Scale:
    """The one that both fields of the standard experience speak for, where a file has both scales."""
    return Scale.STANDARD if record.get("type") and record.get("severity") else Scale.MQR
