"""The shared HTTP client sends forms, as token services take them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask, Response, request

from core.hooks.failures import AnswerInvalid, LoginRejected, Unreachable, UpstreamRefused, UpstreamUnavailable
from core.http.upstream import Upstream, UpstreamPolicy
from core.testing.standin import StandIn
from tests.servers import LOOPBACK

POLICY = UpstreamPolicy(allow=LOOPBACK, backoff=0.0, per_second=1000.0)
SECRET = "s3cr3t&of=client"  # noqa: S105
FORM = {"grant_type": "client_credentials", "client_id": "me", "client_secret": SECRET}


@contextmanager
def token_service(view: Callable[[], object]) -> Iterator[Upstream]:
    app = Flask("tokens")
    app.add_url_rule("/oauth2/token", "token", view, methods=["POST"])
    with StandIn(app) as server:
        yield Upstream(server.url, POLICY, secrets=[SECRET])


def test_the_fields_arrive_as_a_form():
    with token_service(lambda: {"type": request.mimetype, **request.form}) as upstream:
        assert upstream.post_form("/oauth2/token", FORM) == {"type": "application/x-www-form-urlencoded", **FORM}
        assert upstream.calls == 1


@pytest.mark.parametrize(("answer", "failure"), [
    (({"error": "invalid_client", "error_description": f"unknown secret {SECRET}"}, 401), LoginRejected),
    (("busy", 503, {"Retry-After": "0"}), UpstreamUnavailable), (("limited", 429), UpstreamUnavailable), ("<html>", AnswerInvalid),
])
def test_trouble_is_named_at_once_and_without_the_secret(answer, failure):
    asked = []
    with token_service(lambda: asked.append(1) or answer) as upstream, pytest.raises(failure, match="POST /oauth2/token on") as caught:
        upstream.post_form("/oauth2/token", FORM)
    assert SECRET not in str(caught.value)
    assert len(asked) == 1


def test_a_form_that_may_be_sent_twice_is_repeated_like_a_get():
    answers = [("busy", 503), ("limited", 429, {"Retry-After": "0"}), Response(iter(["{"]), headers={"Content-Length": "9"}), '{"ok": 1}']
    with token_service(lambda: request.form and answers.pop(0)) as upstream:
        assert upstream.post_form("/oauth2/token", FORM, repeatable=True) == {"ok": 1}


@pytest.mark.parametrize("repeatable", [False, True])
def test_a_refused_form_is_never_repeated(repeatable):
    asked = []
    with token_service(lambda: asked.append(1) or ({"error": "invalid_grant"}, 400)) as upstream, pytest.raises(UpstreamRefused):
        upstream.post_form("/oauth2/token", FORM, repeatable=repeatable)
    assert len(asked) == 1


def test_nobody_listens():
    with token_service(dict) as upstream:
        pass
    with pytest.raises(Unreachable, match="POST /oauth2/token on"):
        upstream.post_form("/oauth2/token", FORM)
