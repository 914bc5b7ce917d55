"""The documented CSV: one finding a row, for tools that nobody wrote a parser for. ``docs/imports.md`` describes the columns."""

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping

from core import clock
from core.hooks.contracts import AssetDraft, FindingDraft, ReportFile, RuleDraft, Severity, SourceState
from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports.limits import LARGEST_RECORD, LONGEST_TEXT
from core.imports.mapping import mapped
from core.imports.report import encoding_of

REQUIRED = ("title", "severity")
COLUMNS = (*REQUIRED, "key", "asset", "state", "category", "rule", "description", "cwe", "cve", "path", "line", "url", "created", "updated")
_SEPARATORS = ",;\t"
_SEVERITIES = {severity.name.lower(): severity for severity in Severity} | {
    "informational": Severity.INFO, "information": Severity.INFO, "none": Severity.INFO, "moderate": Severity.MEDIUM}
_STATES = {"": SourceState.OPEN, "open": SourceState.OPEN, "fixed": SourceState.FIXED, "accepted": SourceState.ACCEPTED,
           "false_positive": SourceState.FALSE_POSITIVE}
_CWE = re.compile(r"(?:CWE-)?(\d{1,5})", re.IGNORECASE)
_CVE = re.compile(r"CVE-\d{4}-\d{4,}", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;|]+")


class CsvReport:
    """The parser of the table."""

    format, title, source = "csv", "CSV", "csv"

    def recognises(self, head: bytes) -> bool:
        first = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0].decode("utf-8", "ignore").rstrip("\r")
        try:
            cells = next(csv.reader([first], delimiter=_separator(first)), [])
        except csv.Error:
            return False
        return set(REQUIRED) <= set(_header(cells))

    def read(self, report: ReportFile) -> Iterator[AssetDraft | RuleDraft | FindingDraft]:
        names: list[str] | None = None
        asset, repeated = "", dict[str, int]()
        for row in _rows(report):
            if names is None:
                names = _checked_header(row)
                continue
            if not any(cell.strip() for cell in row.cells):
                continue
            record = row.by_name(names)
            if record["asset"] and record["asset"] != asset:
                asset = record["asset"]
                yield AssetDraft(asset, asset, "report")
            yield mapped(lambda told: _finding(told, repeated), record, row.invalid)
        if names is None:
            raise ReportInvalid("The row with the names of the columns is missing", "row 1 (line 1)")


class _Row:
    def __init__(self, number: int, line: int, cells: list[str]) -> None:
        self.cells = cells
        self._place = f"row {number} (line {line})"

    def invalid(self, message: str) -> ReportInvalid:
        return ReportInvalid(message, self._place)

    def by_name(self, names: list[str]) -> dict[str, str]:
        if any(cell.strip() for cell in self.cells[len(names):]):  # spreadsheets fill rows up with empty cells
            raise self.invalid(f"The row has {len(self.cells)} cells, but there are {len(names)} columns")
        told = dict.fromkeys(COLUMNS, "")
        told.update((name, cell.strip()) for name, cell in zip(names, self.cells, strict=False))
        return told


def _rows(report: ReportFile) -> Iterator[_Row]:
    """The rows from 1, each with the line that it begins in. A row's text is bounded before it is parsed."""
    with report.open() as stream:
        encoding = encoding_of(stream.read(4))
        stream.seek(0)
        lines = _Lines(io.TextIOWrapper(stream, encoding, newline=""))
        reader = csv.reader(lines, delimiter=_separator(lines.first()), strict=True)
        for number in range(1, 2**62):
            line = lines.number + 1
            lines.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as problem:
                kind = ReportTooLarge if "limit" in str(problem) else ReportInvalid
                raise kind(f"Not a sound CSV: {problem}", f"row {number} (line {line})") from problem
            yield _Row(number, line, cells)


