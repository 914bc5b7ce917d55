"""Listings by cursors: what their ends are worth, and what reading one costs."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from core.hooks.failures import AnswerInvalid, PullIncomplete
from plugins.snyk.pages import read_listing
from plugins.snyk.shelf import Shelf

BASE = "https://api.snyk.io"
FULL = list(range(100))


class Script:
    """Answers pages in turn and keeps what was asked for."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, link: str) -> Any:
        self.asked.append(link)
        return self.answers[len(self.asked) - 1]


def page(records: Any, next: Any = None) -> dict[str, Any]:
    return {"data": records, "links": {} if next is None else {"next": next}}


def read(script: Script, counted: int | None = None) -> list[Any]:
    whole = (lambda came: True) if counted is None else (lambda came: came >= counted)
    return list(read_listing(script, BASE, "/rest/orgs/o/issues", {"version": "2024-10-15"}, "the issues", whole))


SELF = "/orgs/o/issues?version=2024-10-15&limit=100"
NEXT = f"{SELF}&starting_after=v1.x"


@pytest.mark.parametrize("link", [f"/rest{NEXT}", NEXT, NEXT.removeprefix("/"), f"{BASE}/rest{NEXT}", {"href": NEXT, "meta": {}}])
def test_the_next_page_is_asked_for_as_its_link_says(link):
    script = Script(page(FULL, link), page([1]))
    assert len(read(script)) == 101
    assert script.asked == [f"/rest{SELF}", f"/rest{NEXT}"]


@pytest.mark.parametrize("answer", [page([1]), {"data": [1], "links": None}, {"data": [1]}, page([1], ""), page([1], {"meta": {}})])
def test_a_listing_ends_where_nothing_follows(answer):
    assert read(Script(answer), counted=5) == [1]  # a page that is partly filled is an end beyond doubt


@pytest.mark.parametrize("link", ["https://elsewhere.example/rest/orgs", "//elsewhere.example/rest", "http://api.snyk.io/rest/orgs",
                                  "https://api.snyk.io:444/rest", "https://api.snyk.io@elsewhere.example/rest", 5, ["x"], "http://[x"])
def test_a_link_to_another_host_or_none_is_never_followed(link):
    script = Script(page(FULL, link))
    with pytest.raises(AnswerInvalid):
        read(script)
    assert len(script.asked) == 1


@pytest.mark.parametrize("answer", [[], "x", None, {"data": {}}, {"links": {}}, {"data": None}])
def test_an_answer_without_a_list_is_no_page(answer):
    with pytest.raises(AnswerInvalid, match="lacks its list"):
        read(Script(answer))


DOUBTFUL = {"leads to itself": [page(FULL, SELF)], "full and last": [page(FULL)], "nothing at all": [page([])],
            "a page in between that is not full": [page(FULL, "/orgs/o/issues?b"), page([1], "/orgs/o/issues?c"), page([2])],
            "a page in between that is empty": [page(FULL, "/orgs/o/issues?b"), page([], "/orgs/o/issues?c"), page([2])],
            "empty": [page(FULL, "/orgs/o/issues?b"), page([])],
            "empty twice": [page(FULL, "/orgs/o/issues?b"), page([], "/orgs/o/issues?c"), page([], "/orgs/o/issues?d")]}


@pytest.mark.parametrize("pages", DOUBTFUL.values(), ids=list(DOUBTFUL))
def test_a_listing_that_leaves_a_doubt_is_believed_when_as_many_came_as_are_counted(pages):
    came = sum(len(answer["data"]) for answer in pages)
    assert len(read(Script(*pages), counted=came)) == came
    with pytest.raises(PullIncomplete, match=f"ended after {came} records"):
        read(Script(*pages), counted=came + 1)


def test_links_that_go_in_a_circle_never_end_normally():
    with pytest.raises(PullIncomplete, match="earlier page"):
        read(Script(page(FULL, "/orgs/o/issues?b"), page(FULL, SELF)))


def issues(count: int, projects: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"id": f"{number}", "attributes": {"description": f"{number}" * 400},
               "relationships": {"scan_item": {"data": {"id": f"p{number % projects}"}}}}


def test_a_shelf_gives_each_project_its_issues_in_their_order():
    shelf = Shelf(issues(50, 4))
    assert [issue["id"] for issue in shelf.of("p3")] == [str(number) for number in range(3, 50, 4)]
    assert list(shelf.of("nobody")) == []


def test_a_shelf_takes_hardly_any_memory():
    tracemalloc.start()
    try:
        shelf = Shelf(issues(5_000, 50))  # eight megabytes of JSON
        read_back = sum(1 for number in range(50) for _ in shelf.of(f"p{number}"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read_back == 5_000
    assert peak < 1024 * 1024


@pytest.mark.parametrize("issue", [None, {}, {"relationships": {"scan_item": None}}])
def test_an_issue_that_does_not_tell_its_project_may_be_any_project_s(issue):
    with pytest.raises(PullIncomplete, match="does not tell its project"):
        Shelf([issue])


def test_a_shelf_is_gone_with_its_last_reader():
    shelf = Shelf(issues(3, 1))
    close = shelf.close
    assert close.alive
    del shelf
    assert not close.alive
