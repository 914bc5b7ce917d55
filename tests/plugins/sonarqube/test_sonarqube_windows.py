"""Listings past the window, with windows small enough to try every shape: a service in memory that pages, filters and counts as
SonarQube does."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.hooks.failures import AnswerInvalid, PullIncomplete, UpstreamUnavailable
from plugins.sonarqube.windows import Listing

WINDOW, PAGE = 20, 5
DIMENSIONS = ("severities", "rules", "files")
LONGEST_FACET = 6


def moment(second: int) -> str:
    return f"2031-01-05T10:{second // 60:02}:{second % 60:02}+0000"


def record(key: int, second: int = 0, severity: str = "MAJOR", rule: str = "r", file: str = "f") -> dict[str, Any]:
    return {"key": f"k{key}", "creationDate": moment(second), "severities": severity, "rules": rule, "files": file}


class Service:
    """Answers like ``issues/search``. ``capped`` announces at most a window, as Cloud does; ``spoil`` may change an answer."""

    def __init__(self, records: list[dict[str, Any]], *, capped: bool = False, spoil: Callable[[int, dict], None] | None = None) -> None:
        self.records = sorted(records, key=lambda entry: (entry["creationDate"], entry["key"]))
        self.capped, self.spoil, self.calls = capped, spoil, 0

    def __call__(self, path: str, query: Any) -> Any:
        self.calls += 1
        number, size = query["p"], query["ps"]
        assert number * size <= WINDOW, "the service would refuse this"
        start, end = query.get("createdAfter", ""), query.get("createdBefore", "3")
        found = [entry for entry in self.records if start <= entry["creationDate"] < end]
        chosen = self._filtered(found, query)
        answer = {"paging": {"total": min(len(chosen), WINDOW) if self.capped else len(chosen)},
                  "issues": chosen[(number - 1) * size:number * size],
                  "facets": [self._facet(name, found, query) for name in query.get("facets", "").split(",") if name]}
        if self.spoil:
            self.spoil(self.calls, answer)
        return answer

    def _filtered(self, found: list[dict], query: Any, ignoring: str = "") -> list[dict]:
        return [entry for entry in found if all(query.get(name, entry[name]) == entry[name] for name in DIMENSIONS if name != ignoring)]

    def _facet(self, name: str, found: list[dict], query: Any) -> dict[str, Any]:
        counts = Counter(entry[name] for entry in self._filtered(found, query, ignoring=name))
        return {"property": name, "values": [{"val": value, "count": count} for value, count in counts.most_common(LONGEST_FACET)]}


def listing(service: Service, window: int | None = WINDOW) -> Listing:
    return Listing(service, "/api/issues/search", "issues", "issues of project 'p'", caps_total=service.capped, window=window, size=PAGE)


def keys(service: Service) -> list[str]:
    return [entry["key"] for entry in listing(service).by_creation({}, DIMENSIONS)]


both_flavours = pytest.mark.parametrize("capped", [False, True], ids=["server", "cloud"])


@both_flavours
@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 19, 20, 21, 39, 40, 41, 200])
def test_spread_out_records_are_complete_in_order_and_cost_little_more_than_their_pages(capped, count):
    service = Service([record(number, number) for number in range(count)], capped=capped)
    assert keys(service) == [entry["key"] for entry in service.records]
    pages, windows = -(-count // PAGE), count // (WINDOW - 1)
    assert service.calls <= max(1, pages) + 4 * windows


@both_flavours
@pytest.mark.parametrize("count", [19, 20, 21, 50])
def test_records_of_one_moment_are_complete(capped, count):
    service = Service([record(number, severity=f"s{number % 4}", rule=f"r{number % 5}", file=f"f{number}") for number in range(count)],
                      capped=capped)
    came = keys(service)
    assert sorted(came) == sorted(entry["key"] for entry in service.records)
    assert len(came) == len(set(came))


@both_flavours
@pytest.mark.parametrize("shape", [[(3, 1), (60, 2), (3, 3)], [(19, 1), (20, 2), (21, 3), (1, 4)], [(21, 1), (21, 2)], [(60, 1), (19, 2)],
                                   [(7, 1), (13, 2), (7, 3), (13, 4), (7, 5)]])
def test_crowded_moments_between_quiet_ones_are_complete(capped, shape):
    numbers = iter(range(1000))
    records = [record(number := next(numbers), second, severity=f"s{number % 4}") for count, second in shape for _ in range(count)]
    came = keys(Service(records, capped=capped))
    assert sorted(came) == sorted(entry["key"] for entry in records)


@both_flavours
def test_a_crowded_part_is_split_again(capped):
    records = [record(number, severity="rare" if number == 0 else "usual", rule=f"r{number % 3}") for number in range(50)]
    assert len(keys(Service(records, capped=capped))) == 50


def test_exactly_a_window_at_one_moment_needs_nothing_to_tell_it_apart_where_the_total_is_true():
    records = [record(number, 5) for number in range(WINDOW)] + [record(100, 9)]
    assert len(keys(Service(records))) == WINDOW + 1
    with pytest.raises(PullIncomplete):
        keys(Service(records, capped=True))  # there may be more of them


@both_flavours
@pytest.mark.parametrize("file", ["f", "f{}"])
def test_what_nothing_tells_apart_is_incomplete(capped, file):
    """One file for all, or more files than a facet lists."""
    with pytest.raises(PullIncomplete, match="nothing tells apart"):
        keys(Service([record(number, file=file.format(number)) for number in range(30)], capped=capped))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 30)), max_size=140),
       st.booleans())
def test_whatever_the_shape_the_listing_is_complete_or_says_so(shape, capped):
    records = [record(number, second, severity, rule, f"f{file}") for number, (second, severity, rule, file) in enumerate(shape)]
    service = Service(records, capped=capped)
    try:
        came = keys(service)
    except PullIncomplete:
        return
    assert sorted(came) == sorted(entry["key"] for entry in records)


def on_call(number: int, change: Callable[[dict], None]) -> Callable[[int, dict], None]:
    return lambda call, answer: change(answer) if call == number else None


def test_an_empty_page_in_the_middle_raises():
    service = Service([record(number, number) for number in range(12)], spoil=on_call(2, lambda answer: answer["issues"].clear()))
    with pytest.raises(PullIncomplete, match="page 2 is empty, although 12 are announced"):
        keys(service)


@pytest.mark.parametrize("spoil", [
    lambda answer: answer.pop("issues"), lambda answer: answer.pop("paging"), lambda answer: answer["paging"].pop("total"),
    lambda answer: answer.update(issues=None), lambda answer: answer["paging"].update(total="12"),
])
def test_a_page_without_its_list_or_its_total_raises(spoil):
    with pytest.raises(AnswerInvalid, match="page 2 lacks"):
        keys(Service([record(number, number) for number in range(12)], spoil=on_call(2, spoil)))


def test_a_page_that_is_no_object_raises():
    with pytest.raises(AnswerInvalid):
        list(Listing(lambda path, query: ["x"], "/api/x", "issues", "issues").everything({}))


def test_the_total_of_old_servers_stands_beside_the_list():
    answer = {"rules": [{"key": "a"}], "total": 1}
    assert list(Listing(lambda path, query: answer, "/api/x", "rules", "rules").everything({})) == [{"key": "a"}]


def test_a_page_that_fails_ends_the_pull_after_what_came():
    def fail(answer):
        raise UpstreamUnavailable("page 3 answered 503")

    service = Service([record(number, number) for number in range(20)], spoil=on_call(3, fail))
    came = []
    with pytest.raises(UpstreamUnavailable):
        came.extend(listing(service).by_creation({}, DIMENSIONS))
    assert len(came) == 10


def test_a_record_that_goes_while_the_listing_is_read_is_noticed_and_the_rest_is_complete():
    service = Service([record(number, number) for number in range(14)])
    service.spoil = on_call(1, lambda answer: service.records.pop(0))  # page 2 would begin one too late
    assert sorted(set(keys(service))) == sorted({"k0", *(entry["key"] for entry in service.records)})
    assert service.calls == 6


def test_a_listing_that_is_suddenly_empty_is_not_complete():
    service = Service([record(number, number) for number in range(12)])
    service.spoil = on_call(1, lambda answer: service.records.clear())
    with pytest.raises(PullIncomplete):
        keys(service)


@both_flavours
def test_a_later_window_that_is_suddenly_empty_is_not_complete(capped):
    service = Service([record(number, number) for number in range(30)], capped=capped)
    service.spoil = on_call(6, lambda answer: service.records.clear())  # the first window has been read
    with pytest.raises(PullIncomplete, match="no longer listed"):
        keys(service)


def test_a_listing_that_never_stands_still_is_incomplete():
    service = Service([record(number, number) for number in range(19)])
    service.spoil = lambda call, answer: service.records.pop(0)
    with pytest.raises(PullIncomplete, match="announced"):
        keys(service)


def test_records_without_a_key_are_passed_on_and_counted():
    nameless = [{"creationDate": moment(1)}, "not even an object", {"key": 7}]
    answer = {"issues": nameless, "paging": {"total": 3}}
    assert list(Listing(lambda path, query: answer, "/api/x", "issues", "issues").everything({})) == nameless


def test_a_full_window_whose_last_record_has_no_date_raises():
    service = Service([record(number, number) for number in range(40)])
    service.spoil = on_call(2, lambda answer: answer["issues"][0].pop("creationDate"))
    with pytest.raises(AnswerInvalid, match="creation date"):
        keys(service)


def test_a_moment_that_is_no_date_raises():
    service = Service([record(number) | {"creationDate": "2031-13"} for number in range(30)])
    with pytest.raises(AnswerInvalid, match="not a creation date"):
        keys(service)


def test_an_answer_without_the_facets_asked_for_raises():
    service = Service([record(number) for number in range(30)], spoil=lambda call, answer: answer.pop("facets"))
    with pytest.raises(AnswerInvalid, match="facets"):
        keys(service)


def values_of(service: Service, *dimensions: tuple[str, tuple[str, ...]]) -> list[dict]:
    return list(listing(service).by_values({}, dimensions))


@both_flavours
def test_a_listing_without_facets_is_split_over_known_values(capped):
    records = [record(number, severity="ab"[number % 2], rule="xyz"[number % 3]) for number in range(57)]
    assert len(values_of(Service(records, capped=capped), ("severities", ("a", "b")), ("rules", ("x", "y", "z")))) == 57


@both_flavours
def test_known_values_that_are_not_enough_are_incomplete(capped):
    with pytest.raises(PullIncomplete, match="nothing tells apart"):
        values_of(Service([record(number) for number in range(30)], capped=capped), ("severities", ("MAJOR",)))


def test_values_nobody_knows_are_missed_and_noticed():
    records = [record(number, severity="ab"[number % 2]) for number in range(30)]
    with pytest.raises(PullIncomplete, match="its parts hold 15 of 30 announced"):
        values_of(Service(records), ("severities", ("a", "z")))


def test_what_cannot_be_narrowed_gives_what_is_shown_and_then_raises():
    came = []
    with pytest.raises(PullIncomplete, match="only the first 20"):
        came.extend(listing(Service([record(number, number) for number in range(30)])).everything({}))
    assert len(came) == WINDOW


def test_a_listing_without_a_window_is_read_to_its_end():
    service = Service([record(number, number) for number in range(18)])
    assert len(list(listing(service, window=None).shown({}))) == 18
