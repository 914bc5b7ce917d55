"""``python -m core.testing.openid``: the stand-in by itself. Prints its address first."""

import os
import secrets
import signal
import sys
import threading

import click

from core.testing.openid import NORTHWIND, App, World, create_app
from core.testing.standin import StandIn


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--client-id", default="66666666-7777-4888-9999-aaaaaaaaaaaa", show_default=True)
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where codes may be sent; may be repeated.")
def main(port: int, client_id: str, redirect_uris: tuple[str, ...]) -> None:
    """Serve a stand-in of Microsoft's identity platform on the loopback until it is told to stop.

    STANDIN_CLIENT_SECRET gives the application's secret; without it a fresh one is made and printed.
    """
    given = os.environ.get("STANDIN_CLIENT_SECRET")
    app = App(client_id, given or secrets.token_urlsafe(24), redirect_uris)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with StandIn(create_app(World(app)), port=port) as server:
        click.echo(server.url)
        click.echo(f"tenant {NORTHWIND}, client id {client_id}" + ("" if given else f", secret {app.secret}"))
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
