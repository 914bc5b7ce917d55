"""Verdicts: ending them."""

from typing import Any

from flask import url_for

from core.findings import verdicts
from core.http.access import current_principal, current_scope, requires
from web.blueprint import blp
from web.ways import back_to, wanted_next


@blp.post("/findings/verdicts/<verdict_id>/end")
@requires("finding.decide")
def end_verdict(verdict_id: str) -> Any:
    outcome = verdicts.end(current_scope(), verdict_id, actor=current_principal().actor)
    return back_to(wanted_next(url_for("web.findings")), changed=outcome.changed)
