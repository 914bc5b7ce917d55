"""How a connection identifies itself: tokens of several kinds, and OAuth clients whose tokens end while a pull goes on."""

import base64
import json

import pytest
from flask import Flask, request

from core import clock
from core.hooks.failures import LoginRejected, UpstreamUnavailable, WrongService
from core.http.upstream import Upstream
from core.logs import REDACTED, redact
from plugins.snyk.login import OAuthLogin, TokenFacts, login, token_facts
from plugins.snyk.upstream import Issue, Organization, Project, Token, World, create_app
from tests.servers import HURRIED


def newer_token(**told: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    return f"snyk_uat.1a2b3c4d.{middle}.c2lnbmF0dXJl"


@pytest.mark.parametrize(("value", "scheme"), [
    ("5b1c6e0a-0000-4000-8000-000000000001", "token"), (newer_token(h="snyk.io"), "token"), ("eyJhbGci.eyJzdWIi.c2ln", "bearer"),
])
def test_a_token_is_sent_in_the_way_of_its_kind(serve, open_at, value, scheme):
    app = Flask("echo")
    app.add_url_rule("/rest/self", "self", lambda: {"data": {"id": "1", "attributes": {"name": request.headers["Authorization"]}}})
    assert open_at(url=serve(app), token=value)._client.whoami()["attributes"]["name"] == f"{scheme} {value}"


def test_a_newer_token_tells_its_region_and_its_end():
    assert token_facts(newer_token(h="eu.snyk.io", e=1_900_000_000)) == TokenFacts("eu.snyk.io", 1_900_000_000_000)
    assert token_facts(newer_token()) == token_facts("5b1c6e0a-0000-4000-8000-000000000001") == TokenFacts()


@pytest.mark.parametrize("value", [
    "snyk_uat.1a2b3c4d.????.x", "snyk_uat.1a2b3c4d.abc.x", newer_token(h=5, e="soon"), newer_token(e=float("inf")), newer_token(e=-1),
    newer_token(e=10**30),
])
def test_a_token_that_cannot_be_read_tells_nothing(value):
    assert token_facts(value) == TokenFacts()


@pytest.mark.parametrize("value", [newer_token(h="snyk.io"), "5b1c6e0a-0000-4000-8000-000000000001"])
def test_logs_know_the_shape_of_tokens(value):
    assert redact(f"Authorization: token {value}") == f"Authorization: token {REDACTED}"
    assert redact("project 5b1c6e0a-0000-4000-8000-000000000001 of Snyk").startswith("project 5b1c")


@pytest.fixture
def world() -> World:
    return World.of(Organization.of("acme", Project.holding("app", Issue("a"))))


def test_an_oauth_client_fetches_its_token_once(serve, open_at, world):
    client, secret = world.admit_client()
    pull = open_at(url=serve(create_app(world)), client_id=client, client_secret=secret)
    assert pull.check().facts["Account"] == "portal-sync (service account)"
    assert [list(pull.findings(asset))[0].title for asset in pull.catalog()] == ["Prototype Pollution"]
    assert world.calls["oauth2/token"] == 1


def test_an_oauth_token_is_renewed_before_it_ends(serve, open_at, world):
    client, secret = world.admit_client()
    world.oauth_seconds = 0.9  # told as 0 whole seconds
    pull = open_at(url=serve(create_app(world)), client_id=client, client_secret=secret)
    pull.check()
    assert world.calls["oauth2/token"] == world.calls.total() - world.calls["oauth2/token"] > 3


def test_an_oauth_token_that_is_taken_back_early_is_renewed_too(serve, open_at, world):
    client, secret = world.admit_client()
    pull = open_at(url=serve(create_app(world)), client_id=client, client_secret=secret)
    pull.check()
    world.tokens.clear()
    assert len(list(pull.catalog())) == 1
    assert world.calls["oauth2/token"] == 2


def test_a_client_that_is_refused_is_named_without_its_secret(serve, open_at, world):
    client, secret = world.admit_client()
    world.clients.clear()
    with pytest.raises(LoginRejected) as caught:
        open_at(url=serve(create_app(world)), client_id=client, client_secret=secret).check()
    assert secret not in str(caught.value)


def test_a_token_service_that_is_down_is_unavailable(serve, open_at, world):
    client, secret = world.admit_client()
    world.faults.add("status", path="oauth2/token", status=503)
    with pytest.raises(UpstreamUnavailable):
        open_at(url=serve(create_app(world)), client_id=client, client_secret=secret).check()


@pytest.mark.parametrize(("answer", "failure"), [
    ({"error": "nope"}, WrongService), ([], WrongService), ("<html>", WrongService), (("", 404), WrongService),
    (({"error": "invalid_client"}, 400), LoginRejected), ({"access_token": ""}, WrongService),
])
def test_a_token_service_that_answers_something_else(serve, answer, failure):
    app = Flask("tokens")
    app.add_url_rule("/oauth2/token", "token", lambda: answer, methods=["POST"])
    signed_in = login(lambda base, **kw: Upstream(base, HURRIED, **kw), serve(app), {"client_id": "c", "client_secret": "s3cr3t"})
    assert isinstance(signed_in, OAuthLogin)
    with pytest.raises(failure):
        signed_in.get("/rest/self")


def test_the_stand_in_s_oauth_tokens_do_end(world):
    ended = {"Authorization": f"bearer {world.admit(Token(expires=clock.now() - 1))}"}
    assert create_app(world).test_client().get("/rest/self?version=2024-10-15", headers=ended).status_code == 401
