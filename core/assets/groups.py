"""Unified asset groups: seeing them, and replacing them whole as the portal's ``PUT /api/asset-groups`` does."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import peewee

from core import audit, clock
from core.assets import catalog
from core.assets.models import Asset, AssetGroup, GroupMember
from core.db import atomic
from core.db.bulk import bulk_insert
from core.errors import BadRequest, Forbidden
from core.ids import new_id
from core.scope import Scope


class ReplaceMode(StrEnum):
    """What a replace covers: all members, or the members of one family alone, leaving the others as they are."""

    ALL = "all"
    VAULT_FOLDERS = "vault_folders"
    DAST_ENVIRONMENTS = "dast_environments"


#: asset kinds that each narrow mode replaces; ``all`` replaces every kind
KINDS_OF_MODE = {ReplaceMode.VAULT_FOLDERS: frozenset({"vault_folder"}), ReplaceMode.DAST_ENVIRONMENTS: frozenset({"dast_environment"})}


@dataclass(frozen=True, slots=True)
class GroupDraft:
    """A group as a client sends it. Without ``id`` it is new; ``shared`` means MSP-wide (``customerId`` null)."""

    name: str
    asset_ids: tuple[str, ...]
    id: str | None = None
    description: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A visible group with its living members in the scope."""

    row: AssetGroup
    members: tuple[Asset, ...]


def listing(scope: Scope) -> list[Group]:
    """Visible groups by name, MSP-wide ones first, in two statements."""
    groups = list(AssetGroup.visible_in(scope).order_by(AssetGroup.customer_id.is_null(False), AssetGroup.name, AssetGroup.id))
    members: dict[str, list[Asset]] = {}
    query = (Asset.within(scope).select_extend(GroupMember.group.alias("group_id"))
             .join(GroupMember, on=(GroupMember.asset == Asset.id) & (GroupMember.customer_id == Asset.customer_id))
             .order_by(Asset.name, Asset.id).objects())
    for asset in query:
        members.setdefault(asset.group_id, []).append(asset)
    return [Group(row, tuple(members.get(row.id, ()))) for row in groups]


def replace(scope: Scope, drafts: Sequence[GroupDraft], mode: ReplaceMode, *, may_change_shared: bool, actor: str) -> None:
    """Make the groups what ``drafts`` say; all or nothing.

    With ``all``, groups that the caller may change and that are not in ``drafts`` are removed. The narrow modes change only the
    members of their family in the groups that ``drafts`` name (new ones are made), and remove no group.
    Somebody who may not change MSP-wide groups has those passed over, found by id or by name, and never made anew as his own.

    :raises BadRequest: for an unknown group or asset, a name twice.
    :raises Forbidden: when a principal limited to some groups tries.
    """
    if scope.is_limited_to_groups:
        raise Forbidden("You are limited to some asset groups and cannot replace them")
    with atomic():
        catalog.mark_terms_stale(scope.customer_id)  # a policy may hang on a group
        known = {group.id: group for group in AssetGroup.visible_in(scope)}
        own = [draft for draft in drafts if may_change_shared or not _is_shared(draft, known)]
        _check(scope, own, known)
        before = _snapshot(scope, known)
        kept = [_write(scope, draft, known, mode, may_change_shared) for draft in own]
        if mode is ReplaceMode.ALL:
            removable = {key for key, group in known.items() if may_change_shared or group.customer_id is not None}
            _remove(scope, removable.difference(kept))
        audit.record("groups.replaced", actor=actor, target=mode, customer_id=scope.customer_id,
                     details={"before": before, "groups": [{"id": key, "name": draft.name} for key, draft in zip(kept, own, strict=True)]})


def _is_shared(draft: GroupDraft, known: dict[str, AssetGroup]) -> bool:
    """Whether a draft stands for an MSP-wide group: by its id, by what it says, or by the name of one when it has no id."""
    if draft.id in known:
        return known[draft.id].customer_id is None
    if draft.shared:
        return True
    return draft.id is None and draft.name.casefold() in {group.name.casefold() for group in known.values() if group.customer_id is None}


