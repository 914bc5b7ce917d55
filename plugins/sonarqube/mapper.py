"""One record of SonarQube in, one draft out. Pure functions: no network, no database."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from core import clock
from core.hooks.contracts import AssetDraft, FindingDraft, RuleDraft, Severity, SourceState
from plugins.sonarqube.places import Place

Record = Mapping[str, Any]

ASSET_KIND = "sonar_project"

_CWE = re.compile(r"\bCWE-(\d{1,5})\b", re.IGNORECASE)
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b", re.IGNORECASE)
_CVSS = re.compile(r"\bCVSS Score:\s*(\d{1,2}(?:\.\d)?)", re.IGNORECASE)


class Scale(StrEnum):
    """Which of the two vocabularies decides category and severity: type and severity, or impacts on software qualities."""

    STANDARD = "standard"
    MQR = "mqr"


_BY_STANDARD = {"BLOCKER": Severity.CRITICAL, "CRITICAL": Severity.HIGH, "MAJOR": Severity.MEDIUM, "MINOR": Severity.LOW,
                "INFO": Severity.INFO}
_BY_IMPACT = {"BLOCKER": Severity.CRITICAL, "HIGH": Severity.HIGH, "MEDIUM": Severity.MEDIUM, "LOW": Severity.LOW, "INFO": Severity.INFO}
_BY_PROBABILITY = {"HIGH": Severity.HIGH, "MEDIUM": Severity.MEDIUM, "LOW": Severity.LOW}

_BY_ISSUE_STATUS = {"OPEN": SourceState.OPEN, "CONFIRMED": SourceState.OPEN, "IN_SANDBOX": SourceState.OPEN,
                    "FALSE_POSITIVE": SourceState.FALSE_POSITIVE, "ACCEPTED": SourceState.ACCEPTED, "FIXED": SourceState.FIXED}
_BY_RESOLUTION = {"FALSE-POSITIVE": SourceState.FALSE_POSITIVE, "WONTFIX": SourceState.ACCEPTED, "FIXED": SourceState.FIXED,
                  "REMOVED": SourceState.FIXED}
_BY_REVIEW = {"SAFE": SourceState.FALSE_POSITIVE, "ACKNOWLEDGED": SourceState.ACCEPTED, "FIXED": SourceState.FIXED}

#: CWE numbers that stand for a hotspot's category when its rule names none; the most telling first
_CATEGORY_CWE: dict[str, tuple[int, ...]] = {
    "sql-injection": (89,), "command-injection": (78,), "path-traversal-injection": (22,), "xss": (79,), "csrf": (352,), "ssrf": (918,),
    "rce": (94,), "xxe": (611,), "dos": (400,), "open-redirect": (601,), "weak-cryptography": (327,), "auth": (798,),
    "permission": (732,), "insecure-conf": (489,),
}
_SECTION_TITLES = {"root_cause": "Why is this an issue?", "assess_the_problem": "How serious is it?", "how_to_fix": "How to fix it",
                   "resources": "Resources"}


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of pages that a person may open in SonarQube."""

    base: str
    cloud: bool = False
    organization: str = ""

    def project(self, place: Place) -> str:
        return self._page("/project/overview" if self.cloud else "/dashboard", place)

    def issue(self, place: Place, key: str) -> str:
        return self._page("/project/issues", place, issues=key, open=key)

    def hotspot(self, place: Place, key: str) -> str:
        return self._page("/project/security_hotspots" if self.cloud else "/security_hotspots", place, hotspots=key)

    def rule(self, key: str) -> str:
        path = f"/organizations/{quote(self.organization, safe='')}/rules" if self.cloud else "/coding_rules"
        return f"{self.base}{path}?{urlencode({'open': key, 'rule_key': key})}"

    def _page(self, path: str, place: Place, **more: str) -> str:
        query = {"id": place.project, **more, **({"branch": place.branch} if place.branch else {})}
        return f"{self.base}{path}?{urlencode(query)}"


