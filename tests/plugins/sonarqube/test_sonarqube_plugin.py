"""The plugin as core finds it: through its entry point, with a connector that keeps the contract."""

from importlib.metadata import entry_points

import pytest

from core.hooks.contracts import AssetKind, Connector, Discipline
from core.hooks.failures import LoginRejected, OrganizationUnknown
from core.testing.connector_kit import check_connector, check_refusal
from plugins import sonarqube
from plugins.sonarqube.connector import SonarConnector
from plugins.sonarqube.upstream import Flavour, Plan, Token, create_app, default_world

FLAVOURS = {"server": Flavour(), "cloud": Flavour(cloud=True), "9.9": Flavour(version="9.9.4.87374")}


def test_it_is_an_entry_point():
    entry = next(entry for entry in entry_points(group="stockade.plugins") if entry.name == "sonarqube")
    assert entry.load() is sonarqube


def test_what_it_offers():
    assert sonarqube.plugin_manifest().title == "SonarQube"
    assert sonarqube.register_asset_kinds() == [AssetKind("sonar_project", "SonarQube project", Discipline.APPSEC)]
    (connector,) = sonarqube.register_connectors()
    assert isinstance(connector, Connector)
    assert (connector.source, connector.title, tuple(connector.aliases)) == ("sonarqube", "SonarQube", ("son",))


def test_its_stand_in_accepts_the_demo_s_tokens():
    (stand_in,) = sonarqube.register_stand_ins()
    assert stand_in.environ(["squ_a", "squ_b"]) == {"STANDIN_TOKENS": '{"northwind": "squ_a", "contoso": "squ_b"}'}
    assert stand_in.settings("http://x", "squ_b", 1) == {"url": "http://x", "token": "squ_b", "organization": "contoso"}


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=list(FLAVOURS))
def test_the_connector_keeps_the_contract(serve, flavour):
    world = default_world(Plan(projects=8, issues=700, largest=520, hotspots=24), flavour)
    settings = {"url": serve(create_app(world)), "token": world.admit(Token("northwind", admin=True)), "branches": "develop",
                "organization": "northwind" if flavour.cloud else "", "include_quality_issues": True}
    pulled = check_connector(SonarConnector(), settings, kinds=sonarqube.register_asset_kinds())
    assert [asset.key for asset in pulled.assets if "::" in asset.key] == ["northwind:payment-gateway::develop",
                                                                          "northwind:storefront-web::develop"]
    assert not pulled.unmapped
    findings = [finding for found in pulled.findings.values() for finding in found]
    assert {finding.category for finding in findings} == {"vulnerability", "hotspot", "bug", "code_smell"}
    assert all(finding.cwe for finding in findings if finding.category == "vulnerability")
    assert {rule.key for rule in pulled.rules} == {finding.rule for finding in findings}


def test_refusals_keep_the_contract(serve):
    world = default_world(Plan(2, 0, 0, 0), FLAVOURS["cloud"])
    url, token = serve(create_app(world)), world.admit(Token("northwind"))
    check_refusal(SonarConnector(), {"url": url, "token": "squ_no_such_token", "organization": "northwind"}, LoginRejected)
    check_refusal(SonarConnector(), {"url": url, "token": token, "organization": "nobody"}, OrganizationUnknown)
