"""The helpers that serve a stand-in."""

import urllib.request
from urllib.error import URLError

import pytest
from flask import Flask

from core.testing.standin import StandIn, StandInProcess


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def test_a_stand_in_answers_while_the_block_lasts_and_frees_its_port():
    app = Flask("hello")
    app.add_url_rule("/", "hello", lambda: "hello")
    with StandIn(app) as server:
        assert fetched(server.url) == "hello"
    with pytest.raises(URLError):
        fetched(server.url)
    with StandIn(app, port=server.port) as again:
        assert fetched(again.url) == "hello"


def test_a_stand_in_process_tells_its_address_and_ends_when_stopped(tmp_path):
    (tmp_path / "patient.py").write_text("import os, time\nprint(os.environ['ADDRESS'], flush=True)\ntime.sleep(60)")
    environment = {"PYTHONPATH": str(tmp_path), "ADDRESS": "http://127.0.0.1:1"}
    with StandInProcess("patient", env=environment) as server:
        assert server.url == "http://127.0.0.1:1"
        assert server.pid is not None
    assert server.pid is None


def test_a_process_that_ends_at_once_is_reported():
    with pytest.raises(RuntimeError, match="did not start"):
        StandInProcess("no.such.module").start()
