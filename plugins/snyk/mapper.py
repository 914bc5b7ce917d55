"""One record of Snyk in, one draft out. Pure functions: no network, no database."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from core import clock
from core.hooks.contracts import AssetDraft, FindingDraft, RuleDraft, Severity, SourceState
from plugins.snyk.places import Organization

Record = Mapping[str, Any]

ASSET_KIND = "snyk_project"
LICENSE = "license"

_CVE = re.compile(r"CVE-\d{4}-\d{4,}", re.IGNORECASE)
_CWE = re.compile(r"CWE-(\d{1,5})", re.IGNORECASE)
_GHSA = re.compile(r"GHSA(-[0-9a-z]{4}){3}", re.IGNORECASE)
_LINUX = frozenset({"apk", "deb", "rpm", "linux", "dockerfile"})
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}
_DISMISSALS = {"not-vulnerable": SourceState.FALSE_POSITIVE}
_CATEGORIES = {"code": "code", "config": "iac", "license": LICENSE}
#: which flags of a coordinate say that something can be done; of code only the first three are meant
_FIXES = {"is_fixable_snyk": "snyk", "is_fixable_manually": "manually", "is_fixable_upstream": "upstream", "is_upgradeable": "upgrade",
          "is_pinnable": "pin", "is_patchable": "patch"}
_FIXES_OF_CODE = frozenset({"is_fixable_snyk", "is_fixable_manually", "is_fixable_upstream"})
_REACHABILITY = ("function", "package", "no-info", "not-applicable")  # the most telling first


@dataclass(frozen=True, slots=True)
class Project:
    """What an issue does not say of the project that it is in."""

    id: str
    slug: str = ""
    family: str = "open_source"
    target_file: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of pages that a person may open in Snyk."""

    pages: str

    def project(self, slug: str, project: str) -> str:
        return f"{self.pages}/org/{quote(slug, safe='')}/project/{quote(project, safe='')}"

    def issue(self, project: Project, key: str) -> str:
        return f"{self.project(project.slug, project.id)}#issue-{quote(key, safe=':@')}"

    def advisory(self, problem: str) -> str:
        return f"https://security.snyk.io/vuln/{quote(problem, safe=':@')}"


def to_organization(record: Record) -> Organization:
    """An organization as the listings tell it."""
    facts = record["attributes"]
    return Organization(record["id"], facts.get("slug") or record["id"], facts.get("name") or facts.get("slug") or record["id"],
                        facts.get("group_id") or "")


def is_active(project: Record) -> bool:
    """Whether Snyk still watches the project. One that was deactivated keeps its issues as they were on that day."""
    return bool(project["attributes"].get("status") != "inactive")


def counted_issues(project: Record) -> dict[str, int]:
    """Open issues by severity, as Snyk counted them at the project's last test."""
    counts = (project.get("meta") or {}).get("latest_issue_counts") or {}
    return {name: counts[name] for name in ("critical", "high", "medium", "low") if isinstance(counts.get(name), int)}


def to_asset(project: Record, organization: Organization, links: Links, licenses: Mapping[str, int]) -> AssetDraft:
    """A project with its target and its organization.

    :param licenses: how many open license issues it has, by severity.
    """
    facts, target = project["attributes"], _target(project)
    branch, kind = facts.get("target_reference") or "", facts["type"]
    where = target.get("display_name") or facts["name"]
    return AssetDraft(
        key=project["id"],
        name=facts["name"] if f"({branch})" in facts["name"] or not branch else f"{facts['name']} ({branch})",
        kind=ASSET_KIND,
        url=links.project(organization.slug, project["id"]),
        lineage=_lineage(organization, where, kind, facts),
        attributes=_without_nothing({
            "organization": organization.id,
            "organization_slug": organization.slug,
            "organization_name": organization.name,
            "group": organization.group,
            "target": where,
            "target_url": target.get("url"),
            "target_file": facts.get("target_file"),
            "branch": branch,
            "type": kind,
            "family": family(kind),
            "origin": facts.get("origin"),
            "issue_counts": counted_issues(project),
            "license_issues": dict(licenses),
            "last_test": _moment(((project.get("meta") or {}).get("latest_issue_counts") or {}).get("updated_at")),
            "tags": [f"{tag['key']}:{tag['value']}" for tag in facts.get("tags") or ()],
            "criticality": list(facts.get("business_criticality") or ()),
            "environment": list(facts.get("environment") or ()),
            "lifecycle": list(facts.get("lifecycle") or ()),
        }),
    )


