"""Users on the ``/v1`` surface.

A customer's administrator reaches the users of his customers alone: each route asks for its nodes anywhere, and the service
narrows what it shows and changes to where they are held (``core.access.reach``).
"""

from typing import Any

from flask_smorest import Blueprint

from core.access import explaining, users
from core.access.explaining import Checked
from core.access.models import Role
from core.access.nodes import NodeRegistry
from core.access.reach import Reach, reach_of
from core.access.users import Account, DirectNode
from core.access.v1_schemas import (
    ChangedOwnUserSchema,
    CheckResultsSchema,
    CheckSchema,
    DirectNodeSchema,
    NewServiceAccountSchema,
    OwnChangesSchema,
    OwnUserSchema,
    UserChangesSchema,
    UserRoleSchema,
    UserSchema,
)
from core.http import v1
from core.http.access import CustomerFrom, current_principal, require_also, requires
from core.http.deployed import deployment

blp = Blueprint("v1_users", __name__, url_prefix="/v1/user", description="Users, and what they may")


@blp.get("/@me")
@requires("user.read", customer=CustomerFrom.ANY)
@v1.answers(blp, OwnUserSchema, "Fetched user.")
def get_own_user() -> Account:
    """One's own user."""
    return users.account_of(users.find(current_principal().user_id, Reach()), Reach())


@blp.patch("/@me")
@requires("user.write", customer=CustomerFrom.ANY)
@blp.arguments(OwnChangesSchema)
@v1.answers(blp, ChangedOwnUserSchema, "Successfully updated user.")
def change_own_user(changes: dict[str, str]) -> Account:
    """Change one's own name or picture."""
    return users.change_own(current_principal(), changes)


@blp.post("/@me/check-permission")
@requires("user.read", customer=CustomerFrom.ANY)
@blp.arguments(CheckSchema)
@v1.answers(blp, CheckResultsSchema, "Permission check completed.")
def check_own_permissions(asked: dict[str, Any]) -> dict[str, list[Checked]]:
    """Whether one holds these permissions, everywhere or in at least one company; with ``trace`` also why."""
    return {"results": explaining.check_own(current_principal(), asked["permissions"], traced=asked["trace"])}


@blp.get("/users")
@requires("user.read.other", "user.list.other", customer=CustomerFrom.ANY)
@v1.answers(blp, UserSchema(many=True), "Users Fetched Successfully!")
def list_users() -> list[Account]:
    """The users within reach, by e-mail."""
    return users.listing(reach_of(current_principal(), "user.read.other", "user.list.other"))


@blp.get("/users/<identifier>")
@requires("user.read.other", customer=CustomerFrom.ANY)
@v1.answers(blp, UserSchema, "User Fetched Successfully!")
def get_user(identifier: str) -> Account:
    """One user."""
    reach = reach_of(current_principal(), "user.read.other")
    return users.account_of(users.find(identifier, reach), reach)


@blp.patch("/users/<identifier>")
@requires("user.write.other", customer=CustomerFrom.ANY, conditional=("user.roles.other", "user.permissions.other"))
@blp.arguments(UserChangesSchema)
@v1.answers(blp, UserSchema, "User Updated Successfully!")
def change_user(changes: dict[str, Any], identifier: str) -> Account:
    """Change a user, or replace all roles or permissions that he holds. Nobody gives what he does not hold himself."""
    if "roles" in changes:
        require_also("user.roles.other", "You do not have permission to modify roles on another user.")
    if "permissions" in changes:
        require_also("user.permissions.other", "You do not have permission to modify permissions on another user.")
    return users.change(current_principal(), identifier, changes, NodeRegistry(deployment().plugins.permission_nodes))


@blp.delete("/users/<identifier>")
@requires("user.delete.other", customer=CustomerFrom.ANY)
@v1.answers(blp, UserSchema, "User Deleted Successfully!")
def delete_user(identifier: str) -> Account:
    """Delete a user with his sessions and tokens. What he did stays in the audit log."""
    return users.delete(current_principal(), identifier)


@blp.get("/users/<identifier>/roles")
@requires("user.read.other", "role.read", customer=CustomerFrom.ANY)
@v1.answers(blp, UserRoleSchema(many=True), "User Roles Fetched Successfully!")
def list_roles_of_user(identifier: str) -> tuple[Role, ...]:
    """The roles that a user holds."""
    reach = reach_of(current_principal(), "user.read.other", "role.read")
    return users.account_of(users.find(identifier, reach), reach).roles


@blp.get("/users/<identifier>/permissions")
@requires("user.read.other", customer=CustomerFrom.ANY)
@v1.answers(blp, DirectNodeSchema(many=True), "User Permissions Fetched Successfully!")
def list_permissions_of_user(identifier: str) -> list[DirectNode]:
    """The permissions that a user holds beside his roles, and where."""
    reach = reach_of(current_principal(), "user.read.other")
    return users.direct_nodes(users.find(identifier, reach), reach)


@blp.post("/users/<identifier>/check-permission")
@requires("user.read.other", customer=CustomerFrom.ANY)
@blp.arguments(CheckSchema)
@v1.answers(blp, CheckResultsSchema, "Permission check completed.")
def check_permissions_of_user(asked: dict[str, Any], identifier: str) -> dict[str, list[Checked]]:
    """Whether a user holds these permissions; with ``trace`` also why."""
    reach = reach_of(current_principal(), "user.read.other")
    return {"results": explaining.check(users.find(identifier, reach), asked["permissions"], reach, traced=asked["trace"])}


@blp.get("/service-accounts")
@requires("user.read.other", "user.list.other", customer=CustomerFrom.ANY)
@v1.answers(blp, UserSchema(many=True), "Service Accounts Fetched Successfully!")
def list_service_accounts() -> list[Account]:
    """The accounts of programs within reach, by login."""
    return users.service_accounts(reach_of(current_principal(), "user.read.other", "user.list.other"))


@blp.post("/service-accounts")
@requires("user.create.service", customer=CustomerFrom.ANY)
@blp.arguments(NewServiceAccountSchema)
@v1.answers(blp, UserSchema, "Service Account Created Successfully!", status=201)
def create_service_account(facts: dict[str, Any]) -> Account:
    """Make an account for a program: it never signs in, and acts by API tokens."""
    return users.create_service_account(current_principal(), facts)
