import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from core.app import create_app
from core.connections import service
from core.db import db
from core.scope import Scope
from core.testing.standin import StandIn
from plugins.sonarqube.upstream import Project, Token, World
from plugins.sonarqube.upstream import create_app as create_sonar
from tests.factories import make_customer, signed_in_client
from tests.faults.site import CallLog, Site, Sonar, Web, project_with
from tests.processes import deployment_of, environment
from tests.servers import Processes


@pytest.fixture
def sonar_of() -> Iterator[Callable[..., Sonar]]:
    """Starts a SonarQube that holds the projects given."""
    with ExitStack() as running:
        def start(*projects: Project) -> Sonar:
            world = World.of(*projects)
            log = CallLog(create_sonar(world))
            return Sonar(world, running.enter_context(StandIn(log)).url, world.admit(Token(admin=True)), log)
        yield start


@pytest.fixture
def sonar(sonar_of: Callable[..., Sonar]) -> Sonar:
    """A SonarQube with three projects, of which the largest takes three pages."""
    return sonar_of(project_with("shop", 1200, hotspots=4), project_with("api", 30), project_with("docs", 0))


@pytest.fixture
def site_at(processes: Processes, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Builds a deployment on a database, with a customer connected to a SonarQube; further arguments are settings."""
    def build(database: str, sonar: Sonar, **settings: Any) -> Site:
        environ = environment(tmp_path, database, redis_url, **{"run_lease_seconds": 2, **settings})
        deployment = deployment_of(environ)
        customer = make_customer("Acme")
        connection = service.configure(deployment, Scope(customer.id), deployment.plugins.connector("sonarqube"),
                                       {"url": sonar.url, "token": sonar.token}, actor="test")
        app = create_app(deployment.settings, plugins=deployment.plugins, queue=deployment.queue)
        return Site(environ, processes, deployment, customer, connection, signed_in_client(app, "customer_admin", customer=customer))
    yield build
    if not db.is_closed():
        db.close()


@pytest.fixture
def site(site_at: Callable[..., Site], database: str, sonar: Sonar) -> Site:
    """A deployment on each kind of database, connected to ``sonar``."""
    return site_at(database, sonar)


@pytest.fixture
def sqlite_site(site_at: Callable[..., Site], sqlite_database: str, sonar: Sonar) -> Site:
    """As ``site``, on SQLite alone."""
    return site_at(sqlite_database, sonar)


@pytest.fixture
def serve() -> Iterator[Callable[[Site], Web]]:
    """Starts a real web server of a site."""
    with ExitStack() as held:
        yield lambda site: Web(site, held.enter_context(socket.create_server(("127.0.0.1", 0))))
