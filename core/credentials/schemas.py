from typing import Any

from marshmallow import fields, validate

from core.credentials.types import LONGEST_NAME, MOST_FIELDS
from core.credentials.value_types import VALUE_TYPES
from core.http.schemas import CamelSchema, IsoInstant, LineStr, SafeStr
from core.http.v1 import RowArgs

_NAME = validate.Length(1, LONGEST_NAME)
_NOTES = validate.Length(max=10_000)
_ID = validate.Length(1, 64)
_FIELD_ID = validate.Regexp(r"[A-Za-z0-9_.-]{1,64}\Z", error="Must be 1 to 64 letters, digits, dots, dashes or underscores.")
_ICON = validate.And(validate.Length(max=2000), validate.Regexp(r"https?://\S+\Z", error="Must be an http or https address."))


class _Icon(fields.String):
    """The address of a picture; null or an empty text for none."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().deserialize(None if value == "" else value, *args, **kwargs)


class FieldDefinitionSchema(CamelSchema):
    id = fields.String(required=True, validate=_FIELD_ID)
    name = LineStr(required=True, validate=_NAME)
    required = fields.Boolean(load_default=False)
    secure = fields.Boolean(load_default=False)
    value_type = fields.String(load_default="plain_text", validate=validate.OneOf(tuple(VALUE_TYPES)))


class FieldSchema(CamelSchema):
    """A field with its value; that of a secure field is always null."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    secure = fields.Boolean(required=True)
    required = fields.Boolean(required=True)
    value_type = fields.String(required=True)
    value = fields.String(allow_none=True)


class TypeInsideSchema(CamelSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    fields_ = fields.List(fields.Nested(FieldDefinitionSchema), data_key="fields", attribute="fields")
    permission_scope = fields.String(required=True)


class CompanyInsideSchema(CamelSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)


class NewlyCreatedSchema(CamelSchema):
    """A credential as its creation answers it; the document gives each answer parts of its own."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    type_id = fields.String(required=True)
    company_id = fields.String(required=True)
    fields_ = fields.List(fields.Nested(FieldSchema), data_key="fields", attribute="fields")
    type = fields.Nested(TypeInsideSchema)
    company = fields.Nested(CompanyInsideSchema)


class ListedCredentialSchema(NewlyCreatedSchema):
    notes = fields.String(allow_none=True)


class CredentialSchema(ListedCredentialSchema):
    created_at = IsoInstant()
    updated_at = IsoInstant()


class CredentialOfTypeSchema(CamelSchema):
    """``fields`` by field id; null for a secure one, and for one without a value."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    type_id = fields.String(required=True)
    company_id = fields.String(required=True)
    fields_ = fields.Dict(fields.String(), fields.String(allow_none=True), data_key="fields", attribute="values")


class GivenSchema(CamelSchema):
    """A value for a field. ``id`` is what a client calls the value; it is not kept."""

    id = fields.String(validate=validate.Length(max=200))
    field_id = fields.String(required=True, validate=_ID)
    value = SafeStr(required=True, allow_none=True)


class NewCredentialSchema(CamelSchema):
    name = LineStr(required=True, validate=_NAME)
    notes = SafeStr(load_default=None, allow_none=True, validate=_NOTES)
    type_id = fields.String(required=True, validate=_ID)
    company_id = fields.String(required=True, validate=_ID)
    given = fields.List(fields.Nested(GivenSchema), load_default=list, data_key="fields", validate=validate.Length(max=MOST_FIELDS))


class CredentialChangesSchema(CamelSchema):
    """What is left out stays as it is."""

    name = LineStr(validate=_NAME)
    notes = SafeStr(allow_none=True, validate=_NOTES)
    given = fields.List(fields.Nested(GivenSchema), load_default=list, data_key="fields", validate=validate.Length(max=MOST_FIELDS))


class GivenFieldsSchema(CamelSchema):
    given = fields.List(fields.Nested(GivenSchema), required=True, data_key="fields", validate=validate.Length(max=MOST_FIELDS))


class StoredFieldSchema(CamelSchema):
    """A value as it is stored: a secure one encrypted, of use to nobody but Stockade."""

    id = fields.String(required=True)
    field_id = fields.String(required=True)
    value = fields.String(allow_none=True)


class SecureValueSchema(CamelSchema):
    field_id = fields.String(required=True)
    value = fields.String(allow_none=True)


class RevealArgs(CamelSchema):
    """Why somebody reads a secure value; the header ``x-reveal-reason`` may say it as well."""

    reason = LineStr(load_default="", validate=validate.Length(max=500))


class PastValueSchema(CamelSchema):
    id = fields.String(required=True, attribute="row.id")
    field_id = fields.String(attribute="row.field")
    secure = fields.Boolean(attribute="row.was_secure")
    value = fields.String(allow_none=True)
    set_at = IsoInstant(attribute="row.set_at")
    replaced_at = IsoInstant(attribute="row.replaced_at")
    replaced_by = fields.String(attribute="row.replaced_by")


class HistoryArgs(CamelSchema):
    field_id = fields.String(load_default=None, validate=_ID)


class SearchArgs(RowArgs):
    search = SafeStr(load_default="", validate=validate.Length(max=200))
    company_id = fields.String(load_default=None, validate=_ID)
    type_id = fields.String(load_default=None, validate=_ID)


class NewlyCreatedTypeSchema(TypeInsideSchema):
    icon = fields.String(allow_none=True)


class ListedTypeSchema(NewlyCreatedTypeSchema):
    credential_count = fields.Integer()


class CredentialTypeSchema(ListedTypeSchema):
    created_at = IsoInstant()
    updated_at = IsoInstant()


class ChangedTypeSchema(CamelSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    fields_ = fields.List(fields.Nested(FieldDefinitionSchema), data_key="fields", attribute="fields")


class NewTypeSchema(CamelSchema):
    name = LineStr(required=True, validate=_NAME)
    permission_scope = fields.String(required=True, validate=validate.Length(1, 150))
    icon = _Icon(load_default=None, allow_none=True, validate=_ICON)
    definitions = fields.List(fields.Nested(FieldDefinitionSchema), required=True, data_key="fields",
                              validate=validate.Length(max=MOST_FIELDS))


class TypeChangesSchema(CamelSchema):
    """What is left out stays as it is; ``fields`` says all of them."""

    name = LineStr(validate=_NAME)
    permission_scope = fields.String(validate=validate.Length(1, 150))
    icon = _Icon(allow_none=True, validate=_ICON)
    definitions = fields.List(fields.Nested(FieldDefinitionSchema), data_key="fields", validate=validate.Length(max=MOST_FIELDS))


class DeletionArgs(CamelSchema):
    dry_run = fields.Boolean(load_default=False)


class TakenSchema(CamelSchema):
    company_id = fields.String(required=True)
    company = fields.String(allow_none=True)
    credentials = fields.Integer(required=True)


class DeletionSchema(CamelSchema):
    """What the deletion of a type would take along; null when it was carried out."""

    credentials = fields.Integer(required=True)
    companies = fields.List(fields.Nested(TakenSchema), required=True)
