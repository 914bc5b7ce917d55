"""What is around every request: headers, ids, log lines, health, counters."""

import io
import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Blueprint
from prometheus_client.core import GaugeMetricFamily

from core import db as database
from core import logs
from core.app import create_app
from core.connections.models import Run
from core.db import db
from core.hooks.manager import Plugins
from core.http.access import public
from core.http.health import ask_at_scrape
from core.jobs.queue import JobQueue
from tests.factories import SETTINGS, make_customer, make_user, signed_in_client


def app_with(queue=None, **settings):
    changed = replace(SETTINGS, **settings)
    return create_app(changed, plugins=Plugins(changed), queue=queue)


# -- headers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/health/live", "/api/auth/session", "/api/customers", "/api/nothing", "/docs", "/nothing"])
def test_every_response_carries_the_security_headers(client, address):
    headers = client.get(address).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "same-origin")
    assert "Strict-Transport-Security" not in headers


def test_answers_of_the_api_are_kept_by_no_cache_unless_they_say_so(client):
    assert client.get("/api/auth/session").headers["Cache-Control"] == "no-store"


def test_under_https_browsers_are_told_to_stay_there(sqlite_database):
    client = app_with(public_url="https://stockade.example").test_client()
    assert client.get("/health/live").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_forwarded_headers_count_only_behind_a_proxy_that_is_trusted(sqlite_database):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "stockade.example"}
    for proxies, expected in ((0, "http://localhost"), (1, "https://stockade.example")):
        providers = app_with(trusted_proxies=proxies).test_client().get("/api/auth/providers", headers=forwarded).get_json()
        assert providers["credentials"]["signinUrl"].startswith(expected)


