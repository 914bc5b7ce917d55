"""SonarQube Server and SonarQube Cloud: projects, their branches, and their security findings."""

import json
from collections.abc import Sequence

from core import __version__
from core.hooks import impl
from core.hooks.contracts import AssetKind, Connector, Discipline, PluginManifest, ReportParser, StandIn
from plugins.sonarqube.connector import SonarConnector
from plugins.sonarqube.mapper import ASSET_KIND
from plugins.sonarqube.reports import SonarReport

_DEMO_ORGANIZATIONS = ("northwind", "contoso")  # those of the stand-in, one for each of the demo's customers


@impl
def plugin_manifest() -> PluginManifest:
    return PluginManifest("SonarQube", "Vulnerabilities and security hotspots of SonarQube Server and SonarQube Cloud.", __version__)


@impl
def register_asset_kinds() -> Sequence[AssetKind]:
    return [AssetKind(ASSET_KIND, "SonarQube project", Discipline.APPSEC)]


@impl
def register_connectors() -> Sequence[Connector]:
    return [SonarConnector()]


@impl
def register_report_parsers() -> Sequence[ReportParser]:
    return [SonarReport()]


@impl
def register_stand_ins() -> Sequence[StandIn]:
    return [StandIn(
        source=SonarConnector.source, module="plugins.sonarqube.upstream", arguments=("--cloud",),
        token_prefix="squ_",  # noqa: S106  the public part
        settings=lambda url, token, number: {"url": url, "token": token, "organization": _DEMO_ORGANIZATIONS[number]},
        environ=lambda tokens: {"STANDIN_TOKENS": json.dumps(dict(zip(_DEMO_ORGANIZATIONS, tokens, strict=True)))})]
