"""The list of findings with its filters."""

from dataclasses import dataclass
from typing import Any

from flask import Response, request, url_for
from werkzeug.datastructures import MultiDict

from core.findings import service
from core.findings.service import Filter
from core.findings.state import Status
from core.hooks.contracts import Severity
from core.http.access import current_scope, requires
from core.http.deployed import deployment
from core.http.paging import cursor_after, key_of
from core.ids import finding_public_id
from web.blueprint import blp
from web.frame import page
from web.sources import titles

_PAGE = 50
_LONGEST_TEXT = 200
_ALL = "all"
_SEVERITIES = {severity.name.lower(): severity for severity in sorted(Severity, reverse=True)}
_STATES = {str(status): status for status in Status}


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters as they stand in the address; what is not one of the choices narrows nothing."""

    severities: tuple[str, ...]
    state: str
    source: str
    asset: str
    text: str

    @classmethod
    def in_address(cls, args: MultiDict[str, str]) -> "Asked":
        given = [word for value in args.getlist("severity") for word in value.lower().split(",")]
        state = args.get("state", "")
        return cls(severities=tuple(name for name in _SEVERITIES if name in given),
                   state=state if state == _ALL or state in _STATES else str(Status.OPEN), source=args.get("source", "")[:32],
                   asset=args.get("asset", "")[:32], text=args.get("text", "").strip()[:_LONGEST_TEXT])

    @property
    def narrowing(self) -> Filter:
        return Filter(states=tuple(Status) if self.state == _ALL else (_STATES[self.state],),
                      severities=tuple(_SEVERITIES[name] for name in self.severities), sources=(self.source,) if self.source else (),
                      asset_id=self.asset, text=self.text)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.severities or self.source or self.asset or self.text or self.state != Status.OPEN)

    def address(self, **changes: Any) -> str:
        """The address of this list with other filters; None takes one out."""
        query = {"severity": list(self.severities) or None, "state": self.state if self.state != Status.OPEN else None,
                 "source": self.source or None, "asset": self.asset or None, "text": self.text or None, **changes}
        return url_for("web.findings", **query)


@blp.get("/findings")
@requires("finding.list")
def findings() -> Response:
    scope, asked = current_scope(), Asked.in_address(request.args)
    cursor = request.args.get("cursor", "")
    found = service.page(scope, asked.narrowing, after=key_of(cursor, int, int), limit=_PAGE)
    count, is_exact = service.count(scope, asked.narrowing)
    after = cursor_after(found.after)
    return page("findings.html", asked=asked, found=found, count=count, is_exact=is_exact, titles=titles(), public_id=finding_public_id,
                next_url=asked.address(cursor=after) if after else "", first_url=asked.address() if cursor else "",
                asset_name=next((asset.name for asset in found.assets.values() if asset.id == asked.asset), "one asset"),
                severities=_SEVERITIES, states=(*_STATES, _ALL), connectors=deployment().plugins.connectors())

