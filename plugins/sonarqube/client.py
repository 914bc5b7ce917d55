"""SonarQube's Web API: paths, parameters as each version spells them, login, paging. Has never heard of a finding."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.hooks.contracts import UpstreamMaker
from core.hooks.failures import (
    AnswerInvalid,
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    UpstreamRefused,
    UpstreamUnavailable,
    WrongService,
)
from plugins.sonarqube.places import Place
from plugins.sonarqube.settings import is_cloud_host
from plugins.sonarqube.windows import PAGE, WINDOW, Listing, Query, Record

_EXPIRY_HEADER = "sonarqube-authentication-token-expiration"
_NEWEST = (9999, 0)
_FIRST_YEAR_NUMBERED = 24  # the Community Build counts years in two digits: 25.3 is newer than 10.8
_REPORTED_STATUSES = "OPEN,CONFIRMED,ACCEPTED,FALSE_POSITIVE"
_REPORTED_STATUSES_OF_OLD = "OPEN,CONFIRMED,REOPENED,RESOLVED"
_REVIEW_STATES = ("TO_REVIEW", "REVIEWED")
_HOTSPOT_CATEGORIES = (
    "buffer-overflow", "sql-injection", "command-injection", "path-traversal-injection", "xss", "csrf", "auth", "rce", "xxe", "dos", "ssrf",
    "open-redirect", "weak-cryptography", "permission", "object-injection", "ldap-injection", "xpath-injection", "log-injection",
    "http-response-splitting", "insecure-conf", "file-manipulation", "encrypt-data", "traceability", "others",
)


class ProjectForbidden(PermissionMissing):
    """The token may not browse this one project; the others can still be pulled."""

    asset_only = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """What this service understands. ``version`` orders as (major, minor), years in full; Cloud is always the newest."""

    cloud: bool
    version: tuple[int, int]

    @property
    def takes_bearer(self) -> bool:
        return self.version >= (10, 0)

    @property
    def has_impacts(self) -> bool:
        return self.version >= (10, 2)

    @property
    def has_issue_status(self) -> bool:
        return self.version >= (10, 4)

    @property
    def has_mode(self) -> bool:
        return not self.cloud and self.version >= (10, 8)

    @property
    def component(self) -> str:
        return "components" if not self.cloud and self.version >= (10, 2) else "componentKeys"

    @property
    def hotspot_project(self) -> str:
        return "project" if not self.cloud and self.version >= (10, 2) else "projectKey"

    @property
    def rule_fields(self) -> str:
        text = "descriptionSections" if self.version >= (9, 5) else "htmlDesc"
        return f"name,{text},tags,sysTags" + (",securityStandards" if self.cloud else "")

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Issue fields with one value each that are facet and filter alike, from few values to many."""
        return ("severities", "types", "rules", "directories", "fileUuids" if self.cloud else "files")


