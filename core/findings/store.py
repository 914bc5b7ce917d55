"""Storing what a source says of one asset: set-based, a thousand drafts a transaction, unchanged rows left alone."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import peewee
from peewee import chunked

from core import clock
from core.assets import catalog
from core.assets.models import Asset
from core.db import atomic, db
from core.db.bulk import bulk_insert, bulk_update, refresh_statistics, rows_by_key
from core.db.texts import key_of
from core.findings import history, identity, rollups, sla
from core.findings.inforce import InForce, Ruling
from core.findings.models import AssetDue, Finding, FindingEvent, FindingKey, Verdict
from core.findings.rollups import Delta
from core.findings.rows import REWRITTEN, SAID, STORED, Before, digest_of, repeated, rewritten, said_by
from core.findings.standing import standing
from core.findings.state import REMEDIATED, effective
from core.hooks.contracts import FindingDraft, SourceState

BATCH = 1000
_LIVING, _MENTIONED = 1, 2
_MARK_OF = (_LIVING, 0)  # by whether it is remediated
_KEYS_AT_ONCE = 10_000
_TELLING_SIZES = (2_000, 30_000)  # so many findings added to one asset change what the database should expect of the table
_RULE, _CVE = SAID.index("rule_key"), SAID.index("cve")


@dataclass(slots=True)
class Written:
    """How a batch, or many, changed what is stored."""

    added: int = 0
    changed: int = 0
    reopened: int = 0
    closed: int = 0
    renamed: int = 0
    unchanged: int = 0

    def __iadd__(self, other: "Written") -> "Written":
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class AssetWriter:
    """Takes one enumeration of an asset's findings, batch by batch; in the end ``settle`` recognises those that came under another
    key, and ``unmentioned`` tells which were not mentioned.

    Memory: nine bytes for each finding that was there before, whatever the source sends.
    """

    def __init__(self, asset: Asset, run_id: str, actor: str) -> None:
        self._asset: Asset = Asset.get_by_id(asset.id)
        self._run_id = run_id
        self._actor = actor
        self._in_force = InForce(self._asset)
        self._added = 0
        self._before, self._marks = array("q"), bytearray()
        for rows in _stored_keys(self._asset):
            keys, remediated = zip(*rows, strict=True)
            self._before.extend(keys)
            self._marks.extend(map(_MARK_OF.__getitem__, remediated))
        sla.hold_to_policy(self._asset)

    def write(self, drafts: Sequence[FindingDraft], also: Callable[[Written], None] = lambda written: None) -> Written:
        """Store a batch in one transaction: rows, history, totals, and whatever ``also`` adds to it.

        A key that stands in the batch twice counts once, with its last draft.
        """
        by_key = {key_of(draft.source_key): draft for draft in drafts}
        with self._locked():
            known = self._known(list(by_key))
            written = self._write(by_key, known)
            also(written)
        self._mention(key for key, _ in known.values())  # only now: a batch that was rolled back has mentioned nothing
        self._count_added(written.added)
        return written

    def _count_added(self, number: int) -> None:
        before, self._added = self._added, self._added + number
        if any(before < step <= self._added for step in _TELLING_SIZES):
            refresh_statistics(Finding)

    def mention(self, source_keys: Iterable[str]) -> None:
        """Count findings as still there though their records could not be read."""
        self._mention(key for key, _ in self._known([key_of(source_key) for source_key in source_keys]).values())

    def settle(self, also: Callable[[Written], None] = lambda written: None) -> Written:
        """The enumeration has ended completely: recognise findings that came under another key, a thousand a transaction,
        and remember how far the asset is enumerated.

        :param also: called inside each transaction with what it changed.
        """
        total = Written()
        for pairs in chunked(self._renamed(), BATCH):
            with self._locked():
                written = self._take_over(dict(pairs))
                also(written)
            total += written
            self._mention(old for old, _ in pairs)
        with atomic():
            reached = self._newest() if self._added or total.renamed else (self._before[-1] if self._before else 0)
            Asset.update(synced_at=clock.now(), enumerated_to=reached).where(Asset.id == self._asset.id).execute()
            also(Written())
        return total

    def _newest(self) -> int:
        mine = (Finding.customer_id == self._asset.customer_id) & (Finding.asset_id == self._asset.id)
        return Finding.select(peewee.fn.MAX(Finding.id)).where(mine).scalar() or 0

    def unmentioned(self) -> Iterator[int]:
        """Keys of the findings that the source still reported before and that no batch has mentioned, ascending."""
        return (key for key, mark in zip(self._before, self._marks, strict=True) if mark == _LIVING)

    def _mention(self, keys: Iterable[int]) -> None:
        before, marks = self._before, self._marks
        for key in keys:
            place = bisect_left(before, key)
            if place < len(before) and before[place] == key:
                marks[place] |= _MENTIONED

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """A transaction that alone writes this asset's findings, with what holds for them looked at inside it."""
        with atomic():
            catalog.lock([self._asset.id])
            self._in_force.refresh()
            yield

    def _known(self, source_keys: list[str]) -> dict[str, tuple[int, int]]:
        """Key and digest of those that are stored, by the source's key."""
        fixed = {"customer_id": self._asset.customer_id, "asset_id": self._asset.id}
        found = rows_by_key(Finding, ("source_key", "id", "digest"), fixed, "source_key", source_keys)
        return {source_key: (key, digest) for source_key, key, digest in found}

    def _write(self, by_key: Mapping[str, FindingDraft], known: Mapping[str, tuple[int, int]]) -> Written:
        new: list[tuple[str, FindingDraft]] = []
        digests: dict[str, int] = {}
        changed: dict[str, FindingDraft] = {}
        for source_key, draft in by_key.items():
            digest, stored = digest_of(draft), known.get(source_key)
            if stored is None:
                new.append((source_key, draft))
            elif stored[1] != digest:
                changed[source_key] = draft
            else:
                continue
            digests[source_key] = digest
        written = Written(added=len(new), unchanged=len(by_key) - len(digests))
        delta, now = Delta(), clock.now()
        if new:
            self._add(new, digests, delta, now)
        if changed:
            self._rewrite(changed, digests, delta, now, written)
        rollups.add(self._asset.customer_id, {self._asset.id: delta})
        return written

    def _add(self, new: Sequence[tuple[str, FindingDraft]], digests: Mapping[str, int], delta: Delta, now: int) -> None:
        asset, run_id, in_force = self._asset, self._run_id, self._in_force
        inherited = in_force.inherited(new)
        has_verdicts = bool(inherited or in_force.broad.ids)
        rows, decided = [], []
        counts: Counter[tuple[str, int, int | None]] = Counter()
        for source_key, draft in new:
            said = said_by(draft)
            ruling: Ruling | None = None
            if has_verdicts:
                ruling = inherited.get(source_key) or in_force.broad.over(asset.id, asset.source, *_rule_and_cve(said))
            verdict = repeated(ruling)
            status, _, paused_since, due_day = standing(draft.state, verdict[0], draft.severity, now, 0, None, in_force.terms, now)
            counts[status, int(draft.severity), due_day] += 1
            rows.append((asset.customer_id, asset.id, asset.source, source_key, *said, status, *verdict, paused_since, due_day, now,
                         now if draft.state in REMEDIATED else None, run_id, run_id, digests[source_key]))
            if ruling is not None:
                decided.append(source_key)
        bulk_insert(Finding, STORED, rows)
        for (status, severity, due_day), number in counts.items():
            delta.gained(status, severity, due_day, number)
        if decided:
            self._tell_inherited(decided, now)

    def _tell_inherited(self, source_keys: list[str], now: int) -> None:
        fixed = {"customer_id": self._asset.customer_id, "asset_id": self._asset.id}
        found = rows_by_key(Finding, ("id", "verdict", "verdict_id"), fixed, "source_key", source_keys)
        history.store([history.event(self._asset.customer_id, key, "inherited", at=now, actor=self._actor, run_id=self._run_id,
                                     details={"verdict": [None, verdict]}, verdict_id=verdict_id) for key, verdict, verdict_id in found])

    def _rewrite(self, changed: Mapping[str, FindingDraft], digests: Mapping[str, int], delta: Delta, now: int, written: Written) -> None:
        """Write anew what the source says otherwise; the events are told from what the rows still hold."""
        asset = self._asset
        fixed = {"customer_id": asset.customer_id, "asset_id": asset.id}
        rows, events, moved = [], [], []
        for before in map(Before._make, rows_by_key(Finding, Before._fields, fixed, "source_key", list(changed))):
            said = said_by(changed[before.source_key])
            after = rewritten(before, said, digests[before.source_key], self._in_force, asset.id, asset.source, self._run_id, now)
            rows.append((asset.customer_id, before.id, *after.values))
            delta.moved(before.counted, after.counted)
            kind = history.kind_of_change(before.source_state, after.facts["source_state"])
            _count(written, kind)
            if before.fingerprint != after.facts["fingerprint"] and after.verdict_id:
                moved.append((asset.customer_id, before.id, after.verdict_id, after.facts["fingerprint"]))
            difference = history.difference(before._asdict(), after.facts)
            if kind != "changed" or difference:  # what nobody would look for is not told
                events.append(self._event(before.id, kind, now, difference, after.verdict_id))
        bulk_update(Finding, ("customer_id", "id"), rows, update=REWRITTEN)
        history.store(events)
        identity.follow_fingerprints(moved)

    def _renamed(self) -> Iterator[tuple[int, int]]:
        """Pairs of a finding that was not mentioned, and a new one that it is under another key. None are looked for unless
        both kinds are there, so that most pulls pay nothing."""
        before, marks = self._before, self._marks
        newest_before = before[-1] if before else 0
        since = newest_before if self._asset.enumerated_to is None else self._asset.enumerated_to
        recent = bisect_right(before, since)  # from here on: new since the last complete enumeration, left by pulls that broke off
        left_over = frozenset(key for key, mark in zip(before[recent:], marks[recent:], strict=True) if mark & _MENTIONED)
        missing = [array("q", (key for key, mark in zip(before, marks, strict=True) if mark == sought)) for sought in (_LIVING, 0)]
        if not any(missing) or not (self._added or left_over):
            return iter(())
        return identity.pairs(self._asset, since, lambda key: key > newest_before or key in left_over, *missing)

    def _take_over(self, pairs: Mapping[int, int]) -> Written:
        taken = identity.take_over(self._asset, self._in_force, pairs, run_id=self._run_id, actor=self._actor)
        written = Written(added=-taken.added_by_this_run, renamed=taken.renamed)
        for kind, number in taken.kinds.items():
            _count(written, kind, number)
        return written

    def _event(self, finding_id: int, kind: str, now: int, details: dict, verdict_id: str | None = None) -> tuple:
        return history.event(self._asset.customer_id, finding_id, kind, at=now, actor=self._actor, run_id=self._run_id, details=details,
                             verdict_id=verdict_id if "verdict" in details else None)


