"""The keys' part of the command line."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from core.access.service import COMMAND
from core.credentials import rotation, service
from core.deployment import Deployment
from core.runtime.exits import CommandFailed, ExitCode
from core.tenancy.models import Customer

_SAID_SECONDS = 1.0


def status(deployment: Deployment) -> dict[str, Any]:
    """How the keys stand, as JSON shows it."""
    found = rotation.status(deployment.keyring)
    masters = [{"id": one.key_id, "current": one.is_current, "configured": one.is_known, "dataKeys": one.data_keys}
               for one in found.master_keys]
    return {"masterKeys": masters, "configured": deployment.keyring.key_id, "customers": found.customers,
            "unfinishedRotations": found.rotating, "values": found.values}


def lines(shown: dict[str, Any]) -> Iterator[str]:
    """The same for a person, with what is left to do."""
    for one in shown["masterKeys"]:
        notes = [word for word, holds in (("current", one["current"]), ("STOCKADE_MASTER_KEY", one["id"] == shown["configured"]),
                                          ("not configured here", not one["configured"])) if holds]
        yield f"master key {one['id']}  {one['dataKeys']} data keys  {', '.join(notes)}".rstrip()
    yield f"{shown['customers']} customers' data keys, {shown['values']} sealed values"
    if any(one["dataKeys"] and one["id"] != shown["configured"] for one in shown["masterKeys"]):
        yield "data keys are still wrapped by an earlier master key: `stockade keys rewrap`"
    if shown["unfinishedRotations"]:
        yield f"a rotation was cut short, {shown['unfinishedRotations']} customers are left: `stockade keys rotate` goes on with it"


def rewrap(deployment: Deployment) -> str:
    """Have the data keys wrapped by the master key of the settings; tells what was done."""
    wrapped = rotation.rewrap(deployment.keyring, _Progress("data keys wrapped").tell, actor=COMMAND.actor)
    return f"{wrapped} data keys wrapped; the master key is {deployment.keyring.key_id}, and no other is needed"


def rotate(deployment: Deployment, customer: Customer | None) -> str:
    """Give customers new data keys; tells what was done."""
    done = rotation.rotate(deployment.keyring, _Progress("values looked at").tell, actor=COMMAND.actor,
                           customer_id=customer.id if customer else None)
    began = "an unfinished rotation was ended" if done.resumed else f"{done.customers} new data keys"
    return f"{began}, {done.values} values sealed anew"


def destroy(deployment: Deployment, customer: Customer, confirmed: str | None) -> str:
    """Destroy a customer's secrets for good, once somebody has typed the customer's name; tells what was done.

    :raises CommandFailed: when another name was typed.
    """
    if confirmed is None:
        if not sys.stdin.isatty():
            raise click.UsageError("this cannot be undone: give --confirm with the customer's name, or run this on a terminal")
        click.echo(f"All secrets of {customer.name} will be gone for good, its connections' too.", err=True)
        confirmed = click.prompt("Its name, to go on", err=True)
    if confirmed.strip() != customer.name:
        raise CommandFailed(ExitCode.REFUSED, f"that is not the name of {customer.id}; nothing was destroyed")
    service.destroy_customer_key(customer.id, actor=COMMAND.actor)
    return f"the data key of {customer.name} and all that was sealed under it are destroyed; backups of before still hold both"


class _Progress:
    """Says at most once a second how far it is."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said_at = 0.0

    def tell(self, done: int, of: int) -> None:
        if time.monotonic() - self._said_at >= _SAID_SECONDS or done == of:
            self._said_at = time.monotonic()
            click.echo(f"{done} of {of} {self._what}", err=True)
