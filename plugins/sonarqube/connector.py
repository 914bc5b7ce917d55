"""The SonarQube connector: joins client and mapper into the pull that core asks for."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
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
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    SettingsInvalid,
    UpstreamRefused,
)
from plugins.sonarqube.client import ProjectForbidden, SonarClient
from plugins.sonarqube.mapper import (
    Links,
    Scale,
    category,
    hotspot_to_finding,
    issue_to_finding,
    to_asset,
    to_rule,
)
from plugins.sonarqube.places import Place, branch_place
from plugins.sonarqube.settings import CLOUD_URL, SonarSettings, branch_patterns

_SIGNATURE = "x-sonar-webhook-hmac-sha256"
_WARN_BEFORE = 30 * clock.DAY
_QUALITY_ISSUES = ("bug", "code_smell")
_SECURITY_FILTER = {Scale.STANDARD: {"types": "VULNERABILITY"}, Scale.MQR: {"impactSoftwareQualities": "SECURITY"}}


class SonarConnector:
    """SonarQube Server and SonarQube Cloud."""

    source = "sonarqube"
    title = "SonarQube"
    description = "Vulnerabilities and security hotspots of SonarQube Server and SonarQube Cloud."
    aliases: Sequence[str] = ("son",)
    settings_schema: type[SettingsSchema] = SonarSettings
    webhook_secret_setting = "webhook_secret"  # noqa: S105 - the name of the setting

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> Pull:
        return SonarPull(settings, upstream)

    def read_webhook(self, secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """A finished analysis asks for a sync of its branch; a failed one, or one of a pull request, needs nothing."""
        _verify_signature(secret, headers, body)
        try:
            payload = json.loads(body)
            branch = payload.get("branch") or {}
            project, status = payload["project"]["key"], payload["status"]
            name = "" if branch.get("isMain", True) else branch["name"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadRequest("This is not a webhook of SonarQube") from None
        if not isinstance(project, str) or not project or not isinstance(name, str):
            raise BadRequest("This is not a webhook of SonarQube")
        if status != "SUCCESS" or branch.get("type") == "PULL_REQUEST":
            return None
        place = Place(project, name)
        return WebhookEvent((place.key,), f"Analysis of {place.words} finished")


class SonarPull:
    """One opened connection; see ``core.hooks.contracts.Pull``."""

    def __init__(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> None:
        url = settings.get("url") or CLOUD_URL
        self._client = SonarClient(upstream, url, settings["token"], settings.get("organization") or "",
                                   settings.get("ca_certificate") or "")
        self._links = Links(self._client.base, self._client.cloud, self._client.organization)
        self._patterns = branch_patterns(settings.get("branches") or "")
        self._with_quality = bool(settings.get("include_quality_issues"))
        self._severity_mode = settings.get("severity_mode") or "auto"
        self._rules = _RuleBook(self._client, self._links, "" if self._with_quality else "VULNERABILITY,SECURITY_HOTSPOT")

    def check(self) -> CheckResult:
        client = self._client
        if client.cloud and not client.organization:
            raise SettingsInvalid("SonarQube Cloud needs the organization's key")
        if not client.token_accepted():
            raise LoginRejected(f"{client.base} does not accept the token: it is wrong, revoked or expired")
        if client.cloud and not client.organization_known():
            raise OrganizationUnknown(f"{client.base} has no organization '{client.organization}' that this token can see")
        projects = self._visible_projects()
        service = "SonarQube Cloud" if client.cloud else f"SonarQube Server {client.server['version']}"
        expiry = _expiry(client.token_expiry)
        facts = {"Service": service, "Organization": client.organization, "Token expires": expiry, "Projects visible": str(projects)}
        return CheckResult(f"Connected to {service}: {_counted(projects, 'project')} visible{_expiry_warning(client.token_expiry)}",
                           {name: value for name, value in facts.items() if value})

    def catalog(self) -> Iterator[AssetDraft]:
        self._demand_organization()
        for project in self._client.projects():
            yield from self._assets(project)

    def asset(self, key: str) -> AssetDraft:
        self._demand_organization()
        place = self._existing_place(key)
        project = self._client.project(place)
        branches = self._branches(place.project)
        if not place.branch:
            return to_asset(project, branches, _main(branches), self._links)
        for branch in self._covered(branches):
            if branch["name"] == place.branch:
                return to_asset(project, branches, branch, self._links)
        raise NotThere(f"{place.words}: not among the branches that this connection pulls")

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
        self._demand_organization()
        place = _place(asset)
        yield from mapped(self._client.hotspots(place), lambda record: self._hotspot(record, place))
        narrowed = {} if self._with_quality else _SECURITY_FILTER[self._scale]
        yield from mapped(self._wanted(self._client.issues(place, **narrowed)), lambda record: self._issue(record, place))

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        for key in keys:
            rule = self._rules.find(key)
            if rule is not None:
                yield rule

    @cached_property
    def _scale(self) -> Scale:
        dialect = self._client.dialect
        if not dialect.has_impacts:
            return Scale.STANDARD
        if self._severity_mode != "auto":
            return Scale(self._severity_mode)
        if not dialect.cloud and not dialect.has_mode:
            return Scale.STANDARD  # 10.2 to 10.7: their impacts know three levels, the severities five
        return Scale.STANDARD if self._client.mode == "STANDARD_EXPERIENCE" else Scale.MQR

    def _visible_projects(self) -> int:
        try:
            visible = self._client.browsable_projects()
        except LoginRejected:
            raise PermissionMissing("The token is good, but not for reading projects: an analysis token, perhaps. "
                                    "Use a user token") from None
        if visible == 0 and self._client.administered_projects() != 0:
            raise PermissionMissing("The token may not browse any project: give its owner the permission Browse")
        return visible

    def _demand_organization(self) -> None:
        if self._client.cloud and not self._client.organization:
            raise SettingsInvalid("SonarQube Cloud needs the organization's key")

    def _assets(self, project: Mapping[str, Any]) -> Iterator[AssetDraft]:
        branches = self._branches(project["key"])
        yield to_asset(project, branches, _main(branches), self._links)
        for branch in self._covered(branches):
            yield to_asset(project, branches, branch, self._links)

    def _branches(self, project: str) -> Sequence[Mapping[str, Any]]:
        try:
            return self._client.branches(project)
        except ProjectForbidden:
            if self._patterns:
                raise PermissionMissing(f"The branches of project '{project}' may not be read: give the token's owner Browse there, "
                                        "or empty the setting 'Further branches'") from None
            return ()  # an administrator's token lists projects that it may not look into

    def _covered(self, branches: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The branches beside the main one that the patterns ask for."""
        return [branch for branch in branches
                if not branch.get("isMain") and any(fnmatchcase(branch["name"], pattern) for pattern in self._patterns)]

    def _existing_place(self, key: str) -> Place:
        """A project's key may itself look like that of a branch, so whether such a project exists decides."""
        branch = branch_place(key)
        if branch is None:
            return Place(key)
        try:
            self._client.project(Place(key))
        except NotThere:
            return branch
        return Place(key)

    def _wanted(self, issues: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Drops bugs and code smells unless they are asked for, in case a service does not know the filter that was sent."""
        if self._with_quality:
            return issues
        return (issue for issue in issues if _category_or_none(issue, self._scale) not in _QUALITY_ISSUES)

    def _issue(self, record: Mapping[str, Any], place: Place) -> FindingDraft:
        return issue_to_finding(record, place, self._scale, self._links, self._rules.find(record["rule"]))

    def _hotspot(self, record: Mapping[str, Any], place: Place) -> FindingDraft:
        return hotspot_to_finding(record, place, self._links, self._rules.find(record.get("ruleKey") or ""))


class _RuleBook:
    """The rules met so far. A repository (``java``, ``python``) is read at once when its first rule is met, since one call for
    hundreds costs less than one for each; what that does not give is asked for by itself, once."""

    def __init__(self, client: SonarClient, links: Links, types: str) -> None:
        self._client, self._links, self._types = client, links, types
        self._rules: dict[str, RuleDraft | None] = {}
        self._repositories: set[str] = set()

    def find(self, key: str) -> RuleDraft | None:
        """The rule, or None when SonarQube knows none by this key."""
        if not key:
            return None
        if key not in self._rules:
            self._read_repository(key.partition(":")[0])
        if key not in self._rules:
            record = self._client.rule(key)
            self._rules[key] = to_rule(record, self._links) if record else None
        return self._rules[key]

    def _read_repository(self, repository: str) -> None:
        if repository in self._repositories:
            return
        self._repositories.add(repository)
        try:
            for record in self._client.rules_of(repository, self._types):
                self._rules[record["key"]] = to_rule(record, self._links)
        except (UpstreamRefused, PermissionMissing):
            return  # a listing that this version refuses; each rule is then asked for by itself


def _verify_signature(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    given = next((value for name, value in headers.items() if name.lower() == _SIGNATURE), "")
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(expected.encode(), given.strip().lower().encode()):
        raise Unauthorized("The webhook's signature is missing or wrong")


def _place(asset: AssetDraft) -> Place:
    project = asset.attributes.get("project")
    if project and asset.key.startswith(project):
        return Place(project) if asset.key == project else (branch_place(asset.key) or Place(asset.key))
    return branch_place(asset.key) or Place(asset.key)


def _main(branches: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((branch for branch in branches if branch.get("isMain")), None)


def _category_or_none(issue: Any, scale: Scale) -> str | None:
    try:
        return category(issue, scale)
    except (KeyError, TypeError, AttributeError):
        return None  # left for the mapper, which says what is wrong with it


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _expiry(header: str) -> str:
    """The day on which the token expires; empty when it does not."""
    moment = _moment(header)
    return (clock.iso(moment) or "")[:10]


def _expiry_warning(header: str) -> str:
    moment = _moment(header)
    return f". The token expires on {_expiry(header)}" if moment is not None and moment - clock.now() < _WARN_BEFORE else ""


def _moment(header: str) -> int | None:
    try:
        return clock.from_iso(header)
    except ValueError:
        return None
