"""Findings, for those who look beyond the totals, and decisions about them."""

from typing import Any

from flask_smorest import Blueprint

from core.findings import service, sla, verdicts
from core.findings.models import Finding
from core.findings.schemas import (
    BulkDecisionSchema,
    DecidedSchema,
    DecisionSchema,
    FindingFilterSchema,
    FindingPageSchema,
    OpenedFindingSchema,
    PoliciesSchema,
    VerdictFilterSchema,
    VerdictPageSchema,
    filter_of,
    shown,
    shown_verdict,
    shown_whole,
)
from core.findings.sla import Policy
from core.findings.state import VerdictKind
from core.findings.verdicts import Decision, Outcome
from core.http.access import CustomerFrom, current_principal, current_scope, requires
from core.http.caching import revalidated
from core.http.paging import cursor_after, key_of
from core.scope import Scope

blp = Blueprint("findings", __name__, url_prefix="/api/findings", description="Findings of all sources")
verdicts_blp = Blueprint("verdicts", __name__, url_prefix="/api/verdicts", description="What people decided about findings")
sla_blp = Blueprint("sla", __name__, url_prefix="/api/sla-policy", description="Within how many days findings are to be fixed")
_REOPEN = "reopen"


@blp.get("")
@requires("finding.list", customer=CustomerFrom.HEADER_OR_SESSION)
@revalidated
@blp.arguments(FindingFilterSchema, location="query")
@blp.response(200, FindingPageSchema)
def list_findings(wanted: dict[str, Any]) -> dict[str, Any]:
    """Findings from the most severe and newest on; open ones unless ``state`` says otherwise.

    ``count`` is bounded: with ``isExact`` false there are more than its value. ``nextCursor`` continues the list.
    """
    scope, narrowed = current_scope(), filter_of(wanted)
    page = service.page(scope, narrowed, after=key_of(wanted["cursor"], int, int), limit=wanted["limit"])
    value, is_exact = service.count(scope, narrowed)
    return {"findings": [shown(finding, page.assets) for finding in page.findings], "count": {"value": value, "is_exact": is_exact},
            "next_cursor": cursor_after(page.after)}


@blp.get("/<finding_id>")
@requires("finding.read", customer=CustomerFrom.HEADER_OR_SESSION)
@blp.response(200, OpenedFindingSchema)
def get_finding(finding_id: str) -> Finding:
    """One finding with its details, the text of its rule, and its history."""
    return shown_whole(service.opened(current_scope(), finding_id))


@blp.post("/<finding_id>/verdict")
@requires("finding.decide", customer=CustomerFrom.HEADER_OR_SESSION)
@blp.arguments(DecisionSchema)
@blp.response(200, OpenedFindingSchema)
def decide(body: dict[str, Any], finding_id: str) -> Finding:
    """Accept a finding (with a reason, until a date or for good), call it a false positive, ignore it, or reopen it.

    The verdict stays whatever the source says later; the same finding takes it over in branches and tags that appear later. To
    reopen is 409 when nobody has decided, or when the decision is about its asset, rule or CVE: ``details`` has the verdict to end.
    """
    scope, actor = current_scope(), current_principal().actor
    if body["verdict"] == _REOPEN:
        verdicts.reopen_one(scope, finding_id, actor=actor)
    else:
        verdicts.decide(scope, verdicts.keys_by_id(scope, [finding_id]), _decision(body), actor=actor)
    return shown_whole(service.opened(scope, finding_id))


@verdicts_blp.post("")
@requires("finding.decide", customer=CustomerFrom.HEADER_OR_SESSION)
@verdicts_blp.arguments(BulkDecisionSchema)
@verdicts_blp.response(200, DecidedSchema)
def decide_many(body: dict[str, Any]) -> dict[str, Any]:
    """Decide about many findings at once: named one by one, by a filter, or all that an asset, a rule or a CVE has and will have.

    A verdict on a finding stands above one on its asset, and that above those on its rule and its CVEs; on one level the newest holds. A
    request that was cut short can be repeated: what it had done already is left as it is.
    """
    scope, actor = current_scope(), current_principal().actor
    target = body["target"] and verdicts.check_target(scope, body["target"])
    keys = None if target is not None else _keys(scope, body)
    if body["dry_run"]:
        matched = verdicts.count(scope, target) if keys is None else len(keys)
        return {"matched": matched, "changed": 0, "verdict_id": None, "dry_run": True}
    outcome = _decided(scope, target, keys, body, actor)
    return {"matched": outcome.matched, "changed": outcome.changed, "verdict_id": outcome.verdict_id, "dry_run": False}


