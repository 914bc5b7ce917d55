"""Findings and verdicts on the wire."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from core import clock
from core.assets.models import Asset
from core.findings import history, terms
from core.findings.models import Finding, FindingEvent, Verdict
from core.findings.service import Filter, Opened
from core.findings.settling import Target
from core.findings.sla import MOST_DAYS
from core.findings.state import Status, VerdictKind
from core.findings.verdicts import LONGEST_REASON, MOST_FINDINGS
from core.hooks.contracts import Discipline, Severity
from core.http.paging import PageArgs
from core.http.schemas import CamelSchema, IsoInstant, SafeStr
from core.ids import finding_public_id

_STATES = {**{str(status): (status,) for status in Status}, "all": tuple(Status)}
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}
_REOPEN = "reopen"
_LEVELS = ("finding", "asset", "rule", "cve")
_DATE_LENGTH = len("2026-05-12")


class _Words(fields.Field):
    """Words separated by commas, or a list of words, each one of a set."""

    def __init__(self, words: dict[str, Any], **kwargs: Any) -> None:
        self._words = words
        super().__init__(metadata={"type": "string", "description": "One or more, separated by commas: " + ", ".join(words)}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple:
        chosen: list[Any] = []
        for word in value if isinstance(value, list) else str(value).split(","):
            known = str(word).strip().lower()
            if known not in self._words:
                raise ValidationError(f"'{str(word)[:40]}' is not one of {', '.join(self._words)}.")
            meant = self._words[known]
            chosen += meant if isinstance(meant, tuple) else [meant]
        return tuple(dict.fromkeys(chosen))


class _Cwe(fields.Field):
    """``79`` or ``CWE-79``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = str(value).upper().removeprefix("CWE-")
        if not number.isdecimal() or len(number) > 6:
            raise ValidationError("Must be a CWE number, such as 79 or CWE-79.")
        return int(number)


