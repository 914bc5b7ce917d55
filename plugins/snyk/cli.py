"""One record of Snyk's command line in, one draft out. Pure functions, as in ``mapper``, whose words they share."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.hooks.contracts import AssetDraft, FindingDraft, RuleDraft, Severity, SourceState
from plugins.snyk.mapper import ASSET_KIND, LICENSE, Links

Record = Mapping[str, Any]

CONFIGURATION = "infrastructureAsCodeIssues"  # the member that a scan of configurations has in place of vulnerabilities
_SEVERITIES = {severity.name.lower(): severity for severity in Severity} | {"none": Severity.INFO}
_CWE = re.compile(r"CWE-(\d{1,5})", re.IGNORECASE)
_MOST_PATHS = 20  # of those by which a package comes in; all are counted
_MOST_REFERENCES = 10
_LINKS = Links("https://app.snyk.io")


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test says of its project.

    :ivar is_one_of_several: whether the file has an array of projects, where each one's keys must not meet another's.
    """

    name: str
    file: str = ""
    manager: str = ""
    is_image: bool = False
    is_configuration: bool = False
    is_one_of_several: bool = False

    @property
    def asset_file(self) -> str:
        """The file that makes the project; a scan of configurations has a test for each file, all of them of one project."""
        return "" if self.is_configuration else self.file

    @property
    def key(self) -> str:
        return f"{self.name}:{self.asset_file}" if self.asset_file else self.name

    @property
    def family(self) -> str:
        return "iac" if self.is_configuration else "container" if self.is_image else "open_source"

    @property
    def marks(self) -> str:
        """What goes into each key of this project's findings."""
        return f" in {self.key}" if self.is_one_of_several else ""


def to_tested(facts: Record, is_one_of_several: bool) -> Tested:
    """What a test tells beside its findings; a file's path is written as on any system but Windows."""
    path = str(facts.get("path") or "").replace("\\", "/").rstrip("/")
    name = str(facts.get("projectName") or path.rpartition("/")[2] or "(no name)")
    file = str(facts.get("displayTargetFile") or facts.get("targetFile") or "").replace("\\", "/")
    return Tested(name, file, str(facts.get("packageManager") or ""), "docker" in facts, CONFIGURATION in facts, is_one_of_several)


def to_asset(tested: Tested) -> AssetDraft:
    """The project that was tested."""
    facts = {"target_file": tested.asset_file, "type": tested.manager, "family": tested.family}
    return AssetDraft(tested.key, f"{tested.name} ({tested.asset_file})" if tested.asset_file else tested.name, ASSET_KIND,
                      attributes=_without_nothing(facts))


def key_of(found: Record, tested: Tested) -> str:
    """The same advisory in the same version of a package is one finding, by however many paths the package comes in."""
    return f"{found['id']}:{_package(found)}{tested.marks}"


def to_finding(found: Record, tested: Tested, paths: Sequence[str], count: int, state: SourceState = SourceState.OPEN) -> FindingDraft:
    """A vulnerability or a license issue of a package.

    :param paths: some of the ways by which the package comes in, of ``count``.
    """
    kind = LICENSE if _is_license(found) else tested.family
    identifiers, ignored = found.get("identifiers") or {}, _ignored(found)
    return FindingDraft(
        source_key=key_of(found, tested),
        title=found["title"],
        severity=_severity(found),
        state=SourceState.FALSE_POSITIVE if ignored.get("reasonType") == "not-vulnerable" else state,
        source_status="open" if state is SourceState.OPEN else "/".join(filter(None, ("ignored", ignored.get("reasonType")))),
        category=kind,
        rule=found["id"],
        description=found.get("description") or "",
        cwe=_cwe(identifiers),
        cve=_distinct(str(entry).upper() for entry in identifiers.get("CVE") or ()),
        path=_package(found),
        url=_LINKS.advisory(found["id"]),
        fingerprint=_digest("package_vulnerability", found["id"], _name(found)),
        details=_without_nothing({
            "package": _name(found),
            "version": _version(found),
            "file": tested.file,
            "paths": list(paths),
            "paths_in_all": count,
            "fixed_in": _fixed_in(found),
            "upgrade_to": _upgrade(found),
            "fix_available": bool(found.get("isUpgradable") or found.get("isPatchable") or found.get("isPinnable") or _fixed_in(found)),
            "cvss": found.get("cvssScore"),
            "cvss_vector": found.get("CVSSv3"),
            "epss": _number((found.get("epssDetails") or {}).get("probability")),
            "exploit_maturity": found.get("exploit"),
            "ghsa": list(identifiers.get("GHSA") or ()),
            "license": found.get("license"),
            "package_manager": found.get("packageManager"),
            "references": [entry["url"] for entry in (found.get("references") or ())[:_MOST_REFERENCES] if entry.get("url")],
            "ignore": _without_nothing({"type": ignored.get("reasonType"), "reason": ignored.get("reason")}),
        }),
    )


