"""What is tested here does not depend on the database, so one kind will do."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from core.access import service as access
from core.app import create_app
from core.db import db
from core.hooks.manager import Plugins
from tests.factories import SETTINGS


@pytest.fixture
def app(sqlite_database: str) -> Iterator[Flask]:
    """As ``app`` elsewhere, on SQLite alone."""
    settings = replace(SETTINGS, database_url=sqlite_database)
    access.ensure_built_in_roles()
    yield create_app(settings, plugins=Plugins(settings))
    if not db.is_closed():
        db.close()
