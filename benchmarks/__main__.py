"""``python -m benchmarks [PART ...]`` measures, and fails when a bound is missed; without a name, everything but ``scaling``."""

import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import (
    companies,
    importing,
    live,
    permissions,
    pulling,
    reading,
    scaling,
    sealing,
    signing_in,
    starting,
    storing,
    syncing,
    verdicts,
)
from benchmarks.report import Report
from core import db
from core.db import schema
from tests.servers import start_postgres

PER_DATABASE: dict[str, Callable[[Report], None]] = {"storing": storing.measure, "verdicts": verdicts.measure,
                                                    "reading": reading.measure, "companies": companies.measure, "live": live.measure,
                                                    "signing_in": signing_in.measure, "permissions": permissions.measure,
                                                    "sealing": sealing.measure}
ONCE: dict[str, Callable[[Report], None]] = {"importing": importing.measure, "pulling": pulling.measure,
                                             "syncing": syncing.measure, "starting": starting.measure}
WHEN_NAMED: dict[str, Callable[[Report], None]] = {"scaling": scaling.measure}  # five minutes, and only on a machine that does nothing else


@contextmanager
def sqlite() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        database = db.configure(f"sqlite:///{Path(folder) / 'bench.sqlite3'}")
        schema.upgrade()
        yield
        database.close_all()


@contextmanager
def postgres() -> Iterator[None]:
    server = start_postgres()
    try:
        server.run("CREATE DATABASE bench")
        database = db.configure(server.url("bench"))
        schema.upgrade()
        yield
        database.close_all()
    finally:
        server.stop()


def main(wanted: list[str]) -> int:
    logging.basicConfig(level=logging.ERROR)
    unknown = set(wanted) - PER_DATABASE.keys() - ONCE.keys() - WHEN_NAMED.keys()
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join([*PER_DATABASE, *ONCE, *WHEN_NAMED])}", file=sys.stderr)
        return 2
    report = Report()
    for name, measure in PER_DATABASE.items():
        for opened in (sqlite, postgres):
            if not wanted or name in wanted:
                print(f"{name} ({opened.__name__})")
                with opened():
                    measure(report)
    for name, measure in [*ONCE.items(), *WHEN_NAMED.items()]:
        if name in wanted or (not wanted and name in ONCE):
            print(name)
            measure(report)
    for figure in report.missed:
        print(f"missed: {figure.what}: {figure.value}, {figure.bound}", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