def to_configuration_finding(found: Record, tested: Tested) -> FindingDraft:
    """A misconfiguration. ``isIgnored`` is how a policy dismissed it."""
    where, told = ".".join(map(str, found.get("path") or ())) or str(found.get("msg") or ""), found.get("iacDescription") or {}
    rule, line = str(found.get("publicId") or found["id"]), found.get("lineNumber")
    parts = [told.get(name) or found.get(name) for name in ("issue", "impact", "resolve")]
    return FindingDraft(
        source_key=f"{rule}:{tested.file}:{where}{tested.marks}",
        title=found["title"],
        severity=_severity(found),
        state=SourceState.ACCEPTED if found.get("isIgnored") else SourceState.OPEN,
        source_status="ignored" if found.get("isIgnored") else "open",
        category="iac",
        rule=rule,
        description="\n\n".join(str(part) for part in parts if part),
        path=tested.file,
        line=line if isinstance(line, int) and line > 0 else None,
        url=found.get("documentation") or _LINKS.advisory(rule),
        fingerprint=_digest("config", rule, tested.file, where),
        details=_without_nothing({"resource": where, "type": found.get("type"), "sub_type": found.get("subType"),
                                  "references": [str(entry) for entry in (found.get("references") or ())[:_MOST_REFERENCES]]}),
    )


def to_rule(finding: FindingDraft) -> RuleDraft:
    """The advisory that a finding is about, as far as the report tells it."""
    return RuleDraft(finding.rule, finding.title, cwe=finding.cwe, url=finding.url)


def ways_in(found: Record) -> list[str]:
    """``app@1 > left@2 > pad@3``, without the project itself; several where the command line was told to group, none when none is told."""
    told = found.get("from") or ()
    ways = told if told and isinstance(told[0], list) else [told]
    return [" > ".join(str(step) for step in way[1:]) for way in ways]


def more_ways(known: Sequence[str], ways: Iterable[str]) -> Sequence[str]:
    for way in ways:
        if way and len(known) < _MOST_PATHS and way not in known:
            known = [*known, way]
    return known


def _fixed_in(found: Record) -> list[str]:
    """Packages of an image have the nearest version alone."""
    return list(found.get("fixedIn") or filter(None, [found.get("nearestFixedInVersion")]))


def _name(found: Record) -> str:
    return str(found.get("packageName") or found.get("name") or found.get("moduleName") or "")


def _package(found: Record) -> str:
    version = _version(found)
    return f"{_name(found)}@{version}" if version else _name(found)


def _version(found: Record) -> str:
    """Unmanaged packages have it at the end of their names alone: ``https://curl.se|curl@7.58.0``."""
    _, bar, name = str(found.get("name") or "").rpartition("|")
    return str(found.get("version") or (name.partition("@")[2] if bar else ""))


def _is_license(found: Record) -> bool:
    return found.get("type") == LICENSE or str(found["id"]).startswith("snyk:lic:")


def _severity(found: Record) -> Severity:
    """``severity`` is what policies made of it; where it knows only three grades, the other field tells critical ones apart."""
    told, finer = str(found["severity"]).lower(), str(found.get("severityWithCritical") or "").lower()
    return _SEVERITIES.get("critical" if (told, finer) == ("high", "critical") else told, Severity.INFO)


def _cwe(identifiers: Record) -> tuple[int, ...]:
    return _distinct(int(known[1]) for entry in identifiers.get("CWE") or () if (known := _CWE.fullmatch(str(entry))))


def _upgrade(found: Record) -> str:
    """What to upgrade among the direct dependencies."""
    told = found.get("upgradePath") or ()
    path = told[0] if told and isinstance(told[0], list) else told
    return next((step for step in path if isinstance(step, str)), "")


def _ignored(found: Record) -> Record:
    told = (found.get("filtered") or {}).get("ignored") or ()
    return told[0] if told and isinstance(told[0], dict) else {}


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _without_nothing(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}
