"""Time as Stockade keeps it: whole milliseconds since 1970-01-01 UTC, as an ``int``, inside and in the database."""

import time
from datetime import UTC, datetime

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now() -> int:
    """The present moment in milliseconds."""
    return time.time_ns() // 1_000_000


def iso(moment: int | None) -> str | None:
    """``2026-05-12T12:00:00.000Z``, the form that every surface documents; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """Milliseconds of an ISO 8601 instant; an offset written ``+0000`` is accepted, a missing one means UTC.

    :raises ValueError: when the text is no instant.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
