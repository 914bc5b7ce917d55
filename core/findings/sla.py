"""Within how many days findings are to be fixed: a customer's policy, those of asset groups, and the due days that follow.

A change marks the assets that it may concern in its own transaction; they are then brought in line, by whoever made the change or
else by the scheduler, so that nothing is lost when somebody is killed in between.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import peewee

from core import audit, clock
from core.assets import catalog
from core.assets.models import Asset, AssetGroup, GroupMember
from core.db import atomic
from core.db.bulk import bulk_insert, bulk_update
from core.errors import BadRequest, Forbidden
from core.findings import restating, terms
from core.findings.models import Finding, SlaPolicy
from core.findings.state import Status
from core.findings.terms import Days, Terms
from core.hooks.contracts import Severity
from core.scope import Scope

MOST_DAYS = 3650
OWN = ""  # stands for the group in the customer's own policy
_ASSETS_AT_ONCE = 500
_FINDINGS_AT_ONCE = 5000
_COLUMNS = ("customer_id", "group_id", "critical", "high", "medium", "low", "counts_working_days", "updated_at")


@dataclass(frozen=True, slots=True)
class Policy:
    """Days by severity. In a group's policy, a severity without days is as in the customer's own.

    :ivar group_id: None for the customer's own policy.
    """

    group_id: str | None
    critical: int | None = None
    high: int | None = None
    medium: int | None = None
    low: int | None = None
    counts_working_days: bool = False

    def rule(self, severities: Iterable[Severity] = terms.SEVERITIES) -> Days:
        chosen = set(severities)
        return Days(tuple(getattr(self, severity.name.lower(), None) if severity in chosen else None for severity in Severity),
                    self.counts_working_days)

    @property
    def is_empty(self) -> bool:
        return len(self.silent_on) == len(terms.SEVERITIES)

    @property
    def silent_on(self) -> list[Severity]:
        return [severity for severity in terms.SEVERITIES if getattr(self, severity.name.lower()) is None]


def policies(scope: Scope) -> list[Policy]:
    """The customer's own policy first, then those of the groups that the scope shows."""
    found = _policies(scope.customer_id)
    visible = {group_id for (group_id,) in AssetGroup.visible_in(scope).select(AssetGroup.id).tuples()} if found else set()
    return [policy for group_id, policy in sorted(found.items()) if group_id == OWN or group_id in visible]


def _policies(customer_id: str) -> dict[str, Policy]:
    rows = SlaPolicy.select(*(getattr(SlaPolicy, name) for name in _COLUMNS[1:7])).where(SlaPolicy.customer_id == customer_id)
    return {group_id: Policy(group_id or None, *days) for group_id, *days in rows.tuples()}


def replace(scope: Scope, wanted: Sequence[Policy], *, actor: str) -> None:
    """Make the customer's policies these, and bring the due days of all findings in line.

    :raises BadRequest: for an unknown group, or one that is given twice.
    :raises Forbidden: when a principal limited to some groups tries.
    """
    if scope.is_limited_to_groups:
        raise Forbidden("You are limited to some asset groups and cannot change the policies of the whole organization")
    _check(scope, wanted)
    now = clock.now()
    wanted = [policy for policy in wanted if not policy.is_empty]
    rows = [(scope.customer_id, policy.group_id or OWN, policy.critical, policy.high, policy.medium, policy.low, policy.counts_working_days,
             now) for policy in wanted]
    with atomic():
        catalog.mark_terms_stale(scope.customer_id)
        SlaPolicy.delete().where(SlaPolicy.customer_id == scope.customer_id).execute()
        bulk_insert(SlaPolicy, _COLUMNS, rows)
        audit.record("sla.changed", actor=actor, customer_id=scope.customer_id,
                     details={"policies": [dict(zip(_COLUMNS[1:7], row[1:7], strict=True)) for row in rows]})
    while bring_in_line(scope.customer_id):
        pass


def _check(scope: Scope, wanted: Sequence[Policy]) -> None:
    named = [policy.group_id for policy in wanted]
    known = {group_id for (group_id,) in AssetGroup.visible_in(scope).select(AssetGroup.id).tuples()}
    faults = [f"There is no group '{group_id[:40]}'" for group_id in named if group_id is not None and group_id not in known]
    if len(named) != len(set(named)):
        faults.append("A group is given twice")
    if faults:
        raise BadRequest("The policies are not valid", details={"groups": faults})


def resolved(customer_id: str, asset_ids: Sequence[str]) -> dict[str, Terms | None]:
    """The terms that hold for each of these assets; two statements at most, one where there is no policy."""
    known = _policies(customer_id)
    groups = sorted(set(known) - {OWN})
    holding: dict[str, list[str]] = {}
    if groups:
        members = GroupMember.select(GroupMember.asset, GroupMember.group).where(
            GroupMember.customer_id == customer_id, GroupMember.group.in_(groups), GroupMember.asset.in_(list(asset_ids)))
        for asset_id, group_id in members.tuples():
            holding.setdefault(asset_id, []).append(group_id)
    own = known.get(OWN)
    return {asset_id: _combined(own, [known[group_id] for group_id in holding.get(asset_id, ())]) for asset_id in asset_ids}


