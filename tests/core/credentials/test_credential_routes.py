"""Credentials by their routes: checks before writing, reveals and their events, earlier values, search, who sees what."""

import json
import re
from dataclasses import replace

import pytest

from core.access import service as access
from core.access.models import GroupLimit
from core.access.nodes import NodeRegistry
from core.audit.models import AuditEvent
from core.credentials.keyring import Keyring
from core.credentials.models import Credential, DataKey, PastValue, SealedValue
from core.credentials.service import store
from core.credentials.values import KEPT
from core.tenancy import service as tenancy
from tests.core.credentials.conftest import VPN_FIELDS, Vault
from tests.factories import SETTINGS, make_customer, make_user, signed_in_client

NOT_FOUND = (404, {"status": 404, "message": "Resource not found", "successful": False})
FORBIDDEN = (403, {"status": 403, "message": "Insufficient permissions", "successful": False})


def told(answer):
    return answer.status_code, answer.get_json()


def faults(answer):
    assert answer.status_code == 400, answer.text
    return {tuple(fault["path"]): fault["message"] for fault in answer.get_json()["errors"]}


def events(action):
    return list(AuditEvent.select().where(AuditEvent.action == action).order_by(AuditEvent.id))


# -- values are checked -------------------------------------------------------------------------------------------------------


def test_all_faults_are_told_and_nothing_is_written(vault, acme):
    credential = vault.make(vault.make_type(), acme)
    before = (vault.plain(credential), vault.secure(credential))
    answer = vault.ask("PATCH", f"/credentials/{credential}", json={"name": "New name", "fields": [
        {"fieldId": "login", "value": "bob"}, {"fieldId": "address", "value": "nowhere"}, {"fieldId": "password", "value": ""},
        {"fieldId": "unknown", "value": "x"}, {"fieldId": "login", "value": "eve"}]})
    assert faults(answer) == {
        ("fields", 1, "value"): "Must be an IPv4 or IPv6 address, without a port or prefix length.",
        ("fields", 2, "value"): "Field is required", ("fields", 3, "fieldId"): "The credential's type has no such field.",
        ("fields", 4, "fieldId"): "The field is given twice."}
    assert (vault.plain(credential), vault.secure(credential)) == before
    assert vault.data("GET", f"/credentials/{credential}")["name"] == "Office"


def test_a_new_credential_needs_its_required_fields_a_type_and_a_company(vault, acme):
    type_id = vault.make_type()
    sent = {"name": "x", "typeId": type_id, "companyId": acme.id, "fields": [{"fieldId": "login", "value": "ada"}]}
    assert faults(vault.ask("POST", "/credentials", json=sent)) == {("fields", "password"): "Field is required"}
    assert faults(vault.ask("POST", "/credentials", json={**sent, "typeId": "cty_ghost"})) == {
        ("typeId",): "There is no such credential type."}
    assert faults(vault.ask("POST", "/credentials", json={**sent, "companyId": "cus_ghost"})) == {
        ("companyId",): "There is no such company."}
    assert Credential.select().count() == 0


def test_putting_fields_keeps_those_that_are_not_named_and_asks_for_required_ones(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme, address="192.0.2.1")
    fields = [*VPN_FIELDS, {"id": "realm", "name": "Realm", "required": True, "secure": False, "valueType": "plain_text"}]
    vault.data("PATCH", f"-type/{type_id}", json={"fields": fields})
    sent = {"fields": [{"fieldId": "password", "value": "new"}]}
    assert faults(vault.ask("PUT", f"/credentials/{credential}/fields", json=sent)) == {("fields", "realm"): "Field is required"}
    sent["fields"].append({"fieldId": "realm", "value": "north"})
    vault.data("PUT", f"/credentials/{credential}/fields", json=sent)
    assert vault.plain(credential) == {"login": "ada", "address": "192.0.2.1", "password": None, "seed": None, "realm": "north"}
    assert vault.secure(credential) == {"password": "new"}


def test_an_optional_value_is_taken_away_by_an_empty_one(vault, acme):
    credential = vault.make(vault.make_type(), acme, address="192.0.2.1", seed="abc")
    assert vault.put(credential, address=None, seed="").status_code == 200
    assert vault.plain(credential)["address"] is None
    assert vault.secure(credential) == {"password": "s3cret"}
    assert vault.data("GET", f"/credentials/{credential}/secure-values/seed") == {"fieldId": "seed", "value": None}


