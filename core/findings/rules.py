"""The texts of rules, fetched once for each customer and source."""

from collections.abc import Callable, Iterable, Sequence

import nh3
from peewee import chunked

from core import clock
from core.db import JsonField, atomic
from core.db.bulk import bulk_upsert, rows_by_key
from core.db.texts import clean
from core.findings.models import Rule
from core.hooks.contracts import RuleDraft

_COLUMNS = ("customer_id", "source", "key", "name", "description", "cwe", "url", "updated_at")
_KEY = ("customer_id", "source", "key")
_ASKED_AT_ONCE, _WRITTEN_AT_ONCE = 100, 1000
_LINKS = {"http", "https"}


def store_missing(customer_id: str, source: str, keys: Iterable[str], fetch: Callable[[Sequence[str]], Iterable[RuleDraft]]) -> int:
    """Fetch and keep the rules that are not here yet; returns how many came. A rule that the source does not know is kept
    with its key as its name, so that it is not asked for again."""
    wanted = sorted({clean(key)[:300] for key in keys})
    fixed = {"customer_id": customer_id, "source": source}
    known = {key for (key,) in rows_by_key(Rule, ("key",), fixed, "key", wanted)}
    missing = [key for key in wanted if key not in known]
    for batch in chunked(missing, _WRITTEN_AT_ONCE):
        drafts = {draft.key: draft for asked in chunked(batch, _ASKED_AT_ONCE) for draft in fetch(asked)}
        rows = [_row(customer_id, source, key, drafts.get(key) or RuleDraft(key, key)) for key in batch]
        with atomic():
            bulk_upsert(Rule, _COLUMNS, rows, conflict=_KEY, update=_COLUMNS[3:])
    return len(missing)


def _row(customer_id: str, source: str, key: str, draft: RuleDraft) -> tuple:
    """HTML from a source is cleaned before it is stored, so that nothing downstream has to remember to."""
    text = clean(draft.description)
    description = nh3.clean(text, url_schemes=_LINKS, link_rel="noopener noreferrer nofollow") if text else ""
    return (customer_id, source, key, clean(draft.name)[:500], description, JsonField().db_value(list(draft.cwe)), clean(draft.url)[:2000],
            clock.now())
