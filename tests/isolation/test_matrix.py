"""Every route, as every role, on one's own customer and on another's. Generated from the app, so that a new route is in it at once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import pytest
from flask import Flask
from flask.testing import FlaskClient
from peewee import Model
from werkzeug.routing import Rule

from core.access import roles
from core.access import service as access
from core.access.models import ApiToken, GroupLimit, NodeGrant, Role, RoleGrant
from core.access.nodes import BUILT_IN_ROLES, CUSTOMER_ROLES, NodeRegistry
from core.app import create_app
from core.assets.models import Asset, AssetGroup, GroupMember
from core.connections.models import Connection, Run
from core.credentials import service as credentials
from core.credentials.keyring import Keyring
from core.credentials.models import Credential, CredentialType, PastValue, PlainValue, SealedValue
from core.credentials.service import Given, store
from core.db import db
from core.findings.models import AssetDue, Finding, FindingEvent, FindingKey, SlaPolicy, Verdict
from core.findings.models import Rule as FindingRule
from core.hooks.contracts import Severity
from core.hooks.manager import Plugins
from core.http.access import AccessRule, CustomerFrom, node_matches
from core.ids import finding_public_id
from core.people.models import User
from core.tenancy.models import Customer
from plugins.connectwise.models import CwCompany, CwConfiguration
from tests.factories import SETTINGS, bearer, make_customer, make_token, make_user, signed_in_client

SOURCE = "sonarqube"
TYPE = "cty_vpn"  # types are the same for all customers
ROLES = [role.moniker for role in BUILT_IN_ROLES]
#: columns of everything that belongs to one customer, to see that nothing of another's was changed
TENANT_TABLES: tuple[type[Model], ...] = (Asset, AssetGroup, GroupMember, Connection, Run, Finding, FindingEvent, FindingRule, Credential,
                                          Verdict, FindingKey, SlaPolicy, AssetDue, CwCompany, CwConfiguration,
                                          RoleGrant, NodeGrant, GroupLimit, ApiToken, SealedValue, PlainValue, PastValue)
#: what ``identifier`` stands for, by where the address begins
IDENTIFIED = {"/v1/user/": "user_id", "/v1/role/": "role_id", "/v1/credential-type/": "type_id"}


@dataclass
class House:
    """A customer with one of everything, each text of it holding a word that no other customer has."""

    customer: Customer
    word: str
    asset_id: str
    group_id: str
    connection: Connection
    run_id: str
    finding_id: str
    verdict_id: str
    credential_id: str
    past_id: str
    user: User
    role: Role
    token_id: str

    @property
    def variables(self) -> dict[str, str]:
        """What each variable in an address stands for in this house."""
        return {"customer_id": self.customer.id, "asset_id": self.asset_id, "run_id": self.run_id, "finding_id": self.finding_id,
                "source": SOURCE, "group_id": self.group_id, "verdict_id": self.verdict_id, "user_id": self.user.id,
                "role_id": self.role.id, "token_id": self.token_id, "category": "company", "credential_id": self.credential_id,
                "past_id": self.past_id, "company_id": self.customer.id, "field_id": "password", "type_id": TYPE,
                "review_id": f"cwc_{self.word}"}

    def rows(self) -> list[dict[str, Any]]:
        its_own = [row.__data__ for table in TENANT_TABLES for row in table.select().where(table.customer_id == self.customer.id)]
        its_own.sort(key=repr)  # a database gives rows in any order
        return [*its_own, User.get_by_id(self.user.id).__data__, Role.get_by_id(self.role.id).__data__]


def furnish(word: str) -> House:
    customer = make_customer(f"{word} Ltd")
    ids = {"customer_id": customer.id}
    moments = {"created_at": 1, "updated_at": 1}
    group = AssetGroup.create(id=f"grp_{word}", name=f"{word} group", **ids, **moments)
    credential = store(Keyring(SETTINGS.master_key), customer.id, f"connection.{SOURCE}", word, {"token": f"{word} token"}, actor="test")
    connection = Connection.create(id=f"con_{word}", source=SOURCE, name=f"{word} sonar", settings={"url": f"https://{word}.example"},
                                   credential_id=credential, webhook_key=f"hook-{word}", group_id=group.id, **ids, **moments)
    run = Run.create(id=f"run_{word}", connection_id=connection.id, source=SOURCE, trigger="person", requested_by=f"{word} person",
                     state="held", reason=f"{word} reason", requested_at=1, **ids,
                     plan={"closes": 1, "findingsThere": 1, "prunes": 1, "assetsThere": 1, "prunedAssets": [f"{word} asset"]})
    asset = Asset.create(id=f"ast_{word}", connection_id=connection.id, source=SOURCE, kind="sonar_project", discipline="appsec",
                         external_key=word, name=f"{word} asset", url=f"https://{word}.example/a", open_high=1, findings_total=1,
                         discovered_at=1, **ids)
    GroupMember.create(group=group, asset=asset, added_at=1, **ids)
    empty = dict.fromkeys(("fingerprint", "source_status", "description", "cwe", "cve", "url", "first_run_id", "last_run_id"), "")
    finding = Finding.create(asset_id=asset.id, source=SOURCE, source_key=word, title=f"{word} finding", severity=Severity.HIGH,
                             status="open", source_state="open", category="vulnerability", rule_key=f"{word}:rule", path=f"{word}.py",
                             details="{}", first_seen_at=1, digest=1, **empty, **ids)
    FindingRule.create(source=SOURCE, key=f"{word}:rule", name=f"{word} rule", description=word, cwe=[], url="", updated_at=1, **ids)
    verdict = Verdict.create(id=f"vrd_{word}", kind="ignored", level="asset", asset_id=asset.id, source=SOURCE, reason=f"{word} reason",
                             author=f"{word} person", created_at=1, settled_at=1, **ids)
    FindingKey.create(asset_id=asset.id, source_key=f"{word} before", finding_id=finding.id, **ids)
    SlaPolicy.create(group_id=group.id, critical=1, updated_at=1, **ids)
    AssetDue.create(asset_id=asset.id, due_day=1, open_findings=1, **ids)
    company = CwCompany.create(id=f"cwc_{word}", tenant="msp", cw_id=crc32(word.encode()) >> 1, identifier=word,
                               identifier_key=word, name=word,
                               name_key=word, data={"website": f"{word}.example"}, digest="", fetched_at=1, **ids)
    CwConfiguration.create(tenant="msp", cw_id=company.cw_id, company_cw_id=company.cw_id, name=f"{word} server", data={}, digest="",
                           fetched_at=1, **ids)
    user = make_user("customer_admin", customer=customer, email=f"{word}@example.test")
    role = roles.create(access.COMMAND, title=f"{word} role", moniker=f"{word}_role", permissions=["finding.list"], registry=NodeRegistry())
    access.grant_role(access.COMMAND, user, role.moniker, customer.id)
    access.grant_node(access.COMMAND, user, "finding.read", customer.id, NodeRegistry())
    make_token(user, name=f"{word} token", customer_id=customer.id)
    for node in ("credential.*", "credential_type.*"):
        access.grant_node(access.COMMAND, user, node, customer.id, NodeRegistry())
    kept, past = keep_a_credential(word, customer)
    return House(customer, word, asset.id, group.id, connection, run.id, finding_public_id(finding.id), verdict.id, kept, past, user, role,
                 ApiToken.get(ApiToken.customer_id == customer.id).id)


def keep_a_credential(word: str, customer: Customer) -> tuple[str, str]:
    """A credential with a plain and a secure value and one of before; ids of the credential and of the earlier value."""
    fields = [{"id": name, "name": name, "required": False, "secure": name == "password", "value_type": "plain_text"}
              for name in ("login", "password")]
    (CredentialType.insert(id=TYPE, name="VPN", name_key="vpn", permission_scope="vpn.credentials", fields=fields, created_at=1,
                           updated_at=1)
     .on_conflict_ignore().execute())
    plugins, keyring = Plugins(SETTINGS), Keyring(SETTINGS.master_key)
    given = [Given("login", f"{word} login"), Given("password", f"{word} password")]
    credential = credentials.create(keyring, plugins, customer.id, TYPE, f"{word} VPN", f"{word} notes", given, actor=f"{word} person")
    credentials.change(keyring, plugins, credential, [Given("login", f"{word} now")], actor=f"{word} person")
    return credential.id, str(PastValue.get(PastValue.credential == credential.id).id)


@pytest.fixture
def whole_app(database: str) -> Iterator[Flask]:
    yield create_app(replace(SETTINGS, database_url=database))
    if not db.is_closed():
        db.close()


@pytest.fixture
def mine(whole_app: Flask) -> House:
    return furnish("minethings")


@pytest.fixture
def theirs(whole_app: Flask) -> House:
    return furnish("theirthings")


def guarded_routes(app: Flask) -> Iterator[tuple[str, Rule, AccessRule]]:
    for route in app.url_map.iter_rules():
        rule = getattr(app.view_functions[route.endpoint], "access_rule", None)
        if rule is not None and not rule.public:
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, route, rule


def address(route: Rule, variables: dict[str, str]) -> str:
    return "".join(variables[meant(route, text)] if is_variable else text for is_variable, text in route._trace)[1:]


def meant(route: Rule, variable: str) -> str:
    """What a variable stands for: an ``identifier`` of the kind that the address is about, another one as it is called."""
    return next((kind for prefix, kind in IDENTIFIED.items() if variable == "identifier" and route.rule.startswith(prefix)), variable)


def meant_in(route: Rule) -> set[str]:
    return {meant(route, variable) for variable in route.arguments}


def fitting_bodies(route: Rule, house: House) -> list[dict[str, Any]]:
    """Bodies that a route which takes no other would carry out on things of this house."""
    decision = {"verdict": "ignored", "reason": "mine now"}
    return {
        "/api/findings/<finding_id>/verdict": [decision, {"verdict": "reopen"}],
        "/api/verdicts": [{**decision, **what} for what in (
            {"findingIds": [house.finding_id]}, {"assetId": house.asset_id}, {"filter": {"asset": house.asset_id}},
            {"filter": {"group": house.group_id}})],
        "/v1/user/users/<identifier>": [{"name": "Taken over"}, {"status": "disabled"}, {"permissions": []}, *(
            {"roles": ["customer_viewer"], **where} for where in ({}, {"companyId": house.customer.id}))],
        "/v1/user/users/<identifier>/check-permission": [{"permissions": ["finding.list"], "trace": True}],
        "/v1/user/service-accounts": [{"login": "spy", "roles": ["customer_viewer"], "companyId": house.customer.id},
                                      {"login": "spy", "roles": [house.role.id]}],
        "/v1/user/users/<identifier>/tokens": [{"name": "spy", "permissions": ["finding.list"], "companyId": house.customer.id}],
        "/v1/user/@me/tokens": [{"name": "spy", "companyId": house.customer.id}],
        "/v1/role/<identifier>/permissions": [{"permissions": ["finding.list"]}],
        "/v1/credential/credentials": [{"name": "Mine now", "typeId": TYPE, "companyId": house.customer.id,
                                        "fields": [{"fieldId": "login", "value": "me"}]}],
        "/v1/credential/credentials/<credential_id>": [{"name": "Mine now", "fields": [{"fieldId": "password", "value": "known"}]}],
        "/v1/credential/credentials/<credential_id>/fields": [{"fields": [{"fieldId": "password", "value": "known"}]}],
        "/api/sla-policy": [{"policy": None, "groups": [{"groupId": house.group_id, "critical": 9}]}],
    }.get(route.rule, [])


def fitting_forms(route: Rule, house: House) -> list[dict[str, Any]]:
    """Forms that a page would carry out on things of this house."""
    decision = {"verdict": "ignored", "reason": "mine now", "matched": "1"}
    return {
        "/findings/<finding_id>/verdict": [decision, {**decision, "scope": "asset"}],
        "/findings/decide": [{**decision, "about": "asset", "assetId": house.asset_id}],
        "/integrations/connectwise/review/<review_id>": [{"what": "ignore"}, {"what": "create", "name": "Mine now"}],
    }.get(route.rule, [])


def is_page(route: Rule) -> bool:
    return str(route.endpoint).startswith(("web.", "connectwise."))


def gathers(role: str, rule: AccessRule) -> bool:
    shipped = next(entry for entry in BUILT_IN_ROLES if entry.moniker == role)
    return all(any(node_matches(pattern, node) for pattern in shipped.nodes) for node in rule.nodes)


def ask(client: FlaskClient, method: str, at: str, sent: dict[str, Any] | None = None, **headers: str) -> Any:
    body = None if method == "GET" else sent or {}
    return client.open(at, method=method, json=body, headers={"Accept": "application/json", **headers})


def test_every_variable_in_an_address_has_a_value_here(whole_app, mine):
    named = {name for _, route, _ in guarded_routes(whole_app) for name in meant_in(route)}
    assert named <= set(mine.variables)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_the_routes_whose_nodes_it_gathers_and_no_other(whole_app, mine, role):
    is_of_customers = role in CUSTOMER_ROLES
    client = signed_in_client(whole_app, role, customer=mine.customer, active=mine.customer)
    wrong = []
    for method, route, rule in guarded_routes(whole_app):
        is_open = gathers(role, rule) and not (rule.customer is CustomerFrom.NONE and rule.nodes and is_of_customers)
        answer = ask(client, method, address(route, mine.variables), **{"x-customer-id": mine.customer.id})
        if not rule.nodes:
            continue  # what it may is decided by what it was sent
        if (answer.status_code == 403) is is_open or answer.status_code in (401, 500):
            wrong.append((method, route.rule, answer.status_code, is_open))
    assert wrong == []


def test_who_holds_nothing_opens_nothing(whole_app, mine):
    client = signed_in_client(whole_app)
    for method, route, rule in guarded_routes(whole_app):
        answer = ask(client, method, address(route, mine.variables), **{"x-customer-id": mine.customer.id})
        if rule.nodes:
            assert answer.status_code == 403, (method, route.rule)
        assert mine.word not in answer.text


@pytest.mark.parametrize("way", ["session", "token"])
def test_nothing_of_another_customer_is_shown_or_changed_whatever_is_asked(whole_app, mine, theirs, way):
    """A customer's administrator asks every route for things of another customer, naming it in path, headers, query and body."""
    if way == "session":
        client, extra = signed_in_client(whole_app, user=mine.user), {}
    else:
        client, extra = whole_app.test_client(), bearer(make_token(mine.user))
    before = theirs.rows()
    query = {"companyId": theirs.customer.id, "search": theirs.word, "text": theirs.word, "asset": theirs.asset_id,
             "group": theirs.group_id, "customerId": theirs.customer.id}
    body = {"customerId": theirs.customer.id, "groupId": theirs.group_id, "replaceMode": "all",
            "groups": [{"id": theirs.group_id, "name": "Taken over", "members": [{"type": "sonar_project", "id": theirs.asset_id}]}]}
    shown = []
    for method, route, _rule in guarded_routes(whole_app):
        for headers in ({}, {"x-customer-id": theirs.customer.id}, {"x-pacci-customer-id": theirs.customer.id}):
            for sent in ({}, body, *fitting_bodies(route, theirs), *fitting_forms(route, theirs)):
                carried = {} if method == "GET" else {"data" if is_page(route) and sent is not body else "json": sent}
                answer = client.open(address(route, theirs.variables), method=method, query_string=query if sent else {},
                                     headers={"Accept": "application/json", **headers, **extra}, **carried)
                assert answer.status_code != 500, (method, route.rule, answer.text)
                # a page may repeat what was searched for
                if theirs.word in answer.text.replace(theirs.user.email, "") and not (sent and _repeats_the_search(answer.text, theirs)):
                    shown.append((method, route.rule, headers, bool(sent)))
    assert shown == []
    assert theirs.rows() == before


