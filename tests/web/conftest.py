"""The app with its real plugins, on SQLite: what the pages do does not depend on the database."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from core.access import service as access
from core.app import create_app
from core.db import db
from core.http.access import public
from tests.factories import SETTINGS


@pytest.fixture
def app(sqlite_database: str) -> Iterator[Flask]:
    access.ensure_built_in_roles()
    app = create_app(replace(SETTINGS, database_url=sqlite_database))

    @app.get("/broken")
    @public
    def broken() -> str:
        raise ZeroDivisionError

    yield app
    if not db.is_closed():
        db.close()
