"""What a hook returned, checked before core relies on it: each function gives the checked objects or raises ``NotAcceptable``."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Blueprint
from marshmallow import fields

from core.hooks.contracts import (
    AssetKind,
    Connector,
    Discipline,
    LiveTotals,
    Page,
    PermissionNode,
    PluginManifest,
    ReportParser,
    SettingsSchema,
    StandIn,
)

T = TypeVar("T")
_PLUGIN_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_SOURCE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NODE = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_@-]+)+")
_LONGEST_NODE = 200  # the column that grants are kept in
_CATEGORY = re.compile(r"[a-z][A-Za-z0-9]{0,63}|")


class NotAcceptable(ValueError):
    """What a plugin offered is not what the hook asks for; the message says which thing and why."""


@dataclass(frozen=True, slots=True)
class OfferedConnector:
    """A connector with the names it had when it was offered, so that later reads of them cannot fail or differ."""

    source: str
    aliases: tuple[str, ...]
    connector: Connector

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that a route may call it by."""
        return (self.source, *self.aliases)


def check_name(name: str) -> None:
    """Refuse a plugin name that could not be kept or typed."""
    if not _PLUGIN_NAME.fullmatch(name):
        raise NotAcceptable(f"the entry point's name {name!r} is not made of lower-case letters, digits, dots, dashes (at most 64)")


def manifest(result: Any) -> PluginManifest:
    _is_a(result, PluginManifest, "plugin_manifest")
    for word in (result.title, result.description, result.version):
        _is_a(word, str, "each part of the manifest")
    return result


def permission_nodes(result: Any) -> tuple[PermissionNode, ...]:
    nodes = _all(result, PermissionNode, "register_permissions")
    for node in nodes:
        _is_a(node.description, str, f"the description of {node.node!r}")
        if not isinstance(node.node, str) or not _NODE.fullmatch(node.node) or len(node.node) > _LONGEST_NODE:
            raise NotAcceptable(f"the permission node {node.node!r} is not dotted lower-case words such as acme.report.read")
        if not isinstance(node.category, str) or not _CATEGORY.fullmatch(node.category):
            raise NotAcceptable(f"the category {node.category!r} of {node.node!r} is not a camelCase word")
        if isinstance(node.dependencies, str):
            raise NotAcceptable(f"the dependencies of {node.node!r} are one text, not a sequence of nodes")
        for needed in node.dependencies:
            _is_a(needed, str, f"each dependency of {node.node!r}")
    return _each_once(nodes, lambda node: (node.node,), "the permission node")


def asset_kinds(result: Any) -> tuple[AssetKind, ...]:
    kinds = _all(result, AssetKind, "register_asset_kinds")
    for kind in kinds:
        if not isinstance(kind.name, str) or not _SOURCE.fullmatch(kind.name):
            raise NotAcceptable(f"the asset kind {kind.name!r} is not a lower-case word of at most 32 characters")
        _is_a(kind.title, str, f"the title of the asset kind {kind.name!r}")
        _is_a(kind.discipline, Discipline, f"the discipline of the asset kind {kind.name!r}")
    return _each_once(kinds, lambda kind: (kind.name,), "the asset kind")


def connectors(result: Any) -> tuple[OfferedConnector, ...]:
    offered = tuple(_connector(entry) for entry in _all(result, object, "register_connectors"))
    return _each_once(offered, lambda entry: entry.names, "the source")


def _connector(connector: Any) -> OfferedConnector:
    if not isinstance(connector, Connector):
        raise NotAcceptable(f"register_connectors returned {_kind_of(connector)}, which lacks parts of a Connector")
    source, aliases = connector.source, connector.aliases
    if isinstance(aliases, str):
        raise NotAcceptable(f"the aliases of the source {source!r} are one text, not a sequence of names")
    for name in (source, *aliases):
        if not isinstance(name, str) or not _SOURCE.fullmatch(name):
            raise NotAcceptable(f"the source {name!r} is not a lower-case word of at most 32 characters")
    for word in (connector.title, connector.description):
        _is_a(word, str, f"title and description of the source {source!r}")
    _check_form(source, connector.settings_schema)
    return OfferedConnector(source, tuple(aliases), connector)


