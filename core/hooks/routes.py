"""``GET /api/plugins``. Names no customer's data, so whoever holds the node anywhere may read it."""

from typing import Any

from flask_smorest import Blueprint

from core.hooks.schemas import PluginListSchema
from core.http.access import CustomerFrom, requires
from core.http.deployed import deployment

blp = Blueprint("plugins", __name__, url_prefix="/api", description="The plugins of this deployment")


@blp.get("/plugins")
@requires("plugin.read", customer=CustomerFrom.ANY)
@blp.response(200, PluginListSchema)
def list_plugins() -> dict[str, Any]:
    """Every plugin with its state, and why when it is not running"""
    return {"plugins": deployment().plugins.listing()}
