"""Signing in: both kinds of credential, tokens that end, and the precise reason when none is given."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, Response

from core import clock
from core.hooks.failures import LoginRejected, OrganizationUnknown, Unreachable, UpstreamUnavailable, WrongService
from core.http.upstream import Upstream
from core.testing.standin import StandIn
from plugins.checkmarx.client import CheckmarxClient
from plugins.checkmarx.login import Login
from plugins.checkmarx.settings import account_of
from plugins.checkmarx.upstream import Credential, World, create_app
from tests.plugins.checkmarx.conftest import CLIENT, SECRET
from tests.plugins.checkmarx.results import project
from tests.servers import HURRIED

TOKENS = "token"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def world():
    held = World.of(project())
    held.admit_client(Credential("acme", CLIENT, SECRET))
    return held


@pytest.fixture
def login_at(serve):
    def opened(world, now=None, **settings):
        chosen = {"url": serve(create_app(world)), "tenant": "acme", "client_id": CLIENT, "client_secret": SECRET, **settings}
        return Login(lambda base, **kw: Upstream(base, HURRIED, **kw), account_of(chosen), *([now] if now else []))

    return opened


def projects(login):
    return CheckmarxClient(login).first_projects().total


def test_one_token_serves_all_calls_of_its_life(world, login_at):
    login = login_at(world)
    assert [projects(login) for _ in range(3)] == [1, 1, 1]
    assert world.calls[TOKENS] == 1


def test_a_token_is_renewed_shortly_before_its_end(world, login_at):
    now = Clock()
    login = login_at(world, now)
    for seconds, tokens in ((0, 1), (1700, 1), (50, 2), (1700, 2), (1700, 3)):
        now.seconds += seconds
        projects(login)
        assert world.calls[TOKENS] == tokens


@pytest.mark.parametrize("life", [1, 10])
def test_the_life_that_the_service_tells_is_obeyed_however_short(world, login_at, life):
    world.expires_in, now = life, Clock()
    login = login_at(world, now)
    projects(login)
    now.seconds += life * 0.7
    projects(login)
    assert world.calls[TOKENS] == 1
    now.seconds += life * 0.2
    projects(login)
    assert world.calls[TOKENS] == 2


def test_a_token_that_ends_early_is_renewed_once_and_the_call_repeated(world, login_at):
    login = login_at(world)
    projects(login)
    world.access.clear()
    assert projects(login) == 1
    assert world.calls[TOKENS] == 2


def test_a_call_that_is_refused_with_a_fresh_token_too_is_given_up(world, login_at):
    world.faults.add("status", path="projects", status=401)
    with pytest.raises(LoginRejected):
        projects(login_at(world))
    assert (world.calls[TOKENS], world.calls["projects"]) == (2, 2)


def test_a_credential_that_is_revoked_in_between_is_told_as_such(world, login_at):
    login = login_at(world)
    projects(login)
    world.revoke()
    with pytest.raises(LoginRejected, match="OAuth client 'findings-portal': it is wrong, expired or revoked"):
        projects(login)


def test_many_threads_share_one_token(world, login_at):
    login = login_at(world)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: projects(login), range(12))) == [1] * 12
    assert world.calls[TOKENS] == 1
    world.access.clear()
    barrier = threading.Barrier(6)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: (barrier.wait(5), projects(login))[1], range(6))) == [1] * 6
    assert world.calls[TOKENS] <= 3


def test_an_api_key_is_exchanged_and_kept(world, serve):
    url = serve(create_app(world))
    key = world.admit_key(Credential("acme", "anna"), url)
    login = Login(lambda base, **kw: Upstream(base, HURRIED, **kw), account_of({"api_key": key}))
    assert projects(login) == 1
    world.access.clear()
    assert projects(login) == 1
    assert login.claims["preferred_username"] == "service-account-anna"


@pytest.mark.parametrize("troubles", [["status"], ["status", "html"], ["cut"]])
def test_a_token_service_in_trouble_is_asked_again(world, login_at, troubles):
    for kind in troubles:
        world.faults.add(kind, path="token", status=503, times=1)
    assert projects(login_at(world)) == 1


def test_a_token_service_that_stays_in_trouble_is_unavailable(world, login_at):
    world.faults.add("status", path="token", status=503)
    with pytest.raises(UpstreamUnavailable):
        projects(login_at(world))


@pytest.mark.parametrize(("settings", "failure", "said"), [
    ({"tenant": "other"}, OrganizationUnknown, "knows no tenant 'other': check the tenant's name, and the region"),
    ({"client_secret": "wrong-secret-of-the-client"}, LoginRejected, "Invalid client credentials"),
    ({"client_id": "nobody"}, LoginRejected, "OAuth client 'nobody'"),
])
def test_a_refusal_says_what_is_wrong_and_not_the_secret(world, login_at, settings, failure, said):
    with pytest.raises(failure, match=said) as caught:
        projects(login_at(world, **settings))
    assert settings.get("client_secret", SECRET) not in str(caught.value)
    assert sum(world.calls.values()) == 1


def test_an_api_key_that_is_refused_says_whose_it_is(world, serve):
    url = serve(create_app(world))
    key = world.admit_key(Credential("acme", "anna", expires=clock.now() - clock.DAY), url)

    def refused(key, **settings):
        with pytest.raises((LoginRejected, OrganizationUnknown)) as caught:
            projects(Login(lambda base, **kw: Upstream(base, HURRIED, **kw), account_of({"api_key": key, **settings})))
        assert key not in str(caught.value)
        return str(caught.value)

    assert "API key: it is wrong, expired or revoked" in refused(key)
    assert "Token is not active" in refused(key)
    assert refused(key, url=url, tenant="other").endswith(f"The API key is one of {url}/auth/realms/acme")
    assert "Invalid refresh token" in refused("garbage-instead-of-a-key", url=url, tenant="acme")


@pytest.mark.parametrize("answer", [
    lambda: "<html>Welcome</html>", lambda: {"hello": "world"}, lambda: ["token"], lambda: {"access_token": ""},
    lambda: Response(status=302, headers={"Location": "https://elsewhere.example"}), lambda: ("no POST here", 405),
])
def test_something_else_answers_in_place_of_the_token_service(serve, answer):
    app = Flask("else")
    app.add_url_rule("/<path:path>", "any", lambda path: answer(), methods=["POST"])
    account = account_of({"url": serve(app), "tenant": "acme", "client_id": CLIENT, "client_secret": SECRET})
    with pytest.raises(WrongService, match="not the token service of Checkmarx One"):
        Login(lambda base, **kw: Upstream(base, HURRIED, **kw), account).api()


def test_nobody_listens():
    with StandIn(Flask("gone")) as server:
        address = server.url
    account = account_of({"url": address, "tenant": "acme", "client_id": CLIENT, "client_secret": SECRET})
    with pytest.raises(Unreachable):
        Login(lambda base, **kw: Upstream(base, HURRIED, **kw), account).api()
