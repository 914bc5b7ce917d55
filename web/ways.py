"""Where a form leads when it has done its work, and what the page there then says."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import redirect, request

from core.http.addresses import own_url
from core.http.deployed import settings

_TOLD = ("notice", "changed")  # what pages say once; it does not stick to addresses that are passed on


def wanted_next(default: str) -> str:
    """The page that the form came from, or that it is to lead to; one of ours in any case."""
    wanted = request.values.get("next", "")
    return _without_told(own_url(wanted, settings())) if wanted else default


def back_to(address: str, **told: Any) -> Any:
    """A redirect to a page, which says what was done."""
    parts = urlsplit(address)
    query = [*parse_qsl(parts.query), *((name, str(value)) for name, value in told.items())]
    return redirect(urlunsplit(parts._replace(query=urlencode(query))))


def _without_told(address: str) -> str:
    parts = urlsplit(address)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in _TOLD]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def told_notice(notices: Mapping[str, str]) -> str:
    """What a redirect of ours asks the page to say; nothing for a word that it does not know."""
    return notices.get(request.args.get("notice", ""), "")


def told_number(name: str) -> int | None:
    """A number that a redirect of ours carries; None for anything else."""
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else None
