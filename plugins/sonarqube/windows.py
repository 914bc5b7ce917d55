"""Reads a paged listing to its end, past the 10,000 results that SonarQube shows of one query, and proves that it is complete.

Every page announces the total. A pass over the pages of a query counts if all of them announced the same and as many
different records came; a listing that moved meanwhile is read once more, and after that the pull is given up.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.hooks.failures import AnswerInvalid, PullIncomplete

WINDOW = 10_000
PAGE = 500
_PASSES = 2

Query = Mapping[str, Any]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a listing; ``total`` is what it announces for the whole query."""

    records: Sequence[Record]
    total: int
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing of the Web API.

    :ivar get: makes the request and gives the decoded answer.
    :ivar field: name of the list in the answer.
    :ivar what: what is listed, as a message says it.
    :ivar caps_total: the service announces at most 10,000, so that this number may stand for more.
    :ivar window: how many results of one query are shown; None: all of them.
    :ivar size: of a page.
    """

    get: Callable[[str, Query], Any]
    path: str
    field: str
    what: str
    caps_total: bool = False
    window: int | None = WINDOW
    size: int = PAGE

    def page(self, query: Query, number: int, size: int = 0) -> Page:
        """One page; numbers begin at 1.

        :raises AnswerInvalid: when the answer lacks its list or its total.
        """
        answer = self.get(self.path, {**query, "p": number, "ps": size or self.size})
        try:
            paging = answer.get("paging") or answer  # rules had no paging object before 9.8
            records, total = answer[self.field], paging["total"]
        except (KeyError, TypeError, AttributeError):
            records = total = None
        if not isinstance(records, list) or not isinstance(total, int):
            raise AnswerInvalid(f"{self.what}: page {number} lacks its list or its total")
        return Page(records, total, answer)

    def overflows(self, total: int) -> bool:
        """Whether a query with this announced total holds more than is shown of it, as far as one can tell."""
        return self.window is not None and (total > self.window or (self.caps_total and total == self.window))

    def shown(self, query: Query, first: Page | None = None) -> Iterator[Record]:
        """All that is shown of one query, each record once.

        :param first: the first page, when it was read already.
        :raises PullIncomplete: when fewer records came than were announced, twice.
        """
        given: set[object] = set()
        for _ in range(_PASSES):
            keys, totals = set[object](), set[int]()
            for number, page in enumerate(self._pages(query, first), 1):
                totals.add(page.total)
                for position, record in enumerate(page.records):
                    key = _key(record, number, position)
                    keys.add(key)
                    if key not in given:
                        given.add(key)
                        yield record
            if given and not keys:
                break  # nothing is listed any more of what was there a moment ago
            if len(totals) == 1 and len(keys) >= self._reach(max(totals)):
                return
            first = None
        raise PullIncomplete(f"{self.what}: {len(keys)} came of {max(totals)} announced")

    def everything(self, query: Query) -> Iterator[Record]:
        """All of a listing that there is no way to narrow.

        :raises PullIncomplete: when it holds more than the service shows; what it shows came before.
        """
        first = self.page(query, 1)
        yield from self.shown(query, first)
        if self.overflows(first.total):
            raise PullIncomplete(f"{self.what}: {first.total} announced, but only the first {self.window} can be listed")

    def by_creation(self, query: Query, dimensions: Sequence[str]) -> Iterator[Record]:
        """All records in the order of their creation, window after window.

        Where there are more than a window shows, the last record that it does show gives the moment at which to part: all
        before it fits one window, and the rest begins with it. Where one moment alone fills a window (the first analysis of
        an old code base), that moment is split over one of the ``dimensions``.
        """
        query = {**query, "s": "CREATION_DATE", "asc": "true"}
        since, goes_on = "", False
        while True:
            rest = {**query, "createdAfter": since} if since else query
            first = self.page(rest, 1)
            if goes_on and not first.total:
                raise PullIncomplete(f"{self.what}: the records created since {since} are no longer listed")
            if not self.overflows(first.total):
                yield from self.shown(rest, first)
                return
            edge = self._last_shown_moment(rest)
            if edge == since:
                after = _second_after(edge)
                yield from self._moment({**rest, "createdBefore": after}, dimensions)
                since, goes_on = after, False
            else:
                yield from self.shown({**rest, "createdBefore": edge})
                since, goes_on = edge, True

    def split(self, query: Query, dimensions: Sequence[str]) -> Iterator[Record]:
        """All records of a query that dates cannot narrow any more, part by part over one dimension, and deeper where needed.

        :param dimensions: fields with one value per record that are both a facet and a filter; the first that does is taken.
        :raises PullIncomplete: when no dimension tells the records apart, or the parts hold less than the whole.
        """
        dimensions = [name for name in dimensions if name not in query]  # a facet ignores the filter on its own field
        page = self.page({**query, "facets": ",".join(dimensions)}, 1, size=1) if dimensions else None
        facets = _facets(page) if page else {}
        total = max([page.total if page else 0, *(sum(counts.values()) for counts in facets.values())])
        best = _best_dimension(facets, dimensions, total, self.window or WINDOW)
        if best is None:
            raise PullIncomplete(f"{self.what}: more than {self.window} records that nothing tells apart")
        came = 0
        for value, count in facets[best].items():
            part = {**query, best: value}
            first = self.page(part, 1)
            if self.overflows(first.total):
                came += max(first.total, count)
                yield from self.split(part, dimensions)
            else:
                came += first.total
                yield from self.shown(part, first)
        if came < total:
            raise PullIncomplete(f"{self.what}: its parts hold {came} of {total} announced")

    def by_values(self, query: Query, dimensions: Sequence[tuple[str, Sequence[str]]]) -> Generator[Record, None, int]:
        """All records of a listing without facets; one that overflows is read part by part over the values named. Returns how many.

        :raises PullIncomplete: when that is not enough, or the parts hold less than the whole.
        """
        first = self.page(query, 1)
        if not self.overflows(first.total):
            yield from self.shown(query, first)
            return first.total
        if not dimensions:
            raise PullIncomplete(f"{self.what}: more than {self.window} records that nothing tells apart")
        (name, values), *deeper = dimensions
        came = 0
        for value in values:
            came += yield from self.by_values({**query, name: value}, deeper)
        if came < first.total:
            raise PullIncomplete(f"{self.what}: its parts hold {came} of {first.total} announced")
        return came

    def _moment(self, query: Query, dimensions: Sequence[str]) -> Iterator[Record]:
        first = self.page(query, 1)
        yield from self.split(query, dimensions) if self.overflows(first.total) else self.shown(query, first)

    def _pages(self, query: Query, first: Page | None) -> Iterator[Page]:
        number = 1
        page = first or self.page(query, 1)
        while True:
            reach = self._reach(page.total)
            if not page.records and (number - 1) * self.size < reach:
                raise PullIncomplete(f"{self.what}: page {number} is empty, although {page.total} are announced")
            yield page
            if number * self.size >= reach:
                return
            number += 1
            page = self.page(query, number)

    def _reach(self, total: int) -> int:
        return total if self.window is None else min(total, self.window)

    def _last_shown_moment(self, query: Query) -> str:
        """When the last record of a full window was created."""
        records = self.page(query, self.window or WINDOW, size=1).records
        created = records[0].get("creationDate") if records and isinstance(records[0], dict) else None
        if not isinstance(created, str):
            raise AnswerInvalid(f"{self.what}: record {self.window} is missing, or its creation date is")
        return created


def _key(record: Any, number: int, position: int) -> object:
    """The record's own key, or its place in the listing when it lacks one."""
    key = record.get("key") if isinstance(record, dict) else None
    return key if isinstance(key, str) else (number, position)


def _second_after(moment: str) -> str:
    """SonarQube's dates are whole seconds, and the upper bound of a query is not part of it."""
    try:
        return (datetime.fromisoformat(moment) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise AnswerInvalid(f"'{moment[:40]}' is not a creation date") from None


def _facets(page: Page) -> dict[str, dict[str, int]]:
    """Of each facet, the values that occur, with their counts."""
    try:
        return {facet["property"]: {entry["val"]: entry["count"] for entry in facet["values"] if entry["count"]}
                for facet in page.answer["facets"]}
    except (KeyError, TypeError):
        raise AnswerInvalid("an answer lacks the facets that were asked for") from None


def _best_dimension(facets: Mapping[str, Mapping[str, int]], dimensions: Sequence[str], total: int,
                    window: int) -> str | None:
    """The first dimension whose parts all fit a window, else the one with the smallest largest part. A facet lists at most
    100 values, so one whose counts do not add up to the total would leave a remainder out and is never taken."""
    whole = [name for name in dimensions if len(facets.get(name, {})) > 1 and sum(facets[name].values()) >= total]
    fitting = [name for name in whole if max(facets[name].values()) < window]
    if fitting:
        return fitting[0]
    return min(whole, key=lambda name: max(facets[name].values()), default=None)
