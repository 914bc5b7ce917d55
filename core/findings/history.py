"""What the history of a finding tells."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.db.bulk import bulk_insert
from core.findings.models import FindingEvent
from core.findings.state import REMEDIATED
from core.hooks.contracts import SourceState

#: kinds of events and what each tells
KINDS = {
    "first_seen": "A pull found it (kept in the finding itself)",
    "changed": "The source says something else of it",
    "closed": "The source says it is fixed, or no longer mentions it",
    "reopened": "The source reports it again, after it was closed or dismissed there",
    "dismissed": "Somebody dismissed it in the source",
    "renamed": "The source gave it another key",
    "decided": "Somebody decided about it",
    "inherited": "When it was found, a decision that was there already applied to it",
    "verdict_ended": "Somebody ended a decision about it",
    "acceptance_expired": "The acceptance ran out",
}
COLUMNS = ("customer_id", "finding_id", "at", "kind", "actor", "run_id", "details", "verdict_id")
_WATCHED = ("severity", "title", "source_status", "path", "line", "category", "verdict")  # changes that the history tells


def store(events: Sequence[tuple]) -> None:
    """Append events, made by ``event``, inside a transaction."""
    bulk_insert(FindingEvent, COLUMNS, events)


def event(customer_id: str, finding_id: int, kind: str, *, at: int, actor: str, run_id: str = "", details: Mapping[str, Any] | None = None,
          verdict_id: str | None = None) -> tuple:
    return (customer_id, finding_id, at, kind, actor, run_id, FindingEvent.details.db_value(details or {}), verdict_id)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list]:
    """What the history tells of a change: each watched column with what it held before and after."""
    return {name: [before[name], after[name]] for name in _WATCHED if before[name] != after[name]}


def kind_of_change(before: str, after: str) -> str:
    """The kind of event that a change of the source's state makes."""
    if after == before:
        return "changed"
    if after in REMEDIATED:
        return "changed" if before in REMEDIATED else "closed"
    if after == SourceState.OPEN:
        return "reopened"
    return "dismissed"
