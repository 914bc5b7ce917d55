"""What all calls of the stand-in share: who asks, reading parameters, refusing them in the service's words, paging, dates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from werkzeug.datastructures import MultiDict

from core import clock
from plugins.checkmarx.upstream.world import Credential, Project, Scan, Tenant, World

_Item = TypeVar("_Item")


class Refused(Exception):
    """An answer with an error status; an empty message means an empty body."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who makes it, with which parameters, and what is wrong with this answer on purpose."""

    world: World
    credential: Credential
    args: MultiDict[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    struck: frozenset[str] = frozenset()

    @property
    def tenant(self) -> Tenant:
        return self.world.tenants[self.credential.tenant]

    def words(self, name: str) -> list[str]:
        """The values of a parameter that is repeated, or joined with commas."""
        return [word for value in self.args.getlist(name) for word in value.split(",") if word]

    def number(self, name: str, default: int, least: int = 0, most: int | None = None) -> int:
        try:
            value = int(self.args.get(name) or default)
        except ValueError:
            raise Refused(400, f"{name} must be a number") from None
        if value < least or (most is not None and value > most):
            raise Refused(400, f"{name} must be between {least} and {most}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.args.get(name)
        if value not in (None, "", "true", "false"):
            raise Refused(400, f"{name} must be true or false")
        return default if not value else value == "true"

    def need(self, name: str) -> str:
        value = self.args.get(name)
        if not value:
            raise Refused(400, f"{name} is required")
        return value

    def visible(self) -> list[Project]:
        """The projects that the credential sees, the newest first."""
        sees = self.credential.sees
        found = [project for project in self.tenant.projects.values() if sees is None or project.id in sees]
        return sorted(found, key=lambda project: (-project.created, project.id))

    def project(self, key: str) -> Project:
        for project in self.visible():
            if project.id == key:
                return project
        raise Refused(404, "project not found")

    def scan(self, key: str) -> tuple[Project, Scan]:
        for project in self.visible():
            for scan in project.scans:
                if scan.id == key:
                    return project, scan
        raise Refused(404, "scan not found")

    def results_of(self, key: str) -> tuple[Project, Scan]:
        """A scan of which something is published."""
        project, scan = self.scan(key)
        if not scan.is_published or "unpublished" in self.struck:
            raise Refused(404, "no results found for scan")
        return project, scan

    def items(self, found: Sequence[_Item], default: int = 20, most: int | None = None) -> Sequence[_Item]:
        """The part that ``offset`` and ``limit`` ask for, counted in items."""
        offset, limit = self.number("offset", 0), self.number("limit", default, 0, most)
        return found[self.drifted(offset):offset + limit]

    def window(self, found: Sequence[_Item]) -> Sequence[_Item]:
        """The part between ``from`` and ``to``."""
        start, end = self.number("from", 0), self.number("to", 10)
        return found[self.drifted(start):end + 1 if self.world.closed_windows else end]

    def numbered(self, found: Sequence[_Item], default: int, most: int) -> Sequence[_Item]:
        """The part that ``page``, counted from 1, and ``per_page`` ask for."""
        page, size = self.number("page", 1, 1), self.number("per_page", default, 1, most)
        start = (page - 1) * size
        return found[self.drifted(start):start + size]

    def drifted(self, start: int) -> int:
        return start + 1 if start and "drift" in self.struck else start


def date(moment: int) -> str:
    """``2026-03-02T17:05:10.880412Z``: with six digits after the point unless they are zero."""
    told = datetime.fromtimestamp(moment / clock.SECOND, UTC)
    return told.isoformat(timespec="microseconds" if moment % clock.SECOND else "seconds").replace("+00:00", "Z")


def null_if_empty(found: Sequence[_Item]) -> list[_Item] | None:
    """Lists are often null when there is nothing in them."""
    return list(found) or None
