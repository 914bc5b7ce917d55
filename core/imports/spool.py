"""A report that has been read whole and is not stored yet: its drafts in a temporary database of their own.

So a report is found sound before anything of it is written, a key that stands in it twice is one finding, and memory stays
flat whatever its size. SQLite deletes the file by itself, however the process ends.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from core.db.texts import clean, key_of
from core.errors import BadRequest
from core.hooks.contracts import AssetDraft, FindingDraft, RuleDraft, Severity, SourceState, Unmapped
from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports.limits import LONGEST_TEXT, MOST_ASSETS, MOST_FINDINGS, MOST_RULES

_TABLES = """
CREATE TABLE asset (number INTEGER PRIMARY KEY, key TEXT UNIQUE, draft TEXT);
CREATE TABLE finding (number INTEGER PRIMARY KEY, asset INTEGER, key TEXT, description TEXT, draft TEXT, UNIQUE (asset, key));
CREATE TABLE rule (key TEXT PRIMARY KEY, draft TEXT) WITHOUT ROWID;
"""
# a draft has some kilobytes, which should not be spread over several pages
_SETTINGS = "PRAGMA page_size = 32768; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192;"
_WRITE_FINDING = ("INSERT INTO finding (asset, key, description, draft) VALUES (?, ?, ?, ?)"
                  " ON CONFLICT (asset, key) DO UPDATE SET description = excluded.description, draft = excluded.draft")
_BATCH = 1000
_LARGEST_LINE = 2**31 - 1
_LARGEST_MOMENT = 2**53
_LARGEST_CWE = 99_999

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # ASCII, which half a character survives until it is cleaned


class Spool:
    """Filled once with ``fill``, then read as often as is needed. To be closed.

    :param named: the one asset that everything goes to; None to follow the assets of the report.
    :param otherwise: the asset for what the report gives to none; None when nobody knows.
    """

    def __init__(self, named: AssetDraft | None, otherwise: AssetDraft | None) -> None:
        self._named = named
        self._otherwise = otherwise
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # a private file, deleted by SQLite
        self._database.executescript(f"{_SETTINGS} {_TABLES}")
        self._waiting: list[tuple[int, str, str, str]] = []
        self._waiting_rules: list[tuple[str, str]] = []
        self._assets: dict[str, int] = {}
        self._asset: int | None = None
        self._gaps: dict[int, str] = {}  # why something of an asset is not told
        self._rules = 0
        self.read = 0  # findings, repeated ones counted each time

    def close(self) -> None:
        self._database.close()

    def fill(self, drafts: Iterable[AssetDraft | RuleDraft | FindingDraft | Unmapped]) -> None:
        """Take everything in.

        :raises ReportInvalid: when a draft cannot be stored.
        :raises ReportTooLarge: when there are too many.
        """
        self._database.execute("BEGIN")
        if self._named is not None:
            self._begin_asset(self._named)
        for draft in drafts:
            try:
                self._take(draft)
            except (ValueError, TypeError) as problem:  # a number that no JSON holds, something else where a text should be
                raise ReportInvalid(f"It cannot be stored: {problem}", f"finding {self.read:,}, asset {len(self._assets):,}") from problem
        if not self._assets:  # a report without findings speaks for its asset all the same
            self._begin_the_other_asset()
        self._write()
        self._database.execute("COMMIT")

    # -- taking in ----------------------------------------------------------------------------------------------

    def _take(self, draft: AssetDraft | RuleDraft | FindingDraft | Unmapped) -> None:
        if isinstance(draft, FindingDraft):
            self._take_finding(draft)
        elif isinstance(draft, AssetDraft):
            self._take_asset(draft)
        elif isinstance(draft, RuleDraft):
            self._take_rule(draft)
        elif isinstance(draft, Unmapped):
            self._gaps[self._present_asset()] = draft.reason
        else:
            raise TypeError(f"the parser gave a {type(draft).__name__}")

    def _take_asset(self, draft: AssetDraft) -> None:
        if self._named is None:
            self._begin_asset(draft)
        elif len(self._assets) == 1 and self.read == 0:  # what the report says of the one asset, under the caller's name for it
            self._rewrite_asset(replace(draft, key=self._named.key, name=self._named.name))

    def _begin_asset(self, draft: AssetDraft) -> None:
        key = key_of(draft.key)
        if key not in self._assets:
            if len(self._assets) >= MOST_ASSETS:
                raise ReportTooLarge(f"A report may speak of at most {MOST_ASSETS:,} assets", f"asset {MOST_ASSETS + 1}: {key[:80]!r}")
            self._assets[key] = len(self._assets)
            self._database.execute("INSERT INTO asset VALUES (?, ?, ?)", (self._assets[key], key, _told_asset(draft)))
        self._asset = self._assets[key]

    def _begin_the_other_asset(self) -> None:
        if self._otherwise is None:
            raise BadRequest("Neither the report nor a file name says which asset it is of; name the asset",
                             details={"asset": ["Missing data for required field."]})
        self._begin_asset(self._otherwise)

    def _rewrite_asset(self, draft: AssetDraft) -> None:
        self._database.execute("UPDATE asset SET draft = ? WHERE number = 0", (_told_asset(draft),))

    def _take_rule(self, draft: RuleDraft) -> None:
        self._waiting_rules.append((clean(draft.key)[:300], _encode(
            [draft.key, str(draft.name), draft.description[:LONGEST_TEXT], list(draft.cwe), str(draft.url)])))
        self._rules += 1
        if self._rules > MOST_RULES * 10:  # of several tools
            raise ReportTooLarge("The report has too many rules", f"rule {self._rules:,}")
        if len(self._waiting_rules) >= _BATCH:
            self._write()

    def _present_asset(self) -> int:
        if self._asset is None:
            self._begin_the_other_asset()
        return self._asset  # type: ignore[return-value]

    def _take_finding(self, draft: FindingDraft) -> None:
        asset = self._present_asset()
        self.read += 1
        if self.read > MOST_FINDINGS:
            raise ReportTooLarge(f"A report may have at most {MOST_FINDINGS:,} findings", f"finding {self.read:,}")
        told = _told_finding(draft)
        self._waiting.append((asset, key_of(draft.source_key), clean(draft.description[:LONGEST_TEXT]), told))
        if len(self._waiting) >= _BATCH:
            self._write()

    def _write(self) -> None:
        self._database.executemany(_WRITE_FINDING, self._waiting)
        self._waiting.clear()
        self._database.executemany("INSERT OR IGNORE INTO rule VALUES (?, ?)", self._waiting_rules)
        self._waiting_rules.clear()

    # -- giving out ---------------------------------------------------------------------------------------------

    @property
    def findings_in_all(self) -> int:
        """How many findings there are, each once."""
        return self._database.execute("SELECT count(*) FROM finding").fetchone()[0]

    @property
    def asset_keys(self) -> list[str]:
        return list(self._assets)

    def assets(self) -> Iterator[AssetDraft]:
        for (told,) in self._database.execute("SELECT draft FROM asset ORDER BY number").fetchall():
            yield AssetDraft(*json.loads(told))

    def asset(self, key: str) -> AssetDraft:
        (told,) = self._database.execute("SELECT draft FROM asset WHERE number = ?", (self._assets[key_of(key)],)).fetchone()
        return AssetDraft(*json.loads(told))

    def findings(self, key: str) -> Iterator[FindingDraft | Unmapped]:
        """The findings of one asset, in the order of the report; in the end why they are not all, when that is so."""
        asset = self._assets[key_of(key)]
        cursor = self._database.execute("SELECT description, draft FROM finding WHERE asset = ? ORDER BY number", (asset,))
        while rows := cursor.fetchmany(_BATCH):
            for description, told in rows:
                yield _finding_of(description, json.loads(told))
        if asset in self._gaps:
            yield Unmapped(self._gaps[asset])

    def known_rules(self, keys: Iterable[str]) -> list[str]:
        """Those of the rules that the report tells of."""
        by_stored = {clean(key)[:300]: key for key in keys}
        return [by_stored[stored] for stored, _ in self._rules_among(list(by_stored))]

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        for key, draft in self._rules_among(keys):
            told = json.loads(draft)
            yield RuleDraft(key, told[1], told[2], tuple(told[3]), told[4])

    def _rules_among(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        return self._database.execute("SELECT key, draft FROM rule WHERE key IN (SELECT value FROM json_each(?))",
                                      (json.dumps(keys),)).fetchall()


def _told_asset(draft: AssetDraft) -> str:
    if not _are_texts(draft.key, draft.name, draft.kind, draft.url, draft.lineage) or not draft.key:
        raise TypeError("the key, name, kind or address of an asset is no text")
    return _encode([draft.key, draft.name, draft.kind, draft.url, dict(draft.attributes), draft.lineage])


def _told_finding(draft: FindingDraft) -> str:
    """All but the description, which is the most of many findings and needs no encoding."""
    d = draft
    if not _are_texts(d.source_key, d.title, d.source_status, d.category, d.rule, d.description, d.path, d.url, d.fingerprint, *d.cve):
        raise TypeError("something else stands where a text should be")
    if not d.source_key:
        raise ValueError("a finding has no key")
    return _encode([d.source_key, d.title, int(d.severity), str(d.state), clean(d.source_status), clean(d.category), d.rule, "",
                    [number for number in d.cwe if 0 < number <= _LARGEST_CWE], list(d.cve), d.path,
                    d.line if isinstance(d.line, int) and 0 < d.line <= _LARGEST_LINE else None, d.url, clean(d.fingerprint),
                    _moment(d.created_at), _moment(d.updated_at), d.details])


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _moment(value: int | None) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= _LARGEST_MOMENT else None


def _finding_of(description: str, told: list[Any]) -> FindingDraft:
    told[2], told[3], told[7] = Severity(told[2]), SourceState(told[3]), description
    told[8], told[9] = tuple(told[8]), tuple(told[9])
    return FindingDraft(*told)
