"""The verdicts in force that findings fall under without being named one by one: those on assets, rules and CVEs, and those that
a finding takes over from the same finding in another asset of its lineage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import peewee
from peewee import SQL, fn

from core import clock
from core.assets.models import Asset
from core.db import db
from core.db.bulk import rows_by_key
from core.findings import terms
from core.findings.models import Finding, Verdict
from core.findings.state import REMEDIATED
from core.findings.terms import Terms
from core.hooks.contracts import FindingDraft

# Literals, not parameters, so that both databases see that the indexes of verdicts in force cover it.
IS_OF_ONE_FINDING = Verdict.ended_at.is_null() & (Verdict.level == SQL("'finding'"))
IS_BROAD = Verdict.ended_at.is_null() & (Verdict.level != SQL("'finding'"))


class Ruling(NamedTuple):
    """A verdict in force, as far as the rows under it repeat it."""

    id: str
    kind: str
    until: int | None
    created_at: int
    author: str


RULING = (Verdict.id, Verdict.kind, Verdict.until, Verdict.created_at, Verdict.author)  # the columns of a ``Ruling``


@dataclass(frozen=True, slots=True)
class Broad:
    """A customer's verdicts on assets, rules and CVEs."""

    by_asset: Mapping[str, Ruling] = field(default_factory=dict)
    by_rule: Mapping[tuple[str, str], Ruling] = field(default_factory=dict)  # source and rule's key
    by_cve: Mapping[str, Ruling] = field(default_factory=dict)  # upper case
    ids: frozenset[str] = frozenset()

    def over(self, asset_id: str, source: str, rule_key: str, cve: str) -> Ruling | None:
        """The one that holds for a finding: the asset's before any other, then the newest. One of its CVEs is enough.

        :param cve: as the column keeps them.
        """
        of_asset = self.by_asset.get(asset_id)
        if of_asset is not None:
            return of_asset
        rulings = [self.by_rule.get((source, rule_key))]
        if cve and self.by_cve:
            rulings += [self.by_cve.get(name) for name in cve.upper().strip(",").split(",")]
        return max((ruling for ruling in rulings if ruling is not None), key=lambda ruling: (ruling.created_at, ruling.id), default=None)


NONE = Broad()


def broad(customer_id: str, now: int) -> Broad:
    """A customer's verdicts on assets, rules and CVEs that are in force; one statement."""
    by_asset, by_rule, by_cve, ids = {}, {}, {}, []
    rows = Verdict.select(*RULING, Verdict.level, Verdict.asset_id, Verdict.source, Verdict.rule_key, Verdict.cve).where(
        Verdict.customer_id == customer_id, IS_BROAD, lasts(now))
    for *facts, level, asset_id, source, rule_key, cve in rows.tuples():
        ruling = Ruling(*facts)
        ids.append(ruling.id)
        if level == "asset":
            by_asset[asset_id] = ruling
        elif level == "rule":
            by_rule[source, rule_key] = ruling
        else:
            by_cve[cve] = ruling
    return Broad(by_asset, by_rule, by_cve, frozenset(ids))


def lasts(now: int) -> peewee.Expression:
    """An acceptance that has run out holds no more, even before its end is written."""
    return Verdict.until.is_null() | (Verdict.until > now)


class _Place(NamedTuple):
    """Where a finding is."""

    path: str | None
    line: int | None

    def distance(self, draft: FindingDraft) -> tuple[bool, int]:
        return draft.path != self.path, abs((draft.line or 0) - (self.line or 0))


class _Kin(NamedTuple):
    """A verdict on a finding of another asset of the lineage."""

    ruling: Ruling
    asset_id: str
    place: _Place


