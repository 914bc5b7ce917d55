"""How values are worded on the pages: numbers, moments, states. Pure functions; the templates use them as filters."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import nh3

from core import clock
from core.findings import terms
from core.findings.settling import EXPIRY
from core.hooks.contracts import Severity

_PICTURES = {"img"}  # the pages load nothing from elsewhere
_HTML_TAGS = nh3.ALLOWED_TAGS - _PICTURES
_WEEK = 7 * clock.DAY
_SOON = 7  # days


class Word(NamedTuple):
    """A state in words, with the tone of its chip: neutral, info, good, warn or bad."""

    text: str
    tone: str


_RUN_STATES = {
    "queued": Word("Queued", "neutral"), "running": Word("Running", "info"), "succeeded": Word("Succeeded", "good"),
    "partial": Word("Partly done", "warn"), "failed": Word("Failed", "bad"), "held": Word("Needs a decision", "warn"),
    "discarded": Word("Discarded", "neutral"),
}
_HEALTH = {
    "unchecked": Word("Not checked yet", "neutral"), "ok": Word("Healthy", "good"), "failing": Word("Failing", "bad"),
    "needs_attention": Word("Needs attention", "warn"),
}
_FINDING_STATES = {
    "open": Word("Open", "info"), "fixed": Word("Fixed", "good"), "gone": Word("Gone", "good"), "accepted": Word("Risk accepted", "warn"),
    "false_positive": Word("False positive", "neutral"), "ignored": Word("Ignored", "neutral"),
}
_PHASES = {"": "Waiting for a worker", "reading": "Reading the report", "catalog": "Reading the catalog",
           "findings": "Pulling findings", "closing": "Closing what is gone", "done": "Done", "companies": "Pulling companies",
           "matching": "Matching companies with customers", "configurations": "Pulling configurations"}
_TRIGGERS = {"person": "by hand", "schedule": "on schedule", "webhook": "by webhook", "command": "by command", "import": "by an upload"}
_REASONS = {
    "settings_invalid": "The settings cannot work", "unreachable": "The address does not answer",
    "address_refused": "This deployment may not reach that address", "tls": "The certificate cannot be trusted",
    "wrong_service": "Another service answers at that address", "token_refused": "The token is refused",
    "organization_unknown": "The organization is not known there", "permission_missing": "The token lacks a permission",
    "unavailable": "The source is not available at the moment", "invalid_answer": "The source's answer could not be read",
    "incomplete": "The source gave less than it announced", "assets_failed": "Some assets could not be pulled",
    "held": "A sync waits for a decision", "plugin_error": "The connector itself failed",
    "report_invalid": "The report is not sound", "report_lost": "The report did not arrive", "worker_died": "The worker died several times",
    "storage_full": "The server's disk is full", "connection_removed": "The connection was removed meanwhile",
}
_EVENTS = {
    "first_seen": "First seen", "changed": "Changed at the source", "closed": "Closed", "reopened": "Reported again",
    "dismissed": "Dismissed at the source", "renamed": "Has another key at the source", "decided": "Decided",
    "inherited": "An earlier decision applied", "verdict_ended": "Verdict ended", "acceptance_expired": "The acceptance ran out",
}
_LEVELS = {"finding": "This finding", "asset": "Asset", "rule": "Rule", "cve": "CVE"}
_COUNTED = (("added", "new"), ("changed", "changed"), ("reopened", "reopened"), ("closed", "closed"), ("unchanged", "unchanged"),
            ("pruned", "assets removed"), ("unmapped", "unreadable"), ("matched", "matched"), ("created", "new customers"),
            ("doubtful", "to review"), ("removed", "marked as removed"))


def number(value: int) -> str:
    """``12,400``"""
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    """``25 %``, and ``<1 %`` for what is little but not nothing."""
    percent = part * 100 / whole if whole else 0
    return f"{'<1' if 0 < percent < 0.5 else round(percent)}\u2009%"


def iso(moment: int | None) -> str:
    return clock.iso(moment) or ""


def readable(moment: int | None) -> str:
    """``12 May 2026, 12:00 UTC``; a script turns it into the reader's own time."""
    return "" if moment is None else datetime.fromtimestamp(moment / 1000, UTC).strftime("%-d %b %Y, %H:%M UTC")


def ago(moment: int | None, now: int | None = None) -> str:
    """``5 min ago``, ``in 2 h``; a date from a week on."""
    if moment is None:
        return "never"
    distance = (clock.now() if now is None else now) - moment
    if abs(distance) >= _WEEK:
        return datetime.fromtimestamp(moment / 1000, UTC).strftime("%-d %b %Y")
    told = _span(abs(distance))
    if not told:
        return "just now" if distance >= 0 else "any moment"
    return f"{told} ago" if distance > 0 else f"in {told}"


