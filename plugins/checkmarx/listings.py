"""Reads a paged listing of Checkmarx One to its end, and proves that it is complete.

Every page announces the total. A pass over the pages counts if all of them announced the same and as many different
records came. A listing that moved meanwhile is read once more, and after that the pull is given up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.hooks.failures import AnswerInvalid, PullIncomplete

_PASSES = 2

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a listing; ``total`` is what it announces for the whole listing."""

    records: Sequence[Record]
    total: int


def page_of(answer: Any, field: str, totals: Sequence[str], what: str, key: str = "") -> Page:
    """The page in an answer. A list that is null is empty.

    :param totals: names that the total may have; the first that is there counts. Some endpoints send it as text.
    :param key: a field that every record must have, because the records are told apart by it.
    :raises AnswerInvalid: when the answer lacks its list or its total, or the list holds something else than such records.
    """
    try:
        records = answer[field] or []
        total = int(next(answer[name] for name in totals if answer.get(name) is not None))
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        raise AnswerInvalid(f"{what}: a page lacks its list or its total") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) and (not key or record.get(key)) for record in records):
        raise AnswerInvalid(f"{what}: a page holds something that is no record")
    return Page(records, total)


def everything(read: Callable[[int, int], Page], what: str, size: int, identity: Callable[[Record], Any] = repr) -> Iterator[Record]:
    """All records of a listing, lazily.

    :param read: the page with this number, counted from 0, of so many records each.
    :param what: what is listed, as a message says it.
    :param identity: what tells two records apart; by default all that they say.
    :raises PullIncomplete: when something else came than was announced, twice.
    """
    given: set[int] = set()
    before: _Pass | None = None
    for _ in range(_PASSES):
        reading = _Pass(read, size, identity)
        for mark, record in reading.records():
            if mark not in given:
                yield record
        given |= reading.seen
        if reading.is_complete or (before is not None and reading.confirms(before)):
            return
        before = reading
    raise PullIncomplete(f"{what}: {reading.received} came of {', '.join(map(str, sorted(reading.totals)))} that were announced")


class _Pass:
    """One reading of a listing from its first page to its last.

    :ivar seen: marks of the records that came.
    :ivar came: how many records came in all.
    :ivar received: how many of them were not on an earlier page already.
    """

    def __init__(self, read: Callable[[int, int], Page], size: int, identity: Callable[[Record], Any]) -> None:
        self._read, self._size, self._identity = read, size, identity
        self.seen: set[int] = set()
        self.totals: set[int] = set()
        self.came = self.received = 0
        self._has_more = True

    def records(self) -> Iterator[tuple[int, Record]]:
        """Each record that was not on an earlier page, with its mark."""
        number = 0
        while self._has_more:
            yield from self._fresh(number)  # nothing else holds the page, so that it is gone before the next one comes
            number += 1

    def _fresh(self, number: int) -> list[tuple[int, Record]]:
        page = self._read(number, self._size)
        marked = [(hash(self._identity(record)), record) for record in page.records]
        fresh = [(mark, record) for mark, record in marked if mark not in self.seen]
        self.totals.add(page.total)
        self.came += len(marked)
        self.received += len(fresh)
        self.seen.update(mark for mark, _ in fresh)
        self._has_more = bool(fresh) and self.received < page.total
        if number == 0 and marked:
            # a service may give shorter pages than were asked for, and counts the next ones by the size that is asked for
            self._size = min(self._size, len(marked))
        return fresh

    @property
    def is_complete(self) -> bool:
        return self.totals == {self.received}

    def confirms(self, before: "_Pass") -> bool:
        """Whether two readings say the same though records repeat themselves: then the listing does hold some twice."""
        return self.totals == before.totals == {self.came} == {before.came} and self.seen == before.seen
