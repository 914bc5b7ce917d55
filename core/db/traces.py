"""Letting nothing of what is deleted stay behind in SQLite's file, where freed pages otherwise keep it until they are used again."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.db.database import db, is_postgres


@contextmanager
def leaving_no_trace() -> Iterator[None]:
    """Around a transaction that removes what nobody should read again. SQLite overwrites what it frees, and empties its write-ahead
    log afterwards as far as other connections let it. PostgreSQL has nothing of the kind: its vacuum reuses the space in time."""
    if is_postgres() or db.in_transaction():
        yield
        return
    before = db.execute_sql("PRAGMA secure_delete").fetchone()[0]
    db.execute_sql("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        db.execute_sql(f"PRAGMA secure_delete = {int(before)}")
    db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
