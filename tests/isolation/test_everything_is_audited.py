"""Whatever changes something leaves an event. Generated from the app: a new route says here how it succeeds, or why it leaves none."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from core.app import create_app
from core.assets.models import Asset
from core.audit.models import AuditEvent
from core.audit.verifying import broken_chains
from core.clock import now
from core.connections.models import Connection, Run
from core.db import db
from core.findings import verdicts
from core.findings.models import Verdict
from core.findings.verdicts import Decision
from core.http.access import AccessRule
from core.ids import finding_key
from core.people import families
from core.scope import Scope
from plugins.connectwise.models import CwCompany
from tests.factories import PASSWORD, SETTINGS, make_user, signed_in_client
from tests.isolation.test_matrix import TYPE, House, address, furnish

SAFE = {"GET", "HEAD", "OPTIONS"}
DECISION = {"verdict": "ignored", "reason": "Not ours"}
CSV = b"title,severity,asset\nWeak cipher,high,shop\n"

#: routes that change nothing worth telling, with the reason
SILENT = {
    ("PUT", "/api/session/customer"): "only what one's own session looks at",
    ("POST", "/customers"): "the page's way to the same",
    ("POST", "/api/integrations/<source>/webhook/<key>"): "the sender's notice changes nothing; the run that it starts is recorded",
    ("POST", "/api/auth/signin/<provider>"): "leads to the provider; who comes back signed in is recorded",
    ("POST", "/v1/auth/confirm"): "lets a client have what a sign-in brought; that it got it is recorded",
    ("POST", "/v1/auth/callback"): "waits; that somebody signed in is recorded, which tests/core/signin/test_client_flow.py sees",
    ("POST", "/v1/auth/refresh"): "the next token of a sign-in that was recorded; a spent one that is used again is recorded",
    ("POST", "/imports/check"): "tells what an import would do, and writes nothing",
    ("POST", "/v1/user/@me/check-permission"): "asks a question that is too long for an address",
    ("POST", "/v1/user/users/<identifier>/check-permission"): "the same",
}


@dataclass
class Sent:
    """A request that succeeds, in a house of its own.

    :ivar first: brings the house into the state that the request needs.
    :ivar how: keywords of the test client, or what makes them of the house.
    :ivar has_seen: the form also sends what its page says that it shows.
    """

    how: dict[str, Any] | Callable[[House], dict[str, Any]] = field(default_factory=dict)
    first: Callable[[House], Any] = lambda house: None
    client: Callable[[Flask, House], FlaskClient] | None = None
    has_seen: bool = False

    def keywords(self, house: House) -> dict[str, Any]:
        return self.how(house) if callable(self.how) else self.how


def as_json(**body: Any) -> Sent:
    return Sent({"json": body})


def as_form(**form: str) -> Sent:
    return Sent({"data": form})


def without_connection(house: House) -> None:
    Run.delete().where(Run.customer_id == house.customer.id).execute()
    Connection.delete().where(Connection.customer_id == house.customer.id).execute()


def without_held_run(house: House) -> None:
    Run.update(state="discarded").where(Run.customer_id == house.customer.id).execute()


def with_pruned_asset(house: House) -> None:
    Asset.update(pruned_at=now()).where(Asset.id == house.asset_id).execute()


def without_verdict(house: House) -> None:
    Verdict.delete().where(Verdict.customer_id == house.customer.id).execute()


def with_ignored_finding(house: House) -> None:
    without_verdict(house)
    verdicts.decide(Scope(house.customer.id), [finding_key(house.finding_id) or 0], Decision("ignored", "Not ours"), actor="test")


def without_customer(house: House) -> None:
    CwCompany.update(customer_id=None, review="new").where(CwCompany.customer_id == house.customer.id).execute()


def near(house: House) -> None:
    """Its source has an address that is refused at once, so that nobody waits for it."""
    Connection.update(settings={"url": "http://127.0.0.1:9"}).where(Connection.customer_id == house.customer.id).execute()


def signing_in(app: Flask, house: House) -> FlaskClient:
    make_user(email=f"signs-in-{house.word}@example.test", password=PASSWORD)
    return app.test_client()


def credentials_of(house: House) -> dict[str, str]:
    return {"email": f"signs-in-{house.word}@example.test", "password": PASSWORD}


SETTINGS_OF_SOURCE = {"url": "http://127.0.0.1:9", "token": "squ_" + "0" * 40}
SETTINGS_ON_PAGE = {f"settings.{name}": value for name, value in SETTINGS_OF_SOURCE.items()}

#: how each route that changes something succeeds
SUCCEEDS: dict[tuple[str, str], Sent] = {
    ("POST", "/api/auth/callback/credentials"): Sent(lambda house: {"json": credentials_of(house)}, client=signing_in),
    ("POST", "/api/auth/signin/credentials"): Sent(lambda house: {"json": credentials_of(house)}, client=signing_in),
    ("POST", "/api/auth/signout"): as_json(),
    ("PUT", "/api/asset-groups"): Sent(lambda house: {"json": {"replaceMode": "all", "groups": []}}),
    ("POST", "/api/assets/<asset_id>/restore"): Sent(first=with_pruned_asset),
    ("POST", "/api/customers"): Sent(lambda house: {"json": {"name": f"Daughter of {house.word}"}}),
    ("PATCH", "/api/customers/<customer_id>"): as_json(notes="changed"),
    ("POST", "/api/customers/<customer_id>/users"): Sent(
        lambda house: {"json": {"email": f"new-{house.word}@example.test", "role": "customer_viewer"}}),
    ("POST", "/api/findings/<finding_id>/verdict"): as_json(**DECISION),
    ("POST", "/api/imports"): Sent({"data": {"file": (io.BytesIO(CSV), "report.csv")}, "content_type": "multipart/form-data"}),
    ("PUT", "/api/integrations/<source>"): as_json(settings=SETTINGS_OF_SOURCE),
    ("DELETE", "/api/integrations/<source>"): Sent(),
    ("POST", "/api/integrations/<source>/sync"): Sent(first=without_held_run),
    ("POST", "/api/integrations/<source>/validate"): Sent(first=near),
    ("POST", "/api/integrations/<source>/runs/<run_id>/approve"): Sent(),
    ("POST", "/api/integrations/<source>/runs/<run_id>/discard"): Sent(),
    ("POST", "/api/runs/<run_id>/approve"): Sent(),
    ("POST", "/api/runs/<run_id>/discard"): Sent(),
    ("PUT", "/api/sla-policy"): Sent(lambda house: {"json": {"policy": {"critical": 9}, "groups": []}}),
    ("POST", "/api/verdicts"): Sent(lambda house: {"json": {**DECISION, "assetId": house.asset_id}}, first=without_verdict),
    ("DELETE", "/api/verdicts/<verdict_id>"): Sent(),
    ("POST", "/v1/auth/signout"): Sent(
        lambda house: {"headers": {"x-refresh-token": families.begin(house.user.id, SETTINGS).refresh_token}}),
    ("POST", "/v1/credential/credentials"): Sent(
        lambda house: {"json": {"name": "New", "typeId": TYPE, "companyId": house.customer.id, "fields": []}}),
    ("PATCH", "/v1/credential/credentials/<credential_id>"): as_json(name="Changed"),
    ("PUT", "/v1/credential/credentials/<credential_id>/fields"): as_json(fields=[{"fieldId": "password", "value": "changed"}]),
    ("POST", "/v1/credential/credentials/<credential_id>/history/<past_id>/restore"): Sent(),
    ("DELETE", "/v1/credential/credentials/<credential_id>"): Sent(),
    ("POST", "/v1/credential-type"): Sent(
        lambda house: {"json": {"name": house.word, "permissionScope": f"{house.word}.credentials", "fields": []}}),
    ("PATCH", "/v1/credential-type/<type_id>"): as_json(icon="https://vpn.example/icon.svg"),
    ("DELETE", "/v1/credential-type/<type_id>"): Sent(),
    ("POST", "/v1/role"): Sent(lambda house: {"json": {"title": "New", "moniker": f"new.{house.word}", "permissions": ["finding.list"]}}),
    ("PATCH", "/v1/role/<identifier>"): as_json(title="Changed"),
    ("DELETE", "/v1/role/<identifier>"): Sent(),
    ("POST", "/v1/role/<identifier>/permissions"): as_json(permissions=["asset.list"]),
    ("DELETE", "/v1/role/<identifier>/permissions"): as_json(permissions=["finding.list"]),
    ("DELETE", "/v1/company/companies/<customer_id>/link"): Sent(),
    ("POST", "/v1/company/review/<review_id>"): Sent({"json": {"ignore": True}}, first=without_customer),
    ("POST", "/integrations/connectwise/review/<review_id>"): Sent({"data": {"what": "ignore"}}, first=without_customer),
    ("PATCH", "/v1/user/@me"): as_json(name="Changed"),
    ("POST", "/v1/user/@me/tokens"): as_json(name="New"),
    ("DELETE", "/v1/user/@me/tokens/<token_id>"): Sent(client=lambda app, house: signed_in_client(app, user=house.user)),
    ("POST", "/v1/user/service-accounts"): Sent(
        lambda house: {"json": {"login": f"svc-{house.word}", "roles": ["customer_viewer"], "companyId": house.customer.id}}),
    ("PATCH", "/v1/user/users/<identifier>"): as_json(name="Changed"),
    ("DELETE", "/v1/user/users/<identifier>"): Sent(),
    ("POST", "/v1/user/users/<identifier>/tokens"): Sent(lambda house: {"json": {"name": "New", "companyId": house.customer.id}}),
    ("DELETE", "/v1/user/users/<identifier>/tokens/<token_id>"): Sent(),
    ("POST", "/findings/<finding_id>/verdict"): as_form(**DECISION),
    ("POST", "/findings/<finding_id>/reopen"): Sent(first=with_ignored_finding),
    ("POST", "/findings/decide"): Sent(lambda house: {"data": {**DECISION, "about": "asset", "assetId": house.asset_id, "matched": "1"}},
                                       first=without_verdict),
    ("POST", "/findings/sla-policy"): Sent({"data": {"own.critical": "9"}}, has_seen=True),
    ("POST", "/findings/verdicts/<verdict_id>/end"): Sent(),
    ("POST", "/imports"): Sent({"data": {"file": (io.BytesIO(CSV), "report.csv")}, "content_type": "multipart/form-data"}),
    ("POST", "/runs/<run_id>/approve"): Sent(),
    ("POST", "/runs/<run_id>/discard"): Sent(),
    ("POST", "/integrations/<source>"): as_form(**SETTINGS_ON_PAGE),
    ("POST", "/integrations/<source>/remove"): Sent(),
    ("POST", "/integrations/<source>/sync"): Sent(first=without_held_run),
    ("POST", "/integrations/<source>/validate"): as_form(**SETTINGS_ON_PAGE),
    ("POST", "/integrations/<source>/runs/<run_id>/approve"): Sent(),
    ("POST", "/integrations/<source>/runs/<run_id>/discard"): Sent(),
}


@pytest.fixture
def whole_app(sqlite_database: str, redis_url: str, tmp_path: Any) -> Iterator[Flask]:
    yield create_app(replace(SETTINGS, database_url=sqlite_database, redis_url=redis_url, home=str(tmp_path)))
    if not db.is_closed():
        db.close()


def changing_routes(app: Flask) -> list[tuple[str, Rule]]:
    return [(method, route) for route in app.url_map.iter_rules() for method in sorted((route.methods or set()) - SAFE)]


def csrf_of(client: FlaskClient) -> str:
    return client.get("/api/auth/csrf").get_json()["csrfToken"]


def test_every_route_that_changes_something_says_here_how_it_succeeds_or_why_it_is_silent(whole_app):
    named = {(method, route.rule) for method, route in changing_routes(whole_app)}
    assert named - set(SUCCEEDS) - set(SILENT) == set()
    assert (set(SUCCEEDS) | set(SILENT)) - named == set()


def test_every_route_that_changes_something_leaves_an_event_that_tells_who_asked(whole_app):
    silent = []
    for number, (method, route) in enumerate(changing_routes(whole_app)):
        sent = SUCCEEDS.get((method, route.rule))
        if sent is None:
            continue
        house = furnish(f"house{number}")
        sent.first(house)
        client = sent.client(whole_app, house) if sent.client else signed_in_client(whole_app, "msp_admin", active=house.customer)
        keywords = sent.keywords(house)
        if route.rule.startswith("/api/auth/"):
            keywords = {"json": {**keywords["json"], "csrfToken": csrf_of(client)}}
        if sent.has_seen:
            shown = re.search(r'name="seen" value="([^"]*)"', client.get(route.rule).text)
            keywords = {"data": {**keywords["data"], "seen": shown[1] if shown else ""}}
        before = newest_event()
        answer = client.open(address(route, house.variables), method=method, **keywords)
        assert answer.status_code < 400, (method, route.rule, answer.status_code, answer.text)
        events = list(AuditEvent.select().where(AuditEvent.id > before))
        if not any(event.request_id == answer.headers["X-Request-Id"] and event.actor for event in events):
            silent.append((method, route.rule))
    assert silent == []
    assert broken_chains() == {}


def newest_event() -> int:
    newest = AuditEvent.select().order_by(AuditEvent.id.desc()).first()
    return newest.id if newest is not None else 0


def test_every_route_that_reveals_a_secret_leaves_an_event_that_says_so(whole_app):
    house = furnish("reveals")
    client = signed_in_client(whole_app, "msp_admin", active=house.customer)
    revealing = [route for route in whole_app.url_map.iter_rules()
                 if "credential.secure_values.read" in getattr(whole_app.view_functions[route.endpoint], "access_rule", AccessRule()).nodes]
    assert revealing
    for route in revealing:
        before = newest_event()
        answer = client.get(address(route, house.variables), headers={"X-Request-Id": "the-one-that-reveals"})
        assert answer.status_code == 200, (route.rule, answer.text)
        event = AuditEvent.get(AuditEvent.id > before)
        assert (event.action, event.customer_id, event.request_id) == ("credential.revealed", house.customer.id, "the-one-that-reveals")


def test_what_is_only_looked_at_leaves_none(whole_app):
    """Else the log would tell more of who looked than of who did; and nobody could read it without writing."""
    house = furnish("looks")
    client = signed_in_client(whole_app, "msp_admin", active=house.customer)
    loud = []
    for route in whole_app.url_map.iter_rules():
        rule = getattr(whole_app.view_functions[route.endpoint], "access_rule", None)
        if rule is None or rule.public or "GET" not in (route.methods or ()) or "credential.secure_values.read" in rule.nodes:
            continue
        before = newest_event()
        client.get(address(route, house.variables), headers={"x-customer-id": house.customer.id})
        if newest_event() != before:
            loud.append(route.rule)
    assert loud == []
