"""Finding the plugins, asking each what it offers, and going on without those that fail.

``Plugins.load`` runs once as a process starts. Whether a plugin is switched on is asked anew for every request, so that
switching needs no restart and all processes of a deployment agree.
"""

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from types import ModuleType
from typing import Any, Literal

import pluggy
from flask import Blueprint

from core.errors import Conflict, NotFound
from core.hooks import offers, service, specs
from core.hooks.contracts import (
    CORE_KINDS,
    CORE_SOURCES,
    AssetKind,
    Connector,
    LiveTotals,
    Page,
    PermissionNode,
    PluginManifest,
    ReportParser,
    StandIn,
)
from core.logs import redact
from core.settings import Settings

GROUP = "stockade.plugins"
_OWN_DISTRIBUTION = "stockade"
_LONGEST_REASON = 500

State = Literal["enabled", "disabled", "set_aside"]


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One line of ``stockade plugins list``. ``reason`` says why a plugin is not running; empty when it is."""

    name: str
    title: str
    description: str
    version: str
    state: State
    reason: str = ""
    sources: tuple[str, ...] = ()


@dataclass(slots=True)
class _Plugin:
    """A plugin and what it offered so far. With a ``fault`` it is set aside and nothing of it is used."""

    name: str
    manifest: PluginManifest
    module: Any = None
    fault: str = ""
    step: str = "import"  # what is being asked of it, for the reason when it fails
    nodes: tuple[PermissionNode, ...] = ()
    kinds: tuple[AssetKind, ...] = ()
    connectors: tuple[offers.OfferedConnector, ...] = ()
    parsers: tuple[offers.OfferedParser, ...] = ()
    late: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # answers of the hooks that only some processes ask

    @property
    def sources(self) -> tuple[str, ...]:
        """What it pulls, then what it only reads reports of."""
        return tuple(dict.fromkeys([*(offered.source for offered in self.connectors), *(offered.source for offered in self.parsers)]))

    @property
    def names(self) -> set[str]:
        """Every word that means one of its sources."""
        return {*self.sources, *(name for offered in self.connectors for name in offered.names)}


class Plugins:
    """The plugins of this process."""

    def __init__(self, settings: Settings) -> None:
        self._switched_off_by_settings = frozenset(settings.plugins_disabled)
        self._manager = pluggy.PluginManager(specs.PROJECT)
        self._manager.add_hookspecs(specs)
        self._plugins: list[_Plugin] = []
        self._taken_nodes: set[str] = set()
        self._stored_sources: frozenset[str] = frozenset()

    @classmethod
    def load(cls, settings: Settings, entry_points: Iterable[metadata.EntryPoint] | None = None, *,
             core_nodes: Iterable[str] = ()) -> "Plugins":
        """Load every plugin found, switched off or not: what is off must be known to be hidden.

        :param entry_points: in place of those of the installed distributions.
        :param core_nodes: permission nodes that core has itself, which no plugin may redefine.
        """
        plugins = cls(settings)
        plugins._taken_nodes.update(core_nodes)
        found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        for entry_point in sorted(found, key=_precedence):
            plugins._admit(entry_point)
        for name in plugins._unknown_names():
            _log(name).warning("STOCKADE_PLUGINS_DISABLED names %r, which is not installed", name)
        return plugins

    # --- what the loaded plugins offer -------------------------------------------------------------------------

    @property
    def permission_nodes(self) -> tuple[PermissionNode, ...]:
        """Nodes of all loaded plugins, switched off or not, so that grants outlast a switch."""
        return tuple(node for plugin in self._loaded for node in plugin.nodes)

    def nodes_by_plugin(self) -> Iterator[tuple[PluginManifest, tuple[PermissionNode, ...]]]:
        """The same nodes beside the plugin that named them."""
        return ((plugin.manifest, plugin.nodes) for plugin in self._loaded)

    @property
    def asset_kinds(self) -> tuple[AssetKind, ...]:
        """Kinds of all loaded plugins, switched off or not."""
        return tuple(kind for plugin in self._loaded for kind in plugin.kinds)

    def asset_kind(self, name: str) -> AssetKind | None:
        """The kind called ``name``, or None when neither core nor a loaded plugin has it."""
        return next((kind for kind in (*CORE_KINDS, *self.asset_kinds) if kind.name == name), None)

    def connectors(self, include_disabled: bool = False) -> tuple[Connector, ...]:
        """Connectors of the plugins that are on, in a stable order."""
        return tuple(offered.connector for plugin in self._among(include_disabled) for offered in plugin.connectors)

    def connector(self, source_or_alias: str, include_disabled: bool = False) -> Connector:
        """The connector that a route's name means.

        :raises NotFound: when no plugin offers it, or the plugin that does is switched off.
        """
        for plugin in self._among(include_disabled):
            for offered in plugin.connectors:
                if source_or_alias in offered.names:
                    return offered.connector
        raise NotFound(f"There is no source called {source_or_alias!r}")

    def is_of_house(self, source_or_alias: str) -> bool:
        """Whether this is a source that the MSP itself is connected to, in place of each customer; of switched-off plugins too."""
        return any(source_or_alias in offered.names and getattr(offered.connector, "belongs_to_house", False)
                   for plugin in self._loaded for offered in plugin.connectors)

    def report_parsers(self) -> tuple[ReportParser, ...]:
        """Report parsers of the plugins that are on, in a stable order."""
        return tuple(offered.parser for plugin in self._among(include_disabled=False) for offered in plugin.parsers)

    def blueprints(self) -> Iterator[tuple[str, Blueprint]]:
        """Plugin name and blueprint, for the app being built; of switched-off plugins too, since they may be switched on.

        Use ``core.hooks.mounting.mount``, which also guards them. Plugins are asked at the first call only.
        """
        yield from self._late("register_blueprints", offers.blueprints)

    def page_entries(self) -> Iterator[tuple[str, Page]]:
        """Plugin name and navigation entry, of switched-off plugins too. Plugins are asked at the first call only."""
        yield from self._late("register_pages", offers.pages)

    def pages(self) -> tuple[Page, ...]:
        """Navigation entries of the plugins that are on, by their order and title."""
        off = self.disabled_names()
        entries = [page for name, page in self.page_entries() if name not in off]
        return tuple(sorted(entries, key=lambda page: (page.order, page.title)))

    def stand_ins(self) -> tuple[StandIn, ...]:
        """Imitations of sources, for the demo, of the plugins that are on."""
        return tuple(self._late_of_own_sources("register_stand_ins", offers.stand_ins, "stand in for"))

    def live_totals(self) -> tuple[LiveTotals, ...]:
        """What can give live totals, of the plugins that are on."""
        return tuple(self._late_of_own_sources("live_totals", offers.live_totals, "give live totals of"))

    def _late_of_own_sources(self, hook: str, checked: Callable[[Any], tuple[Any, ...]], verb: str) -> Iterator[Any]:
        """A late hook's objects with a ``source``; a plugin that names somebody else's is set aside."""
        offered = list(self._late(hook, checked))
        for plugin in self._loaded:
            strangers = {entry.source for name, entry in offered if name == plugin.name} - set(plugin.sources)
            if strangers:
                said = f"it has no source {', '.join(map(repr, sorted(strangers)))} to {verb}"
                self.set_aside(plugin.name, offers.NotAcceptable(said), hook)
        serving = {plugin.name for plugin in self._among(include_disabled=False)}
        yield from (entry for name, entry in offered if name in serving)

    # --- on and off --------------------------------------------------------------------------------------------

    def disabled_names(self) -> frozenset[str]:
        """Names switched off by the settings or by hand; one statement, once per request."""
        return self._switched_off_by_settings | service.disabled_names()

    def is_serving(self, name: str) -> bool:
        """Whether the routes of this plugin answer: it is loaded and switched on."""
        return any(plugin.name == name for plugin in self._among(include_disabled=False))

    def hidden_sources(self) -> frozenset[str]:
        """Sources whose figures do not show: of plugins switched off or set aside, and stored ones that nobody offers."""
        known = {source for plugin in self._plugins for source in plugin.sources}
        shown = {source for plugin in self._among(include_disabled=False) for source in plugin.sources}
        return frozenset((known | self._stored_sources) - shown - CORE_SOURCES)

    def note_stored_sources(self, sources: Iterable[str]) -> None:
        """Tell which sources the data holds, as the process starts, so that those of uninstalled plugins are hidden too."""
        self._stored_sources = frozenset(sources)

    def enable(self, name: str, actor: str) -> bool:
        """Switch a plugin on for the whole deployment; False when it was on.

        :raises NotFound: when no such plugin is installed.
        :raises Conflict: when the settings keep it off.
        """
        self._must_exist(name)
        if name in self._switched_off_by_settings:
            raise Conflict(f"STOCKADE_PLUGINS_DISABLED keeps the plugin {name!r} off; take it out there")
        return service.enable(name, actor)

    def disable(self, name: str, actor: str) -> bool:
        """Switch a plugin off for the whole deployment; False when it was off. Its data stays.

        :raises NotFound: when no such plugin is installed.
        """
        self._must_exist(name)
        return service.disable(name, actor)

    def listing(self) -> list[PluginInfo]:
        """Every plugin with its state, in the order of loading; names in the settings that match none come last."""
        by_hand = service.disabled_names()
        listed = [self._info(plugin, by_hand) for plugin in self._plugins]
        for name in self._unknown_names():
            reason = "STOCKADE_PLUGINS_DISABLED names it, but no such plugin is installed"
            listed.append(PluginInfo(name, title=name, description="", version="", state="disabled", reason=reason))
        return listed

    def set_aside(self, name: str, problem: BaseException, step: str) -> None:
        """Go on without this plugin: nothing of it is used any more in this process.

        :param step: what was asked of it, such as the name of the hook.
        """
        plugin = next(plugin for plugin in self._loaded if plugin.name == name)
        plugin.step = step
        self._drop(plugin, problem)

    # --- loading -----------------------------------------------------------------------------------------------

    @property
    def _loaded(self) -> Sequence[_Plugin]:
        return [plugin for plugin in self._plugins if not plugin.fault]

    def _among(self, include_disabled: bool) -> Sequence[_Plugin]:
        if include_disabled:
            return self._loaded
        off = self.disabled_names()
        return [plugin for plugin in self._loaded if plugin.name not in off]

    def _admit(self, entry_point: metadata.EntryPoint) -> None:
        version = entry_point.dist.version if entry_point.dist else ""
        plugin = _Plugin(entry_point.name, PluginManifest(title=entry_point.name, description="", version=version))
        try:
            self._introduce(plugin, entry_point)
            self._refuse_what_is_taken(plugin)
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - whatever a plugin does, the rest goes on
            self._drop(plugin, problem)
        self._plugins.append(plugin)

    def _introduce(self, plugin: _Plugin, entry_point: metadata.EntryPoint) -> None:
        offers.check_name(plugin.name)
        if plugin.name in {other.name for other in self._loaded}:
            raise offers.NotAcceptable(f"the plugin name {plugin.name!r} is taken")
        plugin.module = entry_point.load()
        if not isinstance(plugin.module, ModuleType):
            raise offers.NotAcceptable(f"the entry point {entry_point.value!r} does not name a module")
        plugin.step = "register"
        self._manager.register(plugin.module, plugin.name)
        self._manager.check_pending()  # refuses hooks that this version does not have
        plugin.manifest = self._ask(plugin, "plugin_manifest", offers.manifest) or plugin.manifest
        plugin.nodes = self._ask(plugin, "register_permissions", offers.permission_nodes) or ()
        plugin.kinds = self._ask(plugin, "register_asset_kinds", offers.asset_kinds) or ()
        plugin.connectors = self._ask(plugin, "register_connectors", offers.connectors) or ()
        plugin.parsers = self._ask(plugin, "register_report_parsers", offers.report_parsers) or ()

    def _ask(self, plugin: _Plugin, hook: str, checked: Callable[[Any], Any]) -> Any:
        """The checked answer of this one plugin, or None when it has nothing to say."""
        plugin.step = hook
        others = self._manager.get_plugins() - {plugin.module}
        answers = self._manager.subset_hook_caller(hook, others)()
        if len(answers) > 1:
            raise offers.NotAcceptable(f"{hook} is implemented {len(answers)} times")
        return checked(answers[0]) if answers else None

    def _refuse_what_is_taken(self, plugin: _Plugin) -> None:
        nodes, kinds = {node.node for node in plugin.nodes}, {kind.name for kind in plugin.kinds}
        formats = {offered.format for offered in plugin.parsers}
        _refuse(nodes & (self._taken_nodes | {node.node for node in self.permission_nodes}), "the permission node")
        _refuse(kinds & {kind.name for kind in (*CORE_KINDS, *self.asset_kinds)}, "the asset kind")
        _refuse(plugin.names & CORE_SOURCES.union(*(other.names for other in self._loaded)), "the source")
        _refuse(formats & CORE_SOURCES.union(offered.format for other in self._loaded for offered in other.parsers), "the report format")

    def _late(self, hook: str, checked: Callable[[Any], tuple[Any, ...]]) -> Iterator[tuple[str, Any]]:
        for plugin in self._loaded:
            if hook not in plugin.late:
                try:
                    plugin.late[hook] = self._ask(plugin, hook, checked) or ()
                except (Exception, SystemExit) as problem:  # noqa: BLE001 - whatever a plugin does, the rest goes on
                    self._drop(plugin, problem)
                    continue
            for entry in plugin.late[hook]:
                if not plugin.fault:  # the caller may have set it aside over an earlier entry
                    yield plugin.name, entry

    def _drop(self, plugin: _Plugin, problem: BaseException) -> None:
        plugin.fault = _reason(plugin.step, problem)
        if plugin.module is not None and self._manager.get_plugin(plugin.name) is plugin.module:
            self._manager.unregister(name=plugin.name)
        _log(plugin.name).error("set aside: %s", plugin.fault, exc_info=problem)

    def _info(self, plugin: _Plugin, by_hand: frozenset[str]) -> PluginInfo:
        state, reason = self._state(plugin, by_hand)
        about = plugin.manifest
        return PluginInfo(plugin.name, about.title, about.description, about.version, state, reason,
                          () if plugin.fault else plugin.sources)

    def _state(self, plugin: _Plugin, by_hand: frozenset[str]) -> tuple[State, str]:
        aside = f"set aside: {plugin.fault}" if plugin.fault else ""
        if plugin.name in self._switched_off_by_settings:
            return "disabled", "; ".join(filter(None, ("switched off by STOCKADE_PLUGINS_DISABLED", aside)))
        if plugin.name in by_hand:
            return "disabled", "; ".join(filter(None, ("switched off by an administrator", aside)))
        return ("set_aside", plugin.fault) if plugin.fault else ("enabled", "")

    def _unknown_names(self) -> list[str]:
        return sorted(self._switched_off_by_settings - {plugin.name for plugin in self._plugins})

    def _must_exist(self, name: str) -> None:
        if name not in {plugin.name for plugin in self._plugins}:
            raise NotFound(f"There is no plugin called {name!r}; installed: {', '.join(plugin.name for plugin in self._plugins)}")


def _precedence(entry_point: metadata.EntryPoint) -> tuple[bool, str, str]:
    """Stockade's own plugins first, so that no other can take their sources; then by name."""
    own = entry_point.dist is not None and entry_point.dist.name == _OWN_DISTRIBUTION
    return not own, entry_point.name, entry_point.value


def _refuse(taken: set[str], what: str) -> None:
    if taken:
        raise offers.NotAcceptable(f"{what} {', '.join(map(repr, sorted(taken)))} is taken by another plugin or by core")


def _reason(step: str, problem: BaseException) -> str:
    if isinstance(problem, offers.NotAcceptable):
        said = str(problem)
    else:  # not str(problem), which is the plugin's own code and may raise
        said = f"{step}: {traceback.format_exception_only(problem)[-1]}"
    return redact(" ".join(said.split()))[:_LONGEST_REASON]


def _log(name: str) -> logging.Logger:
    return logging.getLogger(f"{GROUP}.{name}")
