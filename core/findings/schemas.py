"""Findings on the wire."""

from typing import Any

from marshmallow import ValidationError, fields, validate

from core.assets.models import Asset
from core.findings.models import Finding, FindingEvent
from core.findings.service import Opened
from core.findings.state import Status
from core.hooks.contracts import Severity
from core.http.paging import PageArgs
from core.http.schemas import CamelSchema, IsoInstant, SafeStr
from core.ids import finding_public_id

_STATES = {**{str(status): (status,) for status in Status}, "all": tuple(Status)}
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}


class _Words(fields.Field):
    """Words separated by commas, each one of a set."""

    def __init__(self, words: dict[str, Any], **kwargs: Any) -> None:
        self._words = words
        super().__init__(metadata={"type": "string", "description": "One or more, separated by commas: " + ", ".join(words)}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple:
        chosen: list[Any] = []
        for word in str(value).lower().split(","):
            if word.strip() not in self._words:
                raise ValidationError(f"'{word[:40]}' is not one of {', '.join(self._words)}.")
            meant = self._words[word.strip()]
            chosen += meant if isinstance(meant, tuple) else [meant]
        return tuple(dict.fromkeys(chosen))


class _Cwe(fields.Field):
    """``79`` or ``CWE-79``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = str(value).upper().removeprefix("CWE-")
        if not number.isdecimal() or len(number) > 6:
            raise ValidationError("Must be a CWE number, such as 79 or CWE-79.")
        return int(number)


class FindingFilterSchema(PageArgs):
    state = _Words(_STATES, load_default=(Status.OPEN,))
    severity = _Words(_SEVERITIES, load_default=())
    source = SafeStr(load_default="", validate=validate.Length(max=200))
    asset = SafeStr(load_default="", validate=validate.Length(max=32))
    group = SafeStr(load_default="", validate=validate.Length(max=32))
    text = SafeStr(load_default="", validate=validate.Length(max=200))
    category = SafeStr(load_default="", validate=validate.Length(max=32))
    cwe = _Cwe(load_default=None, metadata={"type": "string"})


class FindingSchema(CamelSchema):
    id = fields.Function(lambda finding: finding_public_id(finding.id), metadata={"type": "string"})
    title = fields.Str()
    severity = fields.Function(lambda finding: Severity(finding.severity).name.lower(), metadata={"type": "string"})
    state = fields.Str(attribute="status")
    source = fields.Str()
    source_key = fields.Str()
    source_state = fields.Str(metadata={"description": "What the source says: open, fixed, gone, accepted or false_positive"})
    source_status = fields.Str(metadata={"description": "The source's own word for it"})
    verdict = fields.Str(allow_none=True)
    category = fields.Str()
    rule = fields.Str(attribute="rule_key")
    cwe = fields.Function(lambda finding: [int(number) for number in finding.cwe.strip(",").split(",") if number],
                          metadata={"type": "array", "items": {"type": "integer"}})
    cve = fields.Function(lambda finding: [name for name in finding.cve.strip(",").split(",") if name],
                          metadata={"type": "array", "items": {"type": "string"}})
    path = fields.Str()
    line = fields.Int(allow_none=True)
    url = fields.Str()
    first_seen_at = IsoInstant()
    closed_at = IsoInstant(allow_none=True)
    source_created_at = IsoInstant(allow_none=True)
    source_updated_at = IsoInstant(allow_none=True)
    asset = fields.Dict(attribute="shown_asset", metadata={"description": "id, name and kind of the asset"})


class CountSchema(CamelSchema):
    value = fields.Int()
    is_exact = fields.Bool(metadata={"description": "false: there are more; counting stops at the value"})


class FindingPageSchema(CamelSchema):
    findings = fields.List(fields.Nested(FindingSchema))
    count = fields.Nested(CountSchema)
    next_cursor = fields.Str(allow_none=True)


class EventSchema(CamelSchema):
    at = IsoInstant()
    kind = fields.Str(metadata={"description": "first_seen, changed, reopened, closed, dismissed"})
    actor = fields.Str()
    run_id = fields.Str()
    changes = fields.Dict(attribute="details", metadata={"description": "Field name to [before, after]"})


class RuleSchema(CamelSchema):
    key = fields.Str()
    name = fields.Str()
    description = fields.Str(metadata={"description": "HTML, cleaned"})
    cwe = fields.List(fields.Int())
    url = fields.Str()


class OpenedFindingSchema(FindingSchema):
    description = fields.Str()
    details = fields.Dict()
    rule_text = fields.Nested(RuleSchema, allow_none=True)
    history = fields.List(fields.Nested(EventSchema), metadata={"description": "Newest first; the last entry is the first sight"})


def shown(finding: Finding, assets: dict[str, Asset]) -> Finding:
    """The finding with its asset beside it, for ``FindingSchema``."""
    asset = assets[finding.asset_id]
    finding.shown_asset = {"id": asset.id, "name": asset.name, "kind": asset.kind}
    return finding


def shown_whole(opened: Opened) -> Finding:
    """A finding with everything, for ``OpenedFindingSchema``."""
    finding = shown(opened.finding, {opened.asset.id: opened.asset})
    finding.details = opened.details
    finding.rule_text = opened.rule
    finding.history = [*opened.events, first_sight(opened.finding)]
    return finding


def first_sight(finding: Finding) -> FindingEvent:
    """The first entry of every history, which the finding's own row keeps."""
    actor = f"sync:{finding.source}"
    return FindingEvent(at=finding.first_seen_at, kind="first_seen", actor=actor, run_id=finding.first_run_id, details={})
