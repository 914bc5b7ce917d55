"""Routes of plugins in an app: there while the plugin is on, 404 while it is off, and never in the way of others."""

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView

from core.hooks.contracts import Page
from core.hooks.mounting import mount
from core.http.access import public
from core.http.surfaces import install_error_answers, register_blueprint
from tests.core.hooks.conftest import reason, states

pytestmark = pytest.mark.usefixtures("sqlite_database")


@pytest.fixture
def app():
    """An app with one route of core's, ``GET /api/things/<thing>``."""
    made = Flask(__name__)
    install_error_answers(made)
    core = Blueprint("things", __name__, url_prefix="/api")
    core.get("/things/<thing>")(public(lambda thing: f"core has {thing}"))
    register_blueprint(made, core)
    return made


def blueprint(name, path="/api/acme", view=None, **options):
    made = Blueprint(name, __name__)
    made.add_url_rule(path, "view", view or public(lambda **parts: f"{name} answers"), **options)
    return made


def test_a_plugins_routes_answer_while_it_is_on_and_404_while_it_is_off(app, plugin, load):
    plugins = load(plugin("acme", register_blueprints=[blueprint("acme")]))
    mount(app, plugins, register_blueprint)
    client = app.test_client()
    assert client.get("/api/acme").text == "acme answers"
    plugins.disable("acme", "a@demo.example")
    answer = client.get("/api/acme")
    assert (answer.status_code, answer.json) == (404, {"error": "There is nothing here."})
    assert client.get("/api/things/1").status_code == 200
    plugins.enable("acme", "a@demo.example")
    assert client.get("/api/acme").status_code == 200


def test_a_plugin_that_is_off_runs_nothing_of_its_own_before_the_404(app, plugin, load):
    nosy = blueprint("nosy")
    nosy.before_request(lambda: "let me answer that")
    mount(app, load(plugin("nosy", register_blueprints=[nosy]), plugins_disabled=("nosy",)), register_blueprint)
    assert app.test_client().get("/api/acme").status_code == 404


def test_a_nested_blueprint_belongs_to_its_plugin(app, plugin, load):
    outer = blueprint("outer")
    outer.register_blueprint(blueprint("inner", "/api/inner"))
    mount(app, load(plugin("acme", register_blueprints=[outer]), plugins_disabled=("acme",)), register_blueprint)
    assert app.test_client().get("/api/inner").status_code == 404


def test_a_view_without_an_access_rule_sets_its_plugin_aside_and_answers_404(app, plugin, load):
    plugins = load(plugin("careless", register_blueprints=[blueprint("careless", view=lambda: "everybody's data")]),
                   plugin("sound", register_blueprints=[blueprint("sound", "/api/sound")]))
    mount(app, plugins, register_blueprint)
    assert states(plugins) == {"careless": "set_aside", "sound": "enabled"}
    assert reason(plugins, "careless") == ("the view 'careless.view' declares no access rule; use requires or public of core.http.access")
    assert app.test_client().get("/api/acme").status_code == 404
    assert app.test_client().get("/api/sound").status_code == 200


def test_every_method_of_a_class_of_views_needs_its_access_rule(app, plugin, load):
    class Careful(MethodView):
        @public
        def get(self):
            return "fine"

    class Careless(Careful):
        def post(self):
            return "not fine"

    plugins = load(plugin("careful", register_blueprints=[blueprint("careful", view=Careful.as_view("view"))]),
                   plugin("careless", register_blueprints=[blueprint("careless", "/api/x", view=Careless.as_view("view"))]))
    mount(app, plugins, register_blueprint)
    assert states(plugins) == {"careful": "enabled", "careless": "set_aside"}


@pytest.mark.parametrize("path", ["/api/things/<thing>", "/api/things/<int:number>", "/api/first"])
def test_a_route_that_is_taken_sets_the_later_plugin_aside(app, plugin, load, path):
    plugins = load(plugin("a", register_blueprints=[blueprint("a", "/api/first")]),
                   plugin("b", register_blueprints=[blueprint("b", path)]))
    mount(app, plugins, register_blueprint)
    assert states(plugins) == {"a": "enabled", "b": "set_aside"}
    assert "is taken" in reason(plugins, "b")
    assert app.test_client().get("/api/first").text == "a answers"
    assert app.test_client().get("/api/things/one").text == "core has one"


def test_another_method_on_a_path_of_core_is_not_taken(app, plugin, load):
    plugins = load(plugin("acme", register_blueprints=[blueprint("acme", "/api/things/<thing>", methods=["POST"])]))
    mount(app, plugins, register_blueprint)
    assert app.test_client().post("/api/things/1").text == "acme answers"


def test_two_plugins_with_a_blueprint_of_one_name(app, plugin, load):
    plugins = load(plugin("a", register_blueprints=[blueprint("scan", "/api/a")]),
                   plugin("b", register_blueprints=[blueprint("scan", "/api/b")]))
    mount(app, plugins, register_blueprint)
    assert states(plugins) == {"a": "enabled", "b": "set_aside"}
    assert app.test_client().get("/api/a").status_code == 200
    assert app.test_client().get("/api/b").status_code == 404


def test_a_blueprint_that_raises_while_it_is_registered_sets_its_plugin_aside(app, plugin, load):
    breaking, second = blueprint("breaking"), blueprint("second", "/api/second")
    breaking.record(lambda state: 1 / 0)
    plugins = load(plugin("acme", register_blueprints=[breaking, second]), plugin("sound", register_blueprints=[blueprint("s", "/api/s")]))
    mount(app, plugins, register_blueprint)
    assert reason(plugins, "acme") == "register_blueprints: ZeroDivisionError: division by zero"
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/api/acme", "/api/second", "/api/s")] == [404, 404, 200]


@pytest.mark.parametrize("endpoint", ["acme.nowhere", "acme.one"])
def test_a_page_that_cannot_be_opened_sets_its_plugin_aside(app, plugin, load, endpoint):
    acme = blueprint("acme")
    acme.add_url_rule("/api/acme/<one>", "one", public(lambda one: one))
    plugins = load(plugin("acme", register_blueprints=[acme], register_pages=[Page("Acme", endpoint, "acme.read")]))
    mount(app, plugins, register_blueprint)
    assert reason(plugins, "acme") == f"the page 'Acme' names the endpoint '{endpoint}', which does not exist or takes arguments"
    assert app.test_client().get("/api/acme").status_code == 404


def test_a_page_of_a_plugin_may_lie_in_its_own_blueprint(app, plugin, load):
    page = Page("Acme", "acme.view", "acme.read")
    plugins = load(plugin("acme", register_blueprints=[blueprint("acme")], register_pages=[page]))
    mount(app, plugins, register_blueprint)
    assert plugins.pages() == (page,)
