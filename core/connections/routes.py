"""Integrations: the same routes for every source that a plugin offers; and the runs that they start."""

from typing import Any

from flask import Response, request
from flask_smorest import Blueprint

from core.connections import runs, service
from core.connections.models import Connection, Run
from core.connections.schemas import (
    ConfigureSchema,
    ConnectionSchema,
    IntegrationListSchema,
    IntegrationSchema,
    OutcomeSchema,
    RunFilterSchema,
    RunListSchema,
    RunSchema,
    StartedSchema,
    TrySettingsSchema,
    integration,
)
from core.errors import BadRequest, NotFound
from core.hooks.contracts import AsksAboutWebhooks, Connector, ReceivesWebhooks, WebhookEvent
from core.http.access import CustomerFrom, current_principal, current_scope, public, requires
from core.http.deployed import deployment
from core.http.paging import PageArgs, cursor_after, key_of
from core.http.schemas import camel
from core.scope import HOUSE, Scope

blp = Blueprint("integrations", __name__, url_prefix="/api/integrations", description="Sources: configure, validate, sync")
runs_blp = Blueprint("runs", __name__, url_prefix="/api/runs", description="Executions of syncs")


@blp.get("")
@requires("integration.read")
@blp.response(200, IntegrationListSchema)
def list_integrations() -> dict[str, Any]:
    """Every source that this deployment offers, with the organization's connection where there is one. Those that are the MSP's own
    come along for who may see them."""
    scope, plugins = current_scope(), deployment().plugins
    connections = {connection.source: connection for connection in service.listing(scope)}
    if sees_house := current_principal().holds("integration.read"):
        connections |= {connection.source: connection for connection in service.listing(Scope(HOUSE, None, scope.hidden_sources))}
    return {"integrations": [integration(connector, connections.get(connector.source)) for connector in plugins.connectors()
                             if sees_house or not plugins.is_of_house(connector.source)]}


@blp.get("/<source>")
@requires("integration.read", customer=CustomerFrom.SOURCE)
@blp.response(200, IntegrationSchema)
def get_integration(source: str) -> dict[str, Any]:
    """One source with its form and its connection; secrets are never given out."""
    connector = service.connector_of(deployment(), source)
    return integration(connector, service.find(current_scope(), connector.source))


@blp.put("/<source>")
@requires("integration.manage", customer=CustomerFrom.SOURCE)
@blp.arguments(ConfigureSchema)
@blp.response(200, ConnectionSchema)
def configure(body: dict[str, Any], source: str) -> Connection:
    """Configure a source. A secret that is left out keeps its value; one given as "" is removed."""
    connector = service.connector_of(deployment(), source)
    return service.configure(deployment(), current_scope(), connector, _by_field(connector, body["settings"]),
                             actor=current_principal().actor, interval_minutes=body["interval_minutes"], group_id=body["group_id"])


@blp.delete("/<source>")
@requires("integration.manage", customer=CustomerFrom.SOURCE)
@blp.response(204)
def remove(source: str) -> None:
    """Forget the connection and its secrets; its assets leave the totals and can be restored for a while."""
    connector = service.connector_of(deployment(), source)
    service.remove(deployment(), current_scope(), connector.source, actor=current_principal().actor)


@blp.post("/<source>/validate")
@requires("integration.manage", customer=CustomerFrom.SOURCE)
@blp.arguments(TrySettingsSchema, required=False)
@blp.response(200, OutcomeSchema)
def validate(body: dict[str, Any] | None, source: str) -> service.Outcome:
    """Try a source end to end: the settings given, or the stored ones. The answer names the precise reason when it fails."""
    connector = service.connector_of(deployment(), source)
    given = (body or {}).get("settings")
    return service.validate(deployment(), current_scope(), connector, None if given is None else _by_field(connector, given),
                            actor=current_principal().actor)


@blp.post("/<source>/sync")
@requires("integration.sync", customer=CustomerFrom.SOURCE)
@blp.response(202, StartedSchema)
def sync(source: str) -> dict[str, Run]:
    """Start a sync; the one under way when there is one. Follow it at ``/api/runs/{id}``."""
    connector = service.connector_of(deployment(), source)
    connection = service.must_find(current_scope(), connector.source)
    return {"run": runs.request_sync(deployment(), connection, trigger="person", requested_by=current_principal().actor)}


@blp.get("/<source>/runs")
@requires("run.read", customer=CustomerFrom.SOURCE)
@blp.arguments(PageArgs, location="query")
@blp.response(200, RunListSchema)
def list_runs_of(wanted: dict[str, Any], source: str) -> dict[str, Any]:
    """The runs of one source, the newest first. Those of a source that is the MSP's own are found here alone."""
    connector = service.connector_of(deployment(), source)
    return _page_of_runs({**wanted, "source": connector.source, "state": ""})


