"""The users of a customer over HTTP."""

import threading

import pytest

from core.access import membership
from core.access import service as access
from core.access.administrators import one_at_a_time
from core.access.models import RoleGrant
from core.audit.models import AuditEvent
from core.db import db
from core.people import service as people
from core.people.models import User
from core.tenancy.models import Customer
from tests.factories import PASSWORD, SETTINGS, give_role, make_customer, make_user, signed_in_client
from tests.servers import eventually_waits


def users_of(client, customer: Customer) -> list[str]:
    return [user["email"] for user in client.get(f"/api/customers/{customer.id}/users").get_json()["users"]]


def add(client, customer: Customer, email: str = "new@example.test", role: str = "customer_viewer", **more):
    return client.post(f"/api/customers/{customer.id}/users", json={"email": email, "role": role, **more})


def test_the_users_of_one_customer_are_not_listed_with_another(app):
    first, second = make_customer(), make_customer()
    make_user("customer_viewer", customer=first, email="first@example.test")
    make_user("customer_viewer", customer=second, email="second@example.test")
    make_user("msp_admin", email="staff@example.test")
    admin = signed_in_client(app, "msp_admin")
    assert users_of(admin, first) == ["first@example.test"]
    assert users_of(admin, second) == ["second@example.test"]


def test_a_user_of_two_customers_shows_in_each_with_his_role_there_alone(app):
    first, second = make_customer(), make_customer()
    user = make_user("customer_admin", customer=first)
    give_role(user, "customer_viewer", second)
    admin = signed_in_client(app, "msp_admin")
    [listed] = admin.get(f"/api/customers/{second.id}/users").get_json()["users"]
    assert (listed["role"], listed["roles"]) == ("customer_viewer", ["customer_viewer"])


def test_a_customer_administrator_lists_and_adds_his_own_users(app):
    customer = make_customer()
    client = signed_in_client(app, "customer_admin", customer=customer)
    answer = add(client, customer, name="Grace", password=PASSWORD)
    assert answer.status_code == 201
    body = answer.get_json()
    assert (body["email"], body["name"], body["role"], body["status"]) == ("new@example.test", "Grace", "customer_viewer", "active")
    assert "assword" not in answer.text
    assert "new@example.test" in users_of(client, customer)
    assert people.authenticate("new@example.test", PASSWORD, SETTINGS) is not None


def test_a_user_without_a_password_cannot_sign_in(app):
    customer = make_customer()
    assert add(signed_in_client(app, "msp_admin"), customer).status_code == 201
    assert User.get(User.email == "new@example.test").password_hash is None


@pytest.mark.parametrize(("role", "status"), [("msp_analyst", 200), ("customer_admin", 200), ("customer_viewer", 403)])
def test_who_may_list_users(app, role, status):
    customer = make_customer()
    assert signed_in_client(app, role, customer=customer).get(f"/api/customers/{customer.id}/users").status_code == status


@pytest.mark.parametrize("role", ["msp_analyst", "customer_viewer"])
def test_others_than_administrators_add_nobody(app, role):
    customer = make_customer()
    assert add(signed_in_client(app, role, customer=customer), customer).status_code == 403
    assert not User.select().where(User.email == "new@example.test").exists()


def test_an_administrator_of_one_customer_has_no_say_in_another(app):
    mine, other = make_customer(), make_customer()
    client = signed_in_client(app, "customer_admin", customer=mine)
    for customer_id in (other.id, "cus_ghost"):
        assert client.get(f"/api/customers/{customer_id}/users").status_code == 403
        added = client.post(f"/api/customers/{customer_id}/users", json={"email": "x@example.test", "role": "customer_viewer"})
        assert added.status_code == 403


@pytest.mark.parametrize("role", ["msp_admin", "msp_analyst", "nonsense", "", None, 1])
@pytest.mark.parametrize("giver", ["msp_admin", "customer_admin"])
def test_only_customers_roles_can_be_given_in_a_customer(app, giver, role):
    customer = make_customer()
    answer = signed_in_client(app, giver, customer=customer).post(
        f"/api/customers/{customer.id}/users", json={"email": "new@example.test", "role": role})
    assert answer.status_code == 400
    assert not User.select().where(User.email == "new@example.test").exists()


def test_nobody_gives_what_he_does_not_hold(app):
    customer = make_customer()
    user = make_user("customer_viewer", customer=customer)
    access.grant_node(access.COMMAND, user, "customer.user.create", customer.id, access.NodeRegistry())
    client = signed_in_client(app, user=user)
    assert add(client, customer, role="customer_viewer").status_code == 201
    answer = add(client, customer, email="boss@example.test", role="customer_admin")
    assert answer.status_code == 403
    assert not User.select().where(User.email == "boss@example.test").exists()


