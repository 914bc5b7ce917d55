"""Writing many rows at once, by the fastest path that each driver has.

peewee's own ``insert_many`` builds the statement anew for every chunk and is 7 to 9 times slower than these (docs/benchmarks.md).
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import peewee
import psycopg

from core.db.database import db, is_postgres, told
from core.db.model import Model


def bulk_upsert(model: type[Model], columns: Sequence[str], rows: Sequence[tuple], *, conflict: Sequence[str],
                update: Sequence[str] = (), add: Sequence[str] = ()) -> None:
    """Insert ``rows``; where the key ``conflict`` is taken, write the columns of ``update`` instead, and add those of ``add``
    to what is there. Inside a transaction.

    :param rows: tuples in the order of ``columns``, values as the database takes them (no field conversion is done). No key
        may stand in them twice.
    """
    if rows:
        _write(_upserting(model._meta.table_name, tuple(columns), tuple(conflict), tuple(update), tuple(add), is_postgres()), rows)


def bulk_insert(model: type[Model], columns: Sequence[str], rows: Sequence[tuple]) -> None:
    """Append ``rows``; see ``bulk_upsert``."""
    if rows:
        _write(_inserting(model._meta.table_name, tuple(columns), is_postgres()), rows)


def bulk_update(model: type[Model], key: Sequence[str], rows: Sequence[tuple], *, update: Sequence[str] = (),
                add: Sequence[str] = ()) -> None:
    """Write the columns of ``update`` in the rows that ``key`` names, and add those of ``add`` to what is there.

    :param rows: tuples of the key's values, then those of ``update``, then those of ``add``. A key that is not there is passed over.
    """
    if rows:
        _write(_updating(model._meta.table_name, tuple(key), tuple(update), tuple(add), is_postgres()), rows)


def rows_by_key(model: type[Model], columns: Sequence[str], fixed: Mapping[str, Any], key: str, values: Sequence[Any]) -> list[tuple]:
    """The rows whose column ``key`` is one of ``values``, all handed over as one parameter, and whose other columns are ``fixed``."""
    given: Any
    if is_postgres():
        mark, among, given = "%s", f'"{key}" = ANY(%b)', list(values)  # binary: a sixth of the time
    else:
        mark, among, given = "?", f'"{key}" IN (SELECT value FROM json_each(?))', json.dumps(list(values))  # noqa: S608
    names = ", ".join(f'"{name}"' for name in columns)
    where = " AND ".join([*(f'"{name}" = {mark}' for name in fixed), among])
    sql = f'SELECT {names} FROM "{model._meta.table_name}" WHERE {where}'  # noqa: S608  names are the models' own
    return _fetched(sql, (*fixed.values(), given))


def _fetched(sql: str, parameters: tuple) -> list[tuple]:
    if not is_postgres():
        return db.execute_sql(sql, parameters).fetchall()
    # Planned anew each time: a plan that was kept from when the table was small, or for any array, compares every row with every value.
    try:
        _noted(sql)
        return db.cursor().execute(sql, parameters, prepare=False).fetchall()
    except (peewee.OperationalError, psycopg.OperationalError) as problem:
        raise told(problem) from problem


def refresh_statistics(model: type[Model]) -> None:
    """Tell PostgreSQL's planner how large a table has grown; outside of a transaction. Until its own maintenance comes by, up to a minute
    after a first pull began, it takes a table for nearly empty and chooses indexes that make each lookup cost as much as all rows.

    Only columns that have an index are looked at, since by the others nothing is chosen.
    """
    if is_postgres():
        indexed = {field.column_name: None for index in model._meta.fields_to_index() for field in index._expressions
                   if isinstance(field, peewee.Field)}
        db.execute_sql(f'ANALYZE "{model._meta.table_name}" ({_quoted(list(indexed))})')


class _Statements(NamedTuple):
    """What writes the rows. With ``copy`` they are streamed by COPY: into ``stage``, which ``write`` then reads, or into the table."""

    write: str
    stage: str = ""
    copy: str = ""


@lru_cache(maxsize=64)
def _inserting(table: str, columns: tuple[str, ...], postgres: bool) -> _Statements:
    names = _quoted(columns)
    if postgres:
        return _Statements("", copy=f'COPY "{table}" ({names}) FROM STDIN')
    return _Statements(f'INSERT INTO "{table}" ({names}) VALUES ({_marks(columns)})')  # noqa: S608  names are the models' own


@lru_cache(maxsize=64)
def _upserting(table: str, columns: tuple[str, ...], conflict: tuple[str, ...], update: tuple[str, ...], add: tuple[str, ...],
               postgres: bool) -> _Statements:
    names = _quoted(columns)
    sets = [*(f'"{name}" = EXCLUDED."{name}"' for name in update), *(f'"{name}" = "{table}"."{name}" + EXCLUDED."{name}"' for name in add)]
    tail = f"ON CONFLICT ({_quoted(conflict)}) DO UPDATE SET {', '.join(sets)}"
    if not postgres:
        return _Statements(f'INSERT INTO "{table}" ({names}) VALUES ({_marks(columns)}) {tail}')  # noqa: S608
    stage = _stage("upsert", table, columns)
    create = f'CREATE TEMP TABLE IF NOT EXISTS "{stage}" ON COMMIT DELETE ROWS AS SELECT {names} FROM "{table}" WHERE false'  # noqa: S608
    return _Statements(f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "{stage}" {tail}; TRUNCATE "{stage}"', create,  # noqa: S608
                       f'COPY "{stage}" ({names}) FROM STDIN')


@lru_cache(maxsize=64)
def _updating(table: str, key: tuple[str, ...], update: tuple[str, ...], add: tuple[str, ...], postgres: bool) -> _Statements:
    columns = (*key, *update, *add)
    given = [f'"s"."c{number}"' if postgres else f"?{number + 1}" for number in range(len(columns))]
    values = dict(zip((*update, *add), given[len(key):], strict=True))
    added = (f'"{name}" = "{table}"."{name}" + {values[name]}' for name in add)
    sets = ", ".join([*(f'"{name}" = {values[name]}' for name in update), *added])
    where = " AND ".join(f'"{table}"."{name}" = {value}' for name, value in zip(key, given, strict=False))
    if not postgres:
        return _Statements(f'UPDATE "{table}" SET {sets} WHERE {where}')  # noqa: S608
    stage = _stage("update", table, columns)
    shape = ", ".join(f'"{name}" AS "c{number}"' for number, name in enumerate(columns))  # a key may be among what is written
    create = f'CREATE TEMP TABLE IF NOT EXISTS "{stage}" ON COMMIT DELETE ROWS AS SELECT {shape} FROM "{table}" WHERE false'  # noqa: S608
    return _Statements(f'UPDATE "{table}" SET {sets} FROM "{stage}" "s" WHERE {where}; TRUNCATE "{stage}"', create,  # noqa: S608
                       f'COPY "{stage}" FROM STDIN')


def _stage(purpose: str, table: str, columns: tuple[str, ...]) -> str:
    """A staging table's name: one for each shape, since a session keeps them."""
    return f"stage_{purpose}_{table}_{crc32(' '.join(columns).encode()):08x}"


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _marks(columns: Sequence[str]) -> str:
    return ", ".join("?" * len(columns))


def _write(statements: _Statements, rows: Sequence[tuple]) -> None:
    cursor = db.cursor()
    try:
        if not statements.copy:
            _noted(statements.write)
            cursor.executemany(statements.write, rows)
            return
        if statements.stage:
            _noted(statements.stage)
            cursor.execute(statements.stage)
        _noted(statements.copy)
        with cursor.copy(statements.copy) as stream:
            for row in rows:
                stream.write_row(row)
        if statements.write:
            _noted(statements.write)
            cursor.execute(statements.write)
    except (peewee.OperationalError, sqlite3.OperationalError, psycopg.OperationalError) as problem:
        raise told(problem) from problem


def _noted(sql: str) -> None:
    """These statements pass peewee by; whoever watches what is executed sees them all the same."""
    for hook in db.query_hooks:
        hook(peewee.QueryEvent(sql, None, 0.0, None))