def to_asset(project: Record, branches: Sequence[Record], branch: Record | None, links: Links) -> AssetDraft:
    """The asset of one branch of a project; of the project itself when the branch is its main one, or not known.

    :param project: an item of a project listing, or the component of ``components/show``.
    """
    is_main = branch is None or branch.get("isMain", False)
    place = Place(project["key"], "" if is_main else branch["name"])  # type: ignore[index]
    name = project.get("name") or project["key"]
    return AssetDraft(
        key=place.key,
        name=name if is_main else f"{name} ({place.branch})",
        kind=ASSET_KIND,
        url=links.project(place),
        attributes=_without_nothing({
            "project": place.project,
            "branch": branch["name"] if branch else "",
            "branches": sorted(entry["name"] for entry in branches) if is_main else [],
            "quality_gate": ((branch or {}).get("status") or {}).get("qualityGateStatus"),
            "last_analysis": _moment((branch or {}).get("analysisDate")),
        }),
    )


def to_rule(rule: Record, links: Links) -> RuleDraft:
    """The text of one rule, as HTML, with the weaknesses that it names."""
    text = _rule_text(rule)
    return RuleDraft(key=rule["key"], name=rule.get("name") or rule["key"], description=text, cwe=_rule_cwe(rule, text),
                     url=links.rule(rule["key"]))


def category(issue: Record, scale: Scale) -> str:
    """``vulnerability``, ``bug`` or ``code_smell``; a type that is not known yet keeps its own name."""
    qualities = {impact.get("softwareQuality") for impact in issue.get("impacts") or ()}
    if scale is Scale.MQR and qualities:
        if "SECURITY" in qualities:
            return "vulnerability"
        return "bug" if "RELIABILITY" in qualities else "code_smell"
    return str(issue["type"]).lower()


def issue_to_finding(issue: Record, place: Place, scale: Scale, links: Links, rule: RuleDraft | None) -> FindingDraft:
    """A bug, code smell or vulnerability as a finding.

    :raises KeyError, TypeError, ValueError: when a field that every issue has is missing or impossible.
    """
    path, message = _path(issue, place), issue.get("message") or ""
    rule_key = issue["rule"]
    return FindingDraft(
        source_key=issue["key"],
        title=message or (rule.name if rule else rule_key),
        severity=_issue_severity(issue, scale),
        state=_issue_state(issue),
        source_status=_issue_status(issue),
        category=category(issue, scale),
        rule=rule_key,
        description=_description(issue, place, rule),
        cwe=_distinct([*_numbers(message), *(rule.cwe if rule else ()), *_tagged(issue.get("tags"))]),
        cve=_distinct(found.upper() for found in _CVE.findall(" ".join((message, *(issue.get("tags") or ()))))),
        path=path,
        line=_line(issue),
        url=links.issue(place, issue["key"]),
        fingerprint=_fingerprint(rule_key, path, issue.get("hash") or "", message),
        created_at=_moment(issue.get("creationDate")),
        updated_at=_moment(issue.get("updateDate")),
        details=_issue_details(issue, message),
    )


def hotspot_to_finding(hotspot: Record, place: Place, links: Links, rule: RuleDraft | None) -> FindingDraft:
    """A security hotspot as a finding: what it might become is its severity, its review is its state.

    :raises KeyError, TypeError, ValueError: when a field that every hotspot has is missing or impossible.
    """
    path, message = _path(hotspot, place), hotspot.get("message") or ""
    rule_key, kind = hotspot.get("ruleKey") or "", hotspot.get("securityCategory") or ""
    status, resolution = hotspot["status"], hotspot.get("resolution")
    return FindingDraft(
        source_key=hotspot["key"],
        title=message or (rule.name if rule else kind) or rule_key,
        severity=_BY_PROBABILITY.get(hotspot["vulnerabilityProbability"], Severity.INFO),
        state=_BY_REVIEW.get(resolution or "", SourceState.OPEN) if status == "REVIEWED" else SourceState.OPEN,
        source_status=f"{status}/{resolution}" if resolution else status,
        category="hotspot",
        rule=rule_key,
        description=_description(hotspot, place, rule),
        cwe=(rule.cwe if rule else ()) or _CATEGORY_CWE.get(kind, ()),
        path=path,
        line=_line(hotspot),
        url=links.hotspot(place, hotspot["key"]),
        fingerprint=_fingerprint(rule_key or kind, path, hotspot.get("hash") or "", message),
        created_at=_moment(hotspot.get("creationDate")),
        updated_at=_moment(hotspot.get("updateDate")),
        details=_without_nothing({
            "security_category": kind,
            "probability": hotspot["vulnerabilityProbability"],
            "author": hotspot.get("author"),
            "text_range": hotspot.get("textRange"),
        }),
    )


