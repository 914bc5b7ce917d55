"""Signing in to the pages with a provider: there, back, and every way in which that goes wrong."""

import threading
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
import requests

from core import clock
from core.audit.models import AuditEvent
from core.people import service as people
from core.people.models import User, UserIdentity, UserSession
from core.settings import SettingsError, load
from core.signin import attempts, providers
from core.signin.models import SignInAttempt
from core.signin.openid import OpenIdClient, SignInFailed
from core.testing.openid import CONSUMERS, CONTOSO, NORTHWIND
from tests.core.signin.world import CLIENT_ID, SECRET, Browser, app_for, at_provider, error_of, know, query_of, settings_for, with_realm
from tests.factories import PASSWORD, SETTINGS, make_user


def introduce(world, provider: str, key: str = "kari") -> User:
    """A user whom the provider knows as this person, who signs in there from now on."""
    user = make_user("msp_admin", email=f"{key}@stockade.example")
    know(user, world, provider, key)
    world.signs_in = key
    return user


# -- there and back ---------------------------------------------------------------------------------------------------------


def test_somebody_known_signs_in(site, browser, world, provider):
    kari = introduce(world, provider)
    answer = browser.sign_in(callbackUrl="/findings")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://localhost/findings")
    assert browser.user["id"] == kari.id
    assert SignInAttempt.select().count() == 0
    [event] = AuditEvent.select().where(AuditEvent.action == "user.signed_in")
    assert (event.target, event.details) == (kari.id, {"provider": "microsoft"})


def test_what_is_asked_of_the_provider(lite, provider):
    url = Browser(lite).set_out()
    asked = query_of(url)
    assert url.startswith(f"{provider}/{NORTHWIND}/oauth2/v2.0/authorize?")
    assert asked.keys() == {"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
                            "code_challenge_method", "prompt"}
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT_ID, "openid profile email")
    assert asked["redirect_uri"] == "http://localhost/api/auth/callback/microsoft"
    assert (asked["code_challenge_method"], asked["prompt"]) == ("S256", "select_account")
    assert [len(asked[name]) for name in ("state", "nonce", "code_challenge")] == [43, 43, 43]


def test_nothing_of_an_attempt_can_be_had_from_the_database(lite, world, provider):
    visitor = Browser(lite)
    asked = query_of(visitor.set_out())
    secrets = [asked["state"], asked["nonce"], visitor.client.get_cookie("stockade.sign-in").value,
               attempts.code_verifier(lite.extensions["stockade"].keyring, asked["state"])]
    kept = repr(SignInAttempt.get().__data__)
    assert [secret for secret in secrets if secret in kept] == []


def test_the_front_end_is_told_of_the_provider(lite):
    listed = lite.test_client().get("/api/auth/providers").get_json()
    assert list(listed) == ["credentials", "microsoft"]
    assert listed["microsoft"] == {"id": "microsoft", "name": "Microsoft", "type": "oidc",
                                   "signinUrl": "http://localhost/api/auth/signin/microsoft",
                                   "callbackUrl": "http://localhost/api/auth/callback/microsoft"}


def test_a_plain_form_is_sent_on(lite, provider):
    visitor = Browser(lite)
    answer = visitor.client.post("/api/auth/signin/microsoft", data={"csrfToken": visitor.csrf_token})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(provider)


def test_the_form_of_our_page_gets_an_answer_that_its_policy_lets_lead_elsewhere(lite, provider):
    visitor = Browser(lite)
    answer = visitor.client.post("/api/auth/signin/microsoft", data={"csrfToken": visitor.csrf_token, "page": "1"})
    assert answer.status_code == 200
    assert f'content="0; url={provider}/' in answer.get_data(as_text=True)


@pytest.mark.parametrize("token", ["", "made up"])
def test_setting_out_needs_the_csrf_token(lite, token):
    visitor = Browser(lite)
    _ = visitor.csrf_token
    answer = visitor.client.post("/api/auth/signin/microsoft", data={"csrfToken": token, "json": "true"})
    assert answer.get_json() == {"url": "http://localhost/api/auth/signin?csrf=true"}
    assert SignInAttempt.select().count() == 0


def test_only_a_button_sets_out(lite):
    answer = lite.test_client().get("/api/auth/signin/microsoft?callbackUrl=/findings")
    assert (answer.status_code, urlsplit(answer.headers["Location"]).path) == (302, "/signin")


