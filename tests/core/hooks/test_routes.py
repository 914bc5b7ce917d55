"""``GET /api/plugins``."""

import pytest

from core.app import create_app
from core.hooks.contracts import PluginManifest
from tests.core.hooks.conftest import Source
from tests.core.hooks.test_each_hook import HOOKS
from tests.factories import SETTINGS, bearer, make_customer, make_token, make_user, signed_in_client

pytestmark = pytest.mark.usefixtures("sqlite_database")


@pytest.fixture
def app(plugin, load):
    return create_app(SETTINGS, plugins=load(
        plugin("acme", plugin_manifest=PluginManifest("Acme", "Scans", "2.1"), register_connectors=[Source("acme")]),
        plugin("faulty", register_blueprints=RuntimeError("no templates here"))))


def test_it_lists_every_plugin_with_its_state_and_the_reason(app):
    answer = signed_in_client(app, "msp_admin").get("/api/plugins")
    assert answer.status_code == 200
    assert answer.json == {"plugins": [
        {"name": "acme", "title": "Acme", "description": "Scans", "version": "2.1", "state": "enabled", "reason": "", "sources": ["acme"]},
        {"name": "faulty", "title": "faulty", "description": "", "version": "", "state": "set_aside",
         "reason": "register_blueprints: RuntimeError: no templates here", "sources": []}]}


@pytest.mark.parametrize(("role", "status"), [
    ("msp_admin", 200), ("msp_analyst", 200), ("customer_admin", 200), ("customer_viewer", 403)])
def test_whoever_holds_the_node_anywhere_may_read_it_with_no_customer_picked(app, role, status):
    assert signed_in_client(app, role, customer=make_customer()).get("/api/plugins").status_code == status


def test_the_node_in_one_of_several_customers_is_enough(app):
    user = make_user("customer_viewer", customer=make_customer("Aalto"))
    assert signed_in_client(app, user=user).get("/api/plugins").status_code == 403
    from core.access import service as access
    access.grant_role(access.COMMAND, user, "customer_admin", make_customer("Zuse").id)
    assert signed_in_client(app, user=user).get("/api/plugins").status_code == 200


def test_a_token_that_was_narrowed_to_other_nodes_may_not(app):
    admin = make_user("msp_admin")
    client = app.test_client()
    assert client.get("/api/plugins", headers=bearer(make_token(admin, nodes=["finding.list"]))).status_code == 403
    assert client.get("/api/plugins", headers=bearer(make_token(admin, nodes=["plugin.read"]))).status_code == 200


def test_signed_out_is_401(app):
    answer = app.test_client().get("/api/plugins")
    assert (answer.status_code, answer.json) == (401, {"error": "Unauthorized"})


def test_the_app_serves_beside_a_plugin_that_raises_in_every_hook(plugin, load):
    app = create_app(SETTINGS, plugins=load(plugin("faulty", **{hook: RuntimeError("boom") for hook in HOOKS}),
                                            plugin("late", register_pages=RuntimeError("boom")),
                                            plugin("sound", register_connectors=[Source("sound")])))
    client = signed_in_client(app, "msp_admin", active=make_customer())
    assert [entry["source"] for entry in client.get("/api/integrations").json["integrations"]] == ["sound"]
    assert client.get("/api/findings").status_code == 200
    assert [told["name"] for told in client.get("/health/ready").json["pluginsSetAside"]] == ["faulty", "late"]
