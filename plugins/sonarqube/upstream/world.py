"""What a stand-in of SonarQube holds: rules, projects with their findings, tokens, and how the service behaves."""

import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Self

from core import clock
from core.testing.faults import Faults

#: the end of all generated history; fixed, so that two processes hold the same world
TODAY = clock.from_iso("2026-11-13T17:20:00Z")
#: what it can do wrong beside what any service can
KINDS = {
    "empty_page": "leaves the list of the answer empty, with the total unchanged",
    "drift": "lets the pages after the first begin one record later, as when an issue was closed meanwhile and another one opened",
    "no_projects": "lists no project at all",
    "vanish": "removes the project ``what`` for good",
    "revoke": "revokes the token of the request for good",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``impacts`` are pairs of quality and severity; ``category`` is set for hotspots alone."""

    key: str
    name: str
    type: str
    severity: str = "MAJOR"
    impacts: tuple[tuple[str, str], ...] = ()
    lang: str = ""
    lang_name: str = ""
    message: str = ""
    sections: tuple[tuple[str, str], ...] = ()
    cwe: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    category: str = ""
    effort: int = 10
    attribute: str = "TRUSTWORTHY"


@dataclass(slots=True)
class Issue:
    """A bug, code smell or vulnerability. ``status`` is the modern word (``issueStatus``); times are milliseconds."""

    key: str
    rule: str
    type: str = "VULNERABILITY"
    severity: str = "MAJOR"
    impacts: tuple[tuple[str, str], ...] = ()
    status: str = "OPEN"
    path: str = ""
    line: int | None = None
    message: str = ""
    hash: str = ""
    created: int = TODAY
    updated: int = TODAY
    tags: tuple[str, ...] = ()
    author: str = ""
    assignee: str = ""
    effort: int = 10
    flow: tuple[tuple[str, int, str], ...] = ()


@dataclass(slots=True)
class Hotspot:
    """A security hotspot; ``status`` and ``resolution`` are those of its review."""

    key: str
    rule: str
    category: str = "others"
    probability: str = "MEDIUM"
    status: str = "TO_REVIEW"
    resolution: str = ""
    path: str = ""
    line: int | None = None
    message: str = ""
    created: int = TODAY
    updated: int = TODAY
    author: str = ""


@dataclass
class Branch:
    """A branch and its findings, which are made when somebody first asks for them."""

    name: str
    is_main: bool = False
    analysed: int | None = TODAY
    gate: str = "OK"
    make_issues: Callable[[], Iterable[Issue]] = field(default=tuple, repr=False)
    make_hotspots: Callable[[], Iterable[Hotspot]] = field(default=tuple, repr=False)

    @cached_property
    def issues(self) -> list[Issue]:
        """In the order of their creation."""
        return sorted(self.make_issues(), key=lambda issue: (issue.created, issue.key))

    @cached_property
    def hotspots(self) -> list[Hotspot]:
        """The likeliest first, as SonarQube lists them."""
        likelihood = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}
        return sorted(self.make_hotspots(), key=lambda hotspot: (likelihood.get(hotspot.probability, 3), hotspot.key))


@dataclass
class Project:
    """A project of one organization; on a Server the organization only says which tokens may browse it."""

    key: str
    name: str
    organization: str = ""
    branches: list[Branch] = field(default_factory=lambda: [Branch("main", is_main=True)])

    @classmethod
    def holding(cls, key: str, issues: Sequence[Issue] = (), hotspots: Sequence[Hotspot] = (), *, name: str = "", organization: str = "",
                **branches: Sequence[Issue]) -> Self:
        """A project with exactly these findings on its main branch, and these issues on further branches by name."""
        main = Branch("main", is_main=True, make_issues=lambda: issues, make_hotspots=lambda: hotspots)
        others = [Branch(name, make_issues=partial(tuple, found)) for name, found in branches.items()]
        return cls(key, name or key, organization, [main, *others])

    @property
    def main(self) -> Branch:
        return next(branch for branch in self.branches if branch.is_main)

    def branch(self, name: str) -> Branch | None:
        """The branch by that name; the main one when the name is empty."""
        return self.main if not name else next((branch for branch in self.branches if branch.name == name), None)


@dataclass(frozen=True, slots=True)
class Token:
    """Who a token stands for.

    :ivar organization: sees only projects of this organization; all when empty.
    :ivar projects: may browse only these; None: all of the organization.
    :ivar admin: may list projects as an administrator, also those that it may not browse.
    :ivar analysis: an analysis token, which few calls accept.
    :ivar expires: milliseconds; None: never.
    """

    organization: str = ""
    projects: frozenset[str] | None = None
    admin: bool = False
    analysis: bool = False
    expires: int | None = None

    def may_browse(self, project: Project) -> bool:
        return self.may_list(project) and (self.projects is None or project.key in self.projects)

    def may_list(self, project: Project) -> bool:
        return not self.organization or project.organization == self.organization


@dataclass(frozen=True, slots=True)
class Flavour:
    """Which SonarQube the stand-in is.

    :ivar mode: ``MQR`` or ``STANDARD_EXPERIENCE``; told by Servers since 10.8.
    :ivar branches: False makes it a Community Build, which knows the main branch alone.
    """

    cloud: bool = False
    version: str = "2025.4.2.112048"
    mode: str = "MQR"
    branches: bool = True
    status: str = "UP"

    def since(self, major: int, minor: int) -> bool:
        """Whether it behaves like this version or a newer one; Cloud always does."""
        if self.cloud:
            return True
        found = re.match(r"(\d+)\.(\d+)", self.version)
        have = (int(found[1]), int(found[2])) if found else (0, 0)
        return ((2000 + have[0], have[1]) if 24 <= have[0] < 100 else have) >= (major, minor)


@dataclass
class World:
    """One SonarQube. Safe to change while it answers: between requests a test may remove a project or add a fault.

    :ivar calls: how often each ``controller/action`` was asked for.
    :ivar webhooks: registered receivers, by key.
    """

    projects: dict[str, Project]
    rules: dict[str, Rule]
    flavour: Flavour = Flavour()
    tokens: dict[str, Token] = field(default_factory=dict)
    faults: Faults = field(default_factory=lambda: Faults(KINDS))
    calls: Counter[str] = field(default_factory=Counter)
    webhooks: dict[str, dict[str, str]] = field(default_factory=dict)
    deliveries: list[dict[str, object]] = field(default_factory=list)
    revision: int = 0  # grows with every change to findings, so that listings kept ready are made anew
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, *projects: Project, rules: Iterable[Rule] = (), flavour: Flavour | None = None) -> Self:
        """A small world for a test."""
        return cls({project.key: project for project in projects}, {rule.key: rule for rule in rules}, flavour or Flavour())

    def admit(self, token: Token | None = None, value: str = "") -> str:
        """A token that this SonarQube accepts from now on; a fresh one unless ``value`` is given."""
        value = value or f"squ_{secrets.token_hex(20)}"
        self.tokens[value] = token or Token()
        return value

    def revoke(self, value: str) -> None:
        self.tokens.pop(value, None)

    def remove(self, project: str) -> None:
        """The project disappears with all it has."""
        self.projects.pop(project, None)
        self.changed()

    def changed(self) -> None:
        """Say that findings or projects were changed."""
        with self.lock:
            self.revision += 1

    def count(self, action: str) -> None:
        with self.lock:
            self.calls[action] += 1

    @property
    def organizations(self) -> list[str]:
        return sorted({project.organization for project in self.projects.values()} - {""})
