"""Integrations and runs over HTTP: forms, secrets that never come back, reasons, two customers."""

import json

import pytest

from core.connections.models import Connection, Run
from core.credentials.models import SealedValue
from core.hooks.failures import LoginRejected
from tests import scripted, syncing
from tests.factories import make_customer, signed_in_client
from tests.scripted import finding
from tests.syncing import SECRET


@pytest.fixture
def acme(portal):
    return make_customer("Acme")


@pytest.fixture
def admin(portal, acme):
    return signed_in_client(portal, "customer_admin", customer=acme)


def put(client, **body):
    return client.put("/api/integrations/scripted", json={"settings": {"token": SECRET}, **body})


def test_a_source_offers_its_form_and_then_its_connection_without_secrets(portal, admin):
    offered = admin.get("/api/integrations").get_json()["integrations"]
    assert [entry["source"] for entry in offered] == ["scripted"]
    assert offered[0]["connection"] is None
    assert [(entry["name"], entry["secret"], entry["required"]) for entry in offered[0]["settings"]] == [
        ("url", False, False), ("token", True, True)]
    made = put(admin, intervalMinutes=60)
    assert made.status_code == 200
    shown = admin.get("/api/integrations/scripted")
    assert shown.get_json()["connection"]["settings"] == {"url": "https://source.example"}
    assert shown.get_json()["connection"]["intervalMinutes"] == 60
    for answer in (made, shown, admin.get("/api/integrations")):
        assert SECRET not in answer.get_data(as_text=True)


def test_a_secret_left_out_is_kept_and_an_empty_one_is_removed(portal, admin):
    put(admin)
    sealed = SealedValue.get().sealed
    assert SECRET.encode() not in sealed
    assert admin.put("/api/integrations/scripted", json={"settings": {"url": "https://other.example"}}).status_code == 200
    assert Connection.get().settings == {"url": "https://other.example"}
    refused = admin.put("/api/integrations/scripted", json={"settings": {"token": ""}})
    assert (refused.status_code, refused.get_json()["details"]) == (400, {"token": ["Missing data for required field."]})
    assert SealedValue.select().count() == 1


@pytest.mark.parametrize("body", [
    {}, {"settings": []}, {"settings": {"token": SECRET, "surprise": 1}}, {"settings": {"token": 5}},
    {"settings": {"token": SECRET}, "intervalMinutes": 1}, {"settings": {"token": SECRET}, "intervalMinutes": "x"},
    {"settings": {"token": SECRET}, "groupId": "grp_unknown"}, {"settings": {"token": SECRET}, "more": True}, "text", None, [1],
], ids=json.dumps)
def test_malformed_settings_are_refused_and_nothing_is_kept(portal, admin, body):
    answer = admin.put("/api/integrations/scripted", json=body)
    assert answer.status_code == 400
    assert isinstance(answer.get_json()["error"], str)
    assert SECRET not in answer.get_data(as_text=True)
    assert Connection.select().count() == SealedValue.select().count() == 0


def test_validate_names_the_reason(portal, admin, monkeypatch):
    assert admin.post("/api/integrations/scripted/validate").status_code == 400
    good = admin.post("/api/integrations/scripted/validate", json={"settings": {"token": SECRET}})
    assert good.get_json() == {"valid": True, "code": "", "message": "The source answers", "facts": {"assets": "0"}}
    put(admin)

    def refused(self):
        raise LoginRejected("GET /validate on source.example answered 401")
    monkeypatch.setattr(scripted.ScriptedPull, "check", refused)
    bad = admin.post("/api/integrations/scripted/validate").get_json()
    assert (bad["valid"], bad["code"], bad["message"]) == (False, "token_refused", "GET /validate on source.example answered 401")
    assert Connection.get().health_code == "token_refused"


def test_sync_answers_with_the_run_and_the_run_tells_its_progress(portal, admin, acme):
    assert admin.post("/api/integrations/scripted/sync").status_code == 404
    put(admin)
    scripted.world.assets = {"shop": [finding("a")]}
    started = admin.post("/api/integrations/scripted/sync")
    assert started.status_code == 202
    again = admin.post("/api/integrations/scripted/sync").get_json()["run"]
    assert again["id"] == started.get_json()["run"]["id"]
    syncing.engine.execute(portal.extensions["stockade"], again["id"])
    run = admin.get(f"/api/runs/{again['id']}").get_json()
    assert (run["state"], run["phase"], run["done"], run["of"], run["counts"]["added"]) == ("succeeded", "done", 1, 1, 1)
    assert [entry["id"] for entry in admin.get("/api/runs?state=succeeded").get_json()["runs"]] == [run["id"]]


