"""The hooks: what a plugin may contribute. Every hook is optional; each is called once, when the process starts.

A plugin is an entry point of the group ``stockade.plugins`` that names a module. Each plugin is called through a caller
of its own, so a hook that raises sets only its plugin aside: it is logged under the plugin's name, shown with the
reason in ``stockade plugins list``, and everything else goes on.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

from core.hooks.contracts import AssetKind, Connector, LiveTotals, Page, PermissionNode, PluginManifest, ReportParser, StandIn

if TYPE_CHECKING:
    from flask import Blueprint

PROJECT = "stockade"

spec = pluggy.HookspecMarker(PROJECT)
impl = pluggy.HookimplMarker(PROJECT)


@spec
def plugin_manifest() -> PluginManifest:  # type: ignore[empty-body]
    """Say who you are.

    When: first, as the plugin is loaded. Why: to show the plugin to operators by title, description and version.
    Returns: one ``PluginManifest``. Without this hook the plugin is shown by its entry-point name.
    If it raises: the plugin is set aside.  (Since 0.1.)
    """


@spec
def register_permissions() -> Sequence[PermissionNode]:  # type: ignore[empty-body]
    """Name the permission nodes that your routes and pages ask for.

    When: at start-up, before routes. Why: only nodes in the registry can be granted, and the catalogue shows them.
    Returns: ``PermissionNode`` objects; begin each with your plugin's name, such as ``acme.report.read``.
    If it raises, or names a node that exists already: the plugin is set aside.  (Since 0.1.)
    """


@spec
def register_asset_kinds() -> Sequence[AssetKind]:  # type: ignore[empty-body]
    """Name the kinds of asset that your connectors pull.

    When: at start-up, before connectors. Why: the kind decides whether an asset counts as application or as offensive
    security, and it is the member type of asset groups on the wire.
    Returns: ``AssetKind`` objects. If it raises, or names a kind that exists already: the plugin is set aside.  (Since 0.1.)
    """


@spec
def register_connectors() -> Sequence[Connector]:  # type: ignore[empty-body]
    """Offer the sources that you can pull.

    When: at start-up. Why: each connector gets its settings form, ``validate`` and ``sync`` routes, schedules, runs and
    progress from core.
    Returns: ``Connector`` objects. If it raises, or a ``source`` is taken: the plugin is set aside.  (Since 0.1.)
    """


@spec
def register_report_parsers() -> Sequence[ReportParser]:  # type: ignore[empty-body]
    """Offer the formats of report files that you can read.

    When: at start-up, after connectors. Why: what is sent to ``POST /api/imports`` or given to ``stockade import`` is shown to
    each parser of the plugins that are on, then to those of core; the first that recognises the content reads it.
    Returns: ``ReportParser`` objects. If it raises, or a format, or a source that this plugin does not pull itself, is taken:
    the plugin is set aside. If a parser raises ``ReportInvalid``, the upload is refused with the place in the file; if
    anything else, it is refused as well, and the log has the traceback. Nothing of it is stored.  (Since 0.1.)
    """


@spec
def register_blueprints() -> Sequence["Blueprint"]:  # type: ignore[empty-body]
    """Add routes or pages of your own.

    When: while the app is built. Why: for what the generic routes do not cover. A flask-smorest ``Blueprint`` whose
    ``url_prefix`` begins with ``/api``, ``/v1`` or ``/codeinsight/api`` joins that surface and its OpenAPI document;
    a plain Flask blueprint serves pages. Every view declares its access rule with ``core.http.access.requires`` or
    ``public``. While the plugin is disabled its routes answer 404.
    Returns: blueprints. If it raises, or a route is taken or has no access rule: the plugin is set aside.  (Since 0.1.)
    """


@spec
def register_pages() -> Sequence[Page]:  # type: ignore[empty-body]
    """Add entries to the navigation of the pages.

    When: while the app is built, after blueprints. Why: so that people find your page.
    Returns: ``Page`` objects. If it raises, or names an endpoint that does not exist: the plugin is set aside.  (Since 0.1.)
    """


@spec
def live_totals() -> Sequence[LiveTotals]:  # type: ignore[empty-body]
    """Give open counts that are fresher than the stored ones.

    When: once, at the first dashboard of a process; its objects are asked while a dashboard waits, for each customer with a
    connection to their source. Why: the portal's application totals prefer what the source counts now.
    Returns: ``LiveTotals`` objects, each for a source of this plugin. If it raises, or names a source that this plugin does not
    offer: the plugin is set aside in the web server. If an object raises, is slow or answers nothing: the stored counts
    serve, and the source is left alone for half a minute.  (Since 0.1.)
    """


@spec
def register_stand_ins() -> Sequence[StandIn]:  # type: ignore[empty-body]
    """Offer imitations of your sources for the demo.

    When: only in ``stockade up --demo``, once, after connectors. Why: the demo shows your plugin at work without an account
    anywhere; each demo customer gets a connection to the stand-in, which the worker syncs like any other.
    Returns: ``StandIn`` objects. If it raises, or names a source that this plugin does not offer: the plugin is set aside in
    the process that keeps the stand-ins, and the demo goes on without it.  (Since 0.1.)
    """