def test_null_which_secure_values_are_shown_as_leaves_them_as_they_are(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme, seed="abc")
    assert vault.put(credential, password=None, seed=None).status_code == 200
    assert vault.secure(credential) == {"password": "s3cret", "seed": "abc"}
    sent = {"name": "x", "typeId": type_id, "companyId": acme.id, "fields": [{"fieldId": "login", "value": "ada"},
                                                                             {"fieldId": "password", "value": None}]}
    assert faults(vault.ask("POST", "/credentials", json=sent)) == {("fields", 1, "value"): "Field is required"}


@pytest.mark.parametrize("value", ["päss\nwörd 🐟\ttab", " spaces around ", "v3.1.AAAA", "{}", "x" * 60_000])
def test_what_is_stored_is_what_is_read(vault, acme, value):
    credential = vault.make(vault.make_type(), acme, seed=value)
    assert vault.secure(credential)["seed"] == value


def test_nothing_is_written_for_what_stays_as_it_is(vault, acme):
    credential = vault.make(vault.make_type(), acme)
    assert vault.put(credential, login="ada").status_code == 200
    assert vault.history(credential) == []
    assert events("credential.changed") == []


# -- the envelope -------------------------------------------------------------------------------------------------------------


def stored(vault, credential):
    return {one["fieldId"]: one["value"] for one in vault.data("GET", f"/credentials/{credential}/fields")}


def test_stored_fields_show_secure_values_in_a_versioned_envelope_and_record_no_reveal(vault, acme):
    credential = vault.make(vault.make_type(), acme, address="192.0.2.1")
    shown = stored(vault, credential)
    assert (shown["login"], shown["address"], shown["seed"]) == ("ada", "192.0.2.1", None)
    assert re.fullmatch(r"v3\.1\.[A-Za-z0-9+/]+=*", shown["password"])
    assert events("credential.revealed") == []


def test_an_envelope_that_is_sent_back_changes_nothing(vault, acme):
    credential = vault.make(vault.make_type(), acme)
    sent = [{"fieldId": field, "value": value} for field, value in stored(vault, credential).items() if value is not None]
    vault.data("PUT", f"/credentials/{credential}/fields", json={"fields": sent})
    assert vault.secure(credential) == {"password": "s3cret"}
    assert PastValue.select().count() == 0


def test_an_envelope_of_elsewhere_or_of_before_is_refused_in_place_of_being_stored(vault, acme):
    type_id = vault.make_type()
    credential, other = vault.make(type_id, acme), vault.make(type_id, acme, seed="abc")
    before = stored(vault, credential)["password"]
    vault.put(credential, password="new")
    for field, envelope in (("password", before), ("password", stored(vault, other)["password"]), ("seed", stored(vault, other)["seed"])):
        assert list(faults(vault.put(credential, **{field: envelope}))) == [("fields", 0, "value")]
    assert vault.secure(credential) == {"password": "new"}


# -- reveals ------------------------------------------------------------------------------------------------------------------


def test_every_reveal_is_recorded_with_who_from_where_and_why(vault, acme):
    credential = vault.make(vault.make_type(), acme, seed="abc")
    vault.data("GET", f"/credentials/{credential}/secure-values", headers={"x-reveal-reason": "  the router is\tdown "})
    vault.data("GET", f"/credentials/{credential}/secure-values/seed?reason=audit")
    vault.data("GET", f"/credentials/{credential}/secure-values/seed")
    found = events("credential.revealed")
    assert [(one.customer_id, one.target, one.details) for one in found] == [
        (acme.id, credential, {"fields": ["password", "seed"], "reason": "the router is down"}),
        (acme.id, credential, {"fields": ["seed"], "reason": "audit"}), (acme.id, credential, {"fields": ["seed"], "reason": ""})]
    assert {(one.address, one.via) for one in found} == {("127.0.0.1", "session")}
    assert all(one.actor.startswith("user") for one in found)


