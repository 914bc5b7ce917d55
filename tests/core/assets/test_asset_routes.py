"""``/api/asset-groups`` over HTTP: what GET gives can be sent back, and roles decide what it changes."""

import pytest

from core.assets.models import AssetGroup, GroupMember
from tests import scripted, syncing
from tests.factories import make_customer, signed_in_client


@pytest.fixture
def acme(portal):
    """A customer with two assets in its own group, and an MSP-wide group with one of them."""
    scripted.world.assets = {"shop": [], "api": []}
    customer = make_customer("Acme")
    deployment = portal.extensions["stockade"]
    syncing.sync(deployment, syncing.connected(deployment, syncing.Scope(customer.id)))
    shared = AssetGroup.create(id="grp_shared", customer_id=None, name="Crown jewels", created_at=1, updated_at=1)
    GroupMember.create(customer_id=customer.id, group=shared, asset=GroupMember.get().asset_id, added_at=1)
    return customer


def described(answer):
    return {(group["name"], group["customerId"]): [member["name"] for member in group["members"]] for group in answer.get_json()["groups"]}


@pytest.mark.parametrize("mode", ["all", "vault_folders", "dast_environments"])
@pytest.mark.parametrize("role", ["msp_admin", "customer_admin"])
def test_sending_back_what_was_given_changes_nothing(portal, acme, role, mode):
    client = signed_in_client(portal, role, customer=acme, active=acme if role == "msp_admin" else None)
    given = client.get("/api/asset-groups")
    assert described(given).keys() == {("Crown jewels", None), ("Scripted projects", acme.id)}
    assert described(given)["Scripted projects", acme.id] == ["Api", "Shop"]
    assert {member["type"] for group in given.get_json()["groups"] for member in group["members"]} == {"scripted_project"}
    answer = client.put("/api/asset-groups", json={"replaceMode": mode, "groups": given.get_json()["groups"]})
    assert answer.status_code == 200
    assert described(answer) == described(given)


def test_a_customer_admin_changes_only_own_groups(portal, acme):
    client = signed_in_client(portal, "customer_admin", customer=acme)
    before = described(client.get("/api/asset-groups"))
    answer = client.put("/api/asset-groups", json={"replaceMode": "all", "groups": [
        {"name": "Crown jewels", "customerId": None, "members": []}, {"name": "New", "members": []}]})
    assert described(answer) == {("Crown jewels", None): before["Crown jewels", None], ("New", acme.id): []}


def test_viewers_and_analysts_change_nothing(portal, acme):
    for client in (signed_in_client(portal, "customer_viewer", customer=acme), signed_in_client(portal, "msp_analyst", active=acme)):
        before = described(client.get("/api/asset-groups"))
        assert client.put("/api/asset-groups", json={"groups": []}).status_code == 403
        assert described(client.get("/api/asset-groups")) == before


@pytest.mark.parametrize("body", [
    {}, {"groups": {}}, {"groups": [{}]}, {"groups": [{"name": "", "members": []}]}, {"groups": [{"name": "x" * 201, "members": []}]},
    {"groups": [], "replaceMode": "some"}, {"groups": [{"name": "x", "members": [{}]}]}, {"groups": [{"name": "x\x00", "members": []}]},
    {"groups": [{"name": "x", "members": [{"id": "ast_unknown"}]}]}, {"groups": [{"id": "grp_unknown", "name": "x", "members": []}]}])
def test_a_malformed_replace_is_refused_whole(portal, acme, body):
    client = signed_in_client(portal, "customer_admin", customer=acme)
    before = described(client.get("/api/asset-groups"))
    answer = client.put("/api/asset-groups", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["details"]
    assert described(client.get("/api/asset-groups")) == before
