"""Our own addresses, as people see them, and where a request may be sent on to."""

import re
from urllib.parse import urlsplit

from flask import request

from core.http import csrf
from core.settings import Settings

#: where people sign in; the page is contributed by whoever serves the pages
SIGN_IN_PAGE = "/signin"

_ODD = re.compile(r"[\x00-\x20\x7f-\x9f\\\ud800-\udfff]")  # browsers read backslashes and blanks otherwise than we do


def base_url(settings: Settings) -> str:
    """Scheme and host, without a slash at the end."""
    return (settings.public_url or request.url_root).rstrip("/")


def own_url(wanted: str | None, settings: Settings) -> str:
    """The absolute address behind ``wanted`` when it is one of ours, else our start page; so nobody is led elsewhere."""
    home = base_url(settings)
    if not wanted or _ODD.search(wanted):
        return home + "/"
    if wanted.startswith("/"):
        return home + "/" + wanted.lstrip("/")
    try:
        parts = urlsplit(wanted)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
    except ValueError:
        return home + "/"
    return wanted if origin in csrf.own_origins(settings) else home + "/"
