"""Every example of the company routes in the v1 document: request, status, envelope, field names, messages."""

import pytest

from core.tenancy.models import Customer
from tests.factories import make_customer
from tests.plugins.connectwise.conftest import ADDRESS, admin, holding, house, keep_company, keep_configuration

__all__ = ["admin", "holding", "house"]  # fixtures

AS_OF = "2026-02-02T02:40:00.000Z"


@pytest.fixture
def acme(house) -> Customer:
    customer = make_customer("Acme Corp")
    keep_company(customer, 12345, "AcmeCorp")
    return customer


def test_all_companies(admin, acme):
    for number in range(299):
        make_customer(f"Customer {number:03}")
    answer = admin.get("/v1/company/companies")
    assert answer.status_code == 200
    told = answer.get_json()
    assert list(told) == ["status", "message", "data", "pagination", "successful"]
    assert (told["status"], told["message"], told["successful"]) == (200, "Companies Fetched Successfully!", True)
    assert told["data"][0] == {"id": acme.id, "name": "Acme Corp", "cw_CompanyId": 12345, "cw_Identifier": "AcmeCorp"}
    assert told["data"][1] == {"id": told["data"][1]["id"], "name": "Customer 000", "cw_CompanyId": None, "cw_Identifier": None}
    assert told["pagination"] == {"previousPage": None, "currentPage": 1, "nextPage": 2, "totalPages": 10, "totalRecords": 300,
                                  "listedRecords": 30}


def test_a_company_without_its_address(admin, acme):
    answer = admin.get(f"/v1/company/companies/{acme.id}")
    assert (answer.status_code, answer.headers["X-Data-Source"], answer.headers["X-Data-As-Of"]) == (200, "stored", AS_OF)
    told = answer.get_json()
    beside = {name: told["data"].pop(name) for name in ("source", "asOf", "status", "types", "website", "removedAt")}
    assert told == {"status": 200, "message": "Company Fetched Successfully!", "successful": True, "data": {
        "id": acme.id, "name": "Acme Corp", "cw_CompanyId": 12345, "cw_Identifier": "AcmeCorp", "cw_Data": {}}}
    assert beside == {"source": "stored", "asOf": AS_OF, "status": "Active", "types": ["Customer"], "website": None, "removedAt": None}


def test_a_company_with_its_address(admin, acme):
    for said in ("true", "True", "1"):
        told = admin.get(f"/v1/company/companies/{acme.id}?includeAddress={said}").get_json()
        assert told["data"]["cw_Data"] == {"address": ADDRESS}
    assert admin.get(f"/v1/company/companies/{acme.id}?includeAddress=false").get_json()["data"]["cw_Data"] == {}


def test_a_customer_who_is_no_company_has_the_documented_shape(admin):
    customer = make_customer("Globex")
    told = admin.get(f"/v1/company/companies/{customer.id}").get_json()["data"]
    assert (told["cw_CompanyId"], told["cw_Identifier"], told["cw_Data"]) == (None, None, {})
    told = admin.get(f"/v1/company/companies/{customer.id}?includeAddress=true").get_json()["data"]
    assert told["cw_Data"] == {"address": dict.fromkeys(ADDRESS)}


def test_the_address_asks_for_a_node_of_its_own(holding, acme):
    caller = holding("company.fetch")
    assert caller.get(f"/v1/company/companies/{acme.id}").status_code == 200
    refused = caller.get(f"/v1/company/companies/{acme.id}?includeAddress=true")
    told = refused.get_json()
    assert (refused.status_code, told["message"], told["successful"]) == (403, "Insufficient permissions", False)
    assert holding("company.fetch", "company.fetch.address").get(f"/v1/company/companies/{acme.id}?includeAddress=true").status_code == 200


def test_configurations(admin, holding, acme):
    keep_configuration(acme, 90412, "NFJ-FW-01", serialNumber="FGT60E0000000001", activeFlag=True)
    answer = admin.get(f"/v1/company/companies/{acme.id}/configurations")
    assert answer.status_code == 200
    assert answer.get_json() == {"status": 200, "message": "Company Configurations Fetched Successfully!", "successful": True, "data": {
        "configurations": [{"id": 90412, "name": "NFJ-FW-01", "serialNumber": "FGT60E0000000001", "activeFlag": True}],
        "source": "stored", "asOf": AS_OF}}
    assert holding("company.fetch").get(f"/v1/company/companies/{acme.id}/configurations").status_code == 403


@pytest.mark.parametrize("more", ["", "/configurations"])
def test_a_company_that_does_not_exist_is_404(admin, acme, more):
    answer = admin.get(f"/v1/company/companies/ckx0{more}")
    assert (answer.status_code, answer.get_json()) == (404, {"status": 404, "message": "Resource not found", "successful": False})


def test_bad_parameters_are_told_as_the_document_does(admin, acme):
    for asked in ("page=0", "rpp=x", "page=-1", "rpp=1001"):
        answer = admin.get(f"/v1/company/companies?{asked}")
        assert (answer.status_code, answer.get_json()["message"]) == (400, "Validation error")
        assert answer.get_json()["errors"][0]["path"] in (["page"], ["rpp"])


def test_a_parameter_without_a_value_is_as_good_as_none(admin, acme):
    plain = admin.get("/v1/company/companies").get_json()
    assert admin.get("/v1/company/companies?page=&rpp=&search=").get_json() == plain
    assert admin.get(f"/v1/company/companies/{acme.id}?includeAddress=").get_json()["data"]["cw_Data"] == {}


@pytest.mark.parametrize("path", ["", "/1", "/1/configurations"])
def test_nobody_signed_in_is_401(house, path):
    answer = house.test_client().get(f"/v1/company/companies{path}")
    assert (answer.status_code, answer.get_json()) == (401, {"status": 401, "message": "Unauthorized", "successful": False})
