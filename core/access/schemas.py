from marshmallow import fields, validate

from core.access.nodes import CUSTOMER_ROLES
from core.http.schemas import CamelSchema, IsoInstant, LineStr, SafeStr
from core.people import passwords


class CustomerUserSchema(CamelSchema):
    id = fields.String(required=True)
    email = fields.String(required=True)
    name = fields.String()
    role = fields.String()
    roles = fields.List(fields.String())
    status = fields.String()
    last_sign_in_at = IsoInstant(allow_none=True)
    created_at = IsoInstant()


class CustomerUserListSchema(CamelSchema):
    users = fields.List(fields.Nested(CustomerUserSchema), required=True)


class NewCustomerUserSchema(CamelSchema):
    email = LineStr(required=True, validate=validate.Length(3, 255))
    name = LineStr(load_default="", validate=validate.Length(max=200))
    role = fields.String(required=True, validate=validate.OneOf(CUSTOMER_ROLES))
    password = SafeStr(load_default=None, allow_none=True, load_only=True,
                       validate=validate.Length(max=passwords.LONGEST))
