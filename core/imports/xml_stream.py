"""The records of an XML document, one by one in flat memory, each with its place.

Parsed by defusedxml: a document type declaration, which entities would come from, is refused, and nothing external is read.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports.json_stream import Bytes, Opens
from core.imports.limits import DEEPEST, LARGEST_RECORD
from core.imports.mapping import mapped as _mapped

Draft = TypeVar("Draft")

_CHUNK = 64 * 1024
_MOST_NAMES = 2_000  # different names of elements and attributes; a format has a hundred or two
_COST_OF_AN_ELEMENT = 50  # characters that it counts for besides its own


@dataclass(slots=True, eq=False)
class Element:
    """An element with all that is in it. Names are without their namespaces.

    :ivar text: its own text, without that of its children.
    :ivar place: its path and line, as ``/bom/vulnerabilities/vulnerability[2] (line 40)``; that of a record alone.
    """

    name: str
    attributes: Mapping[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""
    place: str = ""

    def child(self, name: str) -> "Element | None":
        """The first child of this name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, *path: str) -> list["Element"]:
        """The elements at the end of this path of names, in the order of the document."""
        found = [self]
        for name in path:
            found = [child for element in found for child in element.children if child.name == name]
        return found

    def said(self, *path: str) -> str:
        """The text of the first element at the end of the path, without blanks around it; empty when there is none."""
        found = self.all(*path)
        return found[0].text.strip() if found else ""

    def invalid(self, message: str) -> ReportInvalid:
        """The refusal of this record."""
        return ReportInvalid(message, self.place)

    def mapped(self, to_draft: "Callable[[Element], Draft]") -> Draft:
        """This record, mapped.

        :raises ReportInvalid: when the mapper finds something missing or impossible.
        """
        return _mapped(to_draft, self, self.invalid)


def elements(source: Opens, records: Collection[str], opening: Collection[str] = ()) -> Iterator[Element]:
    """The elements named in ``records``, each when it is complete, and those named in ``opening`` when they begin, with their
    attributes alone. A record within a record comes with the outer one.

    :raises ReportInvalid: when the document is not well formed, has a document type, or passes a bound.
    """
    builder = _Builder(frozenset(records), frozenset(opening))
    with source.open() as stream:
        while data := stream.read(_CHUNK):
            builder.feed(data)
            yield from builder.ready()
        builder.finish()
        yield from builder.ready()


@dataclass(frozen=True, slots=True)
class Root:
    """How a document begins."""

    name: str
    namespace: str
    attributes: Mapping[str, str]


@lru_cache(maxsize=2)
def root(head: bytes) -> Root | None:
    """The outermost element of a document that begins so (UTF-8); None when it is no XML."""
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return None
    first = _First()
    parser = DefusedXMLParser(target=first, encoding="utf-8", forbid_dtd=True)
    with suppress(ParseError, DefusedXmlException, ValueError):  # beyond the first element the head may be cut, or bad
        parser.feed(head)
    return first.found


class _First:
    found: Root | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.found is None:
            namespace, _, name = tag.rpartition("}")
            self.found = Root(name, namespace.lstrip("{"), attributes)


class _Builder:
    """The parser's target: keeps the record that is open, and nothing else of the document."""

    def __init__(self, records: frozenset[str], opening: frozenset[str]) -> None:
        self._records, self._opening = records, opening
        self._parser = DefusedXMLParser(target=self, forbid_dtd=True)
        self._position = self._parser.parser  # expat's, which knows the line
        self._ready: list[Element] = []
        self._path: list[str] = []
        self._siblings: list[Counter[str]] = [Counter()]
        self._open: list[tuple[Element, list[str]]] = []  # from the record down, each with the pieces of its text
        self._size = 0  # of the record so far
        self._names: dict[str, str] = {}  # without their namespaces
        self._silent = 0  # bytes fed since anything was told

    def ready(self) -> list[Element]:
        ready, self._ready = self._ready, []
        return ready

    def feed(self, data: bytes) -> None:
        self._silent += len(data)
        if self._silent > LARGEST_RECORD:  # expat holds a tag without end in memory
            raise self._too_large("A tag is too long")
        with self._telling():
            self._parser.feed(data)

    def finish(self) -> None:
        with self._telling():
            self._parser.close()

    # -- called by the parser -----------------------------------------------------------------------------------

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._silent = 0
        name = self._names.get(tag) or self._named(tag)
        told = {self._names.get(key) or self._named(key): value for key, value in attributes.items()} if attributes else attributes
        if len(self._path) >= DEEPEST:
            raise self._too_large(f"Nested more than {DEEPEST} levels deep")
        if self._open:
            self._path.append(name)
            self._add(Element(name, told))
            return
        self._siblings[-1][name] += 1
        number = self._siblings[-1][name]
        self._path.append(f"{name}[{number}]" if number > 1 else name)
        self._siblings.append(Counter())
        if name in self._records:
            self._size = 0
            self._add(Element(name, told, place=self.place()))
        elif name in self._opening:
            self._ready.append(Element(name, told, place=self.place()))

    def end(self, tag: str) -> None:
        self._silent = 0
        self._path.pop()
        if self._open:
            closed, pieces = self._open.pop()
            closed.text = "".join(pieces)
            if self._open:
                return
            self._ready.append(closed)
        self._siblings.pop()

    def data(self, text: str) -> None:
        self._silent = 0
        if self._open:
            self._grow(len(text))
            self._open[-1][1].append(text)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _add(self, element: Element) -> None:
        self._grow(_COST_OF_AN_ELEMENT + (sum(map(len, element.attributes.values())) if element.attributes else 0))
        if self._open:
            self._open[-1][0].children.append(element)
        self._open.append((element, []))

    def _grow(self, by: int) -> None:
        self._size += by
        if self._size > LARGEST_RECORD:
            raise self._too_large(f"A record may have at most {LARGEST_RECORD:,} characters")

    def _named(self, name: str) -> str:
        if len(self._names) >= _MOST_NAMES:
            raise self._too_large("Too many different names of elements and attributes")
        self._names[name] = name.rpartition("}")[2]
        return self._names[name]

    def _too_large(self, message: str) -> ReportTooLarge:
        return ReportTooLarge(message, self.place())

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turns what the parser raises into our refusals."""
        try:
            yield
        except ParseError as problem:
            line, column = problem.position
            raise ReportInvalid(f"Not well formed: {str(problem).partition(':')[0]}", f"line {line}, column {column + 1}") from None
        except DefusedXmlException:
            raise ReportInvalid("A document type or entity is not accepted", self.place()) from None
        except (ValueError, LookupError):
            raise ReportInvalid("The encoding is not one that can be read", self.place()) from None

    def place(self) -> str:
        line = f"line {self._position.CurrentLineNumber}"
        return f"/{'/'.join(self._path)} ({line})" if self._path else line


__all__ = ["Bytes", "Element", "Root", "elements", "root"]
