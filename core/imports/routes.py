"""Uploading reports, and the imports that came of them."""

from typing import Any

from flask_smorest import Blueprint

from core.connections import runs
from core.connections.models import IMPORT, Run
from core.hooks.contracts import ReportParser
from core.http.access import CustomerFrom, current_principal, current_scope, requires
from core.http.deployed import deployment
from core.http.paging import cursor_after, key_of
from core.imports import service, upload
from core.imports.schemas import REQUEST_BODY, ImportArgs, ImportFilter, ImportListSchema, ImportSchema

blp = Blueprint("imports", __name__, url_prefix="/api/imports", description="Reports of scanners, uploaded in place of a pull")

_DONE, _ACCEPTED = 201, 202


@blp.post("")
@upload.takes_reports
@requires("import.create", customer=CustomerFrom.HEADER_OR_SESSION)
@blp.doc(requestBody=REQUEST_BODY)
@blp.arguments(ImportArgs, location="query")
@blp.response(200, ImportSchema, description="A dry run: what would happen")
@blp.alt_response(_DONE, schema=ImportSchema, description="The report is stored")
@blp.alt_response(_ACCEPTED, schema=ImportSchema, description="The run goes on, or is held until somebody decides")
@blp.alt_response(415, description="The file is of no known format")
def create_import(wanted: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Upload a report: all of it is stored, or nothing.

    Its findings are added, changed and reopened; those of its assets that it does not mention are closed, as by a sync. With
    ``Prefer: respond-async`` the answer comes at once, and the run tells the rest.
    """
    whose = (deployment(), current_scope())
    with upload.received() as report:
        wanted |= ImportArgs().load(upload.form_fields(), partial=True)
        request = service.Request(wanted["asset"], wanted["group"] or None, wanted["format"])
        if wanted["dry_run"]:
            preview, parser = service.rehearse(*whose, report, request, actor=current_principal().actor)
            return {"format": parser.format, "run": None, "preview": preview}, 200, {}
        way = service.begin if upload.wants_no_wait() else service.store
        return _told(*way(*whose, report, request, actor=current_principal().actor))


def _told(run: Run, parser: ReportParser) -> tuple[dict[str, Any], int, dict[str, str]]:
    is_done = run.state in ("succeeded", "partial")
    return ({"format": parser.format, "run": run, "preview": None}, _DONE if is_done else _ACCEPTED, {"Location": f"/api/runs/{run.id}"})


@blp.get("")
@requires("run.read", customer=CustomerFrom.HEADER_OR_SESSION)
@blp.arguments(ImportFilter, location="query")
@blp.response(200, ImportListSchema)
def list_imports(wanted: dict[str, Any]) -> dict[str, Any]:
    """Imports of the organization, the newest first. Each is a run; ``/api/runs`` has them as well."""
    found = runs.listing(current_scope(), source=wanted["source"] or None, trigger=IMPORT, before=key_of(wanted["cursor"], int, str),
                         states=[wanted["state"]] if wanted["state"] else [], limit=wanted["limit"] + 1)
    page, more = found[:wanted["limit"]], len(found) > wanted["limit"]
    return {"imports": page, "next_cursor": cursor_after((page[-1].requested_at, page[-1].id) if more else None)}
