"""One of Acme's records in, one draft out."""

from collections.abc import Mapping
from typing import Any

from core import clock
from core.hooks.contracts import AssetDraft, FindingDraft, RuleDraft, Severity, SourceState

TARGET = "acme_target"
_SEVERITIES = {"severe": Severity.CRITICAL, "high": Severity.HIGH, "moderate": Severity.MEDIUM, "low": Severity.LOW, "note": Severity.INFO}
_STATES = {"new": SourceState.OPEN, "waived": SourceState.ACCEPTED, "done": SourceState.FIXED}


def to_asset(record: Mapping[str, Any]) -> AssetDraft:
    return AssetDraft(key=record["key"], name=record["name"], kind=TARGET, url=record.get("url", ""))


def to_finding(record: Mapping[str, Any]) -> FindingDraft:
    return FindingDraft(source_key=record["id"], title=record["title"], severity=_SEVERITIES[record["risk"]],
                        state=_STATES[record["status"]], source_status=record["status"], category="vulnerability",
                        rule=record["check"], cwe=tuple(record.get("cwe", ())), path=record.get("file", ""), line=record.get("line"),
                        created_at=clock.from_iso(record["found"]))


def to_rule(record: Mapping[str, Any]) -> RuleDraft:
    return RuleDraft(key=record["check"], name=record["name"], description=record.get("html", ""))
