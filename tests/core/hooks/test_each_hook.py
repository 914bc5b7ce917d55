"""What each hook is for. Every hook has a test here, ``test_hook_<name>...``, and its place in the author guide."""

import inspect
import re
import sys
from pathlib import Path

import pytest
from flask import Blueprint

from core.hooks import specs
from core.hooks.contracts import AssetKind, Discipline, Page, PermissionNode, PluginManifest, StandIn
from tests.core.hooks.conftest import Parser, Source, reason, states

HOOKS = sorted(name for name, found in vars(specs).items() if hasattr(found, f"{specs.PROJECT}_spec"))
GUIDE = Path(__file__).parents[3] / "docs" / "plugins.md"

pytestmark = pytest.mark.usefixtures("sqlite_database")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_when_why_what_it_returns_and_what_happens_when_it_raises(hook):
    text = inspect.getdoc(getattr(specs, hook)) or ""
    assert [word for word in ("When:", "Why:", "Returns:", "If it raises", "Since ") if word not in text] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_section_in_the_author_guide_that_says_the_same_four_things(hook):
    section = re.search(rf"^### `{hook}`\n(.*?)(?=^##)", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section, f"docs/plugins.md has no section '### `{hook}`'"
    assert [word for word in ("**When**", "**Why**", "**Returns**", "**If it raises**") if word not in section[1]] == []


def test_the_author_guide_describes_no_hook_that_does_not_exist():
    described = re.findall(r"^### `((?:register_|plugin_|live_)\w+)`", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == HOOKS


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_in_this_file(hook):
    tests = [name for name in vars(sys.modules[__name__]) if name.startswith(f"test_hook_{hook}")]
    assert tests, f"write test_hook_{hook}..."


def test_hook_plugin_manifest_gives_title_description_and_version(plugin, load):
    plugins = load(plugin("acme", plugin_manifest=PluginManifest("Acme", "Scans with care", "2.1")))
    (info,) = plugins.listing()
    assert (info.title, info.description, info.version) == ("Acme", "Scans with care", "2.1")


def test_hook_plugin_manifest_may_be_left_out(plugin, load):
    (info,) = load(plugin("acme")).listing()
    assert (info.name, info.title, info.state, info.reason) == ("acme", "acme", "enabled", "")


def test_hook_register_permissions_adds_nodes(plugin, load):
    node = PermissionNode("acme.report.read", "Read reports of Acme")
    assert load(plugin("acme", register_permissions=[node])).permission_nodes == (node,)


def test_hook_register_asset_kinds_adds_kinds(plugin, load):
    kind = AssetKind("acme_target", "Acme target", Discipline.OFFSEC)
    plugins = load(plugin("acme", register_asset_kinds=(kind,)))
    assert plugins.asset_kind("acme_target") == kind
    assert plugins.asset_kind("nobody_has_it") is None


def test_hook_register_connectors_adds_sources_that_answer_to_their_aliases(plugin, load):
    source = Source("acme", "ac")
    plugins = load(plugin("acme", register_connectors=[source]))
    assert plugins.connector("acme") is plugins.connector("ac") is source
    assert plugins.connectors() == (source,)
    assert plugins.listing()[0].sources == ("acme",)


def test_hook_register_report_parsers_adds_formats_of_reports(plugin, load):
    own, only_files = Parser("acme-json", "acme"), Parser("acme-xml", "acme_offline")
    plugins = load(plugin("acme", register_connectors=[Source("acme")], register_report_parsers=[own, only_files]))
    assert plugins.report_parsers() == (own, only_files)
    assert plugins.listing()[0].sources == ("acme", "acme_offline")
    plugins.disable("acme", "a@demo.example")
    assert plugins.report_parsers() == ()
    assert plugins.hidden_sources() == {"acme", "acme_offline"}


def test_hook_register_blueprints_is_asked_only_when_an_app_is_built(plugin, load):
    plugins = load(plugin("acme", register_blueprints=RuntimeError("no templates here")))
    assert states(plugins) == {"acme": "enabled"}
    assert list(plugins.blueprints()) == []
    assert states(plugins) == {"acme": "set_aside"}


def test_hook_register_blueprints_gives_each_blueprint_with_its_plugin(plugin, load):
    blueprint = Blueprint("acme", __name__)
    assert list(load(plugin("acme", register_blueprints=[blueprint])).blueprints()) == [("acme", blueprint)]


def test_hook_register_pages_adds_to_the_navigation_in_order(plugin, load):
    late, early = Page("Zebras", "acme.zebras", "acme.read"), Page("Ants", "acme.ants", "acme.read", order=1)
    assert load(plugin("acme", register_pages=[late, early])).pages() == (early, late)


def stand_in(source):
    return StandIn(source, f"{source}_plugin.upstream", lambda address, token, number: {"url": address}, lambda tokens: {})


def test_hook_register_stand_ins_offers_imitations_of_the_plugins_own_sources(plugin, load):
    mine = stand_in("acme")
    plugins = load(plugin("acme", register_connectors=[Source("acme")], register_stand_ins=[mine]))
    assert plugins.stand_ins() == (mine,)
    plugins.disable("acme", "a@demo.example")
    assert plugins.stand_ins() == ()


def test_hook_register_stand_ins_of_somebody_elses_source_sets_the_plugin_aside(plugin, load):
    plugins = load(plugin("acme", register_connectors=[Source("acme")]),
                   plugin("thief", register_connectors=[Source("thief")], register_stand_ins=[stand_in("thief"), stand_in("acme")]))
    assert plugins.stand_ins() == ()
    assert reason(plugins, "thief") == "it has no source 'acme' to stand in for"
    assert states(plugins) == {"acme": "enabled", "thief": "set_aside"}


class Live:
    def __init__(self, source):
        self.source = source

    def totals(self, settings, upstream, asset_keys, seconds):
        return {}


def test_hook_live_totals_offers_objects_for_the_plugins_own_sources(plugin, load):
    mine = Live("acme")
    plugins = load(plugin("acme", register_connectors=[Source("acme")], live_totals=[mine]),
                   plugin("thief", register_connectors=[Source("thief")], live_totals=[Live("acme")]))
    assert plugins.live_totals() == (mine,)
    assert reason(plugins, "thief") == "it has no source 'acme' to give live totals of"
    plugins.disable("acme", "a@demo.example")
    assert plugins.live_totals() == ()
