"""The seal over all chains: one signature that tells how far each was, so that a chain that is gone or cut short shows.

A chain alone does not tell that it was dropped as a whole, or that its newest events and its head were taken back. So every
minute the scheduler writes down where each chain is (its anchor) and signs the digest of all anchors, with a key that cannot be
read from the database alone. What a new seal stands on is looked at first, the anchors and then the events since: what was
changed meanwhile is never sealed over. See docs/decisions/0015-audit.md.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from peewee import JOIN

from core import clock
from core.audit.links import START, Link, Misfit, followed, stretch
from core.audit.models import AuditAnchor, AuditHead, AuditSeal
from core.audit.service import record
from core.db import atomic

log = logging.getLogger(__name__)

EVERY = clock.MINUTE
BEGUN = "audit.sealing_begun"
_ONE = 1  # the only row
_CHAINS_AT_ONCE, _EVENTS_AT_ONCE = 1000, 5000  # in one transaction, since SQLite lets nobody else write meanwhile
_SECONDS_AT_ONCE = 2.0


class Anchor(NamedTuple):
    """The last link of a chain that was sealed, and the link that the chain begins after."""

    sealed: Link = START
    base: Link = START


Anchors = dict[str, Anchor]


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The secret half: 32 bytes that cannot be read from the database alone."""

    secret: bytes

    @property
    def public(self) -> str:
        """What signatures are verified by, in hex."""
        return Ed25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"<SealingKey {self.public}>"

    def signature(self, *message: object) -> str:
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(_bytes_of(message)).hex()


def is_signed(key: str, signature: str, *message: object) -> bool:
    """Whether the signature was made with the secret behind this public key; False as well when either is no such thing."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), _bytes_of(message))
    except (InvalidSignature, ValueError):
        return False
    return True


def _bytes_of(message: Sequence[object]) -> bytes:
    return json.dumps(["stockade audit", *message], ensure_ascii=False, separators=(",", ":")).encode()


def seal_if_due(key: SealingKey, now: int) -> bool:
    """Seal what was recorded since the last time, once that was a while ago; True when there was something to seal."""
    newest = newest_seal()
    if newest is not None and now - newest.looked_at < EVERY:
        return False
    deadline, has_sealed = time.monotonic() + _SECONDS_AT_ONCE, False
    while time.monotonic() < deadline and seal(key, now):
        has_sealed = True
    return has_sealed


def seal(key: SealingKey, now: int, change: "Callable[[Anchors], bool] | None" = None) -> bool:
    """Let ``change`` move the anchors (over what was recorded, unless told otherwise), and sign them.

    :param change: writes what it changes to the database and to the anchors that it is given; False when it changed nothing.
    :returns: False when nothing had to be signed, or when what was sealed before is no longer what is there.
    """
    with atomic():
        before, known = _locked(now), anchors()
        if not is_sound(before, known, key.public):
            log.error("the audit log is not sealed any more: the seal does not fit what it was put on; run stockade audit verify")
            return False
        if before.number == 0:
            record(BEGUN, actor="scheduler")
        if not (change or advance)(known) and before.number > 0:
            return False
        _sign(key, before.number + 1, known)
    return True


def _locked(now: int) -> AuditSeal:
    """The seal as it was, locked until the transaction ends."""
    AuditSeal.insert(id=_ONE, number=0, at=0, root="", key="", signature="", looked_at=now).on_conflict_ignore().execute()
    AuditSeal.update(looked_at=now).where(AuditSeal.id == _ONE).execute()
    return AuditSeal.get_by_id(_ONE)


def is_sound(newest: AuditSeal | None, known: Anchors, key: str) -> bool:
    """Whether the seal fits the anchors, and was made with the secret behind this public key."""
    if newest is None or newest.number == 0:
        return not known
    return (newest.key == key and newest.root == root_of(known)
            and is_signed(newest.key, newest.signature, "seal", newest.number, newest.at, newest.root))


def advance(known: Anchors) -> bool:
    """Move anchors over so many events at most; a chain that does not hold keeps the anchor that it has."""
    left, has_moved = _EVENTS_AT_ONCE, False
    for chain, head in _moved():
        anchor = known.get(chain, Anchor())
        link = reached(chain, anchor.sealed, min(head, anchor.sealed.seq + left))
        if link != anchor.sealed:
            left, has_moved = left - (link.seq - anchor.sealed.seq), True
            move(known, chain, anchor._replace(sealed=link))
        if left <= 0:
            break
    return has_moved


def move(known: Anchors, chain: str, anchor: Anchor) -> None:
    """Write down a chain's anchor."""
    known[chain] = anchor
    facts = {"seq": anchor.sealed.seq, "digest": anchor.sealed.digest, "base_seq": anchor.base.seq, "base_digest": anchor.base.digest}
    AuditAnchor.insert(chain=chain, **facts).on_conflict(conflict_target=[AuditAnchor.chain], update=facts).execute()


def _moved() -> list[tuple[str, int]]:
    """Chains that go on behind their anchor, with their newest number."""
    return list(AuditHead.select(AuditHead.chain, AuditHead.seq)
                .join(AuditAnchor, JOIN.LEFT_OUTER, on=(AuditAnchor.chain == AuditHead.chain))
                .where(AuditAnchor.chain.is_null() | (AuditHead.seq > AuditAnchor.seq))
                .order_by(AuditHead.chain).limit(_CHAINS_AT_ONCE).tuples())


def reached(chain: str, start: Link, through: int) -> Link:
    """The last link up to which the chain holds from ``start`` on, whose digest is what the next event has to follow."""
    link = start
    try:
        for following in followed(chain, start, stretch(chain, start.seq, through)):
            link = following
    except Misfit as misfit:
        log.error("the audit log is broken: chain %s does not hold at event %d", chain, misfit.seq)
    return link


def _sign(key: SealingKey, number: int, known: Anchors) -> None:
    at, root = clock.now(), root_of(known)
    (AuditSeal.update(number=number, at=at, root=root, key=key.public, signature=key.signature("seal", number, at, root))
     .where(AuditSeal.id == _ONE).execute())
    # Logs that are kept elsewhere tell when a whole database was put back to an earlier state.
    log.info("audit log sealed", extra={"fields": {"seal": number, "root": root}})


def newest_seal() -> AuditSeal | None:
    return AuditSeal.get_or_none(AuditSeal.id == _ONE)


def anchors() -> Anchors:
    columns = (AuditAnchor.chain, AuditAnchor.seq, AuditAnchor.digest, AuditAnchor.base_seq, AuditAnchor.base_digest)
    return {chain: Anchor(Link(seq, digest), Link(base_seq, base_digest))
            for chain, seq, digest, base_seq, base_digest in AuditAnchor.select(*columns).tuples()}


def root_of(known: Anchors) -> str:
    """The digest of all anchors, in the order of their chains."""
    whole = hashlib.sha256()
    for chain in sorted(known):
        whole.update(_bytes_of((chain, *known[chain].sealed, *known[chain].base)))
    return whole.hexdigest()
