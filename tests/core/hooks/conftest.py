"""Plugins made on the spot: a module each, found through an entry point as an installed one is."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

from core.hooks import impl
from core.hooks.contracts import SettingsSchema
from core.hooks.manager import GROUP, Plugins
from core.settings import Settings


class Source:
    """The least that is a connector; nothing is ever pulled from it here."""

    title = "A source"
    description = "For tests"
    settings_schema = SettingsSchema

    def __init__(self, source: str, *aliases: str) -> None:
        self.source = source
        self.aliases = aliases

    def open(self, settings: Any, upstream: Any) -> Any:
        raise AssertionError("nothing is pulled here")


class Parser:
    """The least that is a report parser."""

    title = "A format"

    def __init__(self, name: str, source: str) -> None:
        self.format = name
        self.source = source

    def recognises(self, head: bytes) -> bool:
        return False

    def read(self, report: Any) -> Any:
        raise AssertionError("nothing is read here")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Callable[..., EntryPoint]:
    """Makes a plugin ``name`` whose hooks return what is given, or raise it when it is an exception."""

    def make(name: str, **answers: Any) -> EntryPoint:
        module = ModuleType(f"{name.replace('-', '_')}_plugin_of_a_test")
        for hook, answer in answers.items():
            setattr(module, hook, impl(_answering(answer)))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return EntryPoint(name, module.__name__, GROUP)
    return make


def _answering(answer: Any) -> Callable[[], Any]:
    def hook() -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer
    return hook


@pytest.fixture
def load() -> Callable[..., Plugins]:
    """Loads these entry points alone; keyword arguments are settings."""
    return lambda *entry_points, **settings: Plugins.load(Settings(**settings), entry_points)


def states(plugins: Plugins) -> dict[str, str]:
    return {info.name: info.state for info in plugins.listing()}


def reason(plugins: Plugins, name: str) -> str:
    return next(info.reason for info in plugins.listing() if info.name == name)


def ask_everything(plugins: Plugins) -> None:
    """Call the hooks that only some processes call."""
    list(plugins.blueprints())
    plugins.pages()
    plugins.stand_ins()
    plugins.live_totals()
