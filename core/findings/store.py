"""Storing what a source says of one asset: set-based, a thousand drafts a transaction, unchanged rows left alone."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import peewee

from core import clock
from core.assets.models import Asset
from core.db import atomic, is_postgres
from core.db.bulk import bulk_insert, bulk_upsert, rows_by_key
from core.db.texts import key_of
from core.findings import rollups
from core.findings.models import Finding, FindingEvent
from core.findings.rows import SAID, digest_of, said_by
from core.findings.state import REMEDIATED, effective
from core.hooks.contracts import FindingDraft, SourceState

BATCH = 1000
_COLUMNS = ("customer_id", "asset_id", "source", "source_key", *SAID, "status", "verdict", "first_seen_at", "closed_at", "first_run_id",
            "last_run_id", "digest")
_KEY = ("customer_id", "asset_id", "source_key")
_KEPT = {*_KEY, "verdict", "first_seen_at", "first_run_id"}  # what a source cannot change once the finding is there
_REWRITTEN = tuple(column for column in _COLUMNS if column not in _KEPT)
_WATCHED = ("severity", "title", "source_status", "path", "line", "category")  # changes that the history tells
_EVENT_COLUMNS = ("customer_id", "finding_id", "at", "kind", "actor", "run_id", "details")
_CLOSED_AT_SOURCE = frozenset({SourceState.FIXED, SourceState.GONE})


@dataclass(slots=True)
class Written:
    """How a batch, or many, changed what is stored."""

    added: int = 0
    changed: int = 0
    reopened: int = 0
    closed: int = 0
    unchanged: int = 0

    def __iadd__(self, other: "Written") -> "Written":
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class _Stored(NamedTuple):
    """What is read back of every finding that a batch mentions."""

    id: int
    source_key: str
    digest: int
    source_state: str
    status: str
    severity: int
    verdict: str | None
    first_seen_at: int
    closed_at: int | None


class AssetWriter:
    """Takes one enumeration of an asset's findings, batch by batch, and knows in the end which were not mentioned.

    Memory: nine bytes for each finding that was there before, whatever the source sends.
    """

    def __init__(self, asset: Asset, run_id: str, actor: str) -> None:
        self._asset = asset
        self._run_id = run_id
        self._actor = actor
        living = (Finding.select(Finding.id).where(Finding.customer_id == asset.customer_id, Finding.asset_id == asset.id,
                                                   Finding.source_state.not_in(list(REMEDIATED))).order_by(Finding.id))
        self._living = array("q", (key for (key,) in living.tuples().iterator()))
        self._mentioned = bytearray(len(self._living))

    @property
    def living_before(self) -> int:
        """How many findings the source still reported before this enumeration."""
        return len(self._living)

    def write(self, drafts: Sequence[FindingDraft], also: Callable[[Written], None] = lambda written: None) -> Written:
        """Store a batch in one transaction: rows, history, totals, and whatever ``also`` adds to it.

        A key that stands in the batch twice counts once, with its last draft.
        """
        by_key = {key_of(draft.source_key): draft for draft in drafts}
        mentioned: list[int] = []
        with atomic():
            self._lock_asset()
            written = self._write(by_key, mentioned)
            also(written)
        for key in mentioned:  # only now: a batch that was rolled back has mentioned nothing
            self._mention(key)
        return written

    def mention(self, source_keys: Iterable[str]) -> None:
        """Count findings as still there though their records could not be read."""
        for stored in self._stored([key_of(source_key) for source_key in source_keys]):
            self._mention(stored.id)

    def unmentioned(self) -> Iterator[int]:
        """Keys of the findings that were there before and that no batch has mentioned, ascending."""
        return (key for key, seen in zip(self._living, self._mentioned, strict=True) if not seen)

    def _mention(self, key: int) -> None:
        place = bisect_left(self._living, key)
        if place < len(self._living) and self._living[place] == key:
            self._mentioned[place] = 1

    def _lock_asset(self) -> None:
        # SQLite's IMMEDIATE transactions are alone already. The order asset, then findings is the same everywhere.
        if is_postgres():
            list(Asset.select(Asset.id).where(Asset.id == self._asset.id).for_update().tuples())

    def _stored(self, source_keys: list[str]) -> Iterator[_Stored]:
        fixed = {"customer_id": self._asset.customer_id, "asset_id": self._asset.id}
        return map(_Stored._make, rows_by_key(Finding, _Stored._fields, fixed, "source_key", source_keys))

    def _write(self, by_key: dict[str, FindingDraft], mentioned: list[int]) -> Written:
        stored = {row.source_key: row for row in self._stored(list(by_key))}
        now, asset, written, delta = clock.now(), self._asset, Written(), rollups.Delta()
        rows, changed = [], []
        for key, draft in by_key.items():
            digest, before = digest_of(draft), stored.get(key)
            if before is not None:
                mentioned.append(before.id)
                if before.digest == digest:
                    written.unchanged += 1
                    continue
            said = said_by(draft)
            verdict = before.verdict if before else None
            status = effective(draft.state, verdict)
            first_seen, closed_at = now, now if draft.state in _CLOSED_AT_SOURCE else None
            if before is None:
                written.added += 1
                delta.gained(status, draft.severity)
            else:
                first_seen, closed_at = before.first_seen_at, closed_at and (before.closed_at or closed_at)
                delta.moved((before.status, before.severity), (status, draft.severity))
                changed.append((before, draft, said))
            rows.append((asset.customer_id, asset.id, asset.source, key, *said, status, verdict, first_seen, closed_at,
                         self._run_id, self._run_id, digest))
        events = self._history(changed, now, written)
        bulk_upsert(Finding, _COLUMNS, rows, conflict=_KEY, update=_REWRITTEN)
        bulk_insert(FindingEvent, _EVENT_COLUMNS, events)
        rollups.add(asset.id, delta)
        return written

    def _history(self, changed: list, now: int, written: Written) -> list[tuple]:
        """Events for the rows about to be rewritten, told from what they still hold."""
        if not changed:
            return []
        watched = {row[0]: row[1:] for row in Finding.select(Finding.id, *(getattr(Finding, name) for name in _WATCHED)).where(
            Finding.id.in_([before.id for before, _, _ in changed])).tuples()}
        events = []
        for before, draft, said in changed:
            kind = _kind_of_change(before.source_state, draft.state)
            if kind == "reopened":
                written.reopened += 1
            elif kind == "closed":
                written.closed += 1
            else:
                written.changed += 1
            after = dict(zip(SAID, said, strict=True))
            difference = {name: [old, after[name]] for name, old in zip(_WATCHED, watched[before.id], strict=True) if old != after[name]}
            if kind != "changed" or difference:
                events.append((self._asset.customer_id, before.id, now, kind, self._actor, self._run_id, _json(difference)))
        return events


def _kind_of_change(before: str, after: str) -> str:
    if after == before:
        return "changed"
    if after in _CLOSED_AT_SOURCE:
        return "changed" if before in _CLOSED_AT_SOURCE else "closed"
    if after == SourceState.OPEN:
        return "reopened"
    return "dismissed"


def _json(value: object) -> str | None:
    return FindingEvent.details.db_value(value)


def close(customer_id: str, asset_id: str, due: object, *, run_id: str, actor: str) -> int:
    """Close findings of one asset as gone: rows, history and totals in the caller's transaction. Returns how many were closed.

    :param due: a query of finding ids.
    """
    now = clock.now()
    mine = ((Finding.customer_id == customer_id) & (Finding.asset_id == asset_id) & Finding.id.in_(due)
            & Finding.source_state.not_in(list(REMEDIATED)))
    FindingEvent.insert_from(
        Finding.select(Finding.customer_id, Finding.id, _constant(now), _constant("closed"), _constant(actor), _constant(run_id),
                       _constant("{}")).where(mine),
        [FindingEvent.customer_id, FindingEvent.finding_id, FindingEvent.at, FindingEvent.kind, FindingEvent.actor, FindingEvent.run_id,
         FindingEvent.details]).execute()
    # Digest 0 matches no draft, so that a finding that returns is rewritten and reopened.
    closed = Finding.update(source_state=SourceState.GONE, status=effective(SourceState.GONE, None), closed_at=now, last_run_id=run_id,
                            digest=0).where(mine).execute()
    rollups.recount(customer_id, [asset_id])
    return closed


def _constant(value: int | str) -> object:
    if isinstance(value, int):
        return peewee.Value(value).cast("bigint")
    return peewee.Value(value, converter=False).cast("text")


__all__ = ["BATCH", "AssetWriter", "Written", "close"]
