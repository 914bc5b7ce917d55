"""Keyset pages: a cursor holds the last row's sort key, so that a page costs the same however far one has come."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from marshmallow import fields, validate

from core.errors import BadRequest
from core.http.schemas import CamelSchema, SafeStr

DEFAULT_LIMIT, MOST = 100, 500
_LONGEST_CURSOR = 4000
_LARGEST = 2**63 - 1


class PageArgs(CamelSchema):
    """Query parameters of a paged listing; subclass it to add filters."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MOST))
    cursor = SafeStr(load_default="", validate=validate.Length(max=_LONGEST_CURSOR), metadata={
        "description": "The nextCursor of the page before; none for the first page"})


def cursor_after(key: Sequence[int | str] | None) -> str | None:
    """An opaque text that holds the sort key of the last row shown; None after the last page."""
    if key is None:
        return None
    text = json.dumps(list(key), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def key_of(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The sort key in a cursor; None for the first page, which has none.

    :param kinds: the type of each part, ``int`` or ``str``.
    :raises BadRequest: when the text is no cursor of such a listing. A forged one can only name another place to begin.
    """
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        parts = None
    if not isinstance(parts, list) or len(parts) != len(kinds) or not all(map(_is_sound, parts, kinds)):
        raise BadRequest("The cursor is not one of this listing", details={"cursor": ["Not a cursor of this listing."]})
    return tuple(parts)


def _is_sound(part: Any, kind: type) -> bool:
    """Of the kind asked for, and storable: an integer that the databases take, a text without NUL and lone surrogates."""
    if type(part) is not kind:
        return False
    if isinstance(part, int):
        return -_LARGEST <= part <= _LARGEST
    return isinstance(part, str) and not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in str(part))
