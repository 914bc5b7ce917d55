"""A deployment that takes reports: a web app, a customer, and short words for sending it a file."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from core.access import service as access
from core.app import create_app
from core.db import db
from core.deployment import Deployment, use
from core.scope import Scope
from core.tenancy.models import Customer
from tests.factories import SETTINGS, bearer, make_customer, make_token, make_user


@pytest.fixture
def whole_app(database: str, redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    """A web app with every plugin that is installed and a real queue; once on SQLite, once on PostgreSQL."""
    access.ensure_built_in_roles()
    app = create_app(replace(SETTINGS, database_url=database, redis_url=redis_url, home=str(tmp_path / "home")))
    use(app.extensions["stockade"])
    yield app
    if not db.is_closed():
        db.close()


@pytest.fixture
def deployment(whole_app: Flask) -> Deployment:
    return whole_app.extensions["stockade"]


@pytest.fixture
def customer(whole_app: Flask) -> Customer:
    return make_customer("Acme")


@pytest.fixture
def scope(customer: Customer) -> Scope:
    return Scope(customer.id)


@pytest.fixture
def client(whole_app: Flask) -> FlaskClient:
    return whole_app.test_client()


@pytest.fixture
def headers(customer: Customer) -> dict[str, str]:
    """Those of a program of the customer that may upload reports."""
    return {**bearer(make_token(make_user("customer_admin", customer=customer))), "x-customer-id": customer.id}


@pytest.fixture
def send(client: FlaskClient, headers: dict[str, str]) -> Callable[..., Any]:
    """Sends a report, as a body, or as a file of a form when it has a name; further arguments are parameters."""
    def post(body: bytes | str, expect: int | None = 201, name: str = "", **query: Any) -> Any:
        data = body.encode() if isinstance(body, str) else body
        if name:
            boundary, form = encode_multipart({"file": FileStorage(io.BytesIO(data), name), **query})
            answer = client.post("/api/imports", data=form, headers=headers, content_type=f"multipart/form-data; boundary={boundary}")
        else:
            answer = client.post("/api/imports", data=data, query_string=query, headers=headers, content_type="application/octet-stream")
        assert expect is None or answer.status_code == expect, answer.get_json()
        return answer.get_json()
    return post