@pytest.mark.parametrize("body", [{}, {"email": "a"}, {"email": "a@b\n.test"}, {"password": "short"}, {"password": "new@example.test"},
                                  {"name": "x" * 201}, {"customerId": "cus_other"}, {"name": "a\x00"}])
def test_a_user_that_is_malformed_is_refused(app, body):
    customer = make_customer()
    complete = {"email": "new@example.test", "role": "customer_viewer", **body} if body else {}
    answer = signed_in_client(app, "msp_admin").post(f"/api/customers/{customer.id}/users", json=complete)
    assert answer.status_code == 400
    assert RoleGrant.select().where(RoleGrant.customer_id == customer.id).count() == 0


# -- accounts that exist ----------------------------------------------------------------------------------------------------


def test_a_customer_administrator_neither_takes_over_nor_lets_in_an_account_that_exists(app):
    mine, other = make_customer(), make_customer()
    victim = make_user("customer_viewer", customer=other, email="victim@example.test", password=PASSWORD)
    staff = make_user("msp_admin", email="staff@example.test")
    client = signed_in_client(app, "customer_admin", customer=mine)
    for email in ("victim@example.test", "VICTIM@example.test", "staff@example.test"):
        for more in ({}, {"password": "my own password!", "name": "Mallory"}):
            assert add(client, mine, email=email, **more).status_code == 409
    assert people.authenticate("victim@example.test", PASSWORD, SETTINGS) is not None
    assert User.get_by_id(victim.id).name == "Ada"
    assert not RoleGrant.select().where(RoleGrant.customer_id == mine.id, RoleGrant.user_id.in_([victim.id, staff.id])).exists()


def test_the_refusal_is_the_same_for_an_account_here_and_elsewhere(app):
    mine, other = make_customer(), make_customer()
    make_user("customer_viewer", customer=mine, email="here@example.test")
    make_user("customer_viewer", customer=other, email="there@example.test")
    client = signed_in_client(app, "customer_admin", customer=mine)
    assert add(client, mine, email="here@example.test").get_json() == add(client, mine, email="there@example.test").get_json()


def test_msp_staff_let_an_existing_account_into_another_customer_unchanged(app):
    first, second = make_customer(), make_customer()
    make_user("customer_viewer", customer=first, email="both@example.test", password=PASSWORD)
    admin = signed_in_client(app, "msp_admin")
    answer = add(admin, second, email="Both@example.test", role="customer_admin", name="Renamed")
    assert (answer.status_code, answer.get_json()["name"]) == (201, "Ada")
    assert users_of(admin, second) == ["both@example.test"]
    assert people.authenticate("both@example.test", PASSWORD, SETTINGS) is not None


def test_not_even_msp_staff_change_a_password_on_the_way(app):
    first, second = make_customer(), make_customer()
    make_user("customer_viewer", customer=first, email="both@example.test", password=PASSWORD)
    answer = add(signed_in_client(app, "msp_admin"), second, email="both@example.test", password="another password")
    assert answer.status_code == 409
    assert "leave the password out" in answer.get_json()["error"]
    assert people.authenticate("both@example.test", PASSWORD, SETTINGS) is not None


def test_a_user_who_is_in_already_is_a_conflict(app):
    customer = make_customer()
    admin = signed_in_client(app, "msp_admin")
    assert [add(admin, customer).status_code for _ in range(2)] == [201, 409]
    assert add(admin, customer, role="customer_admin").status_code == 409


def test_adding_a_user_is_in_the_customer_s_audit_log(app):
    customer = make_customer()
    add(signed_in_client(app, "msp_admin"), customer)
    [event] = AuditEvent.select().where(AuditEvent.action == "role.granted", AuditEvent.customer_id == customer.id)
    assert event.details == {"role": "customer_viewer"}


def test_the_listing_takes_as_many_statements_for_thirty_users_as_for_one(app, statements):
    customer = make_customer()
    make_user("customer_viewer", customer=customer)
    admin = signed_in_client(app, "msp_admin")
    with statements() as for_one:
        users_of(admin, customer)
    for _ in range(29):
        make_user("customer_viewer", customer=customer)
    with statements() as for_thirty:
        assert len(users_of(admin, customer)) == 30
    assert len(for_one) == len(for_thirty) <= 6


def test_who_adds_a_user_and_who_changes_one_at_once_do_not_wait_for_each_other_in_a_ring(app):
    customer, failures = make_customer(), []

    def add_one() -> None:
        try:
            membership.add_member(access.COMMAND, customer.id, email="new@example.test", role="customer_viewer", settings=SETTINGS)
        except Exception as problem:  # noqa: BLE001 - told by the test's own thread
            failures.append(problem)
        finally:
            db.close()

    adding = threading.Thread(target=add_one)
    with one_at_a_time():
        adding.start()
        eventually_waits(adding)
        people.change(make_user(), actor="test", name="Changed")
    adding.join(30)
    assert (failures, [member.email for member in membership.members_of(customer.id)]) == ([], ["new@example.test"])
