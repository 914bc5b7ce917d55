"""The kit finds each way of breaking the contract, and says which."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from marshmallow import fields

from core.errors import Unauthorized
from core.hooks.contracts import (
    AssetDraft,
    AssetKind,
    CheckResult,
    FindingDraft,
    RuleDraft,
    SettingsSchema,
    Severity,
    SourceState,
    Unmapped,
    WebhookEvent,
)
from core.hooks.failures import AnswerInvalid, LoginRejected, NotThere, Unreachable
from core.testing.connector_kit import ContractBroken, check_connector, check_cut_short, check_refusal, check_webhook
from core.testing.standin import StandIn

SECRET = "a-secret-of-nobody"
KINDS = [AssetKind("thing", "Thing")]
ASSET = AssetDraft("one", "One", "thing")
FINDING = FindingDraft("f1", "A finding", Severity.HIGH, rule="r1")


class Form(SettingsSchema):
    url = fields.String(load_default="http://127.0.0.1:9")
    token = fields.String(required=True, metadata={"secret": True})


class Sound:
    """A pull and its connector in one, sound until a test spoils a part of it."""

    source, title, description, aliases, settings_schema = "sound", "Sound", "", (), Form
    result = CheckResult("It works", {"Version": "1"})
    asset_drafts = (ASSET,)
    finding_drafts = (FINDING, Unmapped("KeyError: 'title'", "f2"))
    rule_drafts = (RuleDraft("r1", "A rule"),)

    def open(self, settings, upstream):
        self.upstream = upstream(settings["url"])
        return self

    def check(self):
        return self.result

    def catalog(self):
        return iter(self.asset_drafts)

    def asset(self, key):
        for draft in self.asset_drafts:
            if draft.key == key:
                return draft
        raise NotThere(f"There is no {key}")

    def findings(self, asset) -> Iterator:
        return iter(self.finding_drafts)

    def rules(self, keys) -> Iterator:
        return (draft for draft in self.rule_drafts if draft.key in keys)


def spoilt(**parts):
    return type("Spoilt", (Sound,), parts)()


def test_a_sound_connector_passes_and_all_that_it_gave_is_told():
    pulled = check_connector(Sound(), {"token": SECRET}, kinds=KINDS)
    assert (pulled.assets, pulled.findings, pulled.calls) == ((ASSET,), {"one": (FINDING,)}, 0)
    assert [entry.source_key for entry in pulled.unmapped] == ["f2"]
    assert [rule.key for rule in pulled.rules] == ["r1"]


def _calls_while_opening(self, settings, upstream):
    return upstream(settings["url"]).get("/")


@pytest.mark.parametrize(("part", "value", "said"), [
    ("result", "fine", "check() returned str, not a CheckResult"),
    ("result", CheckResult(""), "check() says nothing"),
    ("result", CheckResult("Signed in with " + SECRET), "the result of check() shows a secret"),
    ("catalog", lambda self: [ASSET], "catalog() returned list; give an iterator"),
    ("asset_drafts", ({"key": "one"},), "catalog() gave dict"),
    ("asset_drafts", (ASSET, ASSET), "the catalog has these keys more than once: ['one']"),
    ("asset_drafts", (replace(ASSET, key=""),), "the catalog has the key ''"),
    ("asset_drafts", (replace(ASSET, key="k" * 501),), "a key is a text of 1 to 500 characters"),
    ("asset_drafts", (replace(ASSET, kind="other"),), "of the kind 'other', which the plugin does not register"),
    ("asset_drafts", (replace(ASSET, attributes={"seen": object()}),), "catalog() gave something that cannot be kept as JSON"),
    ("asset", lambda self, key: ASSET, "asset() of an unknown key gives"),
    ("asset", lambda self, key: replace(ASSET, key="two"), "asset('one') gives another asset"),
    ("finding_drafts", ("f1",), "findings() of 'one' gave str"),
    ("finding_drafts", (replace(FINDING, title=""),), "has no title"),
    ("finding_drafts", (replace(FINDING, severity=3),), "has the severity 3, which is no Severity"),
    ("finding_drafts", (replace(FINDING, state="open"),), "has the state 'open', which is no SourceState"),
    ("finding_drafts", (replace(FINDING, state=SourceState.GONE),), "is GONE; only core says that"),
    ("finding_drafts", (replace(FINDING, line=0),), "lines count from 1"),
    ("finding_drafts", (replace(FINDING, created_at=1_750_000_000),), "not milliseconds"),
    ("finding_drafts", (replace(FINDING, details={"header": f"Bearer {SECRET}"}),), "findings() of 'one' shows a secret"),
    ("rules", lambda self, keys: iter(RuleDraft(key, key) for key in keys), "rules() gives rules that nobody asked for"),
    ("source", "Not A Source", "is not a lower-case word"),
])
def test_a_broken_part_is_found_and_named(part, value, said):
    with pytest.raises(ContractBroken, match=re.escape(said)):
        check_connector(spoilt(**{part: value}), {"token": SECRET}, kinds=KINDS)


def test_keys_that_change_from_pull_to_pull_are_found():
    numbers = iter(range(100))
    connector = spoilt(findings=lambda self, asset: iter([replace(FINDING, source_key=f"f{next(numbers)}")]))
    with pytest.raises(ContractBroken, match="a second pull of 'one' gives other source keys"):
        check_connector(connector, {"token": SECRET}, kinds=KINDS)


def test_a_request_while_it_is_opened_is_found():
    app = Flask(__name__)
    app.get("/")(dict)
    with StandIn(app) as upstream, pytest.raises(ContractBroken, match="sends a request"):
        check_connector(spoilt(open=_calls_while_opening), {"token": SECRET, "url": upstream.url}, kinds=KINDS)


def _raising(problem):
    def check(self):
        raise problem
    return check


def test_a_refusal_must_be_the_expected_one_and_keep_the_secret():
    assert check_refusal(spoilt(check=_raising(LoginRejected("The token is refused"))), {"token": SECRET}, LoginRejected).needs_attention
    with pytest.raises(ContractBroken, match="raised Unreachable"):
        check_refusal(spoilt(check=_raising(Unreachable("No answer"))), {"token": SECRET}, LoginRejected)
    with pytest.raises(ContractBroken, match="shows a secret"):
        check_refusal(spoilt(check=_raising(LoginRejected(f"{SECRET} is refused"))), {"token": SECRET}, LoginRejected)
    with pytest.raises(ContractBroken, match="found nothing wrong"):
        check_refusal(Sound(), {"token": SECRET}, LoginRejected)


def test_a_pull_that_is_cut_short_must_raise():
    def cut_short(self, asset):
        yield FINDING
        raise AnswerInvalid("Page 2 was cut short")
    assert check_cut_short(spoilt(findings=cut_short), {"token": SECRET}).code == "invalid_answer"
    with pytest.raises(ContractBroken, match="ended normally"):
        check_cut_short(Sound(), {"token": SECRET})


class Careful:
    webhook_secret_setting = "hook"

    def read_webhook(self, secret, headers, body):
        if not secret or not hmac.compare_digest(_sign(secret, body), headers.get("X-Signature", "")):
            raise Unauthorized
        return WebhookEvent(("one",))


class Gullible(Careful):
    def read_webhook(self, secret, headers, body):
        return WebhookEvent()


def _sign(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_a_webhook_must_be_refused_when_it_is_forged():
    headers = {"X-Signature": _sign("hush", b"{}")}
    assert check_webhook(Careful(), "hush", headers, b"{}") == WebhookEvent(("one",))
    with pytest.raises(ContractBroken, match="accepts a webhook with another body"):
        check_webhook(Gullible(), "hush", headers, b"{}")
