"""``stockade import``: a report read from a file or from standard input, with its progress on a terminal."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from core.access.service import COMMAND
from core.connections.models import Run
from core.db import db
from core.deployment import Deployment
from core.errors import NotFound, StockadeError
from core.hooks.contracts import ReportParser
from core.imports import service
from core.imports.preview import Part, Preview
from core.imports.report import Report, at_path, blocks_of, on_disk
from core.imports.service import Request
from core.runtime import progress
from core.runtime.exits import CommandFailed, ExitCode
from core.scope import Scope

_LOOK_SECONDS = 0.25
_SHOWN = 10  # findings of each kind in a dry run on a terminal; --json has a hundred


def store(deployment: Deployment, scope: Scope, path: str, request: Request) -> tuple[Run, ReportParser]:
    """Import the report at ``path``, or ``-``; the run as it ended, or is held.

    :raises CommandFailed: when the report is not sound, naming the place.
    """
    with _refused(), _opened(path) as report, _shown(report) as shown:
        return service.store(deployment, scope, report, request, actor=COMMAND.actor, on_run=shown.begin)


def rehearse(deployment: Deployment, scope: Scope, path: str, request: Request) -> tuple[Preview, ReportParser]:
    """What importing the report would do.

    :raises CommandFailed: as ``store`` does.
    """
    with _refused(), _opened(path) as report, _shown(report):
        return service.rehearse(deployment, scope, report, request, actor=COMMAND.actor)


def told(preview: Preview) -> Iterator[str]:
    """A preview in lines for a person."""
    for what, part in (("open", preview.opens), ("reopen", preview.reopens), ("change", preview.changes), ("close", preview.closes)):
        yield f"would {what} {part.count:,}"
        yield from _lines(part)
    yield f"would leave {preview.counts.get('unchanged', 0):,} as they are"
    if preview.is_held:
        yield "would be held: so many closings have to be approved"


def _lines(part: Part) -> Iterator[str]:
    for named in part.first[:_SHOWN]:
        found = named.finding
        place = f"{found.path}:{found.line}" if found.line else found.path
        yield f"  {progress.severity(found.severity):<8} {found.title[:80]}  {place}  [{named.asset}]"
    if part.count > _SHOWN:
        yield f"  and {part.count - _SHOWN:,} more"


@contextmanager
def _opened(path: str) -> Iterator[Report]:
    """A file is read where it lies; what comes through a pipe is written to disk first, since readers begin more than once."""
    place = Path(path)
    if path == "-":
        with on_disk(blocks_of(sys.stdin.buffer)) as report:
            yield report
    elif place.is_file():
        with at_path(place) as report:
            yield report
    elif place.exists() and not place.is_dir():
        with place.open("rb") as stream, on_disk(blocks_of(stream)) as report:
            yield report
    else:
        raise NotFound(f"there is no file {path!r}")


@contextmanager
def _refused() -> Iterator[None]:
    """Tell the place in the file with what is wrong there."""
    try:
        yield
    except StockadeError as problem:
        details: Any = problem.details if isinstance(problem.details, dict) else {}
        if "place" not in details:
            raise
        raise CommandFailed(ExitCode.REFUSED, f"{problem.message} ({details['place']})") from problem


class _Shown:
    """A line on a terminal: how much of the file has been read, then how many findings are stored."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._run_id = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True, name="progress")
        self._thread.start()

    def begin(self, run: Run) -> None:
        self._run_id = run.id

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        click.echo("\r\x1b[K", nl=False, err=True)

    def _show(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            click.echo(f"\r\x1b[K{self._line()}", nl=False, err=True)

    def _line(self) -> str:
        if not self._run_id:
            return f"reading {100 * self._report.read_up_to // self._report.size} %"
        with db.connection_context():
            run = Run.get_by_id(self._run_id)
        return f"{run.phase or run.state} {run.done:,} of {run.of_how_many:,}" if run.of_how_many else run.phase or run.state


class _Silent:
    def begin(self, run: Run) -> None:
        """Nothing: nobody watches."""


@contextmanager
def _shown(report: Report) -> Iterator[_Shown | _Silent]:
    if not sys.stderr.isatty():
        yield _Silent()
        return
    shown = _Shown(report)
    try:
        yield shown
    finally:
        shown.end()
