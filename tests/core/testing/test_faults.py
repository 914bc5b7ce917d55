"""Stand-ins misbehave as they are told: the right call, the right number of times, over real HTTP."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import requests
from flask import Flask, Response, g, jsonify

from core.testing import faults as kit
from core.testing.faults import Faults
from core.testing.standin import StandIn

KINDS = {"empty": "gives no records"}


@pytest.fixture
def faults() -> Faults:
    return Faults(KINDS)


@pytest.fixture
def ask(faults) -> Iterator[Callable[[str], requests.Response]]:
    """Asks a small service for ``/list`` or ``/one``, or its controls."""
    app, calls = Flask("service"), Counter[str]()

    @app.before_request
    def spoil_before() -> Response | None:
        g.striking = []
        return None

    @app.get("/<name>")
    def view(name: str) -> Response:
        calls[name] += 1
        g.striking = faults.striking(name, {f"project-of-{name}"})
        spoilt = kit.spoilt_before(g.striking, lambda status: Response(f"refused with {status}", status))
        return spoilt or jsonify(data=["a record"] * 20)

    app.after_request(lambda response: kit.spoilt_after(g.striking, response))
    app.register_blueprint(kit.controls(faults, calls), url_prefix="/_standin")
    with StandIn(app) as server:
        yield lambda path, method="GET", **kw: requests.request(method, f"{server.url}/{path}", timeout=5, **kw)


def test_a_fault_counts_only_the_calls_that_concern_it(faults):
    fault = faults.add("html", path="list", about="p", after=1, times=1)
    asked = [("one", "p"), ("list", "q"), ("list", "p"), ("list", "p"), ("list", "p")]
    assert [bool(faults.striking(path, {named})) for path, named in asked] == [False, False, False, True, False]
    assert fault.seen == 3
    faults.clear()
    assert faults.as_json() == []


def test_a_status_comes_in_the_service_s_own_words(faults, ask):
    faults.add("status", path="list", status=429, retry_after="7")
    refused = ask("list")
    assert (refused.status_code, refused.text, refused.headers["Retry-After"]) == (429, "refused with 429", "7")
    assert ask("one").status_code == 200


def test_a_proxy_in_between_answers_html(faults, ask):
    faults.add("html", times=1)
    assert (ask("list").status_code, ask("list").status_code) == (502, 200)


def test_a_body_is_cut_so_that_one_can_tell_or_so_that_one_cannot(faults, ask):
    faults.add("cut", times=1)
    with pytest.raises(requests.exceptions.RequestException):
        ask("list")
    faults.add("cut_json", times=1)
    cut = ask("list")
    assert cut.status_code == 200
    with pytest.raises(ValueError):
        cut.json()


def test_a_slow_answer_comes_when_the_gate_opens(faults, ask):
    gate = threading.Event()
    faults.add("slow", gate=gate)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(ask("_standin/calls").url.replace("_standin/calls", "list"), timeout=0.05)
    gate.set()
    assert ask("list").status_code == 200


def test_faults_are_told_from_outside(faults, ask):
    told = {"kind": "status", "path": "list", "status": 503, "fromCall": 2, "about": "project-of-list"}
    added = ask("_standin/faults", "POST", json=told)
    assert (added.json()["after"], added.json()["status"]) == (1, 503)
    assert [ask("list").status_code for _ in range(2)] == [200, 503]
    assert ask("_standin/faults").json()["faults"][0]["seen"] == 2
    assert set(ask("_standin/faults").json()["kinds"]) == {*kit.KINDS, "empty"}
    assert ask("_standin/calls").json() == {"list": 2}
    assert ask("_standin/faults", "DELETE").status_code == ask("_standin/calls", "DELETE").status_code == 204
    assert (ask("_standin/calls").json(), ask("list").status_code) == ({}, 200)


@pytest.mark.parametrize("body", [{"kind": "no-such"}, {}, {"kind": "html", "after": "x"}, {"kind": "html", "times": []}])
def test_a_fault_that_cannot_be_is_refused(ask, body):
    assert ask("_standin/faults", "POST", json=body).status_code == 400
