"""What a stand-in of Snyk holds: groups, organizations, projects with their issues, credentials, and how the service behaves."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from core import clock
from core.testing.faults import Faults

#: the end of all generated history; fixed, so that two processes hold the same world
TODAY = clock.from_iso("2026-11-13T17:20:00Z")
KINDS = {
    "empty": "lists nothing, as if that were all",
    "empty_page": "leaves the records of a page out, with its next link unchanged",
    "lost_next": "leaves the next link out, as if the page were the last",
    "self_next": "gives the page itself as the next one",
    "first_next": "leads from a page back to the first one",
    "foreign_next": "leads from a page to another host",
    "vanish": "removes the project ``what`` for good",
    "revoke": "revokes the credential of the request for good",
}


def made_id(*parts: object) -> str:
    """A UUID that is always the same for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, ("snyk", *parts)))))


@dataclass(frozen=True, slots=True)
class Ignore:
    """Why an issue is ignored; times are milliseconds."""

    reason: str = "Not reachable"
    kind: str = "wont-fix"
    by: str = "Security Team"
    created: int = TODAY
    expires: int | None = None


@dataclass(slots=True)
class Issue:
    """An issue of any type. ``id`` is made of its project and key when it is left empty.

    :ivar packages: names and versions that it was found in.
    :ivar fixes: which of the ``is_...`` flags of its coordinates are true.
    :ivar told: attributes that are told in place of the computed ones, for odd records; ``...`` leaves one out.
    """

    key: str
    type: str = "package_vulnerability"
    title: str = "Prototype Pollution"
    severity: str = "medium"
    status: str = "open"
    ignored: Ignore | None = None
    id: str = ""
    packages: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int | None = None
    resource: str = ""
    cwe: tuple[int, ...] = ()
    cve: tuple[str, ...] = ()
    score: float | None = None
    vector: str = ""
    fixes: frozenset[str] = frozenset()
    fixed_in: str = ""
    reachability: str = ""
    maturity: str = ""
    risk: int | None = None
    rule: str = ""
    key_asset: str = ""
    description: str = ""
    resolution: str = "fixed"
    created: int = TODAY
    updated: int = TODAY
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_current(self) -> bool:
        """Whether Snyk counts it: open and not ignored."""
        return self.status == "open" and self.ignored is None


@dataclass(frozen=True, slots=True)
class Target:
    """A repository or an image."""

    id: str
    name: str
    url: str = ""
    integration: str = "github"
    is_private: bool = True


@dataclass
class Project:
    """One manifest, image or code scan. Its issues are made when somebody first asks for them."""

    id: str
    name: str
    type: str = "npm"
    origin: str = "github"
    target: Target = Target("", "acme/app")
    target_file: str = ""
    target_reference: str = "main"
    status: str = "active"
    tags: tuple[tuple[str, str], ...] = ()
    criticality: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    lifecycle: tuple[str, ...] = ()
    created: int = TODAY - 700 * clock.DAY
    tested: int = TODAY
    make_issues: Callable[[], Iterable[Issue]] = field(default=tuple, repr=False)

    @cached_property
    def issues(self) -> list[Issue]:
        """In no order that means anything, as Snyk lists them; always the same one."""
        issues = list(self.make_issues())
        for issue in issues:
            issue.id = issue.id or made_id(self.id, issue.key)
        return sorted(issues, key=lambda issue: issue.id)

    @classmethod
    def holding(cls, key: str, *issues: Issue, **facts: Any) -> Self:
        """A project with exactly these issues; ``key`` is turned into its id and is its name unless another is given."""
        facts = {"name": key, "target": Target(made_id("target", key), key), **facts}
        return cls(made_id("project", key), make_issues=lambda: issues, **facts)

    def counts(self) -> dict[str, int]:
        """Current issues by severity."""
        found = Counter(issue.severity for issue in self.issues if issue.is_current)
        return {severity: found[severity] for severity in ("critical", "high", "medium", "low")}


@dataclass
class Organization:
    """An organization; ``group`` is the id of its group."""

    slug: str
    name: str = ""
    group: str = ""
    projects: dict[str, Project] = field(default_factory=dict)
    id: str = ""
    created: int = TODAY - 900 * clock.DAY

    def __post_init__(self) -> None:
        self.name = self.name or self.slug.title()
        self.id = self.id or made_id("organization", self.slug)

    @classmethod
    def of(cls, slug: str, *projects: Project, group: str = "") -> Self:
        return cls(slug, group=group, projects={project.id: project for project in projects})