def family(kind: str) -> str:
    """Which of Snyk's products a project's type belongs to: ``open_source``, ``container``, ``code`` or ``iac``."""
    if kind == "sast":
        return "code"
    if kind in _LINUX:
        return "container"
    return "iac" if kind.endswith("config") or kind == "terraformplan" else "open_source"


def project_of(asset: AssetDraft) -> Project:
    """What the issues of an asset need to know of it."""
    facts = asset.attributes
    return Project(asset.key, facts.get("organization_slug") or "", facts.get("family") or "open_source", facts.get("target_file") or "")


def is_license(issue: Any) -> bool:
    """Whether it is about a license and not about a weakness; not so what is no issue at all."""
    facts = issue.get("attributes") if isinstance(issue, dict) else None
    return isinstance(facts, dict) and facts.get("type") == LICENSE


def is_ignored(issue: Record) -> bool:
    """Whether it is open and somebody decided in Snyk to live with it."""
    return _is_ignored(issue["attributes"])


def to_finding(issue: Record, project: Project, links: Links, ignored: Record | None) -> FindingDraft:
    """An issue of any type as a finding.

    :param ignored: why it is ignored, as v1 tells it; None when nobody knows, or it is not.
    :raises KeyError, TypeError, ValueError: when a field that every issue has is missing or impossible.
    """
    facts = issue["attributes"]
    key, problem = facts["key"], _snyk_problem(facts)
    packages, places = _packages(facts), list(_locations(facts))
    path, line = _where(facts, packages, places, project)
    return FindingDraft(
        source_key=issue["id"],
        title=facts["title"],
        severity=_SEVERITIES.get(facts.get("effective_severity_level") or "", Severity.INFO),
        state=_state(facts, ignored),
        source_status=_status(facts, ignored),
        category=_category(facts, project),
        rule=problem,
        description=facts.get("description") or "",
        cwe=_distinct(int(found[1]) for entry in facts.get("classes") or () if (found := _CWE.fullmatch(entry.get("id") or ""))),
        cve=_identifiers(facts, _CVE),
        path=path,
        line=line,
        url=links.issue(project, key),
        fingerprint=_fingerprint(facts, key, problem, packages, places),
        created_at=_moment(facts["created_at"]),
        updated_at=_moment(facts.get("updated_at")),
        details=_without_nothing({
            "key": key,
            "key_asset": facts.get("key_asset"),
            **_package_facts(packages),
            **_fix_facts(facts),
            **_score_facts(facts),
            "ghsa": list(_identifiers(facts, _GHSA)),
            "file": project.target_file if path != project.target_file else "",
            "places": [_place_words(place) for place in places[1:]],
            "resources": list(_resources(facts)),
            "resolution": (facts.get("resolution") or {}).get("type"),
            "resolved_at": _moment((facts.get("resolution") or {}).get("resolved_at")),
            "ignore": _ignore_facts(ignored) if _is_ignored(facts) else {},
            "tool": facts.get("tool"),
        }),
    )


def to_rule(finding: FindingDraft, links: Links) -> RuleDraft:
    """The advisory or rule that a finding is about, as far as the issue tells it."""
    is_package = finding.category in ("open_source", "container")
    return RuleDraft(key=finding.rule, name=finding.title, cwe=finding.cwe, url=links.advisory(finding.rule) if is_package else "")