def test_a_provider_that_is_not_set_up_is_not_there(lite):
    visitor = Browser(lite)
    assert visitor.client.post("/api/auth/signin/oidc", data={"csrfToken": visitor.csrf_token}).status_code == 404
    assert visitor.client.get("/api/auth/callback/oidc?code=x&state=y").status_code == 404


def test_whoever_signs_in_again_gets_another_session_and_the_old_one_ends(site, browser, world, provider):
    introduce(world, provider)
    browser.client.set_cookie("next-auth.session-token", "planted")
    browser.sign_in()
    first = browser.client.get_cookie("next-auth.session-token").value
    browser.sign_in()
    assert browser.client.get_cookie("next-auth.session-token").value not in ("planted", first)
    assert UserSession.select().count() == 1


def test_two_windows_of_one_browser_can_be_under_way(site, browser, world, provider):
    introduce(world, provider)
    first, second = (at_provider(browser.set_out(callbackUrl=f"/{number}")) for number in (1, 2))
    assert browser.come_back(second).headers["Location"] == "http://localhost/2"
    browser.client.set_cookie("stockade.sign-in", "")
    assert error_of(browser.come_back(first)) == "Restart"


def test_both_windows_arrive(site, browser, world, provider):
    introduce(world, provider)
    kept = None
    for location in [at_provider(browser.set_out()) for _ in range(2)]:
        kept = kept or browser.client.get_cookie("stockade.sign-in").value
        browser.client.set_cookie("stockade.sign-in", kept)
        assert browser.come_back(location).headers["Location"] == "http://localhost/"


