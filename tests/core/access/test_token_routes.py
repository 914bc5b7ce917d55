"""API tokens on the /v1 surface: shown once, narrowed, ending; none makes a wider one."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core import clock
from core.access.models import ApiToken
from core.audit.models import AuditEvent
from core.people.models import User
from core.tenancy.models import Customer
from tests.factories import bearer, give_nodes, give_role, make_customer, make_token, make_user, signed_in_client

OWN = "/v1/user/@me/tokens"


def of(user: User) -> str:
    return f"/v1/user/users/{user.id}/tokens"


def with_token(app: Flask, token: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = bearer(token)["Authorization"]
    return client


def make(client: FlaskClient, address: str = OWN, **facts: Any) -> Any:
    return client.post(address, json={"name": "CI", **facts})


def secret(answer: Any) -> str:
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()["data"]["token"]


@pytest.fixture
def mine(app) -> Customer:
    return make_customer()


@pytest.fixture
def other(app) -> Customer:
    return make_customer()


@pytest.fixture
def boss(mine) -> User:
    return make_user("customer_admin", customer=mine)


# -- one's own --------------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_listed_without_its_secret(app, mine, boss):
    client = signed_in_client(app, user=boss)
    answer = make(client, permissions=["finding.list", "user.read"], companyId=mine.id, expiresInDays=30)
    told = answer.get_json()
    assert (told["status"], told["message"], told["successful"]) == (201, "Token Created Successfully!", True)
    shown = told["data"].pop("token")
    assert told["data"] == {**told["data"], "name": "CI", "prefix": shown[:10], "permissions": ["finding.list", "user.read"],
                            "companyId": mine.id, "lastUsedAt": None, "revokedAt": None}
    assert clock.from_iso(told["data"]["expiresAt"]) - clock.from_iso(told["data"]["createdAt"]) == pytest.approx(30 * clock.DAY, abs=1000)
    listed = client.get(OWN)
    assert listed.get_json()["data"] == [told["data"]]
    assert shown not in listed.text
    assert with_token(app, shown).get("/v1/user/@me").status_code == 200
    assert client.get(OWN).get_json()["data"][0]["lastUsedAt"] is not None


def test_many_tokens_are_held_and_one_is_revoked_at_once(app, boss):
    client = signed_in_client(app, user=boss)
    first, second = (secret(make(client, name=name)) for name in ("first", "second"))
    row = next(token for token in client.get(OWN).get_json()["data"] if token["name"] == "first")
    answer = client.delete(f"{OWN}/{row['id']}")
    assert (answer.status_code, answer.get_json()["message"]) == (200, "Token Revoked Successfully!")
    assert answer.get_json()["data"]["revokedAt"] is not None
    assert [with_token(app, token).get("/v1/user/@me").status_code for token in (first, second)] == [401, 200]
    assert client.delete(f"{OWN}/{row['id']}").get_json()["error"] == "TokenNotFound"


def test_nobody_sees_or_revokes_another_s_as_his_own(app, boss, mine):
    secret(make(signed_in_client(app, user=boss)))
    token_id = ApiToken.get().id
    client = signed_in_client(app, "customer_admin", customer=mine)
    assert client.get(OWN).get_json()["data"] == []
    assert client.delete(f"{OWN}/{token_id}").status_code == 404
    assert ApiToken.get().revoked_at is None


@pytest.mark.parametrize("facts", [{"name": ""}, {"name": None}, {"expiresInDays": 0}, {"expiresInDays": 3651}, {"expiresInDays": "1"},
                                   {"permissions": []}, {"permissions": ["no.such"]}, {"permissions": "finding.list"}, {"companyId": ""},
                                   {"companyId": 1}, {"nodes": ["finding.list"]}, {"expiresInDays": 1.5}])
def test_a_token_that_cannot_be_is_refused(app, boss, facts):
    assert make(signed_in_client(app, user=boss), **facts).status_code == 400
    assert ApiToken.select().count() == 0


@pytest.mark.parametrize("facts", [{"permissions": ["*"]}, {"permissions": ["customer.create"]}, {"permissions": ["finding.*"]}])
def test_a_token_of_one_s_own_holds_nothing_that_one_does_not(app, boss, facts):
    answer = make(signed_in_client(app, user=boss), **facts)
    assert (answer.status_code, answer.get_json()["error"]) == (403, "InsufficientPermission")


def test_a_token_for_another_customer_is_refused_whether_or_not_it_exists(app, boss, other):
    client = signed_in_client(app, user=boss)
    theirs, ghost = make(client, companyId=other.id), make(client, companyId="cus_ghost")
    assert (theirs.status_code, theirs.get_json()) == (403, ghost.get_json())


# -- a token makes none that is wider ---------------------------------------------------------------------------------------


@pytest.fixture
def narrow(app, mine) -> FlaskClient:
    """A program with a narrowed token of somebody who holds everything."""
    narrowed = make_token(make_user("msp_admin"), nodes=["token.*", "finding.*", "user.read"], customer_id=mine.id, expires_days=7)
    return with_token(app, narrowed)


@pytest.mark.parametrize("facts", [{"permissions": ["*"]}, {"permissions": ["token.*", "finding.*", "user.*"]}, {"permissions": ["*.list"]},
                                   {"permissions": ["run.read"]}, {"expiresInDays": 8}, {"expiresInDays": 3650}])
def test_a_narrowed_token_makes_none_that_is_wider_or_outlives_it(narrow, facts):
    answer = make(narrow, **facts)
    assert (answer.status_code, answer.get_json()["error"]) == (403, "InsufficientPermission")


def test_a_narrowed_token_enters_no_other_customer_through_one_that_it_makes(narrow, other):
    assert make(narrow, companyId=other.id).status_code == 403


def test_what_is_left_open_is_as_narrow_as_the_token_that_makes_it(narrow, mine):
    told = make(narrow).get_json()["data"]
    parent = ApiToken.get(ApiToken.made_by.is_null())
    assert (told["permissions"], told["companyId"], clock.from_iso(told["expiresAt"])) == (
        ["finding.*", "token.*", "user.read"], mine.id, parent.expires_at)
    told = make(narrow, permissions=["finding.list"], expiresInDays=1).get_json()["data"]
    assert (told["permissions"], told["companyId"]) == (["finding.list"], mine.id)


def test_a_narrowed_token_makes_no_wider_one_for_somebody_else_either(app, mine):
    client = with_token(app, make_token(make_user("msp_admin"), nodes=["token.*", "finding.list"]))
    user = make_user("msp_admin")
    for nodes in (["*"], ["run.read"], ["finding.*"]):
        assert make(client, of(user), permissions=nodes).status_code == 403
    assert make(client, of(user)).get_json()["data"]["permissions"] == ["finding.list", "token.*"]
    assert make(client, of(user), permissions=["finding.list"]).get_json()["data"]["permissions"] == ["finding.list"]


def test_a_token_ends_with_the_one_that_it_was_made_with(app):
    user = make_user("msp_admin")
    first = with_token(app, make_token(user, nodes=["token.*", "user.read"]))
    second = with_token(app, secret(make(first)))
    third = with_token(app, secret(make(second)))
    beside = with_token(app, make_token(user))
    assert beside.delete(f"{OWN}/{ApiToken.get(ApiToken.made_by.is_null()).id}").status_code == 200
    assert [client.get("/v1/user/@me").status_code for client in (first, second, third, beside)] == [401, 401, 401, 200]
    [event] = AuditEvent.select().where(AuditEvent.action == "token.revoked")
    assert len(event.details["withIt"]) == 2


# -- others' ----------------------------------------------------------------------------------------------------------------


def test_tokens_of_others_take_nodes_of_their_own(app, mine, boss):
    user = make_user("customer_viewer", customer=mine)
    for nodes, statuses in ((["token.manage"], (403, 403, 403)), (["token.read.other"], (200, 403, 403)),
                            (["token.manage.other", "finding.list"], (403, 201, 404))):
        client = signed_in_client(app, user=give_nodes(make_user(), *nodes))
        assert (client.get(of(user)).status_code, make(client, of(user), permissions=["finding.list"]).status_code,
                client.delete(f"{of(user)}/tok_ghost").status_code) == statuses


def test_an_administrator_of_a_customer_manages_what_is_narrowed_to_it(app, mine, other, boss):
    both = make_user("customer_viewer", customer=mine)
    give_role(both, "customer_viewer", other)
    for customer in (mine, other):
        make_token(both, name=customer.name, customer_id=customer.id)
    make_token(both, name="everywhere")
    client = signed_in_client(app, user=boss)
    assert [token["name"] for token in client.get(of(both)).get_json()["data"]] == [mine.name]
    for token in ApiToken.select():
        expected = 200 if token.customer_id == mine.id else 404
        assert client.delete(f"{of(both)}/{token.id}").status_code == expected
    assert make(client, of(both), permissions=["finding.list"], companyId=mine.id).status_code == 201
    for facts in ({}, {"companyId": mine.id}, {"permissions": ["finding.list"]}, {"permissions": ["finding.list"], "companyId": other.id},
                  {"permissions": ["finding.decide"], "companyId": mine.id}):
        answer = make(client, of(both), **facts)
        assert (answer.status_code, answer.get_json()["error"]) == (403, "InsufficientPermission"), facts


def test_a_user_beyond_reach_has_no_tokens_to_see(app, other, boss):
    stranger = make_user("customer_viewer", customer=other)
    make_token(stranger, customer_id=other.id)
    client = signed_in_client(app, user=boss)
    for answer in (client.get(of(stranger)), make(client, of(stranger)), client.delete(f"{of(stranger)}/{ApiToken.get().id}")):
        assert (answer.status_code, answer.get_json()["error"]) == (404, "UserNotFound")


def test_who_holds_everything_makes_a_token_that_is_not_narrowed_for_another(app):
    user = make_user("msp_analyst")
    told = make(signed_in_client(app, "msp_admin"), of(user)).get_json()["data"]
    assert (told["permissions"], told["companyId"], told["expiresAt"]) == (None, None, None)
    assert with_token(app, told["token"]).get("/v1/user/@me").get_json()["data"]["id"] == user.id


def test_a_token_of_a_deleted_maker_s_token_ends(app):
    maker, user = make_user("msp_admin"), make_user("msp_analyst")
    made = secret(make(with_token(app, make_token(maker)), of(user), permissions=["user.read"]))
    assert with_token(app, made).get("/v1/user/@me").status_code == 200
    assert signed_in_client(app, "msp_admin").delete(f"/v1/user/users/{maker.id}").status_code == 200
    assert with_token(app, made).get("/v1/user/@me").status_code == 401
