"""Writing and proving the audit log. Each event's digest covers the one before, so that a change shows."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from core import clock
from core.audit.models import AuditEvent, AuditHead
from core.db import atomic

NO_CUSTOMER = "-"
_FIRST_DIGEST = "0" * 64


def record(action: str, *, actor: str, target: str = "", customer_id: str | None = None, details: Mapping[str, Any] | None = None) -> None:
    """Append an event, inside the caller's transaction when there is one, so that both or neither are kept.

    :param action: dotted and in the past, such as ``connection.changed``.
    :param details: JSON-able facts; never a secret.
    """
    chain = customer_id or NO_CUSTOMER
    with atomic():
        AuditHead.insert(chain=chain, seq=0, digest=_FIRST_DIGEST).on_conflict_ignore().execute()
        AuditHead.update(seq=AuditHead.seq + 1).where(AuditHead.chain == chain).execute()  # locks the chain until the commit
        head = AuditHead.get_by_id(chain)
        event = {"seq": head.seq, "at": clock.now(), "actor": actor, "action": action, "target": target, "details": dict(details or {})}
        digest = _digest(head.digest, chain, event)
        AuditEvent.insert(chain=chain, customer_id=customer_id, digest=digest, **event).execute()
        AuditHead.update(digest=digest).where(AuditHead.chain == chain).execute()


def verify(chain: str) -> int | None:
    """Recompute a chain; None when it is whole, else the number of the first event that does not fit."""
    before, expected = _FIRST_DIGEST, 1
    for row in AuditEvent.select().where(AuditEvent.chain == chain).order_by(AuditEvent.seq).iterator():
        event = {"seq": row.seq, "at": row.at, "actor": row.actor, "action": row.action, "target": row.target, "details": row.details}
        if row.seq != expected or row.digest != _digest(before, chain, event):
            return expected
        before, expected = row.digest, expected + 1
    head = AuditHead.get_or_none(AuditHead.chain == chain)
    return None if head is None or (head.seq, head.digest) == (expected - 1, before) else expected


def _digest(before: str, chain: str, event: Mapping[str, Any]) -> str:
    text = json.dumps([before, chain, event], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def newest(limit: int, customer_id: str | None = None) -> list[AuditEvent]:
    """The newest events, of one customer or of all."""
    query = AuditEvent.select().order_by(AuditEvent.id.desc()).limit(limit)
    return list(query.where(AuditEvent.customer_id == customer_id) if customer_id else query)


