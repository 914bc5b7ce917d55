"""The audit log's part of the command line, and of what the scheduler does."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from core import audit, clock
from core.access.service import COMMAND
from core.audit import export as exporting
from core.audit import upkeep
from core.audit.export import FILE
from core.audit.sealing import SealingKey
from core.audit.verifying import SEAL, Fault, examine
from core.deployment import Deployment
from core.runtime.exits import CommandFailed, ExitCode


def keep(deployment: Deployment) -> None:
    """Seal what was recorded, and delete what is too old."""
    upkeep.tick(sealing_key(deployment), deployment.settings.audit_retention_days, clock.now())


def sealing_key(deployment: Deployment) -> SealingKey:
    """What the log is sealed with. It stays the same when the master key is changed."""
    return SealingKey(deployment.keyring.derived("audit seal"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found.

    :ivar seal: number, moment and root of the seal, or of the one at the time of an export; None when there was none.
    """

    events: int
    chains: int
    seal: dict[str, Any] | None
    key: str
    faults: list[Fault]

    def as_json(self) -> dict[str, Any]:
        return {"whole": not self.faults, "events": self.events, "chains": self.chains, "seal": self.seal, "key": self.key,
                "faults": [{"chain": fault.chain, "event": fault.seq, "reason": fault.reason} for fault in self.faults]}

    def lines(self) -> Iterator[str]:
        yield from map(_told, self.faults)
        seal = f"seal {self.seal['number']} of {self.seal['at']}" if self.seal else "not sealed yet"
        yield f"{self.events} events in {self.chains} chains, {seal}, key {self.key}"


def _told(fault: Fault) -> str:
    word = {SEAL: "seal", FILE: "line"}.get(fault.chain, f"chain {fault.chain}: event")
    return f"{word} {fault.seq} {fault.reason}"


def of_database(deployment: Deployment, at_least: int = 0) -> Verdict:
    """Verify the log where it is kept."""
    key = sealing_key(deployment)
    found = examine(key.public, at_least=at_least)
    seal = found.seal and {"number": found.seal.number, "at": clock.iso(found.seal.at), "root": found.seal.root}
    return Verdict(found.events, found.chains, seal, key.public, found.faults)


def of_file(name: str, key: str | None) -> Verdict:
    """Verify an exported file.

    :raises CommandFailed: when it cannot be read.
    """
    with _reading(name) as stream:
        found = exporting.examine_file(stream, key)
    return Verdict(found.events, found.chains, found.end.get("seal"), found.key, found.faults)


def export(deployment: Deployment, customer_id: str | None, since: int | None, until: int | None, output: str | None) -> None:
    """Write the log, or a part of it, to a new file or to standard output.

    :raises CommandFailed: when the file exists already or cannot be made.
    """
    audit.record("audit.exported", actor=COMMAND.actor, customer_id=customer_id,
                 details={"since": clock.iso(since), "until": clock.iso(until)})
    with _writing(output) as stream:
        stream.writelines(exporting.lines(sealing_key(deployment), customer_id=customer_id, since=since, until=until))


@contextmanager
def _reading(name: str) -> Iterator[IO[str]]:
    if name == "-":
        yield sys.stdin
        return
    try:
        number = os.open(name, os.O_RDONLY)
    except OSError as problem:
        raise CommandFailed(ExitCode.NOT_FOUND, f"{name} cannot be read: {problem.strerror}") from problem
    with open(number, encoding="utf-8", errors="replace", newline="\n") as stream:
        yield stream


@contextmanager
def _writing(name: str | None) -> Iterator[IO[str]]:
    if name is None:
        yield sys.stdout
        return
    try:
        number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise CommandFailed(ExitCode.REFUSED, f"{name} cannot be made: {problem.strerror}") from problem
    with open(number, "w", encoding="utf-8") as stream:
        yield stream