def test_under_https_the_cookie_is_of_this_host_alone(sqlite_database, provider):
    app = app_for(settings_for(provider, public_url="https://stockade.example"), sqlite_database)
    client, base = app.test_client(), {"base_url": "https://stockade.example"}
    token = client.get("/api/auth/csrf", **base).get_json()["csrfToken"]
    answer = client.post("/api/auth/signin/microsoft", data={"csrfToken": token, "json": "true"}, **base)
    assert query_of(answer.get_json()["url"])["redirect_uri"] == "https://stockade.example/api/auth/callback/microsoft"
    [cookie] = [value for value in answer.headers.getlist("Set-Cookie") if "sign-in" in value]
    assert cookie.startswith("__Host-stockade.sign-in=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


# -- state, nonce and code that are swapped or replayed -----------------------------------------------------------------------


def test_an_attempt_is_good_once(site, browser, world, provider):
    introduce(world, provider)
    location = at_provider(browser.set_out())
    browser.come_back(location)
    browser.client.delete_cookie("next-auth.session-token")
    assert error_of(browser.come_back(location)) == "Restart"
    assert browser.user == {}


def test_an_attempt_ends(site, browser, world, provider):
    introduce(world, provider)
    location = at_provider(browser.set_out())
    SignInAttempt.update(expires_at=clock.now()).execute()
    assert error_of(browser.come_back(location)) == "Restart"


def test_another_browser_cannot_come_back_with_it(site, browser, world, provider):
    """Else a link would sign its victim in as whoever made it."""
    introduce(world, provider)
    location = at_provider(browser.set_out())
    victim = Browser(site)
    assert error_of(victim.come_back(location)) == "Restart"
    victim.set_out()
    assert error_of(victim.come_back(location)) == "Restart"
    assert victim.user == {}
    assert browser.come_back(location).headers["Location"] == "http://localhost/"


@pytest.mark.parametrize("state", ["", "A" * 43, "' OR 1=1 --", "%00", "é" * 40, "x" * 5000])
def test_a_state_that_was_made_up_leads_nowhere(lite, state):
    visitor = Browser(lite)
    visitor.set_out()
    answer = visitor.client.get(f"/api/auth/callback/microsoft?code=c&state={state if '%' in state else quote(state)}")
    assert answer.status_code in (302, 400)
    assert visitor.user == {}


def test_a_code_of_another_attempt_is_not_taken(lite, world, provider):
    """The attacker's code under the victim's state: the verifier does not fit it."""
    introduce(world, provider)
    mine, theirs = Browser(lite), Browser(lite)
    code = query_of(at_provider(theirs.set_out()))["code"]
    state = query_of(mine.set_out())["state"]
    assert error_of(mine.client.get(f"/api/auth/callback/microsoft?code={code}&state={state}")) == "OAuthCallback"
    assert mine.user == {}


def test_a_code_is_not_taken_twice(lite, world, provider):
    introduce(world, provider)
    first, second = Browser(lite), Browser(lite)
    location = at_provider(first.set_out())
    first.come_back(location)
    state = query_of(second.set_out())["state"]
    code = query_of(location)["code"]
    assert error_of(second.client.get(f"/api/auth/callback/microsoft?code={code}&state={state}")) == "OAuthCallback"


@pytest.mark.parametrize("wanted", [
    "https://evil.example/", "//evil.example/", "/\\evil.example", "http://localhost@evil.example/", "javascript:alert(1)", "/\tevil",
    "http://localhost.evil.example/", "data:text/html,x"])
def test_nobody_is_sent_to_another_site(lite, world, provider, wanted):
    introduce(world, provider)
    unknown = Browser(lite).come_back("http://x/api/auth/callback/microsoft?error=x&state=y")
    for answer in (Browser(lite).sign_in(callbackUrl=wanted), unknown):
        assert urlsplit(answer.headers["Location"]).netloc == "localhost"
    declined = Browser(lite)
    world.faults.add("access_denied", path="authorize")
    location = declined.sign_in(callbackUrl=wanted).headers["Location"]
    assert urlsplit(query_of(location)["callbackUrl"]).netloc == "localhost"


def test_the_provider_sends_nobody_to_an_address_that_is_not_registered(lite, provider):
    url = Browser(lite).set_out().replace(quote("http://localhost/", safe=""), quote("https://evil.example/", safe=""))
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code == 400


def test_one_address_sets_out_only_so_often(lite):
    visitor = Browser(lite)
    answers = [visitor.client.post("/api/auth/signin/microsoft", data={"csrfToken": visitor.csrf_token, "json": "true"}).status_code
               for _ in range(62)]
    assert answers == [200] * 60 + [429] * 2
    SignInAttempt.update(expires_at=clock.now()).execute()
    visitor.set_out()
    assert SignInAttempt.select().count() == 1


# -- what a provider, or somebody in its place, may do wrong ------------------------------------------------------------------

UNACCEPTABLE = ["wrong_aud", "many_aud", "wrong_azp", "wrong_iss", "foreign_tid", "no_tid", "expired", "not_yet", "no_exp", "wrong_nonce",
                "no_nonce", "no_oid", "old_version", "alg_none", "alg_hs256", "alg_hs256_secret", "unknown_kid", "foreign_key",
                "other_tenants_key", "broken", "no_id_token", "wrong_type", "secret_expired"]


@pytest.mark.parametrize("fault", UNACCEPTABLE)
def test_a_token_that_is_not_acceptable_signs_nobody_in(lite, world, provider, fault, caplog):
    introduce(world, provider)
    world.faults.add(fault, path="token")
    visitor = Browser(lite)
    answer = visitor.sign_in()
    assert error_of(answer) == "OAuthCallback"
    assert visitor.user == {}
    assert UserSession.select().count() == 0
    [told] = [record for record in caplog.records if record.name == "core.signin.openid"]
    assert "eyJ" not in told.getMessage()
    assert SECRET not in told.getMessage()
    world.faults.clear()
    if fault != "other_tenants_key":  # which is remembered, as keys are
        assert visitor.sign_in().headers["Location"] == "http://localhost/"


TROUBLE = [{"kind": "status", "path": "token", "status": 500}, {"kind": "status", "path": "token", "status": 429},
           {"kind": "html", "path": "token"}, {"kind": "cut", "path": "token"}, {"kind": "cut_json", "path": "token"},
           {"kind": "status", "path": "keys", "status": 503}, {"kind": "html", "path": "keys"}, {"kind": "cut_json", "path": "keys"}]


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda trouble: f"{trouble['path']} {trouble['kind']} {trouble.get('status', '')}")
def test_a_provider_in_trouble_signs_nobody_in_until_it_is_well(lite, world, provider, trouble):
    introduce(world, provider)
    visitor = Browser(lite)
    world.faults.add(**trouble)
    assert error_of(visitor.sign_in()) == "OAuthCallback"
    world.faults.clear()
    assert visitor.sign_in().headers["Location"] == "http://localhost/"


