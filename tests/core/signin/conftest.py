from collections.abc import Iterator

import pytest
from flask import Flask

from core.access import service as access
from core.db import db
from core.testing.openid import World, create_app
from core.testing.standin import StandIn
from tests.core.signin.world import Browser, app_for, new_world, settings_for


@pytest.fixture
def world() -> World:
    """Who can sign in at the provider."""
    return new_world()


@pytest.fixture
def provider(world: World) -> Iterator[str]:
    """The provider's address."""
    with StandIn(create_app(world)) as running:
        yield running.url


@pytest.fixture
def site(database: str, provider: str) -> Iterator[Flask]:
    """A deployment that signs people of one Microsoft tenant in; once on SQLite, once on PostgreSQL."""
    access.ensure_built_in_roles()
    yield app_for(settings_for(provider), database)
    if not db.is_closed():
        db.close()


@pytest.fixture
def lite(sqlite_database: str, provider: str) -> Iterator[Flask]:
    """The same on SQLite alone, for what no database has a part in."""
    access.ensure_built_in_roles()
    yield app_for(settings_for(provider), sqlite_database)
    if not db.is_closed():
        db.close()


@pytest.fixture
def browser(site: Flask) -> Browser:
    return Browser(site)
