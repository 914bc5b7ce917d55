"""``python -m plugins.checkmarx.upstream``: a stand-in by itself. Prints its address first, then the credentials it made up."""

import json
import os
import secrets
import signal
import sys
import threading

import click

from core.testing.standin import StandIn
from plugins.checkmarx.upstream import DEMO, TENANTS, Credential, Plan, World, create_app, default_world

CLIENT = "findings-portal"


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--projects", default=DEMO.projects, show_default=True)
@click.option("--results", default=DEMO.results, show_default=True, help="Of the newest scans, all projects together.")
@click.option("--largest", default=DEMO.largest, show_default=True, help="How many of them the largest project has.")
@click.option("--attacks", default=DEMO.attacks, show_default=True, help="What DAST finds, all environments together.")
def main(port: int, projects: int, results: int, largest: int, attacks: int) -> None:
    """Serve a stand-in of Checkmarx One on the loopback until it is told to stop.

    STANDIN_TOKENS, a JSON object, gives the client secret of each tenant; without it fresh ones are made and printed.
    """
    world = default_world(Plan(projects, results, largest, attacks))
    given = json.loads(os.environ.get("STANDIN_TOKENS") or "{}")
    made = _admit(world, given)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with StandIn(create_app(world), port=port) as server:
        click.echo(server.url)
        for tenant, secret in made.items():
            click.echo(f"tenant {tenant}: client id {CLIENT}, client secret {secret}")
            click.echo(f"tenant {tenant}: API key {world.admit_key(Credential(tenant), server.url)}")
        sys.stdout.flush()
        stopped.wait()


def _admit(world: World, given: dict[str, str]) -> dict[str, str]:
    """Admit one OAuth client for each tenant; the secrets that had to be made up are returned."""
    made = {tenant: secrets.token_urlsafe(24) for tenant in TENANTS if tenant not in given}
    for tenant, secret in {**given, **made}.items():
        world.admit_client(Credential(tenant, CLIENT, secret))
    return made


if __name__ == "__main__":
    main()
