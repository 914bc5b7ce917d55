"""Fixtures for everyone; see ``tests.servers`` for databases and Redis, ``tests.factories`` for what goes into them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import peewee
import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.app import create_app
from core.db import db
from core.deployment import use
from core.hooks.manager import Plugins
from tests import scripted, syncing
from tests.factories import SETTINGS

pytest_plugins = ["tests.servers"]


@pytest.fixture
def app(database: str) -> Iterator[Flask]:
    """A web app over an empty database with the shipped roles, without plugins and without a queue; once on SQLite, once on PostgreSQL."""
    settings = replace(SETTINGS, database_url=database)
    access.ensure_built_in_roles()
    yield create_app(settings, plugins=Plugins(settings))
    if not db.is_closed():
        db.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which nobody has signed in."""
    return app.test_client()


@pytest.fixture
def statements() -> Callable[[], AbstractContextManager[list[str]]]:
    """``with statements() as executed:`` collects the SQL that runs in the block, in order."""

    @contextmanager
    def collected() -> Iterator[list[str]]:
        executed: list[str] = []

        def note(event: peewee.QueryEvent) -> None:
            executed.append(event.sql)

        db.query_hooks.append(note)
        try:
            yield executed
        finally:
            db.query_hooks.remove(note)

    return collected


@pytest.fixture
def portal(database: str, redis_url: str) -> Iterator[Flask]:
    """A whole web app, with the scripted source as its one plugin and a real queue; once on SQLite, once on PostgreSQL."""
    scripted.start_anew()
    deployment = syncing.deployment_for(redis_url, master_key=SETTINGS.master_key, database_url=database)
    access.ensure_built_in_roles()
    app = create_app(deployment.settings, plugins=deployment.plugins, queue=deployment.queue)
    use(app.extensions["stockade"])
    yield app
    if not db.is_closed():
        db.close()
