"""What belongs to another customer cannot be told from what does not exist, on every route, whatever somebody holds in his own; and no
spelling of an address or a method goes past the gate."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.access import tokens
from core.access.models import NodeGrant
from core.access.nodes import NodeRegistry
from core.http.access import CustomerFrom
from core.http.surfaces import surface_of
from tests.factories import bearer, make_token, make_user, signed_in_client
from tests.isolation.test_matrix import House, address, fitting_bodies, furnish, guarded_routes, mine, theirs, whole_app

__all__ = ["mine", "theirs", "whole_app"]  # fixtures

Ask = Callable[..., Any]
#: their values are the same in every house, or everybody knows them
SHARED = {"source", "category", "type_id", "field_id"}


@pytest.fixture(params=["everything in one's own customer", "a token of staff that is narrowed to it"])
def ask(request: pytest.FixtureRequest, whole_app: Flask, mine: House) -> Ask:
    """Sends a request as somebody who may do everything with one customer, and nothing beyond."""
    if "token" in request.param:
        client, headers = whole_app.test_client(), bearer(make_token(make_user("msp_admin"), customer_id=mine.customer.id))
    else:
        NodeGrant.create(user_id=mine.user.id, node="*", customer_id=mine.customer.id)
        client, headers = signed_in_client(whole_app, user=mine.user), {}

    def sent(method: str, at: str, body: Any = None, **more: str) -> Any:
        return client.open(at, method=method, json=None if method == "GET" else body or {}, headers={
            "Accept": "application/json", "x-customer-id": mine.customer.id, **headers, **more})
    return sent


def ghosts_of(house: House) -> dict[str, str]:
    """A value for each variable that nothing has, as long and of the same kind as the house's."""
    return {name: value if name in SHARED else value[:4] + "ghost"[:max(1, len(value) - 4)].ljust(len(value) - 4, "0")
            for name, value in house.variables.items()}


def told(answer: Any, names: dict[str, str]) -> tuple[int, str]:
    """Status and body, without the names that were asked for, which a refusal may repeat."""
    text = answer.text
    for value in sorted(filter(_is_telling, names.values()), key=len, reverse=True):
        text = text.replace(value, "NAME")
    return answer.status_code, text


def _is_telling(value: str) -> bool:
    """A number of one digit stands in every answer anyway."""
    return len(value) > 3


def test_what_is_another_s_looks_like_what_is_not_there(whole_app, mine, theirs, ask):
    before, ghosts, different, unknown = theirs.rows(), ghosts_of(theirs), [], 0
    for method, route, rule in guarded_routes(whole_app):
        bodies = [{}, *fitting_bodies(route, theirs)]
        if not route.arguments and bodies == [{}]:
            continue
        for body in bodies:
            other, ghost = theirs.variables, ghosts
            ghostly = json.loads(_exchanged(json.dumps(body), other, ghost))
            answers = [told(ask(method, address(route, names), sent), names)
                       for names, sent in ((other, body), (ghost, ghostly))]
            unknown += answers[0][0] == 404
            if answers[0] != answers[1] and not _is_of_one_s_own(route, rule):
                different.append((method, route.rule, body, answers))
    assert different == []
    assert theirs.rows() == before
    assert unknown > 20, "nearly all was refused before anything was looked for"


def _exchanged(text: str, names: dict[str, str], others: dict[str, str]) -> str:
    for name, value in names.items():
        if name not in SHARED:
            text = text.replace(f'"{value}"', f'"{others[name]}"')
    return text


def _is_of_one_s_own(route: Any, rule: Any) -> bool:
    """Addresses whose variables are the same in every house name nothing of anybody's."""
    return bool(route.arguments) and route.arguments <= SHARED


