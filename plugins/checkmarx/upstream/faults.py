"""Misbehaviour on request: what a stand-in of Checkmarx One is told to do wrong, when, and how often."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = {
    "status": "answers with ``status``, and ``retry_after`` if given",
    "html": "answers 502 with an HTML page, as a gateway does",
    "cut": "closes the connection in the middle of the body",
    "cut_json": "ends the body in the middle, as if it were whole",
    "slow": "waits for ``gate``, or for ``seconds``, before it answers",
    "empty_page": "leaves the list of the answer empty, with the total unchanged",
    "drift": "lets the pages after the first begin one record later, as when one went and another one came meanwhile",
    "null": "answers null in place of the list, and a total of 0",
    "vanish": "removes ``project`` for good",
    "expire": "ends all access tokens at once; the credentials stay good",
    "revoke": "revokes all credentials and tokens for good",
    "unpublished": "knows no results of any scan yet, as shortly after a scan's end",
}


@dataclass
class Fault:
    """One kind of misbehaviour.

    :ivar path: the beginning of the paths that it concerns, such as ``/api/results`` or ``/auth``; every one when empty.
    :ivar project: only requests that name this project, or a scan of it; for ``vanish``, the project that vanishes.
    :ivar after: how many requests pass unharmed first.
    :ivar times: how many are harmed then; None: all.
    """

    kind: str
    path: str = ""
    project: str = ""
    after: int = 0
    times: int | None = None
    status: int = 500
    retry_after: str = ""
    seconds: float = 30.0
    gate: threading.Event | None = None
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"'{self.kind}' is none of {', '.join(KINDS)}")

    def concerns(self, path: str, named: set[str]) -> bool:
        return path.startswith(self.path) and (not self.project or self.kind == "vanish" or self.project in named)

    def strikes(self) -> bool:
        """Count one request, and say whether it is harmed."""
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": self.path, "project": self.project, "after": self.after, "times": self.times,
                "status": self.status, "retryAfter": self.retry_after, "seconds": self.seconds, "seen": self.seen}


class Faults:
    """All misbehaviour that was asked for and not taken back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Fault] = []

    def add(self, kind: str, **how: Any) -> Fault:
        """Misbehave from now on; see ``Fault``. Raises ValueError for an unknown kind."""
        fault = Fault(kind, **how)
        with self._lock:
            self._all.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._all.clear()

    def striking(self, path: str, named: set[str]) -> list[Fault]:
        """The faults that harm this request.

        :param named: the projects that it names.
        """
        with self._lock:
            return [fault for fault in self._all if fault.concerns(path, named) and fault.strikes()]

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.as_json() for fault in self._all]


def from_json(body: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of ``Faults.add`` out of a JSON object.

    :raises ValueError, TypeError: when a value is not what it must be.
    """
    how: dict[str, Any] = {"kind": str(body.get("kind", ""))}
    readers = {"path": ("path", str), "project": ("project", str), "after": ("after", int), "times": ("times", int),
               "status": ("status", int), "retryAfter": ("retry_after", str), "seconds": ("seconds", float)}
    for name, (key, reader) in readers.items():
        if body.get(name) is not None:
            how[key] = reader(body[name])
    return how
