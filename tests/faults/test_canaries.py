"""Secrets put in through every door are looked for afterwards in everything that a deployment keeps or says. Only sealed or hashed
forms may be there."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from core.db import db
from core.http import cookies
from core.people import families
from core.testing.openid import REALM, App, World
from core.testing.openid import create_app as create_provider
from core.testing.standin import StandIn
from plugins.sonarqube.upstream import Token
from tests.factories import make_user
from tests.faults import places
from tests.servers import clean_environ


def fresh(prefix: str = "") -> str:
    return prefix + secrets.token_hex(20)


@dataclass
class Canaries:
    """The secrets by the door that each went through, and all that was answered meanwhile."""

    by_door: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, bytes]] = field(default_factory=list)

    def put(self, door: str, secret: str) -> str:
        self.by_door[door] = secret
        return secret

    def sent(self, browser: requests.Session, method: str, url: str, *, reveals: bool = False, **how: Any) -> requests.Response:
        """Send a request and keep what it says, unless saying it is its purpose."""
        answer = browser.request(method, url, timeout=30, allow_redirects=False, **how)
        if not reveals:
            said = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            self.answers.append((f"answer of {method} {url}", said.encode() + answer.content))
        return answer


def stockade(environ: dict[str, str], *arguments: str, typed: str = "") -> bytes:
    """What a command prints."""
    done = subprocess.run([sys.executable, "-m", "core.runtime", *arguments], env={**clean_environ(), **environ}, input=typed.encode(),
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout + done.stderr


@pytest.fixture
def running():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def deployed(site_at, sonar, database, serve, running):
    """A deployment whose own settings hold canaries too: web server, worker and scheduler."""
    canaries = Canaries()
    client_secret, metrics = canaries.put("OpenID client secret", fresh("cs")), canaries.put("metrics token", fresh("mt"))
    world = World(App("stockade", client_secret, ()))
    provider = running.enter_context(StandIn(create_provider(world)))
    site = site_at(database, sonar, metrics_token=metrics, log_level="DEBUG", oidc_client_id="stockade", oidc_client_secret=client_secret,
                   oidc_issuer=f"{provider.url}/realms/{REALM}")
    for name in ("METRICS_TOKEN", "OIDC_CLIENT_SECRET"):
        kept = Path(site.environ["STOCKADE_HOME"]) / f"{name}.secret"
        kept.write_text(site.environ.pop(f"STOCKADE_{name}"))
        site.environ[f"STOCKADE_{name}_FILE"] = str(kept)
    canaries.put("master key", site.environ["STOCKADE_MASTER_KEY"])
    web = serve(site)
    site.worker()
    site.scheduler()
    return site, web, canaries


def test_no_canary_is_found_anywhere(deployed, sonar, redis_url, database):
    site, web, canaries = deployed
    browser = web.browser()
    configure(site, web, browser, canaries, sonar)
    sign_in_and_fail_to(site, web, canaries)
    make_tokens(web, browser, canaries)
    keep_credentials(site, web, browser, canaries)
    sign_in_at_provider(web, canaries)
    misuse(web, browser, canaries)
    found = [(door, place) for place, kept in everywhere(site, canaries, redis_url, database)
             for door, secret in canaries.by_door.items() if places.found_in(secret, kept)]
    assert found == []


def configure(site: Any, web: Any, browser: requests.Session, canaries: Canaries, sonar: Any) -> None:
    """A connection's secrets: good ones, ones that the source refuses, ones that the form refuses; synced, looked at, exchanged."""
    address = f"{web.url}/api/integrations/sonarqube"
    token = canaries.put("connection token", sonar.world.admit(Token(admin=True)))
    hook = canaries.put("webhook secret", fresh("wh"))
    refused = canaries.put("refused connection token", fresh("squ_"))
    for settings, status in (({"token": refused, "webhookSecret": hook}, 200), ({"token": token, "webhookSecret": hook}, 200),
                             ({"token": refused * 20}, 400), ({"token": {"nested": refused}}, 400), ({"tokem": refused}, 400)):
        answer = canaries.sent(browser, "PUT", address, json={"settings": {"url": sonar.url, **settings}})
        assert answer.status_code == status, answer.text
    told = canaries.sent(browser, "POST", f"{address}/validate", json={"settings": {"url": sonar.url, "token": refused}}).json()
    assert (told["valid"], told["code"]) == (False, "token_refused")
    assert canaries.sent(browser, "POST", f"{address}/validate").json()["valid"] is True
    run = canaries.sent(browser, "POST", f"{address}/sync").json()["run"]["id"]
    assert site.ended(run)["state"] == "succeeded"
    hooked = canaries.sent(browser, "GET", address).json()["connection"]["webhookPath"]
    canaries.sent(requests.Session(), "POST", web.url + hooked, data=b'{"a": 1}', headers={"X-Sonar-Webhook-HMAC-SHA256": hook})
    canaries.sent(browser, "GET", f"{web.url}/integrations/sonarqube")


