"""Webhooks: a scan that ended asks for a sync of its project, and nobody else may ask."""

import hashlib
import hmac
import json

import pytest

from core.errors import BadRequest, Unauthorized
from core.hooks.contracts import WebhookEvent
from core.testing.connector_kit import check_webhook
from plugins.checkmarx.connector import CheckmarxConnector
from plugins.checkmarx.upstream import Scan, delivery, signature
from tests.plugins.checkmarx.results import P1, S1, project

SECRET = "a-secret-of-the-webhook"
SHOP = project()


def told(event: str, **changed) -> tuple[dict[str, str], bytes]:
    return delivery(SHOP, Scan(S1, **changed), SECRET, event)


@pytest.mark.parametrize(("event", "expected"), [
    ("scan_completed_successfully", WebhookEvent((P1,), f"A scan of project '{P1}' ended")),
    ("scan_partial", WebhookEvent((P1,), f"A scan of project '{P1}' ended")), ("scan_failed", None),
    ("project_created", WebhookEvent((P1,), f"Project '{P1}' was added")), ("something_new", None),
])
def test_what_each_event_asks_for(event, expected):
    headers, body = told(event)
    assert check_webhook(CheckmarxConnector(), SECRET, headers, body) == expected


def test_a_signature_in_hexadecimal_digits_is_accepted():
    headers, body = told("scan_partial")
    digits = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    for written in (digits, f"sha256={digits}", f"sha256={digits.upper()}"):
        event = CheckmarxConnector().read_webhook(SECRET, {**headers, "X-Cx-Webhook-Signature": written}, body)
        assert event is not None
        assert event.asset_keys == (P1,)


@pytest.mark.parametrize("written", ["", "sha256=", "sha256=!!!!", "sha1=abcd", "x" * 64, "ü"])
def test_a_signature_that_cannot_be_read_is_wrong(written):
    headers, body = told("scan_partial")
    with pytest.raises(Unauthorized):
        CheckmarxConnector().read_webhook(SECRET, {**headers, "X-Cx-Webhook-Signature": written}, body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"projectId": 7}', b'{"projectId": ""}', b"\xff", b"[" * 100_000])
def test_a_body_of_something_else_is_refused(body):
    headers = {"X-Cx-Webhook-Event": "scan_partial", "X-Cx-Webhook-Signature": signature(SECRET, body)}
    with pytest.raises(BadRequest):
        CheckmarxConnector().read_webhook(SECRET, headers, body)


def test_the_delivery_of_the_stand_in_looks_like_the_real_one():
    headers, body = told("scan_completed_successfully", branch="main")
    assert headers["User-Agent"] == "Go-http-client/1.1"
    assert json.loads(body)["statusInfo"][0] == {"name": "general", "status": "Completed", "details": ""}
