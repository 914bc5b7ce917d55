"""What a second worker brings: every source of twenty customers at once, pulled by one worker process and by two."""

import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.report import Report
from core import db
from core.access import service as access
from core.connections import runs, service
from core.connections.models import Connection, Run
from core.db import schema
from core.deployment import Deployment
from core.findings import rollups
from core.findings.models import Finding
from core.scope import Scope
from core.tenancy import service as tenancy
from core.testing.standin import StandInProcess
from tests.processes import deployment_of, environment
from tests.servers import Processes, RedisServer, start_postgres

CUSTOMERS = 20
TENANTS = 2  # each stand-in of the demo holds the data of two; customers in turn are one of them
_PATIENCE_SECONDS = 900


def measure(report: Report) -> None:
    """On both databases: time from the first request to the last run's end, no run failed, totals equal a recount."""
    for kind in ("SQLite", "PostgreSQL"):
        one, two = (_seconds(kind, workers) for workers in (1, 2))
        report.at_least(f"{kind}: all sources of {CUSTOMERS} customers at once, two workers against one", one / two, 1.6,
                        f"{one / two:.2f} ({one:.0f} s, {two:.0f} s)")


def _seconds(kind: str, workers: int) -> float:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = RedisServer(folder / "redis")
        redis.folder.mkdir()
        redis.start()
        stack.callback(redis.stop)
        environ = environment(folder, _database(kind, folder, stack), redis.url)
        opened = db.configure(environ["STOCKADE_DATABASE_URL"])
        stack.callback(opened.close_all)
        schema.upgrade()
        access.ensure_built_in_roles()
        deployment = deployment_of(environ)
        connections = _connected(deployment, stack)
        processes = Processes(folder)
        stack.callback(processes.end)
        for _ in range(workers):
            processes.worker(environ)
        start = time.perf_counter()
        for connection in connections:
            runs.request_sync(deployment, connection, trigger="command", requested_by="bench")
        _wait_for_the_end()
        spent = time.perf_counter() - start
        assert {state for (state,) in Run.select(Run.state).distinct().tuples()} == {"succeeded"}
        assert rollups.check() == []
        assert Finding.select().count() > 0
        return spent


def _database(kind: str, folder: Path, stack: ExitStack) -> str:
    if kind == "SQLite":
        return f"sqlite:///{folder / 'bench.sqlite3'}"
    server = start_postgres()
    stack.callback(server.stop)
    server.run("CREATE DATABASE bench")
    return server.url("bench")


def _connected(deployment: Deployment, stack: ExitStack) -> list[Connection]:
    """A connection of every customer to the stand-in of every source, each stand-in a process of its own."""
    scopes = [Scope(tenancy.create(f"Customer {number}", actor="bench").id) for number in range(CUSTOMERS)]
    connections = []
    for offered in deployment.plugins.stand_ins():
        tokens = [offered.token_prefix + secrets.token_hex(20) for _ in range(TENANTS)]
        stand_in = stack.enter_context(StandInProcess(offered.module, [*offered.arguments, "--port", "0"], dict(offered.environ(tokens))))
        for number, scope in enumerate(scopes):
            settings = offered.settings(stand_in.url, tokens[number % TENANTS], number % TENANTS)
            connections.append(service.configure(deployment, scope, deployment.plugins.connector(offered.source), settings, actor="bench"))
    return connections


def _wait_for_the_end() -> None:
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while Run.select().where(Run.finished_at.is_null()).exists():
        if time.monotonic() > give_up:
            raise TimeoutError("the syncs did not end")
        time.sleep(0.05)
