"""Imports: uploading a scanner's report, seeing first what it would do, and the reports that were imported before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Response, redirect, request, url_for
from marshmallow import ValidationError

from core.connections import runs
from core.connections.models import IMPORT
from core.errors import BadRequest, Conflict, Forbidden, StockadeError, TooLarge, UnknownFormat
from core.hooks.contracts import ReportParser
from core.http.access import current_principal, current_scope, requires
from core.http.deployed import deployment
from core.http.paging import cursor_after, key_of
from core.imports import parsers, service, upload
from core.imports.preview import Part, Preview
from core.imports.schemas import ImportArgs
from core.overview.service import group_rows
from web.blueprint import blp
from web.forms import sentences
from web.frame import page
from web.sources import titles

_PAGE = 20
_LONGEST_SHOWN = 200
_FIRST = 10  # findings of each part of a preview that are shown at once
_FIELDS = ("asset", "group", "format")
_REFUSALS = (BadRequest, Conflict, Forbidden, TooLarge, UnknownFormat)


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form besides the file, with what is wrong: by field, and with the report itself.

    :ivar place: where in the file.
    """

    asset: str = ""
    group: str = ""
    format: str = ""
    faults: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problem: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an import would do, as the page shows it.

    :ivar parts: key, heading and findings of each thing that it would do.
    """

    parser: ReportParser
    preview: Preview
    parts: Sequence[tuple[str, str, Part]]


@blp.get("/imports")
@requires("run.read")
def imports() -> Response:
    return _shown(Typed())


@blp.post("/imports/check")
@upload.takes_reports
@requires("run.read", "import.create")
def check_import() -> Response:
    """Tell what the report would open and close; nothing is written."""
    whose = (deployment(), current_scope())
    try:
        wanted = _request()
        with upload.received() as report:
            preview, parser = service.rehearse(*whose, report, wanted, actor=current_principal().actor)
    except _REFUSALS as problem:
        return _refused(problem)
    parts = [("opens", "would open", preview.opens), ("closes", "would close", preview.closes),
             ("reopens", "would be reopened", preview.reopens), ("changes", "would change", preview.changes)]
    return _shown(_typed(), preview=Shown(parser, preview, parts))


@blp.post("/imports")
@upload.takes_reports
@requires("run.read", "import.create")
def create_import() -> Any:
    """Keep the report for a worker, and lead to the run that imports it."""
    try:
        wanted = _request()
        with upload.received() as report:
            run, _ = service.begin(deployment(), current_scope(), report, wanted, actor=current_principal().actor)
    except _REFUSALS as problem:
        return _refused(problem)
    return redirect(url_for("web.run", run_id=run.id))


def _request() -> service.Request:
    """:raises BadRequest: for a field that the API would not take."""
    if not (file := request.files.get("file")) or not file.filename:
        raise BadRequest("Choose the file of the report first")
    try:
        wanted = ImportArgs().load({name: value for name, value in upload.form_fields().items() if name in _FIELDS})
    except ValidationError as problem:
        raise BadRequest("Please look at the fields marked above", details=problem.normalized_messages()) from problem
    return service.Request(wanted["asset"], wanted["group"] or None, wanted["format"])


def _typed() -> Typed:
    asset, group, format_name = (request.form.get(name, "").strip()[:_LONGEST_SHOWN] for name in _FIELDS)
    return Typed(asset, group, format_name)

def _refused(problem: StockadeError) -> Response:
    details = problem.details if isinstance(problem.details, Mapping) else {}
    faults = {name: sentences(details[name]) for name in _FIELDS if isinstance(details.get(name), list)}
    typed = _typed()
    return _shown(Typed(typed.asset, typed.group, typed.format, faults, problem.message, str(details.get("place", ""))),
                  status=problem.status)


def _shown(typed: Typed, *, preview: Shown | None = None, status: int = 200) -> Response:
    scope, cursor = current_scope(), request.args.get("cursor", "")
    found = runs.listing(scope, trigger=IMPORT, before=key_of(cursor, int, str), limit=_PAGE + 1)
    shown, more = found[:_PAGE], len(found) > _PAGE
    after = cursor_after((shown[-1].requested_at, shown[-1].id)) if more else None
    may_import = current_principal().holds("import.create", scope.customer_id)
    return page("imports.html", status, typed=typed, shown=preview, first=_FIRST, history=shown, titles=titles(), may_import=may_import,
                formats=parsers.known(deployment()) if may_import else (), is_limited=scope.is_limited_to_groups,
                groups=[row.group for row in group_rows(scope)] if may_import else [],
                next_url=url_for("web.imports", cursor=after) if after else "", first_url=url_for("web.imports") if cursor else "")
