"""The catalogue of permission nodes on the ``/v1`` surface. It tells of no customer, so whoever reads roles anywhere may see it."""

from flask_smorest import Blueprint
from marshmallow import fields

from core.access import catalogue
from core.access.catalogue import CatalogueNode, Category
from core.access.v1_schemas import CatalogueNodeSchema, CategorySchema
from core.errors import NotFound
from core.http import v1
from core.http.access import CustomerFrom, requires

blp = Blueprint("v1_permissions", __name__, url_prefix="/v1/permissions", description="The catalogue of permissions")
_LONGEST_SHOWN = 64


@blp.get("")
@requires("role.read", customer=CustomerFrom.ANY)
@v1.answers(blp, fields.Dict(keys=fields.String(), values=fields.Nested(CategorySchema)), "Permission Nodes Fetched Successfully!")
def list_categories() -> dict[str, Category]:
    """All permission nodes by category."""
    return catalogue.current()


@blp.get("/nodes")
@requires("role.read", customer=CustomerFrom.ANY)
@v1.answers(blp, CatalogueNodeSchema(many=True), "All Permission Nodes Fetched Successfully!")
def list_nodes() -> list[CatalogueNode]:
    """All permission nodes, each once."""
    return catalogue.nodes()


@blp.get("/<category>")
@requires("role.read", customer=CustomerFrom.ANY)
@v1.answers(blp, CategorySchema, "Permission Category Fetched Successfully!")
def get_category(category: str) -> Category:
    """One category, by its key."""
    found = catalogue.current().get(category)
    if found is None:
        raise NotFound(f'Permission category "{category[:_LONGEST_SHOWN]}" not found')
    return found
