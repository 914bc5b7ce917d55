"""Whatever goes wrong is told in the shape of the surface that was asked, and tells nothing of the inside."""

import logging
import sqlite3
from dataclasses import replace

import peewee
import pytest
import redis.exceptions
from flask import Blueprint, Flask, Response, abort, make_response
from marshmallow import ValidationError
from playhouse.pool import MaxConnectionsExceeded
from werkzeug.exceptions import HTTPException

from core import errors
from core.app import create_app
from core.hooks.manager import Plugins
from core.http.access import public
from core.http.surfaces import register_blueprint
from tests.factories import SETTINGS, signed_in_client

SECRET = "do not show this"
PREFIXES = {"cvms": "/api/probe", "v1": "/v1/probe", "codeinsight": "/codeinsight/api/probe", "page": "/probe"}
FAULTS = {
    "bad": lambda: errors.BadRequest("Not like that", details={"name": ["Missing."]}),
    "unauthorized": lambda: errors.Unauthorized(),
    "forbidden": lambda: errors.Forbidden(),
    "missing": lambda: errors.NotFound("There is no such thing"),
    "nothing": lambda: errors.NotFound(),
    "conflict": lambda: errors.Conflict("Taken", code="NameTaken"),
    "too-many": lambda: errors.TooManyRequests(headers={"Retry-After": "7"}),
    "full": lambda: errors.StorageFull(),
    "disk": lambda: peewee.OperationalError(f"database or disk is full: {SECRET}"),
    "database": lambda: peewee.OperationalError(f"connection refused at 10.0.0.9 {SECRET}"),
    "statement": lambda: peewee.OperationalError(f"no such column {SECRET}"),
    "too-long": lambda: peewee.DataError(f"value too long for type character varying(32): {SECRET}"),
    "half-a-character": lambda: "\ud800".encode(),
    "pool": lambda: MaxConnectionsExceeded(SECRET),
    "redis": lambda: redis.exceptions.ConnectionError(f"Error 111 connecting to {SECRET}"),
    "redis-slow": lambda: redis.exceptions.TimeoutError(SECRET),
    "validation": lambda: ValidationError({"fields": {0: {"value": ["Wrong."]}}}),
    "bug": lambda: ZeroDivisionError(SECRET),
    "driver": lambda: sqlite3.ProgrammingError(SECRET),
}
STATUSES = {"bad": 400, "unauthorized": 401, "forbidden": 403, "missing": 404, "nothing": 404, "conflict": 409, "too-many": 429,
            "full": 507,
            "disk": 507, "database": 503, "statement": 500,
            "too-long": 400, "half-a-character": 400, "pool": 503, "redis": 503, "redis-slow": 503, "validation": 400, "bug": 500,
            "driver": 500}


@pytest.fixture
def client(app: Flask):
    for surface, prefix in PREFIXES.items():
        blueprint = Blueprint(f"probe_{surface}", __name__, url_prefix=prefix)

        @blueprint.get("/<fault>")
        @public
        def raised(fault: str) -> Response:
            if fault.isdigit():
                abort(int(fault))
            if fault == "ready-made":
                abort(make_response("as it is", 418))
            raise FAULTS[fault]()
        register_blueprint(app, blueprint)
    return app.test_client()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cvms_surface_says_error_and_details(client, fault):
    answer = client.get(f"/api/probe/{fault}")
    assert answer.status_code == STATUSES[fault]
    assert set(answer.get_json()) <= {"error", "details"}
    assert isinstance(answer.get_json()["error"], str)
    assert SECRET not in answer.text


@pytest.mark.parametrize("fault", FAULTS)
def test_the_v1_surface_says_it_in_its_envelope(client, fault):
    body = client.get(f"/v1/probe/{fault}").get_json()
    assert (body["status"], body["successful"], isinstance(body["message"], str)) == (STATUSES[fault], False, True)
    assert set(body) <= {"status", "message", "error", "errors", "successful"}


@pytest.mark.parametrize(("fault", "message"), [
    ("unauthorized", "Unauthorized"), ("forbidden", "Insufficient permissions"), ("nothing", "Resource not found"),
    ("bug", "Internal server error"), ("401", "Unauthorized"), ("403", "Insufficient permissions"), ("404", "Resource not found")])
def test_general_refusals_of_v1_are_the_documented_ones_word_for_word(client, fault, message):
    answer = client.get(f"/v1/probe/{fault}")
    assert answer.get_json() == {"status": answer.status_code, "message": message, "successful": False}


