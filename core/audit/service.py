"""Writing the audit log. Each event's digest covers the one before, so that a change shows."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from core import clock
from core.audit import origin
from core.audit.links import FACTS, FACTS_WHERE_KNOWN, START, digest_of
from core.audit.models import AuditHead
from core.db import JsonField, atomic, db
from core.db.texts import clean

NO_CUSTOMER = "-"
_LONGEST_NAME = 255  # of the columns; an event that is cut short is better than none
_LONGEST_ADDRESS = 64
COLUMNS = ("chain", "customer_id", "digest", *FACTS, *FACTS_WHERE_KNOWN)
_TAKE = "UPDATE audit_head SET seq = seq + 1 WHERE chain = ? RETURNING seq, digest"
_APPEND = f"INSERT INTO audit_event ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  our own names


def record(action: str, *, actor: str, target: str = "", customer_id: str | None = None, details: Mapping[str, Any] | None = None) -> None:
    """Append an event, inside the caller's transaction when there is one, so that both or neither are kept.

    Others who record for the same customer wait until that transaction ends: record last in it, and for one customer.

    :param action: dotted and in the past, such as ``connection.changed``.
    :param details: JSON-able facts; never a secret.
    """
    chain = customer_id or NO_CUSTOMER
    with nullcontext() if db.in_transaction() else atomic():
        seq, before = _taken_place(chain)
        facts = facts_to_keep(seq, action, actor, target, details or {})
        digest = digest_of(before, chain, facts)
        _execute(_APPEND, row_of(chain, customer_id, digest, facts))
        _execute("UPDATE audit_head SET digest = ? WHERE chain = ?", (digest, chain))


def _taken_place(chain: str) -> tuple[int, str]:
    """The next number and the digest to follow; the chain is locked until the transaction ends."""
    place = _execute(_TAKE, (chain,)).fetchone()
    if place is None:
        AuditHead.insert(chain=chain, seq=START.seq, digest=START.digest).on_conflict_ignore().execute()
        place = _execute(_TAKE, (chain,)).fetchone()
    return place


def _execute(sql: str, values: tuple) -> Any:
    """As text: to compile the three statements anew for every event takes five times as long as to execute them."""
    return db.execute_sql(sql if db.param == "?" else sql.replace("?", db.param), values)


def row_of(chain: str, customer_id: str | None, digest: str, facts: Mapping[str, Any]) -> tuple:
    """An event's values, in the order of ``COLUMNS``."""
    values = {**facts, "details": JsonField().db_value(facts["details"]), "chain": chain, "customer_id": customer_id, "digest": digest}
    return tuple(map(values.get, COLUMNS))


def facts_to_keep(seq: int, action: str, actor: str, target: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an event that happens now, and what its digest covers."""
    where = origin.current()
    facts = {"seq": seq, "at": clock.now(), "actor": _fitting(actor, _LONGEST_NAME), "action": action,
             "target": _fitting(target, _LONGEST_NAME), "details": _as_kept(details)}
    known = {"actor_id": where.actor_id, "via": where.via, "address": where.address and _fitting(where.address, _LONGEST_ADDRESS),
             "request_id": where.request_id}
    return facts | {name: value for name, value in known.items() if value is not None}


def _fitting(text: str, longest: int) -> str:
    return clean(text)[:longest]


def _as_kept(details: Mapping[str, Any]) -> Any:
    """The facts as they will be read again: names as texts, sequences as lists, characters that both databases take."""
    return json.loads(clean(json.dumps(dict(details), ensure_ascii=False)))
