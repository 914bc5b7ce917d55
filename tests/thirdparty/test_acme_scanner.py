"""A plugin that is none of ours: installed from its own distribution and found through its entry point."""

import json

import pytest

from core.access.nodes import CORE_NODES, NodeRegistry
from core.app import create_app
from core.hooks.contracts import AssetKind, Severity, SourceState
from core.hooks.failures import LoginRejected, PullIncomplete, WrongService
from core.hooks.manager import Plugins
from core.testing.connector_kit import check_connector, check_cut_short, check_refusal
from core.testing.standin import StandIn
from tests.core.hooks.conftest import states
from tests.factories import SETTINGS, make_customer, signed_in_client

pytestmark = pytest.mark.usefixtures("acme_installed", "sqlite_database")


@pytest.fixture
def plugins(acme_installed):
    return Plugins.load(SETTINGS, core_nodes=[node.node for node in CORE_NODES])


@pytest.fixture
def client(plugins):
    """MSP staff with a customer picked."""
    return signed_in_client(create_app(SETTINGS, plugins=plugins), "msp_admin", active=make_customer())


@pytest.fixture
def scanner(acme_installed):
    """Settings of a stand-in that answers."""
    from acme_scanner.upstream import KEY, make_app
    with StandIn(make_app()) as answering:
        yield {"url": answering.url, "key": KEY}


def test_the_plugin_is_found_through_its_entry_point(plugins):
    info = next(info for info in plugins.listing() if info.name == "acme")
    assert (info.title, info.version, info.state, info.sources) == ("Acme scanner", "1.2.0", "enabled", ("acme",))


def test_its_permission_node_can_be_granted(plugins):
    assert NodeRegistry(plugins.permission_nodes).covers("acme.summary.read")


def test_its_connector_keeps_the_contract(plugins, scanner):
    pulled = check_connector(plugins.connector("acme"), scanner, kinds=[plugins.asset_kind("acme_target")])
    assert pulled.check.message == "Connected to Acme Scanner 3.1"
    assert [asset.key for asset in pulled.assets] == ["shop", "pay/eu"]
    injection, cookie = pulled.findings["shop"]
    assert (injection.severity, injection.state, injection.cwe) == (Severity.CRITICAL, SourceState.OPEN, (89,))
    assert (cookie.severity, cookie.state) == (Severity.LOW, SourceState.ACCEPTED)
    assert [entry.source_key for entry in pulled.unmapped] == ["A-3"]
    assert [rule.key for rule in pulled.rules] == ["sqli", "cookie"]


def test_its_connector_names_what_is_wrong(plugins, scanner):
    connector = plugins.connector("acme")
    check_refusal(connector, {**scanner, "key": "a-key-that-was-revoked"}, LoginRejected)
    check_refusal(connector, {**scanner, "url": scanner["url"] + "/elsewhere"}, WrongService)


@pytest.mark.parametrize("path", ["/targets.jsonl", "/targets/shop/findings.jsonl"])
def test_its_connector_never_takes_a_part_for_the_whole(plugins, path):
    from acme_scanner.upstream import KEY, make_app
    with StandIn(make_app(cut_short=path)) as broken:
        problem = check_cut_short(plugins.connector("acme"), {"url": broken.url, "key": KEY})
    assert isinstance(problem, PullIncomplete)


def test_its_route_answers_those_who_hold_its_node(plugins, client):
    assert client.get("/api/acme/summary").json == {"open": 0, "isExact": True}
    viewer = signed_in_client(client.application, "customer_viewer", customer=make_customer())
    assert viewer.get("/api/acme/summary").status_code == 403
    assert client.application.test_client().get("/api/acme/summary").status_code == 401


def test_its_route_is_in_the_openapi_document_of_its_surface(client):
    document = json.dumps(client.get("/docs/cvms/openapi.json").json)
    assert "/api/acme/summary" in document
    assert "How many findings of the Acme scanner are open" in document


def test_switched_off_it_is_gone_and_switched_on_it_is_back(plugins, client):
    plugins.disable("acme", "admin@demo.example")
    assert client.get("/api/acme/summary").status_code == 404
    assert states(plugins)["acme"] == "disabled"
    assert "acme" in plugins.hidden_sources()
    plugins.enable("acme", "admin@demo.example")
    assert client.get("/api/acme/summary").status_code == 200


def test_its_kind_is_application_security(plugins):
    assert plugins.asset_kind("acme_target") == AssetKind("acme_target", "Acme target")
