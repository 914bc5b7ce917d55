"""Every block of the v1 document against the app: its access rule, and each example sent as a client would, with what is answered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import roles
from core.access import service as access
from core.access.nodes import NodeRegistry
from core.app import create_app
from core.credentials.keyring import Keyring
from core.db import db
from core.http.access import AccessRule
from core.people import service as people
from core.people.models import User
from core.signin.tokens import Tokens, given
from core.tenancy.models import Customer
from core.testing.openid import create_app as create_provider
from core.testing.standin import StandIn
from tests.contract.document import Block, blocks, misfits
from tests.core.signin.world import app_for, new_world, settings_for
from tests.factories import SETTINGS, make_customer
from tests.plugins.connectwise.conftest import keep_company, keep_configuration

GENERAL = next(block for block in blocks() if not block.method)
BLOCKS = [block for block in blocks() if block.method]

#: names that answers have beyond those of the document, by the block's title
BESIDE: dict[str, set[str]] = {
    "Get Company by ID": {"source", "asOf", "status", "types", "website", "removedAt"},
    "Get All Permission Nodes (Flat)": {"dependencies"},  # as the document shows them in a category
}


@dataclass
class World:
    """What the document's examples speak of: John Doe, who is signed in, Acme Corp, its AWS credential.

    :ivar variables: what a variable in a path stands for.
    """

    app: Flask
    john: User
    acme: Customer
    variables: dict[str, str]
    tokens: Tokens = field(init=False)

    @property
    def registry(self) -> NodeRegistry:
        return NodeRegistry(self.app.extensions["stockade"].plugins.permission_nodes)

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {self.tokens.access_token}", "Accept": "application/json", **headers}
        return self.client.open(path, method=method, json=body, headers=sent)

    def made(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.ask("POST", path, body)
        assert answer.status_code == 201, answer.get_json()
        return answer.get_json()["data"]

    def sign_in(self, user: User) -> None:
        self.tokens = self.given_to(user)

    def given_to(self, user: User) -> Tokens:
        deployment = self.app.extensions["stockade"]
        return given(deployment.keyring, deployment.settings, user.id)

    def role(self, moniker: str, title: str, *permissions: str) -> roles.Role:
        return roles.create(access.COMMAND, title=title, moniker=moniker, permissions=permissions, registry=self.registry)

    def address(self, block: Block) -> str:
        return "/".join(self.variables[part[1:]] if part.startswith(":") else part for part in block.path.split("/"))


@pytest.fixture(scope="module")
def whole() -> Flask:
    """The app with its plugins; it opens no database by itself."""
    return create_app(SETTINGS)


@pytest.fixture
def world(database: str, whole: Flask) -> Iterator[World]:
    yield from built_on(whole)


@pytest.fixture
def light(sqlite_database: str, whole: Flask) -> Iterator[World]:
    """On SQLite alone, for what no database has a part in."""
    yield from built_on(whole)


def built_on(app: Flask) -> Iterator[World]:
    app.extensions["stockade"] = replace(app.extensions["stockade"], keyring=Keyring.of(SETTINGS))  # the old one knows another database
    access.ensure_built_in_roles()
    john, acme = add_user("John Doe", "john.doe"), make_customer("Acme Corp")
    keep_company(acme, 12345, "AcmeCorp")
    keep_configuration(acme, 1, "server")
    built = World(app, john, acme, {"identifier": john.id})
    built.role("admin", "Administrator", "*")
    access.grant_role(access.COMMAND, john, "admin")
    built.sign_in(john)
    yield built
    if not db.is_closed():
        db.close()


def add_user(name: str, login: str) -> User:
    user = people.add(f"{login}@example.com", actor="test", settings=SETTINGS, name=name)
    people.change(user, actor="test", image="https://example.com/picture.jpg")
    return user


# -- what each block needs to be there ----------------------------------------------------------------------------------------


def of_companies(world: World) -> None:
    world.variables["identifier"] = world.acme.id
    for number in range(30):
        make_customer(f"Company {number}")


def of_jane(world: World) -> None:
    """She is the one who is changed, and the roles exist that the example gives her."""
    world.role("moderator", "Moderator", "user.read")
    world.variables["identifier"] = add_user("Jane", "jane.doe").id


def as_jane(world: World) -> None:
    jane = add_user("Jane", "jane.doe")
    access.grant_role(access.COMMAND, jane, "admin")
    world.sign_in(jane)


def of_few_permissions(world: World) -> None:
    """Somebody who holds what the example says, and may be asked about by himself."""
    user = add_user("Somebody", "somebody")
    for node in ("user.*", "credential.*"):
        access.grant_node(access.COMMAND, user, node, None, world.registry)
    world.variables["identifier"] = user.id


def as_few_permissions(world: World) -> None:
    of_few_permissions(world)
    world.sign_in(User.get_by_id(world.variables["identifier"]))


def of_system_admin(world: World) -> None:
    world.variables["identifier"] = world.role("system_admin", "System Administrator", "user.read", "user.write", "company.fetch",
                                               "credential.create").id


def of_roles(world: World) -> None:
    world.role("system_admin", "System Administrator", "user.read", "user.write")
    world.role("viewer", "Viewer", "user.read", "company.fetch")


def of_role_users(world: World) -> None:
    of_roles(world)
    jane = add_user("Jane Smith", "jane.smith")
    people_of = {"system_admin": (jane,), "viewer": (world.john, jane)}
    for moniker, holders in people_of.items():
        for user in holders:
            access.grant_role(access.COMMAND, user, moniker)
    access.NodeGrant.create(user_id=world.john.id, node="*", customer_id="")
    access.RoleGrant.delete().where(access.RoleGrant.role == roles.Role.get(moniker="admin")).execute()
    world.variables["identifier"] = "viewer"


def of_longer_role(world: World) -> None:
    of_system_admin(world)
    answer = world.ask("POST", f"/v1/role/{world.variables['identifier']}/permissions",
                       {"permissions": ["credential.update", "credential.delete"]})
    assert answer.status_code == 200


def of_category(world: World) -> None:
    world.variables["category"] = "company"


def document(title: str) -> Block:
    return next(block for block in BLOCKS if block.title == title)


def of_type(world: World, *further: dict[str, Any]) -> None:
    """The AWS type, made as its own example shows it, with further fields."""
    shown = document("Get Credential Type by ID or Name").responses[0]["data"]
    made = world.made("/v1/credential-type", {
        "name": shown["name"], "permissionScope": shown["permissionScope"], "icon": shown["icon"], "fields": [*shown["fields"], *further]})
    world.variables |= {"identifier": made["id"], "id": made["id"], "typeId": made["id"], "companyId": world.acme.id}


def of_types(world: World) -> None:
    of_type(world)
    azure = document("Get All Credential Types").responses[0]["data"][1]
    fields = document("Create Credential Type").requests[0]["fields"]
    world.made("/v1/credential-type", {name: azure[name] for name in ("name", "permissionScope", "icon")} | {"fields": fields})


def of_credential(world: World) -> None:
    of_type(world)
    made = world.made("/v1/credential/credentials", filled(world, {**document("Create Credential").requests[0], "name": "AWS Credentials"}))
    world.variables |= {"id": made["id"], "fieldId": "secretAccessKey"}


def of_two_secrets(world: World) -> None:
    of_type(world, {"id": "apiKey", "name": "API Key", "required": True, "secure": True, "valueType": "password"})
    body = filled(world, document("Create Credential").requests[0])
    made = world.made("/v1/credential/credentials", {**body, "fields": [*body["fields"], {"fieldId": "apiKey", "value": "sk_live_1"}]})
    world.variables["id"] = made["id"]


def of_production_credential(world: World) -> None:
    of_credential(world)
    world.ask("PATCH", f"/v1/credential/credentials/{world.variables['id']}", {"name": "Production AWS Credentials"})


def of_credentials_of_a_type(world: World) -> None:
    of_type(world)
    for name in ("Production AWS", "Staging AWS"):
        world.made("/v1/credential/credentials", filled(world, {**document("Create Credential").requests[0], "name": name}))


def of_github(world: World) -> None:
    made = world.made("/v1/credential-type", document("Create Credential Type").requests[0])
    world.variables["id"] = made["id"]


def nothing(world: World) -> None:
    pass


ARRANGED: dict[str, Callable[[World], None]] = {
    "Get All Companies": of_companies, "Get Company by ID": of_companies, "Get Company Configurations": of_companies,
    "Update Current User": as_jane, "Check User Permissions": as_few_permissions, "Check User Permissions (Other User)": of_few_permissions,
    "Update User by ID": of_jane, "Get Role by ID or Moniker": of_system_admin, "Get All Roles": of_roles, "Update Role": of_system_admin,
    "Delete Role": of_system_admin, "Add Permissions to Role": of_system_admin, "Remove Permissions from Role": of_longer_role,
    "Get Users with Role": of_role_users, "Get Permission Nodes by Category": of_category,
    "Create Credential": of_type, "Get Credential by ID": of_credential, "Get Credentials by Company": of_credential,
    "Update Credential": of_credential, "Update Credential Fields": of_production_credential, "Get Credential Fields": of_credential,
    "Read Secure Values": of_two_secrets, "Read Single Secure Value": of_credential, "Delete Credential": of_credential,
    "Get Credential Type by ID or Name": of_type, "Get All Credential Types": of_types, "Update Credential Type": of_github,
    "Delete Credential Type": of_type, "Get Credentials by Type": of_credentials_of_a_type,
}


def filled(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """An example's body with the ids of this world in place of those that the document only hints at."""
    return {name: world.variables.get(name, value) if isinstance(value, str) and "..." in value else value for name, value in body.items()}


