"""Running it: all of it on one machine, or each part alone."""

import os
import sys
from typing import Any

import click

from core.runtime.commands.shared import home_option


@click.command()
@click.option("--demo", is_flag=True, help="With two customers whose data comes from stand-ins of the sources.")
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes: that many syncs at a time.")
def up(demo: bool, home: str | None, host: str, port: int, workers: int) -> None:
    """Run everything on this machine: web server, workers, scheduler, Redis and database, in one folder."""
    from core.runtime.home import Home
    from core.runtime.up import Wanted
    from core.runtime.up import up as run

    sys.exit(run(Home.of(home, os.environ), Wanted(host, port, workers, demo), os.environ))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--fd", type=int, hidden=True)
@click.option("--grace", default=20.0, show_default=True, help="Seconds for requests under way when it is asked to stop.")
def serve(host: str, port: int, fd: int | None, grace: float) -> None:
    """Run a web server alone, configured by the environment."""
    settings = _settings_of_service()
    from core.runtime.listening import listen
    from core.runtime.serve import serve as run

    run(settings, fd if fd is not None else listen(host, port).detach(), grace)


@click.command()
@click.option("--grace", default=20.0, show_default=True, help="Seconds for the job under way when it is asked to stop.")
def worker(grace: float) -> None:
    """Run a worker alone, configured by the environment."""
    settings = _settings_of_service()
    import core.connections.engine  # noqa: F401 - loaded once, shared by the forked jobs
    from core.audit import origin
    from core.db import db
    from core.jobs.worker import work
    from core.runtime.assemble import assemble

    origin.stand_as("job")
    assemble(settings)
    db.close_all()  # every job is forked off and connects by itself
    work(settings.redis_url, grace)


@click.command()
def scheduler() -> None:
    """Run a scheduler alone, configured by the environment. Of several, one is elected."""
    settings = _settings_of_service()
    from core.audit import origin
    from core.db import db
    from core.runtime.assemble import assemble
    from core.runtime.scheduler import run

    origin.stand_as("job")
    deployment = assemble(settings)
    db.close()
    run(deployment)


def _settings_of_service() -> Any:
    from core import logs
    from core.settings import SettingsError, load

    settings = load(os.environ)
    missing = [f"STOCKADE_{name.upper()} is missing" for name in ("redis_url", "master_key") if not getattr(settings, name)]
    if missing:
        raise SettingsError(missing)
    logs.configure(settings.log_level)
    sys.excepthook = _log_fault
    return settings


def _log_fault(kind: type[BaseException], problem: BaseException, trace: Any) -> None:
    import logging

    logging.getLogger("stockade").critical("ended by a fault of its own", exc_info=(kind, problem, trace))
