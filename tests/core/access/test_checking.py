"""Whether somebody holds a permission, why, and that it is found out at once however much he holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access import service as access
from core.access.nodes import NodeRegistry
from core.access.principals import of_user
from core.access.roles import create
from core.http.access import any_matches, node_matches
from tests.factories import bearer, give_nodes, give_role, make_customer, make_token, make_user, signed_in_client

WORDS = st.sampled_from(["a", "b", "*", ""])
PATTERNS = st.lists(WORDS, min_size=1, max_size=9).map(".".join)


@given(st.lists(PATTERNS, max_size=6), PATTERNS)
def test_many_patterns_match_as_each_of_them_does(patterns, node):
    assert any_matches(frozenset(patterns), node) is any(node_matches(pattern, node) for pattern in patterns)


def check(client, *permissions: str, **more):
    return client.post("/v1/user/@me/check-permission", json={"permissions": list(permissions), **more}).get_json()["data"]["results"]


def test_a_check_without_a_trace_says_no_more_than_the_document(app):
    client = signed_in_client(app, "msp_analyst")
    for more in ({}, {"trace": False}):
        assert check(client, "finding.list", "role.create", "no.such.node", **more) == [
            {"permission": "finding.list", "hasPermission": True}, {"permission": "role.create", "hasPermission": False},
            {"permission": "no.such.node", "hasPermission": False}]


def test_a_trace_tells_which_role_which_node_and_which_company(app):
    first, second = make_customer(), make_customer()
    user = make_user("customer_viewer", customer=first)
    give_role(user, "customer_admin", second)
    create(access.COMMAND, title="Deciders", moniker="deciders", permissions=["finding.*"], registry=NodeRegistry())
    access.grant_role(access.COMMAND, user, "deciders", first.id)
    give_nodes(user, "finding.decide", customer=first)
    [decide, create_role] = check(signed_in_client(app, user=user), "finding.decide", "role.create", trace=True)
    assert (decide["hasPermission"], decide["narrowed"]) == (True, False)
    assert sorted(map(str, decide["trace"])) == sorted(map(str, [
        {"via": "role", "role": "customer_admin", "node": "finding.decide", "companyId": second.id},
        {"via": "role", "role": "deciders", "node": "finding.*", "companyId": first.id},
        {"via": "permission", "role": None, "node": "finding.decide", "companyId": first.id}]))
    assert create_role == {"permission": "role.create", "hasPermission": False, "trace": [], "narrowed": False}


def test_a_token_is_told_what_it_is_narrowed_from_and_nothing_of_other_companies(app):
    mine, other = make_customer(), make_customer()
    user = make_user("customer_viewer", customer=mine)
    give_role(user, "customer_viewer", other)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = bearer(make_token(user, nodes=["user.read"], customer_id=mine.id))["Authorization"]
    [held, narrowed] = check(client, "user.read", "finding.list", trace=True)
    assert (held["hasPermission"], narrowed["hasPermission"], narrowed["narrowed"]) == (True, False, True)
    assert {reason["companyId"] for row in (held, narrowed) for reason in row["trace"]} == {mine.id}


def test_a_pattern_is_held_by_who_holds_all_of_it(app):
    client = signed_in_client(app, user=give_nodes(make_user(), "user.read", "finding.*"))
    assert [row["hasPermission"] for row in check(client, "finding.*", "finding.list", "*", "user.*", "*.read")] == [
        True, True, False, False, False]


@pytest.mark.parametrize("asked", [{}, {"permissions": "user.read"}, {"permissions": [""]}, {"permissions": [1]}, {"nodes": []},
                                   {"permissions": ["x" * 201]}, {"permissions": ["a"] * 1001}, {"permissions": ["a"], "trace": "perhaps"}])
def test_a_question_that_is_none_is_refused(app, asked):
    answer = signed_in_client(app, "msp_analyst").post("/v1/user/@me/check-permission", json=asked)
    assert (answer.status_code, answer.get_json()["message"]) == (400, "Validation error")


def test_a_thousand_checks_take_the_one_load_of_the_request(app, statements):
    user = make_user()
    for number in range(50):
        role = create(access.COMMAND, title="R", moniker=f"r{number}", permissions=["user.read", "finding.*"], registry=NodeRegistry())
        access.grant_role(access.COMMAND, user, role.moniker)
    client = signed_in_client(app, user=user)
    with statements() as executed:
        assert len(check(client, *["finding.list", "no.such.node"] * 500)) == 1000
    assert len(executed) == 2  # the session with its user, and all that he holds
    with statements() as executed:
        check(client, "finding.list", trace=True)
    assert len(executed) == 3


def test_a_principal_asks_the_database_for_nothing_more(app, statements):
    principal = of_user(make_user("customer_admin", customer=make_customer()))
    with statements() as executed:
        assert not principal.holds("finding.list")
        assert principal.holds_anywhere("finding.list")
    assert executed == []