class InForce:
    """What holds for the findings of one asset while a pull writes them; looked at anew under the asset's lock in each batch,
    so that whoever decides meanwhile either sees the batch's rows or is seen by it.

    :ivar terms: what due days are counted by.
    """

    def __init__(self, asset: Asset) -> None:
        self.broad = NONE
        self.terms: Terms | None = None
        self._asset = asset
        self._seen: object = (0, None, None)
        self._has_kin = False
        self._twins: dict[str, dict[str, list[_Place]]] = {}  # by asset of the lineage and fingerprint
        self._look = self._looking().sql()  # asked so often that composing it anew would show

    def _looking(self) -> peewee.ModelSelect:
        mine = (Verdict.customer_id == self._asset.customer_id) & IS_BROAD
        seen = (fn.COUNT(Verdict.id), fn.MAX(Verdict.created_at), fn.MAX(Verdict.id))
        columns = (Asset.sla_terms, fn.EXISTS(Verdict.select(Verdict.id).where(self._of_kin())),
                   *(Verdict.select(column).where(mine) for column in seen))
        return Asset.select(*columns).where(Asset.id == self._asset.id)

    def refresh(self) -> None:
        """One statement; a second one when a verdict on an asset, rule or CVE was made or ended since the last time."""
        stored, has_kin, *seen = db.execute_sql(*self._look).fetchone()
        if self._seen != tuple(seen):
            self.broad, self._seen = broad(self._asset.customer_id, clock.now()), tuple(seen)
        self._has_kin = bool(has_kin)
        self.terms = terms.read(Asset.sla_terms.python_value(stored))

    def _of_kin(self) -> peewee.Expression:
        asset = self._asset
        return ((Verdict.customer_id == asset.customer_id) & (Verdict.lineage == asset.lineage) & IS_OF_ONE_FINDING
                & (Verdict.source == asset.source) & (Verdict.asset_id != asset.id) & (Verdict.fingerprint != ""))

    def inherited(self, new: Sequence[tuple[str, FindingDraft]]) -> dict[str, Ruling]:
        """Verdicts on single findings that new ones take over from other assets of the lineage, by the source's key.

        A decision about one finding covers one finding of each asset: of several with the same fingerprint the nearest, and none that
        is nearer to one that nobody decided about.
        """
        if not self._has_kin:
            return {}
        drafts: dict[str, list[tuple[str, FindingDraft]]] = {}
        for source_key, draft in new:
            if draft.fingerprint:
                drafts.setdefault(draft.fingerprint[:64], []).append((source_key, draft))
        kin = self._kin(sorted(drafts)) if drafts else {}
        spent = self._spent(kin) if kin else set()
        chosen: dict[str, Ruling] = {}
        for fingerprint, group in kin.items():
            for one in group:
                near = [] if one.ruling.id in spent else self._near(one, fingerprint, drafts[fingerprint])
                if near:
                    nearest = min(near, key=lambda entry, one=one: one.place.distance(entry[1]))  # type: ignore[misc]
                    drafts[fingerprint].remove(nearest)
                    chosen[nearest[0]] = one.ruling
        return chosen

    def _near(self, one: _Kin, fingerprint: str, drafts: Sequence[tuple[str, FindingDraft]]) -> list[tuple[str, FindingDraft]]:
        """Those that no other finding with the fingerprint in the other asset is nearer to."""
        if one.asset_id not in self._twins:
            self._twins[one.asset_id] = self._twins_in(one.asset_id)
        others = self._twins[one.asset_id].get(fingerprint, ())
        return [(source_key, draft) for source_key, draft in drafts
                if all(one.place.distance(draft) <= other.distance(draft) for other in others)]

    def _twins_in(self, asset_id: str) -> dict[str, list[_Place]]:
        """Places of the findings that share their fingerprints with others of the asset; looked up once, since it costs all of its rows."""
        there = ((Finding.customer_id == self._asset.customer_id) & (Finding.asset_id == asset_id) & (Finding.fingerprint != "")
                 & Finding.source_state.not_in(list(REMEDIATED)))
        shared = Finding.select(Finding.fingerprint).where(there).group_by(Finding.fingerprint).having(fn.COUNT(Finding.id) > 1)
        twins: dict[str, list[_Place]] = {}
        for fingerprint, path, line in Finding.select(Finding.fingerprint, Finding.path, Finding.line).where(
                there, Finding.fingerprint.in_(shared)).tuples():
            twins.setdefault(fingerprint, []).append(_Place(path, line))
        return twins

    def _kin(self, fingerprints: list[str]) -> dict[str, list[_Kin]]:
        """The decided findings of the lineage by fingerprint: for each those of one asset, the one decided about last."""
        rows = (Verdict.select(Verdict.fingerprint, Verdict.asset_id, Finding.path, Finding.line, *RULING)
                .join(Finding, peewee.JOIN.LEFT_OUTER, on=Finding.id == Verdict.finding_id)
                .where(self._of_kin(), Verdict.fingerprint.in_(fingerprints), lasts(clock.now()))
                .order_by(Verdict.created_at.desc(), Verdict.id.desc()))
        kin: dict[str, list[_Kin]] = {}
        for fingerprint, asset_id, path, line, *facts in rows.tuples():
            group = kin.setdefault(fingerprint, [])
            if not group or group[0].asset_id == asset_id:
                group.append(_Kin(Ruling(*facts), asset_id, _Place(path, line)))
        return kin

    def _spent(self, kin: Mapping[str, Sequence[_Kin]]) -> set[str]:
        """Those that a finding of this asset has taken over already."""
        fixed = {"customer_id": self._asset.customer_id, "asset_id": self._asset.id}
        ids = [one.ruling.id for group in kin.values() for one in group]
        return {verdict_id for (verdict_id,) in rows_by_key(Finding, ("verdict_id",), fixed, "verdict_id", ids)}