def reason_of(ignores: Mapping[str, Any], issue: Record) -> Record | None:
    """Why an issue is ignored, out of all reasons of its project; the one that holds for every path before one for some.

    :param ignores: the answer of v1.
    """
    facts = issue["attributes"]
    for name in (facts["key"], _snyk_problem(facts)):
        by_path = {path: reason for entry in ignores.get(name) or () if isinstance(entry, dict) for path, reason in entry.items()}
        reason = by_path.get("*") or next(iter(by_path.values()), None)
        if isinstance(reason, dict):
            return reason
    return None


def _target(project: Record) -> Record:
    data = ((project.get("relationships") or {}).get("target") or {}).get("data") or {}
    return data.get("attributes") or {}


def _lineage(organization: Organization, target: str, kind: str, facts: Record) -> str:
    """Branches, image tags and later imports of the same manifest share it; ids of projects do not survive an import."""
    file = facts.get("target_file") or ""
    if family(kind) == "container":
        return _digest(organization.id, re.sub(r"(?<=[^/]):[^/:]*$", "", target), "container", file)
    name = facts["name"].replace(f"({facts.get('target_reference')})", "")
    return _digest(organization.id, target, kind, name, file)


def _category(facts: Record, project: Project) -> str:
    kind = str(facts["type"])
    if kind == "package_vulnerability":
        return "container" if project.family == "container" else "open_source"
    return _CATEGORIES.get(kind, kind)


def _is_ignored(facts: Record) -> bool:
    return facts["status"] != "resolved" and bool(facts["ignored"])


def _state(facts: Record, ignored: Record | None) -> SourceState:
    if facts["status"] == "resolved":
        return SourceState.FIXED
    if not _is_ignored(facts):
        return SourceState.OPEN
    return _DISMISSALS.get((ignored or {}).get("reasonType") or "", SourceState.ACCEPTED)


def _status(facts: Record, ignored: Record | None) -> str:
    if _is_ignored(facts):
        word, why = "ignored", (ignored or {}).get("reasonType")
    else:
        word, why = str(facts["status"]), (facts.get("resolution") or {}).get("type")
    return f"{word}/{why}" if why else word


def _snyk_problem(facts: Record) -> str:
    """Snyk's own id of the vulnerability or rule; empty for what is found in one's own code alone, and for licenses."""
    if facts["type"] not in ("package_vulnerability", "config", "cloud"):
        return ""
    own = [entry.get("id") for entry in facts.get("problems") or () if str(entry.get("source") or "").upper().startswith("SNYK")]
    return str(next(filter(None, own), facts["key"]))


def _identifiers(facts: Record, shape: re.Pattern[str]) -> tuple[str, ...]:
    return _distinct(entry["id"] for entry in facts.get("problems") or () if shape.fullmatch(entry.get("id") or ""))


def _coordinates(facts: Record) -> Sequence[Record]:
    return facts.get("coordinates") or ()


def _representations(facts: Record) -> Iterator[Record]:
    for coordinate in _coordinates(facts):
        yield from coordinate.get("representations") or ()


def _packages(facts: Record) -> list[tuple[str, str]]:
    """Names and versions of the packages that it was found in."""
    found = [entry["dependency"] for entry in _representations(facts) if entry.get("dependency")]
    return list(_distinct((package["package_name"], package.get("package_version") or "")
                          for package in found if package.get("package_name")))


def _locations(facts: Record) -> Iterator[tuple[str, int | None]]:
    """Files and lines that it was found in."""
    for entry in _representations(facts):
        place = entry.get("sourceLocation")
        if place and place.get("file"):
            line = ((place.get("region") or {}).get("start") or {}).get("line")
            yield place["file"], int(line) if line and int(line) > 0 else None


def _resources(facts: Record) -> Iterator[str]:
    """Paths within a configuration, and resources in a cloud."""
    for entry in _representations(facts):
        if entry.get("resourcePath"):
            yield entry["resourcePath"]
        held = (entry.get("cloud_resource") or {}).get("resource") or {}
        name = held.get("native_id") or held.get("name") or held.get("id")
        if name:
            yield name