# -- the blocks ---------------------------------------------------------------------------------------------------------------


def rule_of(app: Flask, block: Block) -> AccessRule | None:
    for route in app.url_map.iter_rules():
        shape = "".join("<>" if is_variable else text for is_variable, text in route._trace)[1:]
        if shape == block.rule and block.method in (route.methods or ()):
            return app.view_functions[route.endpoint].access_rule  # type: ignore[attr-defined]
    return None


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.title)
def test_a_documented_route_asks_for_the_documented_permissions(whole, block):
    rule = rule_of(whole, block)
    assert rule is not None
    assert rule.public is (block.signed_in != "access token")
    assert rule.nodes == block.nodes


REPLAYED = [block for block in BLOCKS if block.signed_in == "access token" and block.responses]


@pytest.mark.parametrize("block", REPLAYED, ids=lambda block: block.title)
def test_an_example_is_answered_as_the_document_shows(world, block):
    ARRANGED.get(block.title, nothing)(world)
    expected = block.responses[0]
    answer = world.ask(block.method, world.address(block), filled(world, block.requests[0]) if block.requests else None)
    told = answer.get_json()
    assert answer.status_code == expected["status"], told
    assert {name: told[name] for name in ("status", "message", "successful")} == {
        name: expected[name] for name in ("status", "message", "successful")}
    assert list(misfits(expected, told, BESIDE.get(block.title, ()))) == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.signed_in != "nobody"], ids=lambda block: block.title)
