"""Who sees which companies, and what a search finds."""

import pytest

from core.access.models import GroupLimit
from core.tenancy import service as tenancy
from tests.factories import make_customer, make_user, signed_in_client
from tests.plugins.connectwise.conftest import keep_company, keep_configuration


@pytest.fixture
def customers(house):
    """Two customers with companies, and one without."""
    acme, blue, plain = make_customer("Acme Corp"), make_customer("Blåfjell AS"), make_customer("Plain Ltd")
    keep_company(acme, 1, "AcmeCorp")
    keep_company(blue, 2, "BLF_100%")
    known = {acme.id: tenancy.Naming("Acme Corp", "AcmeCorp"), blue.id: tenancy.Naming("Blåfjell AS", "BLF_100%")}
    tenancy.rename_many(known, actor="test")
    keep_configuration(acme, 10, "ACME-FW")
    keep_configuration(blue, 20, "BLUE-FW")
    return acme, blue, plain


def names(answer):
    assert answer.status_code == 200, answer.get_json()
    return [row["name"] for row in answer.get_json()["data"]]


@pytest.mark.parametrize(("search", "found"), [
    ("", ["Acme Corp", "Blåfjell AS", "Plain Ltd"]), ("ACME", ["Acme Corp"]), ("me co", ["Acme Corp"]), ("mecor", ["Acme Corp"]),
    ("fjell", ["Blåfjell AS"]), ("BLÅF", ["Blåfjell AS"]), ("bla\u030afjell", ["Blåfjell AS"]), ("0%", ["Blåfjell AS"]),
    ("f_1", ["Blåfjell AS"]), ("%", ["Blåfjell AS"]), ("p acme", []), ("\\", []), ("l", ["Blåfjell AS", "Plain Ltd"]), ("nobody", []),
    ("   ", ["Acme Corp", "Blåfjell AS", "Plain Ltd"]),
])
def test_a_search_finds_parts_of_names_and_identifiers(admin, customers, search, found):
    answer = admin.get("/v1/company/companies", query_string={"search": search})
    assert names(answer) == found
    assert answer.get_json()["pagination"]["totalRecords"] == len(found)


def test_pages_go_on_where_the_one_before_ended(admin, customers):
    seen = []
    for page in (1, 2, 3, 4):
        answer = admin.get(f"/v1/company/companies?rpp=1&page={page}")
        seen += names(answer)
        assert answer.get_json()["pagination"]["totalRecords"] == 3
    assert seen == ["Acme Corp", "Blåfjell AS", "Plain Ltd"]


def test_who_holds_the_node_in_one_customer_sees_that_one_alone(holding, customers):
    acme, blue, plain = customers
    caller = holding("company.fetch.many", "company.fetch", "company.fetch.configurations", "company.fetch.address", customer=acme)
    answer = caller.get("/v1/company/companies")
    assert (names(answer), answer.get_json()["pagination"]["totalRecords"]) == (["Acme Corp"], 1)
    assert names(caller.get("/v1/company/companies?search=fjell")) == []
    assert caller.get(f"/v1/company/companies/{acme.id}?includeAddress=true").status_code == 200
    for path in ("", "?includeAddress=true", "/configurations"):
        for other in (blue.id, plain.id, "cus_ghost"):
            assert caller.get(f"/v1/company/companies/{other}{path}").status_code == 403
    shown = caller.get(f"/v1/company/companies/{acme.id}/configurations").get_json()["data"]["configurations"]
    assert [row["name"] for row in shown] == ["ACME-FW"]


def test_an_address_is_shown_only_where_its_node_is_held(holding, customers):
    acme, _, _ = customers
    caller = holding("company.fetch", customer=acme)
    assert caller.get(f"/v1/company/companies/{acme.id}?includeAddress=true").status_code == 403


def test_who_is_limited_to_groups_sees_no_configurations(house, customers):
    user = make_user("msp_admin")
    GroupLimit.create(customer_id=customers[0].id, user_id=user.id, group_id="grp_x")
    limited = signed_in_client(house, user=user)
    told = {customer.id: limited.get(f"/v1/company/companies/{customer.id}/configurations").status_code for customer in customers[:2]}
    assert told == {customers[0].id: 403, customers[1].id: 200}


def test_who_holds_another_node_lists_nothing(holding, customers):
    assert holding("company.fetch").get("/v1/company/companies").status_code == 403
    assert holding("company.fetch.many").get(f"/v1/company/companies/{customers[0].id}").status_code == 403


def test_a_customer_that_connectwise_does_not_know_is_shown_without_its_data(admin, customers):
    answer = admin.get(f"/v1/company/companies/{customers[2].id}?includeAddress=true")
    told = answer.get_json()["data"]
    assert (told["cw_CompanyId"], told["cw_Identifier"], told["source"]) == (None, None, None)
    assert set(told["cw_Data"]["address"].values()) == {None}
    assert "X-Data-Source" not in answer.headers
    none = admin.get(f"/v1/company/companies/{customers[2].id}/configurations").get_json()["data"]
    assert none == {"configurations": [], "source": None, "asOf": None}


def test_a_listing_takes_the_same_number_of_statements_however_many_there_are(admin, customers, statements):
    counted = []
    for more in (0, 30):
        for number in range(more):
            make_customer(f"More {number}")
        with statements() as executed:
            assert admin.get("/v1/company/companies").status_code == 200
        counted.append(len(executed))
    assert counted[1] - counted[0] <= 1  # the count, once there is a second page


def test_switched_off_its_routes_are_404_and_its_data_stays(house, admin, customers):
    plugins = house.extensions["stockade"].plugins
    plugins.disable("connectwise", actor="test")
    for path in ("", f"/{customers[0].id}", f"/{customers[0].id}/configurations"):
        answer = admin.get(f"/v1/company/companies{path}")
        assert (answer.status_code, answer.get_json()) == (404, {"status": 404, "message": "Resource not found", "successful": False})
    plugins.enable("connectwise", actor="test")
    assert admin.get("/v1/company/companies").get_json()["data"][0]["cw_Identifier"] == "AcmeCorp"