def test_nothing_but_the_reveal_itself_is_recorded_as_one_and_only_the_asked_value_is_opened(vault, acme):
    credential = vault.make(vault.make_type(), acme, seed="abc")
    for rest in ("", "/fields", "/history"):
        vault.data("GET", f"/credentials/{credential}{rest}")
    SealedValue.update(sealed=b"broken").where(SealedValue.field == "password").execute()
    assert vault.data("GET", f"/credentials/{credential}/secure-values/seed")["value"] == "abc"
    assert len(events("credential.revealed")) == 1


@pytest.mark.parametrize("reason", ["x" * 501, "\u202e"])
def test_a_reason_that_cannot_be_kept_is_refused(vault, acme, reason):
    credential = vault.make(vault.make_type(), acme)
    assert vault.ask("GET", f"/credentials/{credential}/secure-values", query_string={"reason": reason}).status_code == 400
    assert events("credential.revealed") == []


def test_a_policy_can_require_the_reason(app, vault, acme):
    credential = vault.make(vault.make_type(), acme)
    deployment = app.extensions["stockade"]
    app.extensions["stockade"] = deployment_requiring_reasons(deployment)
    for rest in ("", "/password"):
        answer = vault.ask("GET", f"/credentials/{credential}/secure-values{rest}", headers={"x-reveal-reason": " "})
        assert (answer.status_code, answer.get_json()["error"]) == (400, "RevealReasonRequired")
    assert events("credential.revealed") == []
    answer = vault.ask("GET", f"/credentials/{credential}/secure-values/password", headers={"x-reveal-reason": "the router is down"})
    assert answer.get_json()["data"] == {"fieldId": "password", "value": "s3cret"}


def deployment_requiring_reasons(deployment):
    return replace(deployment, settings=replace(deployment.settings, reveal_reason="required"))


def test_an_answer_with_secrets_is_kept_by_nobody(vault, acme):
    credential = vault.make(vault.make_type(), acme)
    assert vault.ask("GET", f"/credentials/{credential}/secure-values").headers["Cache-Control"] == "no-store"


def test_a_destroyed_key_is_told(vault, acme):
    credential = vault.make(vault.make_type(), acme)
    DataKey.delete().where(DataKey.customer_id == acme.id).execute()
    answer = vault.ask("GET", f"/credentials/{credential}/secure-values")
    assert (answer.status_code, answer.get_json()["error"]) == (409, "SecretsDestroyed")


# -- earlier values -----------------------------------------------------------------------------------------------------------


def test_earlier_values_are_listed_without_secrets_and_restored(vault, acme):
    credential = vault.make(vault.make_type(), acme)
    vault.put(credential, login="bob", password="second")
    vault.put(credential, password="third")
    shown = vault.history(credential)
    assert [(one["fieldId"], one["secure"], one["value"]) for one in shown] == [
        ("password", True, None), ("password", True, None), ("login", False, "ada")]
    assert all(one["replacedBy"] and one["setAt"] and one["replacedAt"] for one in shown)
    vault.data("POST", f"/credentials/{credential}/history/{shown[1]['id']}/restore")
    vault.data("POST", f"/credentials/{credential}/history/{shown[2]['id']}/restore")
    assert vault.secure(credential) == {"password": "s3cret"}
    assert vault.plain(credential)["login"] == "ada"
    assert [one["fieldId"] for one in vault.history(credential)][:2] == ["login", "password"]  # what they replaced
    assert [one.details["field"] for one in events("credential.restored")] == ["password", "login"]


def test_twenty_earlier_values_of_each_field_are_kept(vault, acme):
    credential = vault.make(vault.make_type(), acme)
    for number in range(KEPT + 3):
        vault.put(credential, login=f"ada {number}")
    vault.put(credential, password="second")
    logins = vault.data("GET", f"/credentials/{credential}/history?fieldId=login")
    assert [one["value"] for one in logins] == [f"ada {number}" for number in range(KEPT + 1, 1, -1)]
    assert len(vault.history(credential)) == KEPT + 1


def test_an_earlier_value_of_another_credential_is_not_there(vault, acme, globex):
    type_id = vault.make_type()
    mine, other = vault.make(type_id, acme), vault.make(type_id, globex)
    vault.put(other, password="second")
    past = vault.history(other)[0]["id"]
    for past_id in (past, "0", "ghost"):
        assert told(vault.ask("POST", f"/credentials/{mine}/history/{past_id}/restore")) == NOT_FOUND
    assert vault.secure(mine) == {"password": "s3cret"}


