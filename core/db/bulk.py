"""Writing many rows at once, by the fastest path that each driver has.

peewee's own ``insert_many`` builds the statement anew for every chunk and is 7 to 9 times slower than these (docs/benchmarks.md).
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import peewee
import psycopg

from core.db.database import db, is_postgres, told
from core.db.model import Model


def bulk_upsert(model: type[Model], columns: Sequence[str], rows: Sequence[tuple], *, conflict: Sequence[str],
                update: Sequence[str]) -> None:
    """Insert ``rows``; where the key ``conflict`` is taken, write the columns of ``update`` instead. Inside a transaction.

    :param rows: tuples in the order of ``columns``, values as the database takes them (no field conversion is done). No key
        may stand in them twice.
    """
    if rows:
        _write(_statements(model._meta.table_name, tuple(columns), tuple(conflict), tuple(update), is_postgres()), rows)


def bulk_insert(model: type[Model], columns: Sequence[str], rows: Sequence[tuple]) -> None:
    """Append ``rows``; see ``bulk_upsert``."""
    if rows:
        _write(_statements(model._meta.table_name, tuple(columns), (), (), is_postgres()), rows)


def rows_by_key(model: type[Model], columns: Sequence[str], fixed: Mapping[str, Any], key: str, values: Sequence[Any]) -> list[tuple]:
    """The rows whose column ``key`` is one of ``values``, all handed over as one parameter, and whose other columns are ``fixed``."""
    given: Any
    if is_postgres():
        mark, among, given = "%s", f'"{key}" = ANY(%s)', list(values)
    else:
        mark, among, given = "?", f'"{key}" IN (SELECT value FROM json_each(?))', json.dumps(list(values))  # noqa: S608
    names = ", ".join(f'"{name}"' for name in columns)
    where = " AND ".join([*(f'"{name}" = {mark}' for name in fixed), among])
    sql = f'SELECT {names} FROM "{model._meta.table_name}" WHERE {where}'  # noqa: S608  names are the models' own
    return db.execute_sql(sql, (*fixed.values(), given)).fetchall()


@lru_cache(maxsize=64)
def _statements(table: str, columns: tuple[str, ...], conflict: tuple[str, ...], update: tuple[str, ...],
                postgres: bool) -> tuple[str, str, str]:
    """The writing statement; for PostgreSQL also the creation of the staging table that it reads, and the COPY into that."""
    names = ", ".join(f'"{name}"' for name in columns)
    tail = ""
    if conflict:
        keys = ", ".join(f'"{name}"' for name in conflict)
        sets = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in update)
        tail = f" ON CONFLICT ({keys}) DO UPDATE SET {sets}"
    if not postgres:
        marks = ", ".join("?" * len(columns))
        return f'INSERT INTO "{table}" ({names}) VALUES ({marks}){tail}', "", ""  # noqa: S608  names are the models' own
    stage = f"stage_{table}"
    create = f'CREATE TEMP TABLE IF NOT EXISTS "{stage}" ON COMMIT DELETE ROWS AS SELECT {names} FROM "{table}" WHERE false'  # noqa: S608
    copy = f'COPY "{stage}" ({names}) FROM STDIN'
    return f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "{stage}"{tail}; TRUNCATE "{stage}"', create, copy  # noqa: S608


def _write(statements: tuple[str, str, str], rows: Sequence[tuple]) -> None:
    write, create, copy = statements
    cursor = db.cursor()
    try:
        if not copy:
            cursor.executemany(write, rows)
            return
        cursor.execute(create)
        with cursor.copy(copy) as stream:
            for row in rows:
                stream.write_row(row)
        cursor.execute(write)
    except (peewee.OperationalError, sqlite3.OperationalError, psycopg.OperationalError) as problem:
        raise told(problem) from problem
