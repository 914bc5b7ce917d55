"""Syncs of companies and configurations from a ConnectWise stand-in, through the whole engine."""

import pytest

from core.audit import verify
from core.audit.models import AuditEvent
from core.connections import engine
from core.connections.models import Connection
from core.scope import HOUSE
from core.tenancy import service as tenancy
from core.tenancy.models import Customer
from plugins.connectwise.models import CwCompany, CwConfiguration
from tests.factories import make_customer
from tests.plugins.connectwise.syncs import ADDRESS, configurations, links, removed, reviews, settings_of, sync

ALL = {1: "Acme Corp", 2: "Blåfjell AS", 3: "Contoso Insurance"}


def test_the_first_sync_matches_who_is_there_and_makes_customers_of_the_others(house, admin, connected):
    acme = make_customer("ACME  corp")
    other = make_customer("Somebody else")
    run = sync(house, admin)
    assert (run["state"], run["phase"]) == ("succeeded", "done")
    counts = {name: run["counts"][name] for name in ("added", "matched", "created", "doubtful")}
    assert counts == {"added": 6, "matched": 1, "created": 2, "doubtful": 0}
    assert links() == {1: "ACME  corp", 2: "Blåfjell AS", 3: "Contoso Insurance"}
    assert configurations() == {"ACME-FW": "ACME  corp", "ACME-SRV": "ACME  corp", "BLUE-FW": "Blåfjell AS"}
    assert Customer.get_by_id(acme.id).alias == "AcmeCorp"
    assert Customer.get_by_id(other.id).alias == ""
    told = {event.action for event in AuditEvent.select().where(AuditEvent.customer_id == acme.id)}
    assert {"customer.created", "customer.changed", "company.linked"} <= told
    assert verify(acme.id) is None
    assert Connection.get().customer_id == HOUSE


def test_what_a_sync_stored_is_shown(house, admin, connected, world):
    sync(house, admin)
    world.faults.add("status", status=503)
    listed = admin.get("/v1/company/companies?search=blafjellas").get_json()["data"]
    assert [(row["name"], row["cw_CompanyId"], row["cw_Identifier"]) for row in listed] == []
    listed = admin.get("/v1/company/companies?search=blåfjellas").get_json()["data"]
    assert [(row["name"], row["cw_CompanyId"], row["cw_Identifier"]) for row in listed] == [("Blåfjell AS", 2, "BlåfjellAS")]
    told = admin.get(f"/v1/company/companies/{listed[0]['id']}?includeAddress=true").get_json()["data"]
    assert (told["source"], told["status"], told["types"]) == ("stored", "Active", ["Customer"])
    assert told["cw_Data"]["address"] == {"line1": "Storgata 3", "line2": None, "city": "Tromsø", "state": "Troms", "zip": "9008",
                                          "country": "Norway"}
    shown = admin.get(f"/v1/company/companies/{listed[0]['id']}/configurations").get_json()["data"]["configurations"]
    assert [row["name"] for row in shown] == ["BLUE-FW"]
    assert not {"notes", "vendorNotes", "questions", "lastLoginName"} & shown[0].keys()


def test_the_same_again_changes_nothing(house, admin, connected):
    sync(house, admin)
    before = [list(model.select().order_by(model.id).dicts()) for model in (CwCompany, CwConfiguration, Customer)]
    run = sync(house, admin)
    assert (run["counts"]["unchanged"], run["counts"].get("added", 0), run["counts"].get("changed", 0)) == (6, 0, 0)
    after = [list(model.select().order_by(model.id).dicts()) for model in (CwCompany, CwConfiguration, Customer)]
    for row in (*before[0], *after[0]):
        row.pop("fetched_at"), row.pop("configurations_at")
    assert after == before


def test_a_renamed_company_keeps_its_customer_who_follows_unless_he_was_renamed_here(house, admin, connected, world):
    sync(house, admin)
    blue = CwCompany.get(CwCompany.cw_id == 2).customer_id
    tenancy.change(blue, name="Our good friends", actor="test")
    world.change(1, name="Acme Corporation", identifier="AcmeCorp2")
    world.change(2, name="Blåfjell Holding")
    world.change(3, name="Our good friends")
    run = sync(house, admin)
    assert links() == {1: "Acme Corporation", 2: "Our good friends", 3: "Contoso Insurance"}
    assert run["counts"]["names_taken"] == 1
    assert Customer.get(Customer.name == "Acme Corporation").alias == "AcmeCorp2"
    assert admin.get("/v1/company/companies?search=acmecorp2").get_json()["data"][0]["name"] == "Acme Corporation"


