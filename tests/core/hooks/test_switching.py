"""Switching plugins on and off: for the whole deployment, without a restart, and nothing is lost."""

import pytest
from flask import Flask

from core import audit
from core.audit.models import AuditEvent
from core.db import db
from core.errors import Conflict, NotFound
from core.hooks import service
from core.hooks.contracts import AssetKind, Page, PermissionNode
from tests.core.hooks.conftest import Source, reason, states


@pytest.fixture
def two(plugin, load, database):
    """``acme`` with everything and ``other``; a second process has the same."""
    acme = plugin("acme", register_connectors=[Source("acme", "ac")], register_pages=[Page("Acme", "acme.home", "acme.read")],
                  register_permissions=[PermissionNode("acme.read", "See it")], register_asset_kinds=[AssetKind("acme_target", "Target")])
    other = plugin("other", register_connectors=[Source("other")])
    return lambda **settings: load(acme, other, **settings)


def test_switching_off_takes_a_plugin_out_in_every_process_and_on_brings_it_back(two):
    here, elsewhere = two(), two()
    assert here.disable("acme", "admin@demo.example") is True
    for plugins in (here, elsewhere):
        assert states(plugins) == {"acme": "disabled", "other": "enabled"}
        assert reason(plugins, "acme") == "switched off by an administrator"
        assert [connector.source for connector in plugins.connectors()] == ["other"]
        assert plugins.hidden_sources() == {"acme"}
        assert plugins.pages() == ()
        assert not plugins.is_serving("acme")
        with pytest.raises(NotFound, match="no source called 'ac'"):
            plugins.connector("ac")
    assert elsewhere.enable("acme", "admin@demo.example") is True
    assert states(here) == {"acme": "enabled", "other": "enabled"}
    assert here.connector("ac").source == "acme"
    assert here.hidden_sources() == frozenset()
    assert [page.title for page in here.pages()] == ["Acme"]


def test_a_plugin_that_is_off_keeps_its_nodes_kinds_and_names(two):
    plugins = two()
    plugins.disable("acme", "admin@demo.example")
    assert plugins.permission_nodes
    assert plugins.asset_kind("acme_target")
    assert plugins.connector("acme", include_disabled=True).source == "acme"
    assert len(plugins.connectors(include_disabled=True)) == 2


def test_switching_is_audited_and_doing_it_twice_changes_nothing(two):
    plugins = two()
    assert [plugins.disable("acme", "a@demo.example"), plugins.disable("acme", "b@demo.example")] == [True, False]
    assert [plugins.enable("acme", "a@demo.example"), plugins.enable("acme", "b@demo.example")] == [True, False]
    events = AuditEvent.select().order_by(AuditEvent.id)
    assert [(event.action, event.actor, event.target) for event in events] == [
        ("plugin.disabled", "a@demo.example", "acme"), ("plugin.enabled", "a@demo.example", "acme")]
    assert audit.verify("-") is None


def test_enabling_what_was_never_off_changes_nothing(two):
    assert two().enable("acme", "a@demo.example") is False


def test_only_installed_plugins_can_be_switched(two):
    for switch in (two().enable, two().disable):
        with pytest.raises(NotFound, match="no plugin called 'amce'; installed: acme, other"):
            switch("amce", "a@demo.example")


def test_the_settings_keep_a_plugin_off_whatever_is_said_by_hand(two):
    plugins = two(plugins_disabled=("acme",))
    assert reason(plugins, "acme") == "switched off by STOCKADE_PLUGINS_DISABLED"
    assert plugins.hidden_sources() == {"acme"}
    with pytest.raises(Conflict, match="STOCKADE_PLUGINS_DISABLED"):
        plugins.enable("acme", "a@demo.example")


def test_a_name_in_the_settings_that_no_plugin_has_is_shown_with_a_warning(two, caplog):
    plugins = two(plugins_disabled=("amce",))
    assert states(plugins) == {"acme": "enabled", "other": "enabled", "amce": "disabled"}
    assert reason(plugins, "amce") == "STOCKADE_PLUGINS_DISABLED names it, but no such plugin is installed"
    assert "amce" in caplog.text


def test_a_faulty_plugin_that_is_switched_off_still_says_what_is_wrong_with_it(plugin, load, sqlite_database):
    plugins = load(plugin("acme", register_connectors=RuntimeError("boom")), plugins_disabled=("acme",))
    assert states(plugins) == {"acme": "disabled"}
    assert reason(plugins, "acme").endswith("; set aside: register_connectors: RuntimeError: boom")


def test_figures_of_a_faulty_or_uninstalled_plugin_are_hidden(plugin, load, sqlite_database):
    plugins = load(plugin("faulty", register_connectors=[Source("faulty")], register_pages=RuntimeError("boom")),
                   plugin("sound", register_connectors=[Source("sound")]))
    plugins.note_stored_sources(["faulty", "sound", "uninstalled"])
    assert plugins.hidden_sources() == {"uninstalled"}
    plugins.pages()
    assert plugins.hidden_sources() == {"faulty", "uninstalled"}


def test_one_request_asks_the_database_once_and_sees_its_own_switch(two):
    plugins = two()
    statements = []
    hook = lambda sql, *rest: statements.append(sql)  # noqa: E731 - the signature is peewee's
    with Flask(__name__).test_request_context():
        db.query_hooks.append(hook)
        try:
            plugins.connectors(), plugins.hidden_sources(), plugins.listing(), plugins.is_serving("acme")
        finally:
            db.query_hooks.remove(hook)
        assert len(statements) == 1
        plugins.disable("acme", "a@demo.example")
        assert plugins.hidden_sources() == {"acme"}


def test_outside_a_request_every_look_is_a_fresh_one(two):
    plugins = two()
    with Flask(__name__).app_context():
        assert service.disabled_names() == frozenset()
        plugins.disable("acme", "a@demo.example")
        assert service.disabled_names() == {"acme"}
