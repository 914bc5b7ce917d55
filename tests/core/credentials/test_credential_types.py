"""Types of credentials: what may be made, and what becomes of their credentials when they change."""

import sqlite3
import threading
from pathlib import Path

import pytest

from core.access import scopes
from core.audit.models import AuditEvent
from core.credentials import types
from core.credentials.models import Credential, PlainValue, SealedValue
from core.db import atomic, db
from tests.core.credentials.conftest import VPN_FIELDS
from tests.core.credentials.test_credential_routes import FORBIDDEN, NOT_FOUND, faults, names, told
from tests.servers import eventually_waits

LOGIN, ADDRESS, PASSWORD, SEED = VPN_FIELDS


def change(vault, type_id, *fields):
    return vault.ask("PATCH", f"-type/{type_id}", json={"fields": list(fields)})


# -- what may be made ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changed", "path"), [
    ({"name": ""}, ("name",)), ({"name": None}, ("name",)), ({"permissionScope": "two words"}, ("permissionScope",)),
    ({"permissionScope": "*"}, ("permissionScope",)), ({"permissionScope": "vpn.*"}, ("permissionScope",)),
    ({"permissionScope": "finding.secrets"}, ("permissionScope",)), ({"permissionScope": "Credential.x"}, ("permissionScope",)),
    ({"permissionScope": "connection.x"}, ("permissionScope",)), ({"icon": "javascript:alert(1)"}, ("icon",)),
    ({"name": "\u200b"}, ("name",)), ({"fields": [{**LOGIN, "valueType": "sms"}]}, ("fields", 0, "valueType")),
    ({"fields": [{**LOGIN, "id": "two words"}]}, ("fields", 0, "id")),
    ({"fields": [LOGIN, PASSWORD, LOGIN]}, ("fields", 2, "id")), ({"fields": [{**LOGIN, "secret": True}]}, ("fields", 0, "secret")),
    ({"fields": [LOGIN] * 101}, ("fields",))])
def test_what_makes_no_type_is_refused_with_its_place(vault, changed, path):
    sent = {"name": "VPN", "permissionScope": "vpn.credentials", "fields": [LOGIN], **changed}
    assert path in faults(vault.ask("POST", "-type", json=sent))
    assert [one for one in vault.data("GET", "-type") if one["name"] == "VPN"] == []


def test_a_name_is_taken_once_to_the_eye(vault):
    type_id = vault.make_type("Café VPN")
    other = vault.make_type("Other")
    for answer in (vault.ask("POST", "-type", json={"name": "ＣＡＦÉ  vpn", "permissionScope": "x.credentials", "fields": []}),
                   vault.ask("PATCH", f"-type/{other}", json={"name": "café vpn"})):
        assert (answer.status_code, answer.get_json()["error"]) == (409, "CredentialTypeExists")
    assert vault.data("PATCH", f"-type/{type_id}", json={"name": "CAFÉ VPN"})["name"] == "CAFÉ VPN"


@pytest.mark.parametrize("identifier", ["cty_ghost", "nobody", "%E2%80%8B", "connection.ghost", " "])
def test_a_type_that_is_not_there_is_not_found(vault, identifier):
    assert told(vault.ask("GET", f"-type/{identifier}")) == NOT_FOUND


# -- its credentials follow ---------------------------------------------------------------------------------------------------


def test_a_field_that_becomes_secure_is_sealed_at_once_in_every_customer(vault, acme, globex):
    type_id = vault.make_type()
    kept = {vault.make(type_id, customer, login=f"login of {customer.name}"): customer for customer in (acme, globex)}
    untouched = vault.make(vault.make_type("Other", "other.credentials"), acme, login="stays plain")
    assert change(vault, type_id, {**LOGIN, "secure": True}, PASSWORD).status_code == 200
    assert {row.value for row in PlainValue.select()} == {"stays plain"}
    for credential, customer in kept.items():
        assert vault.plain(credential) == {"login": None, "password": None}
        assert vault.secure(credential) == {"login": f"login of {customer.name}", "password": "s3cret"}
    assert vault.plain(untouched)["login"] == "stays plain"