def _repeats_the_search(text: str, house: House) -> bool:
    return house.word not in text.replace(f'value="{house.word}"', "").replace(f"text={house.word}", "").replace(f"_{house.word}", "")


@pytest.mark.parametrize("customer_from", [CustomerFrom.HEADER, CustomerFrom.HEADER_OR_SESSION, CustomerFrom.PATH])
def test_naming_another_customer_is_forbidden_whether_or_not_it_exists(whole_app, mine, theirs, customer_from):
    client = signed_in_client(whole_app, user=mine.user)
    asked = 0
    for method, route, rule in guarded_routes(whole_app):
        if rule.customer is customer_from:
            answers = []
            for customer_id in (theirs.customer.id, "cus_ghost"):
                at = address(route, {**theirs.variables, "customer_id": customer_id})
                answers.append(ask(client, method, at, **{"x-customer-id": customer_id}))
            assert {(answer.status_code, answer.text) for answer in answers} == {(403, answers[0].text)}, route.rule
            asked += 1
    assert asked


def test_ids_of_another_customer_are_unknown_and_look_like_any_unknown_id(whole_app, mine, theirs):
    client = signed_in_client(whole_app, user=mine.user)
    ghosts = {"run_id": "run_ghost", "finding_id": "fnd_ghost", "asset_id": "ast_ghost", "verdict_id": "vrd_ghost", "user_id": "usr_ghost",
              "role_id": "rol_ghost", "token_id": "tok_ghost", "credential_id": "crd_ghost", "company_id": "cus_ghost"}
    asked = 0
    for method, route, rule in guarded_routes(whole_app):
        if rule.customer is CustomerFrom.NONE and not gathers("customer_admin", rule):
            continue  # none of his business, whatever the id
        if rule.customer is not CustomerFrom.PATH and meant_in(route) & set(ghosts):
            sent = next(iter(fitting_bodies(route, theirs)), {})
            theirs_told, ghost_told = (ask(client, method, address(route, {**mine.variables, **given}), sent)
                                       for given in ({name: theirs.variables[name] for name in ghosts}, ghosts))
            assert (theirs_told.status_code, ghost_told.status_code) == (404, 404), (method, route.rule)
            asked += 1
    assert asked >= 5


def test_who_is_limited_to_groups_sees_nothing_beside_them(whole_app, mine):
    other = AssetGroup.create(id="grp_narrow", customer_id=mine.customer.id, name="narrow", created_at=1, updated_at=1)
    user = make_user("customer_viewer", customer=mine.customer)
    GroupLimit.create(customer_id=mine.customer.id, user_id=user.id, group_id=other.id)
    client = signed_in_client(whole_app, user=user)
    for at in ("/api/findings", f"/api/findings/{mine.finding_id}", "/api/assets", "/api/asset-groups", "/api/security-overview",
               "/api/dashboard/overview", "/api/dashboard/overview/sonar", "/api/dashboard/overview/sla", "/api/manage-assets",
               "/api/verdicts", "/api/sla-policy", "/findings", "/findings/verdicts", "/findings/sla-policy", "/explain", "/"):
        answer = ask(client, "GET", at, **{"x-customer-id": mine.customer.id})
        shown = answer.text.replace(mine.customer.name, "")
        assert mine.word not in shown, at
        assert answer.status_code in (200, 404), at
