from marshmallow import fields, validate

from core.http.schemas import CamelSchema, IsoInstant, LineStr, SafeStr
from core.tenancy.service import STATUSES

_NAME = validate.Length(1, 200)
_CONTACT = validate.And(validate.Length(max=255), validate.Regexp(r"^(|[^\s@]+@[^\s@]+)$", error="Not a valid email address."))
_NOTES = validate.Length(max=10_000)


class CustomerSchema(CamelSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    contact_email = fields.String()
    notes = fields.String()
    created_at = IsoInstant()
    updated_at = IsoInstant()


class CustomerListSchema(CamelSchema):
    customers = fields.List(fields.Nested(CustomerSchema), required=True)


class NewCustomerSchema(CamelSchema):
    name = LineStr(required=True, validate=_NAME)
    contact_email = LineStr(load_default="", validate=_CONTACT)
    notes = SafeStr(load_default="", validate=_NOTES)


class CustomerChangesSchema(CamelSchema):
    """What is left out stays as it is."""

    name = LineStr(validate=_NAME)
    status = fields.String(validate=validate.OneOf(STATUSES))
    contact_email = LineStr(validate=_CONTACT)
    notes = SafeStr(validate=_NOTES)
