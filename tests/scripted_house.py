"""A source that the MSP itself is connected to, whose pull a test writes down: a real plugin, but no network and no tables behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

from marshmallow import fields

from core.db import atomic
from core.errors import TooManyRequests, Unauthorized
from core.hooks import impl
from core.hooks.contracts import CheckResult, HouseConnector, HouseRun, Removals, SettingsSchema, UpstreamMaker, WebhookEvent

ENTRY_POINT = EntryPoint("scripted_house", "tests.scripted_house", "stockade.plugins")


@dataclass
class World:
    """What the source has, what was stored of it, and what came to be of that."""

    things: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    noted: dict[str, set[str]] = field(default_factory=dict)
    asked: list[Sequence[str] | None] = field(default_factory=list)
    webhook_urls: list[str] = field(default_factory=list)
    misbehaves: Callable[[HouseRun], None] = lambda run: None


world = World()


def start_anew() -> World:
    """An empty world for a test."""
    world.__init__()  # type: ignore[misc]
    return world


class HouseSettings(SettingsSchema):
    url = fields.Str(load_default="https://house.example", metadata={"label": "Address"})
    key = fields.Str(required=True, metadata={"label": "Key", "secret": True})


class ScriptedHousePull:
    def check(self) -> CheckResult:
        return CheckResult("The house answers", {"things": str(len(world.things))})

    def store(self, run: HouseRun) -> Sequence[Removals]:
        world.asked.append(run.keys)
        world.webhook_urls.append(run.webhook_url)
        with atomic():
            run.claim(phase="companies", done=0, of_how_many=len(world.things))
        there = set(world.stored)
        gone = there - world.things if run.keys is None else set()
        world.misbehaves(run)
        world.stored |= world.things
        world.noted[run.id] = gone
        run.counts["added"] = len(world.things - there)
        return [Removals("things", len(gone), len(there), tuple(sorted(gone))[:2], not world.things)]

    def remove(self, run: HouseRun) -> None:
        gone = world.noted.pop(run.id)
        world.stored -= gone
        run.counts["removed"] = len(gone)


class ScriptedHouse:
    source, title, description, aliases = "scripted_house", "Scripted house", "A house written down by a test", ("house_alias",)
    settings_schema = HouseSettings
    belongs_to_house = True

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> ScriptedHousePull:
        return ScriptedHousePull()

    def verify_webhook(self, settings: Mapping[str, Any], upstream: UpstreamMaker, headers: Mapping[str, str],
                       body: bytes) -> WebhookEvent | None:
        if body == b"later":
            raise TooManyRequests
        if headers.get("X-Signature") != settings["key"]:
            raise Unauthorized
        return WebhookEvent((body.decode(),)) if body else None


@impl
def register_connectors() -> Sequence[HouseConnector]:
    return [ScriptedHouse()]
