"""The pages that people see in a browser. A plugin of the core like any other, so a deployment can run without it."""

from collections.abc import Sequence

from flask import Blueprint

from core import __version__
from core.hooks import impl
from core.hooks.contracts import Page, PluginManifest


@impl
def plugin_manifest() -> PluginManifest:
    return PluginManifest("Pages", "Sign-in, Security overview, Findings and Integrations in the browser.", __version__)


@impl
def register_blueprints() -> Sequence[Blueprint]:
    from web.pages import blp  # only a process that serves pages loads them

    return [blp]


@impl
def register_pages() -> Sequence[Page]:
    return [
        Page("Overview", "web.overview", "overview.read", icon="overview", order=10),
        Page("Findings", "web.findings", "finding.list", icon="findings", order=20),
        Page("Integrations", "web.integrations", "integration.read", icon="integrations", order=30, for_administrators=True),
        Page("Imports", "web.imports", "import.create", icon="import", order=40),
    ]
