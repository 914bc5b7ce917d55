"""Webhooks are believed only when they are signed, and ask for a sync of their project alone."""

import json
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from core.errors import BadRequest, Unauthorized
from core.hooks.contracts import Connector, ReceivesWebhooks
from core.testing.connector_kit import check_webhook
from plugins.snyk.connector import SnykConnector
from plugins.snyk.upstream import Issue, Organization, Project, World, create_app, signature
from plugins.snyk.upstream.webhooks import PING, SNAPSHOT, snapshot

SECRET = "a-secret-of-sufficient-length"  # noqa: S105
PROJECT = Project.holding("app", Issue("a"))
ACME = Organization.of("acme", PROJECT)
WORLD = World.of(ACME)


def told(**fields: Any) -> bytes:
    """The body of a snapshot; None removes a field."""
    body = snapshot(WORLD, ACME, PROJECT) | fields
    return json.dumps({name: value for name, value in body.items() if value is not None}, separators=(",", ":")).encode()


def signed(body: bytes, secret: str = SECRET, event: str = SNAPSHOT) -> dict[str, str]:
    return {"X-Hub-Signature": signature(secret, body), "X-Snyk-Event": event}


def read(body: bytes, event: str = SNAPSHOT) -> Any:
    return SnykConnector().read_webhook(SECRET, signed(body, event=event), body)


def test_the_connector_is_one_that_receives_webhooks():
    connector = SnykConnector()
    assert isinstance(connector, Connector)
    assert isinstance(connector, ReceivesWebhooks)
    assert connector.webhook_secret_setting in connector.settings_schema().fields


def test_a_new_snapshot_asks_for_its_project():
    event = read(told())
    assert (event.asset_keys, event.reason) == ((PROJECT.id,), "Snyk tested app")


def test_a_later_version_of_the_event_is_understood():
    assert read(told(), "project_snapshot/v1").asset_keys == (PROJECT.id,)


@pytest.mark.parametrize(("body", "event"), [(b'{"webhookId":"d3cf26b3"}', PING), (b'{"anything":1}', "brand_new/v0"),
                                             (b'{"webhookId":"d3cf26b3"}', SNAPSHOT)])
def test_a_ping_and_what_is_not_known_yet_need_nothing(body, event):
    assert read(body, event) is None


def test_the_contract_s_own_checks_pass():
    assert check_webhook(SnykConnector(), SECRET, signed(told()), told()).asset_keys == (PROJECT.id,)


@pytest.mark.parametrize("headers", [
    {}, {"X-Hub-Signature": ""}, {"X-Hub-Signature": "sha256=" + "0" * 64}, {"X-Hub-Signature": "sha256=ü"}, signed(told(), "another"),
    {"X-Hub-Signature": signature(SECRET, told()).removeprefix("sha256=")},
    {"X-Hub-Signature": signature(SECRET, told()).replace("sha256", "sha1")},
])
def test_a_webhook_that_is_not_signed_with_the_secret_is_refused(headers):
    with pytest.raises(Unauthorized):
        SnykConnector().read_webhook(SECRET, headers, told())


def test_a_connection_without_a_secret_takes_no_webhooks():
    with pytest.raises(Unauthorized):
        SnykConnector().read_webhook("", signed(told(), ""), told())


def test_the_signature_is_found_in_any_spelling():
    headers = {name.lower(): value for name, value in signed(told()).items()}
    assert SnykConnector().read_webhook(SECRET, headers, told()).asset_keys == (PROJECT.id,)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"project":null}', b'{"project":{}}', b'{"project":{"id":5}}',
                                  b'{"project":{"id":""}}', b'{"project":"x"}', b"[" * 100_000, b"\xff"])
def test_a_signed_body_that_is_not_snyk_s_is_refused(body):
    with pytest.raises(BadRequest):
        read(body)


# -- as the stand-in sends them -------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver(serve):
    """An address that keeps what reaches it."""
    app, received = Flask("receiver"), []

    @app.post("/hook")
    def hook() -> Response:
        received.append((dict(request.headers), request.get_data()))
        return Response(status=202)

    return f"{serve(app)}/hook", received


def test_what_the_stand_in_sends_is_understood(serve, receiver):
    address, received = receiver
    held = World.of(Organization.of("acme", Project.holding("app", Issue("a")), Project.holding("scan", type="sast")))
    url, headers = serve(create_app(held)), {"Authorization": f"token {held.admit()}"}
    hooks = f"{url}/v1/org/{held.organization_by('acme').id}/webhooks"
    app, scan = held.organization_by("acme").projects
    made = requests.post(hooks, json={"url": address, "secret": SECRET}, headers=headers, timeout=5).json()
    assert requests.post(f"{url}/_standin/tests", json={"project": app}, timeout=5).json() == {"deliveries": [202]}
    assert requests.post(f"{url}/_standin/tests", json={"project": scan}, timeout=5).json() == {"deliveries": []}  # not told of code
    events = [SnykConnector().read_webhook(SECRET, sent, body) for sent, body in received]
    assert [event and event.asset_keys for event in events] == [None, (app,)]
    assert received[0][0]["X-Snyk-Transport-Id"] != received[1][0]["X-Snyk-Transport-Id"]
    assert requests.get(hooks, headers=headers, timeout=5).json() == {"results": [made]}
    assert requests.post(f"{hooks}/{made['id']}/ping", headers=headers, timeout=5).status_code == 200
    assert requests.get(f"{hooks}/{made['id']}", headers=headers, timeout=5).json() == made
    assert requests.delete(f"{hooks}/{made['id']}", headers=headers, timeout=5).status_code == 200
    assert requests.delete(f"{hooks}/{made['id']}", headers=headers, timeout=5).status_code == 404
    assert len(received) == 3
    assert requests.post(f"{url}/_standin/tests", json={"project": "gone"}, timeout=5).status_code == 404


@pytest.mark.parametrize("body", [{"url": "http://example.org/x", "secret": "s"}, {"url": "https://example.org/x"}, {}, []])
def test_the_stand_in_takes_no_webhook_in_plain_text_or_without_a_secret(serve, body):
    held = World.of(Organization.of("acme"))
    response = requests.post(f"{serve(create_app(held))}/v1/org/{held.organization_by('acme').id}/webhooks", json=body,
                             headers={"Authorization": f"token {held.admit()}"}, timeout=5)
    assert (response.status_code, response.json()["code"]) == (400, 400)


def test_a_receiver_that_is_gone_is_told(serve):
    held = World.of(Organization.of("acme", PROJECT))
    url, headers = serve(create_app(held)), {"Authorization": f"token {held.admit()}"}
    requests.post(f"{url}/v1/org/{held.organization_by('acme').id}/webhooks", json={"url": "http://127.0.0.1:9/x", "secret": "s"},
                  headers=headers, timeout=5)
    assert [delivery["status"] for delivery in held.deliveries] == [None]
