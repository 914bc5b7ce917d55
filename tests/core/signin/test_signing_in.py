"""Signing in and out over HTTP, as a NextAuth front end does it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from flask import Flask
from flask.testing import FlaskClient

from core import clock
from core.app import create_app
from core.audit.models import AuditEvent
from core.db import db
from core.hooks.manager import Plugins
from core.http.addresses import SIGN_IN_PAGE
from core.people import passwords, service
from core.people.models import SignInDecoy, User, UserSession
from tests.factories import PASSWORD, SETTINGS, bearer, make_customer, make_token, make_user, signed_in_client

EMAIL = "ada@example.test"
HOME = "http://localhost/"


@pytest.fixture
def ada(app: Flask) -> User:
    return make_user("msp_admin", email=EMAIL, password=PASSWORD)


def csrf_of(client: FlaskClient) -> str:
    return client.get("/api/auth/csrf").get_json()["csrfToken"]


def sign_in(client: FlaskClient, email: str = EMAIL, password: str = PASSWORD, **more):
    form = {"csrfToken": csrf_of(client), "email": email, "password": password, "json": "true", **more}
    return client.post("/api/auth/callback/credentials", data=form)


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/api/auth/session").get_json() != {}


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


# -- what a front end asks before -------------------------------------------------------------------------------------------


def test_the_providers_name_the_addresses_to_use(client):
    assert client.get("/api/auth/providers").get_json() == {"credentials": {
        "id": "credentials", "name": "E-mail and password", "type": "credentials",
        "signinUrl": "http://localhost/api/auth/signin/credentials",
        "callbackUrl": "http://localhost/api/auth/callback/credentials"}}


def test_nobody_is_signed_in_at_first(client):
    answer = client.get("/api/auth/session")
    assert (answer.status_code, answer.get_json()) == (200, {})


def test_the_csrf_token_stays_the_same_for_a_browser_that_has_it(client):
    assert csrf_of(client) == csrf_of(client)
    [cookie] = [client.get_cookie("next-auth.csrf-token")]
    assert cookie.value.partition("|")[0] == csrf_of(client)
    assert cookie.http_only
    assert cookie.same_site == "Lax"


def test_a_csrf_cookie_of_somebody_elses_making_is_replaced(client):
    client.set_cookie("next-auth.csrf-token", "known|" + "0" * 64)
    assert csrf_of(client) != "known"
    assert client.get_cookie("next-auth.csrf-token").value.startswith(csrf_of(client))


# -- signing in -------------------------------------------------------------------------------------------------------------


def test_the_right_password_signs_in(client, ada):
    answer = sign_in(client, callbackUrl="/findings")
    assert (answer.status_code, answer.get_json()) == (200, {"url": "http://localhost/findings"})
    cookie = client.get_cookie("next-auth.session-token")
    assert (cookie.http_only, cookie.same_site, cookie.path, cookie.secure) == (True, "Lax", "/", False)
    session = client.get("/api/auth/session").get_json()
    assert session["user"] == {"id": ada.id, "name": "Ada", "email": EMAIL, "image": None, "role": "msp_admin", "roles": ["msp_admin"],
                               "isMsp": True, "customerId": None}
    assert clock.from_iso(session["expires"]) > clock.now() + 11 * clock.HOUR


def test_the_cookie_s_token_is_nowhere_in_the_database(client, ada):
    sign_in(client)
    token = client.get_cookie("next-auth.session-token").value
    assert token not in repr(UserSession.get().__data__)


@pytest.mark.parametrize("spelling", ["ADA@Example.Test", " ada@example.test ", "ada@example.test", "ａda@example.test"])
def test_the_spelling_of_the_address_does_not_matter(client, ada, spelling):
    assert sign_in(client, email=spelling).status_code == 200


def test_a_username_is_taken_for_the_address(client, ada):
    answer = client.post("/api/auth/callback/credentials", json={
        "csrfToken": csrf_of(client), "username": EMAIL, "password": PASSWORD, "json": True})
    assert answer.get_json() == {"url": HOME}
    assert is_signed_in(client)


def test_the_address_that_the_providers_name_signs_in_too(client, ada):
    client.post("/api/auth/signin/credentials", data={"csrfToken": csrf_of(client), "email": EMAIL, "password": PASSWORD})
    assert is_signed_in(client)


def test_a_plain_form_is_sent_on(client, ada):
    answer = sign_in(client, json="", callbackUrl="/findings")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://localhost/findings")


def test_the_wrong_password_is_refused_as_next_auth_does(client, ada):
    answer = sign_in(client, password="wrong")
    assert answer.status_code == 401
    assert query_of(answer.get_json()["url"])["error"] == ["CredentialsSignin"]
    assert client.get_cookie("next-auth.session-token") is None


def test_a_plain_form_with_the_wrong_password_leads_back_to_the_sign_in_page(client, ada):
    answer = sign_in(client, password="wrong", json="", callbackUrl="/findings")
    assert answer.status_code == 302
    answer = client.get(answer.headers["Location"])
    place = urlsplit(answer.headers["Location"])
    assert (place.path, query_of(answer.headers["Location"])) == (
        SIGN_IN_PAGE, {"callbackUrl": ["http://localhost/findings"], "error": ["CredentialsSignin"]})


@pytest.mark.parametrize("body", [[], "text", 1, False])
def test_a_body_that_is_no_object_is_refused(client, body):
    assert client.post("/api/auth/callback/credentials", json=body).status_code == 400


def test_strange_values_sign_nobody_in(client, ada):
    token = csrf_of(client)
    for email, password in (
            ({}, []), (EMAIL, None), (EMAIL, {"a": 1}), ("\ud800", "\ud800"), ("a\x00b", PASSWORD), (EMAIL, "x" * 9000)):
        answer = client.post("/api/auth/callback/credentials",
                             json={"csrfToken": token, "email": email, "password": password, "json": True})
        assert answer.status_code == 401
    assert not is_signed_in(client)


def test_signing_in_gives_a_new_token_and_ends_the_old_session(client, ada):
    client.set_cookie("next-auth.session-token", "planted")
    sign_in(client)
    first = client.get_cookie("next-auth.session-token").value
    assert first != "planted"
    sign_in(client)
    assert client.get_cookie("next-auth.session-token").value != first
    assert UserSession.select().count() == 1


# -- without a csrf token ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "made up", "é"])
def test_signing_in_needs_the_csrf_token(client, ada, token):
    csrf_of(client)
    answer = client.post("/api/auth/callback/credentials", data={"csrfToken": token, "email": EMAIL, "password": PASSWORD, "json": "true"})
    assert answer.get_json() == {"url": "http://localhost/api/auth/signin?csrf=true"}
    assert not is_signed_in(client)


def test_a_csrf_token_of_another_browser_does_not_do(app, client, ada):
    csrf_of(client)
    answer = client.post("/api/auth/callback/credentials", data={
        "csrfToken": csrf_of(app.test_client()), "email": EMAIL, "password": PASSWORD, "json": "true"})
    assert "csrf=true" in answer.get_json()["url"]
    assert not is_signed_in(client)


# -- signing out ------------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_on_the_server_too(app, client, ada):
    sign_in(client)
    stolen = app.test_client()
    stolen.set_cookie("next-auth.session-token", client.get_cookie("next-auth.session-token").value)
    answer = client.post("/api/auth/signout", data={"csrfToken": csrf_of(client), "callbackUrl": SIGN_IN_PAGE, "json": "true"})
    assert answer.get_json() == {"url": f"http://localhost{SIGN_IN_PAGE}"}
    assert client.get_cookie("next-auth.session-token") is None
    assert not is_signed_in(stolen)


def test_signing_out_needs_the_csrf_token(client, ada):
    sign_in(client)
    answer = client.post("/api/auth/signout", data={"json": "true"})
    assert answer.get_json() == {"url": "http://localhost/api/auth/signout?csrf=true"}
    assert is_signed_in(client)


def test_a_stale_cookie_is_taken_away(client):
    client.set_cookie("next-auth.session-token", "stale")
    client.get("/api/auth/session")
    assert client.get_cookie("next-auth.session-token") is None


# -- where people are sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [
    "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
    "http://localhost@evil.example/", "http://localhost.evil.example/", "javascript:alert(1)", "data:text/html,x", "http:/evil.example",
    "/\tevil", "ht\ntp://evil.example", "http://localhost:99999999/", "http://[", "HTTPS://EVIL.EXAMPLE", "http://localhost\\@evil.example",
    "/\u2028", "/ evil"])
def test_nobody_is_sent_to_another_site(client, ada, wanted):
    url = sign_in(client, callbackUrl=wanted).get_json()["url"]
    assert urlsplit(url).netloc == "localhost"
    for address in ("/api/auth/signin", "/api/auth/error"):
        location = client.get(address, query_string={"callbackUrl": wanted.encode("utf-8", "replace")}).headers["Location"]
        assert urlsplit(location).netloc == "localhost"
        assert urlsplit(query_of(location)["callbackUrl"][0]).netloc == "localhost"


@pytest.mark.parametrize(("wanted", "url"), [
    ("/findings?severity=high", "http://localhost/findings?severity=high"), ("http://localhost/a#b", "http://localhost/a#b"),
    ("", HOME), ("/", HOME)])
def test_an_address_of_ours_is_kept(client, ada, wanted, url):
    assert sign_in(client, callbackUrl=wanted).get_json() == {"url": url}


def test_the_page_to_sign_out_is_the_start_page(client):
    assert client.get("/api/auth/signout").headers["Location"] == HOME


# -- under https ------------------------------------------------------------------------------------------------------------


def test_under_https_the_cookies_are_secure_and_named_so(sqlite_database):
    settings = replace(SETTINGS, database_url=sqlite_database, public_url="https://stockade.example")
    client = create_app(settings, plugins=Plugins(settings)).test_client()
    make_user("msp_admin", email=EMAIL, password=PASSWORD)
    token = client.get("/api/auth/csrf", base_url="https://stockade.example").get_json()["csrfToken"]
    answer = client.post("/api/auth/callback/credentials", base_url="https://stockade.example", data={
        "csrfToken": token, "email": EMAIL, "password": PASSWORD, "json": "true", "callbackUrl": "/findings"})
    assert answer.get_json() == {"url": "https://stockade.example/findings"}
    [cookie] = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Secure-next-auth.session-token=")
    assert "Secure" in cookie
    csrf = client.get_cookie("__Host-next-auth.csrf-token", domain="stockade.example")
    assert (csrf.secure, csrf.path) == (True, "/")


# -- guessing ---------------------------------------------------------------------------------------------------------------


def test_an_account_locks_after_too_many_guesses_and_says_nothing_of_it(client, ada):
    wrong = [sign_in(client, password=f"wrong {number}") for number in range(SETTINGS.lockout_attempts)]
    locked = sign_in(client)
    unknown = sign_in(client, email="nobody@example.test")
    assert {(answer.status_code, answer.get_json()["url"]) for answer in (*wrong, locked, unknown)} == {(401, locked.get_json()["url"])}
    assert [event.target for event in AuditEvent.select().where(AuditEvent.action == "user.locked")] == [ada.id]


def test_a_lock_expires_and_counting_starts_anew(client, ada):
    for _ in range(SETTINGS.lockout_attempts):
        sign_in(client, password="wrong")
    User.update(locked_until=clock.now() - 1).execute()
    assert sign_in(client, password="wrong").status_code == 401
    assert (User.get().failed_attempts, User.get().locked_until) == (1, None)
    assert sign_in(client).status_code == 200
    assert (User.get().failed_attempts, User.get().locked_until) == (0, None)


def test_attempts_while_locked_do_not_prolong_the_lock(client, ada):
    for _ in range(SETTINGS.lockout_attempts):
        sign_in(client, password="wrong")
    until = User.get().locked_until
    sign_in(client, password="wrong")
    assert User.get().locked_until == until
    assert until <= clock.now() + SETTINGS.lockout_minutes * clock.MINUTE


def test_the_last_attempt_counts_when_it_is_right(client, ada):
    for _ in range(SETTINGS.lockout_attempts - 1):
        sign_in(client, password="wrong")
    assert sign_in(client).status_code == 200
    assert User.get().failed_attempts == 0


def test_a_single_allowed_attempt_locks_at_once(app, ada):
    strict = replace(SETTINGS, lockout_attempts=1)
    assert service.authenticate(EMAIL, "wrong", strict) is None
    assert service.authenticate(EMAIL, PASSWORD, strict) is None
    User.update(locked_until=clock.now() - 1).execute()
    assert service.authenticate(EMAIL, "wrong", strict) is None
    assert User.get().locked_until > clock.now()


def test_guesses_made_at_once_are_all_counted(database):
    make_user("msp_admin", email=EMAIL, password=PASSWORD)
    strict = replace(SETTINGS, lockout_attempts=5)

    def guess(number: int) -> None:
        try:
            service.authenticate(EMAIL, f"wrong {number}", strict)
        finally:
            db.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(guess, range(16)))
    assert User.get().failed_attempts == 5
    assert service.authenticate(EMAIL, PASSWORD, strict) is None


def test_a_disabled_user_cannot_sign_in_with_the_right_password(client, ada):
    service.disable(ada, actor="test")
    assert sign_in(client).status_code == 401


def test_a_user_without_a_password_cannot_sign_in(client, app):
    make_user("msp_admin", email=EMAIL)
    for password in ("", "x", PASSWORD):
        assert sign_in(client, password=password).status_code == 401


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """What Argon2 was asked to compute since, each time its parameters."""
    asked: list[str] = []

    class Counting:
        def __new__(cls, **parameters):
            return Argon2id(**parameters)

        @staticmethod
        def verify_phc_encoded(password: bytes, phc: str) -> None:
            asked.append(phc.rsplit("$", 2)[0])
            Argon2id.verify_phc_encoded(password, phc)

    monkeypatch.setattr(passwords, "Argon2id", Counting)
    return asked


def kind_of(statement: str) -> str:
    """The statement; attempts are counted by one that writes a row of the user's table, or of the decoys'."""
    is_count = "RETURNING" in statement and ('"user"' in statement or SignInDecoy._meta.table_name in statement)
    return "count the attempt" if is_count else statement


def test_an_unknown_address_costs_the_same_work_as_a_wrong_password(client, statements, computed):
    """From the first attempt until beyond the lock. How long it takes is compared by ``python -m benchmarks signing_in``."""
    make_user("msp_admin", email="wrong@example.test", password=PASSWORD)
    make_user("msp_admin", email="sso@example.test")
    service.disable(make_user("msp_admin", email="disabled@example.test", password=PASSWORD), actor="test")
    passwords.matches("", None, SETTINGS.password_cost)  # the hash of nobody is made once in a process
    client.get("/api/auth/csrf")  # and so is the secret that tokens are made with
    work = {}
    for name in ("unknown", "wrong", "sso", "disabled"):
        work[name] = []
        for number in range(SETTINGS.lockout_attempts + 2):
            computed.clear()
            with statements() as executed:
                answer = sign_in(client, email=f"{name}@example.test", password=f"wrong {number}")
            work[name].append((list(map(kind_of, executed)), list(computed), answer.status_code, answer.get_json()))
    assert all(done.count("count the attempt") == 1 for done, _, _, _ in work["wrong"])
    assert [len(hashes) for _, hashes, _, _ in work["wrong"]] == [1] * (SETTINGS.lockout_attempts + 2)
    assert work["unknown"] == work["wrong"]
    assert work["sso"] == work["wrong"]
    assert work["disabled"] == work["wrong"]


def test_attempts_on_unknown_addresses_are_written_down_like_others(client, ada):
    for _ in range(SETTINGS.lockout_attempts):
        sign_in(client, email="nobody@example.test", password="not kept anywhere")
    [counted] = SignInDecoy.select().where(SignInDecoy.failed_attempts > 0)
    assert (counted.failed_attempts, counted.locked_until > clock.now()) == (SETTINGS.lockout_attempts, True)
    [event] = AuditEvent.select().where(AuditEvent.action == "unknown_user.locked")
    assert "nobody@" not in repr(event.__data__)
    assert sign_in(client).status_code == 200


# -- the active customer ----------------------------------------------------------------------------------------------------


def test_msp_staff_pick_the_active_customer_of_their_session(app):
    first, second = make_customer(), make_customer()
    user = make_user("msp_admin")
    here, elsewhere = signed_in_client(app, user=user), signed_in_client(app, user=user)
    assert here.put("/api/session/customer", json={"customerId": first.id}).get_json() == {"customerId": first.id}
    elsewhere.put("/api/session/customer", json={"customerId": second.id})
    assert here.get("/api/auth/session").get_json()["user"]["customerId"] == first.id
    assert elsewhere.get("/api/auth/session").get_json()["user"]["customerId"] == second.id
    here.put("/api/session/customer", json={"customerId": None})
    assert here.get("/api/auth/session").get_json()["user"]["customerId"] is None


@pytest.mark.parametrize("body", [{}, {"customerId": 1}, {"customerId": "x", "more": 1}, [], {"customerId": "a\x00"}])
def test_a_pick_that_is_malformed_is_refused(app, body):
    assert signed_in_client(app, "msp_admin").put("/api/session/customer", json=body).status_code == 400


def test_a_customer_that_is_unknown_or_disabled_cannot_be_picked(app):
    client, disabled = signed_in_client(app, "msp_admin"), make_customer(active=False)
    for customer_id in ("cus_ghost", disabled.id, ""):
        assert client.put("/api/session/customer", json={"customerId": customer_id}).status_code == 404


def test_a_portal_user_picks_among_his_own_alone(app):
    mine, other = make_customer(), make_customer()
    client = signed_in_client(app, "customer_viewer", customer=mine)
    assert client.put("/api/session/customer", json={"customerId": mine.id}).status_code == 200
    assert client.put("/api/session/customer", json={"customerId": other.id}).status_code == 403
    assert client.put("/api/session/customer", json={"customerId": "cus_ghost"}).status_code == 403


def test_a_portal_user_s_only_customer_is_told_with_the_session(app):
    customer = make_customer()
    user = signed_in_client(app, "customer_viewer", customer=customer).get("/api/auth/session").get_json()["user"]
    assert (user["customerId"], user["isMsp"], user["role"]) == (customer.id, False, "customer_viewer")


def test_a_token_s_user_and_end_are_told_like_a_session_s(app, client):
    user = make_user("msp_admin")
    told = client.get("/api/auth/session", headers=bearer(make_token(user, expires_days=2))).get_json()
    assert told["user"]["id"] == user.id
    assert clock.now() + clock.DAY < clock.from_iso(told["expires"]) < clock.now() + 3 * clock.DAY
    assert client.get("/api/auth/session", headers=bearer(make_token(user))).get_json()["expires"] is None
    assert client.get("/api/auth/session", headers=bearer("stk_wrong")).status_code == 401


def test_a_token_has_no_session_to_pick_for(app, client):
    customer = make_customer()
    answer = client.put("/api/session/customer", json={"customerId": customer.id}, headers=bearer(make_token(make_user("msp_admin"))))
    assert answer.status_code == 400


@pytest.mark.parametrize(("address", "size"), [("/api/auth/callback/credentials", 65_000), ("/api/auth/signin/microsoft", 65_000),
                                               ("/api/auth/signout", 65_000), ("/v1/auth/confirm", 4_000)])
def test_a_form_that_anybody_may_send_is_small(client, address, size):
    assert client.post(address, data={"secret": "x" * size}).status_code != 413
    assert client.post(address, data={"secret": "x" * (size + 1000)}).status_code == 413
