"""Where what is recorded comes from: by whom a request was made, how, and from which address; or which kind of process acted."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Origin:
    """See ``core.audit.models.AuditEvent`` for the parts; None is for what there is not."""

    via: str | None = None
    actor_id: str | None = None
    address: str | None = None
    request_id: str | None = None


_of_process = Origin()
_of_request: ContextVar[Origin | None] = ContextVar("stockade_audit_origin", default=None)


def current() -> Origin:
    return _of_request.get() or _of_process


def stand_as(via: str | None) -> None:
    """Say what this process records by when no request is under way: ``command`` or ``job``; None for nothing of the kind."""
    global _of_process  # noqa: PLW0603  one per process, set once at its start
    _of_process = Origin(via=via)


@contextmanager
def acting(origin: Origin) -> Iterator[None]:
    """Within the block, events come from this origin."""
    token = _of_request.set(origin)
    try:
        yield
    finally:
        _of_request.reset(token)


def begin(address: str | None, request_id: str) -> object:
    """A request begins; returns what ``end`` takes."""
    return _of_request.set(Origin(address=address, request_id=request_id))


def recognised(via: str, actor_id: str) -> None:
    """It is known now who makes the request."""
    _of_request.set(replace(current(), via=via, actor_id=actor_id))


def end(begun: object) -> None:
    _of_request.reset(begun)  # type: ignore[arg-type]
