"""The review list: what waits for a person, who may see it, and what comes of the decision."""

import threading

import pytest

from core.audit.models import AuditEvent
from core.connections.models import Run
from core.db import atomic, db, is_postgres
from core.tenancy.models import Customer
from plugins.connectwise.models import CwCompany
from plugins.connectwise.storing import Store
from tests.factories import make_customer, signed_in_client
from tests.plugins.connectwise.syncs import configurations, finished, links, reviews, sync
from tests.servers import eventually_waits

REVIEW = "/v1/company/review"


@pytest.fixture
def waiting(house, admin, connected, world):
    """After a sync in which one company is like a customer, and two have one name."""
    blue = make_customer("Blafjell")
    world.add_company(4, "Contoso  INSURANCE", "CONTOSO2")
    sync(house, admin)
    assert reviews() == {2: "similar", 3: "same_name", 4: "same_name"}
    return blue


def row_of(cw_id: int) -> str:
    return CwCompany.get(CwCompany.cw_id == cw_id).id


def test_the_list_tells_what_waits_and_why(admin, waiting):
    answer = admin.get(REVIEW)
    told = answer.get_json()
    assert (answer.status_code, told["pagination"]["totalRecords"], told["message"]) == (200, 3, "Companies Fetched Successfully!")
    assert told["data"][0] == {
        "id": row_of(2), "name": "Blåfjell AS", "cw_CompanyId": 2, "cw_Identifier": "BlåfjellAS", "status": "Active", "reason": "similar",
        "message": "Its name is like that of a customer, but not the same", "candidates": [{"id": waiting.id, "name": "Blafjell"}]}
    assert len(admin.get(f"{REVIEW}?rpp=2&page=2").get_json()["data"]) == 1


def test_a_company_is_linked_and_what_is_known_of_it_is_pulled(house, admin, waiting):
    answer = admin.post(f"{REVIEW}/{row_of(2)}", json={"link": waiting.id})
    assert (answer.status_code, answer.get_json()["data"]["companyId"]) == (200, waiting.id)
    assert Customer.get_by_id(waiting.id).alias == "BlåfjellAS"
    run = Run.select().order_by(Run.requested_at.desc()).first()
    assert run.asset_keys == ["whole:2"]
    assert finished(house, admin, run.id)["state"] == "succeeded"
    assert configurations()["BLUE-FW"] == "Blafjell"
    [event] = AuditEvent.select().where(AuditEvent.action == "company.linked", AuditEvent.customer_id == waiting.id)
    assert (event.details["how"], "@" in event.actor) == ("person", True)
    sync(house, admin)
    assert links()[2] == "Blafjell"


def test_a_company_becomes_a_new_customer(house, admin, waiting):
    assert admin.post(f"{REVIEW}/{row_of(3)}", json={"create": True}).status_code == 200
    taken = admin.post(f"{REVIEW}/{row_of(4)}", json={"create": True})
    assert (taken.status_code, taken.get_json()["successful"]) == (409, False)
    assert admin.post(f"{REVIEW}/{row_of(4)}", json={"create": True, "name": "Contoso Two"}).status_code == 200
    assert {key: name for key, name in links().items() if key > 2} == {3: "Contoso Insurance", 4: "Contoso Two"}
    sync(house, admin)
    assert links()[4] == "Contoso Two"


def test_a_company_is_said_to_be_no_customer_and_may_be_one_later(house, admin, waiting):
    assert admin.post(f"{REVIEW}/{row_of(2)}", json={"ignore": True}).get_json()["data"]["companyId"] is None
    sync(house, admin)
    assert (links()[2], [row["cw_CompanyId"] for row in admin.get(REVIEW).get_json()["data"]]) == (None, [3, 4])
    assert [row["cw_CompanyId"] for row in admin.get(f"{REVIEW}?ignored=true").get_json()["data"]] == [2]
    assert admin.post(f"{REVIEW}/{row_of(2)}", json={"link": waiting.id}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"link": "cus_ghost"}, {"link": "x", "create": True}, {"create": False}, {"link": None},
                                  {"ignore": True, "name": "x"}, {"surprise": 1}, [], {"link": 5}], ids=str)
def test_a_decision_that_is_none_is_refused(admin, waiting, body):
    answer = admin.post(f"{REVIEW}/{row_of(2)}", json=body)
    assert (answer.status_code, answer.get_json()["status"]) == (400, 400)
    assert links()[2] is None


