"""The gate: the precedence table of its docstring, row by row, and who is let in at all."""

from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, request

from core import clock
from core.access.models import ApiToken, GroupLimit, RoleGrant
from core.app import create_app
from core.db import db
from core.hooks.manager import Plugins
from core.http.access import CustomerFrom, current_principal, current_scope, require_also, requires
from core.people import service as people
from core.people.models import User, UserSession
from core.tenancy import service as tenancy
from tests.factories import bearer, give_role, make_customer, make_token, make_user, signed_in_client

PROBES = {
    "header": ("/api/probe/header", CustomerFrom.HEADER),
    "either": ("/api/probe/either", CustomerFrom.HEADER_OR_SESSION),
    "session": ("/api/probe/session", CustomerFrom.SESSION),
    "path": ("/api/probe/path/<customer_id>", CustomerFrom.PATH),
    "none": ("/api/probe/none", CustomerFrom.NONE),
    "any": ("/api/probe/any", CustomerFrom.ANY),
}


@pytest.fixture
def probed(app: Flask) -> Flask:
    """The app with one view per rule, each telling the scope that it was given."""
    blueprint = Blueprint("probe", __name__)
    for name, (address, source) in PROBES.items():
        @requires("overview.read", customer=source)
        def view(has_scope: bool = source not in (CustomerFrom.NONE, CustomerFrom.ANY), **view_args: str) -> Any:
            scope = current_scope() if has_scope else None
            return jsonify({"customer": scope and scope.customer_id, "user": current_principal().user_id,
                            "groups": sorted(scope.group_ids) if scope and scope.group_ids is not None else None})
        blueprint.add_url_rule(address, name, view, methods=["GET", "POST"])
    app.register_blueprint(blueprint)
    return app


MISSING = (400, "Missing x-customer-id header")
NO_SCOPE = (400, "missing organization scope")
NO_ACTIVE = (400, "no active organization")
NOT_ACTIVE = (400, "does not name an active customer")
DIFFERENT = (400, "name different organizations")
FORBIDDEN = (403, "not allowed")
UNKNOWN = (404, "no such customer")