def _check(scope: Scope, drafts: Sequence[GroupDraft], known: dict[str, AssetGroup]) -> None:
    faults: dict[str, list[str]] = {}
    for draft in drafts:
        if draft.id is not None and draft.id not in known:
            faults.setdefault("groups", []).append(f"There is no group '{draft.id[:40]}'")
    ids = [draft.id for draft in drafts if draft.id is not None]
    if len(ids) != len(set(ids)):
        faults.setdefault("groups", []).append("A group is given twice")
    names = [(_will_be_shared(draft, known), draft.name.casefold()) for draft in drafts]
    if len(names) != len(set(names)):
        faults.setdefault("groups", []).append("Two groups have the same name")
    wanted = {asset_id for draft in drafts for asset_id in draft.asset_ids}
    there = {key for (key,) in Asset.within(scope).select(Asset.id).where(Asset.id.in_(sorted(wanted))).tuples()}
    if wanted - there:
        faults["members"] = [f"There is no asset '{key[:40]}'" for key in sorted(wanted - there)[:20]]
    if faults:
        raise BadRequest("The groups are not valid", details=faults)


def _will_be_shared(draft: GroupDraft, known: dict[str, AssetGroup]) -> bool:
    return known[draft.id].customer_id is None if draft.id in known else draft.shared


def _write(scope: Scope, draft: GroupDraft, known: dict[str, AssetGroup], mode: ReplaceMode, may_change_shared: bool) -> str:
    now = clock.now()
    if draft.id is None:
        group_id = new_id("grp")
        AssetGroup.create(id=group_id, customer_id=None if draft.shared and may_change_shared else scope.customer_id, name=draft.name,
                          description=draft.description, created_at=now, updated_at=now)
    else:
        group_id = draft.id
        if mode is ReplaceMode.ALL:
            AssetGroup.update(name=draft.name, description=draft.description, updated_at=now).where(AssetGroup.id == group_id).execute()
    _replace_members(scope, group_id, draft.asset_ids, KINDS_OF_MODE.get(mode), now)
    return group_id


def _replace_members(scope: Scope, group_id: str, asset_ids: Sequence[str], family: Collection[str] | None, now: int) -> None:
    """This customer's members of a group. What the scope does not show (pruned assets, sources that are off) keeps its place."""
    replaced, joining = Asset.within(scope).select(Asset.id), list(dict.fromkeys(asset_ids))
    if family is not None:
        replaced = replaced.where(Asset.kind.in_(sorted(family)))
        joining = [key for (key,) in replaced.where(Asset.id.in_(joining)).tuples()]  # members of other families are not ours to change
    GroupMember.delete().where(GroupMember.customer_id == scope.customer_id, GroupMember.group == group_id,
                               GroupMember.asset.in_(replaced)).execute()
    bulk_insert(GroupMember, ("customer_id", "group_id", "asset_id", "added_at"),
                [(scope.customer_id, group_id, asset_id, now) for asset_id in joining])


def _remove(scope: Scope, group_ids: Collection[str]) -> None:
    """Remove groups. An MSP-wide group that still holds assets of other customers only loses this customer's."""
    if not group_ids:
        return
    among = GroupMember.group.in_(sorted(group_ids))
    GroupMember.delete().where(among, GroupMember.customer_id == scope.customer_id).execute()
    still_used = GroupMember.select(GroupMember.group).where(among)
    AssetGroup.delete().where(AssetGroup.id.in_(sorted(group_ids)), AssetGroup.id.not_in(still_used)).execute()


def _snapshot(scope: Scope, known: dict[str, AssetGroup]) -> list[dict[str, Any]]:
    """Groups with their member counts, for the audit log: a replace can undo a lot of somebody's work."""
    counted = dict(GroupMember.select(GroupMember.group, peewee.fn.COUNT(GroupMember.asset)).where(
        GroupMember.customer_id == scope.customer_id).group_by(GroupMember.group).tuples())
    return [{"id": group.id, "name": group.name, "members": counted.get(group.id, 0)} for group in known.values()]