@pytest.mark.parametrize("trouble", [{"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "cut_json"}])
def test_a_provider_that_cannot_be_asked_where_to_go_is_told_so_at_once(lite, world, trouble):
    world.faults.add(path="discovery", **trouble)
    assert "error=OAuthSignin" in Browser(lite).set_out()


def test_what_was_told_once_is_enough_while_the_provider_is_away(lite, world, provider):
    introduce(world, provider)
    visitor = Browser(lite)
    visitor.sign_in()
    world.faults.add("status", path="discovery")
    world.faults.add("status", path="keys")
    assert visitor.sign_in().headers["Location"] == "http://localhost/"


def test_somebody_who_declines_can_try_again(lite, world, provider):
    introduce(world, provider)
    fault = world.faults.add("access_denied", path="authorize", times=1)
    visitor = Browser(lite)
    answer = visitor.sign_in(callbackUrl="/findings")
    assert (error_of(answer), fault.seen) == ("Cancelled", 1)
    assert query_of(answer.headers["Location"])["callbackUrl"] == "http://localhost/findings"
    assert visitor.sign_in(callbackUrl="/findings").headers["Location"] == "http://localhost/findings"


@pytest.mark.parametrize("error", ["server_error", "<script>alert(1)</script>", "invalid_request"])
def test_an_error_of_the_provider_is_told_in_our_own_words(lite, error):
    visitor = Browser(lite)
    state = query_of(visitor.set_out())["state"]
    answer = visitor.client.get("/api/auth/callback/microsoft", query_string={"error": error, "error_description": error, "state": state})
    assert error_of(answer) == "OAuthCallback"
    assert "script" not in answer.headers["Location"]


def client_of(provider_url: str, now=clock.now, read_timeout: float = 5.0, **changes) -> OpenIdClient:
    settings = settings_for(provider_url, **changes)
    [provider] = providers.configured(settings)
    return OpenIdClient(provider, replace(providers.policy_for(provider, settings), read_timeout=read_timeout, backoff=0.0), now)


def redeem(client: OpenIdClient, world) -> str:
    """The subject of whoever signs in."""
    world.signs_in = world.signs_in or "kari"
    verifier = "v" * 43
    location = at_provider(client.authorization_url("http://localhost/v1/auth/redirect", "s", "n", verifier))
    return client.identity(query_of(location)["code"], "http://localhost/v1/auth/redirect", "n", verifier).subject


def test_a_provider_that_does_not_answer_is_not_waited_for_long(world, provider):
    client = client_of(provider, read_timeout=0.1)
    gate = threading.Event()
    world.faults.add("slow", path="token", gate=gate)
    with pytest.raises(SignInFailed, match="no answer in time"):
        redeem(client, world)
    gate.set()


def test_a_wrong_secret_is_refused(world, provider):
    with pytest.raises(SignInFailed, match="7000215"):
        redeem(client_of(provider, oidc_microsoft_client_secret="wrong"), world)


def test_a_secret_is_sent_as_the_provider_takes_it(world, provider):
    world.app.auth_methods = ("client_secret_post",)
    assert redeem(client_of(provider), world) == world.people["kari"].oid


# -- keys -------------------------------------------------------------------------------------------------------------------


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.moment = clock.now()

    def __call__(self) -> int:
        return self.moment


def calls(provider: str, what: str) -> int:
    return requests.get(f"{provider}/standin/calls", timeout=5).json().get(what, 0)


def test_keys_and_discovery_are_asked_for_once(world, provider):
    client = client_of(provider)
    for _ in range(3):
        redeem(client, world)
    assert (calls(provider, "keys"), calls(provider, "openid-configuration"), calls(provider, "discovery")) == (1, 0, 1)


def test_a_key_that_was_changed_between_two_sign_ins_is_looked_up(world, provider):
    time = Clock()
    client = client_of(provider, time)
    redeem(client, world)
    world.rotate()
    time.moment += 1
    assert redeem(client, world) == world.people["kari"].oid
    assert calls(provider, "keys") == 2


def test_unknown_keys_are_not_looked_up_again_and_again(world, provider):
    time = Clock()
    client = client_of(provider, time)
    redeem(client, world)
    world.faults.add("unknown_kid", path="token")
    for _ in range(5):
        time.moment += 1
        with pytest.raises(SignInFailed, match="no key with its id"):
            redeem(client, world)
    assert calls(provider, "keys") == 2
    time.moment += 5 * clock.MINUTE
    with pytest.raises(SignInFailed):
        redeem(client, world)
    assert calls(provider, "keys") == 3


def test_known_keys_stay_good_while_new_ones_cannot_be_read(world, provider):
    time = Clock()
    client = client_of(provider, time)
    redeem(client, world)
    world.faults.add("status", path="keys")
    world.faults.add("status", path="discovery")
    time.moment += 100  # seconds of the token's own leeway are left alone
    assert redeem(client, world)


# -- which tenants ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tenant", "listed", "key", "is_admitted"), [
    (NORTHWIND, (), "kari", True), (NORTHWIND, (), "guest", True),
    ("organizations", (NORTHWIND, CONTOSO), "kari", True), ("organizations", (NORTHWIND, CONTOSO), "carl", True),
    ("organizations", (NORTHWIND,), "carl", False), ("organizations", (NORTHWIND, CONTOSO), "mallory", False),
    ("organizations", (NORTHWIND, CONSUMERS), "pat", False), ("common", (NORTHWIND,), "pat", False), ("common", (CONSUMERS,), "pat", True)])
def test_a_tenant_signs_in_when_it_is_listed(sqlite_database, world, provider, tenant, listed, key, is_admitted):
    app = app_for(settings_for(provider, oidc_microsoft_tenant=tenant, oidc_microsoft_tenants=listed), sqlite_database)
    introduce(world, provider, key)
    answer = Browser(app).sign_in()
    assert (urlsplit(answer.headers["Location"]).path == "/") is is_admitted
    if not is_admitted:
        assert error_of(answer) == "AccessDenied"


@pytest.mark.parametrize("fault", ["wrong_iss", "foreign_tid", "no_tid", "other_tenants_key"])
def test_with_many_tenants_issuer_tenant_and_key_have_to_agree(sqlite_database, world, provider, fault):
    many = settings_for(provider, oidc_microsoft_tenant="organizations", oidc_microsoft_tenants=(NORTHWIND, CONTOSO))
    introduce(world, provider)
    world.faults.add(fault, path="token")
    assert error_of(Browser(app_for(many, sqlite_database)).sign_in()) == "OAuthCallback"


# -- whose account ------------------------------------------------------------------------------------------------------------


def test_a_stranger_is_refused(site, browser, world):
    world.signs_in = "kari"
    assert error_of(browser.sign_in()) == "AccessDenied"
    assert (User.select().count(), UserIdentity.select().count()) == (0, 0)


@pytest.mark.parametrize("provision", [False, True])
def test_an_account_is_never_found_by_its_address(sqlite_database, world, provider, provision):
    """Mallory wrote the administrator's address into his own directory."""
    app = app_for(settings_for(provider, oidc_microsoft_tenant="organizations", oidc_provision=provision,
                                 oidc_microsoft_tenants=(NORTHWIND, world.people["mallory"].tenant)), sqlite_database)
    victim = make_user("msp_admin", email="admin@demo.example", password=PASSWORD)
    world.signs_in = "mallory"
    visitor = Browser(app)
    visitor.sign_in()
    assert visitor.user.get("id") != victim.id
    assert not UserIdentity.select().where(UserIdentity.user_id == victim.id).exists()
    if provision:
        assert visitor.user["email"] == f"{world.people['mallory'].oid}@{world.people['mallory'].tenant}.invalid"
        assert visitor.user["roles"] == []


def test_an_address_that_nobody_vouches_for_is_not_taken_even_when_it_is_free(sqlite_database, world, provider):
    """Else an administrator would later give the rights meant for its owner to a stranger."""
    app = app_for(settings_for(provider, oidc_microsoft_tenant="organizations", oidc_provision=True,
                                 oidc_microsoft_tenants=(NORTHWIND, world.people["mallory"].tenant)), sqlite_database)
    world.signs_in = "mallory"
    Browser(app).sign_in()
    assert User.get().email.endswith(".invalid")


def test_with_provisioning_a_stranger_gets_an_account_that_holds_nothing(database, world, provider):
    app = app_for(settings_for(provider, oidc_provision=True), database)
    world.signs_in = "kari"
    visitor = Browser(app)
    visitor.sign_in()
    assert (visitor.user["email"], visitor.user["name"], visitor.user["roles"]) == ("kari@northwind.example", "Kåri Nordmann-Żółć", [])
    assert visitor.client.get("/api/customers").status_code == 403
    again = Browser(app)
    again.sign_in()
    assert again.user["id"] == visitor.user["id"]
    assert User.select().count() == 1


def test_somebody_without_an_address_gets_an_account_too(sqlite_database, world, provider):
    app = app_for(settings_for(provider, oidc_provision=True), sqlite_database)
    world.signs_in = "nomail"
    Browser(app).sign_in()
    assert User.get().email == f"{world.people['nomail'].oid}@{NORTHWIND}.invalid"


def test_a_name_that_the_provider_changes_is_taken_over_and_one_that_is_changed_here_stays(site, browser, world, provider):
    kari = introduce(world, provider)
    browser.sign_in()
    assert User.get_by_id(kari.id).name == "Kåri Nordmann-Żółć"
    User.update(name="Chief").where(User.id == kari.id).execute()
    browser.sign_in()
    assert User.get_by_id(kari.id).name == "Chief"
    world.people["kari"] = replace(world.people["kari"], name="Kåri\u202e Hansen")
    browser.sign_in()
    assert User.get_by_id(kari.id).name == "Kåri  Hansen"


def test_a_disabled_user_is_refused_and_his_session_has_ended(site, browser, world, provider):
    kari = introduce(world, provider)
    browser.sign_in()
    people.disable(kari, actor="test")
    assert browser.user == {}
    assert error_of(browser.sign_in()) == "AccessDenied"


# -- any other provider -------------------------------------------------------------------------------------------------------


@pytest.fixture
def realm(sqlite_database, provider):
    return app_for(with_realm(provider, oidc_provision=True), sqlite_database)


def test_any_openid_provider_signs_people_in(realm, world):
    world.signs_in = "kari"
    visitor = Browser(realm)
    assert visitor.sign_in("oidc").headers["Location"] == "http://localhost/"
    assert visitor.user["email"] == "kari@northwind.example"
    assert UserIdentity.get().issuer.endswith("/realms/stockade")


@pytest.mark.parametrize("fault", ["wrong_aud", "many_aud", "wrong_azp", "wrong_iss", "expired", "no_exp", "wrong_nonce", "no_nonce",
                                   "no_sub", "alg_none", "alg_hs256", "alg_hs256_secret", "unknown_kid", "foreign_key", "wrong_type"])
def test_its_tokens_are_looked_at_as_closely(realm, world, fault):
    world.signs_in = "kari"
    world.faults.add(fault, path="token")
    assert error_of(Browser(realm).sign_in("oidc")) == "OAuthCallback"
    assert User.select().count() == 0


@pytest.mark.parametrize(("named", "always_names", "is_believed"), [
    (None, False, True), (None, True, False), ("own", True, True), ("https://login.example.com", False, False), ("own/", False, False)])
def test_an_answer_of_another_issuer_is_not_believed(realm, world, provider, named, always_names, is_believed):
    world.signs_in = "kari"
    client = realm.extensions["stockade_sign_in"]._providers.client("oidc")
    client._metadata = (clock.now(), replace(client._known_metadata(), tells_issuer=always_names))
    visitor = Browser(realm)
    location = at_provider(visitor.set_out("oidc"))
    if named is not None:
        location += "&iss=" + quote(named.replace("own", client.provider.authority), safe="")
    answer = visitor.come_back(location)
    assert (urlsplit(answer.headers["Location"]).path == "/") is is_believed
    assert is_believed or error_of(answer) == "OAuthCallback"


def test_a_secret_goes_into_the_header_where_the_provider_wants_it_so(sqlite_database, world, provider):
    world.app.auth_methods = ("client_secret_basic",)
    world.signs_in = "kari"
    app = app_for(with_realm(provider, oidc_provision=True), sqlite_database)
    client = app.extensions["stockade_sign_in"]._providers.client("oidc")
    client._metadata = (clock.now(), replace(client._known_metadata(), takes_secret_in_form=False))
    assert Browser(app).sign_in("oidc").headers["Location"] == "http://localhost/"


@pytest.mark.parametrize(("claim", "is_admitted"), [
    (("preferred_username", "kari@northwind.example"), True), (("hd", "example.com"), False),
    (("roles", "Platform.Admin"), True), (("roles", "Platform"), False)])
def test_a_claim_can_be_required(sqlite_database, world, provider, claim, is_admitted):
    world.signs_in = "kari"
    answer = Browser(app_for(with_realm(provider, oidc_provision=True, oidc_required_claim=claim), sqlite_database)).sign_in("oidc")
    assert (urlsplit(answer.headers["Location"]).path == "/") is is_admitted


def test_a_discovery_document_of_another_issuer_is_not_believed(sqlite_database, provider):
    app = app_for(with_realm(provider, oidc_issuer=f"{provider}/organizations/v2.0"), sqlite_database)
    assert "error=OAuthSignin" in Browser(app).set_out("oidc")


# -- settings -----------------------------------------------------------------------------------------------------------------

WHOLE = {"STOCKADE_OIDC_MICROSOFT_CLIENT_ID": CLIENT_ID, "STOCKADE_OIDC_MICROSOFT_CLIENT_SECRET": "s",
         "STOCKADE_OIDC_MICROSOFT_TENANT": NORTHWIND}


@pytest.mark.parametrize(("environ", "fault"), [
    ({"STOCKADE_OIDC_MICROSOFT_CLIENT_ID": CLIENT_ID}, "STOCKADE_OIDC_MICROSOFT_CLIENT_SECRET is missing"),
    ({**WHOLE, "STOCKADE_OIDC_MICROSOFT_TENANT": "organizations"}, "STOCKADE_OIDC_MICROSOFT_TENANTS is missing"),
    ({**WHOLE, "STOCKADE_OIDC_MICROSOFT_TENANT": "contoso.example"}, "STOCKADE_OIDC_MICROSOFT_TENANT must be"),
    ({**WHOLE, "STOCKADE_OIDC_MICROSOFT_AUTHORITY": "http://login.example.com"}, "must begin with https"),
    ({"STOCKADE_OIDC_ISSUER": "http://10.0.0.7/realms/x", "STOCKADE_OIDC_CLIENT_ID": "x"}, "must begin with https"),
    ({"STOCKADE_OIDC_ISSUER": "https://login.example.com"}, "STOCKADE_OIDC_CLIENT_ID is missing"),
    ({"STOCKADE_OIDC_CLIENT_ID": "x"}, "STOCKADE_OIDC_ISSUER is missing"),
    ({"STOCKADE_OIDC_SCOPES": "profile"}, "STOCKADE_OIDC_SCOPES must have openid"),
    ({"STOCKADE_OIDC_REQUIRED_CLAIM": "hd"}, "must be name=value")])
def test_settings_that_do_not_make_a_provider_are_told(environ, fault):
    with pytest.raises(SettingsError, match=fault):
        load(environ)


@pytest.mark.parametrize("environ", [
    {}, WHOLE, {**WHOLE, "STOCKADE_OIDC_MICROSOFT_TENANT": "common", "STOCKADE_OIDC_MICROSOFT_TENANTS": f"{NORTHWIND}, {CONTOSO}"},
    {**WHOLE, "STOCKADE_OIDC_MICROSOFT_AUTHORITY": "http://127.0.0.1:5000"},
    {"STOCKADE_OIDC_ISSUER": "https://login.example.com/realms/x/", "STOCKADE_OIDC_CLIENT_ID": "x"},
    {"STOCKADE_OIDC_ISSUER": "http://[::1]:80/realms/x", "STOCKADE_OIDC_CLIENT_ID": "x", "STOCKADE_OIDC_REQUIRED_CLAIM": "hd=a.example"}])
def test_settings_that_do_are_taken(environ):
    assert load(environ)


def test_a_private_address_is_reached_only_when_it_is_this_machine_or_allowed():
    settings = replace(SETTINGS, oidc_issuer="https://keycloak.example/realms/x", oidc_client_id="x")
    [provider] = providers.configured(settings)
    assert not any(map(providers.policy_for(provider, settings).admits, ("127.0.0.1", "10.0.0.7", "169.254.169.254", "::1")))
    [here] = providers.configured(replace(settings, oidc_issuer="http://127.0.0.1:8080/realms/x"))
    policy = providers.policy_for(here, settings)
    assert (policy.admits("127.0.0.1"), policy.admits("10.0.0.7")) == (True, False)
