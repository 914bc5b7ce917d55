"""Customers over HTTP: who may, what is refused, what is written down."""

import pytest

from core.audit.models import AuditEvent
from core.tenancy.models import Customer
from tests.factories import bearer, make_customer, make_token, make_user, signed_in_client


@pytest.fixture
def admin(app):
    return signed_in_client(app, "msp_admin")


def test_msp_staff_list_all_customers_by_name(app):
    for name in ("beta", "Alpha", "Gamma"):
        make_customer(name)
    listed = signed_in_client(app, "msp_analyst").get("/api/customers")
    assert [customer["name"] for customer in listed.get_json()["customers"]] == ["Alpha", "beta", "Gamma"]
    assert set(listed.get_json()["customers"][0]) == {"id", "name", "status", "contactEmail", "notes", "createdAt", "updatedAt"}


@pytest.mark.parametrize("role", ["customer_admin", "customer_viewer"])
def test_a_portal_user_cannot_list_customers(app, role):
    customer = make_customer()
    make_customer("Somebody else")
    answer = signed_in_client(app, role, customer=customer).get("/api/customers")
    assert answer.status_code == 403
    assert "Somebody else" not in answer.text


def test_a_customer_is_created(admin):
    answer = admin.post("/api/customers", json={"name": "  Müller & Söhne ", "contactEmail": "it@mueller.example", "notes": "new\nline"})
    assert answer.status_code == 201
    body = answer.get_json()
    assert (body["name"], body["status"]) == ("Müller & Söhne", "active")
    assert (body["contactEmail"], body["notes"]) == ("it@mueller.example", "new\nline")
    assert admin.get(f"/api/customers/{body['id']}").get_json() == body


@pytest.mark.parametrize("taken", ["Acme", "ACME", " acme ", "Ａｃｍｅ", "Ac\u00adme", "Ac\u200bme"])
def test_a_name_that_looks_the_same_is_refused(admin, taken):
    make_customer("Acme")
    answer = admin.post("/api/customers", json={"name": taken})
    assert answer.status_code == 409
    assert "exists already" in answer.get_json()["error"]
    assert Customer.select().count() == 1


@pytest.mark.parametrize("body", [
    {}, {"name": ""}, {"name": "   "}, {"name": "\u200b"}, {"name": "x" * 201}, {"name": "a\nb"}, {"name": "a\x00b"}, {"name": "\ud800"},
    {"name": "a\u2028b"}, {"name": "a\u202eb"}, {"name": 1}, {"name": None}, {"name": ["a"]}, {"name": "a", "id": "cus_mine"},
    {"name": "a", "status": "active"}, {"name": "a", "contactEmail": "no"}, {"name": "a", "notes": "x" * 10_001}, [], "text", None])
def test_a_customer_that_is_malformed_is_refused(admin, body):
    answer = admin.post("/api/customers", json=body)
    assert answer.status_code == 400
    assert isinstance(answer.get_json()["error"], str)
    assert Customer.select().count() == 0


@pytest.mark.parametrize("body", [b'{"name": ', b"\xff\xfe", b"", b"[" * 100_000, b'{"name":' * 100_000])
def test_broken_json_is_refused_in_the_shape_of_the_surface(admin, body):
    answer = admin.post("/api/customers", data=body, content_type="application/json")
    assert (answer.status_code, isinstance(answer.get_json()["error"], str)) == (400, True)


def test_the_fault_of_each_field_is_told(admin):
    answer = admin.post("/api/customers", json={"contactEmail": "no", "more": 1})
    assert set(answer.get_json()["details"]) == {"name", "contactEmail", "more"}


@pytest.mark.parametrize("role", ["msp_analyst", "customer_admin", "customer_viewer"])
def test_others_than_msp_administrators_neither_create_nor_change(app, role):
    customer = make_customer("Acme")
    client = signed_in_client(app, role, customer=customer)
    assert client.post("/api/customers", json={"name": "Mine"}).status_code == 403
    assert client.patch(f"/api/customers/{customer.id}", json={"name": "Mine"}).status_code == 403
    assert [row.name for row in Customer.select()] == ["Acme"]


