"""``stockade up``: a whole deployment on one machine, from one folder."""

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import click

from core import clock
from core.runtime import demo_sign_in, embedded_redis
from core.runtime.exits import CommandFailed, ExitCode
from core.runtime.home import Home
from core.runtime.listening import listen, shown
from core.runtime.supervisor import Program, Supervisor
from core.settings import PREFIX, Settings, load

log = logging.getLogger(__name__)

_STOP_SECONDS = 3.0  # for requests and jobs under way: somebody waits at the keyboard
_PYTHON = (sys.executable, "-P", "-m")  # -P: a folder named "core" where we happen to stand is not ours
_LOOPBACK = "127.0.0.0/8"
_ASK_AGAIN_SECONDS = 0.2
_OTHERS_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    host: str
    port: int
    workers: int
    demo: bool


def up(home: Home, wanted: Wanted, given: Mapping[str, str]) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code.

    :raises core.runtime.exits.CommandFailed: when it cannot start; nothing is left running then.
    """
    begun = time.monotonic()
    os.umask(0o077)
    _refuse_bad_settings(home, given)
    home.create()
    with contextlib.ExitStack() as held:
        held.enter_context(home.hold())
        # Opened before the web server starts, which finds the requests that came meanwhile, also when it is started again.
        listener = held.enter_context(listen(wanted.host, wanted.port))
        is_key_new = home.ensure_master_key()
        environ = home.environ({**given, **demo_sign_in.environ_for(given, home.folder)} if wanted.demo else given)
        redis = None if given.get(PREFIX + "REDIS_URL") or given.get(PREFIX + "REDIS_URL_FILE") else embedded_redis.prepare(home.redis)
        settings = load(environ)
        with _needing_no_earlier_key(home, is_key_new):
            lines = _prepared(settings, home, wanted)
        if is_key_new and not wanted.demo:
            lines += ["", f"Keep a copy of {home.master_key_file} elsewhere: without it no stored credential can be opened again."]
        address = settings.public_url or f"http://{shown(listener)}"
        supervisor = Supervisor(home.logs, say=lambda line: click.echo(f"{clock.iso(clock.now())} {line}", err=True))
        waiting = list(_programs(home, wanted, environ, redis, listener))
        announcement = _Announcement(listener.getsockname(), lambda: _tell_ready(address, lines, time.monotonic() - begun))
        held.callback(announcement.close)

        def watch() -> None:
            """Have the web server answer first; the others' start would only slow it down."""
            announcement.look()
            is_time = announcement.is_told or time.monotonic() - begun > _OTHERS_WAIT_SECONDS
            while waiting and (is_time or waiting[0].name in ("redis", "web")):
                supervisor.add(waiting.pop(0))

        return supervisor.run(watch)


def _refuse_bad_settings(home: Home, given: Mapping[str, str]) -> None:
    """Tell every fault before anything is made."""
    load({**given, PREFIX + "HOME": str(home.folder)})


@contextlib.contextmanager
def _needing_no_earlier_key(home: Home, is_key_new: bool) -> Iterator[None]:
    """A key that was made just now fits a new database alone: else it goes again, and what is missing is told."""
    from core.credentials.keyring import MasterKeyWrong

    try:
        yield
    except MasterKeyWrong as problem:
        if not is_key_new:
            raise
        home.master_key_file.unlink()
        raise CommandFailed(ExitCode.CONFIGURATION, f"{home.master_key_file} is missing, and the database was set up with a master key:"
                                                    " put the key back; nothing was touched") from problem


def _prepared(settings: Settings, home: Home, wanted: Wanted) -> list[str]:
    """Bring the database to this version, with roles and, for the demo, its people; how to sign in, in lines for a person."""
    from core import db
    from core.access.service import ensure_built_in_roles
    from core.credentials.keyring import Keyring
    from core.db import schema
    from core.people.models import User
    from core.runtime import demo

    db.configure(settings.effective_database_url)
    keyring = Keyring.of(settings)
    keyring.refuse_wrong()
    schema.upgrade()
    keyring.verify()
    ensure_built_in_roles()
    if wanted.demo:
        lines = demo.how_to_sign_in(demo.ensure_people(settings, home), settings)
    elif not User.select().exists():
        lines = ["There is nobody to sign in yet. Make the first administrator in another terminal:", "",
                 f"  stockade user add you@example.com --role msp_admin --home {home.folder}"]
    else:
        lines = ["Sign in with the account that you have."]
    db.db.close_all()
    return lines


