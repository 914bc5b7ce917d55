"""Which parser reads a report, and the border around it: whatever a parser does with a file, the answer is a refusal."""

import logging
import sqlite3
from collections.abc import Iterable, Mapping

from core.deployment import Deployment
from core.errors import BadRequest, StockadeError, StorageFull, TooLarge, UnknownFormat
from core.hooks.contracts import ReportParser
from core.hooks.failures import ReportInvalid
from core.imports.formats.csv_table import CsvReport
from core.imports.formats.cyclonedx import CycloneDxReport
from core.imports.formats.sarif import SarifReport
from core.imports.json_stream import JsonStream
from core.imports.report import Report
from core.imports.spool import Spool
from core.imports.xml_stream import elements

log = logging.getLogger(__name__)
CORE_PARSERS: tuple[ReportParser, ...] = (SarifReport(), CycloneDxReport(), CsvReport())


def known(deployment: Deployment) -> tuple[ReportParser, ...]:
    """The parsers of the plugins that are on, then core's own, in the order in which they are asked."""
    return (*deployment.plugins.report_parsers(), *CORE_PARSERS)


def choose(deployment: Deployment, report: Report, wanted: str = "") -> ReportParser:
    """The parser that is wanted by its format, else the first that recognises the content.

    :raises BadRequest: when there is no such format.
    :raises UnknownFormat: when none recognises it.
    """
    parsers = known(deployment)
    if wanted:
        named = [parser for parser in parsers if parser.format == wanted]
        if not named:
            raise BadRequest(f"There is no report format {wanted!r}", details={"format": [f"Must be one of: {_names(parsers)}."]})
        return named[0]
    head = report.head()
    recognised = next((parser for parser in parsers if _recognises(parser, head)), None)
    if recognised is None:
        _refuse_what_is_damaged(report, head)
        raise UnknownFormat("The file is no report of a known format", details={
            "place": "line 1, column 1", "formats": [parser.format for parser in parsers]})
    return recognised


def read(parser: ReportParser, report: Report, spool: Spool) -> None:
    """Read the report whole.

    :raises BadRequest, TooLarge: naming the place of what is wrong with it.
    """
    try:
        spool.fill(parser.read(report))
    except ReportInvalid as problem:
        raise _refusal(problem, parser.title, {"format": parser.format}) from problem
    except StockadeError:
        raise
    except (sqlite3.OperationalError, OSError) as problem:
        raise StorageFull("There is no room to read the report; nothing was changed") from problem
    except Exception as problem:  # the border around a plugin call
        log.exception("the parser %s raised", parser.format)
        raise BadRequest(f"{parser.title}: the report could not be read", details={
            "place": f"in the first {report.read_up_to} bytes", "format": parser.format}) from problem


def _recognises(parser: ReportParser, head: bytes) -> bool:
    try:
        return parser.recognises(head)
    except Exception:  # the border around a plugin call
        log.exception("the parser %s raised over the head of a file", parser.format)
        return False


def _refuse_what_is_damaged(report: Report, head: bytes) -> None:
    """A file that is cut short or malformed is told as that, and not as unknown."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    try:
        if start in (b"{", b"["):
            with JsonStream(report) as document:
                document.skip()
        elif start == b"<":
            for _ in elements(report, ()):
                pass
    except ReportInvalid as problem:
        raise _refusal(problem, "The file cannot be read", {}) from problem


def _refusal(problem: ReportInvalid, what: str, details: Mapping[str, str]) -> StockadeError:
    kind = TooLarge if problem.is_too_large else BadRequest
    return kind(f"{what}: {problem}", details={"place": problem.place, **details})


def _names(parsers: Iterable[ReportParser]) -> str:
    return ", ".join(parser.format for parser in parsers)
