from marshmallow import EXCLUDE, fields

from core.http.schemas import CamelSchema, SafeStr


class CsrfTokenSchema(CamelSchema):
    csrf_token = fields.String(required=True)


class ProviderSchema(CamelSchema):
    id = fields.String()
    name = fields.String()
    type = fields.String()
    signin_url = fields.String()
    callback_url = fields.String()


class SessionUserSchema(CamelSchema):
    id = fields.String()
    name = fields.String()
    email = fields.String()
    image = fields.String(allow_none=True)
    role = fields.String(allow_none=True)
    roles = fields.List(fields.String())
    is_msp = fields.Boolean()
    customer_id = fields.String(allow_none=True)


class SessionSchema(CamelSchema):
    """Empty when nobody is signed in."""

    user = fields.Nested(SessionUserSchema)
    expires = fields.String(allow_none=True)


class WhereToSchema(CamelSchema):
    url = fields.String(required=True)


class PickCustomerSchema(CamelSchema):
    customer_id = SafeStr(required=True, allow_none=True)


class TokensSchema(CamelSchema):
    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)


class AuthUriArgs(CamelSchema):
    provider = SafeStr()


class AuthUriSchema(CamelSchema):
    uri = fields.String(required=True)
    callback_key = fields.String(required=True)


class CallbackKeySchema(CamelSchema):
    callback_key = SafeStr(required=True)


class RedirectArgs(CamelSchema):
    """What a provider sends along; further ones (``session_state``, ...) are not looked at."""

    class Meta:
        unknown = EXCLUDE

    code = SafeStr()
    state = SafeStr()
    iss = SafeStr()
    error = SafeStr()
    error_description = SafeStr(data_key="error_description")
