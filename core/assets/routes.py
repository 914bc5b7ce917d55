"""Assets and their unified groups."""

from typing import Any

from flask_smorest import Blueprint

from core.assets import groups, service
from core.assets.groups import GroupDraft, ReplaceMode
from core.assets.models import Asset
from core.assets.schemas import AssetFilterSchema, AssetPageSchema, AssetSchema, GroupListSchema, ReplaceGroupsSchema
from core.http.access import current_principal, current_scope, requires
from core.http.caching import revalidated
from core.http.paging import cursor_after, key_of

blp = Blueprint("assets", __name__, url_prefix="/api", description="Assets and unified asset groups")


@blp.get("/asset-groups")
@requires("group.read")
@revalidated
@blp.response(200, GroupListSchema)
def list_groups() -> dict[str, Any]:
    """Unified groups visible in the session's organization: MSP-wide ones (``customerId`` null) and its own."""
    return {"groups": groups.listing(current_scope())}


@blp.put("/asset-groups")
@requires("group.write", conditional=("group.write.shared",))
@blp.arguments(ReplaceGroupsSchema)
@blp.response(200, GroupListSchema)
def replace_groups(body: dict[str, Any]) -> dict[str, Any]:
    """Replace groups; all or nothing.

    ``all`` makes the groups what the body says and removes the others. ``vault_folders`` and ``dast_environments`` change only
    the members of that family in the groups named. Who may not change MSP-wide groups has them passed over: they are neither
    changed nor made anew as the organization's own.
    """
    scope, principal = current_scope(), current_principal()
    drafts: list[GroupDraft] = body["groups"]
    mode: ReplaceMode = body["replace_mode"]
    groups.replace(scope, drafts, mode, may_change_shared=principal.holds("group.write.shared"), actor=principal.actor)
    return {"groups": groups.listing(scope)}


@blp.get("/assets")
@requires("asset.list")
@revalidated
@blp.arguments(AssetFilterSchema, location="query")
@blp.response(200, AssetPageSchema)
def list_assets(wanted: dict[str, Any]) -> dict[str, Any]:
    """Assets by name, grouped or not, each with its open counts."""
    assets, after = service.page(current_scope(), source=wanted["source"], text=wanted["text"], pruned=wanted["pruned"],
                                 after=key_of(wanted["cursor"], str, str), limit=wanted["limit"])
    return {"assets": assets, "next_cursor": cursor_after(after)}


@blp.post("/assets/<asset_id>/restore")
@requires("run.decide")
@blp.response(200, AssetSchema)
def restore_asset(asset_id: str) -> Asset:
    """Bring back an asset that a sync removed, with its findings and groups, as long as it is not deleted for good."""
    return service.restore(current_scope(), asset_id, actor=current_principal().actor)
