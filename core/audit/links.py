"""How the events of a chain hang together: the digest of each covers its facts and the digest of the one before."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from core.audit.models import AuditEvent

_READ_AT_ONCE = 1000
FACTS = ("seq", "at", "actor", "action", "target", "details")
FACTS_WHERE_KNOWN = ("actor_id", "via", "address", "request_id")  # left out where unknown, so that events from before them verify


class Link(NamedTuple):
    """A place in a chain, and the digest of the event there."""

    seq: int
    digest: str


START = Link(0, "0" * 64)


class Misfit(Exception):
    """The chain does not hold at ``seq``: the event is missing, changed, or one too many."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"event {seq}")
        self.seq = seq


def facts_of(event: AuditEvent) -> dict[str, Any]:
    """What the digest of an event covers, beside its chain and the digest before."""
    facts = {name: getattr(event, name) for name in FACTS}
    return facts | {name: value for name in FACTS_WHERE_KNOWN if (value := getattr(event, name)) is not None}


def digest_of(before: str, chain: str, facts: Mapping[str, Any]) -> str:
    text = json.dumps([before, chain, facts], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def stretch(chain: str, after: int, through: int) -> Iterator[AuditEvent]:
    """The events of a chain after one number and through another, in order, a batch in memory at a time."""
    while True:
        rows = list(AuditEvent.select().where(AuditEvent.chain == chain, AuditEvent.seq > after, AuditEvent.seq <= through)
                    .order_by(AuditEvent.seq).limit(_READ_AT_ONCE))
        yield from rows
        if len(rows) < _READ_AT_ONCE:
            return
        after = rows[-1].seq


def followed(chain: str, start: Link, events: Iterable[AuditEvent]) -> Iterator[Link]:
    """The link of each event, once it was found to follow the one before, beginning after ``start``.

    :raises Misfit: at the first that does not.
    """
    link = start
    for event in events:
        expected = link.seq + 1
        if event.seq != expected or event.digest != digest_of(link.digest, chain, facts_of(event)):
            raise Misfit(expected)
        link = Link(event.seq, event.digest)
        yield link