@dataclass(frozen=True, slots=True)
class Token:
    """Who a credential stands for.

    :ivar organizations: ids of those that it sees; None: all.
    :ivar groups: ids of the groups that it sees; None: all.
    :ivar lacks: permissions that it does not have, such as ``org.project.read``; with an organization's id and a colon before
        it, only there.
    :ivar has_api: whether its plan includes the API.
    :ivar expires: milliseconds; None: never.
    """

    organizations: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    lacks: frozenset[str] = frozenset()
    kind: str = "service_account"
    name: str = "portal-sync"
    has_api: bool = True
    expires: int | None = None

    def sees(self, organization: Organization) -> bool:
        return self.organizations is None or organization.id in self.organizations

    def sees_group(self, group: str) -> bool:
        return self.groups is None or group in self.groups

    def may(self, permission: str, organization: str = "") -> bool:
        return permission not in self.lacks and f"{organization}:{permission}" not in self.lacks


class Throttle:
    """Refuses everything once there were too many requests, until nothing was asked for a while, as Snyk does.

    :param most: requests in ``seconds``.
    :param tells: whether a refusal says how long to wait.
    """

    def __init__(self, most: int, seconds: float = 60.0, *, tells: bool = False) -> None:
        self.most, self.seconds, self.tells = most, seconds, tells
        self._lock = threading.Lock()
        self._moments: list[float] = []
        self._is_shut = False

    def refuses(self) -> bool:
        """Count one request, and say whether it is refused."""
        now = time.monotonic()
        with self._lock:
            if self._moments and now - self._moments[-1] >= self.seconds:
                self._is_shut = False
            self._moments = [moment for moment in self._moments if now - moment < self.seconds] + [now]
            self._is_shut = self._is_shut or len(self._moments) > self.most
            return self._is_shut


@dataclass
class World:
    """One region of Snyk. Safe to change while it answers, followed by ``changed``.

    :ivar groups: names by id.
    :ivar clients: OAuth clients: their secret, and whom their tokens stand for, by client id.
    :ivar links: how next links are written: ``rest`` (``/rest/orgs/...``), ``bare`` (``/orgs/...``), ``absolute`` or ``object``.
    :ivar calls: how often each call was asked for, by its name such as ``orgs/issues``.
    """

    organizations: dict[str, Organization]
    groups: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    clients: dict[str, tuple[str, Token]] = field(default_factory=dict)
    links: str = "rest"
    oauth_seconds: float = 3600.0
    throttle: Throttle | None = None
    sunset: str = ""
    faults: Faults = field(default_factory=lambda: Faults(KINDS))
    calls: Counter[str] = field(default_factory=Counter)
    webhooks: dict[str, dict[str, str]] = field(default_factory=dict)
    deliveries: list[dict[str, object]] = field(default_factory=list)
    listings: dict[object, Sequence[Any]] = field(default_factory=dict, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, *organizations: Organization, groups: Mapping[str, str] | None = None) -> Self:
        """A small world for a test."""
        return cls({organization.id: organization for organization in organizations}, dict(groups or {}))

    def admit(self, token: Token | None = None, value: str = "") -> str:
        """A token that this Snyk accepts from now on; a fresh one unless ``value`` is given."""
        value = value or str(uuid.uuid4())
        self.tokens[value] = token or Token()
        return value

    def admit_client(self, token: Token | None = None) -> tuple[str, str]:
        """Id and secret of an OAuth client that this Snyk accepts from now on."""
        client, secret = str(uuid.uuid4()), uuid.uuid4().hex
        self.clients[client] = (secret, token or Token())
        return client, secret

    def revoke(self, value: str) -> None:
        self.tokens.pop(value, None)

    def remove(self, project: str) -> None:
        """The project disappears with all its issues."""
        for organization in self.organizations.values():
            organization.projects.pop(project, None)
        self.changed()

    def changed(self) -> None:
        """Say that projects or issues were changed, so that listings kept ready are made anew."""
        with self.lock:
            self.listings.clear()

    def count(self, call: str) -> None:
        with self.lock:
            self.calls[call] += 1

    def organization_by(self, name: str) -> Organization | None:
        """The organization with this id or slug."""
        return self.organizations.get(name) or next((one for one in self.organizations.values() if one.slug == name), None)

    def find_project(self, key: str) -> tuple[Organization, Project] | None:
        """A project and its organization."""
        for organization in self.organizations.values():
            if key in organization.projects:
                return organization, organization.projects[key]
        return None
