"""What a stand-in of Checkmarx One holds: tenants with their projects, scans, results and DAST environments, and who may sign in."""

import base64
import hashlib
import json
import threading
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
#: what it can do wrong beside what any service can
KINDS = {
    "empty_page": "leaves the list of the answer empty, with the total unchanged",
    "drift": "lets the pages after the first begin one record later, as when one went and another one came meanwhile",
    "null": "answers null in place of the list, and a total of 0",
    "unpublished": "knows no results of any scan yet, as shortly after a scan's end",
    "vanish": "removes the project ``what`` for good",
    "expire": "ends all access tokens at once; the credentials stay good",
    "revoke": "revokes all credentials and tokens for good",
}
ALL_ENGINES = ("sast", "sca", "kics", "containers", "microengines", "apisec")
FINAL = ("Completed", "Partial")


def stable_id(*parts: object) -> str:
    """A UUID that is always the same for the same parts."""
    return str(uuid.UUID(hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()))


@dataclass(slots=True)
class Result:
    """A result of an engine that ``/api/results`` shows; ``data`` and ``more`` are the parts that differ by type."""

    type: str
    id: str
    severity: str = "HIGH"
    similarity: str = ""
    alternate: str = ""
    state: str = "TO_VERIFY"
    status: str = "RECURRENT"
    first_found: int = TODAY
    first_scan: str = ""
    description: str = ""
    comment: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Risk:
    """What API security found; ``sast`` is the hash of the SAST result that it is a second view of."""

    id: str
    name: str
    severity: str = "high"
    method: str = "GET"
    url: str = "/"
    origin: str = "code"
    sast: str = ""
    state: str = "to_verify"
    status: str = "new"
    found: int = TODAY


@dataclass
class Scan:
    """A scan of a project; its results are made when somebody first asks for them.

    :ivar engines: the status of each engine that took part.
    :ivar fixed: how many results of the scan before are fixed in it, by type and severity; only its sums tell.
    """

    id: str
    branch: str = "main"
    created: int = TODAY
    status: str = "Completed"
    engines: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(ALL_ENGINES, "Completed"))
    make_results: Callable[[], Iterable[Result]] = field(default=tuple, repr=False)
    make_risks: Callable[[], Iterable[Risk]] = field(default=tuple, repr=False)
    fixed: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def holding(cls, scan: str, *found: Result | Risk, **fields: Any) -> Self:
        """A scan with exactly these results and risks."""
        return cls(scan, make_results=lambda: [entry for entry in found if isinstance(entry, Result)],
                   make_risks=lambda: [entry for entry in found if isinstance(entry, Risk)], **fields)

    @cached_property
    def results(self) -> list[Result]:
        """New ones first, then by severity, as the service lists them."""
        ranks = {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 2, "LOW": 3, "INFO": 4}
        return sorted(self.make_results(), key=lambda result: (result.status, ranks.get(result.severity, 5)))

    @cached_property
    def risks(self) -> list[Risk]:
        return list(self.make_risks())

    @property
    def is_published(self) -> bool:
        return self.status in FINAL


@dataclass
class Project:
    """A project and its scans."""

    id: str
    name: str
    main_branch: str = "main"
    scans: list[Scan] = field(default_factory=list)
    tags: Mapping[str, str] = field(default_factory=dict)
    groups: Sequence[str] = ()
    repository: str = ""
    criticality: int = 3
    created: int = TODAY - 300 * clock.DAY

    @property
    def branches(self) -> list[str]:
        return sorted({scan.branch for scan in self.scans if scan.branch})


@dataclass(slots=True)
class Attack:
    """A result of DAST."""

    id: str
    name: str
    severity: str = "HIGH"
    state: str = "To Verify"
    status: str = "New"
    url: str = ""
    method: str = "GET"
    path: str = "/"
    cwe: str = "79"
    owasp: Sequence[str] = ("A03:2021",)
    description: str = ""
    solution: str = ""


@dataclass
class DastScan:
    """A scan of a DAST environment."""

    id: str
    status: str = "Completed"
    updated: int = TODAY
    attacks: list[Attack] = field(default_factory=list)


