"""The effective state of a finding, derived from its two facts in this one place."""

from enum import StrEnum


class Status(StrEnum):
    """The effective state, as lists filter and totals count it."""

    OPEN = "open"
    FIXED = "fixed"
    GONE = "gone"
    ACCEPTED = "accepted"
    FALSE_POSITIVE = "false_positive"
    IGNORED = "ignored"


class VerdictKind(StrEnum):
    """What a person decided about a finding."""

    ACCEPTED = "accepted"
    FALSE_POSITIVE = "false_positive"
    IGNORED = "ignored"


#: what counts as remediated on the dashboards: the problem is no longer there
REMEDIATED = (Status.FIXED, Status.GONE)


def effective(source_state: str, verdict: str | None) -> str:
    """A person's verdict decides over what the source still reports; a finding that is fixed or gone is just that."""
    if source_state in REMEDIATED or verdict is None:
        return source_state
    return verdict