@blp.get("/<source>/runs/<run_id>")
@requires("run.read", customer=CustomerFrom.SOURCE)
@blp.response(200, RunSchema)
def get_run_of(source: str, run_id: str) -> Run:
    """One run with its progress so far."""
    return runs.find(current_scope(), run_id, service.connector_of(deployment(), source).source)


@blp.post("/<source>/runs/<run_id>/approve")
@requires("run.decide", customer=CustomerFrom.SOURCE)
@blp.response(202, RunSchema)
def approve_run_of(source: str, run_id: str) -> Run:
    """Carry out what a held run found due, exactly as its ``plan`` says."""
    run = runs.find(current_scope(), run_id, service.connector_of(deployment(), source).source)
    return runs.approve(deployment(), current_scope(), run.id, actor=current_principal().actor)


@blp.post("/<source>/runs/<run_id>/discard")
@requires("run.decide", customer=CustomerFrom.SOURCE)
@blp.response(200, RunSchema)
def discard_run_of(source: str, run_id: str) -> Run:
    """Forget what a held run found due; nothing is closed or removed."""
    run = runs.find(current_scope(), run_id, service.connector_of(deployment(), source).source)
    return runs.discard(current_scope(), run.id, actor=current_principal().actor)


@blp.post("/<source>/webhook/<key>")
@public
@blp.response(202, description="The sync that the event asks for is on its way; 204 when it asks for none")
def webhook(source: str, key: str) -> Response:
    """Where a source sends its events. They must be signed with the secret of the connection's settings."""
    connector = service.connector_of(deployment(), source)
    connection = Connection.get_or_none(Connection.webhook_key == key, Connection.source == connector.source)
    if connection is None:
        raise NotFound("There is no such webhook")
    event = _told_by(connector, connection)
    if event is None:
        return Response(status=204)
    runs.request_sync(deployment(), connection, trigger="webhook", requested_by="webhook", asset_keys=event.asset_keys)
    return Response(status=202)


def _told_by(connector: Connector, connection: Connection) -> WebhookEvent | None:
    headers, body = dict(request.headers), request.get_data()
    if isinstance(connector, AsksAboutWebhooks):
        return service.asked_about(deployment(), connection, connector, headers, body)
    if not isinstance(connector, ReceivesWebhooks):
        raise NotFound("There is no such webhook")
    secret = service.webhook_secret(deployment(), connection, connector)
    if not secret:
        raise NotFound("This connection has no webhook secret, so it takes no webhooks")
    return connector.read_webhook(secret, headers, body)


@runs_blp.get("")
@requires("run.read")
@runs_blp.arguments(RunFilterSchema, location="query")
@runs_blp.response(200, RunListSchema)
def list_runs(wanted: dict[str, Any]) -> dict[str, Any]:
    """Runs of the organization, the newest first."""
    return _page_of_runs(wanted)


def _page_of_runs(wanted: dict[str, Any]) -> dict[str, Any]:
    found = runs.listing(current_scope(), source=wanted["source"] or None, states=[wanted["state"]] if wanted["state"] else [],
                         before=key_of(wanted["cursor"], int, str), limit=wanted["limit"] + 1)
    page, more = found[:wanted["limit"]], len(found) > wanted["limit"]
    return {"runs": page, "next_cursor": cursor_after((page[-1].requested_at, page[-1].id) if more else None)}


@runs_blp.get("/<run_id>")
@requires("run.read")
@runs_blp.response(200, RunSchema)
def get_run(run_id: str) -> Run:
    """One run with its progress so far."""
    return runs.find(current_scope(), run_id)


@runs_blp.post("/<run_id>/approve")
@requires("run.decide")
@runs_blp.response(202, RunSchema)
def approve(run_id: str) -> Run:
    """Carry out what a held run found due, exactly as its ``plan`` says."""
    return runs.approve(deployment(), current_scope(), run_id, actor=current_principal().actor)


@runs_blp.post("/<run_id>/discard")
@requires("run.decide")
@runs_blp.response(200, RunSchema)
def discard(run_id: str) -> Run:
    """Forget what a held run found due; nothing is closed or removed."""
    return runs.discard(current_scope(), run_id, actor=current_principal().actor)


def _by_field(connector: Connector, given: dict[str, Any]) -> dict[str, Any]:
    """Settings by field name, from their camelCase names on the wire."""
    names = {camel(name): name for name, _ in service.form_of(connector)}
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise BadRequest("The settings are not valid", details={name[:40]: ["Unknown field."] for name in unknown})
    return {names[name]: value for name, value in given.items()}
