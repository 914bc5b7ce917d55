"""The brake: a run that would take away too much at once is held for a person to decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from core.assets.models import Asset
from core.connections.models import Run, RunChange
from core.hooks.contracts import Removals

FREE = 10  # so few closings or prunings never hold a run
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run found due, against what was there before it.

    :ivar closes: findings to be closed, those of assets to be pruned included.
    """

    closes: int
    prunes: int
    findings_there: int
    assets_there: int
    catalog_is_empty: bool
    pruned_names: tuple[str, ...]

    def is_held(self, share: float) -> bool:
        """Whether it is more than ``share`` of what was there (and more than ten), or a whole catalog that came back empty."""
        if self.catalog_is_empty and self.prunes:
            return True
        return _too_many(self.closes, self.findings_there, share) or _too_many(self.prunes, self.assets_there, share)

    def sentence(self) -> str:
        """For the person who decides."""
        if self.catalog_is_empty:
            return (f"The source's catalog came back empty; going on would remove all {self.prunes:,} assets"
                    f" with {self.closes:,} open findings")
        return (f"This would close {self.closes:,} of {self.findings_there:,} findings"
                f" and remove {self.prunes:,} of {self.assets_there:,} assets; approve it if that is right")

    def told(self) -> dict[str, Any]:
        return {"closes": self.closes, "prunes": self.prunes, "findingsThere": self.findings_there, "assetsThere": self.assets_there,
                "catalogIsEmpty": self.catalog_is_empty, "prunedAssets": list(self.pruned_names)}


@dataclass(frozen=True, slots=True)
class HousePlan:
    """What a run of the MSP's own found gone."""

    removals: Sequence[Removals]

    def is_held(self, share: float) -> bool:
        """As ``Plan.is_held``, for any kind of thing."""
        return any(one.due and (one.found_none or _too_many(one.due, one.there, share)) for one in self.removals)

    def sentence(self) -> str:
        """For the person who decides."""
        told = " and ".join(f"{one.due:,} of {one.there:,} {one.what}" for one in self.removals if one.due)
        return f"This would mark {told} as removed; approve it if that is right"

    def told(self) -> dict[str, Any]:
        return {"removals": [{"what": one.what, "due": one.due, "there": one.there, "names": list(one.names)} for one in self.removals]}


def _too_many(due: int, there: int, share: float) -> bool:
    return due > FREE and due > there * share


def planned(run: Run, counts: Mapping[str, int], found: Sequence[str], *, whole: bool) -> Plan:
    """The plan of a run whose closings and prunings are noted.

    :param found: ids of the assets that the source has.
    :param whole: whether the run covered the whole catalog; else only the assets found are what "was there".
    """
    noted = RunChange.select().where(RunChange.run == run.id)
    pruned = noted.select(RunChange.asset_id).where(RunChange.finding_id.is_null())
    living = peewee.fn.COALESCE(peewee.fn.SUM(Asset.findings_total - Asset.findings_remediated), 0)
    there = Asset.select(peewee.fn.COUNT(Asset.id), living).where(Asset.customer_id == run.customer_id,
                                                                 Asset.connection_id == run.connection_id, Asset.pruned_at.is_null())
    if not whole:
        there = there.where(Asset.id.in_(list(found)))
    assets_now, living_now = there.tuples().get()
    prunes, living_pruned = Asset.select(peewee.fn.COUNT(Asset.id), living).where(Asset.id.in_(pruned)).tuples().get()
    discovered = there.select(peewee.fn.COUNT(Asset.id)).where(Asset.discovered_at >= (run.started_at or 0)).scalar()
    names = [name for (name,) in Asset.select(Asset.name).where(Asset.id.in_(pruned)).order_by(Asset.name).limit(_MOST_NAMED).tuples()]
    return Plan(closes=noted.where(RunChange.finding_id.is_null(False)).count() + living_pruned, prunes=prunes,
                findings_there=max(0, living_now - counts.get("added", 0) - counts.get("reopened", 0)),
                assets_there=assets_now - discovered, catalog_is_empty=whole and not found, pruned_names=tuple(names))