@dataclass
class Environment:
    """A DAST environment; its scans from the oldest to the newest."""

    id: str
    name: str
    url: str
    scans: list[DastScan] = field(default_factory=list)
    projects: Sequence[str] = ()
    tags: Sequence[str] = ()

    @property
    def last(self) -> DastScan | None:
        return self.scans[-1] if self.scans else None


@dataclass(frozen=True, slots=True)
class Credential:
    """An OAuth client or the owner of an API key.

    :ivar sees: ids of the projects that it sees; None: all of the tenant.
    :ivar forbidden: beginnings of paths that its role, or the tenant's licence, does not reach.
    :ivar expires: milliseconds; None: never.
    """

    tenant: str
    name: str = "findings-portal"
    secret: str = ""
    sees: frozenset[str] | None = None
    forbidden: tuple[str, ...] = ()
    expires: int | None = None


@dataclass
class Tenant:
    """One customer of Checkmarx One."""

    name: str
    projects: dict[str, Project] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    custom_states: Sequence[str] = ()
    has_dast: bool = True
    webhooks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return stable_id("tenant", self.name)

    def project_of(self, scan: str) -> Project | None:
        return next((project for project in self.projects.values() if any(known.id == scan for known in project.scans)), None)

    def scan(self, scan: str) -> Scan | None:
        return next((known for project in self.projects.values() for known in project.scans if known.id == scan), None)


@dataclass
class World:
    """One region of Checkmarx One. Safe to change while it answers: between requests a test may remove a project or add a fault.

    :ivar clients: OAuth clients by tenant and client id.
    :ivar api_keys: the owners of API keys.
    :ivar access: to whom each access token was given, and until when (milliseconds).
    :ivar expires_in: life of access tokens in seconds.
    :ivar page_cap: the most results that a page ever has, whatever is asked for; None: as documented.
    :ivar only_main_branch: a project with a main branch is told by scans of that alone, where the main branch is asked for.
    :ivar closed_windows: the end of a window of DAST listings belongs to it.
    :ivar calls: how often each path below ``/api/`` was asked for, with ``{}`` for ids; ``token`` for the token service.
    """

    tenants: dict[str, Tenant]
    clients: dict[tuple[str, str], Credential] = field(default_factory=dict)
    api_keys: dict[str, Credential] = field(default_factory=dict)
    access: dict[str, tuple[Credential, int]] = field(default_factory=dict)
    expires_in: int = 1800
    page_cap: int | None = None
    only_main_branch: bool = False
    closed_windows: bool = False
    faults: Faults = field(default_factory=lambda: Faults(KINDS))
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, *projects: Project, environments: Iterable[Environment] = (), tenant: str = "acme", has_dast: bool = True) -> Self:
        """A small world of one tenant for a test."""
        return cls({tenant: Tenant(tenant, {project.id: project for project in projects},
                                   {environment.id: environment for environment in environments}, has_dast=has_dast)})

    def admit_client(self, credential: Credential) -> None:
        """Let an OAuth client in from now on; its name is the client id."""
        self.clients[credential.tenant, credential.name] = credential

    def admit_key(self, credential: Credential, identity: str) -> str:
        """An API key for this credential from now on; as the real ones it is a token that names tenant and token service.

        :param identity: address of the token service.
        """
        issuer = f"{identity}/auth/realms/{credential.tenant}"
        claims: dict[str, Any] = {"iss": issuer, "aud": issuer, "azp": "ast-app", "typ": "Offline",
                                  "jti": stable_id("key", len(self.api_keys), issuer)}
        if credential.expires is not None:
            claims["exp"] = credential.expires // clock.SECOND
        key = make_jwt(claims)
        self.api_keys[key] = credential
        return key

    def revoke(self) -> None:
        """No credential and no token is good any more."""
        with self.lock:
            self.clients.clear()
            self.api_keys.clear()
            self.access.clear()

    def remove(self, project: str) -> None:
        """The project disappears with all it has."""
        for tenant in self.tenants.values():
            tenant.projects.pop(project, None)

    def count(self, call: str) -> None:
        with self.lock:
            self.calls[call] += 1


def make_jwt(claims: Mapping[str, Any]) -> str:
    """A token with these claims, signed by nobody."""
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "c3RhbmRpbg"])