def _check_form(source: str, form: Any) -> None:
    if not isinstance(form, type) or not issubclass(form, SettingsSchema):
        raise NotAcceptable(f"settings_schema of the source {source!r} is not a subclass of SettingsSchema")
    for name, field in form().fields.items():
        if field.metadata.get("secret") and not isinstance(field, fields.String):
            raise NotAcceptable(f"the secret field {name!r} of the source {source!r} is not a string field")


@dataclass(frozen=True, slots=True)
class OfferedParser:
    """A report parser with the names it had when it was offered."""

    format: str
    source: str
    parser: ReportParser


def report_parsers(result: Any) -> tuple[OfferedParser, ...]:
    offered = tuple(_parser(entry) for entry in _all(result, object, "register_report_parsers"))
    return _each_once(offered, lambda entry: (entry.format,), "the report format")


def _parser(parser: Any) -> OfferedParser:
    if not isinstance(parser, ReportParser):
        raise NotAcceptable(f"register_report_parsers returned {_kind_of(parser)}, which lacks parts of a ReportParser")
    for what, name in (("report format", parser.format), ("source", parser.source)):
        if not isinstance(name, str) or not _SOURCE.fullmatch(name):
            raise NotAcceptable(f"the {what} {name!r} is not a lower-case word of at most 32 characters")
    _is_a(parser.title, str, f"the title of the report format {parser.format!r}")
    return OfferedParser(parser.format, parser.source, parser)


def blueprints(result: Any) -> tuple[Blueprint, ...]:
    return _each_once(_all(result, Blueprint, "register_blueprints"), lambda blueprint: (blueprint.name,), "the blueprint")


def pages(result: Any) -> tuple[Page, ...]:
    entries = _all(result, Page, "register_pages")
    for page in entries:
        for word in (page.title, page.endpoint, page.node, page.icon):
            _is_a(word, str, f"each text of the page {page.title!r}")
        _is_a(page.order, int, f"the order of the page {page.title!r}")
        _is_a(page.for_administrators, bool, f"for_administrators of the page {page.title!r}")
    return entries


def live_totals(result: Any) -> tuple[LiveTotals, ...]:
    given = _all(result, object, "live_totals")
    entries = tuple(entry for entry in given if isinstance(entry, LiveTotals))
    if len(entries) < len(given):
        raise NotAcceptable("live_totals returned something that lacks parts of a LiveTotals")
    for entry in entries:
        _is_a(entry.source, str, "the source of an object with live totals")
    return _each_once(entries, lambda entry: (entry.source,), "live totals of")


def stand_ins(result: Any) -> tuple[StandIn, ...]:
    entries = _all(result, StandIn, "register_stand_ins")
    for entry in entries:
        for word in (entry.source, entry.module, entry.token_prefix):
            _is_a(word, str, f"each text of the stand-in of {entry.source!r}")
        if not callable(entry.settings) or not callable(entry.environ):
            raise NotAcceptable(f"settings and environ of the stand-in of {entry.source!r} are not functions")
    return _each_once(entries, lambda entry: (entry.source,), "the stand-in of")


def _all(result: Any, wanted: type[T], hook: str) -> tuple[T, ...]:
    if isinstance(result, str | bytes | Mapping) or not isinstance(result, Iterable):
        raise NotAcceptable(f"{hook} returned {_kind_of(result)}, not a sequence")
    entries = tuple(result)
    for entry in entries:
        _is_a(entry, wanted, f"each entry of {hook}")
    return entries


def _is_a(value: Any, wanted: type, what: str) -> None:
    if not isinstance(value, wanted):
        raise NotAcceptable(f"{what} must be {wanted.__name__}, not {_kind_of(value)}")


def _each_once(entries: tuple[T, ...], names: Callable[[T], tuple[str, ...]], what: str) -> tuple[T, ...]:
    seen: set[str] = set()
    for entry in entries:
        for name in names(entry):
            if name in seen:
                raise NotAcceptable(f"{what} {name!r} is offered twice")
            seen.add(name)
    return entries


def _kind_of(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
