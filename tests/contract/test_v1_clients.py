"""What clients of the v1 document do that none of its examples shows."""

from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.contract.test_v1_credentials import AWS, SECRET, at, company, credential, made_type
from tests.factories import bearer, give_nodes, make_token, make_user, signed_in_client

__all__ = ["company", "credential"]  # fixtures


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return signed_in_client(app, "msp_admin")


def faults(answer: Any) -> dict[tuple[str | int, ...], str]:
    """What a 400 in the documented shape says, by place."""
    body = answer.get_json()
    assert (answer.status_code, set(body)) == (400, {"status", "message", "errors", "successful"}), body
    assert (body["status"], body["message"], body["successful"]) == (400, "Validation error", False)
    return {tuple(fault["path"]): fault["message"] for fault in body["errors"]}


# -- bodies -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("called", [None, "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/json"])
def test_a_body_is_read_as_json_whatever_it_is_called(app, called):
    token = make_token(give_nodes(make_user(), "user.read", "user.write"))
    answer = app.test_client().patch("/v1/user/@me", data='{"name": "Jane Doe"}', content_type=called, headers=bearer(token))
    assert answer.get_json()["data"]["name"] == "Jane Doe"
    assert app.test_client().get("/v1/user/@me", headers=bearer(token)).get_json()["data"]["name"] == "Jane Doe"


@pytest.mark.parametrize("called", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_that_is_not_json_is_refused_in_place_of_being_passed_over(client, called):
    assert faults(client.patch("/v1/user/@me", data="name=Jane+Doe", content_type=called)) == {(): "Invalid JSON body."}


def test_a_change_without_a_body_changes_nothing(client):
    assert client.patch("/v1/user/@me").status_code == 200


def test_bodies_are_read_after_the_document_was_as_well(client):
    assert client.get("/docs/v1/openapi.json").status_code == 200
    answer = client.patch("/v1/user/@me", data='{"name": "Jane Doe"}', content_type="text/plain")
    assert answer.get_json()["data"]["name"] == "Jane Doe"


def test_another_site_cannot_send_a_body_by_calling_it_a_text(client):
    answer = client.patch("/v1/user/@me", data='{"name": "Jane Doe"}', content_type="text/plain", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


# -- faults -------------------------------------------------------------------------------------------------------------------


def test_what_does_not_exist_is_told_at_its_place(client):
    user = make_user()
    assert faults(client.patch(f"/v1/user/users/{user.id}", json={"roles": ["msp_admin", "nobody"]})) == {("roles", 1): "Unknown role."}
    assert faults(client.patch(f"/v1/user/users/{user.id}", json={"permissions": ["user.read", "no.such"]})) == {
        ("permissions", 1): "Does not exist."}
    sent = {"title": "Clerk", "moniker": "clerk", "permissions": ["user.read", "user.read", "no.such"]}
    assert faults(client.post("/v1/role", json=sent)) == {("permissions", 2): "no.such does not exist."}
    client.post("/v1/role", json={**sent, "permissions": ["user.read"]})
    for method, path in (("POST", "/v1/role/clerk/permissions"), ("PATCH", "/v1/role/clerk")):
        answer = client.open(path, method=method, json={"permissions": ["user.read", "no.such"]})
        assert faults(answer) == {("permissions", 1): "no.such does not exist."}


def test_what_a_fault_asks_for_is_told_with_it_and_not_in_a_message_of_its_own(client):
    newcomer = make_user()
    assert faults(client.patch(f"/v1/user/users/{newcomer.id}", json={"roles": ["customer_viewer"]})) == {
        ("companyId",): "Say in which company: the user does not belong to exactly one"}
    assert faults(client.patch(f"/v1/user/users/{newcomer.id}", json={"roles": ["customer_viewer"], "companyId": None})) == {
        ("role",): "The role customer_viewer is held in one customer"}
    assert faults(client.post("/v1/user/service-accounts", json={"login": "CI 1", "roles": ["msp_analyst"]})) == {
        ("login",): "The login of a service account is made of lower-case letters, digits, dots and dashes"}


# -- credentials --------------------------------------------------------------------------------------------------------------


def test_a_credential_is_sent_back_as_it_was_shown(client, credential):
    shown = client.get(at(credential)).get_json()["data"]
    sent = [{"fieldId": field["id"], "value": field["value"]} for field in shown["fields"]]
    whole = {"name": shown["name"], "notes": shown["notes"], "fields": sent}
    assert client.patch(at(credential), json=whole).status_code == 200
    assert client.put(at(credential, "/fields"), json={"fields": sent}).status_code == 200
    assert client.get(at(credential, "/secure-values")).get_json()["data"] == {"secretAccessKey": SECRET}
    assert client.get(at(credential, "/history")).get_json()["data"] == []


@pytest.mark.parametrize("name", ["SSH/SFTP", "100% sure?", "a&b=c", "Ünïcode #1"])
def test_a_type_is_fetched_by_any_name(client, name):
    made = made_type(client, {**AWS, "name": name})
    assert client.get(f"/v1/credential-type/{quote(name, safe='')}").get_json()["data"]["id"] == made["id"]
    assert client.get(f"/v1/credential-type/{made['id']}/credentials").get_json()["data"] == []


def test_a_type_without_an_icon_may_say_so_with_an_empty_text(client):
    made = made_type(client, {**AWS, "icon": ""})
    assert made["icon"] is None
    client.patch(f"/v1/credential-type/{made['id']}", json={"icon": AWS["icon"]})
    client.patch(f"/v1/credential-type/{made['id']}", json={"icon": ""})
    assert client.get(f"/v1/credential-type/{made['id']}").get_json()["data"]["icon"] is None
