"""Checkmarx One: projects with the results of every engine, and DAST environments with theirs."""

import json
from collections.abc import Sequence

from core import __version__
from core.hooks import impl
from core.hooks.contracts import AssetKind, Connector, Discipline, LiveTotals, PluginManifest, ReportParser, StandIn
from plugins.checkmarx.connector import CheckmarxConnector
from plugins.checkmarx.live import CheckmarxLive
from plugins.checkmarx.mapper import ENVIRONMENT_KIND, PROJECT_KIND
from plugins.checkmarx.reports import CheckmarxOneReport, CxSastReport

_DEMO_TENANTS = ("northwind", "contoso")  # those of the stand-in, one for each of the demo's customers
_DEMO_CLIENT = "findings-portal"


@impl
def plugin_manifest() -> PluginManifest:
    return PluginManifest("Checkmarx One", CheckmarxConnector.description, __version__)


@impl
def register_asset_kinds() -> Sequence[AssetKind]:
    return [AssetKind(PROJECT_KIND, "Checkmarx project", Discipline.APPSEC),
            AssetKind(ENVIRONMENT_KIND, "DAST environment", Discipline.OFFSEC)]


@impl
def register_connectors() -> Sequence[Connector]:
    return [CheckmarxConnector()]


@impl
def register_report_parsers() -> Sequence[ReportParser]:
    return [CxSastReport(), CheckmarxOneReport()]


@impl
def live_totals() -> Sequence[LiveTotals]:
    return [CheckmarxLive()]


@impl
def register_stand_ins() -> Sequence[StandIn]:
    return [StandIn(
        source=CheckmarxConnector.source, module="plugins.checkmarx.upstream",
        settings=lambda url, token, number: {"url": url, "tenant": _DEMO_TENANTS[number], "client_id": _DEMO_CLIENT,
                                             "client_secret": token},
        environ=lambda tokens: {"STANDIN_TOKENS": json.dumps(dict(zip(_DEMO_TENANTS, tokens, strict=True)))})]
