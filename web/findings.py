"""The list of findings with its filters."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Response, request, url_for
from werkzeug.datastructures import MultiDict

from core.assets.models import Asset, AssetGroup
from core.findings import service
from core.findings.service import Filter
from core.findings.state import Status
from core.hooks.contracts import Discipline, Severity
from core.http.access import current_scope, requires
from core.http.paging import cursor_after, key_of
from core.ids import finding_public_id
from core.scope import Scope
from web.blueprint import blp
from web.frame import page
from web.sources import of_findings, titles
from web.ways import told_number
from web.words import state_of_finding

_PAGE = 50
_LONGEST_TEXT = 200
_ALL = "all"
_SEVERITIES = {severity.name.lower(): severity for severity in sorted(Severity, reverse=True)}
_STATES = {str(status): status for status in Status}
_DISCIPLINES = {str(Discipline.APPSEC): "Application findings", str(Discipline.OFFSEC): "Offensive findings"}
_OVERDUE = "overdue"
_DUE = {"": "Any due date", _OVERDUE: "Overdue", "7": "Due within a week", "30": "Due within 30 days"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters as they stand in the address; what is not one of the choices narrows nothing."""

    severities: tuple[str, ...]
    state: str
    source: str
    asset: str
    group: str
    discipline: str
    due: str
    text: str

    @classmethod
    def in_address(cls, args: MultiDict[str, str]) -> "Asked":
        given = [word for value in args.getlist("severity") for word in value.lower().split(",")]
        state, due, discipline = args.get("state", ""), args.get("due", ""), args.get("discipline", "")
        return cls(severities=tuple(name for name in _SEVERITIES if name in given),
                   state=state if state == _ALL or state in _STATES else str(Status.OPEN), source=args.get("source", "")[:32],
                   asset=args.get("asset", "")[:32], group=args.get("group", "")[:32],
                   discipline=discipline if discipline in _DISCIPLINES else "", due=due if due in _DUE else "",
                   text=args.get("text", "").strip()[:_LONGEST_TEXT])

    @property
    def narrowing(self) -> Filter:
        return Filter(states=tuple(Status) if self.state == _ALL else (_STATES[self.state],),
                      severities=tuple(_SEVERITIES[name] for name in self.severities), sources=(self.source,) if self.source else (),
                      asset_id=self.asset, group_id=self.group, text=self.text, breached=True if self.due == _OVERDUE else None,
                      due_within=int(self.due) if self.due.isdecimal() else None,
                      discipline=Discipline(self.discipline) if self.discipline else None)

    @property
    def is_narrowed(self) -> bool:
        return any(self._query.values())

    @property
    def _query(self) -> dict[str, Any]:
        return {"severity": list(self.severities), "state": self.state if self.state != Status.OPEN else "", "source": self.source,
                "asset": self.asset, "group": self.group, "discipline": self.discipline, "due": self.due, "text": self.text}

    def address(self, endpoint: str = "web.findings", **changes: Any) -> str:
        """The address of this list, or of another page about it, with other filters; None takes one out."""
        return url_for(endpoint, **{name: value or None for name, value in {**self._query, **changes}.items()})

    def fields(self) -> Iterator[tuple[str, str]]:
        """The filters as fields of a form."""
        for name, value in self._query.items():
            for one in value if isinstance(value, list) else [value]:
                if one:
                    yield name, one

    def told(self, scope: Scope) -> Iterator[str]:
        """The filters in words."""
        yield "All states" if self.state == _ALL else state_of_finding(self.state).text
        yield from (name.capitalize() for name in self.severities)
        if self.source:
            yield titles()[self.source]
        if self.asset:
            yield f"In {asset_name(scope, self.asset)}"
        if self.group:
            yield f"In the group {group_name(scope, self.group)}"
        if self.discipline:
            yield _DISCIPLINES[self.discipline]
        if self.due:
            yield _DUE[self.due]
        if self.text:
            yield f"“{self.text}”"


def asset_name(scope: Scope, asset_id: str) -> str:
    asset = Asset.within(scope).where(Asset.id == asset_id).get_or_none()
    return asset.name if asset is not None else "an unknown asset"


def group_name(scope: Scope, group_id: str) -> str:
    group = AssetGroup.visible_in(scope).where(AssetGroup.id == group_id).get_or_none()
    return group.name if group is not None else "an unknown group"


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
                asset_name=asset_name(scope, asked.asset) if asked.asset else "", here=asked.address(cursor=cursor),
                group_name=group_name(scope, asked.group) if asked.group else "", changed=told_number("changed"),
                severities=_SEVERITIES, states=(*_STATES, _ALL), dues=_DUE, disciplines=_DISCIPLINES, connectors=of_findings(),
                shows_due=any(finding.due_day is not None for finding in found.findings))
