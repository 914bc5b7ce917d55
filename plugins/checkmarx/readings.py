"""Readings of single fields, which every engine of Checkmarx One spells in its own way."""

import hashlib
import re
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import SplitResult, urlsplit

from core import clock
from core.hooks.contracts import Severity, SourceState

Record = Mapping[str, Any]

_SEVERITIES = {"CRITICAL": Severity.CRITICAL, "HIGH": Severity.HIGH, "MEDIUM": Severity.MEDIUM, "LOW": Severity.LOW,
               "INFO": Severity.INFO, "INFORMATION": Severity.INFO, "NONE": Severity.INFO}
_STATES = ("TO_VERIFY", "NOT_EXPLOITABLE", "PROPOSED_NOT_EXPLOITABLE", "CONFIRMED", "URGENT")
_DISMISSED = ("NOT_EXPLOITABLE", "FALSE_POSITIVE")
_FIXED = "FIXED"

_CVE = re.compile(r"CVE-\d{4}-\d{4,}", re.IGNORECASE)
_CWE = re.compile(r"(?:CWE-)?(\d{1,5})", re.IGNORECASE)
_TAKEN_FROM = re.compile(r"\s*\[Taken from [^\]]*\]\s*$")
_BOUNDARIES = re.compile(r"[\s_-]+|(?<=[a-z])(?=[A-Z])")


def status_word(status: Any) -> str:
    """``Finished`` of ``Finished@Scan finished successfully``."""
    return str(status or "").partition("@")[0].strip()


def normal_state(state: Any) -> str:
    """One spelling for the states that Checkmarx One has by itself (``To Verify``, ``ToVerify`` and ``to_verify`` are ``TO_VERIFY``);
    a state that a tenant made keeps its own."""
    text = str(state or "").strip()
    normal = _BOUNDARIES.sub("_", text).upper()
    return normal if normal in _STATES or normal in _DISMISSED else text


def is_dismissed(state: Any) -> bool:
    """Whether a person declared it not exploitable. A mere proposal does not count: somebody has still to agree."""
    return normal_state(state) in _DISMISSED


def severity_of(text: Any) -> Severity:
    """:raises KeyError: for a severity that is not known."""
    return _SEVERITIES[str(text or "").strip().upper()]


def is_open(record: Record) -> bool:
    """Whether a result counts as open."""
    return state_of(record) is SourceState.OPEN


def state_of(record: Record) -> SourceState:
    """:raises KeyError: when the record tells no state."""
    if str(record.get("status") or "").strip().upper() == _FIXED:
        return SourceState.FIXED
    return SourceState.FALSE_POSITIVE if is_dismissed(record["state"]) else SourceState.OPEN


def words(name: str) -> str:
    """``SQL Injection`` of ``SQL_Injection``."""
    return name.replace("_", " ").strip()


def plain(text: Any) -> str:
    """Without the remarks about their origin that IaC results really carry."""
    return _TAKEN_FROM.sub("", str(text or "")).strip()


def text_of(text: Any) -> str:
    # descriptions hold no-break spaces and stray line ends
    return str(text or "").replace("\xa0", " ").strip()


def line_of(value: Any) -> int | None:
    """A line number; None for 0 and below, which stand for the file as a whole."""
    line = int(value) if value not in (None, "") else 0
    return line if line >= 1 else None


def cwe_of(value: Any) -> tuple[int, ...]:
    """The number of ``89``, ``"89"`` or ``"CWE-89"``; none of ``"-1"``, 0 or nothing."""
    found = _CWE.fullmatch(str(value if value is not None else "").strip())
    return (int(found[1]),) if found and int(found[1]) > 0 else ()


def cwe_named(text: Any) -> tuple[int, ...]:
    # advisories of the vendor's own have their CWE where others have a CVE
    return cwe_of(text) if str(text or "").upper().startswith("CWE-") else ()


def cve_of(*texts: Any) -> tuple[str, ...]:
    """The first of the texts that is a CVE and nothing else."""
    found = next((str(text).strip() for text in texts if _CVE.fullmatch(str(text or "").strip())), "")
    return (found.upper(),) if found else ()


def moment(text: Any) -> int | None:
    """:raises ValueError: for what is no instant."""
    return clock.from_iso(text) if text else None


def without_user(address: str) -> str:
    """The address without a name and password, which addresses of repositories and targets sometimes carry."""
    parts = split(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else address


def split(address: Any) -> SplitResult:
    """The parts of an address; all empty when it cannot be read."""
    try:
        return urlsplit(str(address or ""))
    except ValueError:
        return SplitResult("", "", "", "", "")


def section(title: str, text: Any) -> str:
    """A paragraph of HTML for each line; nothing when there is no text."""
    body = text_of(text)
    if not body:
        return ""
    return (f"<h2>{escape(title)}</h2>\n" if title else "") + "".join(f"<p>{escape(line)}</p>" for line in body.splitlines() if line)


def fingerprint(*parts: str) -> str:
    """32 hexadecimal digits that are the same wherever the parts are."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def without_nothing(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}
