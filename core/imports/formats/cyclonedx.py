"""CycloneDX with vulnerabilities: JSON and XML of 1.2 to 1.7, and the vulnerability extension of XML 1.0 to 1.3.

One finding for each component that a vulnerability affects. Both notations become the same record first, that of the JSON.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.hooks.contracts import AssetDraft, FindingDraft, ReportFile, RuleDraft, Severity, SourceState
from core.imports.formats.sarif import moment_of, of_score
from core.imports.json_stream import JsonStream, outline
from core.imports.limits import LONGEST_TEXT, MOST_LOOKED_UP
from core.imports.xml_stream import Element, elements, root

Record = Mapping[str, Any]

_SEVERITIES = {"critical": Severity.CRITICAL, "high": Severity.HIGH, "medium": Severity.MEDIUM, "low": Severity.LOW,
               "info": Severity.INFO, "none": Severity.INFO, "informational": Severity.INFO}
_UNRATED = Severity.MEDIUM  # what nobody rated must not drop out of the totals, as info would
_NOT_AFFECTED = "not_affected"
_STATES = {"resolved": SourceState.FIXED, "resolved_with_pedigree": SourceState.FIXED, "false_positive": SourceState.FALSE_POSITIVE,
           _NOT_AFFECTED: SourceState.FALSE_POSITIVE}
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b", re.IGNORECASE)
_CWE = re.compile(r"(?:CWE-)?(\d{1,5})", re.IGNORECASE)
_METHOD = re.compile(r"CVSSv([2-9])\d?", re.IGNORECASE)
_LONGEST_TITLE = 200
_MOST_REFERENCES = 20


@dataclass(frozen=True, slots=True)
class Component:
    """What a vulnerability may affect."""

    name: str
    version: str = ""
    group: str = ""
    purl: str = ""
    kind: str = ""

    @property
    def words(self) -> str:
        """``org.acme:core@1.2``, as the component's own ecosystem writes it."""
        mark = ":" if self.purl.startswith("pkg:maven/") else "/"
        name = f"{self.group}{mark}{self.name}" if self.group else self.name
        return f"{name}@{self.version}" if self.version else name

    @property
    def without_version(self) -> str:
        return f"{self.group}/{self.name}"


_NOBODY = Component("")  # of a vulnerability that names no component in a bill without a subject


@dataclass(slots=True)
class Bill:
    """What the findings need of a bill of materials, and the vulnerabilities that stood within components."""

    subject: Component | None = None
    components: dict[str, Component] = field(default_factory=dict)  # by bom-ref, and by purl
    count: int = 0  # of components
    repeated: dict[int, int] = field(default_factory=dict)  # how often each source key was given

    def add(self, component: Component, reference: str) -> None:
        self.count += 1
        for key in (reference, component.purl):
            if key:
                self.components.setdefault(key, component)

    def numbered(self, key: str) -> str:
        """Two packages may be the same one in two places; later ones get a number."""
        known = hash(key)
        self.repeated[known] = number = self.repeated.get(known, 0) + 1
        return key if number == 1 else f"{key}:{number}"


