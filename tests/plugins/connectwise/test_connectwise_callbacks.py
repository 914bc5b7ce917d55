"""Signed callbacks: registered by the sync, verified with ConnectWise's own keys, harmless when they come twice."""

import json
from dataclasses import replace

import pytest
import requests

from core.connections.models import Connection, Run
from core.testing.standin import StandIn
from plugins.connectwise import upstream
from plugins.connectwise.signing import _known
from plugins.connectwise.upstream import announce, message, signature
from tests.plugins.connectwise.syncs import ADDRESS, configurations, finished, links, removed, sync


@pytest.fixture
def listening(house, admin, connected, world):
    """After a sync that has registered its callbacks at an address where this app answers."""
    _known.clear()
    with StandIn(house) as served:
        extension = house.extensions["stockade"]
        house.extensions["stockade"] = replace(extension, settings=replace(extension.settings, public_url=served.url))
        run = sync(house, admin)
        assert run["state"] == "succeeded", run
        Run.delete().execute()
        yield


def told(house, admin) -> list[dict]:
    """The runs that callbacks asked for, carried out."""
    waiting = [run.id for run in Run.select().where(Run.state == "queued")]
    return [finished(house, admin, run_id) for run_id in waiting]


def test_a_sync_registers_what_is_missing_and_nothing_twice(house, admin, listening, world):
    path = Connection.get().webhook_path
    assert sorted((hook["type"], hook["level"], hook["url"].endswith(f"{path}?recordId=")) for hook in world.callbacks.values()) == [
        ("company", "owner", True), ("configuration", "owner", True)]
    sync(house, admin)
    assert len(world.callbacks) == 2


def test_a_changed_company_is_current_at_once(house, admin, listening, world, url):
    world.change(1, name="Acme Corporation")
    assert announce(world, url, "company", 1, "updated") == [202]
    [run] = told(house, admin)
    assert (run["state"], run["trigger"], run["assets"]) == ("succeeded", "webhook", ["company:1"])
    assert links()[1] == "Acme Corporation"


def test_added_companies_and_configurations_appear(house, admin, listening, world, url):
    world.add_company(7, "Delta Ltd")
    world.add_configuration(71, "DELTA-FW", 7)
    world.add_configuration(13, "ACME-NAS", 1)
    assert announce(world, url, "company", 7, "added") == [202]
    told(house, admin)
    assert announce(world, url, "configuration", 13, "added") == [202]
    told(house, admin)
    assert (links()[7], configurations()["DELTA-FW"], configurations()["ACME-NAS"]) == ("Delta Ltd", "Delta Ltd", "Acme Corp")


def test_deleted_ones_are_marked_whatever_the_callback_says_of_them(house, admin, listening, world, url):
    world.remove(2)
    world.configurations.pop(12)
    assert announce(world, url, "company", 2, "deleted") == [202]
    assert announce(world, url, "configuration", 12, "deleted") == [202]
    for _ in range(2):  # the second one waits for the first
        told(house, admin)
    assert removed() == {2: "gone"}
    assert "ACME-SRV" not in configurations()
    assert announce(world, url, "company", 1, "deleted") == [202]  # a lie: it is there
    told(house, admin)
    assert removed() == {2: "gone"}


def test_the_same_callback_again_changes_nothing(house, admin, listening, world, url):
    world.change(1, name="Acme Corporation")
    hook = next(hook for hook in world.callbacks.values() if hook["type"] == "company")
    query, body = message(world, url, hook, "company", 1, "updated")
    for _ in range(3):
        assert upstream.deliver(world, hook, query, body) == 202
        told(house, admin)
    assert links()[1] == "Acme Corporation"
    assert removed() == {}


