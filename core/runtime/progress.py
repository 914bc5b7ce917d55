"""Runs on a terminal: the newest ones, and one followed to its end."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from core import clock
from core.connections.models import IMPORT, UNFINISHED, Run
from core.db import db
from core.hooks.contracts import Severity
from core.runtime.exits import CommandFailed, ExitCode
from core.scope import HOUSE
from core.tenancy import service as tenancy
from core.tenancy.models import Customer

_LOOK_SECONDS = 0.25
_BAR = 28
_COUNTS = (("added", "new"), ("changed", "changed"), ("reopened", "reopened"), ("closed", "closed"), ("pruned", "assets pruned"),
           ("matched", "matched"), ("created", "new customers"), ("doubtful", "to review"), ("removed", "marked as removed"))


def newest(customers: Sequence[Customer] | None, limit: int) -> list[dict[str, Any]]:
    """The newest runs of some customers, or of all and the MSP's own."""
    query = Run.select().order_by(Run.requested_at.desc(), Run.id.desc()).limit(limit)
    if customers is not None:
        query = query.where(Run.customer_id.in_([customer.id for customer in customers]))
    found = list(query)
    named = tenancy.names_of({run.customer_id for run in found})
    names = {HOUSE: "the MSP's own", **{key: naming.name for key, naming in named.items()}}
    return [_facts(names.get(run.customer_id, run.customer_id), run) for run in found]


def _facts(customer: str, run: Run) -> dict[str, Any]:
    return {"id": run.id, "customerId": run.customer_id, "customer": customer, "source": run.source, "state": run.state,
            "phase": run.phase, "done": run.done, "ofHowMany": run.of_how_many, "counts": run.counts, "reason": run.reason,
            "trigger": run.trigger, "requestedBy": run.requested_by, "requestedAt": clock.iso(run.requested_at),
            "finishedAt": clock.iso(run.finished_at)}


def severity(value: int) -> str:
    """``critical``."""
    return Severity(value).name.lower()


def line(facts: dict[str, Any]) -> str:
    """One run in one line for a person."""
    counts = _counted(facts["counts"])
    tail = facts["reason"] or counts
    return f"{facts['requestedAt'][:19]}  {facts['id']}  {facts['state']:<10} {facts['source']:<12} {facts['customer']}" + (
        f"\n{'':21}{tail}" if tail else "")


def follow(run_id: str) -> None:
    """Show a run's progress until it ends: a bar on a terminal, else a line for each phase.

    :raises CommandFailed: when it ends other than in success.
    """
    is_terminal = sys.stdout.isatty()
    shown = ""
    try:
        while (run := _look(run_id)).state in UNFINISHED:
            text = _bar(run) if is_terminal else _phase(run)
            if text != shown:
                click.echo(f"\r\x1b[K{text}" if is_terminal else text, nl=not is_terminal)
                shown = text
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        click.echo(f"\nthe run goes on: stockade runs shows {run_id}", err=True)
        raise
    if is_terminal:
        click.echo("\r\x1b[K", nl=False)
    conclude(run)


def _look(run_id: str) -> Run:
    with db.connection_context():
        return Run.get_by_id(run_id)


def _phase(run: Run) -> str:
    things = "findings" if run.trigger == IMPORT else "records" if run.customer_id == HOUSE else "assets"
    of = f" of {run.of_how_many} {things}" if run.of_how_many else ""
    return f"{run.source}: {run.phase}{of}" if run.phase else f"{run.source}: {run.state}"


def _bar(run: Run) -> str:
    if not run.of_how_many:
        return f"{_phase(run)} {run.done or ''}".rstrip()
    filled = _BAR * run.done // run.of_how_many
    bar = "#" * filled + "." * (_BAR - filled)
    return f"{run.source}: {run.phase} [{bar}] {run.done}/{run.of_how_many}  {_counted(run.counts)}".rstrip()


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[name]:,} {word}" for name, word in _COUNTS if counts.get(name))


def conclude(run: Run, *, silently: bool = False) -> None:
    """Tell how a run ended.

    :param silently: say nothing when it succeeded.
    :raises CommandFailed: when it ended other than in success.
    """
    told = f"{run.source}: {run.state}"
    if run.state == "succeeded":
        if not silently:
            click.echo(f"{told}, {_counted(run.counts) or 'nothing changed'}")
    elif run.state == "held":
        raise CommandFailed(ExitCode.RUN_HELD, f"{told}: {run.reason}")
    else:
        raise CommandFailed(ExitCode.RUN_FAILED, f"{told} ({run.reason_code}): {run.reason}")
