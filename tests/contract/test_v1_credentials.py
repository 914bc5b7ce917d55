"""Every example of the document's credential and credential type routes, sent to the app: status, envelope, names, messages."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.tenancy.models import Customer
from tests.factories import make_customer, signed_in_client

AWS = {"name": "AWS", "permissionScope": "aws.credentials", "icon": "https://aws.amazon.com/favicon.ico", "fields": [
    {"id": "accessKeyId", "name": "Access Key ID", "required": True, "secure": False, "valueType": "plain_text"},
    {"id": "secretAccessKey", "name": "Secret Access Key", "required": True, "secure": True, "valueType": "password"}]}
GITHUB = {"name": "GitHub", "permissionScope": "github.credentials", "icon": "https://github.com/favicon.ico", "fields": [
    {"id": "username", "name": "Username", "required": True, "secure": False, "valueType": "plain_text"},
    {"id": "personalAccessToken", "name": "Personal Access Token", "required": True, "secure": True, "valueType": "password"}]}
ACCESS_KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOT_FOUND = {"status": 404, "message": "Resource not found", "successful": False}


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return signed_in_client(app, "msp_admin")


@pytest.fixture
def company(app: Flask) -> Customer:
    make_customer("Globex")
    return make_customer("Acme Corp")


def told(answer: Any, status: int, message: str) -> Any:
    """The data of an answer whose envelope is as documented."""
    body = answer.get_json()
    assert (answer.status_code, list(body)) == (status, ["status", "message", "data", "successful"]), body
    assert (body["status"], body["message"], body["successful"]) == (status, message, True)
    return body["data"]


def made_type(client: FlaskClient, sent: dict[str, Any] = AWS) -> dict[str, Any]:
    return told(client.post("/v1/credential-type", json=sent), 201, "Credential Type Created Successfully!")


def sent_for(type_id: str, company_id: str, **changed: Any) -> dict[str, Any]:
    """The document's example of a new credential."""
    return {"name": "Production AWS Credentials", "notes": "Used for production S3 access", "typeId": type_id, "companyId": company_id,
            "fields": [{"id": "ckx1...", "fieldId": "accessKeyId", "value": ACCESS_KEY},
                       {"id": "ckx2...", "fieldId": "secretAccessKey", "value": SECRET}], **changed}


@pytest.fixture
def credential(client: FlaskClient, company: Customer) -> dict[str, Any]:
    sent = sent_for(made_type(client)["id"], company.id)
    return told(client.post("/v1/credential/credentials", json=sent), 201, "Credential Created Successfully!")


def shown_fields(access_key: str = ACCESS_KEY) -> list[dict[str, Any]]:
    plain, secure = AWS["fields"]
    return [{**plain, "value": access_key}, {**secure, "value": None}]


def at(credential: dict[str, Any], rest: str = "") -> str:
    return f"/v1/credential/credentials/{credential['id']}{rest}"


# -- credentials --------------------------------------------------------------------------------------------------------------


def test_value_types(client):
    assert told(client.get("/v1/credential/valuetypes"), 200, "Value Types Fetched Successfully!") == [
        "plain_text", "license_key", "ip_address", "generic_secret", "bitlocker_key", "password"]


def test_a_credential_is_created(credential, company):
    assert set(credential) == {"id", "name", "typeId", "companyId", "fields", "type", "company"}
    assert credential["fields"] == shown_fields()
    assert credential["type"] == {"id": credential["typeId"], "name": "AWS", "fields": AWS["fields"], "permissionScope": "aws.credentials"}
    assert credential["company"] == {"id": company.id, "name": "Acme Corp"}


def test_a_credential_is_fetched(client, credential):
    shown = told(client.get(at(credential)), 200, "Credential Fetched Successfully!")
    dates = {name: shown[name] for name in ("createdAt", "updatedAt")}
    assert shown == {**credential, "notes": "Used for production S3 access", **dates}
    assert shown["createdAt"].endswith("Z")


def test_the_credentials_of_a_company(client, credential, company):
    shown = told(client.get(f"/v1/credential/credentials/company/{company.id}"), 200, "Company Credentials Fetched Successfully!")
    assert shown == [{**credential, "notes": "Used for production S3 access"}]
    other = make_customer("Initech")
    assert told(client.get(f"/v1/credential/credentials/company/{other.id}"), 200, "Company Credentials Fetched Successfully!") == []


def test_a_credential_is_updated(client, credential):
    sent = {"name": "Updated Credential Name", "notes": "Updated notes for this credential",
            "fields": [{"fieldId": "accessKeyId", "value": ACCESS_KEY}, {"fieldId": "secretAccessKey", "value": SECRET}]}
    shown = told(client.patch(at(credential), json=sent), 200, "Credential Updated Successfully!")
    assert shown == {**credential, "name": "Updated Credential Name", "notes": "Updated notes for this credential"}


def test_fields_are_updated(client, credential):
    sent = {"fields": [{"fieldId": "accessKeyId", "value": "AKIAIOSFODNN7NEWVALUE"},
                       {"fieldId": "secretAccessKey", "value": "newSecretKeyValue123"}]}
    shown = told(client.put(at(credential, "/fields"), json=sent), 200, "Credential Fields Updated Successfully!")
    assert shown == {**credential, "notes": "Used for production S3 access", "fields": shown_fields("AKIAIOSFODNN7NEWVALUE")}
    assert told(client.get(at(credential, "/secure-values")), 200, "Secure Values Fetched Successfully!") == {
        "secretAccessKey": "newSecretKeyValue123"}


