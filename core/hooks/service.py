"""Switching plugins on and off by hand. Kept in the database, so that every process of a deployment sees the same."""

from flask import g, has_request_context

from core import clock
from core.audit import record
from core.db import atomic
from core.hooks.models import PluginState

_MEMO = "plugins_switched_off"


def disabled_names() -> frozenset[str]:
    """Plugins that were switched off by hand: one statement, asked once per request."""
    if not has_request_context():
        return _read()
    if _MEMO not in g:
        setattr(g, _MEMO, _read())
    return getattr(g, _MEMO)


def enable(name: str, actor: str) -> bool:
    """Switch a plugin on; False when nothing had to change. ``Plugins.enable`` also checks that it exists."""
    return _switch(name, True, actor)


def disable(name: str, actor: str) -> bool:
    """Switch a plugin off; False when nothing had to change. ``Plugins.disable`` also checks that it exists."""
    return _switch(name, False, actor)


def _read() -> frozenset[str]:
    return frozenset(name for (name,) in PluginState.select(PluginState.name).where(~PluginState.enabled).tuples())


def _switch(name: str, enabled: bool, actor: str) -> bool:
    with atomic():
        if enabled is (name not in _read()):
            return False
        facts = {"enabled": enabled, "changed_at": clock.now(), "changed_by": actor}
        PluginState.insert(name=name, **facts).on_conflict(conflict_target=[PluginState.name], update=facts).execute()
        record("plugin.enabled" if enabled else "plugin.disabled", actor=actor, target=name)
    if has_request_context():
        g.pop(_MEMO, None)
    return True
