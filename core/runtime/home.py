"""The home folder: everything that ``stockade up`` keeps, and how the other commands find it.

Its layout::

    stockade.sqlite3        the database, unless STOCKADE_DATABASE_URL names another
    master.key              wraps every customer's data key; a backup without it opens no secret
    master.keys.old         put there by the operator while data keys are still wrapped by earlier keys
    files/                  what the file store keeps
    redis/                  the embedded Redis: its data and its socket
    logs/                   one file for each process, JSON lines
    metrics/                what the processes of the web server count together
    lock                    held by the ``stockade up`` that runs here
    demo-credentials.txt    how to sign in to the demo
    demo-customers.json     which customers are the demo's
"""

import base64
import fcntl
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from core.runtime.embedded_redis import socket_of
from core.runtime.exits import CommandFailed, ExitCode
from core.settings import PREFIX, Settings, load

_KEY_BYTES = 32
_OURS = {"lock", "master.key", "stockade.sqlite3"}


@dataclass(frozen=True, slots=True)
class Home:
    """A home folder, which may not exist yet. ``folder`` is absolute."""

    folder: Path

    @classmethod
    def of(cls, given: str | None, environ: Mapping[str, str]) -> "Home":
        """The folder given on the command line, else by ``STOCKADE_HOME``, else ``.stockade`` here."""
        return cls(Path(given or environ.get(PREFIX + "HOME") or Settings().home).absolute())

    @property
    def master_key_file(self) -> Path:
        return self.folder / "master.key"

    @property
    def master_keys_old_file(self) -> Path:
        return self.folder / "master.keys.old"

    @property
    def redis(self) -> Path:
        return self.folder / "redis"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def demo_credentials(self) -> Path:
        return self.folder / "demo-credentials.txt"

    @property
    def demo_customers(self) -> Path:
        return self.folder / "demo-customers.json"

    def create(self) -> None:
        """Make the folder, readable by its owner alone, when it is not there yet.

        :raises CommandFailed: when something else lies in it.
        """
        there = {entry.name for entry in self.folder.iterdir()} if self.folder.is_dir() else set()
        if there and not there & _OURS:
            raise CommandFailed(ExitCode.CONFIGURATION, f"{self.folder} holds something else than a Stockade; choose another --home")
        for folder in (self.folder, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)

    def fresh_metrics(self) -> Path:
        """The folder in which the processes of the web server count together, emptied."""
        folder = self.folder / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def hold(self) -> IO[str]:
        """Take the folder for this process until the returned file is closed.

        :raises CommandFailed: when another process has it.
        """
        lock = (self.folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise CommandFailed(ExitCode.IN_USE, f"a Stockade already runs in {self.folder} (process {holder or 'unknown'})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def ensure_master_key(self) -> bool:
        """Make a master key when there is none; one that is there is never touched. True when it was made."""
        if self.master_key_file.exists():
            return False
        draft = self.master_key_file.with_suffix(f".{os.getpid()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, self.master_key_file)  # unlike a rename, this never replaces a key that came meanwhile
        finally:
            draft.unlink()
        return True

    def environ(self, given: Mapping[str, str]) -> dict[str, str]:
        """``given``, completed by what this folder has: its master key and its Redis. Settings that are given win."""
        environ = {**given, PREFIX + "HOME": str(self.folder)}
        if not _has(given, "MASTER_KEY") and self.master_key_file.exists():
            environ[PREFIX + "MASTER_KEY_FILE"] = str(self.master_key_file)
        if not _has(given, "MASTER_KEYS_OLD") and self.master_keys_old_file.exists():
            environ[PREFIX + "MASTER_KEYS_OLD_FILE"] = str(self.master_keys_old_file)
        if not _has(given, "REDIS_URL"):
            environ[PREFIX + "REDIS_URL"] = f"unix://{quote(str(socket_of(self.redis)))}"
        return environ

    def settings(self, given: Mapping[str, str]) -> Settings:
        """Settings of a command that works on this folder's deployment.

        :raises SettingsError: with every fault of the environment.
        """
        return load(self.environ(given))


def _has(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(PREFIX + name) or environ.get(f"{PREFIX}{name}_FILE"))
