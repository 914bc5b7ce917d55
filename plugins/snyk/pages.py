"""Reads a listing of Snyk's REST API by its cursors to its end.

Snyk announces no totals. A listing has ended when a page gives no next link, or one that leads to itself, or no records;
but a page that was lost looks the same. Only full pages followed by one that is partly filled are beyond doubt; anything
else is believed if the caller's own count of what must be there says so.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from core.hooks.failures import AnswerInvalid, PullIncomplete

PAGE = 100

Record = dict[str, Any]
_EMPTY_PAGES = 2  # so many in a row end a listing, whatever their links say


def read_listing(get: Callable[[str], Any], base: str, path: str, query: Mapping[str, str], what: str,
                 is_whole: Callable[[int], bool] = lambda came: True) -> Iterator[Any]:
    """Every record of a listing, page after page.

    :param base: the address that links must stay at, since the credential goes along.
    :param what: what is listed, as a message says it.
    :param is_whole: asked with the number of records that came, when the listing leaves a doubt.
    :raises PullIncomplete: when it answers no, or the links go in a circle.
    :raises AnswerInvalid: when an answer has no list of records, or leads elsewhere.
    """
    link, came, empty, seen = f"{path}?{urlencode({**query, 'limit': PAGE})}", 0, 0, set[int]()
    all_were_full = True
    while True:
        answer = get(link)
        records = _records(answer, what)
        yield from records
        came, empty = came + len(records), 0 if records else empty + 1
        seen.add(hash(link))
        follow = _next_link(answer, base, what)
        if not follow or follow == link or empty == _EMPTY_PAGES:
            break
        if hash(follow) in seen:
            raise PullIncomplete(f"{what}: after {came} records the links lead back to an earlier page")
        all_were_full = all_were_full and len(records) >= PAGE
        link = follow
    is_beyond_doubt = all_were_full and not follow and 0 < len(records) < PAGE
    if not is_beyond_doubt and not is_whole(came):
        raise PullIncomplete(f"{what}: the listing ended after {came} records, which are fewer than Snyk counts")


def _records(answer: Any, what: str) -> list[Any]:
    records = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(records, list):
        raise AnswerInvalid(f"{what}: an answer lacks its list")
    return records


def _next_link(answer: Mapping[str, Any], base: str, what: str) -> str:
    """Path and query of the next page, to be asked for as they are; empty when there is none."""
    links = answer.get("links")
    link = links.get("next") if isinstance(links, dict) else None
    if isinstance(link, dict):
        link = link.get("href")
    if not link:
        return ""
    try:
        parts = urlsplit(link)
    except (ValueError, TypeError, AttributeError):
        raise AnswerInvalid(f"{what}: the link to the next page cannot be read") from None
    if parts.netloc and f"{parts.scheme}://{parts.netloc}" != base:
        raise AnswerInvalid(f"{what}: the link to the next page leads to another host")
    path = f"/{parts.path.lstrip('/')}"
    if not path.startswith("/rest/"):  # both spellings are in use
        path = f"/rest{path}"
    return f"{path}?{parts.query}"
