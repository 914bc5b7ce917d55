"""ConnectWise PSA (Manage): its companies are the customers, with their configurations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core import __version__
from core.hooks import impl
from core.hooks.contracts import PermissionNode, PluginManifest

if TYPE_CHECKING:
    from flask import Blueprint


@impl
def plugin_manifest() -> PluginManifest:
    return PluginManifest("ConnectWise", "Companies and configurations of ConnectWise PSA.", __version__)


@impl
def register_permissions() -> Sequence[PermissionNode]:
    return [
        PermissionNode("company.fetch", "Fetch a single company"),
        PermissionNode("company.fetch.many", "List companies"),
        PermissionNode("company.fetch.address", "View company address information", dependencies=("company.fetch",)),
        PermissionNode("company.fetch.configurations", "View a company's configurations", dependencies=("company.fetch",)),
    ]


@impl
def register_blueprints() -> "Sequence[Blueprint]":
    from plugins.connectwise.routes import blp

    return [blp]
