"""One record of Checkmarx One in, one draft out. Pure functions: no network, no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from core.hooks.contracts import AssetDraft, FindingDraft, RuleDraft
from plugins.checkmarx.engines import READERS, query_rule, unknown
from plugins.checkmarx.readings import (
    cwe_of,
    fingerprint,
    moment,
    normal_state,
    section,
    severity_of,
    split,
    state_of,
    status_word,
    text_of,
    without_nothing,
    without_user,
    words,
)
from plugins.checkmarx.scans import ProjectScans

Record = Mapping[str, Any]

PROJECT_KIND = "checkmarx_appsec"
ENVIRONMENT_KIND = "dast_environment"
_ENVIRONMENT_MARK = "dast:"  # keeps environments apart from projects, whose ids look the same


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of pages that a person may open in Checkmarx One. Ids are quoted, since they hold ``+``, ``/`` and ``=``."""

    base: str

    def project(self, project: str, branch: str = "") -> str:
        return f"{self.base}/projects/{quote(project, safe='')}/overview" + (f"?{urlencode({'branch': branch})}" if branch else "")

    def scan(self, project: str, scan: str) -> str:
        return f"{self.base}/projects/{quote(project, safe='')}/scans?{urlencode({'id': scan})}"

    def result(self, project: str, scan: str, page: str, result: str) -> str:
        return (f"{self.base}/results/{quote(scan, safe='')}/{quote(project, safe='')}/{page}"
                f"?result-id={quote(result, safe='')}&redirect=true")

    def packages(self, project: str, scan: str) -> str:
        return f"{self.base}/results/{quote(scan, safe='')}/{quote(project, safe='')}/sca?internalPath=%2Fpackages"

    @property
    def dast(self) -> str:
        return f"{self.base}/dast"


@dataclass(frozen=True, slots=True)
class Origin:
    """The scan of a project that a result comes from. Without links (a report file has none) findings get no address."""

    project: str = ""
    scan: str = ""
    links: Links | None = None

    def page(self, page: str, result: str) -> str:
        """The address of a result on the page of its engine; of its scan where the engine has no page that is known."""
        if self.links is None:
            return ""
        if page == "sca":
            return self.links.packages(self.project, self.scan)
        return self.links.result(self.project, self.scan, page, result) if page else self.links.scan(self.project, self.scan)


@dataclass(frozen=True, slots=True)
class Target:
    """The DAST environment that a result comes from, and the first project that it is linked to."""

    environment: str
    url: str = ""
    project: str = ""
    project_name: str = ""
    link: str = ""


def environment_key(environment: str) -> str:
    """The asset key of a DAST environment."""
    return _ENVIRONMENT_MARK + environment


def environment_of(key: str) -> str:
    """The DAST environment that an asset key names; empty when it names a project."""
    return key.removeprefix(_ENVIRONMENT_MARK) if key.startswith(_ENVIRONMENT_MARK) else ""


def to_asset(project: Record, scans: ProjectScans, links: Links) -> AssetDraft:
    """The asset of a project, whether it was ever scanned or not."""
    newest = scans.newest
    branch = newest.branch if newest else ""
    return AssetDraft(
        key=project["id"],
        name=project.get("name") or project["id"],
        kind=PROJECT_KIND,
        url=links.project(project["id"], branch),
        attributes=without_nothing({
            "branch": branch,
            "main_branch": project.get("mainBranch"),
            "engines": sorted(scans.by_engine),
            "last_scan": newest.created_at if newest and newest.created_at else None,
            "repository": without_user(project.get("repoUrl") or ""),
            "origin": project.get("origin"),
            "criticality": project.get("criticality"),
            "tags": sorted(f"{name}:{value}" if value else name for name, value in (project.get("tags") or {}).items()),
        }),
    )


