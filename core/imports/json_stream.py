"""Walking a JSON document in flat memory, member by member and record by record, always knowing the place.

The standard library's C decoder decodes one value at a time out of a buffer that slides over the file. That is faster than
building values from the events of a parser, and the walker knows where it is: in which run, under which name, in which line.
"""

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, BinaryIO, NoReturn, Protocol, TypeVar

from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports.limits import DEEPEST, LARGEST_RECORD
from core.imports.mapping import mapped
from core.imports.report import encoding_of

Draft = TypeVar("Draft")

_CHUNK = 256 * 1024
_NO_BLANK = re.compile(r"[^ \t\n\r]")
_CUT_SHORT = "The file is cut short"
_LITERALS = ("true", "false", "null", "-")
_REST_OF_A_NUMBER = re.compile(r"[-+.0-9eE]*")
_KINDS = {"{": "object", "[": "array", '"': "text", "t": "boolean", "f": "boolean", "n": "null"}
_NEAR_THE_END = 16  # a literal, number or escape that the buffer's end cuts has its fault so close to it
_LONGEST_STEP = 80  # of a name in a JSON pointer
_OUTLINE_DEPTH = 8


class Opens(Protocol):
    """What can be read from its beginning, as often as is needed: a report, or a member of one."""

    def open(self) -> BinaryIO: ...


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode


class JsonStream:
    """One walk over a document, as a context manager.

    ``members()`` and ``items()`` enter an object or array. Within the loop take the value with ``value()``, enter it in turn, or leave
    it: what is not taken is passed over. A loop that was begun has to be gone through to its end. Everything raises
    ``ReportInvalid`` with JSON pointer, line and column where the document is not as it should be.
    """

    def __init__(self, source: Opens) -> None:
        self._stream = source.open()
        self._decoder: codecs.IncrementalDecoder | None = None
        self._text = ""  # the buffer; characters before ``_at`` are done with
        self._at = self._start = 0  # ``_start``: where the value that was read last begins
        self._line = self._column = 1  # of the buffer's first character
        self._is_all_read = False
        self._is_undecodable = False  # what follows the buffer is no text
        self._path: list[str | int] = []
        self._is_taken = False

    def __enter__(self) -> "JsonStream":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    # -- walking ------------------------------------------------------------------------------------------------

    def kind(self) -> str:
        """What comes next: ``object``, ``array``, ``text``, ``number``, ``boolean`` or ``null``."""
        return _KINDS.get(self._next(), "number")

    def members(self) -> Iterator[str]:
        """Enter an object and give the name of each member."""
        self._enter("{", "an object")
        follows = self._next() != "}"
        while follows:
            name = self._value()
            if not isinstance(name, str):
                raise self.invalid("A name in quotes is missing")
            if self._next() != ":":
                self._fail("A colon is missing")
            self._at += 1
            yield from self._offered(name)
            follows = self._has_another("}")
        self._leave()

    def items(self) -> Iterator[int]:
        """Enter an array and give the number of each item, from 0."""
        self._enter("[", "an array")
        number, follows = 0, self._next() != "]"
        while follows:
            yield from self._offered(number)
            number, follows = number + 1, self._has_another("]")
        self._leave()

    def value(self) -> Any:
        """The next value, whole."""
        value = self._value()
        self._took()
        return value

    def text(self) -> str:
        """The next value when it is a text; else nothing."""
        value = self.value()
        return value if isinstance(value, str) else ""

    def skip(self) -> None:
        """Pass over the next value, however large it is."""
        kind = self.kind()
        end = self._end_in_the_buffer()
        if end is not None:
            self._at = end
            self._took()
        elif kind in ("object", "array"):
            for _ in self.members() if kind == "object" else self.items():
                pass
        else:
            self.value()

    def each(self, to_draft: Callable[[Any], Draft]) -> Iterator[Draft]:
        """Every item of an array, mapped; see ``mapped``."""
        for _ in self.items():
            yield self.mapped(to_draft, self.value())

    def mapped(self, to_draft: Callable[[Any], Draft], record: Any) -> Draft:
        """The value that was read last, mapped.

        :raises ReportInvalid: when the mapper finds a field missing or impossible.
        """
        return mapped(to_draft, record, self.invalid)

    def invalid(self, message: str) -> ReportInvalid:
        """The refusal of the value that was read last, naming its place."""
        return ReportInvalid(message, self._place(self._start))

    def too_large(self, message: str) -> ReportTooLarge:
        """As ``invalid``, for a bound that is passed."""
        return ReportTooLarge(message, self._place(self._start))

    # -- the parts of a walk ------------------------------------------------------------------------------------

    def _enter(self, bracket: str, what: str) -> None:
        found = self._next()
        self._start = self._at
        if found != bracket:
            raise self.invalid(f"There should be {what} here")
        if len(self._path) >= DEEPEST:
            raise self.too_large(f"Nested more than {DEEPEST} levels deep")
        self._at += 1
        self._path.append("")

    def _offered(self, step: Any) -> Iterator[Any]:
        self._path[-1] = step
        self._is_taken = False
        yield step
        if not self._is_taken:
            self.skip()

    def _has_another(self, bracket: str) -> bool:
        found = self._next()
        if found == ",":
            self._at += 1
            return True
        if found != bracket:
            self._fail(f"A comma or {bracket} is missing")
        return False

    def _leave(self) -> None:
        self._at += 1
        self._path.pop()
        self._took()

    def _took(self) -> None:
        self._is_taken = True
        if not self._path and self._look():
            self._fail("Something follows the end of the document")

    # -- values -------------------------------------------------------------------------------------------------

    def _value(self) -> Any:
        self._next()
        self._start = self._at
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except json.JSONDecodeError as problem:
                if self._is_all_read or not self._may_be_cut(problem):
                    self._fail_to_decode(problem)
                self._read_on()
            except RecursionError:
                raise self.too_large(f"Nested more than {DEEPEST} levels deep") from None
            except ValueError as problem:  # a number of thousands of digits, NaN
                raise self.invalid(str(problem)) from None
            else:
                if not self._may_go_on(value, end) or not self._read_on():
                    self._at = end
                    self._refuse_depth(value)
                    return value

    def _end_in_the_buffer(self) -> int | None:
        """Where the next value ends; None when that is not in the buffer, or the value is not sound."""
        try:
            value, end = _decode(self._text, self._at)
        except (ValueError, RecursionError):
            return None
        self._start = self._at
        self._refuse_depth(value, end)
        return None if self._may_go_on(value, end) else end

    def _may_go_on(self, value: Any, end: int) -> bool:
        """Whether this is a number that the buffer's end cuts."""
        return isinstance(value, int | float) and _REST_OF_A_NUMBER.match(self._text, end).end() == len(self._text)  # type: ignore[union-attr]

    def _may_be_cut(self, problem: json.JSONDecodeError) -> bool:
        """Whether more of the file could mend it."""
        return problem.pos >= len(self._text) - _NEAR_THE_END or problem.msg.startswith("Unterminated")

    def _fail_to_decode(self, problem: json.JSONDecodeError) -> NoReturn:
        rest = self._text[problem.pos:].strip()
        if problem.msg.startswith("Unterminated") or any(word.startswith(rest) for word in _LITERALS):
            self._fail(_CUT_SHORT, len(self._text))
        self._fail(problem.msg, problem.pos)

    def _refuse_depth(self, value: Any, end: int | None = None) -> None:
        end = self._at if end is None else end
        brackets = self._text.count("[", self._start, end) + self._text.count("{", self._start, end)
        if brackets + len(self._path) > DEEPEST and len(self._path) + _depth(value) > DEEPEST:
            raise self.too_large(f"Nested more than {DEEPEST} levels deep")

    # -- the buffer ---------------------------------------------------------------------------------------------

    def _next(self) -> str:
        """The next character that is not blank, not passed."""
        found = self._look()
        if not found:
            self._fail(_CUT_SHORT)
        return found

    def _look(self) -> str:
        """As ``_next``; empty at the end of the file."""
        while True:
            found = _NO_BLANK.search(self._text, self._at)
            if found:
                self._at = found.start()
                return found[0]
            self._at = len(self._text)
            if not self._read_on():
                return ""

    def _read_on(self) -> bool:
        """Have more of the file in the buffer, from ``_at`` on; False at its end."""
        kept = len(self._text) - self._at
        if kept > LARGEST_RECORD:
            raise ReportTooLarge(f"A record may have at most {LARGEST_RECORD:,} characters", self._place(self._at))
        more = ""
        while not more and not self._is_all_read:
            if self._is_undecodable:
                self._fail("The text is not valid UTF-8", len(self._text))
            data = self._stream.read(max(_CHUNK, min(kept, LARGEST_RECORD - kept)))  # doubling, so that nothing is decoded often
            self._is_all_read = not data
            more = self._decoded(data)
        self._line, self._column = self._position(self._at)
        self._text = self._text[self._at:] + more
        self._start = max(0, self._start - self._at)
        self._at = 0
        return bool(more)

    def _decoded(self, data: bytes) -> str:
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(encoding_of(data))()
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as problem:
            self._is_undecodable, self._is_all_read = True, False
            return problem.object[:problem.start].decode(problem.encoding, "ignore")

    # -- places -------------------------------------------------------------------------------------------------

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        raise ReportInvalid(message, self._place(self._at if at is None else at))

    def _place(self, at: int) -> str:
        """``/runs/0/results/3 (line 120, column 5)``."""
        line, column = self._position(at)
        where = f"line {line}, column {column}"
        steps = "".join("/" + str(step).replace("~", "~0").replace("/", "~1")[:_LONGEST_STEP] for step in self._path if step != "")
        return f"{steps} ({where})" if steps else where

    def _position(self, at: int) -> tuple[int, int]:
        lines = self._text.count("\n", 0, at)
        return (self._line + lines, at - self._text.rfind("\n", 0, at)) if lines else (self._line, self._column + at)


