"""Deleting events by age. The anchor of a chain then tells what it begins after, so that what remains can be verified."""

import time
from functools import partial

from peewee import fn

from core import clock
from core.audit.models import AuditEvent
from core.audit.sealing import Anchors, SealingKey, move, reached, seal
from core.audit.service import record

_EVENTS_AT_ONCE = 5000
_SECONDS_AT_ONCE = 2.0
TRIMMED = "audit.trimmed"


def trim(key: SealingKey, days: int, now: int) -> int:
    """Delete the sealed events of days that are over for longer than ``days``, a batch at a time; how many were deleted."""
    limit = now // clock.DAY * clock.DAY - days * clock.DAY
    deadline, deleted = time.monotonic() + _SECONDS_AT_ONCE, 0
    while time.monotonic() < deadline and (ends := _overdue(limit)):
        batch: list[int] = []
        seal(key, now, partial(_cut, ends, limit, batch))
        if not sum(batch):
            break  # they wait for the seal, or lie behind younger ones
        deleted += sum(batch)
    return deleted


def _overdue(limit: int) -> dict[str, int]:
    """The oldest events that are too old: their chains, with the greatest number in each."""
    oldest = (AuditEvent.select(AuditEvent.chain, AuditEvent.seq).where(AuditEvent.at < limit).order_by(AuditEvent.at)
              .limit(_EVENTS_AT_ONCE).alias("oldest"))
    rows = AuditEvent.select(oldest.c.chain, fn.MAX(oldest.c.seq)).from_(oldest).group_by(oldest.c.chain).order_by(oldest.c.chain)
    return dict(rows.tuples())


def _cut(ends: dict[str, int], limit: int, deleted: list[int], known: Anchors) -> bool:
    """Delete the beginnings of chains, each up to the number given, as far as all of it is sealed and too old."""
    for chain, end in ends.items():
        anchor = known.get(chain)
        if anchor is None:
            continue
        through = min(end, anchor.sealed.seq, _first_young(chain, limit, end) - 1)
        base = reached(chain, anchor.base, through)  # a chain that does not hold keeps what shows it
        if base != anchor.base:
            deleted.append(AuditEvent.delete().where(AuditEvent.chain == chain, AuditEvent.seq <= base.seq).execute())
            move(known, chain, anchor._replace(base=base))
    if deleted:
        record(TRIMMED, actor="scheduler", details={"events": sum(deleted), "chains": len(deleted), "before": clock.iso(limit)})
    return bool(deleted)


def _first_young(chain: str, limit: int, end: int) -> int:
    """The number of the first event up to ``end`` that is not too old (clocks do go back), else the one after."""
    young = AuditEvent.select(fn.MIN(AuditEvent.seq)).where(AuditEvent.chain == chain, AuditEvent.seq <= end, AuditEvent.at >= limit)
    return young.scalar() or end + 1