def test_without_a_sign_in_a_route_is_refused_in_the_documented_words(light, block):
    unauthorized = next(refusal for refusal in GENERAL.responses if refusal["status"] == 401)
    path = "/".join("ghost" if part.startswith(":") else part for part in block.path.split("/"))
    for headers in ({}, {"Authorization": "Bearer " + light.tokens.access_token[:-3] + "abc"}, {"x-refresh-token": "srt_wrong"}):
        answer = light.client.open(path, method=block.method, json=block.requests[0] if block.requests else None, headers=headers)
        assert (answer.status_code, answer.get_json()) == (401, unauthorized)


@pytest.mark.parametrize("block", [block for block in REPLAYED if block.nodes], ids=lambda block: block.title)
def test_without_one_of_the_permissions_a_route_is_refused_in_the_documented_words(light, block):
    ARRANGED.get(block.title, nothing)(light)
    forbidden = next(refusal for refusal in GENERAL.responses if refusal["status"] == 403)
    for lacking in block.nodes:
        user = add_user("Somebody", f"without.{lacking}")
        for node in block.nodes:
            if node != lacking:
                access.grant_node(access.COMMAND, user, node, None, light.registry)
        light.sign_in(user)
        answer = light.ask(block.method, light.address(block), filled(light, block.requests[0]) if block.requests else None)
        assert (answer.status_code, answer.get_json()) == (403, forbidden), lacking


