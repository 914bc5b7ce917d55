"""Webhooks are believed only when they are signed, and ask for a sync of their branch alone."""

import json
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from core.errors import BadRequest, Unauthorized
from core.hooks.contracts import Connector, ReceivesWebhooks
from core.testing.connector_kit import check_webhook
from plugins.sonarqube.connector import SonarConnector
from plugins.sonarqube.upstream import Branch, Project, Token, World, create_app, send_webhook, signature
from plugins.sonarqube.upstream.webhooks import payload

SECRET = "a-secret-of-sufficient-length"
PROJECT = Project("acme:billing", "Billing", "acme", [Branch("main", is_main=True), Branch("release/2")])


def told(**fields: Any) -> bytes:
    """A webhook's body; None removes a field."""
    body = payload(PROJECT) | fields
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Sonar-Webhook-HMAC-SHA256": signature(secret, body)}


def read(body: bytes) -> Any:
    return SonarConnector().read_webhook(SECRET, signed(body), body)


def test_the_connector_is_one_that_receives_webhooks():
    connector = SonarConnector()
    assert isinstance(connector, Connector)
    assert isinstance(connector, ReceivesWebhooks)
    assert connector.webhook_secret_setting in connector.settings_schema().fields


def test_a_finished_analysis_asks_for_its_branch():
    assert read(told()).asset_keys == ("acme:billing",)
    body = json.dumps(payload(PROJECT, PROJECT.branches[1])).encode()
    assert read(body).asset_keys == ("acme:billing::release/2",)
    assert read(told(branch=None)).asset_keys == ("acme:billing",)


@pytest.mark.parametrize("fields", [{"status": "FAILED"}, {"status": "CANCELED"}, {"status": "BRAND_NEW"},
                                    {"branch": {"name": "42", "type": "PULL_REQUEST", "isMain": False}}])
def test_what_brings_no_findings_needs_nothing(fields):
    assert read(told(**fields)) is None


def test_the_contract_s_own_checks_pass():
    assert check_webhook(SonarConnector(), SECRET, signed(told()), told()).asset_keys == ("acme:billing",)


@pytest.mark.parametrize("headers", [{}, {"X-Sonar-Webhook-HMAC-SHA256": ""}, {"X-Sonar-Webhook-HMAC-SHA256": "0" * 64},
                                     {"X-Sonar-Webhook-HMAC-SHA256": "sha256=" + signature(SECRET, told())}, signed(told(), "another"),
                                     {"X-Sonar-Webhook-HMAC-SHA256": "ü"}])
def test_a_wrong_signature_is_refused(headers):
    with pytest.raises(Unauthorized):
        SonarConnector().read_webhook(SECRET, headers, told())


def test_nothing_is_believed_without_a_secret():
    with pytest.raises(Unauthorized):
        SonarConnector().read_webhook("", signed(told(), ""), told())


def test_the_header_is_found_in_any_spelling():
    headers = {"x-sonar-webhook-hmac-sha256": signature(SECRET, told())}
    assert SonarConnector().read_webhook(SECRET, headers, told())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"{}", b'{"status": "SUCCESS"}', told(project=None), told(project={"key": 7}),
                                  told(project={"key": ""}), told(branch="main"), told(branch={"isMain": False}), told(status=None),
                                  told(branch={"isMain": False, "name": 1}), b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_webhook_of_sonarqube_is_refused(body):
    with pytest.raises(BadRequest):
        read(body)


def receiving(secret: str) -> tuple[Flask, list]:
    """An app that reads webhooks as core does, and what it understood."""
    app, understood = Flask("receiver"), []

    def hook() -> Response:
        understood.append(SonarConnector().read_webhook(secret, request.headers, request.get_data()))
        return Response(status=204)

    app.add_url_rule("/hook", "hook", hook, methods=["POST"])
    app.register_error_handler(Unauthorized, lambda problem: ("", 401))
    return app, understood


def test_the_stand_in_s_webhooks_are_understood_over_http(serve):
    app, understood = receiving(SECRET)
    url = serve(app) + "/hook"
    assert send_webhook(url, payload(PROJECT), SECRET) == 204
    assert send_webhook(url, payload(PROJECT), "another secret") == 401
    assert send_webhook(url, payload(PROJECT)) == 401
    assert [event.asset_keys for event in understood] == [("acme:billing",)]


def test_a_registered_webhook_is_sent_when_an_analysis_ends(serve):


    app, understood = receiving(SECRET)
    held = World.of(PROJECT)
    sonar, auth = serve(create_app(held)), (held.admit(Token(admin=True)), "")
    made = requests.post(f"{sonar}/api/webhooks/create", auth=auth, timeout=5,
                         data={"name": "vm", "url": serve(app) + "/hook", "secret": SECRET}).json()["webhook"]
    assert made["hasSecret"] is True
    body = {"project": "acme:billing", "branch": "release/2"}
    assert requests.post(f"{sonar}/_standin/analyses", json=body, timeout=5).json() == {"deliveries": [204]}
    assert [event.asset_keys for event in understood] == [("acme:billing::release/2",)]
    delivered = requests.get(f"{sonar}/api/webhooks/deliveries", params={"webhook": made["key"]}, auth=auth, timeout=5).json()
    assert [entry["success"] for entry in delivered["deliveries"]] == [True]
    assert requests.post(f"{sonar}/api/webhooks/delete", data={"webhook": made["key"]}, auth=auth, timeout=5).status_code == 204
    assert requests.post(f"{sonar}/_standin/analyses", json=body, timeout=5).json() == {"deliveries": []}
