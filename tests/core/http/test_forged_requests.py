"""Requests that another site makes a signed-in browser send; docs/decisions/0001-csrf.md, row by row."""

from dataclasses import replace

import pytest

from core.app import create_app
from core.hooks.manager import Plugins
from core.tenancy.models import Customer
from tests.factories import SETTINGS, bearer, make_token, make_user, signed_in_client

OWN, FOREIGN = "http://localhost", "https://evil.example"


@pytest.mark.parametrize(("headers", "is_allowed"), [
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": OWN}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://behind-a-proxy"}, True),
    ({"Origin": OWN}, True),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": FOREIGN}, False),
    ({"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"}, False),
    ({"Sec-Fetch-Site": "nonsense"}, False),
    ({"Origin": FOREIGN}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "https://localhost"}, False),
    ({"Origin": "http://localhost:8080"}, False),
    ({"Origin": "http://localhost.evil.example"}, False),
    ({"Origin": FOREIGN, "x-csrf-token": "made up"}, False),
    ({"Origin": FOREIGN, "Referer": "http://localhost/"}, False),
])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_a_cookie_may_change(app, headers, is_allowed, method):
    client = signed_in_client(app, "msp_admin")
    addresses = {"post": "/api/customers", "put": "/api/session/customer", "patch": "/api/customers/cus_ghost",
                 "delete": "/api/integrations/ghost"}
    answer = client.open(addresses[method], method=method, json={"name": "Acme"}, headers=headers)
    was_refused = answer.status_code == 403 and answer.get_json()["error"] == "The request came from another site"
    assert was_refused is not is_allowed
    assert Customer.select().count() == (1 if is_allowed and method == "post" else 0)


def test_reading_is_not_changing(app):
    client = signed_in_client(app, "msp_admin")
    assert client.get("/api/customers", headers={"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_valid_token_makes_up_for_the_wrong_origin(app):
    client = signed_in_client(app, "msp_admin")
    token = client.get("/api/auth/csrf").get_json()["csrfToken"]
    answer = client.post("/api/customers", json={"name": "Acme"}, headers={"Origin": "http://front.example", "x-csrf-token": token})
    assert answer.status_code == 201


def test_a_token_without_its_cookie_does_not(app):
    token = app.test_client().get("/api/auth/csrf").get_json()["csrfToken"]
    client = signed_in_client(app, "msp_admin")
    answer = client.post("/api/customers", json={"name": "Acme"}, headers={"Origin": FOREIGN, "x-csrf-token": token})
    assert answer.status_code == 403


def test_a_cookie_planted_by_a_neighbour_does_not_vouch_for_his_token(app):
    client = signed_in_client(app, "msp_admin")
    client.set_cookie("next-auth.csrf-token", "mine|" + "a" * 64)
    answer = client.post("/api/customers", json={"name": "Acme"}, headers={"Origin": FOREIGN, "x-csrf-token": "mine"})
    assert answer.status_code == 403


def test_a_bearer_token_is_never_sent_by_a_browser_on_its_own(app, client):
    headers = {**bearer(make_token(make_user("msp_admin"))), "Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/customers", json={"name": "Acme"}, headers=headers).status_code == 201


def test_the_public_address_is_an_origin_of_ours(sqlite_database):
    settings = replace(SETTINGS, public_url="http://stockade.example")
    client = signed_in_client(create_app(settings, plugins=Plugins(settings)), "msp_admin")
    for origin, status in (("http://stockade.example", 201), ("http://stockade.example.evil", 403)):
        assert client.post("/api/customers", json={"name": origin}, headers={"Origin": origin}).status_code == status


def test_a_signed_out_caller_is_told_to_sign_in_and_not_where_he_came_from(client):
    assert client.post("/api/customers", json={}, headers={"Origin": FOREIGN}).status_code == 401
