"""A report as it comes over HTTP: streamed to disk, whatever its size, as a body or as the part ``file`` of a form."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar

from flask import request

from core.errors import BadRequest
from core.imports.limits import LARGEST_REPORT, MEBIBYTE
from core.imports.report import Report, accepted, blocks_of, on_disk, too_large

View = TypeVar("View", bound=Callable[..., Any])
_FORM = "multipart/form-data"
_AROUND_THE_FILE = MEBIBYTE  # what a form may hold besides


def takes_reports(view: View) -> View:
    """Declare that a view's body may be as large as a report. Above ``requires``: somebody unknown sends his report in vain, but nobody
    else's limit changes."""
    @wraps(view)
    def with_another_limit(*args: Any, **kwargs: Any) -> Any:
        request.max_content_length = LARGEST_REPORT + _AROUND_THE_FILE
        return view(*args, **kwargs)

    return with_another_limit  # type: ignore[return-value]


@contextmanager
def received() -> Iterator[Report]:
    """The report that this request brings.

    :raises BadRequest: when there is none, or it is empty.
    :raises TooLarge: when it is larger than a report may be.
    """
    if (request.content_length or 0) > LARGEST_REPORT + _AROUND_THE_FILE:
        raise too_large(request.content_length or 0)
    if request.mimetype != _FORM:
        with on_disk(blocks_of(request.stream)) as report:
            yield report
        return
    with ExitStack() as opened:
        for part in request.files.values():
            opened.callback(part.close)
        yield opened.enter_context(_part())


@contextmanager
def _part() -> Iterator[Report]:
    part = request.files.get("file")  # the form's parser has written a large one to a temporary file
    if part is None:
        raise BadRequest("The form has no part called 'file'", details={"file": ["Missing data for required field."]})
    if isinstance(part.stream, io.BytesIO):
        with on_disk(blocks_of(part.stream), part.filename or "") as report:
            yield report
    else:
        yield accepted(part.stream.fileno(), part.filename or "")


def form_fields() -> dict[str, str]:
    """The other fields of the form; none when the body is the file itself."""
    told = request.form.to_dict() if request.mimetype == _FORM else {}
    told.pop("csrfToken", None)  # the gate's
    return told


def wants_no_wait() -> bool:
    """Whether the caller would rather be told where to look later (RFC 7240)."""
    return any(token.strip().lower() == "respond-async" for token in request.headers.get("Prefer", "").replace(";", ",").split(","))