def environment_to_asset(environment: Record, links: Links) -> AssetDraft:
    """The asset of a DAST environment. Its ``scanConfig`` is never looked at: it holds the target's credentials."""
    address = environment.get("url") or ""
    return AssetDraft(
        key=environment_key(environment["environmentId"]),
        name=environment.get("domain") or address or environment["environmentId"],
        kind=ENVIRONMENT_KIND,
        url=links.dast,
        attributes=without_nothing({
            "target": without_user(address),
            "scan_type": environment.get("scanType"),
            "last_status": status_word(environment.get("lastStatus")),
            "last_scan": moment(environment.get("lastScanTime")),
            "risk_rating": str(environment.get("riskRating") or "").partition(" ")[0],
            "projects": list(environment.get("projectIds") or ()),
            "tags": list(environment.get("tags") or ()),
        }),
    )


def natural_key(record: Record) -> str:
    """The source key of a result: what Checkmarx One tells it by from scan to scan.

    The hash of its path for SAST, the similarity id for IaC and secrets, the advisory with the package (and the image) that has it.
    :raises KeyError: when the result does not say.
    """
    kind, data = record["type"], record.get("data") or {}
    if kind == "sast":
        parts = [data.get("resultHash") or record.get("alternateId") or record["id"]]
    elif kind == "sca":
        parts = [record["id"], data["packageIdentifier"]]
    elif kind in ("containers", "sca-container"):
        parts = [record["id"], *(data.get(name) or "" for name in ("packageName", "packageVersion", "imageName", "imageTag"))]
    else:
        parts = [record.get("similarityId") or record["id"]]
    return ":".join((kind, *map(str, parts))).rstrip(":")


def result_mark(record: Record) -> str:
    """What tells two results of one scan apart that share their natural key."""
    return str(record.get("alternateId") or record.get("id") or "")


def result_to_finding(record: Record, origin: Origin, key: str = "", api: str = "") -> FindingDraft:
    """A result of any engine as a finding; one of an engine that is not known yet keeps the little that all results say.

    :param key: its source key, when it is another than the natural one.
    :param api: the endpoint of an API that leads to it.
    :raises KeyError, TypeError, ValueError: when a field that every result has is missing or impossible.
    """
    told = READERS.get(record["type"], unknown)(record, record.get("data") or {}, record.get("vulnerabilityDetails") or {})
    return FindingDraft(
        source_key=key or natural_key(record),
        title=told.title,
        severity=severity_of(record["severity"]),
        state=state_of(record),
        source_status=normal_state(record["state"]),
        category=told.category,
        rule=told.rule,
        description=told.description or text_of(record.get("description")),
        cwe=told.cwe,
        cve=told.cve,
        path=told.path,
        line=told.line,
        url=origin.page(told.page, str(record.get("id") or "")),
        fingerprint=fingerprint(record["type"], *told.lasting),
        created_at=moment(record.get("firstFoundAt")),
        updated_at=moment(record.get("foundAt") or record.get("created")),
        details=without_nothing({
            "engine": record["type"],
            "status": record.get("status"),
            "similarity_id": str(record.get("similarityId") or ""),
            "api": api,
            "comment": _comment(record),
            **told.details,
        }),
    )


def risk_key(risk: Record) -> str:
    """The source key of an API risk; its own id is a new one with every scan."""
    return ":".join(("apisec", str(risk["name"]), str(risk.get("http_method") or ""), str(risk.get("url") or "")))


def risk_endpoint(risk: Record) -> str:
    """``GET /payments/{id}``."""
    return f"{risk.get('http_method') or ''} {risk.get('url') or ''}".strip()


def risk_to_finding(risk: Record, origin: Origin, key: str = "") -> FindingDraft:
    """An API risk that is no second view of a SAST result.

    :raises KeyError, TypeError, ValueError: when a field that every risk has is missing or impossible.
    """
    name, endpoint = str(risk["name"]), risk_endpoint(risk)
    return FindingDraft(
        source_key=key or risk_key(risk),
        title=f"{words(name)}: {endpoint}" if endpoint else words(name),
        severity=severity_of(risk["severity"]),
        state=state_of(risk),
        source_status=normal_state(risk["state"]),
        category="api_security",
        rule=f"apisec:{name}",
        path=str(risk.get("url") or ""),
        url=origin.page("", ""),
        fingerprint=fingerprint("apisec", name, endpoint),
        created_at=moment(risk.get("discovery_date")),
        details=without_nothing({
            "engine": "apisec",
            "status": str(risk.get("status") or "").upper(),
            "method": risk.get("http_method"),
            "api_origin": risk.get("origin"),
            "documented": risk.get("documented"),
            "authenticated": risk.get("authenticated"),
        }),
    )