class _Until(IsoInstant):
    """An instant, or a date, which stands for the end of that day (UTC)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        moment = super()._deserialize(value, attr, data, **kwargs)
        return terms.end_of(terms.day_of(moment)) if len(str(value)) == _DATE_LENGTH else moment


class FilterSchema(CamelSchema):
    """What a list of findings is narrowed to."""

    state = _Words(_STATES, load_default=(Status.OPEN,))
    severity = _Words(_SEVERITIES, load_default=())
    source = SafeStr(load_default="", validate=validate.Length(max=200), metadata={"description": "One or more, separated by commas"})
    asset = SafeStr(load_default="", validate=validate.Length(max=32))
    group = SafeStr(load_default="", validate=validate.Length(max=32))
    text = SafeStr(load_default="", validate=validate.Length(max=200))
    category = SafeStr(load_default="", validate=validate.Length(max=32))
    cwe = _Cwe(load_default=None, metadata={"type": "string"})
    discipline = fields.Enum(Discipline, by_value=True, load_default=None, metadata={
        "description": "appsec: of applications; offsec: offensive ones, such as those of DAST"})
    breached = fields.Bool(load_default=None, metadata={"description": "true: those past their due day; false: the others"})
    due_within = fields.Int(load_default=None, validate=validate.Range(0, MOST_DAYS), metadata={
        "description": "Those that are due within so many days from today; those past their due day too"})


class FindingFilterSchema(FilterSchema, PageArgs):
    """The same, and a page of it."""


def filter_of(wanted: dict[str, Any]) -> Filter:
    """What ``FilterSchema`` has loaded."""
    sources = tuple(word.strip() for word in wanted["source"].split(",") if word.strip())
    return Filter(states=wanted["state"], severities=wanted["severity"], sources=sources, asset_id=wanted["asset"],
                  group_id=wanted["group"], text=wanted["text"], cwe=wanted["cwe"], category=wanted["category"],
                  breached=wanted["breached"], due_within=wanted["due_within"],
                  discipline=wanted["discipline"])


class FindingSchema(CamelSchema):
    id = fields.Function(lambda finding: finding_public_id(finding.id), metadata={"type": "string"})
    title = fields.Str()
    severity = fields.Function(lambda finding: Severity(finding.severity).name.lower(), metadata={"type": "string"})
    state = fields.Str(attribute="status")
    source = fields.Str()
    source_key = fields.Str()
    source_state = fields.Str(metadata={"description": "What the source says: open, fixed, gone, accepted or false_positive"})
    source_status = fields.Str(metadata={"description": "The source's own word for it"})
    verdict = fields.Str(allow_none=True, metadata={"description": "What was decided here: accepted, false_positive or ignored"})
    verdict_id = fields.Str(allow_none=True)
    verdict_until = IsoInstant(allow_none=True)
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
    due_at = fields.Function(lambda finding: None if finding.due_day is None else clock.iso(terms.end_of(finding.due_day)), metadata={
        "type": ["string", "null"], "format": "date-time", "description": "The end of the day (UTC) by which the policy wants it fixed"})
    is_breached = fields.Function(lambda finding: finding.due_day is not None and finding.due_day < terms.day_of(clock.now()),
                                  metadata={"type": "boolean", "description": "That day is over"})
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


class VerdictSchema(CamelSchema):
    id = fields.Str()
    verdict = fields.Str(attribute="kind", metadata={"description": "accepted, false_positive or ignored"})
    level = fields.Str(metadata={"description": "What it is about: a finding, an asset, a rule or a CVE"})
    reason = fields.Str()
    author = fields.Str()
    created_at = IsoInstant()
    until = IsoInstant(allow_none=True)
    ended_at = IsoInstant(allow_none=True)
    ended_by = fields.Str(metadata={"description": "Who ended it; 'expiry' when it ran out"})


class EventSchema(CamelSchema):
    at = IsoInstant()
    kind = fields.Str(metadata={"description": "; ".join(f"{kind}: {meaning}" for kind, meaning in history.KINDS.items())})
    actor = fields.Str()
    run_id = fields.Str()
    changes = fields.Dict(attribute="details", metadata={"description": "Field name to [before, after]"})
    verdict = fields.Nested(VerdictSchema, attribute="told_verdict", allow_none=True,
                            metadata={"description": "The decision that it tells of"})


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
    decision = fields.Nested(VerdictSchema, allow_none=True, metadata={"description": "The verdict in force, on whatever level"})
    history = fields.List(fields.Nested(EventSchema), metadata={"description": "Newest first; the last entry is the first sight"})


class DecisionSchema(CamelSchema):
    """What is decided."""

    verdict = SafeStr(required=True, validate=validate.OneOf([*VerdictKind, _REOPEN]), metadata={
        "description": "reopen ends the verdict that is there"})
    reason = SafeStr(load_default="", validate=validate.Length(max=LONGEST_REASON), metadata={"description": "Required to accept"})
    until = _Until(load_default=None, allow_none=True, metadata={
        "description": "When an acceptance ends by itself: an instant, or a date for the end of that day (UTC)"})

    @validates_schema
    def _reopening_says_no_more(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("verdict") == _REOPEN and data.get("until") is not None:
            raise ValidationError("Only an acceptance can end by itself.", "until")


def _days() -> fields.Integer:
    return fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(1, MOST_DAYS),
                          metadata={"description": "Days after it was first seen"})


class RuleTargetSchema(CamelSchema):
    source = SafeStr(required=True, validate=validate.Length(1, 32))
    key = SafeStr(required=True, validate=validate.Length(1, 300))


class BulkDecisionSchema(DecisionSchema):
    """What is decided, and about what: exactly one of the fields that name findings."""

    finding_ids = fields.List(SafeStr(validate=validate.Length(max=40)), validate=validate.Length(1, MOST_FINDINGS))
    filter = fields.Nested(FilterSchema, metadata={"description": "The findings that GET /api/findings lists with it"})
    asset_id = SafeStr(validate=validate.Length(1, 32))
    rule = fields.Nested(RuleTargetSchema)
    cve = SafeStr(validate=validate.Regexp(r"(?i)^CVE-\d{4}-\d{4,19}$", error="Must be a CVE id, such as CVE-2021-44228."))
    dry_run = fields.Bool(load_default=False, metadata={"description": "Tell how many findings it is about, and do nothing"})

    @validates_schema
    def _is_about_one_thing(self, data: dict[str, Any], **_: Any) -> None:
        if len(data.keys() & {"finding_ids", "filter", "asset_id", "rule", "cve"}) != 1:
            raise ValidationError("Name exactly one of findingIds, filter, assetId, rule and cve.")

    @post_load
    def _with_target(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["target"] = _target(data)
        return data


def _target(data: dict[str, Any]) -> Target | None:
    if "asset_id" in data:
        return Target("asset", asset_id=data["asset_id"])
    if "rule" in data:
        return Target("rule", source=data["rule"]["source"], rule_key=data["rule"]["key"])
    return Target("cve", cve=data["cve"].upper()) if "cve" in data else None


class DecidedSchema(CamelSchema):
    matched = fields.Int(metadata={"description": "Findings that it is about"})
    changed = fields.Int(metadata={"description": "Findings whose verdict is another by it; 0 with dryRun"})
    verdict_id = fields.Str(allow_none=True, metadata={"description": "Of a verdict on an asset, a rule or a CVE"})
    dry_run = fields.Bool()


class PolicySchema(CamelSchema):
    """Days by severity; null where nothing is due, or, in a group's policy, as in the organization's own."""

    critical = _days()
    high = _days()
    medium = _days()
    low = _days()
    working_days = fields.Bool(attribute="counts_working_days", load_default=False, metadata={
        "description": "Count Monday to Friday alone; else every day"})


class GroupPolicySchema(PolicySchema):
    group_id = SafeStr(required=True, validate=validate.Length(1, 32))


class PoliciesSchema(CamelSchema):
    """The organization's own policy, and those of asset groups, which hold instead of it for the assets that these groups hold. Of
    several groups' policies the strictest counts."""

    policy = fields.Nested(PolicySchema, allow_none=True, required=True)
    groups = fields.List(fields.Nested(GroupPolicySchema), load_default=list, validate=validate.Length(max=1000))


