"""Integrations and runs on the wire."""

from typing import Any

from marshmallow import fields, validate

from core.connections.models import STATES, Connection
from core.connections.service import form_of
from core.hooks.contracts import AsksAboutWebhooks, Connector, ReceivesWebhooks
from core.http.paging import PageArgs
from core.http.schemas import CamelSchema, IsoInstant, SafeStr, camel


class HealthSchema(CamelSchema):
    state = fields.Str(attribute="health", metadata={"description": "unchecked, ok, failing or needs_attention"})
    code = fields.Str(attribute="health_code")
    message = fields.Str(attribute="health_message")
    at = IsoInstant(attribute="health_at", allow_none=True)


class ConnectionSchema(CamelSchema):
    id = fields.Str()
    source = fields.Str()
    name = fields.Str()
    settings = fields.Function(lambda connection: {camel(name): value for name, value in connection.settings.items()},
                               metadata={"type": "object", "description": "Without secrets"})
    health = fields.Function(lambda connection: HealthSchema().dump(connection), metadata={"type": "object"})
    interval_minutes = fields.Int(allow_none=True)
    next_due_at = IsoInstant(allow_none=True)
    group_id = fields.Str(allow_none=True)
    webhook_path = fields.Str()
    created_at = IsoInstant()
    updated_at = IsoInstant()


class IntegrationSchema(CamelSchema):
    source = fields.Str()
    title = fields.Str()
    description = fields.Str()
    settings = fields.List(fields.Dict(), metadata={"description": "The form: name, label, help, kind, required, secret, choices"})
    receives_webhooks = fields.Bool()
    belongs_to_house = fields.Bool(metadata={"description": "Whether its one connection is the MSP's own and serves all customers"})
    connection = fields.Nested(ConnectionSchema, allow_none=True)


class IntegrationListSchema(CamelSchema):
    integrations = fields.List(fields.Nested(IntegrationSchema))


class ConfigureSchema(CamelSchema):
    settings = fields.Dict(keys=fields.Str(), required=True)
    interval_minutes = fields.Int(load_default=None, allow_none=True, strict=True)
    group_id = SafeStr(load_default=None, allow_none=True, validate=validate.Length(max=32))


class TrySettingsSchema(CamelSchema):
    settings = fields.Dict(keys=fields.Str(), load_default=None, allow_none=True)


class OutcomeSchema(CamelSchema):
    valid = fields.Bool(attribute="works")
    code = fields.Str(metadata={"description": "Why not: unreachable, tls, wrong_service, token_refused, organization_unknown, ..."})
    message = fields.Str()
    facts = fields.Dict(keys=fields.Str(), values=fields.Str())


class RunSchema(CamelSchema):
    id = fields.Str()
    source = fields.Str()
    connection_id = fields.Str()
    state = fields.Str(metadata={"description": ", ".join(STATES)})
    trigger = fields.Str()
    requested_by = fields.Str()
    file_name = fields.Str(metadata={"description": "Of an imported report, as it was sent; empty when no name was, and for a sync"})
    phase = fields.Str(metadata={"description": "catalog, findings, closing or done"})
    done = fields.Int()
    of = fields.Int(attribute="of_how_many", allow_none=True)
    counts = fields.Dict()
    assets = fields.List(fields.Str(), attribute="asset_keys", allow_none=True)
    reason_code = fields.Str()
    reason = fields.Str()
    problems = fields.List(fields.Dict())
    plan = fields.Dict(allow_none=True, metadata={"description": "What a held run would do"})
    decided_by = fields.Str()
    attempt = fields.Int()
    requested_at = IsoInstant()
    started_at = IsoInstant(allow_none=True)
    finished_at = IsoInstant(allow_none=True)


class StartedSchema(CamelSchema):
    run = fields.Nested(RunSchema)


class RunListSchema(CamelSchema):
    runs = fields.List(fields.Nested(RunSchema))
    next_cursor = fields.Str(allow_none=True)


class RunFilterSchema(PageArgs):
    source = SafeStr(load_default="", validate=validate.Length(max=32))
    state = fields.Str(load_default="", validate=validate.OneOf(["", *STATES]))


def integration(connector: Connector, connection: Connection | None) -> dict[str, Any]:
    """A source with its form and, when it is configured, its connection."""
    return {"source": connector.source, "title": connector.title, "description": connector.description, "connection": connection,
            "settings": [_form_field(name, setting) for name, setting in form_of(connector)],
            "receives_webhooks": isinstance(connector, ReceivesWebhooks | AsksAboutWebhooks),
            "belongs_to_house": getattr(connector, "belongs_to_house", False)}


def _form_field(name: str, setting: fields.Field) -> dict[str, Any]:
    facts = setting.metadata
    choices = next((list(rule.choices) for rule in setting.validators if isinstance(rule, validate.OneOf)), None)
    kind = "checkbox" if isinstance(setting, fields.Boolean) else "choice" if choices else "multiline" if facts.get("multiline") else "text"
    return {"name": camel(name), "label": facts.get("label", name), "help": facts.get("help", ""), "kind": kind, "choices": choices,
            "placeholder": facts.get("placeholder", ""), "required": setting.required, "secret": bool(facts.get("secret"))}


