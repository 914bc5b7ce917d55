"""Imports on the wire."""

from typing import Any

from marshmallow import fields, validate

from core.connections.models import STATES
from core.connections.schemas import RunSchema
from core.hooks.contracts import Severity
from core.http.paging import PageArgs
from core.http.schemas import CamelSchema, LineStr, SafeStr
from core.ids import finding_public_id
from core.imports.preview import Named

_LONGEST_ASSET = 200


class ImportArgs(CamelSchema):
    """How a report is to be taken; in the query, or as fields of the form."""

    asset = LineStr(load_default="", validate=validate.Length(max=_LONGEST_ASSET), metadata={
        "description": "Name of the asset that everything in the report goes to. Empty: the assets that the report names, else the file's"
                       " name. Name it in CI, so that the next report of the same thing finds the same asset."})
    group = SafeStr(load_default=None, allow_none=True, validate=validate.Length(max=32), metadata={
        "description": "Id of the asset group that new assets join; the group of imported reports when not given"})
    format = SafeStr(load_default="", validate=validate.Length(max=32), metadata={
        "description": "Name of the format; recognised by content when not given"})
    dry_run = fields.Boolean(load_default=False, metadata={"description": "Tell what would open and close, and write nothing"})


class ImportFilter(PageArgs):
    source = SafeStr(load_default="", validate=validate.Length(max=32))
    state = fields.Str(load_default="", validate=validate.OneOf(["", *STATES]))


class PreviewedFindingSchema(CamelSchema):
    id = fields.Function(lambda named: _public_id(named), metadata={"type": "string", "description": "Empty for one that is not there yet"})
    asset = fields.Str()
    source_key = fields.Str(attribute="finding.source_key")
    title = fields.Str(attribute="finding.title")
    severity = fields.Function(lambda named: _severity(named), metadata={"type": "string"})
    status = fields.Str(attribute="finding.status")
    path = fields.Str(attribute="finding.path")
    line = fields.Int(attribute="finding.line", allow_none=True)
    changes = fields.Dict()


class PartSchema(CamelSchema):
    count = fields.Int()
    first = fields.List(fields.Nested(PreviewedFindingSchema), metadata={"description": "The most severe, at most 100"})


class PreviewSchema(CamelSchema):
    counts = fields.Dict()
    opens = fields.Nested(PartSchema)
    closes = fields.Nested(PartSchema)
    reopens = fields.Nested(PartSchema)
    changes = fields.Nested(PartSchema)
    is_held = fields.Bool(metadata={"description": "Whether the closings would be so many that a person had to approve them"})
    plan = fields.Dict()


class ImportSchema(CamelSchema):
    format = fields.Str()
    run = fields.Nested(RunSchema, allow_none=True, metadata={"description": "Null in a dry run"})
    preview = fields.Nested(PreviewSchema, allow_none=True, metadata={"description": "What would happen; null but in a dry run"})


class ImportListSchema(CamelSchema):
    imports = fields.List(fields.Nested(RunSchema))
    next_cursor = fields.Str(allow_none=True)


_FORM = {"file": {"type": "string", "format": "binary"}, "asset": {"type": "string"}, "group": {"type": "string"},
         "format": {"type": "string"}, "dryRun": {"type": "boolean"}}
#: how a report is sent, for the document
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": "The file as it is, or as the part `file` of a form; the other parameters may be fields of the form.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": _FORM}}},
}


def _public_id(named: Named) -> str:
    return "" if named.is_new else finding_public_id(named.finding.id)


def _severity(named: Named) -> str:
    return Severity(named.finding.severity).name.lower()
