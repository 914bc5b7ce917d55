"""There is always an administrator who can sign in, whatever is changed, and by how many at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.access import users
from core.access.models import NodeGrant, RoleGrant
from core.access.nodes import NodeRegistry
from core.access.roles import create
from core.db import db
from core.errors import Conflict
from core.people import service as people
from core.people.models import User, UserIdentity
from tests.factories import PASSWORD, bearer, give_nodes, make_customer, make_token, make_user, signed_in_client

REGISTRY = NodeRegistry()


@pytest.fixture
def owners(app: Flask) -> None:
    """A role of people's own that holds everything."""
    create(access.COMMAND, title="Owners", moniker="owners", permissions=["*"], registry=REGISTRY)


@pytest.fixture
def last(app: Flask, owners: None) -> User:
    """The only one who holds everything and can sign in. Beside him those who do not count: without a way to sign in, disabled, a
    service, limited to one customer, and with something less than everything."""
    user = make_user(password=PASSWORD)
    access.grant_role(access.COMMAND, user, "owners")
    make_user("msp_admin")
    people.disable(make_user("msp_admin", password=PASSWORD), actor="test")
    access.grant_role(access.COMMAND, people.add_service("robot", actor="test"), "msp_admin")
    give_nodes(make_user(password=PASSWORD), "*", customer=make_customer())
    give_nodes(make_user(password=PASSWORD), "*.*")
    return user


@pytest.fixture
def client(app: Flask, last: User) -> FlaskClient:
    """Somebody else who holds everything, by a token that nobody signs in with."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = bearer(make_token(make_user("msp_admin")))["Authorization"]
    return client


ATTEMPTS: dict[str, Any] = {
    "deleted": lambda client, user: client.delete(f"/v1/user/users/{user.id}"),
    "disabled": lambda client, user: client.patch(f"/v1/user/users/{user.id}", json={"status": "disabled"}),
    "stripped of roles": lambda client, user: client.patch(f"/v1/user/users/{user.id}", json={"roles": []}),
    "given another role": lambda client, user: client.patch(f"/v1/user/users/{user.id}", json={"roles": ["msp_analyst"]}),
    "his role emptied": lambda client, user: client.patch("/v1/role/owners", json={"permissions": []}),
    "his role narrowed": lambda client, user: client.patch("/v1/role/owners", json={"permissions": ["*.*", "finding.*"]}),
    "taken out of his role": lambda client, user: client.delete("/v1/role/owners/permissions", json={"permissions": ["*"]}),
    "his role deleted": lambda client, user: client.delete("/v1/role/owners"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_last_administrator_stays(client, last, attempt):
    before = [row.__data__ for table in (User, RoleGrant, NodeGrant) for row in table.select().order_by(table.id)]
    answer = ATTEMPTS[attempt](client, last)
    assert (answer.status_code, answer.get_json()["error"]) == (409, "LastAdministrator")
    assert [row.__data__ for table in (User, RoleGrant, NodeGrant) for row in table.select().order_by(table.id)] == before


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("by_node", [False, True])
def test_one_of_two_may_go(client, last, attempt, by_node):
    second = make_user(password=PASSWORD)
    if by_node:
        give_nodes(second, "*")
    else:
        access.grant_role(access.COMMAND, second, "msp_admin")
    assert ATTEMPTS[attempt](client, last).status_code == 200


def test_the_last_one_does_not_remove_himself(app, last):
    client = signed_in_client(app, user=last)
    for attempt in ATTEMPTS.values():
        assert attempt(client, last).status_code == 409
    assert client.patch(f"/v1/user/users/{last.id}", json={"name": "Still here", "roles": ["owners", "msp_analyst"]}).status_code == 200


def test_what_one_holds_directly_counts_as_much(client, last):
    direct = give_nodes(make_user(password=PASSWORD), "*")
    assert client.patch(f"/v1/user/users/{last.id}", json={"roles": []}).status_code == 200
    assert client.patch(f"/v1/user/users/{direct.id}", json={"permissions": []}).status_code == 409
    assert client.patch(f"/v1/user/users/{direct.id}", json={"permissions": ["*"]}).status_code == 200


def test_who_signs_in_with_a_provider_alone_counts_as_much(client, last):
    person = make_user("msp_admin")
    UserIdentity.create(id="idn_1", user_id=person.id, issuer="https://login.test", subject="s", created_at=1)
    assert client.delete(f"/v1/user/users/{last.id}").status_code == 200
    assert client.delete(f"/v1/user/users/{person.id}").status_code == 409
    assert UserIdentity.select().count() == 1


def test_a_deleted_user_s_identity_is_free_again(client, last):
    person = make_user("msp_analyst")
    UserIdentity.create(id="idn_1", user_id=person.id, issuer="https://login.test", subject="s", created_at=1)
    assert client.delete(f"/v1/user/users/{person.id}").status_code == 200
    assert UserIdentity.select().count() == 0


def test_a_deployment_without_any_may_be_changed(app):
    client = signed_in_client(app, "msp_admin")
    assert client.delete(f"/v1/user/users/{make_user('msp_admin').id}").status_code == 200


@pytest.mark.parametrize("way", ["delete", "disable", "strip"])
def test_two_who_remove_each_other_at_once_leave_one(app, way):
    for _ in range(5):
        User.update(status="disabled").execute()
        pair = [make_user("msp_admin", password=PASSWORD) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(lambda target: _remove(way, target), pair))
        assert sorted(outcomes) == [False, True]
        assert User.select().where(User.id.in_(pair), User.status == "active",
                                   User.id.in_(RoleGrant.select(RoleGrant.user_id))).count() == 1


def _remove(way: str, target: User) -> bool:
    try:
        if way == "delete":
            users.delete(access.COMMAND, target.id)
        else:
            users.change(access.COMMAND, target.id, {"status": "disabled"} if way == "disable" else {"roles": []}, REGISTRY)
    except Conflict:
        return False
    finally:
        db.close()
    return True
