"""The verdicts in force, and ending one."""

from dataclasses import dataclass
from typing import Any

from flask import Response, request, url_for
from werkzeug.datastructures import MultiDict

from core.findings import service, verdicts
from core.findings.state import VerdictKind
from core.http.access import current_principal, current_scope, requires
from core.http.paging import cursor_after, key_of
from core.ids import finding_public_id
from web.blueprint import blp
from web.frame import page
from web.sources import titles
from web.ways import back_to, told_number, wanted_next

_PAGE = 50
_LEVELS = {"finding": "Findings", "asset": "Assets", "rule": "Rules", "cve": "CVEs"}
_KINDS = tuple(str(kind) for kind in VerdictKind)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The filters in the address; what is not one of the choices narrows nothing."""

    levels: tuple[str, ...]
    kinds: tuple[str, ...]

    @classmethod
    def in_address(cls, args: MultiDict[str, str]) -> "_Asked":
        return cls(tuple(level for level in _LEVELS if level in args.getlist("level")),
                   tuple(kind for kind in _KINDS if kind in args.getlist("verdict")))

    def address(self, cursor: str | None = None) -> str:
        return url_for("web.verdicts_in_force", level=list(self.levels) or None, verdict=list(self.kinds) or None, cursor=cursor)


@blp.get("/findings/verdicts")
@requires("finding.list")
def verdicts_in_force() -> Response:
    scope, asked, cursor = current_scope(), _Asked.in_address(request.args), request.args.get("cursor", "")
    found, after = verdicts.in_force(scope, levels=asked.levels, kinds=asked.kinds, before=key_of(cursor, int, str), limit=_PAGE)
    return page("verdicts.html", asked=asked, found=found, about=verdicts.titles_of(found), public_id=finding_public_id, titles=titles(),
                assets=service.assets_by_id({verdict.asset_id for verdict in found if verdict.asset_id}), levels=_LEVELS, kinds=_KINDS,
                next_url=asked.address(cursor_after(after)) if after else "", first_url=asked.address() if cursor else "",
                here=asked.address(cursor or None), changed=told_number("changed"))


@blp.get("/findings/verdicts/<verdict_id>/end")
@requires("finding.decide")
def ask_to_end(verdict_id: str) -> Response:
    """Says how many findings the verdict holds for, and asks."""
    scope = current_scope()
    verdict = verdicts.find(scope, verdict_id)
    return page("verdict_end.html", verdict=verdict, count=verdicts.count_under(scope, verdict), titles=titles(),
                about=verdicts.titles_of([verdict]), assets=service.assets_by_id([verdict.asset_id] if verdict.asset_id else []),
                next_url=wanted_next(url_for("web.verdicts_in_force")))


@blp.post("/findings/verdicts/<verdict_id>/end")
@requires("finding.decide")
def end_verdict(verdict_id: str) -> Any:
    outcome = verdicts.end(current_scope(), verdict_id, actor=current_principal().actor)
    return back_to(wanted_next(url_for("web.verdicts_in_force")), changed=outcome.changed)
