"""What ``GET /api/plugins`` answers."""

from marshmallow import Schema, fields, validate


class PluginSchema(Schema):
    name = fields.String(required=True, metadata={"description": "Entry-point name; what `stockade plugins enable` takes"})
    title = fields.String(required=True)
    description = fields.String(required=True)
    version = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["enabled", "disabled", "set_aside"]))
    reason = fields.String(required=True, metadata={"description": "Why it is not running; empty when it is"})
    sources = fields.List(fields.String(), required=True, metadata={"description": "Sources that it pulls"})


class PluginListSchema(Schema):
    plugins = fields.List(fields.Nested(PluginSchema), required=True)
