"""Fixtures: a web app with the ConnectWise plugin alone, and companies that are stored already."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.access.nodes import CORE_NODES, NodeRegistry
from core.app import create_app
from core.db import db
from core.deployment import Deployment, use
from core.hooks.manager import Plugins
from core.jobs.queue import JobQueue
from core.tenancy import service as tenancy
from core.tenancy.models import Customer
from core.testing.standin import StandIn
from plugins.connectwise import upstream
from plugins.connectwise.client import _places
from plugins.connectwise.models import CwCompany, CwConfiguration
from plugins.connectwise.upstream import World
from tests.factories import SETTINGS, make_user, signed_in_client
from tests.plugins.connectwise.syncs import ADDRESS as ADDRESS_OF_SOURCE
from tests.plugins.connectwise.syncs import settings_of
from tests.servers import LOOPBACK

ENTRY_POINT = EntryPoint("connectwise", "plugins.connectwise", "stockade.plugins")
ADDRESS = {"line1": "123 Main St", "line2": None, "city": "Springfield", "state": "IL", "zip": "62701", "country": "United States"}
_numbers = count(1)


@pytest.fixture
def house(database: str, redis_url: str) -> Iterator[Flask]:
    """A whole web app with this plugin as its one; once on SQLite, once on PostgreSQL."""
    settings = replace(SETTINGS, database_url=database, redis_url=redis_url, upstream_allow=LOOPBACK,
                       upstream_backoff=0.001, upstream_longest_wait=0.05)
    access.ensure_built_in_roles()
    plugins = Plugins.load(settings, [ENTRY_POINT], core_nodes=[node.node for node in CORE_NODES])
    app = create_app(settings, plugins=plugins, queue=JobQueue(redis_url))
    use(app.extensions["stockade"])
    yield app
    if not db.is_closed():
        db.close()


@pytest.fixture
def world() -> World:
    """A ConnectWise with three companies; two of them have configurations."""
    made = World.of({1: "Acme Corp", 2: "Blåfjell AS", 3: "Contoso Insurance"})
    made.add_configuration(11, "ACME-FW", 1)
    made.add_configuration(12, "ACME-SRV", 1)
    made.add_configuration(21, "BLUE-FW", 2)
    made.add_configuration(99, "SPARE", None)
    return made


@pytest.fixture
def url(world: World) -> Iterator[str]:
    """Where that ConnectWise answers."""
    _places.clear()
    with StandIn(upstream.create_app(world)) as served:
        yield served.url


@pytest.fixture
def connected(world: World, url: str, admin: FlaskClient) -> dict[str, Any]:
    """The MSP's connection to it."""
    answer = admin.put(ADDRESS_OF_SOURCE, json={"settings": settings_of(world, url)})
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


@pytest.fixture
def deployment(house: Flask) -> Deployment:
    return house.extensions["stockade"]


@pytest.fixture
def holding(house: Flask) -> Callable[..., FlaskClient]:
    """``holding("company.fetch", customer=acme)``: a browser signed in as somebody who holds these nodes, there or everywhere."""

    def signed_in(*nodes: str, customer: Customer | None = None) -> FlaskClient:
        user = make_user()
        registry = NodeRegistry(house.extensions["stockade"].plugins.permission_nodes)
        for node in nodes:
            access.grant_node(access.COMMAND, user, node, customer.id if customer else None, registry)
        return signed_in_client(house, user=user)

    return signed_in


@pytest.fixture
def admin(house: Flask) -> FlaskClient:
    return signed_in_client(house, "msp_admin")


def keep_company(customer: Customer, cw_id: int, identifier: str, **more: Any) -> CwCompany:
    """A stored company of this customer."""
    data = {"status": "Active", "types": ["Customer"], "website": "", "address": ADDRESS}
    return CwCompany.create(id=f"cwc_{next(_numbers)}", tenant="nordlys", cw_id=cw_id, customer_id=customer.id, identifier=identifier,
                            identifier_key=tenancy.folded(identifier), name=customer.name, name_key=tenancy.folded(customer.name),
                            digest="", fetched_at=1_770_000_000_000, **{"data": data, **more})


def keep_configuration(customer: Customer, cw_id: int, name: str, **data: Any) -> CwConfiguration:
    """A stored configuration of this customer."""
    return CwConfiguration.create(customer_id=customer.id, tenant="nordlys", cw_id=cw_id, company_cw_id=1, name=name, data=data, digest="",
                                  fetched_at=1_770_000_000_000)
