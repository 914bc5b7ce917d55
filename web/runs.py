"""One run: a sync or an import, while it goes on, while it waits for a decision, and afterwards."""

from typing import Any

from flask import Response, url_for

from core.connections import runs
from core.connections.models import IMPORT
from core.http.access import current_principal, current_scope, requires
from core.http.deployed import deployment
from web.blueprint import blp
from web.frame import page
from web.sources import titles
from web.ways import back_to, told_notice

_NOTICES = {"approved": "Approved. The run goes on.", "discarded": "Discarded. Nothing was closed or removed."}
_MOST_NAMED = 50


@blp.get("/runs/<run_id>")
@requires("run.read")
def run(run_id: str) -> Response:
    found = runs.find(current_scope(), run_id)
    names: list[str] = found.asset_keys or []
    return page("run.html", run=found, titles=titles(), is_import=found.trigger == IMPORT, names=names[:_MOST_NAMED],
                hidden_names=max(0, len(names) - _MOST_NAMED), notice=told_notice(_NOTICES))


@blp.post("/runs/<run_id>/approve")
@requires("run.read", "run.decide")
def approve(run_id: str) -> Any:
    runs.approve(deployment(), current_scope(), run_id, actor=current_principal().actor)
    return back_to(url_for("web.run", run_id=run_id), notice="approved")


@blp.post("/runs/<run_id>/discard")
@requires("run.read", "run.decide")
def discard(run_id: str) -> Any:
    runs.discard(current_scope(), run_id, actor=current_principal().actor)
    return back_to(url_for("web.run", run_id=run_id), notice="discarded")
