"""Signing in for a client: the address, the window that closes itself, and the tokens over a WebSocket, by a key that is good once."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import requests
from simple_websocket import Client, ConnectionClosed

from core import clock
from core.audit.models import AuditEvent
from core.people import service as people
from core.people.models import RefreshToken, TokenFamily, User
from core.signin import waiting
from core.signin.models import SignInAttempt
from core.testing.standin import StandIn
from tests.core.signin.world import Browser, app_for, at_provider, error_of, know, query_of, settings_for, with_realm
from tests.factories import SETTINGS, make_user
from tests.servers import eventually

PATIENCE = 10


@dataclass
class Program:
    """A client of the document: it asks for an address, opens it in somebody's browser, and waits.

    ``browser`` is the person's; with the program's own cookies it is a page that opened the window itself.
    """

    at: str
    browser: requests.Session = field(default_factory=requests.Session)
    uri: str = ""
    key: str = ""

    def begin(self, *, in_same_browser: bool = True) -> "Program":
        asked = (self.browser if in_same_browser else requests).get(f"{self.at}/v1/auth/uri", timeout=PATIENCE)
        assert asked.status_code == 200, asked.text
        body = asked.json()
        assert body.keys() == {"status", "message", "data", "successful"}
        assert (body["status"], body["message"], body["successful"]) == (200, "Successfully fetch Auth URI", True)
        assert body["data"].keys() == {"uri", "callbackKey"}
        self.uri, self.key = body["data"]["uri"], body["data"]["callbackKey"]
        return self

    def listen(self, key: str | None = None, *, in_query: bool = True) -> Client:
        address = f"{self.at.replace('http', 'ws')}/v1/auth/callback"
        if in_query:
            return Client(f"{address}?callbackKey={self.key if key is None else key}")
        socket = Client(address)
        socket.send(json.dumps({"callbackKey": self.key if key is None else key}))
        return socket

    def person_signs_in(self) -> requests.Response:
        return self.browser.get(at_provider(self.uri), timeout=PATIENCE)

    def poll(self, key: str | None = None) -> requests.Response:
        return requests.post(f"{self.at}/v1/auth/callback", json={"callbackKey": self.key if key is None else key}, timeout=PATIENCE)


def told(socket: Client) -> dict:
    """What a client hears, after which the socket is closed."""
    message = socket.receive(timeout=PATIENCE)
    assert message is not None
    with pytest.raises(ConnectionClosed):
        socket.receive(timeout=PATIENCE)
    return json.loads(message)


@pytest.fixture
def at(site, world) -> Iterator[str]:
    """Where the deployment answers."""
    with StandIn(site) as running:
        world.app.redirect_uris = (f"{running.url}/v1/auth/redirect", f"{running.url}/api/auth/callback/microsoft")
        yield running.url


@pytest.fixture
def kari(site, world, provider) -> User:
    user = make_user("msp_admin", email="kari@stockade.example")
    know(user, world, provider, "kari")
    world.signs_in = "kari"
    return user


def who(at: str, tokens: dict) -> str:
    answer = requests.get(f"{at}/api/auth/session", headers={"Authorization": f"Bearer {tokens['accessToken']}"}, timeout=PATIENCE)
    return answer.json()["user"]["id"] if answer.ok else ""


# -- as it should be ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_query", [True, False])
def test_a_client_that_waits_gets_its_tokens(at, kari, in_query):
    program = Program(at).begin()
    socket = program.listen(in_query=in_query)
    page = program.person_signs_in()
    assert (page.status_code, "close.js" in page.text) == (200, True)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert "<script>" not in page.text
    body = told(socket)
    assert (body["status"], body["message"], body["successful"]) == (201, "Signed in successfully!", True)
    assert body["data"].keys() == {"accessToken", "refreshToken"}
    assert who(at, body["data"]) == kari.id
    assert [(event.target, event.details) for event in AuditEvent.select().where(AuditEvent.action == "user.signed_in")] == [
        (kari.id, {"for": "client"})]


def test_one_that_comes_late_gets_them_too(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    assert who(at, told(program.listen())["data"]) == kari.id


def test_one_that_cannot_hold_a_socket_asks(at, kari):
    program = Program(at).begin()
    answer = program.poll()
    assert (answer.status_code, answer.json()) == (202, {"status": 202, "message": "Not signed in yet", "data": None, "successful": True})
    program.person_signs_in()
    answer = program.poll()
    assert (answer.status_code, answer.json()["status"]) == (201, 201)
    assert who(at, answer.json()["data"]) == kari.id
    assert program.poll().status_code == 404


def test_the_tokens_are_made_when_they_are_fetched_and_kept_nowhere_before(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    assert (TokenFamily.select().count(), RefreshToken.select().count()) == (0, 0)
    tokens = program.poll().json()["data"]
    kept = repr([row.__data__ for table in (SignInAttempt, TokenFamily, RefreshToken, AuditEvent) for row in table.select()])
    assert not [secret for secret in (*tokens.values(), program.key, query_of(program.uri)["state"]) if secret in kept]


def test_the_socket_may_be_at_another_process_than_the_browser(site, at, world, kari):
    """Nothing of an attempt is in a process."""
    settings = site.extensions["stockade"].settings
    with StandIn(app_for(settings, settings.database_url)) as other:
        program = Program(at).begin()
        socket = Program(other.url, key=program.key).listen()
        program.person_signs_in()
        assert who(other.url, told(socket)["data"]) == kari.id


def test_the_tokens_are_renewed_as_documented(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    tokens = program.poll().json()["data"]
    answer = requests.post(f"{at}/v1/auth/refresh", headers={"x-refresh-token": tokens["refreshToken"]}, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["message"]) == (201, "Token refreshed successfully!")
    assert who(at, answer.json()["data"]) == kari.id


# -- the key ------------------------------------------------------------------------------------------------------------------


def test_a_key_is_good_once(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    assert told(program.listen())["status"] == 201
    assert told(program.listen()) == {"status": 404, "message": "Unknown or expired callback key", "successful": False}


def test_of_many_who_wait_with_one_key_one_gets_the_tokens(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: program.poll().status_code, range(8)))
    assert sorted(answers) == [201] + [404] * 7
    assert TokenFamily.select().count() == 1


@pytest.mark.parametrize("key", ["ck", "ck" + "A" * 43, "%", "' OR 1=1 --", "ck*", "x" * 4000, "é"])
def test_a_guessed_key_opens_nothing(at, kari, key):
    program = Program(at).begin()
    program.person_signs_in()
    assert program.poll(key).status_code == 404
    assert told(program.listen(key, in_query=False) if len(key) < 900 else program.listen(key))["status"] == 404
    assert program.poll().status_code == 201


def test_whoever_guesses_on_is_not_heard_any_more(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    answers = [program.poll(f"ck{number}").status_code for number in range(62)]
    assert answers == [404] * 60 + [429] * 2
    with pytest.raises(ConnectionClosed) as closed:
        program.listen("ck").receive(timeout=PATIENCE)
    assert closed.value.reason == 1013


def test_keys_cannot_be_guessed(at):
    keys = {Program(at).begin().key for _ in range(20)}
    assert len(keys) == 20
    assert all(re.fullmatch(r"ck[0-9A-Za-z_-]{43}", key) for key in keys)  # 256 bits


def test_the_key_is_in_no_address_that_the_browser_or_the_provider_sees(at, world, kari):
    program = Program(at).begin()
    location = at_provider(program.uri)
    page = program.browser.get(location, timeout=PATIENCE)
    assert not [text for text in (program.uri, location, page.text, repr(page.headers)) if program.key in text]


def test_the_state_is_not_the_key(at, kari):
    program = Program(at).begin()
    state = query_of(program.uri)["state"]
    program.person_signs_in()
    assert program.poll(state).status_code == 404


def test_a_key_ends(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    SignInAttempt.update(expires_at=clock.now()).execute()
    assert program.poll().status_code == 404


def test_the_tokens_are_there_for_a_minute_only(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    assert SignInAttempt.get().expires_at <= clock.now() + clock.MINUTE


def test_a_client_that_says_more_than_its_key_is_cut_off(at, kari):
    program = Program(at).begin()
    socket = program.listen()
    socket.send("hello")
    with pytest.raises(ConnectionClosed) as closed:
        socket.receive(timeout=PATIENCE)
    assert closed.value.reason == 1008
    program.person_signs_in()
    assert program.poll().status_code == 201


def test_only_so_many_wait_in_one_process(at, site, kari):
    seats = site.extensions["stockade_seats"] = waiting.Seats(1)
    first, second = Program(at).begin(), Program(at).begin()
    socket = first.listen()
    eventually(lambda: seats.free == 0)
    with pytest.raises(ConnectionClosed) as closed:
        second.listen().receive(timeout=PATIENCE)
    assert closed.value.reason == 1013
    first.person_signs_in()
    assert told(socket)["status"] == 201
    second.person_signs_in()
    assert second.poll().status_code == 201
    eventually(lambda: seats.free == 1)


def test_a_client_that_goes_leaves_its_seat(at, site, kari):
    seats = site.extensions["stockade_seats"]
    free = seats.free
    program = Program(at).begin()
    socket = program.listen()
    eventually(lambda: seats.free == free - 1)
    socket.close()
    eventually(lambda: seats.free == free)
    program.person_signs_in()
    assert program.poll().status_code == 201


def test_a_plain_request_is_told_that_a_socket_lives_there(at):
    assert requests.get(f"{at}/v1/auth/callback?callbackKey=x", timeout=PATIENCE).status_code in (400, 405)


# -- the window -----------------------------------------------------------------------------------------------------------------


def test_a_reload_of_the_window_says_to_start_again(at, kari):
    program = Program(at).begin()
    page = program.person_signs_in()
    again = program.browser.get(page.url, timeout=PATIENCE)
    assert (again.status_code, "Please start again" in again.text) == (400, True)
    assert program.poll().status_code == 201


def test_an_address_that_was_made_up_says_so_too(at):
    for query in ("", "?code=x", "?state=x", "?code=x&state=" + "A" * 43, "?error=access_denied&state=x", "?state=%F0%9F%92%A9&code=x"):
        page = requests.get(f"{at}/v1/auth/redirect{query}", timeout=PATIENCE)
        assert (page.status_code, "Please start again" in page.text) == (400, True)


def test_whoever_declines_is_told_and_so_is_the_client(at, world, kari):
    world.faults.add("access_denied", path="authorize", times=1)
    program = Program(at).begin()
    socket = program.listen()
    page = program.person_signs_in()
    assert "was cancelled" in page.text
    assert told(socket) == {"status": 401, "message": "The sign-in was cancelled", "successful": False}


def test_what_the_provider_says_of_an_error_is_not_shown(at):
    program = Program(at).begin()
    page = requests.get(f"{at}/v1/auth/redirect", timeout=PATIENCE, params={
        "error": "server_error", "error_description": "<script>alert(1)</script>", "state": query_of(program.uri)["state"]})
    assert "alert" not in page.text
    assert program.poll().json()["status"] == 502


@pytest.mark.parametrize("fault", ["wrong_aud", "wrong_nonce", "alg_none", "alg_hs256", "unknown_kid", "expired", "no_id_token"])
def test_a_token_that_is_not_acceptable_gives_no_tokens(at, world, kari, fault):
    world.faults.add(fault, path="token")
    program = Program(at).begin()
    assert program.person_signs_in().status_code == 400
    assert program.poll().json() == {"status": 502, "message": "The sign-in service did not vouch for anybody", "successful": False}
    assert TokenFamily.select().count() == 0


def test_a_stranger_gets_none(at, world):
    world.signs_in = "guest"
    program = Program(at).begin()
    page = program.person_signs_in()
    assert (page.status_code, "You have no account here" in page.text) == (400, True)
    assert program.poll().json() == {"status": 403, "message": "This account may not sign in", "successful": False}


def test_whoever_is_disabled_before_the_client_fetches_gets_none(at, kari):
    program = Program(at).begin()
    program.person_signs_in()
    people.disable(kari, actor="test")
    assert program.poll().status_code == 403
    assert TokenFamily.select().count() == 0


# -- a link that somebody sent --------------------------------------------------------------------------------------------------


def secret_in(page: requests.Response) -> str:
    return re.search(r'name="secret" value="([^"]+)"', page.text)[1]


def answer_with(program: Program, page: requests.Response, answer: str) -> requests.Response:
    return program.browser.post(f"{program.at}/v1/auth/confirm", data={"secret": secret_in(page), "answer": answer}, timeout=PATIENCE)


def test_a_client_elsewhere_gets_nothing_until_the_person_says_that_it_is_his(at, kari):
    """Else anybody could send him the address, and would hold his tokens."""
    program = Program(at).begin(in_same_browser=False)
    page = program.person_signs_in()
    assert page.status_code == 200
    assert "127.0.0.1" in page.text
    assert "Continue only if you have just started this yourself" in page.text
    assert program.poll().status_code == 202
    assert answer_with(program, page, "yes").status_code == 200
    assert who(at, program.poll().json()["data"]) == kari.id


def test_whoever_says_no_gives_it_nothing(at, kari):
    program = Program(at).begin(in_same_browser=False)
    page = program.person_signs_in()
    answer_with(program, page, "no")
    assert program.poll().json()["status"] == 403
    assert answer_with(program, page, "yes").status_code == 400
    assert TokenFamily.select().count() == 0


def test_the_answer_cannot_be_given_by_another_site(at, kari):
    program = Program(at).begin(in_same_browser=False)
    page = program.person_signs_in()
    for secret in ("", "A" * 43, program.key, query_of(program.uri)["state"]):
        answer = program.browser.post(f"{at}/v1/auth/confirm", data={"secret": secret, "answer": "yes"}, timeout=PATIENCE)
        assert (answer.status_code, "Please start again" in answer.text) == (400, True)
    assert program.poll().status_code == 202
    assert secret_in(page) not in (program.key, query_of(program.uri)["state"])


def test_the_question_is_good_for_a_few_minutes_and_once(at, kari):
    program = Program(at).begin(in_same_browser=False)
    page = program.person_signs_in()
    SignInAttempt.update(expires_at=clock.now()).execute()
    assert answer_with(program, page, "yes").status_code == 400
    assert program.poll().status_code == 404


def test_a_person_who_is_sent_somebodys_answer_is_not_signed_in_as_him(site, at, world, kari):
    """Forced into the victim's browser, the attacker's own code and state sign in the attacker's client and nobody else."""
    attacker = Program(at).begin()
    location = at_provider(attacker.uri)
    victim = Browser(site)
    parts = urlsplit(location)
    victim.client.get(f"{parts.path}?{parts.query}")
    assert victim.user == {}
    assert victim.client.get_cookie("next-auth.session-token") is None


