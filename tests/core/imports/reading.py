"""Reading a report without a deployment around it."""

from collections.abc import Iterable
from typing import Any

from core.hooks.contracts import AssetDraft, FindingDraft, ReportParser, RuleDraft
from core.hooks.failures import ReportInvalid
from core.imports.report import on_disk


def drafts_of(parser: ReportParser, data: bytes | str) -> list[Any]:
    """Everything that a parser reads from this content, which it also has to recognise."""
    body = data.encode() if isinstance(data, str) else data
    with on_disk(iter([body])) as report:
        assert parser.recognises(report.head()), body[:200]
        return list(parser.read(report))


def findings_of(parser: ReportParser, data: bytes | str) -> list[FindingDraft]:
    return [draft for draft in drafts_of(parser, data) if isinstance(draft, FindingDraft)]


def rules_of(parser: ReportParser, data: bytes | str) -> dict[str, RuleDraft]:
    return {draft.key: draft for draft in drafts_of(parser, data) if isinstance(draft, RuleDraft)}


def assets_of(parser: ReportParser, data: bytes | str) -> dict[str, list[str]]:
    """Source keys by the asset that they belong to; those before the first asset under the empty key."""
    held: dict[str, list[str]] = {}
    here = ""
    for draft in drafts_of(parser, data):
        if isinstance(draft, AssetDraft):
            here = draft.key
            held.setdefault(here, [])
        elif isinstance(draft, FindingDraft):
            held.setdefault(here, []).append(draft.source_key)
    return held


def refusal_of(parser: ReportParser, data: bytes | str) -> ReportInvalid | None:
    """Why the parser refuses this content; None when it does not."""
    with on_disk(iter([data.encode() if isinstance(data, str) else data])) as report:
        try:
            _exhaust(parser.read(report))
        except ReportInvalid as problem:
            return problem
    return None


def _exhaust(drafts: Iterable[Any]) -> None:
    for _ in drafts:
        pass
