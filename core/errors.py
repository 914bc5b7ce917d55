"""The one tree of errors that a caller may see; ``core.http.surfaces`` turns each into its surface's JSON.

Services raise these; routes do not catch them. ``message`` is written for the person who made the request and never
carries a secret. ``code`` is a stable word that a client can compare.
"""

from collections.abc import Mapping
from typing import Any


class StockadeError(Exception):
    """Base of every refusal; subclasses fix the HTTP status."""

    status = 500
    code = "InternalError"

    def __init__(self, message: str = "", *, code: str | None = None, details: Mapping[str, Any] | list | None = None,
                 headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message or self.__doc__ or self.code)
        self.message = str(self)
        self.code = code or type(self).code
        self.details = details
        self.headers = dict(headers or {})


class BadRequest(StockadeError):
    """Malformed body or parameters."""

    status, code = 400, "BadRequest"


class Unauthorized(StockadeError):
    """Unauthorized"""

    status, code = 401, "Unauthorized"


class Forbidden(StockadeError):
    """You are not allowed to do this."""

    status, code = 403, "Forbidden"


class NotFound(StockadeError):
    """There is nothing here."""

    status, code = 404, "NotFound"


class NoSuchCustomer(NotFound):
    """There is no such customer"""


class Conflict(StockadeError):
    """The request does not fit the present state."""

    status, code = 409, "Conflict"


class TooLarge(StockadeError):
    """The request is larger than what is accepted."""

    status, code = 413, "TooLarge"


class UnknownFormat(StockadeError):
    """The content is of no format that is known here."""

    status, code = 415, "UnknownFormat"


class TooManyRequests(StockadeError):
    """Too many attempts; try again later."""

    status, code = 429, "TooManyRequests"


class UpstreamFailed(StockadeError):
    """A service that Stockade asked did not answer as it should."""

    status, code = 502, "UpstreamFailed"


class Unavailable(StockadeError):
    """A part that this request needs is not available; nothing was changed."""

    status, code = 503, "Unavailable"


class StorageFull(StockadeError):
    """The server's disk is full; nothing was changed."""

    status, code = 507, "StorageFull"
