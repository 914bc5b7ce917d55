"""From a draft to the row that is stored: bounded, cleaned, and with the digest that tells whether anything changed."""

import hashlib
import json
from typing import Any, NamedTuple

from core.db.texts import clean
from core.findings.inforce import InForce, Ruling
from core.findings.standing import Standing, standing
from core.findings.state import REMEDIATED
from core.hooks.contracts import FindingDraft

#: the columns that hold what a source says of a finding, in the order of ``said_by``
SAID = ("fingerprint", "title", "severity", "source_state", "source_status", "category", "rule_key", "description", "cwe", "cve", "path",
        "line", "url", "details", "source_created_at", "source_updated_at")
#: the columns of a row when it is first stored
STORED = ("customer_id", "asset_id", "source", "source_key", *SAID, "status", "verdict", "verdict_id", "verdict_until", "paused_since",
          "due_day", "first_seen_at", "closed_at", "first_run_id", "last_run_id", "digest")
#: the columns that are written when a source says something else
REWRITTEN = (*SAID, "status", "verdict", "verdict_id", "verdict_until", "paused_ms", "paused_since", "due_day", "closed_at", "last_run_id",
             "digest")
_RULE, _CVE = SAID.index("rule_key"), SAID.index("cve")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def said_by(draft: FindingDraft) -> tuple:
    """What the draft says, as the columns ``SAID``."""
    return (
        draft.fingerprint[:64],
        clean(draft.title)[:1000] or "(untitled)",
        int(draft.severity),
        str(draft.state),
        draft.source_status[:64],
        draft.category[:32],
        clean(draft.rule)[:300],
        clean(draft.description),
        _listed(draft.cwe, 200) if draft.cwe else "",
        _listed(draft.cve, 500) if draft.cve else "",
        clean(draft.path)[:1000],
        draft.line,
        clean(draft.url)[:2000],
        clean(_encode(draft.details)) if draft.details else "{}",
        draft.created_at,
        draft.updated_at,
    )


def digest_of(draft: FindingDraft) -> int:
    """64 bits over the whole draft, the same in every process. Never 0, which marks a row that core closed.

    Taken before anything else, since most drafts of a re-sync are unchanged and need no more than this. One f-string, because
    it takes half the time of any serializer.
    """
    d = draft
    text = (f"{d.title}\x1f{d.severity:d}\x1f{d.state}\x1f{d.source_status}\x1f{d.category}\x1f{d.rule}\x1f{d.description}\x1f{d.cwe}\x1f"
            f"{d.cve}\x1f{d.path}\x1f{d.line}\x1f{d.url}\x1f{d.fingerprint}\x1f{d.created_at}\x1f{d.updated_at}\x1f{d.details}")
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True) or 1


def _listed(values: tuple, most: int) -> str:
    """``,79,89,`` cut at a whole entry, so that a LIKE finds one."""
    text = ","
    for value in values:
        if len(text) + len(str(value)) + 1 > most:
            break
        text += f"{value},"
    return text


class Before(NamedTuple):
    """What a row holds that is about to be rewritten."""

    id: int
    source_key: str
    source_state: str
    status: str
    severity: int
    verdict: str | None
    verdict_id: str | None
    verdict_until: int | None
    paused_ms: int
    paused_since: int | None
    due_day: int | None
    first_seen_at: int
    closed_at: int | None
    fingerprint: str
    title: str
    source_status: str
    path: str
    line: int | None
    category: str

    @property
    def counted(self) -> tuple[str, int, int | None]:
        """What totals count it by."""
        return self.status, self.severity, self.due_day


class After(NamedTuple):
    """The same row with what the source says now. ``values`` are those of ``REWRITTEN``."""

    values: tuple
    facts: dict[str, Any]
    standing: Standing
    verdict_id: str | None

    @property
    def counted(self) -> tuple[str, int, int | None]:
        return self.standing.status, self.facts["severity"], self.standing.due_day


def rewritten(before: Before, said: tuple, digest: int, in_force: InForce, asset_id: str, source: str, run_id: str, now: int) -> After:
    """A stored row with what the source says of it now. A verdict on the finding itself stays; one on its rule, CVE or asset
    is looked for anew, since what the source says may put it under another.

    :param said: the columns ``SAID``.
    """
    facts: dict[str, Any] = dict(zip(SAID, said, strict=True))
    verdict: tuple[str | None, str | None, int | None] = (before.verdict, before.verdict_id, before.verdict_until)
    if before.verdict is None or before.verdict_id in in_force.broad.ids:
        verdict = repeated(in_force.broad.over(asset_id, source, said[_RULE], said[_CVE]))
    facts["verdict"] = verdict[0]
    state = facts["source_state"]
    after = standing(state, verdict[0], facts["severity"], before.first_seen_at, before.paused_ms, before.paused_since, in_force.terms, now)
    closed_at = (before.closed_at or now) if state in REMEDIATED else None
    values = (*said, after.status, *verdict, after.paused_ms, after.paused_since, after.due_day, closed_at, run_id, digest)
    return After(values, facts, after, verdict[1])


def repeated(ruling: Ruling | None) -> tuple[str | None, str | None, int | None]:
    """A verdict as a finding's columns ``verdict, verdict_id, verdict_until`` repeat it."""
    return (None, None, None) if ruling is None else (ruling.kind, ruling.id, ruling.until)