# -- ids and log lines ------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines():
    """Log lines written meanwhile, decoded."""
    stream, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure("INFO", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


def test_a_sane_request_id_is_kept_and_others_are_replaced(client):
    assert client.get("/health/live", headers={"X-Request-Id": "trace-0123456789"}).headers["X-Request-Id"] == "trace-0123456789"
    for odd in ("short", "x" * 65, "with blank in it", "<script>alert(1)</script>", '"quoted-text"'):
        answer = client.get("/health/live", headers={"X-Request-Id": odd})
        assert answer.headers["X-Request-Id"] != odd
        assert len(answer.headers["X-Request-Id"]) == 24


def test_each_request_leaves_one_line_without_its_query(app, lines):
    customer = make_customer()
    user = make_user("customer_viewer", customer=customer)
    client = signed_in_client(app, user=user)
    answer = client.get("/api/asset-groups?token=hush")
    [line] = [line for line in lines() if line["logger"] == "stockade.access"]
    assert (line["method"], line["route"], line["status"], line["user"], line["customer"]) == (
        "GET", "/api/asset-groups", 200, user.id, customer.id)
    assert line["request"] == answer.headers["X-Request-Id"]
    assert line["ms"] >= 0
    assert "hush" not in json.dumps(lines())


def test_the_line_of_an_address_with_an_id_has_the_template(app, lines):
    customer = make_customer()
    signed_in_client(app, "msp_admin").get(f"/api/customers/{customer.id}")
    assert [line["route"] for line in lines() if "route" in line] == ["/api/customers/<customer_id>"]


def test_what_one_request_noted_does_not_show_in_the_next(app, client, lines):
    signed_in_client(app, "customer_viewer", customer=make_customer()).get("/api/asset-groups")
    client.get("/health/live")
    assert "customer" not in lines()[-1]
    assert "user" not in lines()[-1]


# -- health -----------------------------------------------------------------------------------------------------------------


def test_a_process_that_answers_is_alive_without_a_database(tmp_path):
    database.configure(f"sqlite:///{tmp_path}/nowhere/none.sqlite3")
    assert app_with().test_client().get("/health/live").get_json() == {"status": "ok"}


def test_a_database_that_is_not_there_makes_it_unready(tmp_path):
    database.configure(f"sqlite:///{tmp_path}/nowhere/none.sqlite3")
    answer = app_with().test_client().get("/health/ready")
    assert (answer.status_code, answer.get_json()["parts"]["database"]) == (503, "unreachable")
    assert str(tmp_path) not in answer.text


def test_a_database_without_its_migrations_makes_it_unready(tmp_path):
    database.configure(f"sqlite:///{tmp_path}/new.sqlite3")
    answer = app_with().test_client().get("/health/ready")
    assert answer.status_code == 503
    assert "migrations are waiting" in answer.get_json()["parts"]["database"]
    db.close_all()


def test_all_parts_ready(database, redis_url):
    queue = JobQueue(redis_url)
    answer = app_with(queue).test_client().get("/health/ready")
    assert (answer.status_code, answer.get_json()) == (
        200, {"status": "ok", "parts": {"database": "ok", "redis": "ok"}, "pluginsSetAside": []})
    queue.close()


def test_redis_away_makes_it_unready_and_says_so(sqlite_database, tmp_path):
    queue = JobQueue(f"unix://{tmp_path}/no.sock")
    answer = app_with(queue).test_client().get("/health/ready")
    assert (answer.status_code, answer.get_json()["parts"]) == (503, {"database": "ok", "redis": "unreachable"})
    queue.close()


# -- counters ---------------------------------------------------------------------------------------------------------------


def test_requests_are_counted_by_route_template(app, client):
    signed_in_client(app, "msp_admin").get(f"/api/customers/{make_customer().id}")
    client.get("/made-up-address-1")
    client.open("/health/live", method="BREW")
    text = client.get("/metrics").text
    assert 'stockade_http_requests_total{method="GET",route="/api/customers/<customer_id>",status="200"}' in text
    assert 'stockade_http_request_seconds_bucket{le="0.1",method="GET",route="/api/customers/<customer_id>"}' in text
    assert 'route="(none)"' in text
    assert "made-up-address" not in text
    assert "BREW" not in text


def test_figures_of_areas_are_asked_for_at_each_scrape_and_a_failing_one_is_left_out(app, client):
    asked = []

    def runs():
        asked.append(1)
        yield GaugeMetricFamily("stockade_probe_runs", "Runs", value=len(asked))

    def broken():
        db.execute_sql("SELECT * FROM no_such_table")
        yield GaugeMetricFamily("stockade_probe_broken", "Broken", value=1)

    for collect in (broken, runs):
        ask_at_scrape(app, collect)
    assert "stockade_probe_runs 1.0" in client.get("/metrics").text
    assert "stockade_probe_runs 2.0" in client.get("/metrics").text


def test_runs_are_counted_by_state_and_jobs_that_wait(sqlite_database, redis_url):
    queue = JobQueue(redis_url)
    queue.enqueue("core.connections.jobs.execute_run", "run_1", {"run_id": "run_1"})
    facts = {"customer_id": "cus_a", "source": "test", "trigger": "person", "requested_by": "ada", "requested_at": 1}
    for number, state in enumerate(("failed", "failed", "succeeded")):
        Run.create(id=f"run_{number}", connection_id=f"con_{number}", state=state, **facts)
    text = app_with(queue).test_client().get("/metrics").text
    assert 'stockade_runs{state="failed"} 2.0' in text
    assert 'stockade_runs{state="held"} 0.0' in text
    assert "stockade_queue_jobs 1.0" in text
    queue.close()


def test_counters_are_told_with_redis_away(sqlite_database, tmp_path):
    queue = JobQueue(f"unix://{tmp_path}/no.sock")
    answer = app_with(queue).test_client().get("/metrics")
    assert (answer.status_code, "stockade_runs" in answer.text, "stockade_queue_jobs" in answer.text) == (200, True, False)
    queue.close()


@pytest.mark.parametrize(("given", "status"), [
    (None, 401), ("Bearer wrong", 401), ("Bearer s3cret-token", 200), ("Basic s3cret-token", 401), ("Bearer \xe9", 401)])
def test_counters_can_be_kept_behind_a_token(sqlite_database, given, status):
    client = app_with(metrics_token="s3cret-token").test_client()
    assert client.get("/metrics", headers={"Authorization": given} if given else {}).status_code == status


SEVERAL_PROCESSES = """
import os, sys
from tests.factories import SETTINGS
from core import db
from core.app import create_app
from core.connections.models import Run
from core.hooks.manager import Plugins
db.configure("sqlite:///" + sys.argv[1])
client = create_app(SETTINGS, plugins=Plugins(SETTINGS)).test_client()
if os.fork() == 0:
    client.get("/health/live")
    client.get("/health/live")
    os._exit(0)
os.wait()
client.get("/health/live")
print(client.get("/metrics").text)
"""


def test_processes_that_share_a_folder_are_counted_together(tmp_path):
    (tmp_path / "counters").mkdir()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "counters"), "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", SEVERAL_PROCESSES, str(tmp_path / "x.sqlite3")], capture_output=True, text=True,
                          env=environment, check=True, timeout=60)
    assert 'stockade_http_requests_total{method="GET",route="/health/live",status="200"} 3.0' in done.stdout


def test_a_view_of_a_plugin_that_is_public_needs_nobody(app, client):
    blueprint = Blueprint("open", __name__)
    blueprint.get("/open")(public(lambda: "open"))
    app.register_blueprint(blueprint)
    assert client.get("/open").text == "open"
