"""The Acme scanner, which publishes its findings as JSON lines."""

from collections.abc import Sequence

from flask import Blueprint

from acme_scanner.connector import AcmeConnector
from acme_scanner.mapper import TARGET
from core.hooks import impl
from core.hooks.contracts import AssetKind, Connector, PermissionNode, PluginManifest


@impl
def plugin_manifest() -> PluginManifest:
    return PluginManifest("Acme scanner", "Findings of the Acme scanner.", "1.2.0")


@impl
def register_permissions() -> Sequence[PermissionNode]:
    return [PermissionNode("acme.summary.read", "See how many findings the Acme scanner has open")]


@impl
def register_asset_kinds() -> Sequence[AssetKind]:
    return [AssetKind(TARGET, "Acme target")]


@impl
def register_connectors() -> Sequence[Connector]:
    return [AcmeConnector()]


@impl
def register_blueprints() -> Sequence[Blueprint]:
    from acme_scanner.routes import blp  # only the web server needs it

    return [blp]
