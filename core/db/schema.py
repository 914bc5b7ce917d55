"""Numbered, forward-only migrations, recorded in the database."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playhouse.migrations import Migration, Runner

from core.db.database import db, is_postgres

FOLDER = Path(__file__).with_name("migrations")
_LOCK_NUMBER = 0x53544F43  # "STOC": any number, the same in every process


def upgrade() -> list[str]:
    """Apply every pending migration, in order; returns the names applied. Several processes may call it at once."""
    with _alone():
        return _runner().up()


def pending() -> list[str]:
    """Names of the migrations that ``upgrade`` would apply."""
    return [migration.name for migration in status() if migration.applied is None]


def status() -> list[Migration]:
    """Every known migration; ``applied`` is the moment or None."""
    return _runner().status()


def _runner() -> Runner:
    return Runner(db.obj, str(FOLDER))


@contextmanager
def _alone() -> Iterator[None]:
    if is_postgres():
        db.execute_sql("SELECT pg_advisory_lock(%s)", (_LOCK_NUMBER,))
        try:
            yield
        finally:
            db.execute_sql("SELECT pg_advisory_unlock(%s)", (_LOCK_NUMBER,))
        return
    path = Path(str(db.obj.database) + ".migrate.lock")
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
