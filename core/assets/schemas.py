"""Asset groups and assets on the wire."""

from typing import Any

from marshmallow import EXCLUDE, fields, post_load, validate

from core.assets.groups import GroupDraft, ReplaceMode
from core.http.paging import PageArgs
from core.http.schemas import CamelSchema, IsoInstant, LineStr, SafeStr

MOST_GROUPS, MOST_MEMBERS = 1000, 20_000


class MemberSchema(CamelSchema):
    """A member of a group. Only ``id`` counts when it is sent; the rest is told for people."""

    class Meta:
        unknown = EXCLUDE

    id = fields.Str(required=True, validate=validate.Length(max=32))
    type = fields.Str(attribute="kind", metadata={"description": "The asset's kind, such as sonar_project"})
    name = fields.Str(dump_only=True)
    source = fields.Str(dump_only=True)


class GroupSchema(CamelSchema):
    id = fields.Str(attribute="row.id")
    name = fields.Str(attribute="row.name")
    description = fields.Str(attribute="row.description")
    customer_id = fields.Str(attribute="row.customer_id", allow_none=True, metadata={"description": "null: MSP-wide"})
    members = fields.List(fields.Nested(MemberSchema))
    created_at = IsoInstant(attribute="row.created_at")
    updated_at = IsoInstant(attribute="row.updated_at")


class GroupListSchema(CamelSchema):
    groups = fields.List(fields.Nested(GroupSchema))


class GroupDraftSchema(CamelSchema):
    """A group as it shall be. What ``GET`` gave may be sent back as it is: unknown fields are passed over."""

    class Meta:
        unknown = EXCLUDE

    id = fields.Str(load_default=None, allow_none=True, validate=validate.Length(max=32))
    name = LineStr(required=True, validate=validate.Length(min=1, max=200))
    description = SafeStr(load_default="", validate=validate.Length(max=2000))
    customer_id = fields.Str(load_default="own", allow_none=True, metadata={"description": "null for an MSP-wide group"})
    members = fields.List(fields.Nested(MemberSchema), required=True, validate=validate.Length(max=MOST_MEMBERS))

    @post_load
    def to_draft(self, data: dict[str, Any], **kw: Any) -> GroupDraft:
        return GroupDraft(name=data["name"], description=data["description"], id=data["id"], shared=data["customer_id"] is None,
                          asset_ids=tuple(member["id"] for member in data["members"]))


class ReplaceGroupsSchema(CamelSchema):
    replace_mode = fields.Enum(ReplaceMode, by_value=True, load_default=ReplaceMode.ALL)
    groups = fields.List(fields.Nested(GroupDraftSchema), required=True, validate=validate.Length(max=MOST_GROUPS))


class AssetSchema(CamelSchema):
    id = fields.Str()
    name = fields.Str()
    source = fields.Str()
    kind = fields.Str()
    key = fields.Str(attribute="external_key")
    url = fields.Str()
    attributes = fields.Dict()
    critical = fields.Int(attribute="open_critical")
    high = fields.Int(attribute="open_high")
    medium = fields.Int(attribute="open_medium")
    low = fields.Int(attribute="open_low")
    info = fields.Int(attribute="open_info")
    discovered_at = IsoInstant()
    synced_at = IsoInstant(allow_none=True)
    pruned_at = IsoInstant(allow_none=True)


class AssetPageSchema(CamelSchema):
    assets = fields.List(fields.Nested(AssetSchema))
    next_cursor = fields.Str(allow_none=True)


class AssetFilterSchema(PageArgs):
    source = fields.Str(load_default="")
    text = SafeStr(load_default="", validate=validate.Length(max=200))
    pruned = fields.Bool(load_default=False, metadata={"description": "true: those that can be restored"})
