"""The form for a connection to an Acme scanner."""

from marshmallow import fields, validate

from core.hooks.contracts import SettingsSchema


class AcmeSettings(SettingsSchema):
    url = fields.URL(required=True, schemes={"http", "https"}, require_tld=False,
                     metadata={"label": "Address", "placeholder": "https://acme.example.com"})
    key = fields.String(required=True, validate=validate.Length(min=1), metadata={"label": "Access key", "secret": True})