def test_msp_staff_need_an_active_organization_to_sync(portal, acme):
    staff = signed_in_client(portal, "msp_admin")
    answer = staff.post("/api/integrations/scripted/sync", headers={"x-customer-id": acme.id})
    assert answer.status_code == 400
    assert "no active organization" in answer.get_json()["error"].lower()


def test_an_unknown_source_is_not_there(portal, admin):
    for method, path in (("get", ""), ("put", ""), ("delete", ""), ("post", "/validate"), ("post", "/sync")):
        answer = getattr(admin, method)(f"/api/integrations/unknown{path}", json={"settings": {}} if method != "get" else None)
        assert answer.status_code == 404, path


def test_a_held_run_is_decided_over_http(portal, admin, acme):
    put(admin)
    deployment, connection = portal.extensions["stockade"], Connection.get()
    scripted.world.assets = {"shop": [finding("a")]}
    syncing.sync(deployment, connection)
    scripted.world.assets = {}
    held = syncing.sync(deployment, connection)
    shown = admin.get(f"/api/runs/{held.id}").get_json()
    assert (shown["state"], shown["plan"]["prunes"]) == ("held", 1)
    viewer = signed_in_client(portal, "customer_viewer", customer=acme)
    assert viewer.post(f"/api/runs/{held.id}/approve").status_code == 403
    assert admin.post(f"/api/runs/{held.id}/approve").status_code == 202
    syncing.engine.execute(deployment, held.id)
    assert admin.get(f"/api/runs/{held.id}").get_json()["state"] == "succeeded"
    assert admin.post(f"/api/runs/{held.id}/discard").status_code == 409
    pruned = admin.get("/api/assets?pruned=true").get_json()["assets"]
    assert [entry["key"] for entry in pruned] == ["shop"]
    assert admin.post(f"/api/assets/{pruned[0]['id']}/restore").status_code == 200
    assert [entry["key"] for entry in admin.get("/api/assets").get_json()["assets"]] == ["shop"]


def test_a_removed_connection_takes_its_secrets_and_figures_with_it(portal, admin):
    put(admin)
    scripted.world.assets = {"shop": [finding("a")]}
    syncing.sync(portal.extensions["stockade"], Connection.get())
    assert admin.delete("/api/integrations/scripted").status_code == 204
    assert SealedValue.select().count() == Connection.select().count() == 0
    assert admin.get("/api/dashboard/overview").get_json()["vulnerabilitiesOpen"] == 0


def test_what_belongs_to_another_customer_is_not_there(portal, admin, acme):
    globex = make_customer("Globex")
    stranger = signed_in_client(portal, "customer_admin", customer=globex)
    put(admin)
    scripted.world.assets = {"shop": [finding("a")]}
    run = syncing.sync(portal.extensions["stockade"], Connection.get())
    finding_id = admin.get("/api/findings").get_json()["findings"][0]["id"]
    asset_id = admin.get("/api/assets").get_json()["assets"][0]["id"]
    assert stranger.get("/api/integrations/scripted").get_json()["connection"] is None
    assert stranger.get("/api/findings").get_json()["findings"] == stranger.get("/api/assets").get_json()["assets"] == []
    assert stranger.get("/api/runs").get_json()["runs"] == stranger.get("/api/asset-groups").get_json()["groups"] == []
    for method, path in (("get", f"/api/runs/{run.id}"), ("post", f"/api/runs/{run.id}/approve"), ("post", f"/api/runs/{run.id}/discard"),
                         ("get", f"/api/findings/{finding_id}"), ("post", f"/api/assets/{asset_id}/restore"),
                         ("post", "/api/integrations/scripted/sync"), ("delete", "/api/integrations/scripted")):
        assert getattr(stranger, method)(path).status_code == 404, path
    assert Run.select().count() == 1


def test_runs_are_paged(portal, admin):
    put(admin)
    ids = [syncing.sync(portal.extensions["stockade"], Connection.get()).id for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = admin.get("/api/runs", query_string={"limit": 2, "cursor": cursor}).get_json()
        seen += [entry["id"] for entry in page["runs"]]
        cursor = page["nextCursor"]
    assert seen == ids[::-1]
    for bad in ("x", "e30", "WzFd", "W251bGwsbnVsbF0"):
        assert admin.get("/api/runs", query_string={"cursor": bad}).status_code == 400