def test_a_code_put_under_another_clients_state_gives_it_nothing(at, world, kari):
    attacker, victim = Program(at).begin(), Program(at).begin()
    code = query_of(at_provider(attacker.uri))["code"]
    state = query_of(victim.uri)["state"]
    page = victim.browser.get(f"{at}/v1/auth/redirect", params={"code": code, "state": state}, timeout=PATIENCE)
    assert page.status_code == 400
    assert victim.poll().json()["status"] == 502


def test_an_answer_in_the_name_of_another_issuer_gives_a_client_nothing(at, kari):
    program = Program(at).begin()
    page = program.browser.get(at_provider(program.uri) + "&iss=https%3A%2F%2Flogin.example.com", timeout=PATIENCE)
    assert (page.status_code, program.poll().json()["status"]) == (400, 502)


def test_a_state_of_a_page_gives_no_client_tokens_and_the_other_way_round(site, at, world, kari):
    visitor = Browser(site)
    visitor.client.get("/")
    page_state = query_of(visitor.set_out())["state"]
    assert requests.get(f"{at}/v1/auth/redirect", params={"code": "x", "state": page_state}, timeout=PATIENCE).status_code == 400
    program = Program(at).begin()
    back = query_of(at_provider(program.uri))
    assert error_of(visitor.client.get("/api/auth/callback/microsoft", query_string=back)) == "Restart"
    assert visitor.user == {}


