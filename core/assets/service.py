"""Reading assets, and bringing pruned ones back."""

import peewee

from core import audit
from core.assets import catalog
from core.assets.models import Asset
from core.db import atomic
from core.errors import NotFound
from core.scope import Scope


def page(scope: Scope, *, source: str = "", text: str = "", pruned: bool = False, after: tuple[str, str] | None = None,
         limit: int = 100) -> tuple[list[Asset], tuple[str, str] | None]:
    """Assets by name, and the key that continues the list. ``pruned`` asks for those that can be restored instead."""
    query = Asset.pruned_within(scope) if pruned else Asset.within(scope)
    if source:
        query = query.where(Asset.source == source)
    if text:
        query = query.where(Asset.name.contains(text) | Asset.external_key.contains(text))
    if after is not None:
        query = query.where(peewee.Tuple(Asset.name, Asset.id) > peewee.Tuple(*after))
    found = list(query.order_by(Asset.name, Asset.id).limit(limit + 1))
    more = len(found) > limit
    return found[:limit], (found[limit - 1].name, found[limit - 1].id) if more else None


def restore(scope: Scope, asset_id: str, *, actor: str) -> Asset:
    """Bring a pruned asset back with its groups and findings. The next full sync prunes it again if the source still lacks it.

    :raises NotFound: when there is no such pruned asset in the scope.
    """
    with atomic():
        if not Asset.pruned_within(scope).where(Asset.id == asset_id).exists() or not catalog.restore(scope.customer_id, asset_id):
            raise NotFound("There is no such removed asset")
        audit.record("asset.restored", actor=actor, target=asset_id, customer_id=scope.customer_id)
    return Asset.get_by_id(asset_id)