def _depth(value: Any) -> int:
    """How many levels of objects and arrays a value has."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        held, level = waiting.pop()
        if isinstance(held, dict | list):
            deepest = max(deepest, level)
            waiting += [(inner, level + 1) for inner in (held.values() if isinstance(held, dict) else held)]
    return deepest


class Bytes:
    """Bytes in memory, to be walked like a report."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


@lru_cache(maxsize=2)
def outline(head: bytes) -> Any:
    """The beginning of a JSON document, decoded as far as it goes: what is cut off is missing. None when it is no JSON.

    Every parser asks it of the same head, so the last ones are kept; do not change what it gives.
    """
    held: list[Any] = []
    with JsonStream(Bytes(head)) as document, suppress(ReportInvalid):
        _gather(document, held.append, 0)
    return held[0] if held else None


def _gather(document: JsonStream, put: Callable[[Any], None], depth: int) -> None:
    """Build containers before what they hold, so that they are there when the head ends within them."""
    kind = document.kind()
    if kind == "object" and depth < _OUTLINE_DEPTH:
        members: dict[str, Any] = {}
        put(members)
        for name in document.members():
            _gather(document, partial(members.__setitem__, name), depth + 1)
    elif kind == "array" and depth < _OUTLINE_DEPTH:
        items: list[Any] = []
        put(items)
        for _ in document.items():
            _gather(document, items.append, depth + 1)
    else:
        put(document.value())
