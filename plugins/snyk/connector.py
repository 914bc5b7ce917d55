"""The Snyk connector: joins client and mapper into the pull that core asks for."""

import hashlib
import hmac
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from core import clock
from core.errors import BadRequest, Unauthorized
from core.hooks.contracts import (
    AssetDraft,
    CheckResult,
    FindingDraft,
    Pull,
    RuleDraft,
    SettingsSchema,
    Unmapped,
    UpstreamMaker,
    WebhookEvent,
    mapped,
)
from core.hooks.failures import (
    AnswerInvalid,
    ConnectorError,
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    SettingsInvalid,
)
from plugins.snyk.client import OrganizationForbidden, SnykClient
from plugins.snyk.issues import Ignores, Issues
from plugins.snyk.login import login
from plugins.snyk.mapper import (
    LICENSE,
    Links,
    Project,
    counted_issues,
    is_active,
    is_license,
    project_of,
    to_asset,
    to_finding,
    to_organization,
    to_rule,
)
from plugins.snyk.pages import Record
from plugins.snyk.places import Organization
from plugins.snyk.settings import SnykSettings, chosen_address, chosen_organizations, pages_address

_EVENT, _SIGNATURE = "x-snyk-event", "x-hub-signature"
_WARN_BEFORE = 14 * clock.DAY  # newer tokens live for ninety days at most
_MOST_TRIED = 10  # organizations that a check looks into; each takes two requests
_MOST_NAMED = 8
_WORTH_A_SHORTCUT = 3  # organizations; with more, a project's own is asked for first


