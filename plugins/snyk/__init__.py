"""Snyk: projects of every organization, and their open source, container, code and configuration issues."""

import json
from collections.abc import Sequence

from core import __version__
from core.hooks import impl
from core.hooks.contracts import AssetKind, Connector, Discipline, PluginManifest, ReportParser, StandIn
from plugins.snyk.connector import SnykConnector
from plugins.snyk.mapper import ASSET_KIND
from plugins.snyk.reports import SnykIssues, SnykReport, SnykSarif

_DEMO_COMPANIES = ("northwind", "contoso")  # those of the stand-in, one for each of the demo's customers


@impl
def plugin_manifest() -> PluginManifest:
    return PluginManifest("Snyk", "Open source, container, code and configuration issues of Snyk.", __version__)


@impl
def register_asset_kinds() -> Sequence[AssetKind]:
    return [AssetKind(ASSET_KIND, "Snyk project", Discipline.APPSEC)]


@impl
def register_connectors() -> Sequence[Connector]:
    return [SnykConnector()]


@impl
def register_report_parsers() -> Sequence[ReportParser]:
    return [SnykReport(), SnykSarif(), SnykIssues()]


@impl
def register_stand_ins() -> Sequence[StandIn]:
    return [StandIn(
        source=SnykConnector.source, module="plugins.snyk.upstream",
        settings=lambda url, token, number: {"url": url, "token": token, "organizations": _DEMO_COMPANIES[number]},
        environ=lambda tokens: {"STANDIN_TOKENS": json.dumps(dict(zip(_DEMO_COMPANIES, tokens, strict=True)))})]