def test_what_is_linked_is_not_decided_about_again(admin, waiting):
    acme = CwCompany.get(CwCompany.cw_id == 1)
    assert admin.post(f"{REVIEW}/{acme.id}", json={"ignore": True}).status_code == 409
    assert admin.post(f"{REVIEW}/{row_of(2)}", json={"link": acme.customer_id}).get_json()["error"] == "CustomerLinked"
    assert admin.post(f"{REVIEW}/cwc_ghost", json={"ignore": True}).status_code == 404


def test_a_wrong_link_is_taken_back_and_no_sync_makes_it_again(house, admin, waiting):
    acme = CwCompany.get(CwCompany.cw_id == 1).customer_id
    assert admin.delete(f"/v1/company/companies/{acme}/link").get_json()["message"] == "Company Unlinked Successfully!"
    sync(house, admin)
    assert (links()[1], reviews()[1]) == (None, "unlinked")
    assert "ACME-FW" not in configurations()
    assert admin.get(f"/v1/company/companies/{acme}").get_json()["data"]["cw_CompanyId"] is None
    assert admin.delete(f"/v1/company/companies/{acme}/link").status_code == 404


@pytest.mark.parametrize("second", [3, 4], ids=["one company to two customers", "two companies to one customer"])
def test_of_two_people_who_decide_at_once_one_is_told_that_it_is_too_late(house, waiting, second):
    other = waiting if second == 4 else make_customer("Other")
    answers = {}

    def decide(name, cw_id, customer):
        with house.app_context():
            answers[name] = signed_in_client(house, "msp_admin").post(f"{REVIEW}/{row_of(cw_id)}", json={"link": customer.id}).status_code
            db.close()

    threads = [threading.Thread(target=decide, args=args) for args in (("one", 3, waiting), ("two", second, other))]
    with atomic():
        if is_postgres():
            CwCompany.select().where(CwCompany.cw_id == 3).for_update().execute()
        for thread in threads:
            thread.start()
        eventually_waits(*threads)
    for thread in threads:
        thread.join(30)
    assert sorted(answers.values()) == [200, 409]
    won = answers["one"] == 200
    assert CwCompany.get(CwCompany.cw_id == (3 if won else second)).customer_id == (waiting if won else other).id


def test_what_a_person_says_while_a_sync_matches_stays(house, admin, waiting, world):
    mine = make_customer("Orca")
    world.add_company(7, "Orca", "ORCA")
    looked = []

    def as_the_customers_were_looked_at(event):
        if looked == ["now"]:
            looked.append("linked")
            Store("nordlys", "a person", False, {}).link({row_of(3): (CwCompany.get(CwCompany.cw_id == 3), mine.id)}, "person")
        elif not looked and "NOT IN" in event.sql and '"name_key"' in event.sql:
            looked.append("now")

    db.query_hooks.append(as_the_customers_were_looked_at)
    try:
        assert sync(house, admin)["state"] == "succeeded"
    finally:
        db.query_hooks.remove(as_the_customers_were_looked_at)
    assert (looked, links()[3], links()[7]) == (["now", "linked"], "Orca", None)
    sync(house, admin)
    assert reviews()[7] == "name_taken"


def test_only_those_who_hold_the_nodes_everywhere_see_and_decide(holding, waiting):
    limited = holding("company.review", "company.review.decide", customer=waiting)
    for client in (limited, holding("company.fetch.many"), holding("company.review.decide")):
        assert client.get(REVIEW).status_code == 403
    assert limited.post(f"{REVIEW}/{row_of(2)}", json={"link": waiting.id}).status_code == 403
    reader = holding("company.review")
    assert reader.get(REVIEW).status_code == 200
    assert reader.post(f"{REVIEW}/{row_of(2)}", json={"link": waiting.id}).status_code == 403


def test_the_list_takes_the_same_number_of_statements_however_long_it_is(house, admin, waiting, statements):
    counted = []
    for more in (0, 20):
        for number in range(more):
            CwCompany.create(id=f"cwc_more{number}", tenant="nordlys", cw_id=500 + number, identifier="x", identifier_key="x", name="More",
                             name_key="more", data={}, digest="", fetched_at=1, review="similar", candidates=[waiting.id])
        with statements() as executed:
            admin.get(REVIEW)
        counted.append(len(executed))
    assert counted[0] == counted[1]
