"""The portal's aggregates on the wire, exactly as its document writes them."""

from typing import Any

from marshmallow import fields, validate

from core import clock
from core.assets.models import Asset
from core.hooks.contracts import Discipline, Severity
from core.http.schemas import CamelSchema, IsoInstant
from core.ids import finding_public_id
from core.overview.kernel import FIGURES
from core.overview.service import GroupRow, OffensiveFinding

_OFFENSIVE = "Offensive Security"
_SOURCE_NAMES = {"checkmarx": "DAST"}  # the document's name for Checkmarx' offensive findings


class SeverityBlockSchema(CamelSchema):
    """Open findings by severity; ``total`` is the sum of the four."""

    total = fields.Int()
    critical = fields.Int()
    high = fields.Int()
    medium = fields.Int()
    low = fields.Int()


class OffensiveFindingSchema(CamelSchema):
    id = fields.Str(metadata={"description": "Opaque id; GET /api/findings/{id} has the rest"})
    title = fields.Str()
    severity = fields.Str(metadata={"description": "Critical, High, Medium, Low or Info"})
    description = fields.Str(allow_none=True)
    source = fields.Str(metadata={"description": "secure_vault or DAST"})
    category = fields.Str()
    created_at = IsoInstant()
    cwe_mappings = fields.Str(allow_none=True)
    target_url = fields.Str(allow_none=True)
    risk_impact = fields.Str(allow_none=True)
    recommendation = fields.Str(allow_none=True)
    folder_id = fields.Str(allow_none=True)
    folder_path = fields.Str(allow_none=True)
    source_file_name = fields.Str(allow_none=True)
    synced_at = IsoInstant(allow_none=True)
    checkmarx_project_id = fields.Str(allow_none=True)
    checkmarx_project_name = fields.Str(allow_none=True)


class ManagedAssetsSchema(CamelSchema):
    application_code_security = fields.Nested(SeverityBlockSchema, attribute="application")
    offensive_security = fields.Nested(SeverityBlockSchema, attribute="offensive")
    offensive_findings = fields.Function(lambda answer: [offensive_finding(entry) for entry in answer.offensive_findings],
                                         metadata={"type": "array", "items": {"type": "object"}})


class GroupRowSchema(CamelSchema):
    id = fields.Str(attribute="group.id")
    name = fields.Str(attribute="group.name")
    customer_id = fields.Str(attribute="group.customer_id", allow_none=True)
    application_code_security = fields.Nested(SeverityBlockSchema, attribute="application")
    offensive_security = fields.Nested(SeverityBlockSchema, attribute="offensive")
    last_updated = fields.Function(lambda row: clock.iso(last_updated([row])), data_key="last_updated",
                                   metadata={"type": ["string", "null"], "format": "date-time"})


class SecurityOverviewSchema(CamelSchema):
    groups = fields.List(fields.Nested(GroupRowSchema))
    last_updated = IsoInstant(data_key="last_updated", allow_none=True)


class SliceSchema(CamelSchema):
    key = fields.Str()
    name = fields.Str()
    value = fields.Int()
    fill = fields.Str(metadata={"description": "Colour, as #rrggbb"})


class DonutsSchema(CamelSchema):
    provider_mode = fields.Str(metadata={"description": "full, or scoped for users limited to some groups"})
    provider = fields.List(fields.Nested(SliceSchema))
    severity = fields.List(fields.Nested(SliceSchema))


class TopAssetSchema(CamelSchema):
    id = fields.Str()
    name = fields.Str()
    source = fields.Str()
    kind = fields.Str()
    url = fields.Str()
    total = fields.Function(lambda asset: open_of(asset), metadata={"type": "integer"})
    critical = fields.Int(attribute="open_critical")
    high = fields.Int(attribute="open_high")
    medium = fields.Int(attribute="open_medium")
    low = fields.Int(attribute="open_low")


class OverviewSchema(CamelSchema):
    scoped_to_asset_groups = fields.Bool(attribute="is_limited_to_groups")
    asset_groups = fields.Int(attribute="groups")
    total_linked_assets = fields.Int(attribute="totals.assets")
    vulnerabilities_open = fields.Int(attribute="totals.total")
    vulnerabilities_total = fields.Function(lambda answer: answer.totals.total + answer.totals.remediated,
                                            metadata={"type": "integer", "description": "Open and remediated together"})
    remediated = fields.Int(attribute="totals.remediated")
    critical_severity = fields.Int(attribute="totals.critical")
    high_severity = fields.Int(attribute="totals.high")
    medium_severity = fields.Int(attribute="totals.medium")
    low_severity = fields.Int(attribute="totals.low")
    last_updated = IsoInstant(attribute="totals.updated_at", allow_none=True)
    merge_sonar = fields.Bool(attribute="merges_sonar")
    donuts = fields.Function(lambda answer: DonutsSchema().dump({
        "provider_mode": "scoped" if answer.is_limited_to_groups else "full", "provider": answer.provider_donut,
        "severity": answer.severity_donut}), metadata={"type": "object"})
    top_assets = fields.List(fields.Nested(TopAssetSchema))