def test_names_stay_when_they_are_not_to_follow(house, admin, world, url):
    admin.put(ADDRESS, json={"settings": settings_of(world, url, followNames=False)})
    sync(house, admin)
    world.change(1, name="Acme Corporation")
    sync(house, admin)
    assert links()[1] == "Acme Corp"


@pytest.mark.parametrize(("happens", "why"), [("removed", "gone"), ("deleted", "deleted"), ("a lead", "left_out")])
def test_a_company_that_is_gone_is_marked_and_its_customer_stays(house, admin, connected, world, happens, why):
    sync(house, admin)
    if happens == "removed":
        world.remove(2)
    else:
        world.change(2, **{"deletedFlag" if happens == "deleted" else "leadFlag": True})
    run = sync(house, admin)
    assert (run["state"], removed(), links()[2]) == ("succeeded", {2: why}, "Blåfjell AS")
    customer_id = CwCompany.get(CwCompany.cw_id == 2).customer_id
    told = admin.get(f"/v1/company/companies/{customer_id}").get_json()["data"]
    assert (told["cw_CompanyId"], told["source"], told["removedAt"] is not None) == (2, "stored", True)
    assert AuditEvent.select().where(AuditEvent.action == "company.removed", AuditEvent.customer_id == customer_id).count() == 1


def test_a_company_that_is_back_has_its_customer_still(house, admin, connected, world):
    sync(house, admin)
    world.change(2, deletedFlag=True)
    sync(house, admin)
    world.change(2, deletedFlag=False)
    sync(house, admin)
    assert (removed(), links()) == ({}, ALL)


def test_a_configuration_that_moved_or_is_gone_is_no_longer_shown(house, admin, connected, world):
    sync(house, admin)
    world.configurations.pop(12)
    world.add_configuration(11, "ACME-FW", 3)
    sync(house, admin)
    assert configurations() == {"ACME-FW": "Contoso Insurance", "BLUE-FW": "Blåfjell AS"}


def test_too_much_at_once_waits_for_a_person(house, admin, connected, world):
    for key in range(100, 130):
        world.add_company(key, f"Company {key}")
    sync(house, admin)
    for key in range(100, 125):
        world.remove(key)
    held = sync(house, admin)
    assert (held["state"], held["plan"]["removals"][0]["due"], removed()) == ("held", 25, {})
    assert admin.post(f"{ADDRESS}/runs/{held['id']}/discard").status_code == 200
    again = sync(house, admin)
    assert admin.post(f"{ADDRESS}/runs/{again['id']}/approve").status_code == 202
    engine.execute(house.extensions["stockade"], again["id"])
    assert len(removed()) == 25


def test_an_empty_answer_takes_nothing_away(house, admin, connected, world):
    sync(house, admin)
    world.faults.add("empty", path="companies")
    assert (sync(house, admin)["state"], removed()) == ("held", {})


@pytest.mark.parametrize(("fault", "code"), [
    ({"kind": "lost_rows", "path": "companies"}, "incomplete"), ({"kind": "status", "status": 503, "path": "companies"}, "unavailable"),
    ({"kind": "status", "status": 401}, "token_refused"), ({"kind": "status", "status": 403, "path": "companies"}, "permission_missing"),
    ({"kind": "status", "status": 429, "retry_after": "3600"}, "unavailable"), ({"kind": "html"}, "unavailable"),
    ({"kind": "cut", "path": "companies", "after": 2}, "invalid_answer"),
    ({"kind": "cut_json", "path": "companies", "after": 2}, "invalid_answer"),
    ({"kind": "lost_rows", "path": "configurations", "after": 1}, "incomplete"),
], ids=str)
def test_a_pull_that_ends_early_marks_nobody(house, admin, connected, world, fault, code):
    sync(house, admin)
    world.remove(2)
    world.faults.add(**fault)
    run = sync(house, admin)
    assert (run["state"], run["reasonCode"], removed(), len(configurations())) == ("failed", code, {}, 3)
    world.faults.clear()
    assert (sync(house, admin)["state"], removed()) == ("succeeded", {2: "gone"})


def test_a_record_that_cannot_be_read_is_counted_and_left_as_it_is(house, admin, connected, world):
    sync(house, admin)
    world.change(2, name=None)
    run = sync(house, admin)
    assert (run["state"], run["counts"]["unmapped"], removed(), links()) == ("succeeded", 1, {}, ALL)


