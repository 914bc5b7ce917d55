"""Deciding over HTTP: what is taken, what is refused, who may, and that nobody decides for another customer."""

import pytest

from core import clock
from core.access.models import GroupLimit
from core.assets.models import Asset, AssetGroup, GroupMember
from core.audit.models import AuditEvent
from core.findings import settling
from core.findings.models import Finding, Verdict
from core.hooks.contracts import Severity
from core.ids import finding_public_id
from tests import scripted, syncing
from tests.factories import make_customer, make_user, signed_in_client
from tests.scripted import finding

ACCEPTED = {"verdict": "accepted", "reason": "Behind a firewall"}


@pytest.fixture
def customers(portal):
    """Two customers with the same findings."""
    scripted.world.assets = {
        "shop": [finding("a", Severity.CRITICAL, rule="r1"), finding("b", rule="r1"), finding("c", Severity.LOW, cve=("CVE-2021-44228",))],
        "api": [finding("d", rule="r1", cve=("CVE-2021-44228",))]}
    made = [make_customer("Acme"), make_customer("Globex")]
    for customer in made:
        deployment = portal.extensions["stockade"]
        syncing.sync(deployment, syncing.connected(deployment, syncing.Scope(customer.id)))
    return made


@pytest.fixture
def acme(customers):
    return customers[0]


@pytest.fixture
def admin(portal, acme):
    return signed_in_client(portal, "customer_admin", customer=acme)


def public_id(customer, source_key):
    return finding_public_id(Finding.get(Finding.customer_id == customer.id, Finding.source_key == source_key).id)


def states(customer):
    return {row.source_key: row.status for row in Finding.select().where(Finding.customer_id == customer.id)}


def asset_id(customer, key):
    return Asset.get(Asset.customer_id == customer.id, Asset.external_key == key).id


def test_a_finding_is_accepted_and_its_history_says_who_and_why(admin, acme):
    at = f"/api/findings/{public_id(acme, 'a')}"
    answer = admin.post(f"{at}/verdict", json={**ACCEPTED, "until": "2999-12-31"})
    assert answer.status_code == 200
    told = answer.get_json()
    assert (told["state"], told["verdict"], told["verdictUntil"]) == ("accepted", "accepted", "2999-12-31T23:59:59.999Z")
    assert (told["decision"]["reason"], told["decision"]["level"]) == ("Behind a firewall", "finding")
    event, first = told["history"]
    assert (event["kind"], event["verdict"]["reason"], event["verdict"]["author"]) == ("decided", "Behind a firewall", event["actor"])
    assert (event["changes"], first["kind"], first["verdict"]) == ({"verdict": [None, "accepted"]}, "first_seen", None)
    assert admin.get(at).get_json() == told
    assert syncing.rollups_are_right()
    audited = AuditEvent.select().where(AuditEvent.action == "verdict.given").get()
    assert (audited.customer_id, audited.target, audited.details["reason"]) == (acme.id, public_id(acme, "a"), "Behind a firewall")


def test_a_finding_is_reopened_once(admin, acme):
    at = f"/api/findings/{public_id(acme, 'a')}/verdict"
    refused = admin.post(at, json={"verdict": "reopen"})
    assert (refused.status_code, refused.get_json()["error"]) == (409, "Nobody has decided about this finding")
    admin.post(at, json={"verdict": "false_positive"})
    answer = admin.post(at, json={"verdict": "reopen"})
    assert (answer.status_code, answer.get_json()["state"], answer.get_json()["decision"]) == (200, "open", None)
    assert [event["kind"] for event in answer.get_json()["history"]] == ["verdict_ended", "decided", "first_seen"]
    assert admin.post(at, json={"verdict": "reopen"}).status_code == 409


def test_what_was_decided_about_an_asset_is_not_reopened_finding_by_finding(admin, acme):
    made = admin.post("/api/verdicts", json={**ACCEPTED, "assetId": asset_id(acme, "shop")}).get_json()
    assert (made["matched"], made["changed"]) == (3, 3)
    refused = admin.post(f"/api/findings/{public_id(acme, 'a')}/verdict", json={"verdict": "reopen"})
    assert (refused.status_code, refused.get_json()["details"]) == (409, {"verdictId": made["verdictId"], "level": "asset"})
    ended = admin.delete(f"/api/verdicts/{made['verdictId']}")
    assert (ended.status_code, ended.get_json()["changed"]) == (200, 3)
    assert set(states(acme).values()) == {"open"}
    assert admin.delete(f"/api/verdicts/{made['verdictId']}").status_code == 409
    assert admin.delete("/api/verdicts/vrd_unknown").status_code == 404


