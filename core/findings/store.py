"""Storing what a source says of one asset: set-based, a thousand drafts a transaction, unchanged rows left alone."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
COLUMNS = ("customer_id", "asset_id", "source", "source_key", *SAID, "status", "verdict", "first_seen_at", "closed_at", "first_run_id",
            "last_run_id", "digest")
_KEY = ("customer_id", "asset_id", "source_key")
_KEPT = {*_KEY, "verdict", "first_seen_at", "first_run_id"}  # what a source cannot change once the finding is there
REWRITTEN = tuple(column for column in COLUMNS if column not in _KEPT)
_WATCHED = ("severity", "title", "source_status", "path", "line", "category")  # changes that the history tells
_EVENT_COLUMNS = ("customer_id", "finding_id", "at", "kind", "actor", "run_id", "details")


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


class _Before(NamedTuple):
    """What a row holds that is about to be rewritten."""

    id: int
    source_key: str
    source_state: str
    status: str
    severity: int
    verdict: str | None
    first_seen_at: int
    closed_at: int | None
    first_run_id: str
    title: str
    source_status: str
    path: str
    line: int | None
    category: str


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
        with atomic():
            self._lock_asset()
            known = self._known(list(by_key))
            written = self._write(by_key, known)
            also(written)
        self._mention(known)  # only now: a batch that was rolled back has mentioned nothing
        return written

    def mention(self, source_keys: Iterable[str]) -> None:
        """Count findings as still there though their records could not be read."""
        self._mention(self._known([key_of(source_key) for source_key in source_keys]))

    def unmentioned(self) -> Iterator[int]:
        """Keys of the findings that were there before and that no batch has mentioned, ascending."""
        return (key for key, seen in zip(self._living, self._mentioned, strict=True) if not seen)

    def _mention(self, known: Mapping[str, tuple[int, int]]) -> None:
        living, mentioned = self._living, self._mentioned
        for key, _ in known.values():
            place = bisect_left(living, key)
            if place < len(living) and living[place] == key:
                mentioned[place] = 1

    def _lock_asset(self) -> None:
        # SQLite's IMMEDIATE transactions are alone already. The order asset, then findings is the same everywhere.
        if is_postgres():
            list(Asset.select(Asset.id).where(Asset.id == self._asset.id).for_update().tuples())

    def _known(self, source_keys: list[str]) -> dict[str, tuple[int, int]]:
        """Key and digest of those that are stored, by the source's key."""
        fixed = {"customer_id": self._asset.customer_id, "asset_id": self._asset.id}
        found = rows_by_key(Finding, ("source_key", "id", "digest"), fixed, "source_key", source_keys)
        return {source_key: (key, digest) for source_key, key, digest in found}

    def _write(self, by_key: Mapping[str, FindingDraft], known: Mapping[str, tuple[int, int]]) -> Written:
        new: list[tuple[str, FindingDraft, int]] = []
        changed: dict[str, tuple[FindingDraft, int]] = {}
        for source_key, draft in by_key.items():
            digest, stored = digest_of(draft), known.get(source_key)
            if stored is None:
                new.append((source_key, draft, digest))
            elif stored[1] != digest:
                changed[source_key] = draft, digest
        written = Written(added=len(new), unchanged=len(by_key) - len(new) - len(changed))
        delta, now = rollups.Delta(), clock.now()
        rows = self._new_rows(new, delta, now)
        if changed:
            rows += self._changed_rows(changed, delta, now, written)
        bulk_upsert(Finding, COLUMNS, rows, conflict=_KEY, update=REWRITTEN)
        rollups.add(self._asset.id, delta)
        return written

    def _new_rows(self, new: Iterable[tuple[str, FindingDraft, int]], delta: rollups.Delta, now: int) -> list[tuple]:
        customer_id, asset_id, source, run_id = self._asset.customer_id, self._asset.id, self._asset.source, self._run_id
        rows = []
        counts: Counter[tuple[str, int]] = Counter()
        for source_key, draft, digest in new:
            status = effective(draft.state, None)
            counts[status, draft.severity] += 1
            closed_at = now if status in REMEDIATED else None
            rows.append((customer_id, asset_id, source, source_key, *said_by(draft), status, None, now, closed_at, run_id, run_id, digest))
        for (status, severity), number in counts.items():
            delta.gained(status, severity, number)
        return rows

    def _changed_rows(self, changed: Mapping[str, tuple[FindingDraft, int]], delta: rollups.Delta, now: int,
                      written: Written) -> list[tuple]:
        """Rows to be rewritten; their events are stored here, told from what the rows still hold."""
        fixed = {"customer_id": self._asset.customer_id, "asset_id": self._asset.id}
        rows, events = [], []
        for before in map(_Before._make, rows_by_key(Finding, _Before._fields, fixed, "source_key", list(changed))):
            draft, digest = changed[before.source_key]
            said = said_by(draft)
            status = effective(draft.state, before.verdict)
            closed_at = (before.closed_at or now) if draft.state in REMEDIATED else None
            delta.moved((before.status, before.severity), (status, draft.severity))
            rows.append((self._asset.customer_id, self._asset.id, self._asset.source, before.source_key, *said, status, before.verdict,
                         before.first_seen_at, closed_at, before.first_run_id, self._run_id, digest))
            event = self._event(before, draft, said, now, written)
            if event is not None:
                events.append(event)
        bulk_insert(FindingEvent, _EVENT_COLUMNS, events)
        return rows

    def _event(self, before: _Before, draft: FindingDraft, said: tuple, now: int, written: Written) -> tuple | None:
        """The history's entry for a changed finding; None for a change that nobody would look for."""
        kind = _kind_of_change(before.source_state, draft.state)
        counted = kind if kind in ("reopened", "closed") else "changed"
        setattr(written, counted, getattr(written, counted) + 1)
        after = dict(zip(SAID, said, strict=True))
        difference = {name: [getattr(before, name), after[name]] for name in _WATCHED if getattr(before, name) != after[name]}
        if kind == "changed" and not difference:
            return None
        return (self._asset.customer_id, before.id, now, kind, self._actor, self._run_id, _json(difference))


def _kind_of_change(before: str, after: str) -> str:
    if after == before:
        return "changed"
    if after in REMEDIATED:
        return "changed" if before in REMEDIATED else "closed"
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