def test_what_is_wrong_with_a_v1_request_is_a_list_of_places(client):
    assert client.get("/v1/probe/validation").get_json() == {
        "status": 400, "message": "Validation error", "successful": False,
        "errors": [{"path": ["fields", 0, "value"], "message": "Wrong."}]}


def test_of_thousands_of_faults_the_first_are_told(app, client):
    blueprint = Blueprint("faulty", __name__, url_prefix="/v1/faulty")

    @blueprint.get("")
    @public
    def faulty():
        raise ValidationError({"rows": {number: ["Not a row."] for number in range(5000)}, "names": ["Not a name."] * 5000})

    register_blueprint(app, blueprint)
    assert len(client.get("/v1/faulty").get_json()["errors"]) == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_the_code_insight_surface_says_it_in_its_envelope(client, fault):
    [said] = client.get(f"/codeinsight/api/probe/{fault}").get_json()["errors"]
    assert said["status"] == STATUSES[fault]
    assert set(said) == {"status", "key", "message", "arguments"}


@pytest.mark.parametrize("fault", FAULTS)
def test_elsewhere_it_is_said_in_plain_text(client, fault):
    answer = client.get(f"/probe/{fault}")
    assert (answer.status_code, answer.mimetype) == (STATUSES[fault], "text/plain")
    assert SECRET not in answer.text


def test_details_code_and_headers_of_an_error_arrive(client):
    assert client.get("/api/probe/bad").get_json() == {"error": "Not like that", "details": {"name": ["Missing."]}}
    assert client.get("/v1/probe/bad").get_json()["errors"] == [{"path": ["name"], "message": "Missing."}]
    assert client.get("/v1/probe/conflict").get_json()["error"] == "NameTaken"
    assert client.get("/api/probe/too-many").headers["Retry-After"] == "7"


def test_an_unexpected_fault_is_logged_under_the_request_s_id_which_the_caller_is_told(client, caplog):
    answer = client.get("/api/probe/bug")
    assert answer.get_json() == {"error": "Internal server error", "details": {"requestId": answer.headers["X-Request-Id"]}}
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 409, 415, 429, 500, 501, 503])
def test_a_plain_http_fault_keeps_its_status(client, status):
    answer = client.get(f"/api/probe/{status}")
    assert answer.status_code == status
    assert list(answer.get_json()) == ["error"]


def test_a_ready_made_answer_is_left_alone(client):
    assert (client.get("/api/probe/ready-made").status_code, client.get("/api/probe/ready-made").text) == (418, "as it is")


@pytest.mark.parametrize("address", ["/api/nothing", "/api", "/api/", "/api/customers/", "/v1/nothing", "/codeinsight/api/nothing"])
def test_an_unknown_address_of_a_surface_is_404_in_its_shape(client, address):
    answer = client.get(address)
    assert (answer.status_code, answer.is_json) == (404, True)


def test_a_prefix_is_a_whole_word(client):
    assert client.get("/apiary").mimetype == "text/plain"


@pytest.mark.parametrize(("method", "address"), [("delete", "/api/customers"), ("post", "/api/manage-assets"), ("put", "/health/live")])
def test_a_wrong_method_is_told_the_right_ones(client, method, address):
    answer = getattr(client, method)(address)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_a_body_that_is_too_large_is_refused(sqlite_database):
    settings = replace(SETTINGS, max_request_mb=1)
    app = create_app(settings, plugins=Plugins(settings))
    client = signed_in_client(app, "msp_admin")
    answer = client.post("/api/customers", json={"name": "x" * 2_000_000})
    assert (answer.status_code, list(answer.get_json())) == (413, ["error"])


def test_pages_may_word_their_own_refusals(app, client):
    app.extensions["stockade_html_errors"] = lambda refusal: make_response(f"<h1>{refusal.status}</h1>", refusal.status)
    answer = client.get("/probe/missing", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.text) == (404, "<h1>404</h1>")
    assert client.get("/api/probe/missing", headers={"Accept": "text/html"}).is_json
    assert client.get("/probe/missing", headers={"Accept": "application/json"}).mimetype == "text/plain"


@pytest.mark.parametrize(("address", "status"), [
    ("/api/findings/%00", 404), ("/%00", 404), ("/api/customers?name=%00", 400), ("/docs?%00", 400)])
def test_a_nul_gets_no_further_than_the_door(client, address, status):
    assert client.get(address).status_code == status


def test_every_http_fault_has_a_code_for_v1():
    assert issubclass(HTTPException, Exception)
    for kind in (errors.BadRequest, errors.NotFound, errors.Conflict):
        assert kind.code.isalpha()