@pytest.mark.parametrize(("body", "field"), [
    ({}, "verdict"), ({"verdict": "maybe"}, "verdict"), ({"verdict": "accepted"}, "reason"), ({**ACCEPTED, "reason": "  "}, "reason"),
    ({**ACCEPTED, "reason": "x" * 2001}, "reason"), ({**ACCEPTED, "reason": "nul\x00"}, "reason"), ({**ACCEPTED, "until": "soon"}, "until"),
    ({**ACCEPTED, "until": "2020-01-01"}, "until"), ({"verdict": "ignored", "until": "2999-01-01"}, "until"),
    ({"verdict": "reopen", "until": "2999-01-01"}, "until"), ({**ACCEPTED, "until": 5}, "until"), ({**ACCEPTED, "more": 1}, "more")])
def test_a_decision_that_makes_no_sense_is_refused_with_the_field(admin, acme, body, field):
    answer = admin.post(f"/api/findings/{public_id(acme, 'a')}/verdict", json=body)
    assert answer.status_code == 400, answer.get_json()
    assert field in str(answer.get_json()["details"])
    assert states(acme)["a"] == "open"


@pytest.mark.parametrize("body", [
    {}, {"findingIds": []}, {"findingIds": ["fnd_x"], "assetId": "ast_x"}, {"filter": {"state": "odd"}}, {"filter": {"cursor": "x"}},
    {"rule": {"source": "scripted"}}, {"rule": {}}, {"cve": "log4shell"}, {"cve": ""}, {"assetId": ""}, {"findingIds": "all"},
    {"filter": []}, {"filter": {}, "cve": "CVE-2021-44228"}], ids=str)
def test_a_bulk_decision_names_exactly_one_thing(admin, acme, body):
    answer = admin.post("/api/verdicts", json={**ACCEPTED, **body})
    assert answer.status_code == 400, answer.get_json()
    assert answer.get_json()["details"]
    assert set(states(acme).values()) == {"open"}


@pytest.mark.parametrize(("what", "covered"), [
    ({"filter": {}}, "abcd"), ({"filter": {"severity": ["critical", "low"]}}, "ac"), ({"filter": {"severity": "critical,low"}}, "ac"),
    ({"filter": {"state": "fixed"}}, ""), ({"rule": {"source": "scripted", "key": "r1"}}, "abd"), ({"cve": "cve-2021-44228"}, "cd"),
    ({"rule": {"source": "other", "key": "r1"}}, ""), ({"filter": {"breached": True}}, ""), ({"filter": {"breached": False}}, "abcd"),
], ids=str)
def test_a_bulk_decision_covers_just_that_and_a_dry_run_tells_how_many(admin, customers, what, covered):
    acme, globex = customers
    told = admin.post("/api/verdicts", json={**ACCEPTED, **what, "dryRun": True})
    assert (told.status_code, told.get_json()) == (200, {"matched": len(covered), "changed": 0, "verdictId": None, "dryRun": True})
    assert Verdict.select().count() == 0
    answer = admin.post("/api/verdicts", json={**ACCEPTED, **what}).get_json()
    assert (answer["matched"], answer["changed"], answer["dryRun"]) == (len(covered), len(covered), False)
    assert "".join(sorted(key for key, state in states(acme).items() if state == "accepted")) == covered
    assert set(states(globex).values()) == {"open"}
    assert syncing.rollups_are_right()
    again = admin.post("/api/verdicts", json={**ACCEPTED, **what}).get_json()
    assert again["changed"] == 0


def test_findings_named_one_by_one_are_decided_about_all_or_none(admin, customers):
    acme, globex = customers
    ids = [public_id(acme, key) for key in "abd"]
    for stranger in (public_id(globex, "c"), "fnd_nothing", "x"):
        assert admin.post("/api/verdicts", json={**ACCEPTED, "findingIds": [*ids, stranger]}).status_code == 404
    assert set(states(acme).values()) == set(states(globex).values()) == {"open"}
    assert admin.post("/api/verdicts", json={**ACCEPTED, "findingIds": [*ids, ids[0]]}).get_json()["changed"] == 3
    reopened = admin.post("/api/verdicts", json={"verdict": "reopen", "filter": {"state": "accepted"}}).get_json()
    assert (reopened["matched"], reopened["changed"]) == (3, 3)
    assert set(states(acme).values()) == {"open"}


def test_a_verdict_on_a_rule_is_ended_by_reopening_the_rule(admin, acme):
    rule = {"rule": {"source": "scripted", "key": "r1"}}
    assert admin.post("/api/verdicts", json={"verdict": "reopen", **rule}).status_code == 409
    admin.post("/api/verdicts", json={"verdict": "ignored", **rule})
    assert admin.post("/api/verdicts", json={"verdict": "reopen", **rule}).get_json()["changed"] == 3
    assert set(states(acme).values()) == {"open"}


