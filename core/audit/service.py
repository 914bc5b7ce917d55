"""Writing and proving the audit log. Each event's digest covers the one before, so that a change shows."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from peewee import fn

from core import clock
from core.audit.models import AuditEvent, AuditHead
from core.db import atomic

NO_CUSTOMER = "-"
FIRST_DIGEST = "0" * 64
LONGEST_NAME = 255  # of the columns; an event that is cut short is better than none


def record(action: str, *, actor: str, target: str = "", customer_id: str | None = None, details: Mapping[str, Any] | None = None) -> None:
    """Append an event, inside the caller's transaction when there is one, so that both or neither are kept.

    :param action: dotted and in the past, such as ``connection.changed``.
    :param details: JSON-able facts; never a secret.
    """
    chain = customer_id or NO_CUSTOMER
    with atomic():
        AuditHead.insert(chain=chain, seq=0, digest=FIRST_DIGEST).on_conflict_ignore().execute()
        AuditHead.update(seq=AuditHead.seq + 1).where(AuditHead.chain == chain).execute()  # locks the chain until the commit
        head = AuditHead.get_by_id(chain)
        event = {"seq": head.seq, "at": clock.now(), "actor": actor[:LONGEST_NAME], "action": action, "target": target[:LONGEST_NAME],
                 "details": dict(details or {})}
        digest = digest_of(head.digest, chain, event)
        AuditEvent.insert(chain=chain, customer_id=customer_id, digest=digest, **event).execute()
        AuditHead.update(digest=digest).where(AuditHead.chain == chain).execute()


def verify(chain: str) -> int | None:
    """Recompute a chain; None when it is whole, else the number of the first event that does not fit. Others may go on writing."""
    head = AuditHead.get_or_none(AuditHead.chain == chain)
    known = head.seq if head is not None else 0
    before, expected = FIRST_DIGEST, 1
    for row in AuditEvent.select().where(AuditEvent.chain == chain, AuditEvent.seq <= known).order_by(AuditEvent.seq).iterator():
        event = {"seq": row.seq, "at": row.at, "actor": row.actor, "action": row.action, "target": row.target, "details": row.details}
        if row.seq != expected or row.digest != digest_of(before, chain, event):
            return expected
        before, expected = row.digest, expected + 1
    if head is not None and (head.seq, head.digest) != (expected - 1, before):
        return expected
    return _stray(chain)


def _stray(chain: str) -> int | None:
    """The number of an event beyond the head: the head always moves with its events, so somebody else put it there."""
    last = AuditEvent.select(fn.MAX(AuditEvent.seq)).where(AuditEvent.chain == chain).scalar() or 0
    head = AuditHead.get_or_none(AuditHead.chain == chain)  # read after the event: it may have moved on, never back
    return last if last > (head.seq if head is not None else 0) else None


def broken_chains() -> dict[str, int]:
    """Every chain that is not whole, with the number of the first event that does not fit; empty when the log is sound."""
    with_head = AuditHead.select(AuditHead.chain)
    with_events = AuditEvent.select(AuditEvent.chain).distinct()
    checked = ((chain, verify(chain)) for (chain,) in sorted((with_head | with_events).tuples()))
    return {chain: at for chain, at in checked if at is not None}


def digest_of(before: str, chain: str, event: Mapping[str, Any]) -> str:
    """The digest of an event that follows the one with the digest ``before``."""
    text = json.dumps([before, chain, event], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def newest(limit: int, customer_id: str | None = None) -> list[AuditEvent]:
    """The newest events, of one customer or of all."""
    query = AuditEvent.select().order_by(AuditEvent.id.desc()).limit(limit)
    return list(query.where(AuditEvent.customer_id == customer_id) if customer_id else query)