class SonarClient:
    """One connection's view of SonarQube Server or SonarQube Cloud. It makes no request before it is asked something.

    :param organization: naming one makes it a Cloud connection, whatever the host.
    """

    def __init__(self, upstream: UpstreamMaker, url: str, token: str, organization: str = "", ca_pem: str = "") -> None:
        self.cloud = is_cloud_host(url) or bool(organization)
        self.base = url.rstrip("/")
        self.organization = organization
        self._token = token
        self._anonymous = upstream(url, ca_pem=ca_pem)
        self._bearer = upstream(url, headers={"Authorization": f"Bearer {token}"}, secrets=[token], ca_pem=ca_pem)
        self._basic = upstream(url, auth=(token, ""), secrets=[token], ca_pem=ca_pem)
        self._proven = False

    @cached_property
    def server(self) -> Mapping[str, Any]:
        """``system/status`` of a Server: its version, and whether it is up. Asked without the token, which nobody but a
        SonarQube shall see.

        :raises WrongService: when what answers is no SonarQube.
        :raises UpstreamUnavailable: when it is one that is starting, migrating or down.
        """
        try:
            status = self._anonymous.get("/api/system/status")
        except (AnswerInvalid, NotThere, UpstreamRefused, LoginRejected, PermissionMissing) as problem:
            raise WrongService(f"What answers at {self.base} is not a SonarQube Server: {problem}") from None
        if not isinstance(status, dict) or not isinstance(status.get("status"), str) or not _version(status.get("version")):
            raise WrongService(f"What answers at {self.base} is not a SonarQube Server")
        if status["status"] != "UP":
            raise UpstreamUnavailable(f"SonarQube at {self.base} is not ready: {status['status'][:40]}")
        return status

    @cached_property
    def dialect(self) -> Dialect:
        """How to speak to this service."""
        return Dialect(self.cloud, _NEWEST if self.cloud else _version(self.server["version"]) or _NEWEST)

    @cached_property
    def mode(self) -> str:
        """``MQR`` or ``STANDARD_EXPERIENCE``, as the whole Server is set; empty where it does not say."""
        if not self.dialect.has_mode:
            return ""
        try:
            answer = self._get("/api/v2/clean-code-policy/mode")
        except (NotThere, PermissionMissing, UpstreamRefused, AnswerInvalid):
            return ""  # the endpoint is internal and may go
        return str(answer.get("mode") or "") if isinstance(answer, dict) else ""

    def token_accepted(self) -> bool:
        """Whether the service knows the token. A Server that knows it only as a user name is spoken to in that way from then on.

        :raises WrongService: when the answer is not SonarQube's.
        """
        if self._validated(self._login):
            return True
        if self.cloud or self._login is self._basic or not self._validated(self._basic):
            return False
        self._login = self._basic
        return True

    @property
    def token_expiry(self) -> str:
        """When the token expires, as the last answer said; empty when it does not expire, or nobody said."""
        return str(self._login.last_headers.get(_EXPIRY_HEADER) or "")

    def organization_known(self) -> bool:
        """Whether the organization exists on SonarQube Cloud and may be seen; True too when the service will not say, since the
        listing of its projects then tells."""
        try:
            answer = self._get("/api/organizations/search", {"organizations": self.organization})
        except (NotThere, PermissionMissing, UpstreamRefused):
            return True
        found = answer.get("organizations") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise AnswerInvalid("The listing of organizations lacks its list")
        return any(entry.get("key") == self.organization for entry in found)

    def browsable_projects(self) -> int:
        """How many projects the token may browse; on Cloud, 10,000 stands for that many or more.

        :raises OrganizationUnknown: when SonarQube Cloud refuses to list the organization.
        """
        listing = self._listing("/api/components/search", "components", "projects")
        try:
            return listing.page({"qualifiers": "TRK", **self._scope}, 1, size=1).total
        except (NotThere, PermissionMissing, UpstreamRefused) as problem:
            if not self.cloud:
                raise
            raise OrganizationUnknown(f"The organization '{self.organization}' cannot be listed: {problem}") from None

    def administered_projects(self) -> int | None:
        """How many projects there are, which only an administrator's token can tell; None for any other."""
        try:
            return self._listing("/api/projects/search", "components", "projects").page(self._scope, 1, size=1).total
        except (LoginRejected, PermissionMissing):
            return None

    def projects(self) -> Iterator[Record]:
        """Every project: those of an administrator's listing, which has no cap, else those that the token may browse.

        :raises PullIncomplete: when there are more than can be listed, or fewer came than announced.
        """
        listing = self._listing("/api/projects/search", "components", "projects", window=None)
        query = self._scope
        try:
            first = listing.page(query, 1)
        except (LoginRejected, PermissionMissing):
            listing = self._listing("/api/components/search", "components", "projects that the token may browse")
            yield from listing.everything({"qualifiers": "TRK", **query})
        else:
            yield from listing.shown(query, first)

    def project(self, place: Place) -> Record:
        """``components/show`` of a project or branch.

        :raises NotThere: when it is gone.
        :raises ProjectForbidden: when the token may not browse it.
        """
        answer = self._get_of_project("/api/components/show", {"component": place.project, **_branch(place)})
        component = answer.get("component") if isinstance(answer, dict) else None
        if not isinstance(component, dict) or "key" not in component:
            raise AnswerInvalid(f"The answer about {place.words} lacks its component")
        return component

    def branches(self, project: str) -> Sequence[Record]:
        """All branches of a project, the main one among them."""
        answer = self._get_of_project("/api/project_branches/list", {"project": project})
        branches = answer.get("branches") if isinstance(answer, dict) else None
        if not isinstance(branches, list) or not all(isinstance(entry, dict) and entry.get("name") for entry in branches):
            raise AnswerInvalid(f"The branches of project '{project}' lack their list or a name")
        return branches

    def issues(self, place: Place, **narrowed: str) -> Iterator[Record]:
        """All issues that are open or dismissed, oldest first, each with its file's ``path``; closed ones are left out.

        :param narrowed: further filters, such as ``types="VULNERABILITY"``.
        :raises NotThere, ProjectForbidden: when the project is gone or hidden, perhaps since the first page.
        """
        dialect = self.dialect
        statuses = {"issueStatuses": _REPORTED_STATUSES} if dialect.has_issue_status else {"statuses": _REPORTED_STATUSES_OF_OLD}
        query = {dialect.component: place.project, **_branch(place), **self._scope, **statuses, **narrowed}
        listing = self._listing("/api/issues/search", "issues", f"issues of {place.words}", of_project=True)
        count = 0
        for issue in listing.by_creation(query, dialect.dimensions):
            count += 1
            yield issue
        if count == 0 or count >= PAGE:
            # a project that is unknown or hidden, or became so between two pages, is answered like one without issues
            self.project(place)

    def hotspots(self, place: Place) -> Iterator[Record]:
        """All security hotspots, reviewed or not.

        :raises NotThere, ProjectForbidden: when the project is gone or hidden.
        """
        listing = self._listing("/api/hotspots/search", "hotspots", f"hotspots of {place.words}", of_project=True)
        query = {self.dialect.hotspot_project: place.project, **_branch(place)}
        yield from listing.by_values(query, [("status", _REVIEW_STATES), ("sonarsourceSecurity", _HOTSPOT_CATEGORIES)])

    def rules_of(self, repository: str, types: str = "") -> Iterator[Record]:
        """The rules of one repository, with their texts."""
        listing = self._listing("/api/rules/search", "rules", f"rules of '{repository}'")
        query = {"repositories": repository, "include_external": "true", "f": self.dialect.rule_fields, **self._scope}
        yield from listing.everything({**query, "types": types} if types else query)

    def rule(self, key: str) -> Record | None:
        """One rule with its text; None when there is no such rule."""
        try:
            answer = self._get("/api/rules/show", {"key": key, **self._scope})
        except (NotThere, UpstreamRefused):
            return None
        rule = answer.get("rule") if isinstance(answer, dict) else None
        if not isinstance(rule, dict) or "key" not in rule:
            raise AnswerInvalid(f"The answer about rule '{key}' lacks its rule")
        return rule

    @cached_property
    def _login(self) -> Any:
        return self._bearer if self.dialect.takes_bearer else self._basic

    @property
    def _scope(self) -> dict[str, str]:
        return {"organization": self.organization} if self.cloud else {}

    def _get(self, path: str, query: Query | None = None) -> Any:
        try:
            answer = self._login.get(path, query)
        except LoginRejected:
            # some proxies in front of a Server drop the Bearer header; a token that was good before is revoked, though
            if self._proven or self.cloud or self._login is self._basic:
                raise
            answer = self._basic.get(path, query)
            self._login = self._basic
        self._proven = True
        return answer

    def _get_of_project(self, path: str, query: Query | None = None) -> Any:
        try:
            return self._get(path, query)
        except PermissionMissing as problem:
            raise ProjectForbidden(str(problem)) from None

    def _listing(self, path: str, field: str, what: str, *, of_project: bool = False, window: int | None = WINDOW) -> Listing:
        get = self._get_of_project if of_project else self._get
        return Listing(get, path, field, what, caps_total=self.cloud, window=window)

    def _validated(self, login: Any) -> bool:
        try:
            answer = login.get("/api/authentication/validate")
        except LoginRejected:
            return False
        except (AnswerInvalid, NotThere, UpstreamRefused, PermissionMissing) as problem:
            raise WrongService(f"What answers at {self.base} is not SonarQube: {problem}") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("valid"), bool):
            raise WrongService(f"What answers at {self.base} is not SonarQube")
        return bool(answer["valid"])


def _branch(place: Place) -> dict[str, str]:
    return {"branch": place.branch} if place.branch else {}


def _version(text: Any) -> tuple[int, int] | None:
    """``10.8.1.101195`` as (10, 8), ``25.3`` as (2025, 3); None for what is no version."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\b", text) if isinstance(text, str) else None
    if not found:
        return None
    major, minor = int(found[1]), int(found[2])
    return (2000 + major if _FIRST_YEAR_NUMBERED <= major < 100 else major), minor
