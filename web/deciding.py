"""Deciding about many findings at once: a page says how many, and asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Response, request, url_for
from marshmallow import ValidationError
from peewee import ModelSelect
from werkzeug.datastructures import MultiDict

from core.errors import BadRequest
from core.findings import service, verdicts
from core.findings.models import Finding
from core.findings.schemas import BulkDecisionSchema
from core.findings.settling import Target
from core.findings.state import VerdictKind
from core.findings.verdicts import Outcome
from core.http.access import current_principal, current_scope, requires
from core.scope import Scope
from web.blueprint import blp
from web.decisions import Typed, tomorrow
from web.findings import Asked
from web.frame import page
from web.sources import titles
from web.ways import back_to, wanted_next

_MATCHED = "matched"
_SHOWN = 5
_MOST_SELECTED = 500  # a page of the list has fewer


class About(Protocol):
    """What a decision is about."""

    @property
    def what(self) -> str:
        """In words, for after "Decide about"."""

    @property
    def covers_what_comes(self) -> bool:
        """Whether it also holds for findings that are not there yet."""

    def fields(self) -> Iterator[tuple[str, str]]:
        """How a form or an address names it."""

    def count(self, scope: Scope) -> int:
        """How many findings there are of it now."""

    def most_severe(self, scope: Scope) -> list[Finding]:
        """Some of them, to be recognised by."""

    def decide(self, scope: Scope, typed: Typed, actor: str) -> Outcome:
        """Carry it out."""


@dataclass(frozen=True, slots=True)
class Broad:
    """All findings of an asset, a rule or a CVE."""

    target: Target
    what: str
    covers_what_comes = True

    def fields(self) -> Iterator[tuple[str, str]]:
        yield "about", self.target.level
        for name, value in (("assetId", self.target.asset_id), ("source", self.target.source), ("rule", self.target.rule_key),
                            ("cve", self.target.cve)):
            if value:
                yield name, value

    def count(self, scope: Scope) -> int:
        return verdicts.count(scope, self.target)

    def most_severe(self, scope: Scope) -> list[Finding]:
        return _most_severe(Finding.within(scope).where(self.target.findings))

    def decide(self, scope: Scope, typed: Typed, actor: str) -> Outcome:
        return verdicts.decide_broadly(scope, self.target, typed.decision(), actor=actor)


@dataclass(frozen=True, slots=True)
class Single:
    """Findings one by one: those that somebody has selected, or all that a list has.

    :ivar asked: the filters of the list; None for those selected.
    """

    keys: Sequence[int]
    what: str
    named: Sequence[tuple[str, str]]
    asked: Asked | None = None
    covers_what_comes = False

    def fields(self) -> Iterator[tuple[str, str]]:
        yield from self.named

    def count(self, scope: Scope) -> int:
        return len(self.keys)

    def most_severe(self, scope: Scope) -> list[Finding]:
        if self.asked is not None:
            return service.page(scope, self.asked.narrowing, limit=_SHOWN).findings
        return _most_severe(Finding.within(scope).where(Finding.id.in_(list(self.keys))))

    def decide(self, scope: Scope, typed: Typed, actor: str) -> Outcome:
        if typed.is_reopening:
            return verdicts.reopen(scope, self.keys, actor=actor)
        return verdicts.decide(scope, self.keys, typed.decision(), actor=actor)


def _most_severe(query: ModelSelect) -> list[Finding]:
    return list(query.order_by(Finding.severity.desc(), Finding.id.desc()).limit(_SHOWN))


def broad(named: Mapping[str, Any]) -> Broad:
    """What the API's field ``assetId``, ``rule`` or ``cve`` names, with the words for it.

    :raises BadRequest: when it names nothing.
    :raises NotFound, Forbidden: as ``core.findings.verdicts.check_target``.
    """
    try:
        target = BulkDecisionSchema().load({"verdict": VerdictKind.IGNORED, **named})["target"]
    except ValidationError as problem:
        raise BadRequest("Select first what you want to decide about") from problem
    known = verdicts.check_target(current_scope(), target)
    if known.level == "asset":
        return Broad(known, f"everything in {service.assets_by_id([known.asset_id])[known.asset_id].name}")
    if known.level == "rule":
        return Broad(known, f"everything that the rule {known.rule_key} of {titles()[known.source]} finds")
    return Broad(known, f"everything with {known.cve}")


@blp.get("/findings/decide")
@requires("finding.list", "finding.decide")
def decide_many() -> Response:
    return shown(_about(request.args), Typed(), next_url=wanted_next(url_for("web.findings")))


@blp.post("/findings/decide")
@requires("finding.list", "finding.decide")
def carry_out() -> Any:
    """Decide, when as many findings are there as the page said; else the page says the new number first."""
    scope, typed, about = current_scope(), Typed.sent(), _about(request.form)
    next_url = wanted_next(url_for("web.findings"))
    if request.form.get(_MATCHED) != str(about.count(scope)):
        return shown(about, typed, next_url=next_url, has_changed=_MATCHED in request.form, status=409)
    try:
        outcome = about.decide(scope, typed, current_principal().actor)
    except BadRequest as problem:
        return shown(about, typed.refused(problem), next_url=next_url, status=400)
    return back_to(next_url, changed=outcome.changed)


def _about(given: MultiDict[str, str]) -> About:
    kind, scope = given.get("about", ""), current_scope()
    if kind == "filter":
        asked = Asked.in_address(given)
        named_filters = [("about", kind), *asked.fields()]
        return Single(verdicts.keys_by_filter(scope, asked.narrowing), " · ".join(asked.told(scope)), named_filters, asked)
    ids = given.getlist("finding")[:_MOST_SELECTED]
    if kind == "chosen" and ids:
        named_ids = [("about", kind), *(("finding", one) for one in ids)]
        return Single(verdicts.keys_by_id(scope, ids), "those that you have selected", named_ids)
    named: dict[str, Any] = {"asset": {"assetId": given.get("assetId", "")}, "cve": {"cve": given.get("cve", "")},
                             "rule": {"rule": {"source": given.get("source", ""), "key": given.get("rule", "")}}}
    return broad(named.get(kind, {}))


def shown(about: About, typed: Typed, *, next_url: str, has_changed: bool = False, status: int = 200) -> Response:
    """The page that says how many findings a decision concerns, and asks for it.

    :param has_changed: the number is not the one that was said before.
    """
    scope = current_scope()
    return page("decide.html", status, about=about, count=about.count(scope), most_severe=about.most_severe(scope), typed=typed,
                next_url=next_url, has_changed=has_changed, tomorrow=tomorrow())
