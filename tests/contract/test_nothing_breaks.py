"""Every operation of the documents, sent what nobody should send: it may refuse, and never breaks."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.app import create_app
from core.db import db
from tests.factories import SETTINGS, make_customer, signed_in_client

TEXTS = ["0", "-1", "9" * 30, "x" * 3000, "\x00", "a\x00b", "\u202e", "é🐟", "'\"--", "%", "_", "../..", "[]", "NaN", " ", ",,a"]
VALUES = [None, True, -1, 1.5, 10**30, "", "x" * 3000, "\x00", "\ud800", [], {}, [None], [[]], {"a": {}}, {"": ""}]
PAGES = ("/v1/auth/redirect", "/v1/auth/confirm")  # shown to a person
BODIES = [b"", b"{", b"\xff\xfe", b"[" * 3000, b'{"a":' * 3000, b"null", b'"text"', b"1"]


@pytest.fixture
def client(database: str) -> Iterator[FlaskClient]:
    app: Flask = create_app(replace(SETTINGS, database_url=database))
    access.ensure_built_in_roles()
    yield signed_in_client(app, "msp_admin", active=make_customer())
    if not db.is_closed():
        db.close()


@pytest.fixture(params=["cvms", "v1"])
def document(request: pytest.FixtureRequest, client: FlaskClient) -> dict[str, Any]:
    return client.get(f"/docs/{request.param}/openapi.json").get_json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, described in document["paths"].items():
        for method, operation in described.items():
            if method != "parameters":
                yield method, path, operation


def address(path: str, value: str = "ghost") -> str:
    return re.sub(r"{\w+}", quote(value, safe=""), path)


def properties_of(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return list(document["components"]["schemas"].get(name, schema).get("properties", {}))


def holds(answer: Any, *sent: Any) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, (sent, answer.text)  # 503: there is no Redis here
    if answer.status_code < 400:
        return
    if answer.mimetype == "text/html":
        assert sent[1] in PAGES, sent
        return
    told = answer.get_json()
    if "successful" in told:
        assert (told["status"], told["successful"], type(told["message"])) == (answer.status_code, False, str), sent
        assert all(set(fault) == {"path", "message"} for fault in told.get("errors", ())), sent
    else:
        assert isinstance(told["error"], str), sent


def test_whatever_stands_in_the_path_or_the_query(client, document):
    for method, path, operation in operations(document):
        body = None if method == "get" else {}
        names = [given["name"] for given in operation.get("parameters", ()) if given.get("in") == "query"]
        for text in TEXTS:
            if "{" in path:
                holds(client.open(address(path, text), method=method, json=body), method, path, text)
            for name in names:
                holds(client.open(address(path), method=method, query_string={name: text}, json=body), method, path, name, text)


def test_whatever_stands_in_the_body(client, document):
    for method, path, operation in operations(document):
        if method == "get":
            continue
        for raw in BODIES:
            holds(client.open(address(path), method=method, data=raw, content_type="application/json"), method, path, raw[:20])
        for name in properties_of(document, operation):
            for value in VALUES:
                sent = json.dumps({name: value})
                holds(client.open(address(path), method=method, data=sent, content_type="application/json"), method, path, name, value)


@pytest.mark.parametrize("field", ["id", "name", "description", "customerId", "members"])
def test_whatever_stands_in_a_group(client, field):
    for value in VALUES:
        for group in ({"name": "g", "members": [], field: value}, {"name": "g", "members": [{"type": "sonar_project", "id": value}]}):
            sent = json.dumps({"replaceMode": "all", "groups": [group]})
            holds(client.put("/api/asset-groups", data=sent, content_type="application/json"), field, value)


def test_whatever_stands_in_the_headers_that_name_a_customer(client):
    for value in ("é", "x" * 3000, "\x80", "'--", "a,b", "*"):
        for name in ("x-customer-id", "x-pacci-customer-id"):
            answer = client.get("/api/manage-assets", headers={name: value})
            assert answer.status_code == 400, (name, value)