def dast_key(result: Record) -> str:
    """The source key of a DAST result within its environment: what was found, and where.

    Values in the address differ from scan to scan, so the names of its parameters stand for it.
    :raises KeyError: when the result does not say.
    """
    address = split(result.get("url"))
    parameters = sorted({name for name, _ in parse_qsl(address.query, keep_blank_values=True)})
    place = str(result.get("path") or address.path)
    return ":".join(("dast", str(result["name"]), str(result.get("method") or ""), place, "&".join(parameters),
                     *map(str, cwe_of(result.get("cwe_id")))))


def dast_to_finding(result: Record, target: Target, key: str = "") -> FindingDraft:
    """A DAST result as an offensive finding; its path is the address that was attacked.

    :raises KeyError, TypeError, ValueError: when a field that every result has is missing or impossible.
    """
    name, severity = str(result["name"]), severity_of(result["severity"])
    owasp = [str(entry) for entry in result.get("owasp") or ()]
    return FindingDraft(
        source_key=key or dast_key(result),
        title=name,
        severity=severity,
        state=state_of(result),
        source_status=normal_state(result["state"]),
        category="dast",
        rule=f"dast:{name}",
        description=text_of(result.get("description")),
        cwe=cwe_of(result.get("cwe_id")),
        path=without_user(result.get("url") or target.url),
        url=target.link,
        fingerprint=fingerprint("dast", name, result.get("method") or "", result.get("path") or ""),
        details={
            "risk_impact": f"{severity.label} risk" + (f" (OWASP {', '.join(owasp)})" if owasp else ""),
            "recommendation": text_of(result.get("solution")) or None,
            "checkmarx_project_id": target.project or None,
            "checkmarx_project_name": target.project_name or None,
            **without_nothing({
                "engine": "dast",
                "status": str(result.get("status") or "").upper(),
                "method": result.get("method"),
                "owasp": owasp,
                "scan_type": result.get("scan_type"),
                "environment_id": target.environment,
            }),
        },
    )


def to_rule(text: Record) -> RuleDraft:
    """The text of a SAST query."""
    sections = [section("What is at risk?", text.get("risk")), section("What causes it?", text.get("cause")),
                section("How to fix it", text.get("generalRecommendations"))]
    return RuleDraft(key=query_rule(text["queryId"]), name=words(str(text.get("queryName") or text["queryId"])),
                     description="\n".join(section for section in (section("", text.get("resultDescription")), *sections) if section))


def query_of(rule: str) -> str:
    """The SAST query that a rule key names; empty when it names something else."""
    return rule.removeprefix("sast:") if rule.startswith("sast:") else ""


def rule_of(draft: FindingDraft) -> RuleDraft:
    """The text of a rule as one of its findings tells it, for engines that have no texts to ask for."""
    about = draft.description.partition("\n")[0] if draft.category == "iac" else draft.description  # then follows what was found
    name = draft.rule.partition(":")[2] if draft.category in ("dast", "api_security") else draft.title
    advice = draft.details.get("recommendation") or draft.details.get("remediation")
    return RuleDraft(key=draft.rule, name=words(name), cwe=draft.cwe,
                     description="\n".join(section for section in (section("", about), section("How to fix it", advice)) if section))


def _comment(record: Record) -> str:
    comments = record.get("comments")
    return text_of(comments.get("comments")) if isinstance(comments, Mapping) else ""


class Keys:
    """Gives each result of one enumeration its source key: the natural one, and to another result that shares it, one of its own.

    Keeps two numbers for each result.

    :ivar given: how many keys were asked for.
    """

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self.given = 0

    def key(self, natural: str, mark: str) -> str:
        """:param mark: what tells results apart that share their natural key."""
        self.given += 1
        is_first = self._first.setdefault(hash(natural), hash(mark)) == hash(mark)
        return natural if is_first else f"{natural}#{mark}"

