"""Misbehaviour on request: what a stand-in of SonarQube is told to do wrong, when, and how often."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = {
    "status": "answers with ``status``, and ``retry_after`` if given",
    "html": "answers 502 with an HTML page, as a proxy does",
    "cut": "closes the connection in the middle of the body",
    "cut_json": "ends the body in the middle, as if it were whole",
    "slow": "waits for ``gate``, or for ``seconds``, before it answers",
    "empty_page": "leaves the list of the answer empty, with the total unchanged",
    "drift": "lets the pages after the first begin one record later, as when an issue was closed meanwhile and another one opened",
    "no_projects": "lists no project at all",
    "vanish": "removes ``project`` for good",
    "revoke": "revokes the token of the request for good",
}


@dataclass
class Fault:
    """One kind of misbehaviour.

    :ivar path: ``controller/action`` that it concerns; every one when empty.
    :ivar project: only requests that name this project; for ``vanish``, the project that vanishes.
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
        return self.path in ("", path) and (not self.project or self.kind == "vanish" or self.project in named)

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
    """The keywords of ``Faults.add`` out of a JSON object; ``fromCall`` counts from 1 and means the same as ``after`` plus one.

    :raises ValueError, TypeError: when a value is not what it must be.
    """
    how: dict[str, Any] = {"kind": str(body.get("kind", ""))}
    for name in ("path", "project"):
        if name in body:
            how[name] = str(body[name]).removeprefix("/").removeprefix("api/") if name == "path" else str(body[name])
    for name, key in (("after", "after"), ("status", "status")):
        if key in body:
            how[name] = int(body[key])
    if "fromCall" in body:
        how["after"] = int(body["fromCall"]) - 1
    if body.get("times") is not None:
        how["times"] = int(body["times"])
    if "retryAfter" in body:
        how["retry_after"] = str(body["retryAfter"])
    if "seconds" in body:
        how["seconds"] = float(body["seconds"])
    return how
