"""Finding customers by a part of their names, however many there are.

A rare text is looked up in an index of trigrams (pg_trgm; on SQLite a full-text table that triggers keep in step, see migration
0008). A common one would give that index thousands of customers to sort; it is found soon by going through the names in order
instead. Where the server has no such index, names are always gone through.
"""

from collections.abc import Callable, Collection

import peewee

from core.db import db, is_postgres
from core.tenancy.models import Customer

_SHORTEST = 3  # a trigram
_RARE = 500  # found at most, so that sorting them costs less than going through the names


def page(text: str, among: Collection[str] | None, start: int, size: int) -> tuple[list[Customer], int]:
    """Some customers by name, and how many there are in all.

    :param text: folded; only customers whose name or alias holds it. Empty for all.
    :param among: only these customers; None for all.
    """
    query = Customer.select()
    if among is not None:
        query = query.where(Customer.id.in_(list(among)))
    if not text:
        return _counted_apart(query, start, size)
    if among is not None or not _has_index(text):
        return _counted_apart(query.where(_holding(text)), start, size)
    rare = _rare(text)
    if rare is not None:
        return _counted_apart(query.where(Customer.id.in_(rare)), start, size)
    return _counted_apart(query.where(_holding(text)), start, size, lambda: _number_of(text))


def _counted_apart(query: peewee.ModelSelect, start: int, size: int,
                   count: Callable[[], int] | None = None) -> tuple[list[Customer], int]:
    """One more than is shown tells whether the page is the last one: then its end is the total, and nothing has to be counted."""
    # Only the keys are gone through in order, which one index holds; whole customers are read for the page alone.
    in_order = query.select(Customer.id).order_by(Customer.search_key, Customer.id).offset(start).limit(size + 1)
    keys = [key for (key,) in in_order.tuples()]
    shown = {row.id: row for row in Customer.select().where(Customer.id.in_(keys[:size]))} if keys else {}
    total = start + len(keys) if len(keys) <= size and (keys or not start) else (count or query.count)()
    return [shown[key] for key in keys[:size] if key in shown], total


def _has_index(text: str) -> bool:
    """Whether SQLite can look this text up. PostgreSQL decides by itself."""
    if is_postgres() or len(text) < _SHORTEST:
        return False
    return db.execute_sql("SELECT 1 FROM sqlite_master WHERE name = 'customer_search'").fetchone() is not None


def _number_of(text: str) -> int:
    found: int = db.execute_sql("SELECT COUNT(*) FROM customer_search WHERE customer_search MATCH ?", (_phrase(text),)).fetchone()[0]
    return found


def _rare(text: str) -> list[str] | None:
    """Ids of the customers that hold the text; None when they are many."""
    found = db.execute_sql("SELECT customer_id FROM customer_search JOIN customer_search_row ON number = customer_search.rowid"
                           " WHERE customer_search MATCH ? LIMIT ?", (_phrase(text), _RARE + 1)).fetchall()
    return None if len(found) > _RARE else [customer_id for (customer_id,) in found]


def _phrase(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def _holding(text: str) -> peewee.Expression:
    if not is_postgres():
        return peewee.fn.INSTR(Customer.search_key, text) > 0
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return peewee.Expression(Customer.search_key, peewee.OP.LIKE, f"%{text}%")
