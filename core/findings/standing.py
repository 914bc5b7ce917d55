"""Where a finding stands: what follows from what the source says, the verdict in force and its terms, derived in this one place."""

from typing import NamedTuple

from core.findings.state import Status, effective
from core.findings.terms import Terms


class Standing(NamedTuple):
    """The derived columns of a finding.

    :ivar paused_ms: how long it was accepted, acceptances that ended alone.
    :ivar paused_since: since when it is accepted; None when it is not.
    :ivar due_day: None unless it is open and its terms cover it.
    """

    status: str
    paused_ms: int
    paused_since: int | None
    due_day: int | None


def standing(source_state: str, verdict: str | None, severity: int, first_seen_at: int, paused_ms: int, paused_since: int | None,
             terms: Terms | None, now: int) -> Standing:
    """Where it stands from ``now`` on. The clock that leads to the due day stops while the finding is accepted, by whom ever."""
    status = effective(source_state, verdict)
    if status == Status.ACCEPTED:
        return Standing(status, paused_ms, now if paused_since is None else paused_since, None)
    if paused_since is not None:
        paused_ms += max(0, now - paused_since)
    due_day = terms.due_day(severity, first_seen_at + paused_ms) if terms is not None and status == Status.OPEN else None
    return Standing(status, paused_ms, None, due_day)
