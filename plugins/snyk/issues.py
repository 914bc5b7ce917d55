"""Issues by project, and why some of them are ignored, with as few requests as there is a way."""

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

from core.hooks.failures import ConnectorError
from plugins.snyk.client import OrganizationForbidden, SnykClient
from plugins.snyk.mapper import is_ignored, reason_of
from plugins.snyk.pages import Record
from plugins.snyk.places import Organization
from plugins.snyk.shelf import Shelf

log = logging.getLogger(__name__)


class Issues:
    """A pull of everything reads each organization once and gives each project its part of it. When that does not work, its
    projects are asked for one by one, so that one bad page costs one project and not all."""

    def __init__(self, client: SnykClient, with_resolved: bool) -> None:
        self._client, self._with_resolved = client, with_resolved
        self._expected: dict[str, int] = {}
        self._one_by_one: set[str] = set()
        self._forbidden: dict[str, OrganizationForbidden] = {}
        self._shelf: tuple[str, Shelf] | None = None

    def expect(self, organization: Organization, open_issues: int) -> None:
        """Say that all projects of an organization are going to be asked for, and how many open issues Snyk counts in them."""
        self._expected[organization.id] = open_issues

    def of(self, organization: Organization, project: str, counts: Mapping[str, int]) -> Iterator[Any]:
        """The issues of one project.

        :param counts: its open issues by severity, as Snyk counts them.
        """
        if organization.id in self._forbidden:
            raise self._forbidden[organization.id]
        if organization.id in self._expected and organization.id not in self._one_by_one:
            shelf = self._shelved(organization)
            if shelf is not None:
                return shelf.of(project)
        return self._of_project(organization, project, sum(counts.values()))

    def _shelved(self, organization: Organization) -> Shelf | None:
        """All issues of the organization; None when they could not be read at one go."""
        if self._shelf is None or self._shelf[0] != organization.id:
            self._shelf = None  # one at a time, since an organization may be large
            try:
                self._shelf = organization.id, Shelf(self._read(organization, "", self._expected[organization.id]))
            except OrganizationForbidden as problem:
                self._forbidden[organization.id] = problem
                raise
            except ConnectorError as problem:
                if not problem.asset_only:
                    raise
                log.warning("organization %s: asking project by project: %s", organization.slug, problem)
                self._one_by_one.add(organization.id)
                return None
        return self._shelf[1]

    def _of_project(self, organization: Organization, project: str, counted: int) -> Iterator[Any]:
        none = True
        for issue in self._read(organization, project, counted):
            none = False
            yield issue
        if none:
            self._client.project(organization, project)  # a project that is gone is answered like one without issues

    def _read(self, organization: Organization, project: str, counted: int) -> Iterator[Any]:
        still_open = self._client.issues(organization, project, is_whole=lambda came: came >= counted)
        return chain(still_open, self._client.issues(organization, project, status="resolved") if self._with_resolved else ())


class Ignores:
    """Why issues of one project are ignored; asked for when the first ignored one is met, if at all."""

    def __init__(self, client: SnykClient, organization: Organization, project: str, *, asked: bool) -> None:
        self._client, self._organization, self._project, self._asked = client, organization, project, asked

    def reason(self, issue: Record) -> Mapping[str, Any] | None:
        """Why this one is, as v1 tells it; None when it is not, or nobody knows."""
        return reason_of(self._all, issue) if is_ignored(issue) else None

    @cached_property
    def _all(self) -> Mapping[str, Any]:
        return (self._client.ignores(self._organization, self._project) if self._asked else None) or {}
