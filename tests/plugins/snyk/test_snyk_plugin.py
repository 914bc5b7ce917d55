"""The plugin as core finds it: through its entry point, with a connector that keeps the contract, synced by the engine."""

import json
from importlib.metadata import entry_points

import pytest

from core.hooks.contracts import AssetKind, Connector, Discipline
from core.hooks.failures import LoginRejected, OrganizationUnknown
from core.testing.connector_kit import check_connector, check_refusal
from plugins import snyk
from plugins.snyk.connector import SnykConnector
from plugins.snyk.upstream import Plan, Token, create_app, default_world, group_of


def test_it_is_an_entry_point():
    entry = next(entry for entry in entry_points(group="stockade.plugins") if entry.name == "snyk")
    assert entry.load() is snyk


def test_what_it_offers():
    assert snyk.plugin_manifest().title == "Snyk"
    assert snyk.register_asset_kinds() == [AssetKind("snyk_project", "Snyk project", Discipline.APPSEC)]
    (connector,) = snyk.register_connectors()
    assert isinstance(connector, Connector)
    assert (connector.source, connector.title, tuple(connector.aliases)) == ("snyk", "Snyk", ())


def test_its_stand_in_accepts_the_demo_s_tokens():
    (stand_in,) = snyk.register_stand_ins()
    assert json.loads(stand_in.environ(["a", "b"])["STANDIN_TOKENS"]) == {"northwind": "a", "contoso": "b"}
    assert stand_in.settings("http://x", "b", 1) == {"url": "http://x", "token": "b", "organizations": "contoso"}


@pytest.mark.parametrize("settings", [{}, {"include_licenses": True, "include_resolved": True}])
def test_the_connector_keeps_the_contract(serve, settings):
    world = default_world(Plan(projects=16, issues=600))
    settings = {"url": serve(create_app(world)), "token": world.admit(), "group": group_of("northwind"), **settings}
    pulled = check_connector(SnykConnector(), settings, kinds=snyk.register_asset_kinds())
    assert not pulled.unmapped
    findings = [finding for found in pulled.findings.values() for finding in found]
    families = {"open_source", "container", "code", "iac"}
    assert {finding.category for finding in findings} == (families | {"license"} if settings.get("include_licenses") else families)
    assert all(finding.cwe for finding in findings if finding.category != "license")
    assert all(finding.fingerprint for finding in findings)
    for found in pulled.findings.values():
        assert len({finding.fingerprint for finding in found}) == len(found)


def test_refusals_keep_the_contract(serve):
    world = default_world(Plan(2, 4))
    url, token = serve(create_app(world)), world.admit(Token())
    check_refusal(SnykConnector(), {"url": url, "token": "5b1c6e0a-0000-4000-8000-00000000dead"}, LoginRejected)
    check_refusal(SnykConnector(), {"url": url, "token": token, "organizations": "nobody"}, OrganizationUnknown)