def test_verdicts_in_force_are_listed_by_pages_with_what_they_are_about(admin, portal, customers):
    acme, globex = customers
    other = signed_in_client(portal, "customer_admin", customer=globex)
    other.post("/api/verdicts", json={**ACCEPTED, "filter": {}})
    admin.post("/api/verdicts", json={**ACCEPTED, "cve": "CVE-2021-44228"})
    admin.post("/api/verdicts", json={"verdict": "ignored", "rule": {"source": "scripted", "key": "r1"}})
    admin.post("/api/verdicts", json={"verdict": "false_positive", "assetId": asset_id(acme, "shop")})
    admin.post("/api/verdicts", json={**ACCEPTED, "filter": {"state": "all"}, "until": "2999-01-01"})
    seen, cursor = [], ""
    while True:
        page = admin.get(f"/api/verdicts?limit=2&cursor={cursor}").get_json()
        seen += page["verdicts"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert [entry["level"] for entry in seen] == ["finding"] * 4 + ["asset", "rule", "cve"]
    assert {entry["finding"]["title"] for entry in seen[:4]} == {f"Finding {key}" for key in "abcd"}
    assert {entry["finding"]["id"] for entry in seen[:4]} == {public_id(acme, key) for key in "abcd"}
    assert (seen[4]["asset"]["name"], seen[4]["finding"]) == ("Shop", None)
    assert (seen[5]["rule"], seen[6]["cve"]) == ({"source": "scripted", "key": "r1"}, "CVE-2021-44228")
    assert [entry["level"] for entry in admin.get("/api/verdicts?level=rule,cve").get_json()["verdicts"]] == ["rule", "cve"]
    assert [entry["level"] for entry in admin.get("/api/verdicts?verdict=ignored").get_json()["verdicts"]] == ["rule"]
    assert admin.get("/api/verdicts?level=galaxy").status_code == 400
    theirs = other.get("/api/verdicts").get_json()["verdicts"]
    assert len(theirs) == 4
    assert admin.delete(f"/api/verdicts/{theirs[0]['id']}").status_code == 404
    settling.expire(clock.from_iso("2999-06-01"))
    assert [entry["level"] for entry in admin.get("/api/verdicts").get_json()["verdicts"]] == ["asset", "rule", "cve"]


@pytest.mark.parametrize(("role", "may"), [("msp_admin", True), ("msp_analyst", True), ("customer_admin", True),
                                           ("customer_viewer", False)])
def test_who_may_decide(portal, acme, role, may):
    client = signed_in_client(portal, role, customer=acme)
    headers = {"x-customer-id": acme.id}
    answers = [client.post(f"/api/findings/{public_id(acme, 'a')}/verdict", json=ACCEPTED, headers=headers),
               client.post("/api/verdicts", json={**ACCEPTED, "filter": {}}, headers=headers)]
    assert {answer.status_code for answer in answers} == {200 if may else 403}
    assert client.get("/api/verdicts", headers=headers).status_code == 200


def test_who_is_limited_to_groups_decides_about_these_alone(portal, acme, admin):
    group = AssetGroup.create(id="grp_shop", customer_id=acme.id, name="Shop", created_at=1, updated_at=1)
    GroupMember.create(customer_id=acme.id, group=group, asset=asset_id(acme, "shop"), added_at=1)
    user = make_user("customer_admin", customer=acme)
    GroupLimit.create(customer_id=acme.id, user_id=user.id, group_id=group.id)
    limited = signed_in_client(portal, user=user)
    rule = {"rule": {"source": "scripted", "key": "r1"}}
    hidden = [admin.post("/api/verdicts", json={**ACCEPTED, **what}).get_json()["verdictId"]
              for what in (rule, {"assetId": asset_id(acme, "api")})]
    assert limited.post("/api/verdicts", json={**ACCEPTED, **rule}).status_code == 403
    assert limited.post("/api/verdicts", json={**ACCEPTED, "cve": "CVE-2021-44228"}).status_code == 403
    assert limited.post("/api/verdicts", json={**ACCEPTED, "assetId": asset_id(acme, "api")}).status_code == 404
    assert limited.post(f"/api/findings/{public_id(acme, 'd')}/verdict", json=ACCEPTED).status_code == 404
    assert limited.get("/api/verdicts").get_json()["verdicts"] == []
    assert {limited.delete(f"/api/verdicts/{verdict_id}").status_code for verdict_id in hidden} == {404}
    assert limited.post("/api/verdicts", json={"verdict": "ignored", "filter": {"state": "all"}}).get_json()["matched"] == 3
    assert states(acme) == {"a": "ignored", "b": "ignored", "c": "ignored", "d": "accepted"}


def test_a_source_that_is_off_shows_no_verdicts_and_takes_none(portal, acme, admin):
    admin.post(f"/api/findings/{public_id(acme, 'a')}/verdict", json=ACCEPTED)
    portal.extensions["stockade"].plugins.disable("scripted", "test")
    assert admin.get("/api/verdicts").get_json()["verdicts"] == []
    assert admin.post("/api/verdicts", json={**ACCEPTED, "rule": {"source": "scripted", "key": "r1"}}).status_code == 404
    assert admin.post(f"/api/findings/{public_id(acme, 'b')}/verdict", json=ACCEPTED).status_code == 404
    portal.extensions["stockade"].plugins.enable("scripted", "test")
    assert len(admin.get("/api/verdicts").get_json()["verdicts"]) == 1
