"""Which finding is which when a source changes its keys.

A finding is found by its present key. When an asset was enumerated completely, a finding that was not mentioned gets a second
chance: a new one is the same if it has one of its earlier keys, or else the same fingerprint. See docs/decisions/0007.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from peewee import chunked

from core import clock
from core.assets.models import Asset
from core.db.bulk import bulk_update, bulk_upsert, rows_by_key
from core.findings import history, rollups
from core.findings.inforce import IS_OF_ONE_FINDING, InForce
from core.findings.models import Finding, FindingEvent, FindingKey, Verdict
from core.findings.rollups import Delta
from core.findings.rows import REWRITTEN, SAID, Before, rewritten

_AT_ONCE = 1000
_MOST_WEIGHED = 10_000  # pairs of one fingerprint that are compared one by one


class _Place(NamedTuple):
    path: str
    line: int


def pairs(asset: Asset, since: int, is_new: Callable[[int], bool], living: Sequence[int], gone: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Findings that came under another key: the key of each row that was there, and of the new row that it is.

    Each row is in one pair at most. Costs one statement for each thousand that were not mentioned, and two or three more.

    :param since: rows above this key may be new; ``is_new`` tells whether one is.
    :param living, gone: what was not mentioned, reported until now and no longer; ascending.
    """
    missing = _Missing(living, gone)
    recent = (Finding.customer_id == asset.customer_id) & (Finding.asset_id == asset.id) & (Finding.id > since)
    returned = _by_earlier_key(recent, is_new, missing)
    yield from returned.items()
    missing.found.update(returned)
    found = frozenset(returned.values())
    yield from _by_fingerprint(asset, recent, lambda key: is_new(key) and key not in found, missing)


@dataclass(slots=True)
class _Missing:
    """Keys of what was not mentioned."""

    living: Sequence[int]
    gone: Sequence[int]
    found: set[int] = field(default_factory=set)

    def rank(self, key: int) -> int | None:
        """0 for what was reported until now, 1 for what no longer was; None for anything else."""
        if key in self.found:
            return None
        for rank, keys in enumerate((self.living, self.gone)):
            place = bisect_left(keys, key)
            if place < len(keys) and keys[place] == key:
                return rank
        return None

    def __iter__(self) -> Iterator[int]:
        return (key for key in chain(self.living, self.gone) if key not in self.found)


def _by_earlier_key(recent: Any, is_new: Callable[[int], bool], missing: _Missing) -> dict[int, int]:
    same = ((FindingKey.customer_id == Finding.customer_id) & (FindingKey.asset_id == Finding.asset_id)
            & (FindingKey.source_key == Finding.source_key))
    query = Finding.select(FindingKey.finding_id, Finding.id).join(FindingKey, on=same).where(recent).order_by(Finding.id)
    found: dict[int, int] = {}
    for old, new in query.tuples():
        if is_new(new) and missing.rank(old) is not None:
            found.setdefault(old, new)
    return found


def _by_fingerprint(asset: Asset, recent: Any, is_new: Callable[[int], bool], missing: _Missing) -> Iterator[tuple[int, int]]:
    groups: dict[str, _Group] = {}
    for key, fingerprint in Finding.select(Finding.id, Finding.fingerprint).where(recent, Finding.fingerprint != "").tuples().iterator():
        if is_new(key):
            groups.setdefault(fingerprint, _Group()).new.append(key)
    fixed = {"customer_id": asset.customer_id, "asset_id": asset.id}
    for batch in chunked(missing if groups else (), _AT_ONCE):
        for key, fingerprint in rows_by_key(Finding, ("id", "fingerprint"), fixed, "id", batch):
            if fingerprint in groups:
                groups[fingerprint].old.append(key)
    alike = [group for group in groups.values() if group.old]
    places = _places(fixed, [key for group in alike if not group.is_plain for key in (*group.old, *group.new)])
    for group in alike:
        yield from group.matched(missing.rank, places)


