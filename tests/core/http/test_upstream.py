"""The shared HTTP client, against small servers on the loopback."""

import ipaddress
import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask, Response, request

from core.hooks.failures import (
    AddressRefused,
    AnswerInvalid,
    ConnectorError,
    LoginRejected,
    NotThere,
    PermissionMissing,
    SettingsInvalid,
    TlsFailed,
    Unreachable,
    UpstreamRefused,
    UpstreamUnavailable,
)
from core.http.upstream import Upstream, UpstreamPolicy
from core.testing.standin import StandIn
from core.testing.tls import self_signed
from tests.servers import LOOPBACK

HURRIED = UpstreamPolicy(allow=LOOPBACK, backoff=0.0, limited_backoff=0.01, longest_wait=2.0, per_second=1000.0)
TOKEN = "squ_" + "0123456789abcdef" * 2


@contextmanager
def answering(view: Callable[[], object], **kw: object) -> Iterator[str]:
    """The address of a server that answers every path with ``view``."""
    app = Flask("upstream")
    app.add_url_rule("/", "root", view)
    app.add_url_rule("/<path:_>", "any", lambda _: view())
    with StandIn(app, **kw) as server:
        yield server.url


class Script:
    """Answers one after the other, the last one for ever; counts how often it was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> object:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return answer


def test_an_answer_is_decoded_and_its_headers_are_found_in_any_spelling():
    with answering(lambda: ({"path": request.path, "q": request.args["q"]}, {"x-quota": "7"})) as url:
        upstream = Upstream(url + "/context/", HURRIED)
        assert upstream.get("/api/things", {"q": "a+b"}) == {"path": "/context/api/things", "q": "a+b"}
    assert upstream.last_headers["X-Quota"] == "7"
    assert upstream.calls == 1


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://localhost:9", "http://10.1.2.3", "http://169.254.169.254",
                                     "http://192.168.0.1", "http://[::1]:9", "http://[::ffff:127.0.0.1]:9", "http://100.64.0.1"])
def test_private_targets_are_refused_by_default(address):
    with pytest.raises(AddressRefused, match="private address"):
        Upstream(address, UpstreamPolicy()).get("/")


def test_a_refused_target_sees_no_request():
    script = Script("{}")
    with answering(script) as url, pytest.raises(AddressRefused):
        Upstream(url, UpstreamPolicy(allow=(ipaddress.ip_network("10.0.0.0/8"),))).get("/")
    assert script.asked == 0


@pytest.mark.parametrize(("address", "admitted"), [("93.184.216.34", True), ("10.0.0.1", False), ("::1", False), ("fe80::1%eth0", False),
                                                   ("127.0.0.1", True), ("::ffff:127.0.0.1", True), ("224.0.0.1", False)])
def test_the_policy_admits_public_addresses_and_allowed_networks(address, admitted):
    assert UpstreamPolicy(allow=LOOPBACK).admits(address) is admitted


def test_a_redirect_is_refused_and_not_followed():
    asked = []

    def view():
        asked.append(request.path)
        return Response(status=302, headers={"Location": "/elsewhere"})

    with answering(view) as url, pytest.raises(UpstreamRefused, match="redirect"):
        Upstream(url, HURRIED).get("/start")
    assert asked == ["/start"]


@pytest.mark.parametrize(("status", "failure"), [(400, UpstreamRefused), (401, LoginRejected), (403, PermissionMissing), (404, NotThere),
                                                 (500, UpstreamUnavailable), (501, UpstreamUnavailable), (503, UpstreamUnavailable)])
def test_each_status_raises_the_failure_that_names_it(status, failure):
    with answering(lambda: ({"errors": [{"msg": "said so"}]}, status)) as url, pytest.raises(failure, match=f"/api/x on .* {status}"):
        Upstream(url, HURRIED).get("/api/x")


def test_the_service_s_own_words_are_in_the_message_but_no_html_is():
    def messages(*answers):
        with answering(Script(*answers)) as url, pytest.raises(UpstreamRefused) as caught:
            Upstream(url, HURRIED).get("/")
        return str(caught.value)

    assert messages(({"errors": [{"msg": "first"}, {"msg": "second"}]}, 400)).endswith("answered 400: first, second")
    assert messages(("<html>page</html>", 400)).endswith("answered 400")


def test_a_failure_that_passes_is_retried():
    script = Script(("busy", 503), ("<html>bad gateway</html>", 502), '{"ok": true}')
    with answering(script) as url:
        assert Upstream(url, HURRIED).get("/") == {"ok": True}
    assert script.asked == 3


def test_a_failure_that_stays_is_given_up_after_the_policy_s_retries():
    script = Script(("busy", 503))
    with answering(script) as url, pytest.raises(UpstreamUnavailable):
        Upstream(url, UpstreamPolicy(allow=LOOPBACK, backoff=0.0, retries=2)).get("/")
    assert script.asked == 3


def test_a_refusal_is_not_retried():
    script = Script(("", 401))
    with answering(script) as url, pytest.raises(LoginRejected):
        Upstream(url, HURRIED).get("/")
    assert script.asked == 1


def test_retry_after_is_obeyed():
    moments: list[datetime] = []

    def view():
        moments.append(datetime.now(UTC))
        return "{}" if len(moments) > 1 else ("", 429, {"Retry-After": "1"})

    with answering(view) as url:
        Upstream(url, HURRIED).get("/")
    assert moments[1] - moments[0] >= timedelta(seconds=0.95)


def test_a_wait_longer_than_granted_ends_the_call_at_once_and_is_told():
    script = Script(("", 429, {"Retry-After": "300"}))
    with answering(script) as url, pytest.raises(UpstreamUnavailable, match="wait of 300 seconds") as caught:
        Upstream(url, HURRIED).get("/")
    assert caught.value.retry_after == 300
    assert script.asked == 1


def test_a_429_without_a_time_is_retried_after_the_policy_s_own_wait():
    script = Script(("", 429), ("", 429), "{}")
    with answering(script) as url:
        assert Upstream(url, HURRIED).get("/") == {}
    assert script.asked == 3


def test_a_retry_after_that_cannot_be_read_counts_as_none():
    script = Script(("", 429, {"Retry-After": "soon"}), "{}")
    with answering(script) as url:
        assert Upstream(url, HURRIED).get("/") == {}


def cut_short() -> Response:
    return Response(iter(['{"half": ']), headers={"Content-Length": "1000", "Content-Type": "application/json"})


def test_a_body_cut_short_is_asked_for_again():
    script = Script(cut_short(), "[1]")
    with answering(script) as url:
        assert Upstream(url, HURRIED).get("/") == [1]


def test_a_body_that_is_always_cut_short_is_an_invalid_answer():
    with answering(cut_short) as url, pytest.raises(AnswerInvalid, match="cut short"):
        Upstream(url, HURRIED).get("/")


@pytest.mark.parametrize("body", ["<html>", '{"half": ', "", "[" * 200_000])
def test_what_is_not_json_is_an_invalid_answer(body):
    with answering(lambda: body) as url, pytest.raises(AnswerInvalid, match="not JSON"):
        Upstream(url, HURRIED).get("/")


def test_an_unknown_character_set_is_read_as_utf_8():
    with answering(lambda: Response('["ü"]', content_type="application/json; charset=no-such")) as url:
        assert Upstream(url, HURRIED).get("/") == ["ü"]


def test_a_huge_body_is_refused_before_it_is_all_read():
    sent = []

    def body():
        for _ in range(10_000):
            sent.append(1)
            yield b"x" * 100_000

    policy = UpstreamPolicy(allow=LOOPBACK, largest_body=1024 * 1024)
    with answering(lambda: Response(body())) as url, pytest.raises(AnswerInvalid, match="larger than 1 MiB"):
        Upstream(url, policy).get("/")
    assert len(sent) < 1000


def test_a_port_where_nobody_listens_is_unreachable():
    with StandIn(Flask("gone")) as server:
        address = server.url
    with pytest.raises(Unreachable, match="refused"):
        Upstream(address, UpstreamPolicy(allow=LOOPBACK, backoff=0.0)).get("/")


def test_a_name_that_does_not_resolve_is_unreachable():
    with pytest.raises(Unreachable, match="does not resolve"):
        Upstream("http://no-such-host.invalid", HURRIED).get("/")


def test_a_server_that_never_answers_is_unreachable():
    never = threading.Event()
    policy = UpstreamPolicy(allow=LOOPBACK, read_timeout=0.05, backoff=0.0, retries=1)
    try:
        with answering(lambda: never.wait(10) and "") as url, pytest.raises(Unreachable, match="no answer in time"):
            Upstream(url, policy).get("/")
    finally:
        never.set()


@pytest.mark.parametrize("address", ["ftp://host", "host.example", "http://", "https://user:pw@host", "https://host/?a=1", "https://host/#x",
                                     "http://host:99999999", "http://[half"])
def test_an_impossible_address_is_a_matter_of_settings(address):
    with pytest.raises(SettingsInvalid):
        Upstream(address, HURRIED)


@pytest.mark.parametrize("token", ["squ_…", "two\nlines"])
def test_a_credential_that_cannot_be_sent_is_a_matter_of_settings(token):
    with pytest.raises(SettingsInvalid, match="cannot be sent") as caught:
        Upstream("https://host.example", HURRIED, headers={"Authorization": f"Bearer {token}"})
    assert token not in str(caught.value)


@pytest.mark.parametrize("echo", [lambda sent: sent.authorization.username, lambda sent: sent.headers["Authorization"].split()[1],
                                  lambda sent: sent.query_string.decode(), lambda sent: "x" * 280 + sent.authorization.password])
def test_what_was_sent_is_not_told_in_whichever_form_it_comes_back(echo):
    with answering(lambda: ({"message": f"no such user {echo(request)}"}, 401)) as url, pytest.raises(LoginRejected) as caught:
        Upstream(url, HURRIED, auth=("opaque/secret+1", "opaque/secret+2")).get("/", {"key": "opaque/secret+2"})
    for secret in ("opaque", b64encode(b"opaque/secret+1:opaque/secret+2").decode()):
        assert secret not in str(caught.value)


def test_no_secret_gets_into_a_message():
    def view():
        return {"errors": [{"msg": f"bad {request.headers['Authorization']} and {request.headers['Authorization'][7:]}"}]}, 400

    with answering(view) as url, pytest.raises(ConnectorError) as caught:
        Upstream(url, HURRIED, headers={"Authorization": "Bearer opaque-secret-1"}, secrets=["opaque-secret-1"]).get("/")
    assert "opaque-secret-1" not in str(caught.value)
    with answering(lambda: ({"message": f"{request.authorization.username} unknown"}, 400)) as url, pytest.raises(ConnectorError) as caught:
        Upstream(url, HURRIED, auth=(TOKEN, "")).get("/")
    assert TOKEN not in str(caught.value)


def test_calls_keep_the_pace_of_the_policy():
    with answering(lambda: "{}") as url:
        upstream = Upstream(url, UpstreamPolicy(allow=LOOPBACK, per_second=20.0))
        begun = datetime.now(UTC)
        for _ in range(5):
            upstream.get("/")
    assert datetime.now(UTC) - begun >= timedelta(seconds=4 / 20)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, str]:
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_a_certificate_nobody_vouches_for_is_a_tls_failure_told_at_once(certificate):
    script = Script("{}")
    patient = UpstreamPolicy(allow=LOOPBACK, backoff=30.0)  # a second try would outlast the test
    with answering(script, tls=certificate) as url, pytest.raises(TlsFailed, match="self-signed certificate"):
        Upstream(url, patient).get("/")
    assert script.asked == 0


def test_the_connection_s_own_authority_is_trusted(certificate):
    with answering(lambda: json.dumps({"safe": True}), tls=certificate) as url:
        assert Upstream(url, HURRIED, ca_pem=Path(certificate[0]).read_text()).get("/") == {"safe": True}


def test_authorities_that_are_no_pem_are_a_matter_of_settings():
    with pytest.raises(SettingsInvalid, match="PEM"):
        Upstream("https://host.example", HURRIED, ca_pem="not a certificate")


def test_plain_http_behind_an_https_address_is_a_tls_failure():
    with answering(lambda: "{}") as url, pytest.raises((TlsFailed, Unreachable)):
        Upstream(url.replace("http:", "https:"), UpstreamPolicy(allow=LOOPBACK, backoff=0.0)).get("/")