def _where(facts: Record, packages: Sequence[tuple[str, str]], places: Sequence[tuple[str, int | None]],
           project: Project) -> tuple[str, int | None]:
    if packages:
        return _package_words(packages[0]), None
    if places:
        return places[0]
    return project.target_file or next(_resources(facts), ""), None


def _package_words(package: tuple[str, str]) -> str:
    name, version = package
    return f"{name}@{version}" if version else name


def _place_words(place: tuple[str, int | None]) -> str:
    path, line = place
    return f"{path}:{line}" if line else path


def _package_facts(packages: Sequence[tuple[str, str]]) -> dict[str, Any]:
    if not packages:
        return {}
    name, version = packages[0]
    return {"package": name, "version": version, "packages": [_package_words(package) for package in packages[1:]]}


def _fix_facts(facts: Record) -> dict[str, Any]:
    meant = _FIXES_OF_CODE if facts["type"] == "code" else _FIXES
    ways = [way for flag, way in _FIXES.items() if flag in meant and any(entry.get(flag) for entry in _coordinates(facts))]
    reachable = {entry.get("reachability") for entry in _coordinates(facts)}
    return {
        "fix_available": bool(ways) if _coordinates(facts) else None,
        "fixes": ways,
        "reachability": next((word for word in _REACHABILITY if word in reachable), None),
    }


def _score_facts(facts: Record) -> dict[str, Any]:
    """CVSS of Snyk before that of others, its versions apart; Snyk's own measure of risk; how well an exploit is known."""
    told: dict[str, Any] = {}
    for prefix, generation in (("cvss", "3."), ("cvss4", "4.")):
        entry = _best_score([entry for entry in facts.get("severities") or () if str(entry.get("version") or "").startswith(generation)])
        if entry:
            told |= {prefix: entry.get("score"), f"{prefix}_vector": entry.get("vector"), f"{prefix}_source": entry.get("source")}
    risk = facts.get("risk") or {}
    maturity = (facts.get("exploit_details") or {}).get("maturity_levels") or ()
    return {
        **told,
        "risk_score": (risk.get("score") or {}).get("value"),
        "risk_factors": [factor["name"] for factor in risk.get("factors") or () if factor.get("value")],
        "exploit_maturity": next((entry.get("level") for entry in sorted(maturity, key=_is_older_format)), None),
    }


def _is_older_format(entry: Record) -> bool:
    """So that what is said in terms of CVSS 4 comes first; spelt ``CVSSv4`` or ``CVSS_v4``."""
    return not str(entry.get("format")).endswith("4")


def _best_score(entries: Sequence[Record]) -> Record | None:
    return max(entries, key=lambda entry: (entry.get("source") == "Snyk", str(entry.get("version"))), default=None)


def _ignore_facts(ignored: Record | None) -> dict[str, Any]:
    if not ignored:
        return {}
    return _without_nothing({
        "type": ignored.get("reasonType"),
        "reason": ignored.get("reason"),
        "by": (ignored.get("ignoredBy") or {}).get("name"),
        "since": _moment(ignored.get("created")),
        "until": _moment(ignored.get("expires")),
    })


def _fingerprint(facts: Record, key: str, problem: str, packages: Sequence[tuple[str, str]],
                 places: Sequence[tuple[str, int | None]]) -> str:
    """What stays when a project is imported anew, and when a package moves to a version that has the same weakness."""
    kind = facts["type"]
    if kind == "code":
        return _digest(kind, facts.get("key_asset") or key)
    names, files, resources = {name for name, _ in packages}, {path for path, _ in places}, set(_resources(facts))
    if not problem or not (names or resources):  # nothing but Snyk's key tells two of them apart
        return _digest(kind, key, *sorted(names))
    return _digest(kind, problem, *sorted(names), *sorted(files), *sorted(resources))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _moment(text: str | None) -> int | None:
    return clock.from_iso(text) if text else None


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _without_nothing(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}