class SnykConnector:
    """Snyk: open source, container, code and infrastructure-as-code projects."""

    source = "snyk"
    title = "Snyk"
    description = "Open source, container, code and configuration issues of Snyk."
    aliases: Sequence[str] = ()
    settings_schema: type[SettingsSchema] = SnykSettings
    webhook_secret_setting = "webhook_secret"  # noqa: S105 - the name of the setting

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> Pull:
        return SnykPull(settings, upstream)

    def read_webhook(self, secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """A new snapshot of a project asks for a sync of it; a ping, and what is not known yet, needs nothing."""
        sent = {name.lower(): value for name, value in headers.items()}
        _verify_signature(secret, sent.get(_SIGNATURE, ""), body)
        try:
            payload = json.loads(body)
            told = payload.get("project")
            if not sent.get(_EVENT, "project_snapshot/v0").startswith("project_snapshot/") or (told is None and "webhookId" in payload):
                return None
            key, name = told["id"], told.get("name")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadRequest("This is not a webhook of Snyk") from None
        if not isinstance(key, str) or not key:
            raise BadRequest("This is not a webhook of Snyk")
        return WebhookEvent((key,), f"Snyk tested {name if isinstance(name, str) else 'a project'}")


class SnykPull:
    """One opened connection; see ``core.hooks.contracts.Pull``."""

    def __init__(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> None:
        try:
            base = chosen_address(settings)
        except (ValueError, KeyError) as problem:
            raise SettingsInvalid(f"Snyk's address cannot be read: {problem}") from None
        self._client = SnykClient(login(upstream, base, settings), base)
        self._links = Links(pages_address(base))
        self._group = settings.get("group") or ""
        self._names = chosen_organizations(settings)
        self._with_licenses = bool(settings.get("include_licenses"))
        self._with_resolved = bool(settings.get("include_resolved"))
        self._with_reasons = bool(settings.get("ignore_reasons", True))
        self._issues = Issues(self._client, self._with_resolved)
        self._rules: dict[str, RuleDraft] = {}

    def check(self) -> CheckResult:
        account = self._account()
        organizations = self._organizations
        projects = sum(self._try(organization) for organization in organizations[:_MOST_TRIED])
        ends = self._client.login.facts.expires
        more = len(organizations) > _MOST_TRIED
        facts = {
            "Service": self._client.base,
            "Account": account,
            "Organizations": _named(organizations),
            "Projects visible": f"{projects}+" if more else str(projects),
            "Token expires": _day(ends),
            "API contract ends": str(self._client.login.last_headers.get("sunset") or ""),
        }
        message = (f"Connected to Snyk: {_counted(projects, 'project')}{' or more' if more else ''} in "
                   f"{_counted(len(organizations), 'organization')}")
        if ends is not None and ends - clock.now() < _WARN_BEFORE:
            message += f". The token expires on {_day(ends)}"
        return CheckResult(message, {name: value for name, value in facts.items() if value})

    def catalog(self) -> Iterator[AssetDraft]:
        for organization in self._organizations:
            projects = self._active_projects(organization)
            licenses = self._licenses(organization)
            self._issues.expect(organization, sum(sum(counted_issues(record).values()) for record in projects.values()))
            for key, record in projects.items():
                yield self._draft(record, organization, licenses[key])

    def asset(self, key: str) -> AssetDraft:
        organization, record = self._found(key)
        if not is_active(record):
            raise NotThere(f"project '{key}' is deactivated in Snyk")
        return self._draft(record, organization, self._licenses(organization, key)[key])

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
        if not asset.attributes.get("organization"):
            asset = self.asset(asset.key)  # a key alone does not say where to ask
        organization, project = self._organization_of(asset), project_of(asset)
        ignores = Ignores(self._client, organization, project.id, asked=self._with_reasons)
        self._rules = {}
        records = self._issues.of(organization, project.id, asset.attributes.get("issue_counts") or {})
        wanted = records if self._with_licenses else (record for record in records if not is_license(record))
        yield from mapped(wanted, lambda record: self._finding(record, project, ignores), key="id")

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        """Those met in the findings of the last asset; Snyk tells nothing of a vulnerability beyond its issues."""
        for key in keys:
            if key in self._rules:
                yield self._rules[key]

    def _active_projects(self, organization: Organization) -> dict[str, Record]:
        try:
            return {record["id"]: record for record in self._client.projects(organization) if is_active(record)}
        except OrganizationForbidden as problem:  # a catalog without them would prune what they hold
            raise PermissionMissing(f"{problem}. To do without it, name the organizations to pull") from None
        except (KeyError, TypeError):
            raise AnswerInvalid(f"A project of organization '{organization.slug}' lacks its id or its attributes") from None

    def _draft(self, record: Record, organization: Organization, licenses: Mapping[str, int]) -> AssetDraft:
        try:
            return to_asset(record, organization, self._links, licenses)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise AnswerInvalid(f"Project '{record['id']}' of organization '{organization.slug}' cannot be read: "
                                f"{type(problem).__name__}: {problem}") from None

    @cached_property
    def _organizations(self) -> tuple[Organization, ...]:
        """What this connection covers: of the group all or those named, else those named, else the only one that is seen."""
        if self._group:
            found = [to_organization(record) for record in self._client.organizations_of(self._group)]
            chosen = [_pick(found, name, self._group) for name in self._names] if self._names else found
        elif self._names:
            chosen = [to_organization(self._client.organization(name)) for name in self._names]
        else:
            chosen = [to_organization(record) for record in self._client.visible_organizations()]
            if len(chosen) > 1:  # they may be those of several customers
                raise SettingsInvalid(f"The token sees {len(chosen)} organizations ({_named(chosen)}): name those to pull, or their group")
        if not chosen:
            raise PermissionMissing("The token is good, but sees no organization: give its account a role in one")
        return tuple({organization.id: organization for organization in chosen}.values())

    def _account(self) -> str:
        try:
            record = self._client.whoami()
        except PermissionMissing:
            return ""  # some restricted tokens may not ask who they are; whether they see anything decides
        except LoginRejected as problem:
            raise LoginRejected(f"{self._client.base} does not accept the credential: {_why_refused(self._client)} ({problem})") from None
        facts = record["attributes"]
        return " ".join(filter(None, (facts.get("name") or facts.get("username"), f"({record.get('type', 'account').replace('_', ' ')})")))

    def _try(self, organization: Organization) -> int:
        """How many projects the organization has; reading one page of its issues shows whether they may be read."""
        try:
            projects = self._client.project_count(organization)
            next(self._client.issues(organization), None)
        except OrganizationForbidden as problem:
            raise PermissionMissing(f"{problem}. It takes org.read, org.project.read and org.project.snapshot.read, as the role Org "
                                    "Collaborator has them, and a plan with access to the API") from None
        return projects if projects is not None else len(self._client.projects(organization))

    def _licenses(self, organization: Organization, project: str = "") -> Mapping[str, Mapping[str, int]]:
        """Open license issues by project and severity, while they are not pulled as findings."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        if self._with_licenses:
            return counts
        try:
            for issue in self._client.issues(organization, project, kind=LICENSE):
                if is_license(issue) and not issue["attributes"].get("ignored"):
                    key = issue["relationships"]["scan_item"]["data"]["id"]
                    counts[key][issue["attributes"].get("effective_severity_level") or "info"] += 1
        except (ConnectorError, KeyError, TypeError) as problem:
            if isinstance(problem, ConnectorError) and not problem.asset_only:
                raise
            return defaultdict(Counter)  # a fact worth showing, but not one worth failing for
        return counts

    def _found(self, key: str) -> tuple[Organization, Record]:
        """The project with this key, wherever it is among the organizations covered."""
        organizations = list(self._organizations)
        if self._group and len(organizations) > _WORTH_A_SHORTCUT:
            home = self._client.home_of(key, self._group)
            organizations.sort(key=lambda organization: organization.id != home)
        forbidden: OrganizationForbidden | None = None
        for organization in organizations:
            try:
                return organization, self._client.project(organization, key)
            except NotThere:
                continue
            except OrganizationForbidden as problem:
                forbidden = problem
        raise forbidden or NotThere(f"project '{key}' is in none of the organizations that this connection covers")

    def _organization_of(self, asset: AssetDraft) -> Organization:
        facts = asset.attributes
        return Organization(facts["organization"], facts.get("organization_slug") or facts["organization"], "")

    def _finding(self, record: Record, project: Project, ignores: Ignores) -> FindingDraft:
        finding = to_finding(record, project, self._links, ignores.reason(record))
        if finding.rule and finding.rule not in self._rules:
            self._rules[finding.rule] = to_rule(finding, self._links)
        return finding


def _verify_signature(secret: str, given: str, body: bytes) -> None:
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(expected.encode(), given.strip().lower().encode()):
        raise Unauthorized("The webhook's signature is missing or wrong")


def _pick(organizations: Sequence[Organization], name: str, group: str) -> Organization:
    for organization in organizations:
        if name in (organization.id, organization.slug):
            return organization
    raise OrganizationUnknown(f"Group '{group}' has no organization '{name}' that this credential can see")


def _why_refused(client: SnykClient) -> str:
    facts = client.login.facts
    if facts.expires is not None and facts.expires < clock.now():
        return f"the token expired on {_day(facts.expires)}"
    host = client.base.partition("://")[2]
    if facts.host and facts.host.removeprefix("api.") != host.removeprefix("api."):
        return f"the token belongs to the region of {facts.host[:100]}"
    return "it is wrong, revoked or expired, belongs to another region, or its plan has no access to the API"


def _named(organizations: Sequence[Organization]) -> str:
    names = [organization.slug for organization in organizations[:_MOST_NAMED]]
    more = len(organizations) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _day(moment: int | None) -> str:
    return (clock.iso(moment) or "")[:10]
