"""Companies on the wire. Names with ``cw_`` are those of the document."""

from marshmallow import fields, validate

from core.http.schemas import CamelSchema, IsoInstant, LineStr, SafeStr
from core.http.v1 import QueryArgs, RowArgs

_LONGEST_SEARCH = 200


class CompanyArgs(RowArgs):
    search = LineStr(load_default="", validate=validate.Length(max=_LONGEST_SEARCH), metadata={
        "description": "Only companies whose name or identifier holds this text, however it is written"})


class OneCompanyArgs(QueryArgs):
    include_address = fields.Boolean(load_default=False)


class ReviewArgs(RowArgs):
    ignored = fields.Boolean(load_default=False, metadata={
        "description": "Those that somebody said are no customers, in place of those that wait"})


class CompanySchema(CamelSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    cw_company_id = fields.Integer(data_key="cw_CompanyId", required=True, allow_none=True)
    cw_identifier = fields.String(data_key="cw_Identifier", required=True, allow_none=True)


class AddressSchema(CamelSchema):
    line1 = fields.String(allow_none=True)
    line2 = fields.String(allow_none=True)
    city = fields.String(allow_none=True)
    state = fields.String(allow_none=True)
    zip = fields.String(allow_none=True)
    country = fields.String(allow_none=True)


class CompanyDataSchema(CamelSchema):
    address = fields.Nested(AddressSchema)


class FreshnessSchema(CamelSchema):
    """Where the data comes from: ConnectWise in this moment, or what was stored."""

    source = fields.String(allow_none=True, metadata={"description": "live or stored; null for a company that is not in ConnectWise"})
    as_of = IsoInstant(allow_none=True)


class OneCompanySchema(CompanySchema, FreshnessSchema):
    cw_data = fields.Nested(CompanyDataSchema, data_key="cw_Data", required=True)
    status = fields.String(allow_none=True)
    types = fields.List(fields.String())
    website = fields.String(allow_none=True)
    removed_at = IsoInstant(allow_none=True, metadata={"description": "Since when ConnectWise no longer has it among its customers"})


class ConfigurationsSchema(FreshnessSchema):
    configurations = fields.List(fields.Dict(keys=fields.String()), required=True, metadata={
        "description": "As ConnectWise tells them, without free texts"})


class CandidateSchema(CamelSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)


class ReviewedSchema(CompanySchema):
    """A company that waits for a person; ``id`` is its own, not a customer's."""

    status = fields.String(allow_none=True)
    reason = fields.String(metadata={"description": "same_name, several, similar, name_taken, replaced, new, unlinked or ignored"})
    message = fields.String()
    candidates = fields.List(fields.Nested(CandidateSchema))


class ChoiceSchema(CamelSchema):
    """Exactly one of ``link``, ``create`` and ``ignore``."""

    link = SafeStr(validate=validate.Length(1, 32))
    create = fields.Boolean()
    ignore = fields.Boolean()
    name = LineStr(validate=validate.Length(1, 200))


class DecidedSchema(CamelSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    cw_company_id = fields.Integer(attribute="cw_id", data_key="cw_CompanyId")
    cw_identifier = fields.String(attribute="identifier", data_key="cw_Identifier")
    company_id = fields.String(attribute="customer_id", allow_none=True, metadata={"description": "The customer that it is now"})
