"""ConnectWise's conditions: ``deletedFlag=false AND (status/id in (1,2) OR name like "Acme*")``, read and held against a record."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core import clock

Record = Mapping[str, Any]
Test = Callable[[Record], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<date>\[[^\]]*\])|(?P<number>-?\d+(?:\.\d+)?)(?![A-Za-z_/])
                        |(?P<operator><=|>=|!=|=|<|>)|(?P<mark>[(),])|(?P<word>[A-Za-z_][A-Za-z0-9_/]*))""", re.VERBOSE)
_INSIDE_INFO = {"lastupdated": "_info/lastUpdated", "dateentered": "_info/dateEntered"}


class NotUnderstood(ValueError):
    """The conditions cannot be read; the message is ConnectWise's own way of saying so, more or less."""


class Instant(int):
    """A date of a condition, in milliseconds."""


def read(text: str) -> Test:
    """What the conditions ask of a record; everything passes an empty text.

    :raises NotUnderstood: when they are not well formed.
    """
    if not text.strip():
        return lambda record: True
    reader = _Reader(list(_tokens(text)))
    test = reader.either()
    reader.expect_end()
    return test


def _tokens(text: str) -> Iterator[tuple[str, Any]]:
    place = 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise NotUnderstood(f"Unexpected character at {place}: {text[place:place + 10]}")
        place = found.end()
        kind = str(found.lastgroup)
        yield kind, found[kind]


class _Reader:
    """Recursive descent over the tokens: OR over AND over comparisons."""

    def __init__(self, tokens: Sequence[tuple[str, Any]]) -> None:
        self._tokens = tokens
        self._at = 0

    def either(self) -> Test:
        tests = [self.both()]
        while self._word("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda record: any(test(record) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self._word("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda record: all(test(record) for test in tests)

    def one(self) -> Test:
        if self._mark("("):
            inner = self.either()
            self._must(")")
            return inner
        kind, path = self._next()
        if kind != "word":
            raise NotUnderstood(f"Expected a field, not {path}")
        wanted = not self._word("not")
        compare = self._comparison()
        return lambda record: any(compare(value) for value in values_at(record, path)) is wanted

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise NotUnderstood(f"Unexpected {self._tokens[self._at][1]}")

    def _comparison(self) -> Callable[[Any], bool]:
        kind, said = self._next()
        if kind == "operator":
            value = self._value()
            return lambda found: _compared(found, str(said), value)
        word = str(said).lower()
        if word == "in":
            values = self._list()
            return lambda found: any(_compared(found, "=", value) for value in values)
        if word in ("contains", "like"):
            value = self._value()
            if not isinstance(value, str):
                raise NotUnderstood("String values should be enclosed in quotes")
            pattern = _like(value) if word == "like" else re.compile(re.escape(value), re.IGNORECASE)
            return lambda found: isinstance(found, str) and bool(pattern.fullmatch(found) if word == "like" else pattern.search(found))
        raise NotUnderstood(f"Unknown operator {said}")

    def _list(self) -> list[Any]:
        self._must("(")
        values = [self._value()]
        while self._mark(","):
            values.append(self._value())
        self._must(")")
        return values

    def _value(self) -> Any:
        kind, said = self._next()
        if kind == "text":
            return said[1:-1]
        if kind == "number":
            return float(said) if "." in said else int(said)
        if kind == "date":
            try:
                return Instant(clock.from_iso(said[1:-1]))
            except ValueError:
                raise NotUnderstood(f"{said} is no date") from None
        known = {"true": True, "false": False, "null": None}
        if kind == "word" and str(said).lower() in known:
            return known[str(said).lower()]
        raise NotUnderstood(f"Expected a value, not {said}. String values should be enclosed in quotes")

    def _next(self) -> tuple[str, Any]:
        if self._at == len(self._tokens):
            raise NotUnderstood("Unexpected end of the conditions")
        self._at += 1
        return self._tokens[self._at - 1]

    def _word(self, word: str) -> bool:
        return self._take("word", lambda said: str(said).lower() == word)

    def _mark(self, mark: str) -> bool:
        return self._take("mark", lambda said: said == mark)

    def _must(self, mark: str) -> None:
        if not self._mark(mark):
            raise NotUnderstood(f"Expected {mark}")

    def _take(self, kind: str, fits: Callable[[Any], bool]) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == kind and fits(self._tokens[self._at][1]):
            self._at += 1
            return True
        return False


def values_at(record: Record, path: str) -> list[Any]:
    """What a record has at ``status/name``; several for a list such as ``types/name``; None for what it lacks."""
    found: list[Any] = [record]
    for part in _INSIDE_INFO.get(path.lower(), path).split("/"):
        following: list[Any] = []
        for value in found:
            inner = value.get(part) if isinstance(value, Mapping) else None
            following += inner if isinstance(inner, list) else [inner]
        found = following
    return found


def _compared(found: Any, operator: str, value: Any) -> bool:
    if isinstance(found, bool) and not isinstance(value, bool) and value is not None:
        raise NotUnderstood("Expected a boolean value, not a numeric. String values should be enclosed in quotes")
    if isinstance(value, Instant):
        found = clock.from_iso(found) if isinstance(found, str) else None
    if operator in ("=", "!="):
        is_equal = found.casefold() == value.casefold() if isinstance(found, str) and isinstance(value, str) else found == value
        return is_equal is (operator == "=")
    if found is None or value is None:
        return False
    if isinstance(found, str) is not isinstance(value, str):
        raise NotUnderstood("The types of the two sides differ. String values should be enclosed in quotes")
    return {"<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}[operator]


def _like(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\[\[\]|[*%])", text)
    return re.compile("".join(".*" if part in ("*", "%") else re.escape("[" if part == "[[]" else part) for part in parts),
                      re.IGNORECASE | re.DOTALL)
