"""``python -m plugins.connectwise.upstream``: a stand-in by itself. Prints its address first, then the keys it made up."""

import os
import signal
import sys
import threading

import click

from core.testing.standin import StandIn
from plugins.connectwise.upstream import create_app, demo_world
from plugins.connectwise.upstream.seed import COMPANIES, CONFIGURATIONS


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--companies", default=COMPANIES, show_default=True, help="Beside those of the demo's customers.")
@click.option("--configurations", default=CONFIGURATIONS, show_default=True, help="Of each company at most.")
def main(port: int, companies: int, configurations: int) -> None:
    """Serve a stand-in of ConnectWise on the loopback until it is told to stop.

    STANDIN_PRIVATE_KEY gives the private key of the API member PUBkey1234567890; without it a fresh one is made and printed.
    """
    world = demo_world(companies, configurations)
    given = os.environ.get("STANDIN_PRIVATE_KEY", "")
    public, private = world.admit("PUBkey1234567890", given)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with StandIn(create_app(world), port=port) as server:
        click.echo(server.url)
        if not given:
            click.echo(f"company {world.login}, public key {public}, private key {private}, any client id")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