# PostgreSQL reuses the space of deleted rows in its own time, as docs/operators.md says
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_plain_text_is_gone_from_the_file_when_a_field_becomes_secure(vault, acme):
    type_id = vault.make_type()
    vault.make(type_id, acme, login="canary-that-was-plain" * 20)
    change(vault, type_id, {**LOGIN, "secure": True}, PASSWORD)
    db.close_all()
    path = Path(db.obj.database)
    assert [one.name for one in path.parent.glob(path.name + "*") if b"canary-that-was-plain" in one.read_bytes()] == []
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_field_with_sealed_values_never_becomes_plain(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme)
    plain = {**PASSWORD, "secure": False}
    assert faults(change(vault, type_id, LOGIN, plain)) == {
        ("fields", 1, "secure"): "There are sealed values of this field. Give the plain one another id."}
    change(vault, type_id, LOGIN)
    assert list(faults(change(vault, type_id, plain))) == [("fields", 0, "secure")]  # nor by way of being left out
    assert vault.plain(credential) == {"login": "ada"}
    assert change(vault, type_id, LOGIN, PASSWORD, {**SEED, "secure": False}).status_code == 200  # nobody had a value of this one


def test_a_field_that_is_left_out_is_unseen_and_back_when_it_returns(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme, address="192.0.2.1", seed="abc")
    change(vault, type_id, LOGIN, PASSWORD)
    assert vault.plain(credential) == {"login": "ada", "password": None}
    assert vault.secure(credential) == {"password": "s3cret"}
    assert vault.ask("GET", f"/credentials/{credential}/secure-values/seed").status_code == 404
    assert names(vault, search="192.0.2.1") == []
    change(vault, type_id, LOGIN, PASSWORD, SEED, {**ADDRESS, "name": "Gateway"})
    assert vault.plain(credential)["address"] == "192.0.2.1"
    assert vault.secure(credential) == {"password": "s3cret", "seed": "abc"}


def test_a_plain_field_that_returns_as_a_secure_one_is_sealed(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme, address="192.0.2.1")
    change(vault, type_id, LOGIN, PASSWORD)
    change(vault, type_id, LOGIN, PASSWORD, {**ADDRESS, "secure": True})
    assert PlainValue.select().where(PlainValue.field == "address").count() == 0
    assert vault.secure(credential) == {"address": "192.0.2.1", "password": "s3cret"}


def test_earlier_values_follow_what_a_field_is_now(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme)
    vault.put(credential, login="bob")
    change(vault, type_id, {**LOGIN, "secure": True}, PASSWORD)
    assert [one["value"] for one in vault.history(credential)] == [None]
    vault.data("POST", f"/credentials/{credential}/history/{vault.history(credential)[0]['id']}/restore")
    assert vault.secure(credential)["login"] == "ada"
    change(vault, type_id, PASSWORD)
    answer = vault.ask("POST", f"/credentials/{credential}/history/{vault.history(credential)[0]['id']}/restore")
    assert (answer.status_code, answer.get_json()["message"]) == (409, "The credential's type has no field login now")


def test_what_a_field_had_before_it_became_secure_stays_hidden_when_it_is_left_out(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme, login="was plain")
    vault.put(credential, login="bob")
    assert [one["value"] for one in vault.history(credential)] == ["was plain"]
    change(vault, type_id, {**LOGIN, "secure": True}, PASSWORD)
    change(vault, type_id, PASSWORD)
    assert [(one["value"], one["secure"]) for one in vault.history(credential)] == [(None, True)]


def test_a_scope_stays_while_another_type_takes_it_over_at_once(vault, acme):
    gone = vault.make_type("Old", "shared.credentials")
    plugins, failures = vault.client.application.extensions["stockade"].plugins, []

    def delete_the_old_one() -> None:
        try:
            types.delete(gone, actor="test")
        except Exception as problem:  # noqa: BLE001 - told by the test's own thread
            failures.append(problem)
        finally:
            db.close()

    deleting = threading.Thread(target=delete_the_old_one)
    with atomic():
        types.create(plugins, name="New", permission_scope="shared.credentials", icon=None, fields=[], actor="test")
        deleting.start()
        eventually_waits(deleting)
    deleting.join(30)
    assert (failures, "shared.credentials" in scopes.in_use()) == ([], True)