class BreachesSchema(CamelSchema):
    breaches = fields.Int(metadata={"description": "Open findings past the day by which the policy wants them fixed"})


class SonarProjectSchema(TopAssetSchema):
    key = fields.Str(attribute="external_key")
    last_synced = IsoInstant(attribute="synced_at", allow_none=True)


class SonarOverviewSchema(CamelSchema):
    sonar_open = fields.Int(attribute="totals.total")
    severity = fields.Nested(SeverityBlockSchema, attribute="totals")
    remediated = fields.Int(attribute="totals.remediated")
    last_updated = IsoInstant(attribute="totals.updated_at", allow_none=True)
    projects = fields.List(fields.Nested(SonarProjectSchema))
    top_assets = fields.List(fields.Nested(TopAssetSchema))


class AcsSourceSchema(SeverityBlockSchema):
    key = fields.Str(attribute="slice.key")
    name = fields.Str(attribute="slice.name")
    total = fields.Int(attribute="totals.total")
    critical = fields.Int(attribute="totals.critical")
    high = fields.Int(attribute="totals.high")
    medium = fields.Int(attribute="totals.medium")
    low = fields.Int(attribute="totals.low")
    used = fields.Str(attribute="used.used", metadata={"description": "live or stored"})
    as_of = IsoInstant(attribute="used.at", allow_none=True)


class AcsSummarySchema(CamelSchema):
    total = fields.Int(attribute="totals.total")
    critical = fields.Int(attribute="totals.critical")
    high = fields.Int(attribute="totals.high")
    medium = fields.Int(attribute="totals.medium")
    low = fields.Int(attribute="totals.low")
    sources = fields.List(fields.Nested(AcsSourceSchema))


class AcsSummaryArgs(CamelSchema):
    force_refresh = fields.Bool(load_default=False)


class ExplainArgs(CamelSchema):
    figure = fields.Str(load_default="open", validate=validate.OneOf(FIGURES))
    discipline = fields.Enum(Discipline, by_value=True, load_default=None, metadata={"description": "appsec or offsec; both by default"})
    source = fields.Str(load_default=None, validate=validate.Length(max=32))


class ExplainedGroupSchema(CamelSchema):
    id = fields.Str()
    name = fields.Str()
    customer_id = fields.Str(allow_none=True)


class ContributionSchema(CamelSchema):
    asset_id = fields.Str(attribute="asset.id")
    name = fields.Str(attribute="asset.name")
    source = fields.Str(attribute="asset.source")
    kind = fields.Str(attribute="asset.kind")
    value = fields.Int()
    used = fields.Str(metadata={"description": "live or stored"})
    last_synced = IsoInstant(attribute="asset.synced_at", allow_none=True)
    groups = fields.List(fields.Nested(ExplainedGroupSchema))


class SourceUsedSchema(CamelSchema):
    source = fields.Str()
    used = fields.Str()
    as_of = IsoInstant(attribute="at", allow_none=True)


class ExplanationSchema(CamelSchema):
    figure = fields.Str()
    value = fields.Int()
    assets = fields.List(fields.Nested(ContributionSchema), attribute="contributions")
    sources = fields.List(fields.Nested(SourceUsedSchema))


def open_of(asset: Asset) -> int:
    """Open findings of an asset, critical to low, as the portal totals them."""
    return asset.open_critical + asset.open_high + asset.open_medium + asset.open_low


def last_updated(rows: list[GroupRow]) -> int | None:
    """The newest sync among the assets of some groups."""
    moments = [totals.updated_at for row in rows for totals in (row.application, row.offensive) if totals.updated_at is not None]
    return max(moments, default=None)


def offensive_finding(entry: OffensiveFinding) -> dict[str, Any]:
    """One entry of ``offensiveFindings``; what a source does not say is null, as documented."""
    finding, asset, details = entry.finding, entry.asset, entry.details
    cwe = ", ".join(f"CWE-{number}" for number in finding.cwe.strip(",").split(",") if number)
    return OffensiveFindingSchema().dump({
        "id": finding_public_id(finding.id), "title": finding.title, "severity": Severity(finding.severity).label,
        "description": finding.description or None, "source": _SOURCE_NAMES.get(finding.source, finding.source),
        "category": _OFFENSIVE, "created_at": finding.first_seen_at, "cwe_mappings": cwe or None, "target_url": finding.path or None,
        "risk_impact": details.get("risk_impact"), "recommendation": details.get("recommendation"),
        "folder_id": details.get("folder_id"), "folder_path": details.get("folder_path"),
        "source_file_name": details.get("source_file_name"), "synced_at": asset.synced_at,
        "checkmarx_project_id": details.get("checkmarx_project_id"), "checkmarx_project_name": details.get("checkmarx_project_name")})