class _Lines:
    """The lines of a text, counted, with a bound on what one row may take; a quoted cell may span lines."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._waiting: list[str] = []
        self._of_this_row = 0
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.pop() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        self._of_this_row += len(line)
        if self._of_this_row > LARGEST_RECORD:
            raise ReportTooLarge(f"A row may have at most {LARGEST_RECORD:,} characters", f"line {self.number}")
        if "\0" in line:
            raise ReportInvalid("A NUL character", f"line {self.number}, column {line.index(chr(0)) + 1}")
        return line

    def begin_row(self) -> None:
        self._of_this_row = 0

    def first(self) -> str:
        self._waiting = [self._read()]
        return self._waiting[0]

    def _read(self) -> str:
        try:
            return self._text.readline(LARGEST_RECORD + 1)
        except UnicodeError:
            raise ReportInvalid("The text is not valid UTF-8", f"line {self.number + 1}, or soon after it") from None


def _separator(line: str) -> str:
    return max(_SEPARATORS, key=line.count)


def _header(cells: Iterable[str]) -> list[str]:
    return [cell.strip().lower().replace(" ", "_") for cell in cells]


def _checked_header(row: _Row) -> list[str]:
    names = _header(row.cells)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise row.invalid(f"The column {missing[0]!r} is missing")
    known = [name for name in names if name in COLUMNS]
    if len(known) != len(set(known)):
        raise row.invalid("Two columns have the same name")
    return names


def _finding(told: Mapping[str, str], repeated: dict[str, int]) -> FindingDraft:
    severity = _SEVERITIES.get(told["severity"].lower())
    if severity is None:
        raise ValueError(f"severity is {told['severity'][:40]!r}, and not one of {', '.join(level.name.lower() for level in Severity)}")
    state = _STATES.get(told["state"].lower().replace(" ", "_"))
    if state is None:
        raise ValueError(f"state is {told['state'][:40]!r}, and not one of {', '.join(filter(None, _STATES))}")
    if not told["title"]:
        raise ValueError("title is empty")
    content = _digest(told["asset"], told["rule"], told["path"], told["title"])
    return FindingDraft(
        source_key=told["key"] or _numbered(_digest(content, told["line"]), repeated),
        title=told["title"],
        severity=severity,
        state=state,
        source_status=told["state"],
        category=told["category"] or "issue",
        rule=told["rule"],
        description=told["description"][:LONGEST_TEXT],
        cwe=tuple(dict.fromkeys(_cwe(part) for part in _parts(told["cwe"]))),
        cve=tuple(dict.fromkeys(_cve(part) for part in _parts(told["cve"]))),
        path=told["path"],
        line=_line(told["line"]),
        url=told["url"],
        fingerprint="" if told["key"] else content,
        created_at=_moment(told, "created"),
        updated_at=_moment(told, "updated"),
    )


def _parts(text: str) -> list[str]:
    return [part for part in _BETWEEN.split(text) if part]


def _cwe(text: str) -> int:
    found = _CWE.fullmatch(text)
    if found is None:
        raise ValueError(f"cwe is {text[:40]!r}, and not a number such as 89 or CWE-89")
    return int(found[1])


def _cve(text: str) -> str:
    if not _CVE.fullmatch(text):
        raise ValueError(f"cve is {text[:40]!r}, and not an id such as CVE-2024-12345")
    return text.upper()


def _line(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise ValueError(f"line is {text[:40]!r}, and not a line's number")
    return int(text)


def _moment(told: Mapping[str, str], name: str) -> int | None:
    try:
        return clock.from_iso(told[name]) if told[name] else None
    except ValueError:
        raise ValueError(f"{name} is {told[name][:40]!r}, and not a date such as 2026-01-31 or 2026-01-31T12:00:00Z") from None


def _numbered(key: str, repeated: dict[str, int]) -> str:
    repeated[key] = number = repeated.get(key, 0) + 1
    return key if number == 1 else f"{key}:{number}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


__all__ = ["COLUMNS", "CsvReport"]