class CycloneDxReport:
    """The parser for both notations."""

    format, title, source = "cyclonedx", "CycloneDX", "cyclonedx"

    def recognises(self, head: bytes) -> bool:
        document, outermost = outline(head), root(head)
        if outermost is not None:
            return outermost.name == "bom" and "cyclonedx" in outermost.namespace
        return isinstance(document, dict) and document.get("bomFormat") == "CycloneDX"

    def read(self, report: ReportFile) -> Iterator[AssetDraft | RuleDraft | FindingDraft]:
        with report.open() as stream:
            is_json = stream.read(64).strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n").startswith(b"{")
        yield from _read_json(report) if is_json else _read_xml(report)


# -- JSON -----------------------------------------------------------------------------------------------------------------------


def _read_json(report: ReportFile) -> Iterator[AssetDraft | FindingDraft]:
    """Two walks: components may stand behind the vulnerabilities that affect them."""
    bill = Bill()
    with JsonStream(report) as document:
        for name in document.members():
            if name == "metadata":
                bill.subject = document.mapped(lambda told: _subject(told, bill), document.value())
            elif name in ("components", "services") and document.kind() == "array":
                for _ in document.items():
                    document.mapped(lambda told: _add(bill, told), document.value())
                    if bill.count > MOST_LOOKED_UP:
                        raise document.too_large(f"There may be at most {MOST_LOOKED_UP:,} components")
    yield from _asset(bill)
    with JsonStream(report) as document:
        for name in document.members():
            if name == "vulnerabilities" and document.kind() == "array":
                for drafts in document.each(lambda told: list(_findings(told, bill))):
                    yield from drafts


def _subject(metadata: Record | None, bill: Bill) -> Component | None:
    """What the bill is of. It may itself be affected, and hold components as others do."""
    told = (metadata or {}).get("component")
    if not told:
        return None
    _add(bill, told)
    return _component(told)


def _component(told: Record) -> Component:
    return Component(str(told["name"]), str(told.get("version") or ""), str(told.get("group") or ""), str(told.get("purl") or ""),
                     str(told.get("type") or ""))


def _add(bill: Bill, told: Record) -> None:
    bill.add(_component(told), str(told.get("bom-ref") or ""))
    for inner in (*(told.get("components") or ()), *(told.get("services") or ())):
        _add(bill, inner)


def _asset(bill: Bill) -> Iterator[AssetDraft]:
    """What the bill is about, without its version, so that the next release is the same asset."""
    if bill.subject is not None:
        name = f"{bill.subject.group}/{bill.subject.name}" if bill.subject.group else bill.subject.name
        yield AssetDraft(name, name, "report", attributes=_without_nothing({"version": bill.subject.version, "type": bill.subject.kind}))


# -- XML ------------------------------------------------------------------------------------------------------------------------


def _read_xml(report: ReportFile) -> Iterator[AssetDraft | FindingDraft]:
    bill = Bill()
    for element in elements(report, {"component", "service", "metadata"}):
        if element.name == "metadata":
            bill.subject = element.mapped(lambda told: _subject_of(told, bill))
        else:
            element.mapped(lambda told: _add_element(bill, told))
            if bill.count > MOST_LOOKED_UP:
                raise element.invalid(f"There may be at most {MOST_LOOKED_UP:,} components")
    yield from _asset(bill)
    for element in elements(report, {"component", "vulnerability", "metadata"}):
        if element.name == "component":
            yield from element.mapped(lambda told: list(_extended(told, bill)))
        elif element.name == "vulnerability":
            yield from element.mapped(lambda told: list(_findings(_record(told), bill)))


def _subject_of(metadata: Element, bill: Bill) -> Component | None:
    component = metadata.child("component")
    if component is None:
        return None
    _add_element(bill, component)
    return _component_of(component)


def _component_of(element: Element) -> Component:
    name = element.said("name")
    if not name:
        raise KeyError("name")
    return Component(name, element.said("version"), element.said("group"), element.said("purl"), element.attributes.get("type", ""))


def _add_element(bill: Bill, element: Element) -> None:
    bill.add(_component_of(element), element.attributes.get("bom-ref", ""))
    for inner in (*element.all("components", "component"), *element.all("services", "service")):
        _add_element(bill, inner)


def _extended(element: Element, bill: Bill) -> Iterator[FindingDraft]:
    """The vulnerabilities that stand within a component, as the extension for 1.0 to 1.3 has them."""
    for told in element.all("vulnerabilities", "vulnerability"):
        yield _finding(_record(told), _component_of(element), bill)
    for inner in element.all("components", "component"):
        yield from _extended(inner, bill)


def _record(element: Element) -> dict[str, Any]:
    """A vulnerability as the JSON notation would have it."""
    reference = element.attributes.get("ref")
    affects = [{"ref": target.said("ref"), "versions": [_version(version) for version in target.all("versions", "version")]}
               for target in element.all("affects", "target")]
    return {
        "bom-ref": element.attributes.get("bom-ref"),
        "id": element.said("id"),
        "source": {"name": _source_name(element), "url": element.said("source", "url")},
        "references": [{"id": reference.said("id")} for reference in element.all("references", "reference")],
        "ratings": [_rating(rating) for rating in element.all("ratings", "rating")],
        "cwes": [cwe.text.strip() for cwe in element.all("cwes", "cwe")],
        "description": element.said("description"),
        "detail": element.said("detail"),
        "recommendation": element.said("recommendation") or "\n".join(
            told.text.strip() for told in element.all("recommendations", "recommendation")),
        "advisories": [{"url": advisory.said("url") or advisory.text.strip()} for advisory in element.all("advisories", "advisory")],
        "created": element.said("created"),
        "published": element.said("published"),
        "updated": element.said("updated"),
        "analysis": {"state": element.said("analysis", "state"), "justification": element.said("analysis", "justification"),
                     "detail": element.said("analysis", "detail")},
        "affects": affects or ([{"ref": reference}] if reference else []),
    }


def _version(element: Element) -> dict[str, str]:
    return {name: element.said(name) for name in ("version", "range", "status")}


def _source_name(element: Element) -> str:
    source = element.child("source")
    return source.said("name") or source.attributes.get("name", "") if source is not None else ""


def _rating(element: Element) -> dict[str, Any]:
    score = element.said("score", "base") or element.said("score")
    return {"source": {"name": _source_name(element)}, "score": score, "severity": element.said("severity"),
            "method": element.said("method"), "vector": element.said("vector")}


# -- both -----------------------------------------------------------------------------------------------------------------------


def _findings(told: Record, bill: Bill) -> Iterator[FindingDraft]:
    affected = told.get("affects") or ()
    for target in affected:
        yield _finding(told, bill.components.get(target["ref"]) or Component(_named_by(target["ref"])), bill, target)
    if not affected:
        yield _finding(told, bill.subject or _NOBODY, bill)


def _named_by(reference: str) -> str:
    """What to call a component that the bill does not have: the end of ``urn:cdx:serial/version#ref``."""
    return reference.rpartition("#")[2] or reference


def _finding(told: Record, component: Component, bill: Bill, target: Record | None = None) -> FindingDraft:
    name, analysis, rating = _name_of(told), told.get("analysis") or {}, _best_rating(told)
    state = analysis.get("state") or (_NOT_AFFECTED if _is_unaffected(target) else "")
    identity = component.purl or component.words
    description = "\n\n".join(filter(None, (told.get("description"), told.get("detail"), told.get("recommendation"))))
    return FindingDraft(
        source_key=bill.numbered(f"{name}:{identity}" if identity else name),
        title=_title(name, told.get("description") or "", component),
        severity=_severity(rating),
        state=_STATES.get(state, SourceState.OPEN),
        source_status=state,
        category="vulnerability",
        description=description[:LONGEST_TEXT],
        cwe=_distinct(int(found[1]) for entry in told.get("cwes") or () if (found := _CWE.fullmatch(str(entry)))),
        cve=_distinct(found.upper() for found in _CVE.findall(" ".join([name, *(str(entry.get("id")) for entry in _references(told))]))),
        path=component.words,
        url=next(_addresses(told), ""),
        fingerprint=_digest(name, component.without_version),
        created_at=moment_of(told.get("created") or told.get("published")),
        updated_at=moment_of(told.get("updated")),
        details=_without_nothing({**_package(component, target), **_scored(rating), **_published(told, name),
                                  "justification": analysis.get("justification"), "analysis": analysis.get("detail")}),
    )


def _package(component: Component, target: Record | None) -> dict[str, Any]:
    return {"package": component.without_version.strip("/"), "version": component.version, "purl": component.purl,
            "versions": [entry.get("version") or entry.get("range") for entry in _versions(target)][:_MOST_REFERENCES]}


def _scored(rating: Record) -> dict[str, Any]:
    return {"score": _score(rating), "cvss_vector": rating.get("vector"),
            "scored_by": (rating.get("source") or {}).get("name")}


def _published(told: Record, name: str) -> dict[str, Any]:
    return {"database": (told.get("source") or {}).get("name"), "advisories": list(_addresses(told))[:_MOST_REFERENCES],
            "also_known_as": [str(entry["id"]) for entry in _references(told)[:_MOST_REFERENCES] if entry.get("id") != name]}


def _name_of(told: Record) -> str:
    """Its id; the notation lets it go without one.

    :raises KeyError: when nothing else names it either.
    """
    references = _references(told)
    name = str(told.get("id") or (references[0]["id"] if references else "") or told.get("bom-ref") or "")
    if not name:
        raise KeyError("id")
    return name


def _versions(target: Record | None) -> list[Record]:
    told = (target or {}).get("versions") or ()
    return [told] if isinstance(told, Mapping) else list(told)


def _is_unaffected(target: Record | None) -> bool:
    """Whether all that is told of the component's versions is that they are not affected."""
    told = _versions(target)
    return bool(told) and all(entry.get("status") == "unaffected" for entry in told)


def _title(name: str, description: str, component: Component) -> str:
    """``CVE-2024-1: first line (core@1.2)``."""
    line = description.strip().partition("\n")[0].strip().lstrip("# ")
    if len(line) > _LONGEST_TITLE:
        line = line[:_LONGEST_TITLE - 1].rstrip() + "…"
    said = f"{name}: {line}" if line and line != name else name
    return f"{said} ({component.words})" if component.words else said


def _best_rating(told: Record) -> Record:
    """That of the database which the vulnerability comes from, else of the one that is named first.

    Of several of one database, as CVSS 2 beside CVSS 3, that which says in a word how severe it is, then the newest method.
    """
    telling = [rating for rating in told.get("ratings") or () if _word(rating) is not None or _score(rating) is not None]
    by_source: dict[str, list[Record]] = {}
    for rating in sorted(telling, key=lambda rating: _word(rating) is None):
        by_source.setdefault(_rated_by(rating), []).append(rating)
    own = by_source.get(str((told.get("source") or {}).get("name") or ""))
    return max(own or next(iter(by_source.values()), [{}]), key=lambda rating: (_word(rating) is not None, _newness(rating)))


def _rated_by(rating: Record) -> str:
    return str((rating.get("source") or {}).get("name") or "")


def _score(rating: Record) -> float | None:
    """That of CVSS; other methods count otherwise, as EPSS tells how likely an attack is."""
    return _number(rating.get("score")) if _newness(rating) or not rating.get("method") else None


def _newness(rating: Record) -> int:
    """The version of CVSS; 0 for every other method."""
    found = _METHOD.fullmatch(str(rating.get("method") or ""))
    return int(found[1]) if found else 0


def _severity(rating: Record) -> Severity:
    known = _word(rating)
    if known is not None:
        return known
    score = _score(rating)
    return _UNRATED if score is None else of_score(score)


def _word(rating: Record) -> Severity | None:
    """None for ``unknown``, and where there is only a number."""
    return _SEVERITIES.get(str(rating.get("severity") or "").strip().lower())


def _references(told: Record) -> list[Record]:
    return [entry for entry in told.get("references") or () if entry.get("id")]


def _addresses(told: Record) -> Iterator[str]:
    source = (told.get("source") or {}).get("url")
    if source:
        yield str(source)
    yield from (str(entry["url"]) for entry in told.get("advisories") or () if entry.get("url"))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _without_nothing(facts: Record) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}