# -- without a provider, and with another -----------------------------------------------------------------------------------------


def test_without_a_provider_there_is_no_address(client, app):
    answer = client.get("/v1/auth/uri")
    assert (answer.status_code, answer.get_json()["successful"]) == (409, False)


def test_a_provider_can_be_named(sqlite_database, world, provider):
    both = with_realm(provider, **{name: getattr(settings_for(provider), name) for name in (
        "oidc_microsoft_client_id", "oidc_microsoft_client_secret", "oidc_microsoft_tenant", "oidc_microsoft_authority")})
    client = app_for(both, sqlite_database).test_client()
    addresses = [client.get(f"/v1/auth/uri{query}").get_json()["data"]["uri"] for query in ("", "?provider=microsoft", "?provider=oidc")]
    assert ["/realms/" in address for address in addresses] == [False, False, True]
    assert client.get("/v1/auth/uri?provider=other").status_code == 404


def test_a_provider_that_is_away_is_told_so(lite, world):
    world.faults.add("status", path="discovery")
    answer = lite.test_client().get("/v1/auth/uri")
    assert (answer.status_code, answer.get_json()["successful"]) == (502, False)
    assert SETTINGS.oidc_microsoft_client_secret not in answer.get_data(as_text=True) or not SETTINGS.oidc_microsoft_client_secret