def _stored_keys(asset: Asset) -> Iterator[list[tuple[int, bool]]]:
    """Every finding of an asset, and whether it is remediated, by its key; in lists, since they may be very many."""
    is_remediated = Finding.source_state.in_(list(REMEDIATED))
    query = Finding.select(Finding.id, is_remediated).where(Finding.customer_id == asset.customer_id, Finding.asset_id == asset.id)
    cursor = db.execute_sql(*query.order_by(Finding.id).sql())
    while rows := cursor.fetchmany(_KEYS_AT_ONCE):
        yield rows


def _rule_and_cve(said: tuple) -> tuple[str, str]:
    return said[_RULE], said[_CVE]


def _count(written: Written, kind: str, number: int = 1) -> None:
    name = kind if kind in ("reopened", "closed") else "changed"
    setattr(written, name, getattr(written, name) + number)


def close(customer_id: str, asset_id: str, due: object, *, run_id: str, actor: str) -> int:
    """Close findings of one asset as gone: rows, history and totals in the caller's transaction. Returns how many were closed.

    :param due: a query of finding ids.
    """
    catalog.lock([asset_id])
    now = clock.now()
    mine = ((Finding.customer_id == customer_id) & (Finding.asset_id == asset_id) & Finding.id.in_(due)
            & Finding.source_state.not_in(list(REMEDIATED)))
    FindingEvent.insert_from(
        Finding.select(Finding.customer_id, Finding.id, _constant(now), _constant("closed"), _constant(actor), _constant(run_id),
                       _constant("{}")).where(mine),
        [FindingEvent.customer_id, FindingEvent.finding_id, FindingEvent.at, FindingEvent.kind, FindingEvent.actor, FindingEvent.run_id,
         FindingEvent.details]).execute()
    paused = peewee.Case(None, [(Finding.paused_since.is_null(), Finding.paused_ms)], Finding.paused_ms + now - Finding.paused_since)
    # Digest 0 matches no draft, so that a finding that returns is rewritten and reopened.
    closed = Finding.update(source_state=SourceState.GONE, status=effective(SourceState.GONE, None), closed_at=now, last_run_id=run_id,
                            digest=0, paused_ms=paused, paused_since=None, due_day=None).where(mine).execute()
    rollups.recount(customer_id, [asset_id])
    return closed


