"""The audit log as a file: one event a line, with what its digest covers, and a signed last line. It verifies without the database."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from peewee import fn

from core import clock
from core.audit.links import Link, digest_of, facts_of, stretch
from core.audit.models import AuditEvent
from core.audit.sealing import SealingKey, is_signed, newest_seal
from core.audit.verifying import Fault, anchor_of, chains

FILE = "file"  # stands for a chain where it is the file itself that does not hold


def lines(key: SealingKey, *, customer_id: str | None = None, since: int | None = None, until: int | None = None) -> Iterator[str]:
    """The lines, each ending in a line feed; a batch of events is in memory at a time.

    Each chain is written without gaps: from the first event at ``since`` or later to the last before ``until``.

    :param customer_id: only his chain; all when None.
    """
    whole, events, found = hashlib.sha256(), 0, 0
    for chain in chains() if customer_id is None else [customer_id]:
        size = 0
        for line in _chain(chain, since, until):
            whole.update(line.encode())
            size += 1
            yield line
        events, found = events + size, found + bool(size)
    seal = newest_seal()
    end = {"exportedAt": clock.iso(clock.now()), "customer": customer_id, "since": clock.iso(since), "until": clock.iso(until),
           "chains": found, "events": events, "seal": seal and {"number": seal.number, "at": clock.iso(seal.at), "root": seal.root},
           "sha256": whole.hexdigest()}
    yield _line({"end": end, "key": key.public, "signature": key.signature("export", end)})


def _chain(chain: str, since: int | None, until: int | None) -> Iterator[str]:
    first, last = _ends(chain, since, until)
    before = _digest_before(chain, first)
    for event in stretch(chain, first - 1, last):
        yield _line({"chain": chain, "time": clock.iso(event.at), "event": facts_of(event), "before": before, "digest": event.digest})
        before = event.digest


def _ends(chain: str, since: int | None, until: int | None) -> tuple[int, int]:
    """Numbers of the first and the last event; none lies between them when there is no such event."""
    mine = AuditEvent.chain == chain
    late_enough = mine if since is None else mine & (AuditEvent.at >= since)
    early_enough = mine if until is None else mine & (AuditEvent.at < until)
    first = AuditEvent.select(fn.MIN(AuditEvent.seq)).where(late_enough).scalar()
    last = AuditEvent.select(fn.MAX(AuditEvent.seq)).where(early_enough).scalar()
    return (first, last) if first is not None and last is not None else (1, 0)


def _digest_before(chain: str, seq: int) -> str:
    row = AuditEvent.get_or_none(AuditEvent.chain == chain, AuditEvent.seq == seq - 1)
    return row.digest if row is not None else anchor_of(chain).base.digest


def _line(told: Mapping[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n"


@dataclass(slots=True)
class FileExamination:
    """What was found in a file: ``end`` is its last line, ``key`` the public key that signed it."""

    chains: int = 0
    events: int = 0
    key: str = ""
    end: Mapping[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def examine_file(given: Iterable[str], key: str | None = None) -> FileExamination:
    """Recompute an exported file, a line in memory at a time; of each chain the first fault is told.

    :param key: the public key that must have signed it; without one the file only proves that it is whole since somebody signed it.
    """
    found, reader, whole, last_line = FileExamination(), _Reader(), hashlib.sha256(), None
    for number, line in enumerate(given, 1):
        if last_line is not None:
            found.faults.append(Fault(FILE, number, "goes on behind its last line"))
            break
        told = _told(line)
        if "end" in told:
            last_line = told
            continue
        whole.update(line.encode())
        fault = reader.read(told, number)
        found.faults += [fault] if fault is not None else []
    found.chains, found.events = reader.chains, reader.events
    _conclude(found, last_line, whole.hexdigest(), key)
    return found


def _told(line: str) -> Mapping[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


class _Reader:
    """Follows the chains of a file, one behind the other."""

    def __init__(self) -> None:
        self.chains = self.events = 0
        self._chain, self._link, self._is_broken = "", Link(0, ""), False

    def read(self, told: Mapping[str, Any], number: int) -> Fault | None:
        try:
            chain, event, before, digest = str(told["chain"]), told["event"], told["before"], told["digest"]
            seq, is_told_right = int(event["seq"]), told["time"] == clock.iso(event["at"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return Fault(FILE, number, "is a line that is no event")
        self.events += 1
        if chain != self._chain:
            is_in_order = chain > self._chain
            self.chains, self._chain, self._link, self._is_broken = self.chains + 1, chain, Link(seq - 1, before), False
            if not is_in_order:
                self._is_broken = True
                return Fault(chain, seq, "is out of order")
        fits = is_told_right and (seq - 1, before) == self._link and digest == digest_of(before, chain, event)
        fault = None if fits or self._is_broken else Fault(chain, self._link.seq + 1, "is missing, changed or not in its place")
        self._is_broken, self._link = self._is_broken or not fits, Link(seq, digest)
        return fault


def _conclude(found: FileExamination, last_line: Mapping[str, Any] | None, digest: str, key: str | None) -> None:
    if last_line is None:
        found.faults.append(Fault(FILE, found.events + 1, "is cut short: the signed last line is missing"))
        return
    end, found.key = last_line["end"], str(last_line.get("key", ""))
    if not isinstance(end, dict) or not is_signed(found.key, str(last_line.get("signature", "")), "export", end):
        found.faults.append(Fault(FILE, found.events + 1, "has a last line that was changed"))
        return
    found.end = end
    if end.get("sha256") != digest:
        found.faults.append(Fault(FILE, found.events + 1, "is not what was signed"))
    if key is not None and key != found.key:
        found.faults.append(Fault(FILE, found.events + 1, f"was signed with another key, {found.key}"))
