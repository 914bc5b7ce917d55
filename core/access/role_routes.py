"""Roles on the ``/v1`` surface. A role belongs to the whole deployment, so changing one takes the nodes everywhere; reading is
narrowed to the caller's customers, as with users."""

from typing import Any

from flask_smorest import Blueprint

from core.access import roles, users
from core.access.models import Role
from core.access.nodes import NodeRegistry
from core.access.reach import reach_of
from core.access.users import Account
from core.access.v1_schemas import DeletedRoleSchema, NewRoleSchema, NodesSchema, RoleChangesSchema, RoleSchema, RoleUserSchema
from core.http import v1
from core.http.access import CustomerFrom, current_principal, requires
from core.http.deployed import deployment

blp = Blueprint("v1_roles", __name__, url_prefix="/v1/role", description="Roles: named gatherings of permissions")


@blp.post("")
@requires("role.create", customer=CustomerFrom.NONE)
@blp.arguments(NewRoleSchema)
@v1.answers(blp, RoleSchema, "Role Created Successfully!", status=201)
def create_role(facts: dict[str, Any]) -> Role:
    """Make a role; 409 when the moniker is taken."""
    return roles.create(current_principal(), **facts, registry=_registry())


@blp.get("")
@requires("role.read", "role.list", customer=CustomerFrom.ANY)
@v1.answers(blp, RoleSchema(many=True), "Roles Fetched Successfully!")
def list_roles() -> list[Role]:
    """The roles within reach, oldest first."""
    return roles.listing(reach_of(current_principal(), "role.read", "role.list"))


@blp.get("/<identifier>")
@requires("role.read", customer=CustomerFrom.ANY)
@v1.answers(blp, RoleSchema, "Role Fetched Successfully!")
def get_role(identifier: str) -> Role:
    """One role, by id or moniker."""
    return roles.find(identifier, reach_of(current_principal(), "role.read"))


@blp.patch("/<identifier>")
@requires("role.modify", customer=CustomerFrom.NONE)
@blp.arguments(RoleChangesSchema)
@v1.answers(blp, RoleSchema, "Role Updated Successfully!")
def change_role(changes: dict[str, Any], identifier: str) -> Role:
    """Change title, moniker, or all permissions; 409 for a shipped role."""
    return roles.change(current_principal(), identifier, _registry(), **changes)


@blp.delete("/<identifier>")
@requires("role.delete", customer=CustomerFrom.NONE)
@v1.answers(blp, DeletedRoleSchema, "Role Deleted Successfully!")
def delete_role(identifier: str) -> Role:
    """Delete a role and take it from all who hold it; 409 for a shipped role."""
    return roles.delete(current_principal(), identifier)


@blp.post("/<identifier>/permissions")
@requires("role.modify", customer=CustomerFrom.NONE)
@blp.arguments(NodesSchema)
@v1.answers(blp, RoleSchema, "Permissions Added Successfully!")
def add_permissions(body: dict[str, list[str]], identifier: str) -> Role:
    """Let a role gather these permissions too."""
    return roles.add_nodes(current_principal(), identifier, body["permissions"], _registry())


@blp.delete("/<identifier>/permissions")
@requires("role.modify", customer=CustomerFrom.NONE)
@blp.arguments(NodesSchema)
@v1.answers(blp, RoleSchema, "Permissions Removed Successfully!")
def remove_permissions(body: dict[str, list[str]], identifier: str) -> Role:
    """Take permissions out of a role."""
    return roles.remove_nodes(current_principal(), identifier, body["permissions"], _registry())


@blp.get("/<identifier>/users")
@requires("role.read", "user.read", customer=CustomerFrom.ANY)
@v1.answers(blp, RoleUserSchema(many=True), "Users Fetched Successfully!")
def list_users_with_role(identifier: str) -> list[Account]:
    """The users who hold a role, by e-mail, each with the ids of all his roles."""
    reach = reach_of(current_principal(), "role.read", "user.read")
    return users.holders_of(roles.find(identifier, reach), reach)


def _registry() -> NodeRegistry:
    return NodeRegistry(deployment().plugins.permission_nodes)