def _combined(own: Policy | None, of_groups: Sequence[Policy]) -> Terms | None:
    """The strictest of the groups' policies; the customer's own where no group has one, or theirs say nothing."""
    if not of_groups:
        return terms.of([own.rule()] if own is not None else [])
    rules = [policy.rule() for policy in of_groups]
    if own is not None:
        rules += [own.rule(policy.silent_on) for policy in of_groups]
    return terms.of(rules)


def hold_to_policy(asset: Asset) -> None:
    """Before a pull writes an asset's findings: see that the asset has the terms that its groups and policies ask for. One or two
    statements when it has, which is almost always."""
    wanted = _stored(resolved(asset.customer_id, [asset.id])[asset.id])
    if wanted != asset.sla_terms or asset.due_stale_at is not None:
        _apply(asset.customer_id, {asset.id: wanted}, clock.now())
        _derive(asset.customer_id, [asset.id], clock.now())


def _stored(wanted: Terms | None) -> list | None:
    return None if wanted is None else wanted.stored()


def bring_in_line(customer_id: str, deadline: float | None = None) -> bool:
    """Give marked assets the terms that hold now, and their findings the due days that follow. True while there may be more.

    :param deadline: by ``time.monotonic()``; at least some of the work is done.
    """
    started = clock.now()
    marked = list(Asset.select(Asset.id, Asset.sla_terms, Asset.terms_stale_at).where(
        Asset.customer_id == customer_id, Asset.terms_stale_at.is_null(False)).order_by(Asset.id).limit(_ASSETS_AT_ONCE))
    if marked:
        wanted = resolved(customer_id, [asset.id for asset in marked])
        changed = {asset.id: _stored(wanted[asset.id]) for asset in marked if _stored(wanted[asset.id]) != asset.sla_terms}
        _apply(customer_id, changed, started)
        # A mark of this very millisecond may stand for something newer than was read; it is looked at once more.
        _unmark([asset.id for asset in marked], Asset.terms_stale_at, Asset.terms_stale_at < started)
    stale = list(Asset.select(Asset.id, *_OPEN).where(Asset.customer_id == customer_id, Asset.due_stale_at.is_null(False))
                 .order_by(Asset.id).limit(_ASSETS_AT_ONCE).tuples())
    for asset_ids in _portions(stale):
        _derive(customer_id, asset_ids, clock.now())
        if deadline is not None and time.monotonic() > deadline:
            return True
    return bool(marked or stale)


_OPEN = (Asset.open_critical, Asset.open_high, Asset.open_medium, Asset.open_low)


def _portions(stale: Sequence[tuple]) -> Iterable[list[str]]:
    """Assets that together have so many open findings that dealing with them is neither long nor many statements for few."""
    portion, number = [], 0
    for asset_id, *counts in stale:
        portion.append(asset_id)
        number += sum(counts)
        if number >= _FINDINGS_AT_ONCE:
            yield portion
            portion, number = [], 0
    if portion:
        yield portion


def _apply(customer_id: str, wanted: Mapping[str, list | None], now: int) -> None:
    """Write assets' terms, and note that their findings are to follow. From then on pulls count by them."""
    if wanted:
        with atomic():
            catalog.lock(wanted)
            rows = [(customer_id, asset_id, Asset.sla_terms.db_value(stored), now) for asset_id, stored in sorted(wanted.items())]
            bulk_update(Asset, ("customer_id", "id"), rows, update=("sla_terms", "due_stale_at"))


def _derive(customer_id: str, asset_ids: Sequence[str], started: int) -> None:
    """Derive the due days of all open findings of some assets; then these are in line, unless somebody changed the terms meanwhile."""
    keys = restating.keys_of(customer_id, asset_ids, Finding.status == Status.OPEN)
    restating.restate(customer_id, keys, restating.keep)
    _unmark(asset_ids, Asset.due_stale_at, Asset.due_stale_at <= started)


def _unmark(asset_ids: Sequence[str], mark: peewee.Field, is_dealt_with: peewee.Expression) -> None:
    with atomic():
        catalog.lock(asset_ids)
        Asset.update({mark: None}).where(Asset.id.in_(list(asset_ids)), is_dealt_with).execute()


def customers_to_bring_in_line(limit: int) -> list[str]:
    """Customers with marked assets."""
    marked = Asset.terms_stale_at.is_null(False) | Asset.due_stale_at.is_null(False)
    return [customer_id for (customer_id,) in Asset.select(Asset.customer_id).where(marked).distinct().limit(limit).tuples()]


def breached(today: int) -> peewee.Expression:
    """Findings whose due day is over; only open ones have one."""
    return Finding.due_day < today
