"""``python -m plugins.sonarqube.upstream``: a stand-in by itself. Prints its address first, then the tokens it made up."""

import json
import os
import signal
import sys
import threading

import click

from core.testing.standin import StandIn
from plugins.sonarqube.upstream import DEMO, ORGANIZATIONS, Flavour, Plan, Token, World, create_app, default_world

_PLAN, _FLAVOUR = Plan(), Flavour()


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--projects", default=_PLAN.projects, show_default=True)
@click.option("--issues", default=_PLAN.issues, show_default=True, help="Open or dismissed vulnerabilities, all projects together.")
@click.option("--largest", default=_PLAN.largest, show_default=True, help="How many of them the largest project has.")
@click.option("--demo", is_flag=True, help=f"A smaller world: {DEMO.projects} projects, {DEMO.issues} issues.")
@click.option("--cloud", is_flag=True, help="Be SonarQube Cloud instead of a Server.")
@click.option("--version", "version", default=_FLAVOUR.version, show_default=True, help="Version of the Server.")
def main(port: int, projects: int, issues: int, largest: int, demo: bool, cloud: bool, version: str) -> None:
    """Serve a stand-in of SonarQube on the loopback until it is told to stop.

    STANDIN_TOKENS, a JSON object, gives the token of each organization; without it fresh ones are made and printed.
    """
    plan = DEMO if demo else Plan(projects, issues, largest)
    world = default_world(plan, Flavour(cloud=cloud, version=version))
    made = _admit(world, json.loads(os.environ.get("STANDIN_TOKENS") or "{}"))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with StandIn(create_app(world), port=port) as server:
        click.echo(server.url)
        for organization, token in made.items():
            click.echo(f"token of {organization}: {token}")
        sys.stdout.flush()
        stopped.wait()


def _admit(world: World, given: dict[str, str]) -> dict[str, str]:
    """Admit one token for each organization; those that had to be made up are returned."""
    tokens = {organization: world.admit(Token(organization, admin=True), given.get(organization, "")) for organization in ORGANIZATIONS}
    return {organization: token for organization, token in tokens.items() if organization not in given}


if __name__ == "__main__":
    main()
