"""Refresh tokens: good once, and the end of everything that came of the sign-in when one comes back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core import clock
from core.audit.models import AuditEvent
from core.db import db
from core.people import families, service
from core.people.models import RefreshToken, TokenFamily
from tests.core.signin.clients import signed_in
from tests.factories import SETTINGS, make_user

REFUSED = {"status": 401, "message": "Unauthorized", "successful": False}


@pytest.fixture
def ada(app):
    return make_user("msp_admin", email="ada@example.test")


@pytest.fixture
def program(app, ada):
    return signed_in(app, ada)


def test_the_answer_is_the_documented_one(program):
    answer = program.renew()
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["message"], body["successful"]) == (201, 201, "Token refreshed successfully!", True)
    assert body["data"].keys() == {"accessToken", "refreshToken"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert program.is_admitted


def test_each_refresh_token_is_another_and_none_of_them_is_in_the_database(program):
    seen = [program.refresh]
    for _ in range(3):
        program.renew()
        seen.append(program.refresh)
    assert len(set(seen)) == 4
    stored = repr([row.__data__ for row in RefreshToken.select()] + [row.__data__ for row in TokenFamily.select()])
    assert not [token for token in seen if token in stored or token.removeprefix(families.PREFIX) in stored]


def test_a_spent_refresh_token_ends_its_whole_family(app, ada, program):
    other = signed_in(app, ada)
    stolen = program.refresh
    program.renew()
    program.renew()
    answer = program.renew(stolen)
    assert (answer.status_code, answer.get_json()) == (401, REFUSED)
    assert program.renew().status_code == 401
    assert not program.is_admitted
    assert other.is_admitted
    [event] = AuditEvent.select().where(AuditEvent.action == "user.refresh_token_reused")
    assert event.target == ada.id
    assert stolen not in repr(event.__data__)


def test_a_spent_token_that_comes_again_and_again_is_told_once(program):
    stolen = program.refresh
    program.renew()
    assert [program.renew(stolen).status_code for _ in range(3)] == [401] * 3
    assert AuditEvent.select().where(AuditEvent.action == "user.refresh_token_reused").count() == 1


def test_of_two_who_present_one_token_at_once_one_gets_the_next_and_the_family_ends(database):
    user = make_user("msp_admin")
    for _ in range(10):
        token = families.begin(user.id, SETTINGS).refresh_token

        def present(_: int, token: str = token) -> families.Renewed | None:
            try:
                return families.renew(token)
            finally:
                db.close()

        with ThreadPoolExecutor(4) as pool:
            renewed = [found for found in pool.map(present, range(4)) if found is not None]
        assert len(renewed) == 1
        assert families.renew(renewed[0].refresh_token) is None


@pytest.mark.parametrize("token", ["", "srt_", "srt_" + "A" * 43, "stk_x", "eyJhbGciOiJub25lIn0.e30.", "é" * 40, "x" * 4000])
def test_a_made_up_refresh_token_is_refused(client, app, token):
    answer = client.post("/v1/auth/refresh", headers={"x-refresh-token": token.encode().decode("latin-1")})
    assert (answer.status_code, answer.get_json()) == (401, REFUSED)


def test_without_the_header_it_is_refused(client, app):
    assert client.post("/v1/auth/refresh").get_json() == REFUSED


def test_an_access_token_is_no_refresh_token(program):
    assert program.renew(program.access).status_code == 401
    assert program.is_admitted


def test_a_refresh_token_is_no_access_token(program):
    assert program.app.test_client().get("/api/auth/session", headers={"Authorization": f"Bearer {program.refresh}"}).status_code == 401


# -- the end ----------------------------------------------------------------------------------------------------------------


def test_a_family_ends_by_itself(program):
    TokenFamily.update(expires_at=clock.now()).execute()
    assert not program.is_admitted
    assert program.renew().status_code == 401
    families.forget_expired()
    assert (TokenFamily.select().count(), RefreshToken.select().count()) == (0, 0)


def test_those_that_go_on_are_not_forgotten(program):
    families.forget_expired()
    assert program.renew().status_code == 201


def test_signing_out_ends_both_tokens_at_once(app, ada, program):
    other = signed_in(app, ada)
    answer = app.test_client().post("/v1/auth/signout", headers={"Authorization": f"Bearer {program.access}"})
    assert answer.get_json() == {"status": 200, "message": "Signed out successfully!", "data": None, "successful": True}
    assert not program.is_admitted
    assert program.renew().status_code == 401
    assert other.is_admitted
    assert [event.actor for event in AuditEvent.select().where(AuditEvent.action == "user.signed_out")] == [ada.email]


def test_signing_out_takes_the_refresh_token_too(app, program):
    assert app.test_client().post("/v1/auth/signout", headers={"x-refresh-token": program.refresh}).status_code == 200
    assert not program.is_admitted


def test_only_who_is_signed_in_signs_out(app, program):
    for headers in ({}, {"x-refresh-token": "made up"}, {"Authorization": "Bearer made.up.token"}):
        assert app.test_client().post("/v1/auth/signout", headers=headers).get_json() == REFUSED
    assert program.is_admitted


def test_a_disabled_account_is_out_at_once_and_stays_out_when_it_is_enabled_again(ada, program):
    service.disable(ada, actor="test")
    assert not program.is_admitted
    assert program.renew().status_code == 401
    service.enable(ada, actor="test")
    assert not program.is_admitted
    assert program.renew().status_code == 401


def test_a_new_password_signs_clients_out(ada, program):
    service.set_password(ada, "another fine password", actor="test", settings=SETTINGS)
    assert not program.is_admitted