# -- search -------------------------------------------------------------------------------------------------------------------


def names(vault, **query):
    return [one["name"] for one in vault.data("GET", "/credentials", query_string=query)]


def test_search_looks_at_names_and_plain_fields_in_any_case_and_never_at_secrets(vault, acme, globex):
    type_id, other = vault.make_type(), vault.make_type("Other", "other.credentials", [])
    vault.make(type_id, acme, "Office", login="Ada.Lovelace", password="office-secret")
    vault.make(type_id, globex, "Warehouse", login="bob", password="ada")
    vault.data("POST", "/credentials", json={"name": "Adapter", "typeId": other, "companyId": acme.id})
    assert names(vault) == ["Adapter", "Office", "Warehouse"]
    assert names(vault, search="ADA") == ["Adapter", "Office"]
    assert names(vault, search="secret") == names(vault, search="v3.1") == names(vault, search="%") == names(vault, search="_") == []
    assert names(vault, search="ada", companyId=acme.id, typeId=type_id) == ["Office"]
    assert names(vault, companyId=globex.id) == ["Warehouse"]
    assert names(vault, companyId="cus_ghost") == names(vault, typeId="cty_ghost") == []


def test_search_is_paged_and_costs_the_same_however_many_there_are(vault, acme, globex, statements):
    type_id = vault.make_type()
    counts = []
    for number in range(6):
        vault.make(type_id, (acme, globex)[number % 2], f"Office {number}")
        if number % 4 == 1:
            with statements() as executed:
                vault.ask("GET", "/credentials")
            counts.append(len(executed))
    assert counts[0] == counts[1]
    answer = vault.ask("GET", "/credentials?rpp=4&page=2").get_json()
    assert [one["name"] for one in answer["data"]] == ["Office 4", "Office 5"]
    assert answer["pagination"] == {"previousPage": 1, "currentPage": 2, "nextPage": None, "totalPages": 2, "totalRecords": 6,
                                    "listedRecords": 2}


# -- who sees what ------------------------------------------------------------------------------------------------------------


def reading(credential):
    beneath = ("", "/fields", "/secure-values", "/secure-values/password", "/history")
    return [("GET", f"/credentials/{credential}{rest}") for rest in beneath]


def changing(credential):
    body = {"fields": [{"fieldId": "password", "value": "taken"}]}
    return [("PATCH", f"/credentials/{credential}", body), ("PUT", f"/credentials/{credential}/fields", body),
            ("POST", f"/credentials/{credential}/history/1/restore", None), ("DELETE", f"/credentials/{credential}", None)]


def test_credentials_of_another_customer_are_not_there(vault, vault_of, acme, globex):
    type_id = vault.make_type()
    mine, theirs = vault.make(type_id, acme), vault.make(type_id, globex)
    own = vault_of("credential.*", "credential_type.*", customer=acme)
    for method, rest in reading(theirs):
        assert told(own.ask(method, rest)) == told(own.ask(method, rest.replace(theirs, "crd_ghost"))) == NOT_FOUND
    for method, rest, body in changing(theirs):
        assert told(own.ask(method, rest, json=body)) == told(own.ask(method, rest.replace(theirs, "crd_ghost"), json=body)) == NOT_FOUND
    assert told(own.ask("GET", f"/credentials/company/{globex.id}")) == told(own.ask("GET", "/credentials/company/cus_ghost")) == NOT_FOUND
    sent = {"name": "x", "typeId": type_id, "companyId": globex.id, "fields": []}
    ghost = {**sent, "companyId": "cus_ghost"}
    assert told(own.ask("POST", "/credentials", json=sent)) == told(own.ask("POST", "/credentials", json=ghost))
    assert [one["id"] for one in own.data("GET", "/credentials")] == [mine]
    assert [one["id"] for one in own.data("GET", f"-type/{type_id}/credentials")] == [mine]
    assert own.data("GET", f"-type/{type_id}")["credentialCount"] == 1
    assert vault.data("GET", f"-type/{type_id}")["credentialCount"] == 2
    assert vault.secure(theirs) == {"password": "s3cret"}