def delete_all(asset: Asset) -> None:
    """Delete an asset's findings with all that is told of them, inside a transaction. Decisions about single ones stay as long as another
    asset of the lineage is there, which may take them over."""
    catalog.lock([asset.id])
    mine = (Finding.customer_id == asset.customer_id) & (Finding.asset_id == asset.id)
    FindingEvent.delete().where(FindingEvent.customer_id == asset.customer_id,
                                FindingEvent.finding_id.in_(Finding.select(Finding.id).where(mine))).execute()
    for table in (Finding, FindingKey, AssetDue):
        table.delete().where(table.customer_id == asset.customer_id, table.asset_id == asset.id).execute()
    theirs = (Verdict.customer_id == asset.customer_id) & (Verdict.source == asset.source)
    kin = Asset.select().where(Asset.customer_id == asset.customer_id, Asset.source == asset.source, Asset.lineage == asset.lineage,
                               Asset.id != asset.id)
    if kin.exists():
        Verdict.update(finding_id=None).where(theirs, Verdict.asset_id == asset.id, Verdict.level == "finding").execute()
        Verdict.delete().where(theirs, Verdict.asset_id == asset.id, Verdict.level == "asset").execute()
    else:
        of_lineage = (Verdict.level == "finding") & (Verdict.lineage == asset.lineage)
        Verdict.delete().where(theirs, (Verdict.asset_id == asset.id) | of_lineage).execute()


def _constant(value: int | str) -> object:
    if isinstance(value, int):
        return peewee.Value(value).cast("bigint")
    return peewee.Value(value, converter=False).cast("text")


__all__ = ["BATCH", "AssetWriter", "Written", "close", "delete_all"]