def test_a_customer_is_changed_field_by_field(admin):
    customer = make_customer("Acme")
    changed = admin.patch(f"/api/customers/{customer.id}", json={"notes": "call first"}).get_json()
    assert (changed["name"], changed["notes"]) == ("Acme", "call first")
    assert admin.patch(f"/api/customers/{customer.id}", json={"name": "ACME"}).status_code == 200
    assert admin.patch(f"/api/customers/{customer.id}", json={}).get_json()["name"] == "ACME"


def test_a_customer_cannot_take_another_one_s_name(admin):
    make_customer("Acme")
    other = make_customer("Other")
    assert admin.patch(f"/api/customers/{other.id}", json={"name": "acme"}).status_code == 409
    assert Customer.get_by_id(other.id).name == "Other"


@pytest.mark.parametrize("body", [{"name": ""}, {"status": "deleted"}, {"id": "x"}, {"nameKey": "x"}, {"createdAt": "2020-01-01"}, []])
def test_a_change_that_is_malformed_is_refused(admin, body):
    assert admin.patch(f"/api/customers/{make_customer().id}", json=body).status_code == 400


def test_an_unknown_customer_is_404_for_msp_staff(admin):
    for customer_id in ("cus_ghost", "x" * 400, "%00", "..%2f..", "🐟"):
        assert admin.get(f"/api/customers/{customer_id}").status_code == 404
        assert admin.patch(f"/api/customers/{customer_id}", json={"name": "x"}).status_code == 404


def test_a_portal_user_reads_his_own_customer_without_our_notes(app):
    mine, other = make_customer("Mine"), make_customer("Other")
    Customer.update(notes="difficult people").execute()
    client = signed_in_client(app, "customer_viewer", customer=mine)
    own = client.get(f"/api/customers/{mine.id}")
    assert own.get_json()["name"] == "Mine"
    assert "difficult" not in own.text
    answers = [client.get(f"/api/customers/{customer_id}") for customer_id in (other.id, "cus_ghost")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(403, answers[0].text)}


def test_a_token_narrowed_to_a_customer_reads_that_one_alone(app, client):
    mine, other = make_customer(), make_customer()
    token = bearer(make_token(make_user("msp_admin"), customer_id=mine.id))
    assert client.get(f"/api/customers/{mine.id}", headers=token).status_code == 200
    assert client.get(f"/api/customers/{other.id}", headers=token).status_code == 403
    assert client.get("/api/customers", headers=token).status_code == 403
    assert client.post("/api/customers", json={"name": "x"}, headers=token).status_code == 403


def test_a_disabled_customer_s_users_are_shut_out_until_it_is_active_again(app, admin):
    customer = make_customer()
    client = signed_in_client(app, "customer_admin", customer=customer)
    admin.patch(f"/api/customers/{customer.id}", json={"status": "disabled"})
    assert client.get(f"/api/customers/{customer.id}").status_code == 403
    assert client.get("/api/asset-groups").status_code == 403
    assert admin.patch(f"/api/customers/{customer.id}", json={"status": "active"}).status_code == 200
    assert client.get(f"/api/customers/{customer.id}").status_code == 200


def test_creating_and_changing_is_in_the_audit_log(admin):
    customer_id = admin.post("/api/customers", json={"name": "Acme"}).get_json()["id"]
    admin.patch(f"/api/customers/{customer_id}", json={"status": "disabled"})
    events = list(AuditEvent.select().where(AuditEvent.customer_id == customer_id).order_by(AuditEvent.seq))
    assert [(event.action, event.details) for event in events] == [
        ("customer.created", {"name": "Acme"}), ("customer.changed", {"status": "disabled"})]
    assert events[0].actor.endswith("@example.test")


def test_the_listing_takes_as_many_statements_for_fifty_customers_as_for_one(admin, statements):
    make_customer()
    with statements() as for_one:
        admin.get("/api/customers")
    for _ in range(49):
        make_customer()
    with statements() as for_fifty:
        assert len(admin.get("/api/customers").get_json()["customers"]) == 50
    assert len(for_one) == len(for_fifty) <= 4
