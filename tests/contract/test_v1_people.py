"""Every example of the v1 document about users, roles and permissions: request, status, envelope, field names, messages.

Values are the document's, except ids and times, which only have to be of their kind.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.access.models import Role
from core.access.nodes import NodeRegistry
from core.access.roles import create
from core.app import create_app
from core.db import db
from core.people.models import User
from tests.factories import SETTINGS, bearer, give_nodes, make_token, make_user, signed_in_client


@dataclass(frozen=True)
class Like:
    """Stands in an expected answer for any text of a kind."""

    pattern: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.pattern, other) is not None

    __hash__ = None  # type: ignore[assignment]


ID = Like(r"[a-z]{3}_[0-9a-z]{14}")
TIME = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
AVATAR = "https://example.com/avatar.jpg"
SYSTEM_ADMINISTRATOR = {"title": "System Administrator", "moniker": "system_admin",
                        "permissions": ["user.read", "user.write", "company.fetch", "credential.create"]}


@pytest.fixture
def house(database: str) -> Iterator[Flask]:
    """The whole app, since the examples name permissions of plugins."""
    app = create_app(replace(SETTINGS, database_url=database))
    access.ensure_built_in_roles()
    yield app
    if not db.is_closed():
        db.close()


@pytest.fixture
def registry(house: Flask) -> NodeRegistry:
    return NodeRegistry(house.extensions["stockade"].plugins.permission_nodes)


@pytest.fixture
def admin(house: Flask, registry: NodeRegistry) -> FlaskClient:
    """John Doe, who holds the role ``admin``."""
    create(access.COMMAND, title="Administrator", moniker="admin", permissions=["*"], registry=registry)
    create(access.COMMAND, title="Moderator", moniker="moderator", permissions=["user.read.other"], registry=registry)
    user = make_user(email="john.doe@example.com")
    User.update(name="John Doe", image="https://example.com/john.jpg").where(User.id == user.id).execute()
    access.grant_role(access.COMMAND, user, "admin")
    return signed_in_client(house, user=user)


@pytest.fixture
def jane(house: Flask) -> User:
    return make_user(email="jane.doe@example.com")


def holding(house: Flask, *nodes: str) -> FlaskClient:
    """A caller who holds these and nothing else."""
    return signed_in_client(house, user=give_nodes(make_user(), *nodes))


def told(answer: Any) -> dict[str, Any]:
    body = answer.get_json()
    assert body["status"] == answer.status_code
    return body


def well(message: str, data: Any, status: int = 200) -> dict[str, Any]:
    return {"status": status, "message": message, "data": data, "successful": True}


def ill(status: int, message: str, error: str | None = None) -> dict[str, Any]:
    return {"status": status, "message": message, **({"error": error} if error else {}), "successful": False}


JOHN = {"id": ID, "name": "John Doe", "email": "john.doe@example.com", "login": "john.doe", "image": "https://example.com/john.jpg",
        "roles": ["admin"]}

# -- user -------------------------------------------------------------------------------------------------------------------


def test_get_current_user(admin):
    assert told(admin.get("/v1/user/@me")) == well("Fetched user.", {**JOHN, "createdAt": TIME, "updatedAt": TIME})


def test_update_current_user(house, jane, registry):
    client = signed_in_client(house, user=give_nodes(jane, "user.write"))
    assert told(client.patch("/v1/user/@me", json={"name": "Jane Doe", "image": AVATAR})) == well(
        "Successfully updated user.", {"id": jane.id, "name": "Jane Doe", "email": "jane.doe@example.com", "image": AVATAR})


def test_check_user_permissions(house):
    client = holding(house, "user.read", "credential.*")
    answer = client.post("/v1/user/@me/check-permission", json={"permissions": ["user.read", "company.create", "credential.write"]})
    assert told(answer) == well("Permission check completed.", {"results": [
        {"permission": "user.read", "hasPermission": True}, {"permission": "company.create", "hasPermission": False},
        {"permission": "credential.write", "hasPermission": True}]})


def test_get_all_users(admin):
    assert told(admin.get("/v1/user/users")) == well("Users Fetched Successfully!", [JOHN])


def test_get_user_by_id(admin):
    john = User.get()
    assert told(admin.get(f"/v1/user/users/{john.id}")) == well("User Fetched Successfully!", {**JOHN, "id": john.id})


def test_a_user_who_is_not_there(admin):
    for answer in (admin.get("/v1/user/users/ckx123"), admin.patch("/v1/user/users/ckx123", json={"name": "Jane Doe"}),
                   admin.delete("/v1/user/users/ckx123"), admin.get("/v1/user/users/ckx123/roles"),
                   admin.post("/v1/user/users/ckx123/check-permission", json={"permissions": ["user.read"]})):
        assert told(answer) == ill(404, "User with identifier 'ckx123' was not found.", "UserNotFound")


def test_update_user_by_id(admin, jane):
    body = {"name": "Jane Doe", "image": AVATAR, "roles": ["admin", "moderator"], "permissions": ["credential.fetch", "company.fetch"]}
    expected = {"id": jane.id, "name": "Jane Doe", "email": "jane.doe@example.com", "login": "jane.doe", "image": AVATAR,
                "roles": ["admin", "moderator"]}
    assert told(admin.patch(f"/v1/user/users/{jane.id}", json=body)) == well("User Updated Successfully!", expected)


def test_every_field_of_an_update_is_optional(admin, jane):
    for body in ({}, {"name": "Jane Doe"}, {"image": AVATAR}, {"roles": []}, {"permissions": []}):
        assert admin.patch(f"/v1/user/users/{jane.id}", json=body).status_code == 200


@pytest.mark.parametrize(("body", "message"), [
    ({"roles": ["moderator"]}, "You do not have permission to modify roles on another user."),
    ({"permissions": ["company.fetch"]}, "You do not have permission to modify permissions on another user.")])
def test_roles_and_permissions_take_a_node_of_their_own(house, admin, jane, body, message):
    answer = holding(house, "user.write.other").patch(f"/v1/user/users/{jane.id}", json={"name": "Jane Doe", **body})
    assert told(answer) == ill(403, message, "InsufficientPermission")
    assert User.get_by_id(jane.id).name == "Ada"
    assert holding(house, "user.write.other").patch(f"/v1/user/users/{jane.id}", json={"name": "Jane Doe"}).status_code == 200


def test_delete_user_by_id(house, admin):
    john = User.get()
    answer = holding(house, "user.delete.other").delete(f"/v1/user/users/{john.id}")
    assert told(answer) == well("User Deleted Successfully!", {**JOHN, "id": john.id})
    assert User.get_or_none(User.id == john.id) is None


def test_get_user_roles(admin):
    assert told(admin.get(f"/v1/user/users/{User.get().id}/roles")) == well("User Roles Fetched Successfully!", [
        {"id": ID, "title": "Administrator", "moniker": "admin", "permissions": ["*"]}])


def test_check_user_permissions_of_another_user(admin, jane):
    give_nodes(jane, "user.read", "credential.*")
    answer = admin.post(f"/v1/user/users/{jane.id}/check-permission",
                        json={"permissions": ["user.read", "company.fetch", "credential.write"]})
    assert told(answer) == well("Permission check completed.", {"results": [
        {"permission": "user.read", "hasPermission": True}, {"permission": "company.fetch", "hasPermission": False},
        {"permission": "credential.write", "hasPermission": True}]})


# -- roles ------------------------------------------------------------------------------------------------------------------

DATED = {"createdAt": TIME, "updatedAt": TIME}


@pytest.fixture
def system_admin(registry: NodeRegistry) -> Role:
    return create(access.COMMAND, **SYSTEM_ADMINISTRATOR, registry=registry)


def test_create_role(admin):
    assert told(admin.post("/v1/role", json=SYSTEM_ADMINISTRATOR)) == well(
        "Role Created Successfully!", {"id": ID, **SYSTEM_ADMINISTRATOR, **DATED}, 201)


def test_a_role_begins_without_permissions_when_none_are_named(admin):
    assert told(admin.post("/v1/role", json={"title": "Viewer", "moniker": "viewer"}))["data"]["permissions"] == []


def test_get_role_by_id_or_moniker(admin, system_admin):
    for identifier in (system_admin.id, "system_admin"):
        assert told(admin.get(f"/v1/role/{identifier}")) == well(
            "Role Fetched Successfully!", {"id": system_admin.id, **SYSTEM_ADMINISTRATOR, **DATED})


def test_get_all_roles(admin, system_admin):
    body = told(admin.get("/v1/role"))
    assert {**body, "data": body["data"][-1:]} == well(
        "Roles Fetched Successfully!", [{"id": system_admin.id, **SYSTEM_ADMINISTRATOR, **DATED}])


def test_update_role(admin, system_admin):
    body = {"title": "Super Administrator", "moniker": "super_admin", "permissions": ["*"]}
    assert told(admin.patch("/v1/role/system_admin", json=body)) == well(
        "Role Updated Successfully!", {"id": system_admin.id, **body, **DATED})


def test_delete_role(admin, system_admin):
    assert told(admin.delete("/v1/role/system_admin")) == well("Role Deleted Successfully!", {
        "id": system_admin.id, "title": "System Administrator", "moniker": "system_admin", **DATED})


def test_add_permissions_to_role_and_remove_them(admin, system_admin):
    added = told(admin.post("/v1/role/system_admin/permissions", json={"permissions": ["credential.update", "credential.delete"]}))
    nodes = [*SYSTEM_ADMINISTRATOR["permissions"], "credential.update", "credential.delete"]
    assert added == well("Permissions Added Successfully!", {"id": system_admin.id, **SYSTEM_ADMINISTRATOR, "permissions": nodes, **DATED})
    removed = told(admin.delete("/v1/role/system_admin/permissions", json={"permissions": ["credential.delete"]}))
    assert removed == well("Permissions Removed Successfully!",
                           {"id": system_admin.id, **SYSTEM_ADMINISTRATOR, "permissions": nodes[:-1], **DATED})


def test_get_users_with_role(house, admin, system_admin):
    john = User.get()
    access.grant_role(access.COMMAND, john, "system_admin")
    admin_id = Role.get(Role.moniker == "admin").id
    assert told(admin.get("/v1/role/system_admin/users")) == well("Users Fetched Successfully!", [
        {"id": john.id, "name": "John Doe", "login": "john.doe", "roles": [admin_id, system_admin.id], **DATED}])


# -- permissions ------------------------------------------------------------------------------------------------------------

EVERYTHING = {"node": "*", "description": "Full access to all resources and actions (administrator role)", "usedIn": []}


def test_get_all_permission_nodes_by_category(admin):
    body = told(admin.get("/v1/permissions"))
    assert {**body, "data": body["data"]["global"]} == well("Permission Nodes Fetched Successfully!", {
        "name": "Global Permissions", "description": "Global wildcard permissions that grant access to all resources",
        "permissions": [EVERYTHING]})
    assert set(body["data"]) >= {"global", "company", "credential", "credentialType", "role", "user", "permission", "uiNavigation",
                                 "adminUI"}


def test_get_all_permission_nodes_flat(admin):
    body = told(admin.get("/v1/permissions/nodes"))
    company = next(entry for entry in body["data"] if entry["node"] == "company.fetch")
    assert {**body, "data": [body["data"][0], company]} == well("All Permission Nodes Fetched Successfully!", [
        EVERYTHING, {"node": "company.fetch", "description": "Fetch a single company", "usedIn": company["usedIn"]}])
    assert any("/v1/company/companies/" in place for place in company["usedIn"])


def test_get_permission_nodes_by_category(admin):
    body = told(admin.get("/v1/permissions/company"))
    by_name = {entry["node"]: entry for entry in body["data"]["permissions"]}
    address = by_name["company.fetch.address"]
    assert {**body, "data": {**body["data"], "permissions": address}} == well("Permission Category Fetched Successfully!", {
        "name": "Company Permissions", "description": "Permissions for accessing and managing company resources",
        "permissions": {"node": "company.fetch.address", "description": "View company address information", "usedIn": address["usedIn"],
                        "dependencies": ["company.fetch"]}})
    assert address["usedIn"]


def test_a_category_that_is_not_there(admin):
    assert told(admin.get("/v1/permissions/invalidCategory")) == ill(404, 'Permission category "invalidCategory" not found', "NotFound")


# -- what all have in common ------------------------------------------------------------------------------------------------


def test_teapot(house):
    assert told(house.test_client().get("/v1/teapot")) == ill(418, "I'm a teapot")


#: method, address, permissions, as the document lists them
DOCUMENTED = [
    ("GET", "/v1/user/@me", ["user.read"]), ("PATCH", "/v1/user/@me", ["user.write"]),
    ("POST", "/v1/user/@me/check-permission", ["user.read"]), ("GET", "/v1/user/users", ["user.read.other", "user.list.other"]),
    ("GET", "/v1/user/users/1", ["user.read.other"]), ("PATCH", "/v1/user/users/1", ["user.write.other"]),
    ("DELETE", "/v1/user/users/1", ["user.delete.other"]), ("GET", "/v1/user/users/1/roles", ["user.read.other", "role.read"]),
    ("POST", "/v1/user/users/1/check-permission", ["user.read.other"]), ("POST", "/v1/role", ["role.create"]),
    ("GET", "/v1/role/1", ["role.read"]), ("GET", "/v1/role", ["role.read", "role.list"]), ("PATCH", "/v1/role/1", ["role.modify"]),
    ("DELETE", "/v1/role/1", ["role.delete"]), ("POST", "/v1/role/1/permissions", ["role.modify"]),
    ("DELETE", "/v1/role/1/permissions", ["role.modify"]), ("GET", "/v1/role/1/users", ["role.read", "user.read"]),
    ("GET", "/v1/permissions", ["role.read"]), ("GET", "/v1/permissions/nodes", ["role.read"]),
    ("GET", "/v1/permissions/user", ["role.read"]),
]


@pytest.mark.parametrize(("method", "address", "nodes"), DOCUMENTED)
def test_each_route_takes_exactly_the_documented_permissions(house, method, address, nodes):
    body = None if method == "GET" else {"permissions": []} if address.endswith("permission") or address.endswith("permissions") else {}
    assert told(house.test_client().open(address, method=method, json=body)) == ill(401, "Unauthorized")
    for missing in nodes:
        client = holding(house, *(node for node in nodes if node != missing), "finding.list")
        assert told(client.open(address, method=method, json=body)) == ill(403, "Insufficient permissions")
    assert holding(house, *nodes).open(address, method=method, json=body).status_code not in (401, 403)


def test_a_field_that_is_required_is_told_with_its_path(admin):
    answer = told(admin.post("/v1/role", json={"title": "System Administrator"}))
    assert answer == {"status": 400, "message": "Validation error", "successful": False, "errors": [
        {"path": ["moniker"], "message": "Missing data for required field."}]}
    answer = told(admin.post("/v1/user/@me/check-permission", json={"permissions": ["user.read", 1]}))
    assert answer["errors"] == [{"path": ["permissions", 1], "message": "Not a valid string."}]


def test_a_token_works_as_the_bearer_of_the_document_does(house, jane):
    give_nodes(jane, "user.read")
    answer = house.test_client().get("/v1/user/@me", headers=bearer(make_token(jane)))
    assert told(answer)["data"]["login"] == "jane.doe"
