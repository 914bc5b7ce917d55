from marshmallow import fields, validate

from core.http import v1
from core.http.schemas import CamelSchema, IsoInstant, SafeStr

_ANY_NAME = validate.Length(1, 255)


class AuditEventSchema(CamelSchema):
    id = fields.String(required=True, attribute="place", metadata={"description": "Chain and number of the event in it"})
    at = IsoInstant(required=True)
    action = fields.String(required=True)
    actor = fields.String(required=True)
    actor_id = fields.String(allow_none=True)
    via = fields.String(allow_none=True, metadata={"description": "session, token, access, command or job"})
    address = fields.String(allow_none=True)
    request_id = fields.String(allow_none=True)
    target = fields.String(required=True)
    company_id = fields.String(attribute="company_id", allow_none=True)
    details = fields.Raw(required=True)
    digest = fields.String(required=True)


class AuditFilterSchema(v1.RowArgs):
    action = SafeStr(load_default=None, validate=validate.Length(1, 64), metadata={
        "description": "An action such as credential.revealed, or the beginning of several: credential.*"})
    actor = SafeStr(load_default=None, validate=_ANY_NAME)
    target = SafeStr(load_default=None, validate=_ANY_NAME)
    company = SafeStr(load_default=None, validate=validate.Length(1, 32), metadata={"description": "Id of a company"})
    since = IsoInstant(load_default=None, metadata={"description": "From this moment on"})
    until = IsoInstant(load_default=None, metadata={"description": "Before this moment"})
