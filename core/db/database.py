"""Connecting: which driver, which pragmas, how transactions begin."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import peewee
from playhouse.pool import PooledSqliteDatabase
from playhouse.postgres_ext import PooledPsycopg3Database

from core.errors import StorageFull, Unavailable

#: the process's database; every model is bound to it
db: Any = peewee.DatabaseProxy()

_LZ4 = ("SELECT set_config(name, 'lz4', false) FROM pg_settings"
        " WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)")
_BUSY_SECONDS = 30
_MOST_CONNECTIONS = 96  # above the threads of one web process, so that a thread never waits for a connection
_STALE_SECONDS = 300
_LOST = ("refused", "closed", "failed", "terminat", "lost", "timeout", "no connection")  # said of a connection that is gone, or never was


def configure(url: str) -> peewee.Database:
    """Point ``db`` at ``url`` (``sqlite:///path`` or ``postgresql://...``) and return the database; opens no connection.

    SQLite runs with a write-ahead log and IMMEDIATE transactions: with deferred ones, writers that upgrade a read lock fail
    at once with "database is locked" instead of waiting. Its page cache is small because every connection has one of its own, and
    nothing of the file is mapped, since that counts as the process's memory: more of either made nothing faster (docs/benchmarks.md).
    """
    parts = urlsplit(url)
    database: peewee.Database
    if parts.scheme == "sqlite":
        database = _Sqlite(
            parts.path,
            pragmas={"journal_mode": "wal", "synchronous": "normal", "foreign_keys": 1, "busy_timeout": _BUSY_SECONDS * 1000,
                     "cache_size": -8 * 1024, "temp_store": "memory"},
            timeout=_BUSY_SECONDS, lock_type="IMMEDIATE", max_connections=_MOST_CONNECTIONS, stale_timeout=_STALE_SECONDS,
            check_same_thread=False)
    else:
        database = _Postgres(url.replace("postgres://", "postgresql://", 1), max_connections=_MOST_CONNECTIONS,
                             stale_timeout=_STALE_SECONDS)
    db.initialize(database)
    return database


class _TellsStorageFaults:
    """Turns a full disk and a lost server into errors that a request can tell."""

    def execute_sql(self, sql: str, params: Any = None, **options: Any) -> Any:
        with _telling():
            return super().execute_sql(sql, params, **options)  # type: ignore[misc]

    def begin(self, *how: Any) -> None:
        with _telling():
            super().begin(*how)  # type: ignore[misc]

    def commit(self) -> None:
        with _telling():  # SQLite finds out only here that the disk is full
            super().commit()  # type: ignore[misc]

    def rollback(self) -> None:
        with _telling():
            super().rollback()  # type: ignore[misc]


class _Sqlite(_TellsStorageFaults, PooledSqliteDatabase):
    """On a full disk SQLite ends the transaction itself. To roll back then is refused, and that refusal would hide the reason."""

    def execute_sql(self, sql: str, params: Any = None, **options: Any) -> Any:
        if sql.startswith("ROLLBACK TO SAVEPOINT") and not self.connection().in_transaction:
            return None
        return super().execute_sql(sql, params, **options)

    def rollback(self) -> None:
        if self.connection().in_transaction:
            super().rollback()


class _Postgres(_TellsStorageFaults, PooledPsycopg3Database):
    """Long texts are compressed by LZ4 where the server has it: PostgreSQL's own way takes as long as all else of storing them."""

    def _connect(self) -> Any:
        connection = super()._connect()
        connection.execute(_LZ4)
        connection.commit()
        return connection


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except peewee.OperationalError as problem:
        raise told(problem) from problem


def told(problem: Exception) -> Exception:
    """The error that a caller should see for a driver's operational error; the same one when it is not about storage."""
    text = str(problem).lower()
    if "disk is full" in text or "no space left" in text or "diskfull" in text or "disk i/o error" in text:
        return StorageFull()
    if "eof detected" in text or ("connection" in text and any(word in text for word in _LOST)):
        return Unavailable("The database is not reachable")
    if "database is locked" in text or "deadlock detected" in text:
        return Unavailable("The database is busy; nothing was changed, try again")
    return problem


def atomic() -> AbstractContextManager[Any]:
    """A transaction, or a savepoint inside one."""
    return db.atomic()


def is_postgres() -> bool:
    return isinstance(db.obj, peewee.PostgresqlDatabase)


def is_unique_violation(problem: peewee.IntegrityError) -> bool:
    """Whether the database refused a row because its key is taken (and not for a missing parent or a null)."""
    cause = problem.__cause__ or problem.args[0] if problem.args else problem
    if isinstance(cause, sqlite3.IntegrityError):
        return cause.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
    return getattr(cause, "sqlstate", None) == "23505" or "unique constraint" in str(problem).lower()