# Who: msp (nothing picked), msp@a (A picked), msp@off (picked one that was disabled since), one (user of A), two (user of A and B,
# nothing picked), two@b (B picked), off (user of a disabled customer alone), nobody (holds nothing), token@a (an MSP user's
# token narrowed to A), tokens (an MSP user's token). Headers: their values, customers by name; "ghost" does not exist.
ROWS: list[tuple[str, str, dict[str, str], Any]] = [
    ("header", "msp", {}, MISSING),
    ("header", "msp@a", {}, MISSING),
    ("header", "one", {}, MISSING),
    ("header", "nobody", {}, MISSING),
    ("header", "token@a", {}, MISSING),
    ("header", "msp", {"x-customer-id": " "}, MISSING),
    ("header", "msp", {"x-customer-id": "a"}, "a"),
    ("header", "msp@a", {"x-customer-id": "b"}, "b"),
    ("header", "msp", {"x-pacci-customer-id": "b"}, "b"),
    ("header", "msp", {"x-customer-id": "a", "x-pacci-customer-id": "a"}, "a"),
    ("header", "msp", {"x-customer-id": "a", "x-pacci-customer-id": "b"}, DIFFERENT),
    ("header", "msp", {"x-customer-id": "", "x-pacci-customer-id": "b"}, "b"),
    ("header", "msp", {"x-customer-id": "ghost"}, NOT_ACTIVE),
    ("header", "msp", {"x-customer-id": "off"}, NOT_ACTIVE),
    ("header", "msp", {"x-customer-id": "x" * 300}, NOT_ACTIVE),
    ("header", "msp", {"x-customer-id": "cus_é'; --"}, NOT_ACTIVE),
    ("header", "one", {"x-customer-id": "a"}, "a"),
    ("header", "one", {"x-pacci-customer-id": "a"}, "a"),
    ("header", "one", {"x-customer-id": "b"}, FORBIDDEN),
    ("header", "one", {"x-customer-id": "ghost"}, FORBIDDEN),
    ("header", "one", {"x-customer-id": "off"}, FORBIDDEN),
    ("header", "one", {"x-customer-id": "a", "x-pacci-customer-id": "b"}, DIFFERENT),
    ("header", "two", {"x-customer-id": "b"}, "b"),
    ("header", "two@b", {"x-customer-id": "a"}, "a"),
    ("header", "two", {"x-customer-id": "c"}, FORBIDDEN),
    ("header", "off", {"x-customer-id": "off"}, FORBIDDEN),
    ("header", "nobody", {"x-customer-id": "a"}, FORBIDDEN),
    ("header", "token@a", {"x-customer-id": "a"}, "a"),
    ("header", "token@a", {"x-customer-id": "b"}, FORBIDDEN),
    ("header", "token@a", {"x-customer-id": "ghost"}, FORBIDDEN),
    ("header", "token", {"x-customer-id": "b"}, "b"),
    ("header", "token@off", {"x-customer-id": "off"}, FORBIDDEN),

    ("either", "msp", {}, NO_SCOPE),
    ("either", "msp@a", {}, "a"),
    ("either", "msp@a", {"x-customer-id": "b"}, "b"),
    ("either", "msp@a", {"x-customer-id": "ghost"}, NOT_ACTIVE),
    ("either", "msp@a", {"x-customer-id": "a", "x-pacci-customer-id": "b"}, DIFFERENT),
    ("either", "msp@a", {"x-pacci-customer-id": "b"}, "b"),
    ("either", "msp@off", {}, NO_SCOPE),
    ("either", "one", {}, "a"),
    ("either", "one", {"x-customer-id": "a"}, "a"),
    ("either", "one", {"x-customer-id": "b"}, FORBIDDEN),
    ("either", "two", {}, NO_SCOPE),
    ("either", "two", {"x-customer-id": "a"}, "a"),
    ("either", "two@b", {}, "b"),
    ("either", "off", {}, FORBIDDEN),
    ("either", "nobody", {}, FORBIDDEN),
    ("either", "token@a", {}, "a"),
    ("either", "token@a", {"x-customer-id": "b"}, FORBIDDEN),
    ("either", "token", {}, NO_SCOPE),

    ("session", "msp", {}, NO_ACTIVE),
    ("session", "msp", {"x-customer-id": "a"}, NO_ACTIVE),
    ("session", "msp@a", {}, "a"),
    ("session", "msp@a", {"x-customer-id": "b"}, "a"),
    ("session", "msp@a", {"x-customer-id": "a", "x-pacci-customer-id": "b"}, "a"),
    ("session", "msp@off", {}, NO_ACTIVE),
    ("session", "one", {}, "a"),
    ("session", "one", {"x-customer-id": "b"}, "a"),
    ("session", "two", {}, NO_ACTIVE),
    ("session", "two@b", {}, "b"),
    ("session", "off", {}, FORBIDDEN),
    ("session", "nobody", {}, FORBIDDEN),
    ("session", "token@a", {}, "a"),
    ("session", "token@off", {}, FORBIDDEN),
    ("session", "token", {}, NO_ACTIVE),

    ("path/a", "msp", {}, "a"),
    ("path/a", "msp", {"x-customer-id": "b"}, "a"),
    ("path/off", "msp", {}, "off"),
    ("path/ghost", "msp", {}, UNKNOWN),
    ("path/a", "one", {}, "a"),
    ("path/b", "one", {}, FORBIDDEN),
    ("path/ghost", "one", {}, FORBIDDEN),
    ("path/b", "two", {}, "b"),
    ("path/c", "two@b", {}, FORBIDDEN),
    ("path/off", "off", {}, FORBIDDEN),
    ("path/a", "nobody", {}, FORBIDDEN),
    ("path/a", "token@a", {}, "a"),
    ("path/b", "token@a", {}, FORBIDDEN),
    ("path/ghost", "token", {}, UNKNOWN),

    ("none", "msp", {}, None),
    ("none", "msp@a", {"x-customer-id": "a", "x-pacci-customer-id": "b"}, None),
    ("none", "token", {}, None),
    ("none", "one", {}, FORBIDDEN),
    ("none", "two@b", {}, FORBIDDEN),
    ("none", "nobody", {}, FORBIDDEN),
    ("none", "token@a", {}, FORBIDDEN),

    ("any", "msp", {}, None),
    ("any", "one", {}, None),
    ("any", "two", {"x-customer-id": "c"}, None),
    ("any", "token@a", {}, None),
    ("any", "nobody", {}, FORBIDDEN),
]