def test_another_customer_named_in_a_header_is_refused_alike_on_every_route_that_reads_it(whole_app, mine, theirs, ask):
    for method, route, rule in guarded_routes(whole_app):
        if rule.customer in (CustomerFrom.HEADER, CustomerFrom.HEADER_OR_SESSION):
            for header in ("x-customer-id", "x-pacci-customer-id"):
                named = {"x-customer-id": "", header: theirs.customer.id}
                ghost = {"x-customer-id": "", header: "cus_00000000000000"}
                answers = [told(ask(method, address(route, mine.variables), **headers), theirs.variables) for headers in (named, ghost)]
                assert answers[0] == answers[1], (method, route.rule)
                assert answers[0][0] == 403, (method, route.rule)


@pytest.mark.parametrize("spelled", [
    str.upper, str.title, lambda at: at + "/", lambda at: "/" + at, lambda at: at.replace("/", "//"), lambda at: at.replace("/", "/./"),
    lambda at: at.replace("/api", "/api/../api").replace("/v1", "/v1/../v1"), lambda at: at.replace("a", "%61"), lambda at: at + "%00",
    lambda at: at + ";x=1", lambda at: at + "%2f", lambda at: at.replace("/", "%2f"), lambda at: at + ".json", lambda at: at + "%20"])
def test_no_spelling_of_an_address_goes_past_the_gate(whole_app, mine, spelled):
    client = whole_app.test_client()
    for method, route, _ in guarded_routes(whole_app):
        answer = client.open(spelled(address(route, mine.variables)), method=method, headers={"Accept": "application/json"})
        assert answer.status_code in (301, 302, 308, 401, 404, 405), (method, route.rule, answer.status_code)
        assert mine.word not in answer.text.replace(mine.run_id, ""), (method, route.rule)


@pytest.mark.parametrize("override", [
    {"X-HTTP-Method-Override": "GET"}, {"X-Original-URL": "/health/live"}, {"X-Rewrite-URL": "/health/live"}, {"X-Forwarded-User": "admin"},
    {"X-Forwarded-For": "127.0.0.1"}, {"Authorization": "Basic YWRtaW46YWRtaW4="}, {"Authorization": "Bearer"},
    {"Authorization": "Bearer null"}, {"Remote-User": "admin"}, {"x-refresh-token": "x"}])
def test_no_header_makes_a_stranger_somebody(whole_app, mine, override):
    client: FlaskClient = whole_app.test_client()
    for method, route, _ in guarded_routes(whole_app):
        for sent_as in {method, "HEAD" if method == "GET" else method}:
            answer = client.open(address(route, mine.variables), method=sent_as, headers={"Accept": "application/json", **override})
            assert answer.status_code == 401 or (surface_of(route.rule) is None and answer.status_code == 302), (sent_as, route.rule)


def test_a_token_narrowed_to_one_node_opens_nothing_that_asks_for_another(whole_app, mine):
    """Whatever its user holds; a node here and there, over every route."""
    user, client = make_user("msp_admin"), whole_app.test_client()
    registry = NodeRegistry(whole_app.extensions["stockade"].plugins.permission_nodes)
    nodes = sorted({node for _, _, rule in guarded_routes(whole_app) for node in rule.nodes})
    for node in nodes[::len(nodes) // 4]:
        token = tokens.create(access.COMMAND, user, registry=registry, nodes=[node]).secret
        headers = {**bearer(token), "x-customer-id": mine.customer.id, "Accept": "application/json"}
        for method, route, rule in guarded_routes(whole_app):
            if set(rule.nodes) - {node} and rule.customer is not CustomerFrom.SESSION:
                answer = client.open(address(route, mine.variables), method=method, headers=headers, json=None if method == "GET" else {})
                assert answer.status_code in (400, 403), (node, method, route.rule, answer.status_code)


def test_two_houses_are_furnished_apart(whole_app):
    """What these tests stand on: each variable has a value of its own in each house."""
    one, other = furnish("onehouse"), furnish("otherhouse")
    assert {name for name in one.variables if one.variables[name] == other.variables[name]} == SHARED
