"""One finding with all that is known of it, and deciding about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request, url_for

from core.connections import runs
from core.connections.models import Run
from core.errors import BadRequest
from core.findings import service, verdicts
from core.findings.models import FindingEvent, Verdict
from core.findings.schemas import first_sight
from core.findings.service import Opened
from core.http.access import current_principal, current_scope, requires
from core.ids import finding_public_id
from web import deciding
from web.blueprint import blp
from web.decisions import Typed, tomorrow
from web.frame import page
from web.sources import titles
from web.ways import back_to, told_number
from web.words import cwe_numbers

_THIS_ONE = "finding"
_MOST_CVES = 5  # to choose from: a finding that names more is about a package, not about one of them


@dataclass(frozen=True, slots=True)
class Choice:
    """What a decision can be about.

    :ivar named: how the API names it; empty for the finding alone.
    """

    value: str
    label: str
    code: str = ""
    named: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the history with the decision and the run that it tells of."""

    event: FindingEvent
    verdict: Verdict | None
    run: Run | None


@blp.get("/findings/<finding_id>")
@requires("finding.read")
def finding(finding_id: str) -> Response:
    return _shown(service.opened(current_scope(), finding_id), Typed())


@blp.post("/findings/<finding_id>/verdict")
@requires("finding.read", "finding.decide")
def decide(finding_id: str) -> Any:
    """Decide about this finding; when its asset, rule or CVE is chosen, a page asks first, with the number that it concerns."""
    scope, typed = current_scope(), Typed.sent()
    opened = service.opened(scope, finding_id)
    try:
        decision = typed.decision()
        named = _named(opened, request.form.get("scope", _THIS_ONE))
    except BadRequest as problem:
        return _shown(opened, typed.refused(problem), 400)
    if named:
        return deciding.shown(deciding.broad(named), typed, next_url=url_for("web.finding", finding_id=finding_id))
    verdicts.decide(scope, [opened.finding.id], decision, actor=current_principal().actor)
    return back_to(url_for("web.finding", finding_id=finding_id), changed=1)


@blp.post("/findings/<finding_id>/reopen")
@requires("finding.read", "finding.decide")
def reopen(finding_id: str) -> Any:
    verdicts.reopen_one(current_scope(), finding_id, actor=current_principal().actor)
    return back_to(url_for("web.finding", finding_id=finding_id), changed=1)


def _named(opened: Opened, chosen: str) -> Mapping[str, Any]:
    """How the API names what was chosen; empty for the finding alone.

    :raises BadRequest: for what this finding does not have.
    """
    choice = next((choice for choice in _choices(opened) if choice.value == chosen), None)
    if choice is None:
        raise BadRequest("The verdict is not valid", details={"scope": ["Choose what it is about."]})
    return choice.named


def _shown(opened: Opened, typed: Typed, status: int = 200) -> Response:
    found, scope = opened.finding, current_scope()
    decision = opened.verdicts.get(found.verdict_id or "")
    public_id = finding_public_id(found.id)
    origin = "" if decision is None or decision.finding_id in (None, found.id) else finding_public_id(decision.finding_id)
    return page("finding.html", status, finding=found, asset=opened.asset, rule=opened.rule, details=opened.details, decision=decision,
                origin=origin, history=list(_history(opened)), titles=titles(), finding_id=public_id, typed=typed,
                choices=list(_choices(opened)), chosen=request.form.get("scope", _THIS_ONE),
                sees_all=not scope.is_limited_to_groups, tomorrow=tomorrow(), changed=told_number("changed"))


def _history(opened: Opened) -> Iterator[Entry]:
    """The history, newest first; down to the first sight."""
    events = [*opened.events, first_sight(opened.finding)]
    known = _runs(events)
    for event in events:
        yield Entry(event, opened.verdicts.get(event.verdict_id or ""), known.get(event.run_id))


def _runs(events: list[FindingEvent]) -> Mapping[str, Run]:
    return runs.by_id(current_scope(), {event.run_id for event in events if event.run_id})


def _choices(opened: Opened) -> Iterator[Choice]:
    found = opened.finding
    yield Choice(_THIS_ONE, "This finding alone")
    yield Choice("asset", "Everything in its asset", opened.asset.name, {"assetId": found.asset_id})
    if current_scope().is_limited_to_groups:
        return  # what follows reaches beyond the groups
    if found.rule_key:
        yield Choice("rule", "Everything that its rule finds", found.rule_key, {"rule": {"source": found.source, "key": found.rule_key}})
    cves = [cve for cve in cwe_numbers(found.cve) if cve.upper().startswith("CVE-")]
    for cve in cves[:_MOST_CVES]:
        yield Choice(f"cve:{cve}", "Everything with", cve, {"cve": cve})