def day(moment: int | None) -> str:
    """``12 May 2026``, in UTC, as the days of policies and acceptances are."""
    return "" if moment is None else datetime.fromtimestamp(moment / 1000, UTC).strftime("%-d %b %Y")


def due(due_day: int, today: int | None = None) -> Word:
    """How a due day stands, with the tone of its chip; days since 1970."""
    left = due_day - (terms.day_of(clock.now()) if today is None else today)
    if left < 0:
        return Word("1 day overdue" if left == -1 else f"{-left:,} days overdue", "bad")
    if left <= _SOON:
        return Word(("Due today", "Due tomorrow")[left] if left < 2 else f"Due in {left} days", "warn")
    return Word(f"Due {day(terms.end_of(due_day))}", "neutral")


def left(moment: int, now: int | None = None) -> str:
    """How long something lasts that ends by itself: ``40 days left``."""
    length = moment - (clock.now() if now is None else now)
    return f"{_span(length)} left" if length >= clock.MINUTE else "ends now"


def _span(length: int) -> str:
    if length < clock.MINUTE:
        return ""
    if length < clock.HOUR - clock.MINUTE // 2:
        return f"{round(length / clock.MINUTE)} min"
    if length < clock.DAY - clock.HOUR // 2:
        return f"{round(length / clock.HOUR)} h"
    days = round(length / clock.DAY)
    return "1 day" if days == 1 else f"{days} days"


def lasted(length: int) -> str:
    """``12 s``, ``3 min``"""
    if length < 60 * clock.SECOND:
        return "less than a second" if length < clock.SECOND else f"{round(length / clock.SECOND)} s"
    return _span(length)


def every(minutes: int | None) -> str:
    """How often a connection is synced."""
    if minutes is None:
        return "Only when asked"
    for length, word in ((7 * 24 * 60, "week"), (24 * 60, "day"), (60, "hour")):
        if minutes % length == 0:
            count = minutes // length
            return f"Every {word}" if count == 1 else f"Every {count} {word}s"
    return f"Every {minutes} minutes"


def web_link(url: str) -> str:
    """The address when a browser may safely be sent there, else nothing: it comes from a source."""
    try:
        return url if urlsplit(url).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def safe_html(text: str) -> str:
    """HTML of a source without anything that acts or is loaded from elsewhere."""
    return nh3.clean(text, tags=_HTML_TAGS, url_schemes={"http", "https"}, link_rel="noopener noreferrer nofollow")


def state_of_run(state: str) -> Word:
    return _RUN_STATES.get(state, Word(names(state), "neutral"))


def health_of(health: str) -> Word:
    return _HEALTH.get(health, Word(names(health), "neutral"))


def state_of_finding(state: str) -> Word:
    return _FINDING_STATES.get(state, Word(names(state), "neutral"))


def severity_of(value: int) -> str:
    """``critical``; also the end of the style's name."""
    return Severity(value).name.lower()


def phase(name: str) -> str:
    return _PHASES.get(name, names(name))


def reason(code: str) -> str:
    """What the code of a failure means; empty for one that says nothing to a person."""
    return _REASONS.get(code, "")


def trigger(name: str) -> str:
    return _TRIGGERS.get(name, names(name))


def event(kind: str) -> str:
    """What an entry of a finding's history tells."""
    return _EVENTS.get(kind, names(kind))


def changed_value(value: Any, name: str) -> str:
    """A value before or after a change, as the history shows it."""
    if name == "severity" and isinstance(value, int):
        return severity_of(value).capitalize()
    return "nothing" if value in (None, "") else str(value)


def end_of_day(number: int) -> int:
    """The last moment of a day since 1970, UTC."""
    return terms.end_of(number)


def level(name: str) -> str:
    """What a verdict is about."""
    return _LEVELS.get(name, names(name))


def actor(name: str, titles: Mapping[str, str]) -> str:
    """Who did something, as the history shows it: a person's address, or the source whose sync it was."""
    if name == EXPIRY:
        return "By itself"
    kind, _, source = name.partition(":")
    return f"Sync of {titles[source]}" if kind == "sync" and source else name


def counted(counts: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Key, word and figure of what a run did, without what there was nothing of."""
    return [(key, word, counts[key]) for key, word in _COUNTED if counts.get(key)]


def cwe_numbers(stored: str) -> list[str]:
    """``,79,89,`` as ``["79", "89"]``; CVE ids likewise."""
    return [part for part in stored.split(",") if part]


def names(text: str) -> str:
    """``false_positive`` as ``False positive``."""
    return text.replace("_", " ").capitalize()