class VerdictFilterSchema(PageArgs):
    level = _Words({level: level for level in _LEVELS}, load_default=())
    verdict = _Words({str(kind): str(kind) for kind in VerdictKind}, load_default=())


class ListedVerdictSchema(VerdictSchema):
    finding = fields.Dict(attribute="shown_finding", allow_none=True, metadata={"description": "id and title, for one about a finding"})
    asset = fields.Dict(attribute="shown_asset", allow_none=True, metadata={
        "description": "id, name and kind, for one about a finding or an asset"})
    rule = fields.Dict(attribute="shown_rule", allow_none=True, metadata={"description": "source and key, for one about a rule"})
    cve = fields.Function(lambda verdict: verdict.cve or None, metadata={"type": ["string", "null"]})


class VerdictPageSchema(CamelSchema):
    verdicts = fields.List(fields.Nested(ListedVerdictSchema))
    next_cursor = fields.Str(allow_none=True)


def shown(finding: Finding, assets: dict[str, Asset]) -> Finding:
    """The finding with its asset beside it, for ``FindingSchema``."""
    finding.shown_asset = _asset(assets.get(finding.asset_id))
    return finding


def _asset(asset: Asset | None) -> dict[str, str] | None:
    return None if asset is None else {"id": asset.id, "name": asset.name, "kind": asset.kind}


def shown_whole(opened: Opened) -> Finding:
    """A finding with everything, for ``OpenedFindingSchema``."""
    finding = shown(opened.finding, {opened.asset.id: opened.asset})
    finding.details = opened.details
    finding.rule_text = opened.rule
    finding.decision = opened.verdicts.get(finding.verdict_id or "")
    for event in opened.events:
        event.told_verdict = opened.verdicts.get(event.verdict_id or "")
    finding.history = [*opened.events, first_sight(opened.finding)]
    return finding


def first_sight(finding: Finding) -> FindingEvent:
    """The first entry of every history, which the finding's own row keeps."""
    actor = f"sync:{finding.source}"
    event = FindingEvent(at=finding.first_seen_at, kind="first_seen", actor=actor, run_id=finding.first_run_id, details={})
    event.told_verdict = None
    return event


def shown_verdict(verdict: Verdict, titles: dict[int, str], assets: dict[str, Asset]) -> Verdict:
    """The verdict with what it is about beside it, for ``ListedVerdictSchema``."""
    title = titles.get(verdict.finding_id)
    verdict.shown_finding = None if title is None else {"id": finding_public_id(verdict.finding_id), "title": title}
    verdict.shown_asset = _asset(assets.get(verdict.asset_id))
    verdict.shown_rule = {"source": verdict.source, "key": verdict.rule_key} if verdict.level == "rule" else None
    return verdict