@pytest.mark.parametrize(("given", "found"), [
    ({}, {1, 2, 3}), ({"includeLeads": True}, {1, 2, 3, 5}), ({"includeVendors": True}, {1, 2, 3, 6}),
    ({"statuses": "active, 3"}, {1, 2, 3}), ({"statuses": "Inactive"}, {7}), ({"statuses": "1,2"}, {1, 2, 3, 7}),
    ({"types": "Managed Security"}, {3}), ({"types": "14, Vendor"}, {3}),
    ({"conditions": 'name like "*o*"'}, {1, 3}), ({"conditions": "id=1 OR id=2"}, {1, 2}),
], ids=str)
def test_the_settings_say_who_is_a_customer(house, admin, world, url, given, found):
    world.add_company(4, "Deleted Ltd", deletedFlag=True)
    world.add_company(5, "Lead Ltd", leadFlag=True)
    world.add_company(6, "Vendor Ltd", isVendorFlag=True)
    world.add_company(7, "Inactive Ltd", status={"id": 2, "name": "Inactive"})
    world.change(3, types=[{"id": 1, "name": "Customer"}, {"id": 14, "name": "Managed Security"}])
    wanted = {"statuses": "Active"} if not {"statuses", "types", "conditions"} & given.keys() else {}
    answer = admin.put(ADDRESS, json={"settings": settings_of(world, url, **{**wanted, **given})})
    assert answer.status_code == 200, answer.get_json()
    assert sync(house, admin)["state"] == "succeeded"
    assert set(links()) == found


def test_conditions_that_connectwise_does_not_understand_are_named(house, admin, world, url):
    answer = admin.post(f"{ADDRESS}/validate", json={"settings": settings_of(world, url, conditions="deletedFlag = 5")})
    told = answer.get_json()
    assert (told["valid"], told["code"]) == (False, "settings_invalid")
    assert "Expected a boolean value" in told["message"]


def test_pages_by_number_and_servers_that_know_no_other_way(house, admin, world, url, monkeypatch):
    monkeypatch.setattr("plugins.connectwise.client.PAGE_SIZE", 2)
    admin.put(ADDRESS, json={"settings": settings_of(world, url, paging="pages")})
    assert sync(house, admin)["counts"]["added"] == 6
    admin.put(ADDRESS, json={"settings": settings_of(world, url, paging="forward-only")})
    world.faults.add("ignores_forward_only")
    assert (sync(house, admin)["state"], removed()) == ("succeeded", {})


def test_retired_configurations_are_kept_only_when_asked_for(house, admin, world, url):
    world.add_configuration(11, "ACME-FW", 1, activeFlag=False)
    admin.put(ADDRESS, json={"settings": settings_of(world, url)})
    sync(house, admin)
    assert "ACME-FW" not in configurations()
    admin.put(ADDRESS, json={"settings": settings_of(world, url, inactiveConfigurations=True)})
    sync(house, admin)
    assert configurations()["ACME-FW"] == "Acme Corp"
    world.calls.clear()
    admin.put(ADDRESS, json={"settings": settings_of(world, url, configurations=False)})
    sync(house, admin)
    assert (world.calls["configurations"], configurations()["ACME-FW"]) == (0, "Acme Corp")


def test_without_leave_to_make_customers_the_unknown_wait(house, admin, world, url):
    make_customer("Acme Corp")
    admin.put(ADDRESS, json={"settings": settings_of(world, url, createCustomers=False)})
    sync(house, admin)
    assert (links(), reviews()) == ({1: "Acme Corp", 2: None, 3: None}, {2: "new", 3: "new"})


def test_another_connectwise_has_companies_of_its_own(house, admin, connected, world, url):
    sync(house, admin)
    world.login = "sandbox"
    admin.put(ADDRESS, json={"settings": settings_of(world, url, company="sandbox")})
    sync(house, admin)
    assert Customer.select().count() == 3
    assert {(row.tenant, row.customer_id is None) for row in CwCompany.select()} == {("nordlys", True), ("sandbox", False)}


def test_the_number_of_statements_for_each_thousand_does_not_grow(house, admin, connected, world, statements):
    counted = []
    for start, end in ((1000, 3000), (3000, 7000)):
        for key in range(start, end):
            world.add_company(key, f"Company {key}")
        with statements() as executed:
            run = sync(house, admin)
        assert run["state"] == "succeeded"
        counted.append(len(executed))
    # 2,000 more rows written and 2,000 more rows read again
    assert counted[1] - counted[0] < 150
    assert Customer.select().count() == 6003