@verdicts_blp.get("")
@requires("finding.list", customer=CustomerFrom.HEADER_OR_SESSION)
@verdicts_blp.arguments(VerdictFilterSchema, location="query")
@verdicts_blp.response(200, VerdictPageSchema)
def list_verdicts(wanted: dict[str, Any]) -> dict[str, Any]:
    """Verdicts in force, the newest first. Those on rules and CVEs are for those who see the whole organization."""
    found, after = verdicts.in_force(current_scope(), levels=wanted["level"], kinds=wanted["verdict"],
                                     before=key_of(wanted["cursor"], int, str), limit=wanted["limit"])
    titles, assets = verdicts.titles_of(found), service.assets_by_id({verdict.asset_id for verdict in found if verdict.asset_id})
    return {"verdicts": [shown_verdict(verdict, titles, assets) for verdict in found], "next_cursor": cursor_after(after)}


@verdicts_blp.delete("/<verdict_id>")
@requires("finding.decide", customer=CustomerFrom.HEADER_OR_SESSION)
@verdicts_blp.response(200, DecidedSchema)
def end_verdict(verdict_id: str) -> dict[str, Any]:
    """End a verdict; its findings stand again where they would without it. 409 when it has ended before."""
    outcome = verdicts.end(current_scope(), verdict_id, actor=current_principal().actor)
    return {"matched": outcome.matched, "changed": outcome.changed, "verdict_id": outcome.verdict_id, "dry_run": False}


@sla_blp.get("")
@requires("overview.read", customer=CustomerFrom.HEADER_OR_SESSION)
@revalidated
@sla_blp.response(200, PoliciesSchema)
def get_policies() -> dict[str, Any]:
    """Within how many days the organization wants findings fixed, counted from when each was first seen; the time that one is
    accepted does not count."""
    return _policies(current_scope())


@sla_blp.put("")
@requires("sla.manage", customer=CustomerFrom.HEADER_OR_SESSION)
@sla_blp.arguments(PoliciesSchema)
@sla_blp.response(200, PoliciesSchema)
def replace_policies(body: dict[str, Any]) -> dict[str, Any]:
    """Make the policies what the body says, all of them; every due day follows at once. ``policy`` null: the organization has none."""
    own = [] if body["policy"] is None else [Policy(None, **body["policy"])]
    sla.replace(current_scope(), own + [Policy(**policy) for policy in body["groups"]], actor=current_principal().actor)
    return _policies(current_scope())


def _policies(scope: Scope) -> dict[str, Any]:
    found = sla.policies(scope)
    return {"policy": next((policy for policy in found if policy.group_id is None), None),
            "groups": [policy for policy in found if policy.group_id is not None]}


def _decision(body: dict[str, Any]) -> Decision:
    return Decision(VerdictKind(body["verdict"]), body["reason"].strip(), body["until"])


def _keys(scope: Scope, body: dict[str, Any]) -> Any:
    if "finding_ids" in body:
        return verdicts.keys_by_id(scope, body["finding_ids"])
    return verdicts.keys_by_filter(scope, filter_of(body["filter"]))


def _decided(scope: Scope, target: Any, keys: Any, body: dict[str, Any], actor: str) -> Outcome:
    if body["verdict"] == _REOPEN:
        return verdicts.reopen(scope, keys, actor=actor) if target is None else verdicts.reopen_broadly(scope, target, actor=actor)
    decision = _decision(body)
    if target is None:
        return verdicts.decide(scope, keys, decision, actor=actor)
    return verdicts.decide_broadly(scope, target, decision, actor=actor)
