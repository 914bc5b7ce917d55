import pytest

from core.connections.models import Connection
from core.deployment import Deployment
from core.scope import Scope
from tests import scripted, syncing
from tests.scripted import World


@pytest.fixture
def world() -> World:
    return scripted.start_anew()


@pytest.fixture
def deployment(database: str, redis_url: str) -> Deployment:
    return syncing.deployment_for(redis_url)


@pytest.fixture
def acme(database: str) -> Scope:
    return syncing.customer("Acme")


@pytest.fixture
def connection(deployment: Deployment, acme: Scope) -> Connection:
    return syncing.connected(deployment, acme)