def test_types_are_read_by_whoever_may_anywhere_and_changed_by_whoever_may_everywhere(vault, vault_of, acme):
    type_id = vault.make_type()
    own = vault_of("credential_type.*", customer=acme)
    assert own.data("GET", f"-type/{type_id}")["name"] == "VPN"
    for method, rest in (("POST", "-type"), ("PATCH", f"-type/{type_id}"), ("DELETE", f"-type/{type_id}")):
        assert told(own.ask(method, rest, json=None if method == "DELETE" else {"name": "x"})) == FORBIDDEN


def test_a_scope_opens_the_credentials_of_its_types_and_no_others(vault, vault_of, acme, globex):
    vpn, cloud = vault.make_type(), vault.make_type("Cloud", "cloud.credentials")
    seen, other, elsewhere = vault.make(vpn, acme, "VPN"), vault.make(cloud, acme, "Cloud"), vault.make(vpn, globex)
    own = vault_of("vpn.credentials.*", customer=acme)
    assert own.secure(seen) == {"password": "s3cret"}
    assert own.put(seen, login="bob").status_code == 200
    for method, rest in (*reading(other), *reading(elsewhere)):
        assert told(own.ask(method, rest)) == NOT_FOUND
    assert names(own) == ["VPN"]
    assert [one["name"] for one in own.data("GET", f"/credentials/company/{acme.id}")] == ["VPN"]
    sent = {"name": "x", "companyId": acme.id, "fields": [{"fieldId": "login", "value": "a"}, {"fieldId": "password", "value": "b"}]}
    assert own.ask("POST", "/credentials", json={**sent, "typeId": vpn}).status_code == 201
    assert told(own.ask("POST", "/credentials", json={**sent, "typeId": cloud})) == FORBIDDEN


def test_a_single_node_of_a_scope_opens_that_alone(vault, vault_of, acme):
    credential = vault.make(vault.make_type(), acme)
    own = vault_of("vpn.credentials.fetch", customer=acme)
    assert own.plain(credential)["login"] == "ada"
    for method, rest in reading(credential)[1:]:
        assert told(own.ask(method, rest)) == FORBIDDEN
    everywhere = vault_of("vpn.credentials.fetch", "credential.secure_values.read")  # one by scope, one for all types
    assert everywhere.secure(credential) == {"password": "s3cret"}
    assert told(everywhere.ask("DELETE", f"/credentials/{credential}")) == FORBIDDEN


def test_who_may_see_a_credential_but_not_this_is_told_so(vault, vault_of, acme, globex):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme)
    own = vault_of("credential.fetch", customer=acme)
    assert told(own.ask("GET", f"/credentials/{credential}/secure-values")) == FORBIDDEN
    two = make_user()
    access.grant_node(access.COMMAND, two, "credential.fetch", acme.id, NodeRegistry())
    access.grant_node(access.COMMAND, two, "credential.*", globex.id, NodeRegistry())
    mixed = Vault(signed_in_client(vault.client.application, user=two))
    assert told(mixed.ask("GET", f"/credentials/{credential}/secure-values")) == FORBIDDEN  # held, but in the other customer
    assert mixed.plain(credential)["login"] == "ada"


def test_a_disabled_customer_is_shut_for_its_users_and_open_for_the_msp(vault, vault_of, acme):
    credential = vault.make(vault.make_type(), acme)
    own = vault_of("credential.*", customer=acme)
    tenancy.change(acme.id, status="disabled", actor="test")
    assert told(own.ask("GET", f"/credentials/{credential}")) == told(own.ask("GET", f"/credentials/company/{acme.id}")) == NOT_FOUND
    assert own.data("GET", "/credentials") == []
    assert vault.plain(credential)["login"] == "ada"


def test_who_is_limited_to_groups_sees_no_credentials(app, vault, acme):
    credential = vault.make(vault.make_type(), acme)
    user = make_user("msp_admin")
    GroupLimit.create(customer_id=acme.id, user_id=user.id, group_id="grp_x")
    limited = Vault(signed_in_client(app, user=user))
    assert told(limited.ask("GET", f"/credentials/{credential}")) == NOT_FOUND
    assert limited.data("GET", "/credentials") == []


# -- connections' credentials -------------------------------------------------------------------------------------------------


