"""Keeping the assets of a connection in step with its source's catalog."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from core import clock
from core.assets.models import Asset, AssetGroup, GroupMember
from core.db import JsonField, atomic, is_postgres
from core.db.bulk import bulk_insert, bulk_upsert, rows_by_key
from core.db.texts import clean, key_of
from core.hooks.contracts import AssetDraft
from core.ids import new_id

BATCH = 500
_COLUMNS = ("id", "customer_id", "connection_id", "source", "kind", "discipline", "external_key", "lineage", "name", "url", "attributes",
            "open_critical", "open_high", "open_medium", "open_low", "open_info", "findings_total", "findings_remediated",
            "discovered_at", "pruned_at")
_KEY = ("customer_id", "connection_id", "external_key")
_REWRITTEN = ("kind", "discipline", "lineage", "name", "url", "attributes", "pruned_at")
_NO_FINDINGS = (0,) * 7


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose catalog it is. ``group_id``: the group that newly discovered assets join."""

    customer_id: str
    connection_id: str
    source: str
    group_id: str | None


def store(owner: Owner, drafts: Sequence[AssetDraft], discipline_of: Callable[[str], str]) -> dict[str, str]:
    """Insert or refresh the assets of one batch; a pruned one that is there again is restored, with its groups.

    :param discipline_of: discipline by asset kind.
    :returns: asset ids by the source's key as ``core.db.texts.key_of`` stores it.
    """
    by_key = {key_of(draft.key): draft for draft in drafts}
    fixed = {"customer_id": owner.customer_id, "connection_id": owner.connection_id}
    with atomic():
        said_before = ("external_key", "id", "kind", "lineage", "name", "url", "attributes", "pruned_at")
        known = {row[0]: row[1:] for row in rows_by_key(Asset, said_before, fixed, "external_key", list(by_key))}
        now, rows, joining = clock.now(), [], []
        ids = {key: stored[0] for key, stored in known.items()}
        for key, draft in by_key.items():
            said = (draft.kind, key_of(draft.lineage or draft.key), clean(draft.name)[:500], clean(draft.url)[:2000], _attributes(draft))
            if key in known and (*said, None) == known[key][1:]:
                continue
            if key not in known:
                ids[key] = new_id("ast")
                joining.append(ids[key])
            kind, *described = said
            rows.append((ids[key], owner.customer_id, owner.connection_id, owner.source, kind, discipline_of(kind), key, *described,
                         *_NO_FINDINGS, now, None))
        bulk_upsert(Asset, _COLUMNS, sorted(rows), conflict=_KEY, update=_REWRITTEN)  # in the order of ``lock``
        if owner.group_id and joining and AssetGroup.select().where(AssetGroup.id == owner.group_id).exists():
            bulk_insert(GroupMember, ("customer_id", "group_id", "asset_id", "added_at"),
                        [(owner.customer_id, owner.group_id, asset_id, now) for asset_id in joining])
    return ids


def _attributes(draft: AssetDraft) -> str:
    return clean(JsonField().db_value(dict(draft.attributes)) or "")


def lock(asset_ids: Collection[str]) -> None:
    """Keep everybody else from writing these assets' findings until the transaction ends. Whoever writes findings takes their
    assets first, all at once and in this order, so that no two wait for each other."""
    if is_postgres() and asset_ids:  # SQLite's IMMEDIATE transactions are alone already
        list(Asset.select(Asset.id).where(Asset.id.in_(list(asset_ids))).order_by(Asset.id).for_update().tuples())


def mark_terms_stale(customer_id: str) -> None:
    """Note that a customer's assets may be held to other terms than they carry: its policies or its groups changed."""
    mine = Asset.customer_id == customer_id
    lock([asset_id for (asset_id,) in Asset.select(Asset.id).where(mine).tuples()])
    Asset.update(terms_stale_at=clock.now()).where(mine).execute()


def prune(customer_id: str, asset_ids: Sequence[str]) -> int:
    """Take assets out of every list and total, restorable until they are deleted; their group memberships rest with them.
    Inside a transaction."""
    lock(asset_ids)
    return (Asset.update(pruned_at=clock.now())
            .where(Asset.customer_id == customer_id, Asset.id.in_(list(asset_ids)), Asset.pruned_at.is_null()).execute())


def restore(customer_id: str, asset_id: str) -> bool:
    """Bring a pruned asset back with its groups and findings; False when there is no such pruned asset."""
    return bool(Asset.update(pruned_at=None).where(Asset.customer_id == customer_id, Asset.id == asset_id,
                                                   Asset.pruned_at.is_null(False)).execute())
