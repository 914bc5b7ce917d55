"""Answers that a client may keep and ask again about: ``ETag`` and 304."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Response, make_response, request

View = TypeVar("View", bound=Callable[..., Any])

_VARY = "Cookie, Authorization, x-customer-id, x-pacci-customer-id"


def revalidated(view: View) -> View:
    """Give a view's 200 an ``ETag`` over its body, and answer 304 when the client has just that body.

    Stands directly below ``requires``, above ``arguments`` and ``response``: rights are checked each time. Saves the way to the
    client, not the work.
    """

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Response:
        response = make_response(view(*args, **kwargs))
        if response.status_code == 200:
            response.add_etag()
            response.headers["Cache-Control"] = "private, no-cache"
            response.headers["Vary"] = _VARY
            response.make_conditional(request)
        return response

    return answered  # type: ignore[return-value]
