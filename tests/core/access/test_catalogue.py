"""The catalogue of permission nodes is read off the app: nothing asks for a node that is not in it, and none in it opens nothing."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Blueprint, Flask

from core.access import catalogue
from core.access.nodes import CATEGORIES, CORE_NODES
from core.app import create_app
from core.db import db
from core.hooks.contracts import Page, PermissionNode, PluginManifest
from core.hooks.manager import Plugins
from core.http.access import CustomerFrom, requires
from tests.core.hooks.conftest import load, plugin
from tests.factories import SETTINGS, make_customer, signed_in_client

__all__ = ["load", "plugin"]  # fixtures
DOCUMENTED = {"global", "company", "credential", "credentialType", "role", "user", "permission", "uiNavigation", "adminUI"}


@pytest.fixture
def whole_app(sqlite_database: str) -> Iterator[Flask]:
    """The app with the plugins that are installed."""
    yield create_app(replace(SETTINGS, database_url=sqlite_database))
    if not db.is_closed():
        db.close()


def categories_of(app: Flask) -> dict[str, catalogue.Category]:
    return catalogue.of_app(app, app.extensions["stockade"].plugins)


def test_every_node_that_a_route_or_a_page_asks_for_is_in_the_catalogue(whole_app):
    categories = categories_of(whole_app)
    named = {entry.node for key, category in categories.items() if key not in ("uiNavigation", "adminUI") for entry in category.permissions}
    asked = set(catalogue.uses_in(whole_app)) | {page.node for _, page in whole_app.extensions["stockade"].plugins.page_entries()}
    assert asked - named == set()


def test_every_node_of_the_catalogue_opens_something(whole_app):
    entries = [entry for category in categories_of(whole_app).values() for entry in category.permissions]
    assert [entry.node for entry in entries if not entry.used_in] == ["*"]


def test_dependencies_name_nodes_that_exist(whole_app):
    entries = [entry for category in categories_of(whole_app).values() for entry in category.permissions]
    names = {entry.node for entry in entries}
    assert {needed for entry in entries for needed in entry.dependencies} <= names
    assert all(entry.node not in entry.dependencies for entry in entries)


def test_every_documented_category_is_there_and_each_has_name_and_description(whole_app):
    categories = categories_of(whole_app)
    assert set(categories) >= DOCUMENTED
    assert all(category.name.endswith(" Permissions") and category.description for category in categories.values())
    assert {key for key, category in categories.items() if not category.permissions} <= DOCUMENTED  # what a deployment lacks stays empty


def test_nocategory_of_core_is_left_over():
    used = {catalogue.category_of(node) for node in CORE_NODES} | DOCUMENTED
    assert set(CATEGORIES) == used


def test_a_conditional_node_is_used_by_the_route_that_declares_it(whole_app):
    uses = catalogue.uses_in(whole_app)
    assert uses["user.roles.other"] == ["PATCH /v1/user/users/{identifier}"]
    assert uses["company.fetch.address"] == ["GET /v1/company/companies/{customerId}"]
    assert uses["group.write.shared"] == ["PUT /api/asset-groups"]
    assert "GET /v1/user/users" in uses["user.list.other"]


def test_the_pages_are_listed_by_where_they_stand(whole_app):
    categories = categories_of(whole_app)
    assert ("finding.list", ("GET /findings",)) in [(entry.node, entry.used_in) for entry in categories["uiNavigation"].permissions]
    assert ("integration.read", ("GET /integrations",)) in [(entry.node, entry.used_in) for entry in categories["adminUI"].permissions]


def test_what_a_plugin_brings_joins_a_category_or_makes_one_named_after_it(load, plugin, sqlite_database):
    blueprint = Blueprint("acme", __name__)
    guarded = requires("acme.report.read", customer=CustomerFrom.NONE, conditional=("acme.report.secret",))
    blueprint.add_url_rule("/api/acme/<report_id>", "report", guarded(lambda report_id: ""))
    blueprint.add_url_rule("/acme", "page", requires("finding.acme", customer=CustomerFrom.NONE)(lambda: ""))
    plugins: Plugins = load(plugin(
        "acme", plugin_manifest=PluginManifest("Acme", "Reports of Acme", "1"), register_blueprints=[blueprint],
        register_permissions=[PermissionNode("acme.report.read", "Read reports"), PermissionNode("finding.acme", "Acme's findings"),
                              PermissionNode("acme.report.secret", "Read it all", dependencies=("acme.report.read",))],
        register_pages=[Page("Acme", "acme.page", "finding.acme")]))
    app = create_app(replace(SETTINGS, database_url=sqlite_database), plugins=plugins)
    categories = categories_of(app)
    assert (categories["acme"].name, categories["acme"].description) == ("Acme Permissions", "Reports of Acme")
    assert [(entry.node, entry.used_in, entry.dependencies) for entry in categories["acme"].permissions] == [
        ("acme.report.read", ("GET /api/acme/{reportId}",), ()),
        ("acme.report.secret", ("GET /api/acme/{reportId}",), ("acme.report.read",))]
    assert categories["finding"].permissions[-1].node == "finding.acme"
    assert categories["uiNavigation"].permissions[-1].description == "See the page Acme"


def test_whoever_reads_roles_anywhere_sees_the_catalogue_and_others_do_not(app):
    customer = make_customer()
    for role, status in (("msp_analyst", 200), ("customer_admin", 200), ("customer_viewer", 403)):
        client = signed_in_client(app, role, customer=customer)
        for address in ("/v1/permissions", "/v1/permissions/nodes", "/v1/permissions/user"):
            assert client.get(address).status_code == status, (role, address)


def test_each_node_is_listed_once_with_its_own_description(whole_app):
    client = signed_in_client(whole_app, "msp_admin")
    rows = client.get("/v1/permissions/nodes").get_json()["data"]
    assert len({row["node"] for row in rows}) == len(rows)
    assert next(row for row in rows if row["node"] == "overview.read")["description"] == "See the totals and dashboards of a customer"


def test_the_scopes_of_credential_types_come_and_go_with_them(whole_app):
    client = signed_in_client(whole_app, "msp_admin")
    made = client.post("/v1/credential-type", json={"name": "AWS", "permissionScope": "aws.credentials", "fields": []}).get_json()["data"]
    listed = client.get("/v1/permissions/credential").get_json()["data"]["permissions"]
    reveal = next(entry for entry in listed if entry["node"] == "aws.credentials.secure_values.read")
    assert "GET /v1/credential/credentials/{credentialId}/secure-values" in reveal["usedIn"]
    assert reveal["dependencies"] == ["aws.credentials.fetch"]
    client.delete(f"/v1/credential-type/{made['id']}")
    assert "aws.credentials" not in client.get("/v1/permissions/nodes").text