def test_an_unknown_record_and_a_type_that_nobody_asked_for_are_harmless(house, admin, listening, world, url):
    assert announce(world, url, "company", 999, "updated") == [202]
    assert [run["state"] for run in told(house, admin)] == ["succeeded"]
    hook = next(iter(world.callbacks.values()))
    query, body = message(world, url, hook, "company", 1, "updated")
    other = json.dumps({**json.loads(body), "Type": "ticket"}).encode()
    assert upstream.deliver(world, hook, query, other) == 204


def posted(world, body: bytes, *, key: str | None = None, signed: str | None = None) -> int:
    hook = next(iter(world.callbacks.values()))
    headers = {"Content-Type": "application/json", "X-Content-Signature": signed if signed is not None else signature(
        key or world.signing_keys[hook["id"], "9"], body)}
    return requests.post(f"{hook['url']}1&action=updated", data=body, headers=headers, timeout=10).status_code


def changed(body: bytes, **parts) -> bytes:
    return json.dumps({**json.loads(body), **parts}).encode()


def test_a_callback_that_is_not_signed_by_this_connectwise_is_refused(house, admin, listening, world, url):
    hook = next(iter(world.callbacks.values()))
    _, body = message(world, url, hook, "company", 1, "updated")
    good = signature(world.signing_keys[hook["id"], "9"], body)
    own_key = f"{url}/v4_6_release/apis/3.0/system/callbacks/999/keys/9"
    calls = world.calls["callbacks"]
    assert posted(world, body, key="another key") == 401
    assert posted(world, body + b" ", signed=good) == 401
    for nonsense in ("", "x", "Ünïcode".encode().hex(), good[:-4]):
        assert posted(world, body, signed=nonsense) == 401
    assert posted(world, changed(body, CompanyId="another")) == 401
    assert posted(world, changed(body, Metadata={"key_url": own_key})) == 401
    asked_for_keys = world.calls["callbacks"] - calls
    for elsewhere in ("http://evil.example/v4_6_release/apis/3.0/system/callbacks/1/keys/9",
                      f"{url}/v4_6_release/apis/3.0/company/companies/1", f"{url}/evil?x=/system/callbacks/1/keys/9", "http://[broken", ""):
        assert posted(world, changed(body, Metadata={"key_url": elsewhere})) == 401
    assert world.calls["callbacks"] - calls == asked_for_keys
    assert Run.select().count() == 0


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"{}", b'{"Type": "company", "ID": "x", "CompanyId": "nordlys", "Metadata": {"key_url": "x"}}',
    b'{"Type": "company", "ID": true, "CompanyId": "nordlys", "Metadata": {"key_url": "x"}}',
    b'{"Type": "company", "ID": 1, "CompanyId": "nordlys", "Metadata": []}', b"[" * 100_000])
def test_what_is_no_callback_is_refused(listening, world, body):
    assert posted(world, body, signed="AAAA") == 400
    assert Run.select().count() == 0


def test_while_connectwise_does_not_give_the_key_it_is_told_to_come_again(house, admin, listening, world, url):
    world.faults.add("status", path="callbacks", status=503)
    assert announce(world, url, "company", 1, "updated") == [429]
    world.faults.clear()
    assert announce(world, url, "company", 1, "updated") == [202]


def test_the_key_is_asked_for_once(house, admin, listening, world, url):
    world.calls.clear()
    for _ in range(3):
        announce(world, url, "company", 1, "updated")
        told(house, admin)
    assert world.calls["callbacks"] == 1


def test_callbacks_that_may_not_be_registered_leave_the_rest_of_the_sync_as_it_is(house, admin, connected, world):
    public, member = next(iter(world.members.items()))
    world.members[public] = replace(member, lacks=frozenset({"callbacks"}))
    extension = house.extensions["stockade"]
    house.extensions["stockade"] = replace(extension, settings=replace(extension.settings, public_url="https://stockade.example"))
    run = sync(house, admin)
    assert (run["state"], run["problems"][0]["asset"], run["problems"][0]["code"]) == ("partial", "callbacks", "permission_missing")
    assert links()[1] == "Acme Corp"
    assert ADDRESS in Connection.get().webhook_path