def _issue_severity(issue: Record, scale: Scale) -> Severity:
    impacts = issue.get("impacts") or ()
    if scale is Scale.STANDARD or not impacts:
        return _BY_STANDARD.get(issue.get("severity") or "", Severity.INFO)
    on_security = [impact for impact in impacts if impact.get("softwareQuality") == "SECURITY"]
    return max(_BY_IMPACT.get(impact.get("severity") or "", Severity.INFO) for impact in on_security or impacts)


def _issue_state(issue: Record) -> SourceState:
    known = _BY_ISSUE_STATUS.get(issue.get("issueStatus") or "")
    if known is not None:
        return known
    if issue["status"] in ("RESOLVED", "CLOSED"):
        return _BY_RESOLUTION.get(issue.get("resolution") or "", SourceState.FIXED)
    return SourceState.OPEN


def _issue_status(issue: Record) -> str:
    if issue.get("issueStatus"):
        return str(issue["issueStatus"])
    resolution = issue.get("resolution")
    return f"{issue['status']}/{resolution}" if resolution else str(issue["status"])


def _issue_details(issue: Record, message: str) -> dict[str, Any]:
    score = _CVSS.search(message)
    return _without_nothing({
        "type": issue.get("type"),
        "severity": issue.get("severity"),
        "impacts": {impact["softwareQuality"]: impact["severity"] for impact in issue.get("impacts") or ()},
        "attribute": issue.get("cleanCodeAttribute"),
        "effort": issue.get("effort"),
        "tags": list(issue.get("tags") or ()),
        "author": issue.get("author"),
        "assignee": issue.get("assignee"),
        "scope": issue.get("scope"),
        "engine": issue.get("externalRuleEngine"),
        "cvss": float(score[1]) if score else None,
        "text_range": issue.get("textRange"),
    })


def _description(record: Record, place: Place, rule: RuleDraft | None) -> str:
    """What the rule says in one line, then the steps of the data flow."""
    steps = [_step(location, place) for flow in record.get("flows") or () for location in flow.get("locations") or ()]
    first = rule.name if rule else record.get("message") or ""
    return "\n".join([first, *(f"{number}. {step}" for number, step in enumerate(steps, 1))])


def _step(location: Record, place: Place) -> str:
    line = (location.get("textRange") or {}).get("startLine")
    where = _within(location.get("component") or "", place) + (f":{line}" if line else "")
    return f"{where} {location.get('msg') or ''}".strip()


def _path(record: Record, place: Place) -> str:
    """The file within the project; empty for what concerns the project as a whole."""
    return record.get("path") or _within(record["component"], place)


def _within(component: str, place: Place) -> str:
    # a project key may hold colons itself, so the prefix is cut off as a whole
    return "" if component == place.project else component.removeprefix(f"{place.project}:")


def _line(record: Record) -> int | None:
    line = record.get("line") or (record.get("textRange") or {}).get("startLine")
    return int(line) if line is not None else None


def _moment(text: str | None) -> int | None:
    return clock.from_iso(text) if text else None


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _rule_text(rule: Record) -> str:
    sections = rule.get("descriptionSections") or ()
    if sections:
        return "\n".join(_section(section) for section in sections)
    return str(rule.get("htmlDesc") or rule.get("mdDesc") or "")


def _section(section: Record) -> str:
    title = _SECTION_TITLES.get(section.get("key") or "", "")
    framework = (section.get("context") or {}).get("displayName")
    if title and framework:
        title = f"{title} ({framework})"
    return (f"<h2>{escape(title)}</h2>\n" if title else "") + str(section.get("content") or "")


def _rule_cwe(rule: Record, text: str) -> tuple[int, ...]:
    """In the order of the rule's references; what its standards and tags name besides comes after."""
    references = " ".join(str(section.get("content") or "") for section in rule.get("descriptionSections") or ()
                          if section.get("key") == "resources")
    standards = [int(number) for number in (str(entry).removeprefix("cwe:") for entry in rule.get("securityStandards") or ())
                 if number.isdecimal()]
    tags = [*(rule.get("tags") or ()), *(rule.get("sysTags") or ())]
    return _distinct([*(_numbers(references) or _numbers(text)), *standards, *_tagged(tags)])


def _numbers(text: str) -> list[int]:
    return [int(number) for number in _CWE.findall(text)]


def _tagged(tags: Sequence[str] | None) -> list[int]:
    """CWE numbers of tags such as ``cwe-937``; the bare tag ``cwe`` names none."""
    return _numbers(" ".join(tags or ()))


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _without_nothing(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}
