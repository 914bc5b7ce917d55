"""Integrations: every source on one page, and for each its form, its syncs and their progress.

Whatever can be done here is a form that works without a script. With one, the parts that change are exchanged in place, and a
sync under way is followed through ``GET /api/integrations/{source}/runs/{id}``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, redirect, request, url_for

from core.connections import runs, service
from core.connections.models import UNFINISHED, Connection, Run
from core.connections.service import Outcome
from core.credentials import service as credentials
from core.errors import BadRequest
from core.hooks.contracts import AsksAboutWebhooks, Connector, ReceivesWebhooks
from core.http.access import CustomerFrom, current_principal, current_scope, requires
from core.http.addresses import base_url
from core.http.deployed import deployment, settings
from core.overview.service import group_rows
from core.scope import HOUSE, Scope
from web import forms
from web.blueprint import blp
from web.frame import page, pages_about

_RUNS_SHOWN = 10
_INTERVALS = (15, 60, 6 * 60, 12 * 60, 24 * 60, 7 * 24 * 60)
_WHOLE_FORM = "_schema"  # marshmallow's word for a fault that belongs to no field
_NOTICES = {"saved": "Saved.", "removed": "The connection and its secrets are removed.", "approved": "Approved. The run goes on.",
            "discarded": "Discarded. Nothing was closed or removed."}


@dataclass(frozen=True, slots=True)
class Card:
    """One source in the list; ``connection`` and ``run`` are None until it is configured and synced."""

    connector: Connector
    connection: Connection | None
    run: Run | None


@dataclass(frozen=True, slots=True)
class Typed:
    """What was sent and refused, or only tried, with the faults by field."""

    values: Mapping[str, Any] | None = None
    interval: int | None = None
    group_id: str | None = None
    faults: Mapping[str, Any] | None = None
    outcome: Outcome | None = None


@blp.get("/integrations")
@requires("integration.read")
def integrations() -> Response:
    scope, plugins = current_scope(), deployment().plugins
    own = [connector for connector in plugins.connectors() if plugins.is_of_house(connector.source)]
    cards = [connector for connector in plugins.connectors() if connector not in own]
    return page("integrations.html", cards=_cards(scope, cards), notice=_notice(),
                house=_cards(Scope(HOUSE, None, scope.hidden_sources), own) if current_principal().holds("integration.read") else [])


def _cards(scope: Scope, connectors: Iterable[Connector]) -> list[Card]:
    connections = {connection.source: connection for connection in service.listing(scope)}
    return [_card(scope, connector, connections.get(connector.source)) for connector in connectors]


def _card(scope: Scope, connector: Connector, connection: Connection | None) -> Card:
    newest = runs.listing(scope, source=connector.source, limit=1) if connection else []
    return Card(connector, connection, newest[0] if newest else None)


@blp.get("/integrations/<source>")
@requires("integration.read", customer=CustomerFrom.SOURCE)
def integration(source: str) -> Response:
    return _shown(service.connector_of(deployment(), source), Typed())


@blp.post("/integrations/<source>")
@requires("integration.manage", customer=CustomerFrom.SOURCE)
def save_integration(source: str) -> Any:
    connector = service.connector_of(deployment(), source)
    given = forms.typed(connector, request.form)
    try:
        interval, group_id = _interval(), request.form.get("groupId") or None
        service.configure(deployment(), current_scope(), connector, given, actor=current_principal().actor, interval_minutes=interval,
                          group_id=group_id)
    except BadRequest as problem:  # not an error page: the form is shown again with the fault of each field
        return _shown(connector, _refused(given, problem), status=400)
    return _back_to(connector, "saved")


@blp.post("/integrations/<source>/validate")
@requires("integration.manage", customer=CustomerFrom.SOURCE)
def validate_integration(source: str) -> Response:
    connector = service.connector_of(deployment(), source)
    given = forms.typed(connector, request.form)
    try:
        outcome = service.validate(deployment(), current_scope(), connector, given, actor=current_principal().actor)
    except BadRequest as problem:
        return _shown(connector, _refused(given, problem), status=400)
    return _shown(connector, Typed(given, _interval_or_none(), request.form.get("groupId"), outcome=outcome))


@blp.post("/integrations/<source>/sync")
@requires("integration.sync", customer=CustomerFrom.SOURCE)
def sync_integration(source: str) -> Any:
    connector = service.connector_of(deployment(), source)
    connection = service.must_find(current_scope(), connector.source)
    runs.request_sync(deployment(), connection, trigger="person", requested_by=current_principal().actor)
    return _back_to(connector)


@blp.post("/integrations/<source>/remove")
@requires("integration.manage", customer=CustomerFrom.SOURCE)
def remove_integration(source: str) -> Any:
    connector = service.connector_of(deployment(), source)
    service.remove(deployment(), current_scope(), connector.source, actor=current_principal().actor)
    return redirect(url_for("web.integrations", notice="removed"))


@blp.post("/integrations/<source>/runs/<run_id>/approve")
@requires("run.decide", customer=CustomerFrom.SOURCE)
def approve_run(source: str, run_id: str) -> Any:
    runs.approve(deployment(), current_scope(), run_id, actor=current_principal().actor)
    return _back_to(service.connector_of(deployment(), source), "approved")


@blp.post("/integrations/<source>/runs/<run_id>/discard")
@requires("run.decide", customer=CustomerFrom.SOURCE)
def discard_run(source: str, run_id: str) -> Any:
    runs.discard(current_scope(), run_id, actor=current_principal().actor)
    return _back_to(service.connector_of(deployment(), source), "discarded")


def _shown(connector: Connector, typed: Typed, status: int = 200) -> Response:
    scope, principal = current_scope(), current_principal()
    connection = service.find(scope, connector.source)
    may_manage = principal.holds("integration.manage", scope.customer_id)
    history = runs.listing(scope, source=connector.source, limit=_RUNS_SHOWN) if principal.holds("run.read", scope.customer_id) else []
    return page("integration.html", status, connector=connector, connection=connection, may_manage=may_manage, is_house=scope.is_house,
                history=history, under_way=next((run for run in history if run.state in UNFINISHED), None),
                held=next((run for run in history if run.state == "held"), None),
                form=_form(connector, connection, typed) if may_manage else None, outcome=typed.outcome, notice=_notice(),
                pages=pages_about(connector.source),
                webhook_url=_webhook_url(connector, connection) if may_manage else "")


def _form(connector: Connector, connection: Connection | None, typed: Typed) -> dict[str, Any]:
    scope, faults = current_scope(), typed.faults or {}
    stored = credentials.fields_of(scope.customer_id, connection.credential_id) if connection else frozenset()
    was_sent = typed.values is not None
    interval = typed.interval if was_sent else connection.interval_minutes if connection else None
    group_id = typed.group_id if was_sent else connection.group_id if connection else None
    return {
        "fields": forms.shown(connector, connection, stored, typed.values, faults),
        "groups": [] if scope.is_house else [row.group for row in group_rows(scope)], "group_id": group_id,
        "intervals": sorted({*_INTERVALS, *([interval] if interval else [])}), "interval": interval,
        "interval_faults": forms.sentences(faults.get("intervalMinutes")), "group_faults": forms.sentences(faults.get("groupId")),
        "is_refused": bool(faults), "fault": " ".join(forms.sentences(faults.get(_WHOLE_FORM))),
    }


def _refused(given: Mapping[str, Any], problem: BadRequest) -> Typed:
    faults = problem.details if isinstance(problem.details, Mapping) else {}
    return Typed(given, _interval_or_none(), request.form.get("groupId"), faults or {_WHOLE_FORM: problem.message})


def _interval() -> int | None:
    """The interval that was chosen; None for no schedule."""
    chosen = request.form.get("intervalMinutes", "")
    if not chosen:
        return None
    try:
        return int(chosen)
    except ValueError:
        raise BadRequest("The settings are not valid", details={"intervalMinutes": ["Not a number of minutes."]}) from None


def _interval_or_none() -> int | None:
    chosen = request.form.get("intervalMinutes", "")
    return int(chosen) if chosen.isdecimal() and len(chosen) < 6 else None


def _webhook_url(connector: Connector, connection: Connection | None) -> str:
    if connection is None or not isinstance(connector, ReceivesWebhooks | AsksAboutWebhooks):
        return ""
    return base_url(settings()) + connection.webhook_path


def _notice() -> str:
    return _NOTICES.get(request.args.get("notice", ""), "")


def _back_to(connector: Connector, notice: str | None = None) -> Any:
    return redirect(url_for("web.integration", source=connector.source, notice=notice))
