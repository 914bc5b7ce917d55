"""Misbehaviour on request: what a stand-in is told to do wrong, when, and how often.

A stand-in asks ``striking`` for the faults that harm a request, lets ``spoilt_before`` answer in place of the view and
``spoilt_after`` change the answer that is ready, and mounts ``controls`` so that tests and demos can tell it from outside.
The kinds below are those that any service knows; a stand-in adds those of its own.
"""

import ipaddress
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, jsonify, request

KINDS: Mapping[str, str] = {
    "status": "answers with ``status``, and ``retry_after`` if given",
    "html": "answers 502 with an HTML page, as a proxy does",
    "cut": "closes the connection in the middle of the body",
    "cut_json": "ends the body in the middle, as if it were whole",
    "slow": "waits for ``gate``, or for ``seconds``, before it answers",
}
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass
class Fault:
    """One kind of misbehaviour.

    :ivar path: the stand-in's name of the call that it concerns; every one when empty.
    :ivar about: only requests that name this project, organization or the like.
    :ivar what: what a kind of the stand-in's own is done with, such as the project that vanishes.
    :ivar after: how many requests pass unharmed first.
    :ivar times: how many are harmed then; None: all.
    """

    kind: str
    path: str = ""
    about: str = ""
    what: str = ""
    after: int = 0
    times: int | None = None
    status: int = 500
    retry_after: str = ""
    seconds: float = 30.0
    gate: threading.Event | None = None
    seen: int = field(default=0, init=False)

    def concerns(self, path: str, named: Collection[str]) -> bool:
        return self.path in ("", path) and (not self.about or self.about in named)

    def strikes(self) -> bool:
        """Count one request, and say whether it is harmed."""
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": self.path, "about": self.about, "what": self.what, "after": self.after, "times": self.times,
                "status": self.status, "retryAfter": self.retry_after, "seconds": self.seconds, "seen": self.seen}


class Faults:
    """All misbehaviour that was asked for and not taken back.

    :param kinds: what this stand-in can do wrong beside ``KINDS``, each with a sentence.
    """

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = {**KINDS, **kinds}
        self._lock = threading.Lock()
        self._all: list[Fault] = []

    def add(self, kind: str, **how: Any) -> Fault:
        """Misbehave from now on; see ``Fault``.

        :raises ValueError: for an unknown kind.
        """
        if kind not in self.kinds:
            raise ValueError(f"'{kind}' is none of {', '.join(self.kinds)}")
        fault = Fault(kind, **how)
        with self._lock:
            self._all.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._all.clear()

    def striking(self, path: str, named: Collection[str] = ()) -> list[Fault]:
        """The faults that harm this request.

        :param named: the projects, organizations and the like that it names.
        """
        with self._lock:
            return [fault for fault in self._all if fault.concerns(path, named) and fault.strikes()]

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.as_json() for fault in self._all]


def spoilt_before(striking: Sequence[Fault], refusal: Callable[[int], Response]) -> Response | None:
    """Misbehave before the request is looked at; an answer ends it.

    :param refusal: the service's own answer with an error status.
    """
    for fault in striking:
        if fault.kind == "slow":
            (fault.gate or threading.Event()).wait(fault.seconds)
        elif fault.kind == "html":
            return Response(_BAD_GATEWAY, 502, content_type="text/html")
        elif fault.kind == "status":
            response = refusal(fault.status)
            if fault.retry_after:
                response.headers["Retry-After"] = fault.retry_after
            return response
    return None


def spoilt_after(striking: Sequence[Fault], response: Response) -> Response:
    """Misbehave with the answer that is ready."""
    kinds = {fault.kind for fault in striking}
    if "cut_json" in kinds:
        response.set_data(response.get_data()[:-max(1, len(response.get_data()) // 2)])
    if "cut" in kinds:
        whole = response.get_data()
        return Response(_once(whole[:len(whole) // 2]), response.status_code,
                        headers={"Content-Type": response.content_type or "application/json", "Content-Length": str(len(whole))})
    return response


def controls(faults: Faults, calls: Counter[str]) -> Blueprint:
    """What the stand-in is told to do wrong, and what was asked of it, over HTTP. For callers on this machine alone."""
    blueprint = Blueprint("controls", __name__)

    @blueprint.before_request
    def only_from_here() -> Response | None:
        here = ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104 - stands for an unknown caller
        return None if here else Response(status=403)

    @blueprint.get("/calls")
    def show_calls() -> Response:
        return jsonify(dict(calls))

    @blueprint.delete("/calls")
    def forget_calls() -> Response:
        calls.clear()
        return Response(status=204)

    @blueprint.get("/faults")
    def show_faults() -> Response:
        return jsonify(faults=faults.as_json(), kinds=faults.kinds)

    @blueprint.post("/faults")
    def add_fault() -> tuple[Response, int] | Response:
        try:
            fault = faults.add(**from_json(request.get_json()))
        except (TypeError, ValueError, AttributeError) as problem:
            return jsonify(message=str(problem)), 400
        return jsonify(fault.as_json())

    @blueprint.delete("/faults")
    def clear_faults() -> Response:
        faults.clear()
        return Response(status=204)

    return blueprint


def from_json(body: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of ``Faults.add`` out of a JSON object; ``fromCall`` counts from 1 and means the same as ``after`` plus one.

    :raises ValueError, TypeError: when a value is not what it must be.
    """
    readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "path": ("path", str), "about": ("about", str), "what": ("what", str), "after": ("after", int), "times": ("times", int),
        "status": ("status", int), "retryAfter": ("retry_after", str), "seconds": ("seconds", float),
        "fromCall": ("after", lambda number: int(number) - 1)}
    given = {name: body[name] for name in readers if body.get(name) is not None}
    return {"kind": str(body.get("kind", "")), **{readers[name][0]: readers[name][1](value) for name, value in given.items()}}


def _once(body: bytes) -> Iterator[bytes]:
    # streamed, since a body in one piece would be given its own, true length
    yield body