def sign_in_and_fail_to(site: Any, web: Any, canaries: Canaries) -> None:
    """A password: given on the command line, typed rightly, typed into the wrong field, sent where it does not belong."""
    password = canaries.put("password", fresh("pw"))
    wrong = canaries.put("wrong password", fresh("pw"))
    stockade(site.environ, "user", "add", "ada@example.test", "--role", "msp_admin", "--password-stdin", typed=password)
    person = requests.Session()
    csrf = canaries.sent(person, "GET", f"{web.url}/api/auth/csrf").json()["csrfToken"]
    address = f"{web.url}/api/auth/callback/credentials"
    for typed in ({"email": "ada@example.test", "password": wrong}, {"email": wrong, "password": wrong},
                  {"email": "ada@example.test", "password": [wrong]}):
        assert canaries.sent(person, "POST", address, json={**typed, "csrfToken": csrf, "json": True}).status_code == 401
    canaries.sent(person, "POST", address, data=f'{{"password": "{password}", ', headers={"Content-Type": "application/json"})
    signed_in = canaries.sent(person, "POST", address, reveals=True, json={"email": "ada@example.test", "password": password,
                                                                          "csrfToken": csrf, "json": True})
    assert signed_in.status_code == 200
    canaries.put("session cookie", person.cookies[cookies.session_cookie_name(site.deployment.settings)])
    canaries.sent(person, "GET", f"{web.url}/api/auth/session")
    canaries.sent(person, "POST", f"{web.url}/api/customers", json={"name": "New", "password": password}, headers={"Origin": web.url})


def make_tokens(web: Any, browser: requests.Session, canaries: Canaries) -> None:
    """Tokens of each kind: made, used, sent in an address, changed a little, spent twice, revoked."""
    made = canaries.sent(browser, "POST", f"{web.url}/v1/user/@me/tokens", reveals=True, json={"name": "canary"}).json()["data"]
    token = canaries.put("API token", made["token"])
    with db.connection_context():
        canaries.put("refresh token", families.begin(make_user("msp_admin").id, web._site.deployment.settings).refresh_token)
    refresh = {"x-refresh-token": canaries.by_door["refresh token"]}
    renewed = canaries.sent(requests.Session(), "POST", f"{web.url}/v1/auth/refresh", reveals=True, headers=refresh).json()["data"]
    canaries.put("access token", renewed["accessToken"])
    canaries.put("second refresh token", renewed["refreshToken"])
    program = requests.Session()
    for bearer in (token, renewed["accessToken"], token[:-1] + "x", renewed["accessToken"] + "x"):
        headers = {"Authorization": f"Bearer {bearer}"}
        canaries.sent(program, "GET", f"{web.url}/v1/user/@me?access_token={bearer}", headers=headers)
        canaries.sent(program, "GET", f"{web.url}/{bearer}", headers=headers, reveals=True)  # leads back there after a sign-in
        canaries.sent(program, "PATCH", f"{web.url}/v1/user/@me", headers=headers, json={"nome": bearer})
    assert canaries.sent(program, "POST", f"{web.url}/v1/auth/refresh", headers=refresh).status_code == 401
    listed = canaries.sent(browser, "GET", f"{web.url}/v1/user/@me/tokens")
    assert made["id"] in listed.text
    canaries.sent(browser, "DELETE", f"{web.url}/v1/user/@me/tokens/{made['id']}")