def test_where_to_sign_in_is_told_as_the_document_shows(sqlite_database):
    """What becomes of the callback key, at ``/v1/auth/redirect`` and over the WebSocket: ``tests/core/signin/test_client_flow.py``."""
    block = document("Get Authentication URI")
    with StandIn(create_provider(new_world())) as provider:
        answer = app_for(settings_for(provider.url), sqlite_database).test_client().get(block.path)
    assert answer.status_code == 200
    assert list(misfits(block.responses[0], answer.get_json())) == []
    assert answer.get_json()["data"]["uri"].startswith(provider.url)


def test_tokens_are_refreshed_as_the_document_shows(light):
    block = document("Refresh Access Token")
    answer = light.client.open(block.path, method=block.method, headers={"x-refresh-token": light.tokens.refresh_token})
    assert answer.status_code == 201
    assert list(misfits(block.responses[0], answer.get_json())) == []
    renewed = answer.get_json()["data"]
    assert light.client.get("/v1/user/@me", headers={"Authorization": f"Bearer {renewed['accessToken']}"}).status_code == 200


def test_the_teapot_answers_as_the_document_shows(light):
    answer = light.client.get("/v1/teapot")
    assert (answer.status_code, answer.get_json()) == (418, document("Teapot").responses[0])


# -- refusals that the document words -----------------------------------------------------------------------------------------


def refusal_of(title: str) -> dict[str, Any]:
    return document(title).responses[-1]


def test_a_user_that_nobody_knows(light):
    answer = light.ask("GET", "/v1/user/users/ckx...")
    assert (answer.status_code, answer.get_json()) == (404, refusal_of("Get User by ID"))


def test_roles_of_another_user_without_the_permission(light):
    expected, giver = refusal_of("Update User by ID"), add_user("Giver", "giver")
    access.grant_node(access.COMMAND, giver, "user.write.other", None, light.registry)
    light.sign_in(giver)
    answer = light.ask("PATCH", f"/v1/user/users/{light.john.id}", {"roles": ["admin"]})
    assert (answer.status_code, answer.get_json()) == (403, expected)


def test_a_category_that_nobody_knows(light):
    answer = light.ask("GET", "/v1/permissions/invalidCategory")
    assert (answer.status_code, answer.get_json()) == (404, refusal_of("Get Permission Nodes by Category"))


def test_a_secure_field_that_nobody_knows(light):
    of_credential(light)
    answer = light.ask("GET", f"/v1/credential/credentials/{light.variables['id']}/secure-values/unknownField")
    assert (answer.status_code, answer.get_json()) == (404, refusal_of("Read Single Secure Value"))


def test_a_company_with_its_address(light):
    of_companies(light)
    told = light.ask("GET", f"/v1/company/companies/{light.acme.id}?includeAddress=true").get_json()
    assert list(misfits(refusal_of("Get Company by ID"), told, BESIDE["Get Company by ID"])) == []


@pytest.mark.parametrize(("method", "path", "body"), [
    ("POST", "/v1/role", {"title": "No moniker"}), ("POST", "/v1/user/@me/check-permission", {}), ("PATCH", "/v1/user/@me", {"name": 7}),
    ("GET", "/v1/company/companies?page=0", None)])
def test_what_is_not_valid_is_refused_field_by_field(light, method, path, body):
    answer = light.ask(method, path, body)
    told, (shown, *_) = answer.get_json(), [refusal for refusal in GENERAL.responses if refusal["status"] == 400]
    assert (answer.status_code, set(told)) == (400, set(shown))
    assert (told["status"], told["message"], told["successful"]) == (400, shown["message"], False)
    assert all(set(fault) == {"path", "message"} and isinstance(fault["path"], list) for fault in told["errors"])
    assert told["errors"]


def test_an_address_that_is_none_is_not_found(light):
    answer = light.ask("GET", "/v1/nowhere")
    assert (answer.status_code, answer.get_json()) == (404, next(refusal for refusal in GENERAL.responses if refusal["status"] == 404))


def test_a_fault_of_ours_says_nothing_of_the_inside(light, monkeypatch):
    def broken() -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setitem(light.app.view_functions, "v1_teapot.teapot", broken)
    answer = light.client.get("/v1/teapot")
    assert (answer.status_code, answer.get_json()) == (500, next(refusal for refusal in GENERAL.responses if refusal["status"] == 500))
