"""Writing many events at once, as a job that changes thousands of customers does: a constant number of statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.audit.links import START, digest_of
from core.audit.models import AuditEvent, AuditHead
from core.audit.service import COLUMNS, NO_CUSTOMER, facts_to_keep, row_of
from core.db import atomic
from core.db.bulk import bulk_insert, bulk_update, bulk_upsert, rows_by_key


@dataclass(frozen=True, slots=True)
class Happening:
    """One of many events that are recorded together; see ``core.audit.record``."""

    action: str
    target: str = ""
    customer_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def record_many(happenings: Sequence[Happening], *, actor: str) -> None:
    """Append the events in their order, inside the caller's transaction when there is one."""
    by_chain: dict[str, list[Happening]] = {}
    for one in happenings:
        by_chain.setdefault(one.customer_id or NO_CUSTOMER, []).append(one)
    if not by_chain:
        return
    rows, heads = [], []
    with atomic():
        for chain, seq, digest in _taken_places({chain: len(events) for chain, events in sorted(by_chain.items())}):
            for number, one in enumerate(by_chain[chain], seq - len(by_chain[chain]) + 1):
                facts = facts_to_keep(number, one.action, actor, one.target, one.details)
                digest = digest_of(digest, chain, facts)
                rows.append(row_of(chain, one.customer_id, digest, facts))
            heads.append((chain, digest))
        bulk_insert(AuditEvent, COLUMNS, rows)
        bulk_update(AuditHead, ("chain",), heads, update=("digest",))


def _taken_places(lengths: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """Chain, number of the last of the events to come, and the digest to follow; the chains are locked until the transaction ends.

    :param lengths: how many events each chain gets, in the order of the chains, so that no two writers wait for each other.
    """
    chains = list(lengths)
    known = {chain for (chain,) in rows_by_key(AuditHead, ("chain",), {}, "chain", chains)}
    bulk_upsert(AuditHead, ("chain", "seq", "digest"), [(chain, START.seq, START.digest) for chain in chains if chain not in known],
                conflict=("chain",), add=("seq",))
    bulk_update(AuditHead, ("chain",), list(lengths.items()), add=("seq",))
    return sorted(rows_by_key(AuditHead, ("chain", "seq", "digest"), {}, "chain", chains))