def _places(fixed: Mapping[str, str], keys: Iterable[int]) -> dict[int, _Place]:
    found = (row for batch in chunked(keys, _AT_ONCE) for row in rows_by_key(Finding, ("id", "path", "line"), fixed, "id", batch))
    return {key: _Place(path, line or 0) for key, path, line in found}


@dataclass(slots=True)
class _Group:
    """Rows with one fingerprint."""

    old: list[int] = field(default_factory=list)
    new: list[int] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        return len(self.old) == len(self.new) == 1

    def matched(self, rank: Callable[[int], int | None], places: Mapping[int, _Place]) -> list[tuple[int, int]]:
        """Pairs within the group: what was reported until now first, then the same file, the nearest line, the oldest."""
        if self.is_plain:
            return [(self.old[0], self.new[0])]
        if len(self.old) * len(self.new) > _MOST_WEIGHED:  # nobody can tell so many apart; in order of place they mostly fit
            kept = sorted(self.old, key=lambda key: (rank(key) or 0, key))[:len(self.new)]
            return list(zip(*(sorted(keys, key=lambda key: (places[key], key)) for keys in (kept, self.new)), strict=False))
        chosen: dict[int, int] = {}
        taken: set[int] = set()
        for *_, old, new in sorted(self._weighed(rank, places)):
            if old not in chosen and new not in taken:
                chosen[old] = new
                taken.add(new)
        return list(chosen.items())

    def _weighed(self, rank: Callable[[int], int | None], places: Mapping[int, _Place]) -> Iterator[tuple[int, bool, int, int, int]]:
        for old in self.old:
            before, first = places[old], rank(old) or 0
            for new in self.new:
                after = places[new]
                yield first, before.path != after.path, abs(before.line - after.line), old, new


@dataclass(slots=True)
class Taken:
    """What ``take_over`` did.

    :ivar added_by_this_run: new rows that this run had counted as added, and that are no more.
    :ivar kinds: how many of the findings were reopened, closed and so on by it.
    """

    renamed: int = 0
    added_by_this_run: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


class _New(NamedTuple):
    """What is read of a new row before it is merged into the one that was there."""

    id: int
    source_key: str
    digest: int
    first_run_id: str
    status: str
    due_day: int | None
    said: tuple

    @classmethod
    def of(cls, row: tuple) -> "_New":
        key, source_key, digest, first_run_id, status, due_day, *said = row
        return cls(key, source_key, digest, first_run_id, status, due_day, tuple(said))


def take_over(asset: Asset, in_force: InForce, renamed: Mapping[int, int], *, run_id: str, actor: str) -> Taken:
    """Let findings go on under their new keys: each keeps its id, first sight, history and verdict, and says what the new row said,
    which is deleted. Inside a transaction that holds the asset; a constant number of statements."""
    fixed, now = {"customer_id": asset.customer_id, "asset_id": asset.id}, clock.now()
    names = ("id", "source_key", "digest", "first_run_id", "status", "due_day", *SAID)
    new = {row.id: row for row in map(_New.of, rows_by_key(Finding, names, fixed, "id", list(renamed.values())))}
    old = [row for row in map(Before._make, rows_by_key(Finding, Before._fields, fixed, "id", list(renamed))) if renamed[row.id] in new]
    decided = _move_verdicts(asset.customer_id, {row.id: renamed[row.id] for row in old}, actor, now)
    taken, delta = Taken(renamed=len(old)), Delta()
    rows, events, moved = [], [], []
    for found in old:
        row = new[renamed[found.id]]
        before = found._replace(**decided.get(found.id, {}))
        after = rewritten(before, row.said, row.digest, in_force, asset.id, asset.source, run_id, now)
        rows.append((asset.customer_id, before.id, *after.values, row.source_key))
        delta.moved(found.counted, after.counted)
        delta.lost(row.status, after.facts["severity"], row.due_day)
        kind = history.kind_of_change(before.source_state, after.facts["source_state"])
        taken.kinds[kind] += kind != "changed"
        taken.added_by_this_run += row.first_run_id == run_id
        difference = history.difference(found._asdict(), after.facts)
        for name, told in _told(kind, [before.source_key, row.source_key], difference):
            events.append(history.event(asset.customer_id, before.id, name, at=now, actor=actor, run_id=run_id, details=told,
                                        verdict_id=after.verdict_id if "verdict" in told else None))
        if before.fingerprint != after.facts["fingerprint"] and after.verdict_id:
            moved.append((asset.customer_id, before.id, after.verdict_id, after.facts["fingerprint"]))
    _merge(asset, run_id, {row.id: renamed[row.id] for row in old})
    earlier = [(asset.customer_id, asset.id, row.source_key, row.id) for row in old]
    bulk_upsert(FindingKey, ("customer_id", "asset_id", "source_key", "finding_id"), earlier,
                conflict=("customer_id", "asset_id", "source_key"), update=("finding_id",))
    bulk_update(Finding, ("customer_id", "id"), rows, update=(*REWRITTEN, "source_key"))
    history.store(events)
    follow_fingerprints(moved)
    rollups.add(asset.customer_id, {asset.id: delta})
    return taken


