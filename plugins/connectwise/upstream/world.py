"""What a stand-in of ConnectWise holds: companies, configurations, API members, callbacks, and how the service behaves."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from core import clock, ids
from core.testing.faults import Faults

#: the end of all generated history; fixed, so that two processes hold the same world
TODAY = clock.from_iso("2026-11-13T17:20:00Z")
STATUSES = {1: "Active", 2: "Inactive", 3: "Not-Approved"}
TYPES = {1: "Customer", 2: "Prospect", 3: "Vendor", 14: "Managed Security"}
CODEBASES = ("v4_6_release", "v2025_1")
KINDS = {
    "empty": "lists nothing, as if that were all",
    "lost_rows": "leaves rows of a page out",
    "no_link": "answers without a Link header, as behind some proxies",
    "loop": "leads from a page back to the first one",
    "ignores_forward_only": "pages by number whatever is asked for, as old servers do",
    "insert": "adds a company between two pages",
    "vanish": "removes the company ``what`` for good",
    "moved": "answers under the codebase ``what`` alone from now on",
}


@dataclass(frozen=True, slots=True)
class Member:
    """An API member. ``lacks``: what its role does not let it see, such as ``configurations`` or ``callbacks``."""

    private_key: str
    lacks: frozenset[str] = frozenset()


class Throttle:
    """Refuses what is more than ``most`` requests in ``seconds``, and says how long to wait."""

    def __init__(self, most: int, seconds: float = 60.0) -> None:
        self.most, self.seconds = most, seconds
        self._lock = threading.Lock()
        self._moments: list[float] = []

    def wait(self) -> float:
        """Count one request; the seconds to wait when it is refused, else 0."""
        now = time.monotonic()
        with self._lock:
            self._moments = [moment for moment in self._moments if now - moment < self.seconds]
            if len(self._moments) >= self.most:
                return self.seconds - (now - self._moments[0])
            self._moments.append(now)
            return 0.0


@dataclass
class World:
    """One ConnectWise with one company that signs in. Safe to change while it answers.

    :ivar login: what is typed as company when signing in; ``name`` is how it is called.
    :ivar members: API members by their public key.
    :ivar client_ids: those that are accepted; any when empty.
    :ivar link_host: the host that Link headers name, which is an internal one.
    :ivar callbacks: by id; ``signing_keys`` by callback and number of the key.
    :ivar calls: how often each call was asked for, by its name such as ``companies``.
    """

    companies: dict[int, dict[str, Any]] = field(default_factory=dict)
    configurations: dict[int, dict[str, Any]] = field(default_factory=dict)
    login: str = "nordlys"
    name: str = "Nordlys IT Drift AS"
    codebase: str = "v2025_1"
    codebases: set[str] = field(default_factory=lambda: set(CODEBASES))
    members: dict[str, Member] = field(default_factory=dict)
    client_ids: set[str] = field(default_factory=set)
    link_host: str = "http://cw-app-07.internal"
    throttle: Throttle | None = None
    faults: Faults = field(default_factory=lambda: Faults(KINDS))
    calls: Counter[str] = field(default_factory=Counter)
    callbacks: dict[int, dict[str, Any]] = field(default_factory=dict)
    signing_keys: dict[tuple[int, str], str] = field(default_factory=dict)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def admit(self, public_key: str = "", private_key: str = "", lacks: frozenset[str] = frozenset()) -> tuple[str, str]:
        """Keys of an API member that is accepted from now on; fresh ones unless they are given."""
        public_key, private_key = public_key or ids.new_id("pub"), private_key or ids.new_id("prv")
        self.members[public_key] = Member(private_key, lacks)
        return public_key, private_key

    def add_company(self, key: int, name: str, identifier: str = "", **facts: Any) -> dict[str, Any]:
        """A company with what a real one has; ``facts`` take the place of the made-up ones, and ``...`` leaves one out."""
        told = company(key, name, identifier or "".join(name.split())[:30], **facts)
        with self.lock:
            self.companies[key] = told
        return told

    def add_configuration(self, key: int, name: str, company_key: int | None, **facts: Any) -> dict[str, Any]:
        """A configuration of a company, or of nobody."""
        owner = self.companies.get(company_key) if company_key else None
        told = configuration(key, name, owner, **facts)
        with self.lock:
            self.configurations[key] = told
        return told

    def change(self, key: int, **facts: Any) -> None:
        """Change a company, as somebody does on its page."""
        with self.lock:
            self.companies[key] = {**self.companies[key], **facts, "_info": {"lastUpdated": instant(clock.now())}}

    def remove(self, key: int) -> None:
        """A company disappears, as one that was merged into another does."""
        with self.lock:
            self.companies.pop(key, None)
            self.configurations = {number: row for number, row in self.configurations.items()
                                   if (row.get("company") or {}).get("id") != key}

    def count(self, call: str) -> None:
        with self.lock:
            self.calls[call] += 1

    @classmethod
    def of(cls, names: Mapping[int, str], **facts: Any) -> Self:
        """A small world for a test: companies with these names."""
        world = cls(**facts)
        for key, name in names.items():
            world.add_company(key, name)
        return world


def instant(moment: int) -> str:
    """``2026-03-02T13:37:05Z``, to the second as ConnectWise tells it."""
    return (clock.iso(moment) or "").partition(".")[0] + "Z"


def company(key: int, name: str, identifier: str, **facts: Any) -> dict[str, Any]:
    told = {
        "id": key, "identifier": identifier, "name": name,
        "status": {"id": 1, "name": STATUSES[1], "_info": {"status_href": "…/statuses/1"}},
        "types": [{"id": 1, "name": TYPES[1], "_info": {"type_href": "…/types/1"}}], "addressLine1": f"Storgata {key % 200 + 1}",
        "city": "Tromsø", "state": "Troms", "zip": "9008", "country": {"id": 165, "name": "Norway", "identifier": "NO"},
        "phoneNumber": "4777000000", "website": f"https://www.{key}.example",
        "leadFlag": False, "isVendorFlag": False, "deletedFlag": False,
        "accountNumber": f"C-{key}", "defaultContact": {"id": 1187, "name": "Kari Nordmann"}, "numberOfEmployees": 48,
        "customFields": [{"id": 3, "caption": "Security tier", "type": "Text", "entryMethod": "List", "numberOfDecimals": 0,
                          "value": "Gold"}],
        "_info": {"lastUpdated": instant(TODAY - key * clock.MINUTE), "updatedBy": "akarlsen"}, **facts}
    return {name: value for name, value in told.items() if value is not ...}


def configuration(key: int, name: str, owner: Mapping[str, Any] | None, **facts: Any) -> dict[str, Any]:
    told = {
        "id": key, "name": name, "type": {"id": 22, "name": "Managed Firewall"}, "status": {"id": 1, "name": "Active"},
        "company": {"id": owner["id"], "identifier": owner["identifier"], "name": owner["name"]} if owner else None,
        "serialNumber": f"FGT60E{key:010d}", "modelNumber": "60E", "ipAddress": f"198.51.100.{key % 250}", "osType": "FortiOS",
        "osInfo": "7.2.8", "manufacturer": {"id": 77, "name": "Fortinet"}, "activeFlag": True, "lastLoginName": "svc-admin",
        "notes": "Spare key with Kari", "vendorNotes": "",
        "questions": [{"questionId": 81, "question": "Admin password", "answer": "hunter2"}],
        "_info": {"lastUpdated": instant(TODAY - key * clock.MINUTE), "updatedBy": "automate"}, **facts}
    return {name: value for name, value in told.items() if value is not ...}