def test_stored_fields_are_fetched_with_secure_ones_encrypted(client, credential):
    shown = told(client.get(at(credential, "/fields")), 200, "Credential Fields Fetched Successfully!")
    assert [list(one) for one in shown] == [["id", "fieldId", "value"]] * 2
    assert shown[0] == {"id": f"{credential['id']}-accessKeyId", "fieldId": "accessKeyId", "value": ACCESS_KEY}
    assert shown[1]["fieldId"] == "secretAccessKey"
    assert SECRET not in shown[1]["value"]


def test_secure_values_are_read(client, credential):
    assert told(client.get(at(credential, "/secure-values")), 200, "Secure Values Fetched Successfully!") == {"secretAccessKey": SECRET}
    one = told(client.get(at(credential, "/secure-values/secretAccessKey")), 200, "Secure Value Fetched Successfully!")
    assert one == {"fieldId": "secretAccessKey", "value": SECRET}


@pytest.mark.parametrize("field", ["unknownField", "accessKeyId"])
def test_a_field_that_is_not_secure_is_not_found(client, credential, field):
    answer = client.get(at(credential, f"/secure-values/{field}"))
    assert answer.get_json() == {"status": 404, "message": f"Secure field not found: {field}", "error": "SecureFieldNotFound",
                                 "successful": False}


def test_a_credential_is_deleted(client, credential):
    assert told(client.delete(at(credential)), 200, "Credential Deleted Successfully!") is None
    for rest in ("", "/fields", "/secure-values", "/secure-values/secretAccessKey"):
        answer = client.get(at(credential, rest))
        assert (answer.status_code, answer.get_json()) == (404, NOT_FOUND)


# -- types --------------------------------------------------------------------------------------------------------------------


def test_a_type_is_created(client):
    made = made_type(client, GITHUB)
    assert made == {"id": made["id"], **GITHUB}


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_type_is_fetched_by_id_or_name(client, credential, by):
    identifier = {"id": credential["typeId"], "name": "aws"}[by]
    shown = told(client.get(f"/v1/credential-type/{identifier}"), 200, "Credential Type Fetched Successfully!")
    assert shown == {"id": credential["typeId"], **AWS, "credentialCount": 1, "createdAt": shown["createdAt"],
                     "updatedAt": shown["updatedAt"]}
    assert shown["createdAt"].endswith("Z")


def test_all_types(client, credential):
    github = made_type(client, GITHUB)
    shown = told(client.get("/v1/credential-type"), 200, "Credential Types Fetched Successfully!")
    assert shown == [{"id": credential["typeId"], **AWS, "credentialCount": 1}, {**github, "credentialCount": 0}]


def test_a_type_is_updated(client):
    made = made_type(client, GITHUB)
    url = {"id": "enterpriseUrl", "name": "Enterprise URL", "required": True, "secure": False, "valueType": "plain_text"}
    sent = {"name": "GitHub Enterprise", "icon": "https://github.enterprise.com/favicon.ico", "fields": [*GITHUB["fields"], url]}
    shown = told(client.patch(f"/v1/credential-type/{made['id']}", json=sent), 200, "Credential Type Updated Successfully!")
    assert shown == {"id": made["id"], "name": "GitHub Enterprise", "fields": sent["fields"]}
    kept = client.get(f"/v1/credential-type/{made['id']}").get_json()["data"]
    assert (kept["icon"], kept["permissionScope"]) == (sent["icon"], "github.credentials")


def test_a_type_is_deleted_with_its_credentials(client, credential):
    assert told(client.delete(f"/v1/credential-type/{credential['typeId']}"), 200, "Credential Type Deleted Successfully!") is None
    assert client.get(at(credential)).get_json() == NOT_FOUND
    assert client.get(f"/v1/credential-type/{credential['typeId']}").get_json() == NOT_FOUND


def test_the_credentials_of_a_type_have_their_fields_as_an_object(client, credential):
    shown = told(client.get(f"/v1/credential-type/{credential['typeId']}/credentials"), 200, "Credentials Fetched Successfully!")
    assert shown == [{"id": credential["id"], "name": credential["name"], "typeId": credential["typeId"],
                      "companyId": credential["companyId"], "fields": {"accessKeyId": ACCESS_KEY, "secretAccessKey": None}}]


# -- refusals -----------------------------------------------------------------------------------------------------------------


def test_a_request_that_is_not_valid_is_told_with_the_place_of_each_fault(client, company):
    sent = sent_for(made_type(client)["id"], company.id, fields=[{"fieldId": "accessKeyId", "value": 7}, {"fieldId": "secretAccessKey"}])
    answer = client.post("/v1/credential/credentials", json={**sent, "name": None})
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["message"], body["successful"]) == (400, 400, "Validation error", False)
    assert sorted(map(str, (fault["path"] for fault in body["errors"]))) == sorted(map(str, (
        ["name"], ["fields", 0, "value"], ["fields", 1, "value"])))


def test_without_a_sign_in_or_a_permission_it_is_refused_as_documented(app):
    assert app.test_client().get("/v1/credential-type").get_json() == {"status": 401, "message": "Unauthorized", "successful": False}
    body = signed_in_client(app, "msp_analyst").get("/v1/credential-type").get_json()
    assert body == {"status": 403, "message": "Insufficient permissions", "successful": False}
