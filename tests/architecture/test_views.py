"""Rules that every view keeps, checked on the app with all of its plugins."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from core.access.nodes import NodeRegistry
from core.app import create_app
from core.http.access import AccessRule, CustomerFrom
from core.http.surfaces import surface_of
from tests.factories import SETTINGS

#: views that everybody may see; one that is missing here was opened by mistake, or needs a word of reason beside it
PUBLIC = {
    "/api/auth/csrf", "/api/auth/providers", "/api/auth/session", "/api/auth/signin", "/api/auth/signout", "/api/auth/error",
    "/api/auth/callback/credentials", "/api/auth/signin/credentials", "/signin",  # how one signs in
    "/api/auth/signin/<provider>", "/api/auth/callback/<provider>",
    "/v1/auth/refresh", "/v1/auth/signout",  # ask for a token of their own
    "/v1/auth/uri", "/v1/auth/redirect", "/v1/auth/confirm", "/v1/auth/callback",  # how clients get it
    "/.well-known/jwks.json",  # public keys
    "/api/integrations/<source>/webhook/<key>",  # signed by its sender
    "/health/live", "/health/ready", "/metrics",  # for machines; the last one has a token of its own
    "/v1/teapot",
    "/docs", "/docs/<surface>/openapi.json", "/docs/files/<name>",  # the same for every deployment
}
#: files that lie in folders of ours, the same for everybody
STATIC = {"/docs/own/<path:filename>", "/sign-in/own/<path:filename>", "/static/<path:filename>"}


@pytest.fixture
def whole_app(sqlite_database: str) -> Flask:
    """The app with the plugins that are installed."""
    return create_app(replace(SETTINGS, database_url=sqlite_database))


def views(app: Flask) -> Iterator[tuple[Rule, AccessRule]]:
    for route in app.url_map.iter_rules():
        if route.rule not in STATIC:
            yield route, getattr(app.view_functions[route.endpoint], "access_rule", None)


def methods_of(route: Rule) -> set[str]:
    return (route.methods or set()) - {"HEAD", "OPTIONS"}


def address_of(route: Rule) -> str:
    """The route's address with a made-up value for each variable."""
    return "".join("ghost" if is_variable else text for is_variable, text in route._trace)[1:]


def test_every_view_declares_who_may_see_it(whole_app):
    assert [route.rule for route, rule in views(whole_app) if not isinstance(rule, AccessRule)] == []


def test_only_the_views_named_here_are_open_to_everybody(whole_app):
    assert {route.rule for route, rule in views(whole_app) if rule.public} == PUBLIC


def test_every_node_that_a_view_asks_for_can_be_granted(whole_app):
    registry = NodeRegistry(whole_app.extensions["stockade"].plugins.permission_nodes)
    names = {node.node for node in registry}
    assert {node for _, rule in views(whole_app) for node in (*rule.nodes, *rule.conditional)} <= names


def test_a_rule_that_takes_the_customer_from_the_path_has_one_there(whole_app):
    for route, rule in views(whole_app):
        assert ("customer_id" in route.arguments) is (rule.customer is CustomerFrom.PATH and not rule.public), route.rule


def test_a_view_without_nodes_touches_no_customer(whole_app):
    without = {route.rule for route, rule in views(whole_app) if not rule.public and not rule.nodes}
    assert without == {"/api/session/customer", "/customers",  # both let one pick among the customers that he may enter
                       "/v1/credential/valuetypes"}  # the same six words for everybody


@pytest.mark.parametrize("body", [b"{broken", b""])
def test_a_signed_out_caller_is_refused_by_every_other_view_before_anything_is_read(whole_app, body):
    client: FlaskClient = whole_app.test_client()
    for route, rule in views(whole_app):
        if rule.public:
            continue
        for method in methods_of(route):
            answer = client.open(address_of(route), method=method, data=body, content_type="application/json",
                                 headers={"Accept": "application/json"})
            assert answer.status_code == 401, (method, route.rule)
            surface = surface_of(route.rule)
            if surface is not None and surface.name == "cvms":
                assert isinstance(answer.get_json()["error"], str)


def test_a_bad_bearer_token_is_refused_by_every_other_view(whole_app):
    client = whole_app.test_client()
    for route, rule in views(whole_app):
        for method in methods_of(route):
            if not rule.public:
                headers = {"Authorization": "Bearer stk_wrong", "Accept": "text/plain"}
                answer = client.open(address_of(route), method=method, headers=headers)
                assert answer.status_code == 401, (method, route.rule)
