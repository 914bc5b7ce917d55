"""A source whose catalog and findings a test writes down: a real plugin with a real connector, but no network behind it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

from marshmallow import fields

from core.hooks import impl
from core.hooks.contracts import (
    AssetDraft,
    AssetKind,
    CheckResult,
    Discipline,
    FindingDraft,
    LiveCounts,
    RuleDraft,
    SettingsSchema,
    Severity,
    Unmapped,
    UpstreamMaker,
)
from core.hooks.failures import NotThere

ENTRY_POINT = EntryPoint("scripted", "tests.scripted", "stockade.plugins")


def finding(key: str, severity: Severity = Severity.HIGH, **more: Any) -> FindingDraft:
    """A draft that differs from others in its key alone."""
    return FindingDraft(**{"source_key": key, "title": f"Finding {key}", "severity": severity, **more})


@dataclass
class World:
    """What the source has: assets by key, each with its findings. Both may hold callables that misbehave when they are reached."""

    assets: dict[str, list[Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    lineages: dict[str, str] = field(default_factory=dict)
    catalog_fails: Exception | None = None
    rules_asked: list[str] = field(default_factory=list)
    opened_with: list[Mapping[str, Any]] = field(default_factory=list)
    on_asset: Callable[[str], None] = lambda key: None
    live: Callable[[Sequence[str]], Mapping[str, LiveCounts]] | None = None
    live_seconds: list[float] = field(default_factory=list)


world = World()


def start_anew() -> World:
    """An empty world for a test."""
    world.__init__()  # type: ignore[misc]
    return world


class ScriptedSettings(SettingsSchema):
    url = fields.Str(load_default="https://source.example", metadata={"label": "Address"})
    token = fields.Str(required=True, metadata={"label": "Token", "secret": True})


class ScriptedPull:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        world.opened_with.append(settings)

    def check(self) -> CheckResult:
        return CheckResult("The source answers", {"assets": str(len(world.assets))})

    def catalog(self) -> Iterator[AssetDraft]:
        for key in list(world.assets):
            yield self.asset(key)
        if world.catalog_fails:
            raise world.catalog_fails

    def asset(self, key: str) -> AssetDraft:
        if key not in world.assets:
            raise NotThere(f"There is no asset {key}")
        return AssetDraft(key, world.names.get(key, key.title()), world.kinds.get(key, "scripted_project"),
                          lineage=world.lineages.get(key, ""))

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
        world.on_asset(asset.key)
        for entry in world.assets[asset.key]:
            if isinstance(entry, Exception):
                raise entry
            yield entry

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        world.rules_asked += keys
        return (RuleDraft(key, f"Rule {key}", '<p onclick="x()">Text</p><script>bad()</script>', (79,)) for key in keys)


class ScriptedConnector:
    source, title, description, aliases = "scripted", "Scripted", "A source written down by a test", ()
    settings_schema = ScriptedSettings

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> ScriptedPull:
        return ScriptedPull(settings)


class ScriptedLive:
    source = "scripted"

    def totals(self, settings: Mapping[str, Any], upstream: UpstreamMaker, asset_keys: Sequence[str],
               seconds: float) -> Mapping[str, LiveCounts]:
        world.live_seconds.append(seconds)
        return world.live(asset_keys) if world.live else {}


@impl
def live_totals() -> list[ScriptedLive]:
    return [ScriptedLive()]


@impl
def register_asset_kinds() -> list[AssetKind]:
    return [AssetKind("scripted_project", "Scripted project"), AssetKind("scripted_target", "Scripted target", Discipline.OFFSEC)]


@impl
def register_connectors() -> list[ScriptedConnector]:
    return [ScriptedConnector()]
