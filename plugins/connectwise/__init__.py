"""ConnectWise PSA (Manage): its companies are the customers, with their configurations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core import __version__
from core.hooks import impl
from core.hooks.contracts import HouseConnector, Page, PermissionNode, PluginManifest, StandIn
from plugins.connectwise.connector import ConnectWiseConnector

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
        PermissionNode("company.review", "See the companies of which it is not certain which customer they are"),
        PermissionNode("company.review.decide", "Say which customer a company is", dependencies=("company.review",)),
    ]


@impl
def register_connectors() -> Sequence[HouseConnector]:
    return [ConnectWiseConnector()]


@impl
def register_stand_ins() -> Sequence[StandIn]:
    return [StandIn(
        source=ConnectWiseConnector.source, module="plugins.connectwise.upstream",
        environ=lambda tokens: {"STANDIN_PRIVATE_KEY": tokens[0]},
        settings=lambda url, token, number: {"site": url, "company": "nordlys", "public_key": "PUBkey1234567890", "private_key": token,
                                             "client_id": "00000000-0000-4000-8000-000000000000"})]


@impl
def register_blueprints() -> "Sequence[Blueprint]":
    from plugins.connectwise.pages import blp as pages
    from plugins.connectwise.routes import blp

    return [blp, pages]


@impl
def register_pages() -> Sequence[Page]:
    return [Page("Companies to review", "connectwise.review", "company.review", icon="building", for_administrators=True,
                 source=ConnectWiseConnector.source)]