class World:
    """Customers a, b, c and off, and clients of everybody in the table."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.customers = {name: make_customer(f"World {name}") for name in ("a", "b", "c", "off")}

    def id_of(self, name: str) -> str:
        return self.customers[name].id if name in self.customers else name

    def ask(self, who: str, address: str, headers: dict[str, str]) -> Any:
        kind, _, picked = who.partition("@")
        client, extra = self._client(kind, self.customers.get(picked))
        tenancy.change(self.id_of("off"), status="disabled", actor="test")
        return client.get(address, headers={**headers, **extra})

    def _client(self, kind: str, picked: Any) -> tuple[Any, dict[str, str]]:
        app, customers = self.app, self.customers
        if kind == "token":
            token = make_token(make_user("msp_analyst"), customer_id=picked and picked.id)
            return app.test_client(), bearer(token)
        if kind == "two":
            user = make_user("customer_viewer", customer=customers["a"])
            give_role(user, "customer_viewer", customers["b"])
            return signed_in_client(app, user=user, active=picked), {}
        home = {"one": "a", "off": "off"}.get(kind)
        roles = {"msp": ["msp_analyst"], "nobody": []}.get(kind, ["customer_viewer"])
        return signed_in_client(app, *roles, customer=customers[home] if home else None, active=picked), {}


@pytest.mark.parametrize(("rule", "who", "headers", "expected"), ROWS)
def test_the_customer_of_a_request(probed, rule, who, headers, expected):
    world = World(probed)
    kind, _, named = rule.partition("/")
    address = PROBES[kind][0].replace("<customer_id>", world.id_of(named))
    answer = world.ask(who, address, {name: world.id_of(value) for name, value in headers.items()})
    if isinstance(expected, tuple):
        status, said = expected
        assert (answer.status_code, said in answer.get_json()["error"]) == (status, True), answer.get_json()
    else:
        assert answer.status_code == 200, answer.get_json()
        assert answer.get_json()["customer"] == (expected and world.id_of(expected))


def test_every_row_of_the_table_has_every_rule_and_kind_of_caller():
    assert {rule.partition("/")[0] for rule, *_ in ROWS} == set(PROBES)


# -- who is let in ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/api/probe/header", "/api/probe/session", "/api/probe/path/ghost", "/api/probe/none"])
def test_a_signed_out_request_is_refused_before_anything_of_it_is_looked_at(probed, client, address):
    answer = client.post(address, data=b"{not json", content_type="application/json")
    assert (answer.status_code, answer.get_json()) == (401, {"error": "Unauthorized"})


def test_an_id_that_does_not_exist_is_no_news_to_a_signed_out_caller(client):
    real = make_customer()
    for method in ("get", "patch"):
        for customer_id in (real.id, "cus_ghost"):
            assert getattr(client, method)(f"/api/customers/{customer_id}").status_code == 401


def test_a_node_that_is_not_held_is_refused(app):
    customer = make_customer()
    client = signed_in_client(app, "customer_viewer", customer=customer)
    assert client.get(f"/api/customers/{customer.id}/users").status_code == 403


def test_a_node_held_in_one_customer_opens_no_other(app):
    first, second = make_customer(), make_customer()
    user = make_user("customer_admin", customer=first)
    give_role(user, "customer_viewer", second)
    client = signed_in_client(app, user=user)
    assert client.get(f"/api/customers/{first.id}/users").status_code == 200
    assert client.get(f"/api/customers/{second.id}/users").status_code == 403


# -- conditional nodes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(app: Flask) -> Flask:
    """The app with one view per rule that asks for a conditional node."""
    blueprint = Blueprint("asking", __name__)
    for name, source in (("header", CustomerFrom.HEADER), ("none", CustomerFrom.NONE), ("any", CustomerFrom.ANY)):
        @requires(customer=source, conditional=("customer.user.create",))
        def view() -> str:
            require_also(request.args.get("node", "customer.user.create"), "Not for you.", customer_id=request.args.get("in"))
            return "done"
        blueprint.add_url_rule(f"/v1/asking/{name}", name, view)
    app.register_blueprint(blueprint)
    return app


def test_a_conditional_node_is_asked_for_where_the_view_s_rule_asks(asking):
    mine, other = make_customer(), make_customer()
    user = make_user("customer_admin", customer=mine)
    give_role(user, "customer_viewer", other)
    client = signed_in_client(asking, user=user)
    asked = {"header": client.get("/v1/asking/header", headers={"x-customer-id": mine.id}),
             "header of another": client.get("/v1/asking/header", headers={"x-customer-id": other.id}),
             "none": client.get("/v1/asking/none"), "any": client.get("/v1/asking/any"),
             "any, named": client.get(f"/v1/asking/any?in={mine.id}"), "any, another named": client.get(f"/v1/asking/any?in={other.id}")}
    assert {name: answer.status_code for name, answer in asked.items()} == {
        "header": 200, "header of another": 403, "none": 403, "any": 200, "any, named": 200, "any, another named": 403}
    assert asked["none"].get_json() == {
        "status": 403, "message": "Not for you.", "error": "InsufficientPermission", "successful": False}


def test_a_view_asks_for_no_node_that_it_did_not_declare(asking):
    client = signed_in_client(asking, "msp_admin")
    assert client.get("/v1/asking/any?node=finding.list").status_code == 500


def test_the_scope_is_limited_to_the_groups_that_a_user_is_limited_to(probed):
    first, second = make_customer(), make_customer()
    user = make_user("customer_viewer", customer=first)
    give_role(user, "customer_viewer", second)
    GroupLimit.insert_many([{"customer_id": first.id, "user_id": user.id, "group_id": group} for group in ("grp_1", "grp_2")]).execute()
    client = signed_in_client(probed, user=user)
    assert client.get("/api/probe/header", headers={"x-customer-id": first.id}).get_json()["groups"] == ["grp_1", "grp_2"]
    assert client.get("/api/probe/header", headers={"x-customer-id": second.id}).get_json()["groups"] is None


# -- cookies ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", ["", "x", "a" * 3000, "é", "' OR 1=1 --", "next-auth.session-token"])
def test_a_made_up_cookie_is_nobody(probed, client, cookie):
    client.set_cookie("next-auth.session-token", cookie)
    assert client.get("/api/probe/none").status_code == 401


def test_the_digest_in_the_database_does_not_work_as_a_cookie(probed, client):
    signed_in_client(probed, "msp_admin").get("/api/probe/none")
    client.set_cookie("next-auth.session-token", UserSession.get().token_digest)
    assert client.get("/api/probe/none").status_code == 401


def test_a_session_ends_when_it_was_not_used_for_long(probed):
    client = signed_in_client(probed, "msp_admin")
    assert client.get("/api/probe/none").status_code == 200
    UserSession.update(expires_at=clock.now() - 1).execute()
    assert client.get("/api/probe/none").status_code == 401


def test_a_session_in_use_is_prolonged_at_most_once_a_minute(probed):
    client = signed_in_client(probed, "msp_admin")
    before = UserSession.get()
    assert client.get("/api/probe/none").headers.getlist("Set-Cookie") == []
    assert UserSession.get().expires_at == before.expires_at
    UserSession.update(seen_at=before.seen_at - clock.MINUTE, expires_at=before.expires_at - clock.MINUTE).execute()
    [cookie] = client.get("/api/probe/none").headers.getlist("Set-Cookie")
    assert cookie.startswith("next-auth.session-token=")
    assert UserSession.get().expires_at >= before.expires_at


def test_a_disabled_user_is_shut_out_at_once(probed):
    user = make_user("msp_admin")
    client, token = signed_in_client(probed, user=user), make_token(user)
    people.disable(user, actor="test")
    assert client.get("/api/probe/none").status_code == 401
    assert client.get("/api/probe/none", headers=bearer(token)).status_code == 401


def test_a_user_disabled_without_our_service_is_shut_out_as_well(probed):
    user = make_user("msp_admin")
    client = signed_in_client(probed, user=user)
    User.update(status="disabled").execute()
    assert client.get("/api/probe/none").status_code == 401


# -- tokens -----------------------------------------------------------------------------------------------------------------


def test_a_bearer_token_stands_for_its_user(probed, client):
    user = make_user("msp_admin")
    assert client.get("/api/probe/none", headers=bearer(make_token(user))).get_json()["user"] == user.id


@pytest.mark.parametrize("token", ["", "stk_", "stk_unknown", "nonsense", "stk_\u00e9", "eyJhbGciOiJub25lIn0.e30."])
def test_a_bad_bearer_token_is_refused_even_beside_a_good_cookie(probed, token):
    client = signed_in_client(probed, "msp_admin")
    answer = client.get("/api/probe/none", headers={"Authorization": f"bearer {token}"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_another_scheme_beside_a_good_cookie_is_not_ours_to_judge(probed):
    client = signed_in_client(probed, "msp_admin")
    assert client.get("/api/probe/none", headers={"Authorization": "Basic dXNlcjpwdw=="}).status_code == 200


def test_an_expired_token_and_a_revoked_one_are_refused(probed, client):
    expired, revoked = make_token(make_user("msp_admin"), expires_days=1), make_token(make_user("msp_admin"))
    ApiToken.update(expires_at=clock.now() - 1).where(ApiToken.expires_at.is_null(False)).execute()
    ApiToken.update(revoked_at=clock.now()).where(ApiToken.expires_at.is_null()).execute()
    assert [client.get("/api/probe/none", headers=bearer(token)).status_code for token in (expired, revoked)] == [401, 401]


def test_a_token_narrowed_to_nodes_opens_only_these(probed, client):
    user, customer = make_user("msp_admin"), make_customer()
    narrow = bearer(make_token(user, nodes=["customer.read"]))
    assert client.get(f"/api/customers/{customer.id}", headers=narrow).status_code == 200
    assert client.get("/api/customers", headers=narrow).status_code == 403
    assert client.get("/api/probe/none", headers=narrow).status_code == 403


def test_a_token_loses_what_its_user_loses(probed, client):
    token = bearer(make_token(make_user("msp_admin")))
    assert client.get("/api/probe/none", headers=token).status_code == 200
    RoleGrant.delete().execute()
    assert client.get("/api/probe/none", headers=token).status_code == 403


def test_the_use_of_a_token_is_noted_at_most_once_a_minute(probed, client, statements):
    token = bearer(make_token(make_user("msp_admin")))
    client.get("/api/probe/none", headers=token)
    assert ApiToken.get().last_used_at is not None
    with statements() as executed:
        client.get("/api/probe/none", headers=token)
    assert not any(sql.startswith("UPDATE") for sql in executed)


# -- price ------------------------------------------------------------------------------------------------------------------


def test_the_gate_takes_four_statements_at_most(probed, statements):
    customer = make_customer()
    user = make_user("customer_viewer", customer=customer)
    for _ in range(20):
        give_role(user, "customer_viewer", make_customer())
    client = signed_in_client(probed, user=user)
    with statements() as executed:
        assert client.get("/api/probe/header", headers={"x-customer-id": customer.id}).status_code == 200
    assert len(executed) <= 4, executed


def test_a_request_gives_its_connection_back(probed):
    client = signed_in_client(probed, "msp_admin")
    client.get("/api/probe/none")
    assert db.is_closed()


def test_two_web_servers_act_as_one(app):
    """Signed in at one, known at the other; what one changes, the other sees with the next request."""
    other = create_app(app.extensions["stockade"].settings, plugins=Plugins(app.extensions["stockade"].settings))
    customer = make_customer()
    here, there = signed_in_client(app, "msp_admin"), other.test_client()
    there.set_cookie("next-auth.session-token", here.get_cookie("next-auth.session-token").value)
    here.put("/api/session/customer", json={"customerId": customer.id})
    assert there.get("/api/auth/session").get_json()["user"]["customerId"] == customer.id
    token = there.get("/api/auth/csrf").get_json()["csrfToken"]
    here.set_cookie("next-auth.csrf-token", there.get_cookie("next-auth.csrf-token").value)
    assert here.post("/api/auth/signout", data={"csrfToken": token, "json": "true"}).get_json() == {"url": "http://localhost/"}
    assert there.get("/api/auth/session").get_json() == {}