def keep_credentials(site: Any, web: Any, browser: requests.Session, canaries: Canaries) -> None:
    """A customer's credential: made, changed, given back an earlier value, refused; fields that become secure; a deleted type."""
    at, types = f"{web.url}/v1/credential/credentials", f"{web.url}/v1/credential-type"
    first, second, third = (canaries.put(f"{number} value", fresh("cv")) for number in ("first", "second", "third"))
    was_plain = canaries.put("value of a field that became secure", fresh("cv"))
    fields = [{"id": "secret", "name": "Secret", "secure": True, "valueType": "password"},
              {"id": "open", "name": "Open", "secure": False, "valueType": "plain_text"},
              {"id": "recovery", "name": "Recovery", "secure": True, "valueType": "bitlocker_key"}]
    made = canaries.sent(browser, "POST", types, json={"name": "Canary", "permissionScope": "canary.credentials", "fields": fields})
    type_id = made.json()["data"]["id"]
    given = [{"fieldId": "secret", "value": first}, {"fieldId": "open", "value": was_plain}]
    wanted = {"name": "Canary", "typeId": type_id, "companyId": site.customer.id}
    # what is plain is shown, until the field becomes secure
    told = canaries.sent(browser, "POST", at, reveals=True, json={**wanted, "fields": given})
    credential = f"{at}/{told.json()['data']['id']}"
    assert told.status_code == 201, told.text
    refused = [{"fieldId": "recovery", "value": third}, {"fieldId": "nonsense", "value": third}, {"fieldId": "secret", "value": [third]}]
    for field_given in refused:
        for method, address in (("PUT", f"{credential}/fields"), ("PATCH", credential), ("POST", at)):
            body = {**(wanted if method == "POST" else {}), "fields": [field_given]}
            assert canaries.sent(browser, method, address, json=body).status_code == 400
    secured = [fields[0], {**fields[1], "secure": True}, fields[2]]
    assert canaries.sent(browser, "PATCH", f"{types}/{type_id}", json={"fields": secured}).status_code == 200
    for value in (second, third):
        changed = canaries.sent(browser, "PUT", f"{credential}/fields", json={"fields": [{"fieldId": "secret", "value": value}]})
        assert changed.status_code == 200
    revealed = canaries.sent(browser, "GET", f"{credential}/secure-values", reveals=True).json()["data"]
    assert revealed == {"secret": third, "open": was_plain}
    history = canaries.sent(browser, "GET", f"{credential}/history").json()["data"]
    assert canaries.sent(browser, "POST", f"{credential}/history/{history[0]['id']}/restore").status_code == 200
    for address in (credential, f"{credential}/fields", at, f"{at}/company/{site.customer.id}", f"{types}/{type_id}/credentials"):
        assert canaries.sent(browser, "GET", address).status_code == 200
    assert canaries.sent(browser, "GET", at, params={"search": first}).json()["data"] == []
    assert canaries.sent(browser, "DELETE", f"{types}/{type_id}").status_code == 200


def sign_in_at_provider(web: Any, canaries: Canaries) -> None:
    """To the provider and back with a code, with words of its own in the answer, and with a code that is none."""
    code, state = canaries.put("code", fresh("cd")), canaries.put("foreign state", fresh("st"))
    person = requests.Session()
    csrf = canaries.sent(person, "GET", f"{web.url}/api/auth/csrf").json()["csrfToken"]
    form = {"csrfToken": csrf, "json": "true"}
    there = canaries.sent(person, "POST", f"{web.url}/api/auth/signin/oidc", reveals=True, data=form).json()["url"]
    own_state = parse_qs(urlsplit(there).query)["state"][0]
    for said in ({"code": code, "state": own_state}, {"code": code, "state": state},
                 {"error": code, "error_description": code, "state": own_state}):
        canaries.sent(person, "GET", f"{web.url}/api/auth/callback/oidc", params=said)
        canaries.sent(person, "GET", f"{web.url}/v1/auth/redirect", params=said)
    begun = canaries.sent(person, "GET", f"{web.url}/v1/auth/uri", reveals=True).json()["data"]
    key = canaries.put("callback key", begun["callbackKey"])
    canaries.sent(person, "POST", f"{web.url}/v1/auth/callback", json={"callbackKey": key})


def misuse(web: Any, browser: requests.Session, canaries: Canaries) -> None:
    """The settings' own secrets in requests that are right and wrong, and bodies that break in the middle of a secret."""
    metrics = canaries.by_door["metrics token"]
    for given in (metrics, metrics[:-1]):
        canaries.sent(requests.Session(), "GET", f"{web.url}/metrics", headers={"Authorization": f"Bearer {given}"})
    secret = canaries.by_door["webhook secret"]
    for body in (f'{{"settings": {{"token": "{secret}"', f'["{secret}"]', f'{{"settings": "{secret}"}}', f'{{"{secret}": 1}}'):
        address = f"{web.url}/api/integrations/sonarqube"
        answer = canaries.sent(browser, "PUT", address, data=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500
    canaries.answers.pop()  # the name of a field that nobody knows is told to who sent it


def everywhere(site: Any, canaries: Canaries, redis_url: str, database: str) -> Iterator[tuple[str, bytes]]:
    yield from canaries.answers
    yield "export of the audit log", stockade(site.environ, "audit", "export")
    for listing in (("runs", "--json"), ("customer", "list", "--json"), ("plugins", "list", "--json")):
        yield " ".join(listing), stockade(site.environ, *listing)
    yield from places.of_processes(site.processes)
    yield from places.of_redis(redis_url)
    yield from places.of_database(database)
    yield from places.of_folder(Path(site.environ["STOCKADE_HOME"]) / "files")
