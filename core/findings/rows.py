"""From a draft to the row that is stored: bounded, cleaned, and with the digest that tells whether anything changed."""

import dataclasses
import hashlib
import json
import operator

from core.db.texts import clean
from core.hooks.contracts import FindingDraft

#: the columns that hold what a source says of a finding, in the order of ``said_by``
SAID = ("fingerprint", "title", "severity", "source_state", "source_status", "category", "rule_key", "cwe", "cve", "path", "line", "url",
        "details", "source_created_at", "source_updated_at")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
_ascii = json.JSONEncoder(separators=(",", ":"), default=str, check_circular=False).encode
_all_fields = operator.attrgetter(*(field.name for field in dataclasses.fields(FindingDraft)))


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
        _listed(draft.cwe, 200),
        _listed(draft.cve, 500),
        clean(draft.path)[:1000],
        draft.line,
        clean(draft.url)[:2000],
        clean(_encode({"description": draft.description, **draft.details})),
        draft.created_at,
        draft.updated_at,
    )


def digest_of(draft: FindingDraft) -> int:
    """64 bits over the whole draft, the same in every process. Never 0, which marks a row that core closed.

    Taken before anything else, since most drafts of a re-sync are unchanged and need no more than this.
    """
    text = _ascii(_all_fields(draft))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True) or 1


def _listed(values: tuple, most: int) -> str:
    """``,79,89,`` cut at a whole entry, so that a LIKE finds one."""
    if not values:
        return ""
    text = ","
    for value in values:
        if len(text) + len(str(value)) + 1 > most:
            break
        text += f"{value},"
    return text
