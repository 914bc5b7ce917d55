"""Proving the audit log: every chain by itself, and all of them by the seal. Others may go on writing meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from peewee import fn

from core.audit.links import START, Link, Misfit, followed, stretch
from core.audit.models import AuditAnchor, AuditEvent, AuditHead, AuditSeal
from core.audit.sealing import BEGUN, Anchor, Anchors, anchors, is_sound, newest_seal
from core.audit.service import NO_CUSTOMER

SEAL = "seal"  # stands for a chain where it is the seal itself that does not fit


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the log does not hold.

    :ivar seq: number of the first event that is missing, changed or one too many; of the seal, when the chain is ``seal``.
    """

    chain: str
    seq: int
    reason: str


@dataclass(slots=True)
class Examination:
    """What was found: ``chains`` and ``events`` looked at, the seal that was there, and the faults."""

    seal: AuditSeal | None
    chains: int = 0
    events: int = 0
    faults: list[Fault] = field(default_factory=list)


def examine(key: str, *, at_least: int = 0) -> Examination:
    """Recompute everything.

    :param key: the public key that the seal has to be made with.
    :param at_least: the number of a seal that was seen once; an older one means that the database was put back.
    """
    seal, known = _sealed()
    found = Examination(seal)
    if not is_sound(seal, known, key):
        found.faults.append(Fault(SEAL, seal.number if seal else 0, "does not fit what it was put on, or was made with another key"))
    elif at_least > (seal.number if seal else 0):
        found.faults.append(Fault(SEAL, seal.number if seal else 0, f"is older than {at_least}, which was there once"))
    found.faults += _begun_anew()
    for chain in chains():
        found.chains += 1
        found.events += _walk(chain, found.faults)
    return found


def _sealed() -> tuple[AuditSeal | None, Anchors]:
    """The seal with the anchors that belong to it: it is written last, so they do when it is still the same afterwards."""
    while True:
        seal, known = newest_seal(), anchors()
        again = newest_seal()
        if (seal and seal.number) == (again and again.number):
            return seal, known


def _begun_anew() -> Iterator[Fault]:
    """Sealing begins once; when it did again, somebody took the seal away."""
    begun = (AuditEvent.select(AuditEvent.seq).where(AuditEvent.chain == NO_CUSTOMER, AuditEvent.action == BEGUN)
             .order_by(AuditEvent.seq).tuples())
    for (seq,) in list(begun)[1:]:
        yield Fault(NO_CUSTOMER, seq, "sealing was begun anew")


def _walk(chain: str, faults: list[Fault]) -> int:
    """How many events of the chain hold; what does not is added to the faults."""
    anchor = anchor_of(chain)
    head = AuditHead.get_or_none(AuditHead.chain == chain)  # read after the anchor: it is there, or further
    end = Link(head.seq, head.digest) if head is not None else START
    count, last = 0, anchor.base
    try:
        for last in followed(chain, anchor.base, stretch(chain, 0, end.seq)):
            count += 1
            if last.seq == anchor.sealed.seq and last != anchor.sealed:
                raise Misfit(last.seq)
    except Misfit as misfit:
        if anchor_of(chain).base != anchor.base:
            return _walk(chain, faults)  # what is too old was deleted meanwhile
        faults.append(Fault(chain, misfit.seq, "is missing, changed or not in its place"))
        return count
    if last.seq < anchor.sealed.seq or (head is not None and last != end):
        faults.append(Fault(chain, last.seq + 1, "is missing"))
    elif (stray := _stray(chain)) is not None:
        faults.append(Fault(chain, stray, "was put in from outside"))
    return count


def anchor_of(chain: str) -> Anchor:
    row = AuditAnchor.get_or_none(AuditAnchor.chain == chain)
    return Anchor(Link(row.seq, row.digest), Link(row.base_seq, row.base_digest)) if row is not None else Anchor()


def _stray(chain: str) -> int | None:
    """The number of an event beyond the head: the head always moves with its events, so somebody else put it there."""
    last = AuditEvent.select(fn.MAX(AuditEvent.seq)).where(AuditEvent.chain == chain).scalar() or 0
    head = AuditHead.get_or_none(AuditHead.chain == chain)  # read after the event: it may have moved on, never back
    return last if last > (head.seq if head is not None else 0) else None


def chains() -> list[str]:
    """Every chain that there is a trace of."""
    known = AuditHead.select(AuditHead.chain) | AuditEvent.select(AuditEvent.chain).distinct() | AuditAnchor.select(AuditAnchor.chain)
    return sorted(chain for (chain,) in known.tuples())


def verify(chain: str) -> int | None:
    """Recompute one chain; None when it is whole, else the number of the first event that does not fit."""
    faults: list[Fault] = []
    _walk(chain, faults)
    return faults[0].seq if faults else None


def broken_chains() -> dict[str, int]:
    """Every chain that is not whole, with the number of the first event that does not fit; empty when all are."""
    return {chain: seq for chain in chains() if (seq := verify(chain)) is not None}
