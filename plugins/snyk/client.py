"""Snyk's REST API, and the one call of the older v1 that has no successor: paths, versions, paging. Has never heard of a finding."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from core.hooks.failures import (
    AnswerInvalid,
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    PullIncomplete,
    UpstreamRefused,
    WrongService,
)
from plugins.snyk.login import Login
from plugins.snyk.pages import Record, read_listing
from plugins.snyk.places import Organization

VERSION = "2024-10-15"  # every call names the contract that it was written for
_FEWEST = "10"  # records that a page may be asked for
_PASSES = 2
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PROJECT_FACTS = {"expand": "target", "meta.latest_issue_counts": "true"}


class OrganizationForbidden(PermissionMissing):
    """The credential may not read this one organization; others can still be pulled."""

    asset_only = True


class SnykClient:
    """One connection's view of Snyk. It makes no request before it is asked something.

    :param base: the API's address, without a path.
    """

    def __init__(self, login: Login, base: str) -> None:
        self.base = base
        self.login = login

    def whoami(self) -> Record:
        """The user or service account that the credential stands for.

        :raises LoginRejected: when the credential is not accepted.
        :raises WrongService: when what answers is not Snyk's API.
        """
        try:
            return self._one("/rest/self", {}, "the account")
        except (AnswerInvalid, NotThere, UpstreamRefused) as problem:
            raise WrongService(f"What answers at {self.base} is not Snyk's API: {problem}") from None

    def visible_organizations(self) -> Iterator[Record]:
        """Every organization that the credential sees."""
        return self._listing("/rest/orgs", {}, "the visible organizations")

    def organizations_of(self, group: str) -> Iterator[Record]:
        """Every organization of a group.

        :raises OrganizationUnknown: when there is no such group, or it is hidden.
        :raises PermissionMissing: when its organizations may not be listed.
        """
        try:
            yield from self._listing(f"/rest/groups/{_quoted(group)}/orgs", {}, f"the organizations of group '{group}'")
        except (NotThere, UpstreamRefused):
            raise OrganizationUnknown(f"{self.base} has no group '{group}' that this credential can see") from None
        except PermissionMissing:
            raise PermissionMissing(f"The credential may not list the organizations of group '{group}': give it the permissions "
                                    "group.read and group.org.list, or name the organizations in place of the group") from None

    def organization(self, name: str) -> Record:
        """The organization with this id or slug.

        :raises OrganizationUnknown: when there is none, or it is hidden.
        :raises PermissionMissing: when it may not be read.
        """
        try:
            if _UUID.fullmatch(name):
                return self._one(f"/rest/orgs/{name}", {}, f"organization '{name}'")
            found = self._data(self._get("/rest/orgs", {"slug": name, "limit": _FEWEST}), f"organization '{name}'")
        except (NotThere, UpstreamRefused):
            found = []
        except PermissionMissing as problem:
            raise PermissionMissing(f"The credential may not read organization '{name}': it needs the permission org.read there, and "
                                    f"a plan with access to the API ({problem})") from None
        for record in found:
            if (record.get("attributes") or {}).get("slug") == name:
                return record
        raise OrganizationUnknown(f"{self.base} has no organization '{name}' that this credential can see")

    def project_count(self, organization: Organization) -> int | None:
        """How many projects an organization has; None when Snyk does not tell.

        :raises OrganizationForbidden, OrganizationUnknown: when its projects may not be seen.
        """
        with self._of(organization):
            try:
                answer = self._get(_projects_path(organization), {"meta_count": "only"})
            except (UpstreamRefused, AnswerInvalid):
                return None
        meta = answer.get("meta") if isinstance(answer, dict) else None
        count = meta.get("count") if isinstance(meta, dict) else None
        return count if isinstance(count, int) else None

    def projects(self, organization: Organization) -> list[Record]:
        """All projects of an organization with their targets and counts of issues, as many as Snyk says there are.

        :raises PullIncomplete: when fewer came, twice.
        :raises OrganizationForbidden, OrganizationUnknown: when its projects may not be seen.
        """
        what = f"the projects of organization '{organization.slug}'"
        for _ in range(_PASSES):
            counted = self.project_count(organization)
            with self._of(organization):
                records = list(self._listing(_projects_path(organization), _PROJECT_FACTS, what))
            if counted is None or len(records) >= counted:
                return records
        raise PullIncomplete(f"{what}: {len(records)} came of {counted} that there are")

    def project(self, organization: Organization, key: str) -> Record:
        """One project, told like those of the listing.

        :raises NotThere: when this organization has no such project.
        """
        with self._of(organization, whole=False):
            return self._one(f"{_projects_path(organization)}/{_quoted(key)}", _PROJECT_FACTS, f"project '{key}'")

    def home_of(self, project: str, group: str) -> str:
        """The id of the organization that a project of a group belongs to, as its issues tell; empty when they do not."""
        query = {"scan_item.id": project, "scan_item.type": "project", "limit": _FEWEST}
        try:
            found = self._data(self._get(f"/rest/groups/{_quoted(group)}/issues", query), "the issues of a group")
            return str(found[0]["relationships"]["organization"]["data"]["id"]) if found else ""
        except (NotThere, PermissionMissing, UpstreamRefused, AnswerInvalid, KeyError, TypeError):
            return ""

    def issues(self, organization: Organization, project: str = "", *, status: str = "open", kind: str = "",
               is_whole: Callable[[int], bool] = lambda came: True) -> Iterator[Any]:
        """The issues of an organization, or of one project of it; those that are ignored among them.

        :param kind: issues of this type alone.
        :param is_whole: see ``read_listing``.
        """
        query = {"status": status, "type": kind, "scan_item.id": project, "scan_item.type": "project" if project else ""}
        what = f"the issues of project '{project}'" if project else f"the issues of organization '{organization.slug}'"
        with self._of(organization, whole=not project):
            yield from self._listing(f"/rest/orgs/{_quoted(organization.id)}/issues",
                                     {name: value for name, value in query.items() if value}, what, is_whole)

    def ignores(self, organization: Organization, project: str) -> Mapping[str, Any] | None:
        """Why issues of a project are ignored, by the issue's key; None when the credential may not know."""
        try:
            with self._of(organization, whole=False):
                answer = self.login.get(f"/v1/org/{_quoted(organization.id)}/project/{_quoted(project)}/ignores")
        except (NotThere, OrganizationForbidden, UpstreamRefused, AnswerInvalid):
            return None
        return answer if isinstance(answer, dict) else None

    @contextmanager
    def _of(self, organization: Organization, *, whole: bool = True) -> Iterator[None]:
        """Names a refusal as that of one organization, which leaves the others alone.

        :param whole: it is the organization itself that a 404 would be about.
        """
        where = f"organization '{organization.slug}'"
        try:
            yield
        except PermissionMissing as problem:
            raise OrganizationForbidden(f"The credential may not read {where}, or lacks a permission there: {problem}") from None
        except LoginRejected as problem:
            if not self._is_accepted():
                raise
            raise OrganizationForbidden(f"The credential is refused by {where} alone: {problem}") from None
        except NotThere:
            if whole:
                raise OrganizationUnknown(f"{self.base} has no {where} that this credential can see") from None
            raise

    def _is_accepted(self) -> bool:
        try:
            self.whoami()
        except LoginRejected:
            return False
        except PermissionMissing:
            pass  # known, but not allowed to ask who it is
        return True

    def _listing(self, path: str, query: Mapping[str, str], what: str,
                 is_whole: Callable[[int], bool] = lambda came: True) -> Iterator[Any]:
        return read_listing(self.login.get, self.base, path, {"version": VERSION, **query}, what, is_whole)

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        return self.login.get(f"{path}?{urlencode({'version': VERSION, **query})}")

    def _one(self, path: str, query: Mapping[str, str], what: str) -> Record:
        record = self._get(path, query)
        record = record.get("data") if isinstance(record, dict) else None
        if not isinstance(record, dict) or not isinstance(record.get("id"), str) or not isinstance(record.get("attributes"), dict):
            raise AnswerInvalid(f"The answer about {what} lacks its record")
        return record

    @staticmethod
    def _data(answer: Any, what: str) -> list[Any]:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list):
            raise AnswerInvalid(f"The answer about {what} lacks its list")
        return data


def _projects_path(organization: Organization) -> str:
    return f"/rest/orgs/{_quoted(organization.id)}/projects"


def _quoted(part: str) -> str:
    return quote(part, safe="")
