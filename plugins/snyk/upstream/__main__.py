"""``python -m plugins.snyk.upstream``: a stand-in by itself. Prints its address first, then the tokens it made up."""

import json
import os
import signal
import sys
import threading

import click

from core.testing.standin import StandIn
from plugins.snyk.upstream import DEMO, Plan, admit_companies, create_app, default_world


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--projects", default=DEMO.projects, show_default=True)
@click.option("--issues", default=DEMO.issues, show_default=True, help="Open and ignored ones of all types together.")
@click.option("--organizations", default=DEMO.organizations, show_default=True, help="Of each of the two companies.")
def main(port: int, projects: int, issues: int, organizations: int) -> None:
    """Serve a stand-in of Snyk on the loopback until it is told to stop.

    STANDIN_TOKENS, a JSON object, gives the token of each company; without it fresh ones are made and printed.
    """
    world = default_world(Plan(projects, issues, organizations))
    given = json.loads(os.environ.get("STANDIN_TOKENS") or "{}")
    tokens = admit_companies(world, given)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with StandIn(create_app(world), port=port) as server:
        click.echo(server.url)
        for company, token in tokens.items():
            if company not in given:
                click.echo(f"token of {company}: {token}")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
