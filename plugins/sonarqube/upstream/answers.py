"""What all calls of the stand-in share: reading parameters, refusing them in SonarQube's words, paging, dates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from core import clock
from plugins.sonarqube.upstream.world import TODAY, Branch, Project, Token, World

WINDOW = 10_000
_LARGEST_PAGE = 500
_Item = TypeVar("_Item")


class Refused(Exception):
    """An answer with an error status and SonarQube's body for it."""

    def __init__(self, status: int, *messages: str) -> None:
        super().__init__(*messages)
        self.status = status
        self.messages = messages


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who makes it, with which parameters, and what is wrong with this answer on purpose."""

    world: World
    token: Token
    args: Mapping[str, str]
    shifted: bool = False
    no_projects: bool = False

    @property
    def cloud(self) -> bool:
        return self.world.flavour.cloud

    def since(self, major: int, minor: int) -> bool:
        return self.world.flavour.since(major, minor)

    def need(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.args.get(name)
        if not value:
            raise Refused(400, f"The '{name}' parameter is missing")
        return value

    def words(self, name: str, allowed: Sequence[str] = ()) -> list[str]:
        """A comma-separated parameter; refused when a value is none of ``allowed``."""
        values = [value for value in self.args.get(name, "").split(",") if value]
        for value in values:
            if allowed and value not in allowed:
                raise Refused(400, f"Value of parameter '{name}' ({value}) must be one of: [{', '.join(allowed)}]")
        return values

    def flag(self, name: str) -> bool | None:
        value = self.args.get(name)
        if value is None or value == "":
            return None
        if value not in ("true", "false", "yes", "no"):
            raise Refused(400, f"Value of parameter '{name}' ({value}) must be one of: [true, false, yes, no]")
        return value in ("true", "yes")

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.args.get(name) or default)
        except ValueError:
            raise Refused(400, f"The '{name}' parameter cannot be parsed as an integer value: {self.args[name]}") from None

    def organization(self, *, needed: bool = True) -> str:
        """On Cloud, the organization named, which must exist and be the token's; empty on a Server, which ignores it."""
        if not self.cloud:
            return ""
        key = self.need("organization") if needed else self.args.get("organization", "")
        if key and key not in self.world.organizations:
            raise Refused(404, f"No organization with key '{key}'")
        if key and self.token.organization not in ("", key):
            raise Refused(403, "Insufficient privileges")
        return key

    def listable(self) -> list[Project]:
        """The projects that an administrator with this token sees, by name."""
        organization = self.args.get("organization", "") if self.cloud else ""
        found = [project for project in self.world.projects.values()
                 if self.token.may_list(project) and organization in ("", project.organization)]
        return [] if self.no_projects else sorted(found, key=lambda project: (project.name.lower(), project.key))

    def browsable(self) -> list[Project]:
        return [project for project in self.listable() if self.token.may_browse(project)]

    def project(self, name: str = "component") -> Project:
        """The project that a parameter names: 404 when there is none, 403 when the token may not browse it."""
        key = self.need(name)
        project = self.world.projects.get(key)
        if project is None or (self.cloud and not self.token.may_list(project)):
            raise Refused(404, f"Component key '{key}' not found")
        if not self.token.may_browse(project):
            raise Refused(403, "Insufficient privileges")
        return project

    def branch(self, project: Project) -> Branch:
        """The branch that ``branch`` names, else the main one."""
        name = self.args.get("branch", "") if self.world.flavour.branches else ""
        branch = project.branch(name)
        if branch is None:
            raise Refused(404, f"Component '{project.key}' on branch '{name}' not found")
        return branch

    def page(self, items: Sequence[_Item], *, windowed: bool = True) -> tuple[Sequence[_Item], dict[str, int]]:
        """The page that ``p`` and ``ps`` ask for, with its ``paging`` object."""
        number, size = self.number("p", 1), self.number("ps", 100)
        if size > _LARGEST_PAGE:
            raise Refused(400, f"'ps' value ({size}) must be less than {_LARGEST_PAGE}")
        if size < 1 or number < 1:
            raise Refused(400, f"'{'p' if number < 1 else 'ps'}' value ({min(number, size)}) must be greater than 0")
        if windowed and number * size > WINDOW:
            raise Refused(400, f"Can return only the first {WINDOW} results. {number * size}th result asked.")
        start = (number - 1) * size + (1 if self.shifted and number > 1 else 0)
        total = min(len(items), WINDOW) if windowed and self.cloud else len(items)
        return items[start:start + size], {"pageIndex": number, "pageSize": size, "total": total}


def date(moment: int) -> str:
    """``2031-01-05T10:02:44+0000``."""
    return datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def moment_of(text: str, name: str) -> int:
    """Milliseconds of a date or datetime given as a parameter."""
    try:
        return clock.from_iso(text)
    except ValueError:
        raise Refused(400, f"Date '{text}' cannot be parsed as either a date or date+time") from None


def present() -> int:
    """Now, but never before the end of the generated history."""
    return max(clock.now(), TODAY)


def component(project: Project, path: str = "", *, organization: bool = False) -> dict[str, Any]:
    """An entry of ``components``: a file of the project, or the project itself."""
    named = {"organization": project.organization} if organization else {}
    if not path:
        return {"key": project.key, "enabled": True, "qualifier": "TRK", "name": project.name, "longName": project.name, **named}
    return {"key": f"{project.key}:{path}", "enabled": True, "qualifier": "FIL", "name": path.rpartition("/")[2], "longName": path,
            "path": path, **named}