def _programs(home: Home, wanted: Wanted, environ: Mapping[str, str], redis: embedded_redis.EmbeddedRedis | None,
              listener: socket.socket) -> Sequence[Program]:
    if wanted.demo:
        allowed = ",".join(filter(None, (environ.get(PREFIX + "UPSTREAM_ALLOW"), _LOOPBACK)))
        environ = {**environ, PREFIX + "UPSTREAM_ALLOW": allowed}
    own = Program("", (), environ, hopeless=frozenset({ExitCode.USAGE, ExitCode.CONFIGURATION}))
    grace = ("--grace", str(_STOP_SECONDS))
    programs = []
    if redis is not None:
        programs.append(Program("redis", redis.command, {"LC_ALL": "C", "PATH": os.environ.get("PATH", "")}, stops_last=True,
                                tied_by=signal.SIGTERM))
    web_environ = {**environ, "PROMETHEUS_MULTIPROC_DIR": str(home.fresh_metrics())}
    programs.append(replace(own, name="web", environ=web_environ, pass_fds=(listener.fileno(),),
                            command=(*_PYTHON, "core.runtime", "serve", "--fd", str(listener.fileno()), *grace)))
    programs += [replace(own, name=f"worker-{number}", command=(*_PYTHON, "core.runtime", "worker", *grace))
                 for number in range(1, wanted.workers + 1)]
    programs.append(replace(own, name="scheduler", command=(*_PYTHON, "core.runtime", "scheduler")))
    if wanted.demo:
        programs.append(replace(own, name="demo", command=(*_PYTHON, "core.runtime.demo", *_addresses(listener, environ))))
    return programs


def _addresses(listener: socket.socket, environ: Mapping[str, str]) -> list[str]:
    """Where people may reach this machine's web server."""
    port = listener.getsockname()[1]
    public = environ.get(PREFIX + "PUBLIC_URL", "").rstrip("/")
    return [*filter(None, [public]), *(f"http://{host}:{port}" for host in ("127.0.0.1", "localhost"))]


def _tell_ready(address: str, lines: Sequence[str], seconds: float) -> None:
    click.echo("\n".join(["", f"Stockade answers at {address} (after {seconds:.1f} s)", "", *lines, "", "Ctrl-C stops it."]))
    sys.stdout.flush()


@dataclass
class _Announcement:
    """Tells once that the web server is ready, without making the supervisor's loop wait.

    The socket listens from the start, so one request asked early is answered the moment the server can.
    """

    place: tuple
    tell: Callable[[], None]
    _asking: socket.socket | None = None
    _ask_at: float = 0.0
    is_told: bool = False
    _answer: bytes = field(default=b"")

    def look(self) -> None:
        if self.is_told:
            return
        if self._asking is None:
            self._ask()
        else:
            self._read()

    def close(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    def _ask(self) -> None:
        if time.monotonic() < self._ask_at:
            return
        host, port = self.place[:2]
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        self._asking = socket.create_connection((loopback, port), timeout=1)
        self._asking.sendall(f"GET /health/ready HTTP/1.1\r\nHost: {loopback}:{port}\r\nConnection: close\r\n\r\n".encode())
        self._asking.setblocking(False)
        self._answer = b""

    def _read(self) -> None:
        assert self._asking is not None  # noqa: S101 - the caller looked
        try:
            chunk = self._asking.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._answer += chunk
        if b"\r\n" in self._answer or not chunk:
            self.close()
            if self._answer.partition(b"\r\n")[0].split(b" ")[1:2] == [b"200"]:
                self.is_told = True
                self.tell()
            else:
                self._ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
