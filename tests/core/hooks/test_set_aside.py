"""A plugin that fails in any way is set aside with its reason, whole; everything else goes on."""

import logging
import sys
from importlib.metadata import EntryPoint

import pytest
from flask import Blueprint
from marshmallow import fields

from core.errors import NotFound
from core.hooks import impl
from core.hooks.contracts import AssetKind, PermissionNode, PluginManifest, SettingsSchema, StandIn
from core.hooks.manager import GROUP, Plugins
from core.settings import Settings
from tests.core.hooks.conftest import Parser, Source, ask_everything, reason, states
from tests.core.hooks.test_each_hook import HOOKS

pytestmark = pytest.mark.usefixtures("sqlite_database")

EAGER = ["plugin_manifest", "register_permissions", "register_asset_kinds", "register_connectors", "register_report_parsers"]


@pytest.fixture
def on_disk(tmp_path, monkeypatch):
    """Writes a module and gives its entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}_on_disk.py").write_text(text)
        monkeypatch.delitem(sys.modules, f"{name}_on_disk", raising=False)
        return EntryPoint(name, f"{name}_on_disk", GROUP)
    return write


@pytest.mark.parametrize(("text", "said"), [
    ("import a_library_that_is_not_there", "import: ModuleNotFoundError: No module named 'a_library_that_is_not_there'"),
    ("def broken(:", "import: SyntaxError: invalid syntax"),
    ("raise SystemExit(3)", "import: SystemExit: 3"),
    ("class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd", "import: odd_on_disk.Odd: <exception str() failed>"),
])
def test_a_plugin_that_cannot_be_imported_is_set_aside_with_the_reason(on_disk, plugin, load, text, said):
    plugins = load(on_disk("odd", text), plugin("sound", register_connectors=[Source("sound")]))
    assert states(plugins) == {"odd": "set_aside", "sound": "enabled"}
    assert reason(plugins, "odd") == said


def test_an_entry_point_that_names_nothing_or_no_module_is_set_aside(plugin, load):
    plugins = load(EntryPoint("absent", "no_such_module", GROUP), EntryPoint("a-list", "sys:path", GROUP), plugin("sound"))
    assert states(plugins) == {"a-list": "set_aside", "absent": "set_aside", "sound": "enabled"}
    assert reason(plugins, "a-list") == "the entry point 'sys:path' does not name a module"


def test_ctrl_c_during_an_import_still_stops_the_process(on_disk, load):
    with pytest.raises(KeyboardInterrupt):
        load(on_disk("odd", "raise KeyboardInterrupt"))


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("problem", [RuntimeError("boom"), SystemExit("boom")])
def test_a_plugin_that_raises_in_one_hook_is_set_aside_and_the_others_are_not(plugin, load, hook, problem):
    plugins = load(plugin("faulty", **{hook: problem}), plugin("sound", register_connectors=[Source("sound")]))
    ask_everything(plugins)
    assert states(plugins) == {"faulty": "set_aside", "sound": "enabled"}
    assert reason(plugins, "faulty") == f"{hook}: {type(problem).__name__}: boom"


def test_a_plugin_set_aside_leaves_nothing_behind(plugin, load):
    blueprint = Blueprint("faulty", __name__)
    plugins = load(plugin("faulty", register_permissions=[PermissionNode("faulty.read", "")],
                          register_asset_kinds=[AssetKind("faulty", "")], register_connectors=[Source("faulty")],
                          register_blueprints=[blueprint], register_pages=RuntimeError("boom")))
    assert [name for name, _ in plugins.blueprints()] == ["faulty"]
    assert plugins.pages() == ()
    assert list(plugins.blueprints()) == []
    assert (plugins.permission_nodes, plugins.asset_kinds, plugins.connectors()) == ((), (), ())
    assert not plugins.is_serving("faulty")
    assert plugins.listing()[0].sources == ()
    with pytest.raises(NotFound):
        plugins.connector("faulty", include_disabled=True)


def test_the_reason_is_logged_under_the_plugins_name_and_tells_no_token(plugin, load, caplog):
    token = "squ_" + "0123456789" * 4
    with caplog.at_level(logging.ERROR):
        plugins = load(plugin("faulty", register_connectors=RuntimeError(f"cannot use {token}")))
    assert [record.name for record in caplog.records] == ["stockade.plugins.faulty"]
    assert token not in reason(plugins, "faulty")


class _WithAnotherForm(Source):
    settings_schema = dict


class _WithASecretNumber(Source):
    class settings_schema(SettingsSchema):
        token = fields.Integer(metadata={"secret": True})


class _RaisingWhenLookedAt(Source):
    title = property(lambda self: 1 / 0)


@pytest.mark.parametrize(("hook", "nonsense", "said"), [
    ("plugin_manifest", "Acme", "plugin_manifest must be PluginManifest, not str"),
    ("plugin_manifest", PluginManifest("Acme", "", 2), "each part of the manifest must be str, not int"),
    ("register_permissions", "acme.read", "register_permissions returned str, not a sequence"),
    ("register_permissions", ["acme.read"], "each entry of register_permissions must be PermissionNode, not str"),
    ("register_permissions", [PermissionNode("Everything!", "")], "the permission node 'Everything!' is not dotted lower-case words"),
    ("register_permissions", [PermissionNode("acme.*", "")], "the permission node 'acme.*' is not dotted lower-case words"),
    ("register_permissions", [PermissionNode("acme.read", "")] * 2, "the permission node 'acme.read' is offered twice"),
    ("register_permissions", [PermissionNode("acme.read", "", category="A b")],
     "the category 'A b' of 'acme.read' is not a camelCase word"),
    ("register_permissions", [PermissionNode("acme.read", "", dependencies="acme.list")],
     "the dependencies of 'acme.read' are one text, not a sequence of nodes"),
    ("register_permissions", [PermissionNode("acme.read", "", dependencies=(1,))], "each dependency of 'acme.read' must be str, not int"),
    ("register_asset_kinds", {"acme": 1}, "register_asset_kinds returned dict, not a sequence"),
    ("register_asset_kinds", [AssetKind("acme", "Acme", "appsec")], "the discipline of the asset kind 'acme' must be Discipline, not str"),
    ("register_asset_kinds", [AssetKind("a" * 33, "Acme")], "is not a lower-case word of at most 32 characters"),
    ("register_connectors", 42, "register_connectors returned int, not a sequence"),
    ("register_connectors", [object()], "register_connectors returned object, which lacks parts of a Connector"),
    ("register_connectors", [Source("Acme Inc")], "the source 'Acme Inc' is not a lower-case word of at most 32 characters"),
    ("register_connectors", [Source("acme", "acme")], "the source 'acme' is offered twice"),
    ("register_connectors", [_WithAnotherForm("acme")], "settings_schema of the source 'acme' is not a subclass of SettingsSchema"),
    ("register_connectors", [_WithASecretNumber("acme")], "the secret field 'token' of the source 'acme' is not a string field"),
    ("register_connectors", [_RaisingWhenLookedAt("acme")], "ZeroDivisionError: division by zero"),
    ("register_report_parsers", [object()], "register_report_parsers returned object, which lacks parts of a ReportParser"),
    ("register_report_parsers", [Parser("Acme", "acme")], "the report format 'Acme' is not a lower-case word of at most 32 characters"),
    ("register_report_parsers", [Parser("acme", "A")], "the source 'A' is not a lower-case word of at most 32 characters"),
    ("register_report_parsers", [Parser("acme", "acme")] * 2, "the report format 'acme' is offered twice"),
    ("register_report_parsers", [Parser("sarif", "acme")], "the report format 'sarif' is taken by another plugin or by core"),
    ("register_report_parsers", [Parser("acme", "sarif")], "the source 'sarif' is taken by another plugin or by core"),
    ("register_blueprints", ["/acme"], "each entry of register_blueprints must be Blueprint, not str"),
    ("register_pages", ["Acme"], "each entry of register_pages must be Page, not str"),
    ("register_stand_ins", ["acme.upstream"], "each entry of register_stand_ins must be StandIn, not str"),
    ("register_stand_ins", [StandIn("acme", "acme.upstream", {}, {})], "settings and environ of the stand-in of 'acme' are not functions"),
])
def test_a_hook_that_returns_nonsense_sets_its_plugin_aside(plugin, load, hook, nonsense, said):
    plugins = load(plugin("acme", **{hook: nonsense}))
    ask_everything(plugins)
    assert said in reason(plugins, "acme")
    assert states(plugins) == {"acme": "set_aside"}


def test_a_hook_may_have_nothing_to_offer(plugin, load):
    plugins = load(plugin("quiet", **dict.fromkeys(HOOKS)), plugin("empty", **{hook: [] for hook in HOOKS if hook != "plugin_manifest"}))
    ask_everything(plugins)
    assert set(states(plugins).values()) == {"enabled"}


def test_a_hook_that_does_not_exist_is_told_unless_it_is_marked_optional(plugin, load, monkeypatch):
    misspelt, newer = plugin("misspelt", register_conectors=[]), plugin("newer")
    monkeypatch.setattr(newer.load(), "register_dreams", impl(optionalhook=True)(lambda: []), raising=False)
    plugins = load(misspelt, newer)
    assert states(plugins) == {"misspelt": "set_aside", "newer": "enabled"}
    assert "unknown hook 'register_conectors'" in reason(plugins, "misspelt")


def test_a_hook_that_asks_for_an_argument_that_it_does_not_get_is_told(load, on_disk):
    plugins = load(on_disk("greedy", "from core.hooks import impl\n@impl\ndef register_pages(database): return []\n"))
    assert "'database'" in reason(plugins, "greedy")
    assert states(plugins) == {"greedy": "set_aside"}


@pytest.mark.parametrize(("first", "second", "said"), [
    ({"register_connectors": [Source("scan")]}, {"register_connectors": [Source("scan")]}, "the source 'scan' is taken"),
    ({"register_connectors": [Source("scan", "s")]}, {"register_connectors": [Source("s")]}, "the source 's' is taken"),
    ({"register_connectors": [Source("scan")]}, {"register_connectors": [Source("other", "scan")]}, "the source 'scan' is taken"),
    ({"register_asset_kinds": [AssetKind("t", "T")]}, {"register_asset_kinds": [AssetKind("t", "T")]}, "the asset kind 't' is taken"),
    ({"register_connectors": [Source("scan")]}, {"register_report_parsers": [Parser("scan-json", "scan")]}, "the source 'scan' is taken"),
    ({"register_report_parsers": [Parser("scan-json", "scan")]}, {"register_connectors": [Source("scan")]}, "the source 'scan' is taken"),
    ({"register_report_parsers": [Parser("scan", "s")]}, {"register_report_parsers": [Parser("scan", "t")]},
     "the report format 'scan' is taken"),
    ({"register_permissions": [PermissionNode("a.b", "")]}, {"register_permissions": [PermissionNode("a.b", "")]},
     "the permission node 'a.b' is taken"),
])
def test_of_two_plugins_that_collide_the_later_one_is_set_aside(plugin, load, first, second, said):
    plugins = load(plugin("b", **second), plugin("a", **first))
    assert states(plugins) == {"a": "enabled", "b": "set_aside"}
    assert said in reason(plugins, "b")


def test_a_source_that_both_offer_keeps_showing_the_figures_of_the_first(plugin, load):
    plugins = load(plugin("a", register_connectors=[Source("scan")]), plugin("b", register_connectors=[Source("scan"), Source("more")]))
    assert plugins.hidden_sources() == {"more"}


def test_two_entry_points_of_one_name_or_of_one_module_are_one_plugin(plugin, load):
    acme = plugin("acme", register_connectors=[Source("acme")])
    plugins = load(acme, EntryPoint("acme", "json", GROUP), EntryPoint("copy", acme.value, GROUP))
    assert [(info.name, info.state) for info in plugins.listing()] == [("acme", "enabled"), ("acme", "set_aside"), ("copy", "set_aside")]
    assert plugins.connector("acme")


def test_nobody_redefines_a_permission_node_of_core(plugin):
    entry = plugin("acme", register_permissions=[PermissionNode("finding.list", "Mine now")])
    plugins = Plugins.load(Settings(), [entry], core_nodes=["finding.list"])
    assert reason(plugins, "acme") == "the permission node 'finding.list' is taken by another plugin or by core"


def test_plugins_are_loaded_in_the_same_order_whatever_order_they_are_found_in(plugin, load):
    entries = [plugin(name) for name in ("c", "a", "b")]
    assert list(states(load(*entries))) == list(states(load(*reversed(entries)))) == ["a", "b", "c"]


def test_a_plugin_that_raises_in_every_hook_takes_nothing_down(plugin, load):
    faulty = plugin("faulty", **{hook: RuntimeError("boom") for hook in HOOKS})
    late = plugin("late", **{hook: RuntimeError("boom") for hook in HOOKS if hook not in EAGER})
    sound = plugin("sound", register_connectors=[Source("sound")], register_blueprints=[Blueprint("sound", __name__)])
    plugins = load(faulty, late, sound)
    assert [name for name, _ in plugins.blueprints()] == ["sound"]
    assert plugins.connectors()[0].source == "sound"
    assert states(plugins) == {"faulty": "set_aside", "late": "set_aside", "sound": "enabled"}