@pytest.fixture
def of_connection(portal):
    """A whole app with a scripted source, one of whose connections keeps a secret."""
    customer = make_customer("Initech")
    vault = Vault(signed_in_client(portal, "msp_admin"))
    kind = next(one for one in vault.data("GET", "-type") if one["id"].startswith("connection."))
    return vault, customer, kind, store(Keyring(SETTINGS.master_key), customer.id, kind["id"], "Scripted",
                                        {kind["fields"][0]["id"]: "token of the source"}, actor="test")


def test_connections_types_come_from_their_plugins_and_are_changed_by_nobody(of_connection):
    vault, _, kind, _ = of_connection
    assert (kind["permissionScope"], kind["icon"]) == ("connection.credentials", None)
    assert all(field["secure"] for field in kind["fields"])
    assert vault.data("GET", f"-type/{kind['name']}")["id"] == kind["id"]
    for answer in (vault.ask("PATCH", f"-type/{kind['id']}", json={"name": "x"}), vault.ask("DELETE", f"-type/{kind['id']}"),
                   vault.ask("DELETE", f"-type/{kind['id']}?dryRun=true")):
        assert (answer.status_code, answer.get_json()["error"]) == (409, "CredentialTypeOfPlugin")


def test_connections_credentials_are_listed_and_read_and_changed_elsewhere(of_connection):
    vault, customer, kind, credential = of_connection
    assert [one["id"] for one in vault.data("GET", f"/credentials/company/{customer.id}")] == [credential]
    assert vault.secure(credential) == {kind["fields"][0]["id"]: "token of the source"}
    sent = {"name": "x", "typeId": kind["id"], "companyId": customer.id, "fields": []}
    for answer in (vault.put(credential, **{kind["fields"][0]["id"]: "x"}), vault.ask("DELETE", f"/credentials/{credential}"),
                   vault.ask("POST", "/credentials", json=sent)):
        assert (answer.status_code, answer.get_json()["error"]) == (409, "CredentialOfConnection")
    assert vault.secure(credential) == {kind["fields"][0]["id"]: "token of the source"}


def test_the_msps_own_connections_are_of_no_company(of_connection):
    vault, _, kind, credential = of_connection
    house = store(Keyring(SETTINGS.master_key), "house", kind["id"], "House", {kind["fields"][0]["id"]: "x"}, actor="test")
    assert [one["id"] for one in vault.data("GET", "/credentials")] == [credential]
    assert told(vault.ask("GET", f"/credentials/{house}")) == NOT_FOUND


# -- whatever is sent ---------------------------------------------------------------------------------------------------------

ODD = [None, True, -1, 1.5, 10**30, "", "x" * 70_000, "\x00", "\ud800", "\u200b", [], {}, [None], [[]], [{}], {"a": {}}]


def test_whatever_is_sent_about_things_that_are_there_is_refused_or_done_and_never_breaks(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme)
    new = {"name": "x", "typeId": type_id, "companyId": acme.id, "fields": [{"fieldId": "login", "value": "a"}]}
    routes = [("POST", "/credentials", new, ("name", "notes", "typeId", "companyId", "fields")),
              ("PATCH", f"/credentials/{credential}", {}, ("name", "notes", "fields")),
              ("PUT", f"/credentials/{credential}/fields", {}, ("fields",)),
              ("PATCH", f"-type/{type_id}", {}, ("name", "permissionScope", "icon", "fields"))]
    for method, rest, body, members in routes:
        for member in members:
            for value in ODD:
                for sent in (value, [{"fieldId": "login", "value": value}], [{"fieldId": value, "value": "x"}],
                             [{"id": value, "name": "x"}], [{"id": "x", "name": value, "valueType": value, "secure": value}]):
                    if member == "fields" or sent is value:
                        text = json.dumps({**body, member: sent})
                        answer = vault.ask(method, rest, data=text, content_type="application/json")
                        assert answer.status_code < 500, (method, rest, member, sent, answer.text)
    for query in ("search", "companyId", "typeId", "page", "rpp", "fieldId", "reason", "dryRun"):
        for text in ("-1", "9" * 30, "x" * 3000, "a\x00b", "é🐟", "'\"--", "%", "..", " "):
            for rest in ("/credentials", f"/credentials/{credential}/history", f"/credentials/{credential}/secure-values"):
                assert vault.ask("GET", rest, query_string={query: text}).status_code < 500, (rest, query, text)
