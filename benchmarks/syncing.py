"""What a whole sync costs: a real worker pulls the stand-in's 60 projects over HTTP, with 2,500 issues and with 25,000."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import psutil

from benchmarks.report import Report
from core import db
from core.connections import runs
from core.connections.models import UNFINISHED, Connection, Run
from core.db import schema
from core.deployment import Deployment
from core.findings.models import Finding
from core.testing.standin import StandIn
from plugins.sonarqube.upstream import Plan, Project, World, create_app
from tests.processes import connected, deployment_of, environment, world_with_token
from tests.servers import Processes, RedisServer, start_postgres

LARGE = Plan()
SMALL = replace(LARGE, issues=LARGE.issues // 10, largest=LARGE.largest // 10, hotspots=LARGE.hotspots // 10)
MOST_MEMORY = 1.5
_ISSUES, _PAGE = "issues/search", 500
_LOOK_SECONDS = 0.01
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """Two syncs of one world, the second of which finds nothing new.

    :ivar peak: largest resident memory that the process of either job had, bytes.
    :ivar pages: requests for issues in the first sync.
    :ivar least_pages: as few as there can be: each project's issues by 500.
    """

    findings: int
    seconds: float
    seconds_again: float
    peak: int
    requests: int
    pages: int
    least_pages: int


def measure(report: Report) -> None:
    """On both databases, each size in a deployment of its own."""
    for kind, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        small, large = _measured(opened, SMALL), _measured(opened, LARGE)
        report.at_most(f"{kind}: worker's memory, {LARGE.issues:,} against {SMALL.issues:,} issues", large.peak / small.peak, MOST_MEMORY,
                       f"{large.peak / small.peak:.2f} ({large.peak / _MEBIBYTE:.0f} MiB)")
        report.add(f"{kind}: first sync of {large.findings:,} findings", f"{large.seconds:.1f} s ({large.findings / large.seconds:,.0f}/s)")
        report.add(f"{kind}: identical sync", f"{large.seconds_again:.1f} s ({large.findings / large.seconds_again:,.0f}/s)")
    report.add("HTTP requests per 10,000 findings, all kinds", f"{large.requests / large.findings * 10_000:.0f}")
    report.at_most("requests for issues, beyond n/500 rounded up for each project", large.pages - large.least_pages, 5,
                   f"{large.pages} ({large.least_pages} + {large.pages - large.least_pages})")


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'bench.sqlite3'}"


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    server = start_postgres()
    try:
        server.run("CREATE DATABASE bench")
        yield server.url("bench")
    finally:
        server.stop()


def _measured(opened: Callable[[Path], AbstractContextManager[str]], plan: Plan) -> Measured:
    world, token = world_with_token(plan)
    with tempfile.TemporaryDirectory() as name, opened(Path(name)) as database, _redis(Path(name)) as redis_url, \
            StandIn(create_app(world)) as sonar:
        configured = db.configure(database)
        schema.upgrade()
        environ = environment(Path(name), database, redis_url)
        processes = Processes(Path(name))
        try:
            deployment = deployment_of(environ)
            connection = connected(deployment, "Bench", sonar.url, token)
            worker = processes.worker(environ)
            return _synced_twice(deployment, connection, worker.pid, world)
        finally:
            processes.end()
            configured.close_all()


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    server = RedisServer(folder / "redis")
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def _synced_twice(deployment: Deployment, connection: Connection, worker: int, world: World) -> Measured:
    least_pages = sum(max(1, ceil(_reported(project) / _PAGE)) for project in world.projects.values())  # also makes the findings
    seconds, peak, run = _synced(deployment, connection, worker)
    pages = world.calls[_ISSUES]
    seconds_again, peak_again, again = _synced(deployment, connection, worker)
    findings = Finding.select().count()
    assert run.counts["added"] == again.counts["unchanged"] == findings
    return Measured(findings, seconds, seconds_again, max(peak, peak_again), run.counts["requests"], pages, least_pages)


def _reported(project: Project) -> int:
    """How many issues of a project a sync asks for."""
    return sum(issue.status != "FIXED" and any(quality == "SECURITY" for quality, _ in issue.impacts) for issue in project.main.issues)


def _synced(deployment: Deployment, connection: Connection, worker: int) -> tuple[float, int, Run]:
    """Seconds from request to end, the peak of the job's process, and the run."""
    start = time.perf_counter()
    run = runs.request_sync(deployment, connection, trigger="command", requested_by="bench")
    peak = 0
    while (run := Run.get_by_id(run.id)).state in UNFINISHED:
        peak = max([peak, *map(_peak_of, psutil.Process(worker).children())])
        time.sleep(_LOOK_SECONDS)
    assert run.state == "succeeded", run.reason
    return time.perf_counter() - start, peak, run


def _peak_of(process: psutil.Process) -> int:
    """The largest resident memory that a process had so far, as Linux keeps it; 0 when it has just ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