def test_a_renamed_field_keeps_its_values(vault, acme):
    type_id = vault.make_type()
    credential = vault.make(type_id, acme)
    change(vault, type_id, {**LOGIN, "name": "User name"}, {**PASSWORD, "name": "Passphrase"})
    assert [field["name"] for field in vault.data("GET", f"/credentials/{credential}")["fields"]] == ["User name", "Passphrase"]
    assert (vault.plain(credential)["login"], vault.secure(credential)["password"]) == ("ada", "s3cret")


def test_a_change_that_is_refused_changes_nothing(vault, acme):
    type_id = vault.make_type()
    vault.make(type_id, acme)
    before = [row.__data__ for model in (PlainValue, SealedValue) for row in model.select()]
    assert change(vault, type_id, {**LOGIN, "secure": True}, {**PASSWORD, "secure": False}).status_code == 400
    assert [row.__data__ for model in (PlainValue, SealedValue) for row in model.select()] == before


def test_sealing_costs_the_same_statements_however_many_there_are(vault, acme, globex, statements):
    counts = []
    for each in (1, 8):
        type_id = vault.make_type(f"VPN {each}")
        for number in range(each):
            vault.make(type_id, (acme, globex)[number % 2])
        with statements() as executed:
            assert change(vault, type_id, {**LOGIN, "secure": True}).status_code == 200
        counts.append(len(executed))
    assert counts[0] == counts[1]


def test_what_changed_is_recorded_with_the_difference(vault):
    type_id = vault.make_type()
    vault.data("PATCH", f"-type/{type_id}", json={"name": "New", "fields": [LOGIN]})
    details = AuditEvent.select().where(AuditEvent.action == "credential_type.changed").get().details
    assert details["name"] == {"from": "VPN", "to": "New"}
    assert details["fields"]["to"] == [{"id": "login", "secure": False, "valueType": "plain_text"}]


# -- the scope ----------------------------------------------------------------------------------------------------------------


def test_changing_the_scope_of_a_type_with_credentials_takes_all_that_it_gives(vault, vault_of, acme):
    type_id = vault.make_type()
    keeper = vault_of("credential_type.*")
    assert keeper.data("PATCH", f"-type/{type_id}", json={"permissionScope": "mine.credentials"})["id"] == type_id  # nothing to give yet
    credential = vault.make(type_id, acme)
    answer = keeper.ask("PATCH", f"-type/{type_id}", json={"permissionScope": "vpn.credentials"})
    assert (answer.status_code, "takes all permissions" in answer.get_json()["message"]) == (403, True)
    own = vault_of("mine.credentials.*", customer=acme)
    assert own.plain(credential)["login"] == "ada"
    vault.data("PATCH", f"-type/{type_id}", json={"permissionScope": "vpn.credentials"})
    assert told(own.ask("GET", f"/credentials/{credential}")) == FORBIDDEN  # nobody has the scope mine.credentials any more


# -- deleting -----------------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_a_deletion_would_take_along_and_takes_nothing(vault, acme, globex):
    type_id = vault.make_type()
    for customer in (acme, acme, globex):
        vault.make(type_id, customer)
    answer = vault.ask("DELETE", f"-type/{type_id}?dryRun=true").get_json()
    assert answer["message"] == "Nothing was deleted: this is what would be."
    assert answer["data"]["credentials"] == 3
    assert {(one["companyId"], one["company"], one["credentials"]) for one in answer["data"]["companies"]} == {
        (acme.id, "Acme", 2), (globex.id, "Globex", 1)}
    assert Credential.select().count() == 3
    assert told(vault.ask("DELETE", "-type/cty_ghost?dryRun=true")) == NOT_FOUND


def test_a_deletion_takes_its_credentials_along_and_is_recorded_for_each_customer(vault, acme, globex):
    type_id, other = vault.make_type(), vault.make_type("Other", "other.credentials")
    for customer in (acme, globex):
        vault.make(type_id, customer)
    stays = vault.make(other, acme)
    vault.data("DELETE", f"-type/{type_id}")
    assert [row.id for row in Credential.select()] == [stays]
    assert {row.credential_id for model in (PlainValue, SealedValue) for row in model.select()} == {stays}
    gone = AuditEvent.select().where(AuditEvent.action == "credential.deleted")
    assert {(one.customer_id, one.details["credentials"]) for one in gone} == {(acme.id, 1), (globex.id, 1)}
    assert told(vault.ask("DELETE", f"-type/{type_id}")) == NOT_FOUND