def _told(kind: str, keys: list[str], difference: dict[str, list]) -> list[tuple[str, dict[str, list]]]:
    """The events of a rename: one of its own, and one more when the finding's state changes with it."""
    if kind == "changed":
        return [("renamed", {"source_key": keys, **difference})]
    return [("renamed", {"source_key": keys}), (kind, difference)]


def _merge(asset: Asset, run_id: str, merged: Mapping[int, int]) -> None:
    """Delete the new rows. What happened to them before this run is the history of those that go on."""
    gone = list(merged.values())
    FindingEvent.delete().where(FindingEvent.customer_id == asset.customer_id, FindingEvent.finding_id.in_(gone),
                                FindingEvent.run_id == run_id).execute()
    moves = [(asset.customer_id, new, old) for old, new in merged.items()]
    for table in (FindingEvent, FindingKey):
        bulk_update(table, ("customer_id", "finding_id"), moves, update=("finding_id",))
    Finding.delete().where(Finding.customer_id == asset.customer_id, Finding.id.in_(gone)).execute()


def _move_verdicts(customer_id: str, merged: Mapping[int, int], actor: str, now: int) -> dict[int, dict[str, Any]]:
    """A verdict that somebody already gave to a new row goes over to the finding that it is, unless that has a newer one of its own.

    :returns: columns of the findings that got another verdict.
    """
    either = Verdict.finding_id.in_([*merged, *merged.values()])
    found = {row.finding_id: row for row in Verdict.select().where(Verdict.customer_id == customer_id, IS_OF_ONE_FINDING, either)}
    moving, ending, columns = [], [], {}
    for old, new in merged.items():
        own, other = found.get(old), found.get(new)
        if other is None:
            continue
        if own is not None and own.created_at > other.created_at:
            ending.append(other.id)
            continue
        if own is not None:
            ending.append(own.id)
        moving.append((customer_id, other.id, old))
        columns[old] = {"verdict": other.kind, "verdict_id": other.id, "verdict_until": other.until}
    if ending:
        Verdict.update(ended_at=now, ended_by=actor, settled_at=now).where(Verdict.id.in_(ending)).execute()
    bulk_update(Verdict, ("customer_id", "id"), moving, update=("finding_id",))
    return columns


def follow_fingerprints(moved: Sequence[tuple[str, int, str, str]]) -> None:
    """Let verdicts on single findings know their findings by the fingerprints that these have now.

    :param moved: customer, finding's key, verdict's id and the new fingerprint; verdicts on anything else are passed over.
    """
    bulk_update(Verdict, ("customer_id", "finding_id", "id"), moved, update=("fingerprint",))
