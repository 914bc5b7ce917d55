"""Secrets of customers: sealed, bound to their place, audited, and gone when their key is."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.audit.models import AuditEvent
from core.credentials import seal, service
from core.credentials.keyring import Keyring, MasterKeyWrong, SecretsDestroyed
from core.credentials.models import Credential, DataKey, MasterKeyCheck, SealedValue
from core.credentials.seal import Key, SealBroken
from core.db import db
from core.errors import NotFound

SECRET = "squ_0123456789abcdef"


@pytest.fixture
def keyring(database: str) -> Keyring:
    return Keyring(b"k" * 32)


def store(keyring: Keyring, customer: str = "cus_a", **values: str) -> str:
    return service.store(keyring, customer, "connection.test", "Test", values or {"token": SECRET}, actor="test")


def reveal(keyring: Keyring, customer: str, credential: str) -> dict[str, str]:
    return service.reveal(keyring, customer, credential, actor="test", reason="a test")


# -- keeping and reading ----------------------------------------------------------------------------------------------------


def test_what_is_stored_is_read_back(keyring):
    credential = store(keyring, token=SECRET, webhook="päss\nwörd 🐟", empty="")
    assert reveal(keyring, "cus_a", credential) == {"token": SECRET, "webhook": "päss\nwörd 🐟", "empty": ""}


def test_another_process_with_the_same_master_key_reads_it_too(keyring):
    credential = store(keyring)
    assert reveal(Keyring(b"k" * 32), "cus_a", credential) == {"token": SECRET}


def test_nothing_of_a_secret_is_readable_in_the_database_or_the_audit_log(keyring):
    reveal(keyring, "cus_a", store(keyring))
    rows = [row.__data__ for model in (Credential, SealedValue, DataKey, MasterKeyCheck, AuditEvent) for row in model.select()]
    assert SECRET not in repr(rows)


def test_reading_leaves_an_audit_event_that_says_who_and_why(keyring):
    credential = store(keyring)
    service.reveal(keyring, "cus_a", credential, actor="ada@example.test", reason="connect")
    event = AuditEvent.select().where(AuditEvent.action == "credential.revealed").get()
    assert (event.customer_id, event.actor, event.target, event.details) == (
        "cus_a", "ada@example.test", credential, {"fields": ["token"], "reason": "connect"})


def test_the_same_secret_is_sealed_otherwise_each_time(keyring):
    store(keyring)
    store(keyring)
    assert len({row.sealed for row in SealedValue.select()}) == 2


def test_fields_are_replaced_one_by_one(keyring):
    credential = store(keyring, token="one", webhook="two", other="three")
    service.replace(keyring, "cus_a", credential, {"token": "new", "other": None}, actor="test")
    assert reveal(keyring, "cus_a", credential) == {"token": "new", "webhook": "two"}
    assert service.fields_of("cus_a", credential) == {"token", "webhook"}


def test_a_credential_of_another_customer_is_not_there(keyring):
    credential = store(keyring)
    store(keyring, "cus_b")
    for attempt in (lambda: reveal(keyring, "cus_b", credential), lambda: service.delete("cus_b", credential, actor="test"),
                    lambda: service.replace(keyring, "cus_b", credential, {"token": "x"}, actor="test")):
        with pytest.raises(NotFound):
            attempt()
    assert service.fields_of("cus_b", credential) == frozenset()
    assert reveal(keyring, "cus_a", credential) == {"token": SECRET}


def test_a_deleted_credential_takes_its_values_along(keyring):
    service.delete("cus_a", store(keyring), actor="test")
    assert SealedValue.select().count() == 0


# -- tampering --------------------------------------------------------------------------------------------------------------


def test_a_value_moved_to_another_field_does_not_open(keyring):
    credential = store(keyring, token=SECRET, webhook="two")
    token = SealedValue.get(SealedValue.field == "token").sealed
    SealedValue.update(sealed=token).where(SealedValue.field == "webhook").execute()
    with pytest.raises(SealBroken):
        reveal(keyring, "cus_a", credential)


def test_a_value_moved_to_another_credential_does_not_open(keyring):
    first, second = store(keyring), store(keyring)
    SealedValue.update(sealed=SealedValue.get(SealedValue.credential == first).sealed).where(SealedValue.credential == second).execute()
    with pytest.raises(SealBroken):
        reveal(keyring, "cus_a", second)


def test_a_value_and_its_key_moved_to_another_customer_do_not_open(keyring):
    store(keyring)
    other = store(keyring, "cus_b", token="mine")
    stolen = SealedValue.get(SealedValue.customer_id == "cus_a").sealed
    SealedValue.update(sealed=stolen).where(SealedValue.customer_id == "cus_b").execute()
    with pytest.raises(SealBroken):
        reveal(keyring, "cus_b", other)
    wrapped = DataKey.get(DataKey.customer_id == "cus_a").wrapped
    DataKey.update(wrapped=wrapped).where(DataKey.customer_id == "cus_b").execute()
    with pytest.raises(SealBroken):
        reveal(keyring, "cus_b", other)


def test_a_changed_byte_is_noticed(keyring):
    credential = store(keyring)
    box = bytearray(SealedValue.get().sealed)
    for place in range(len(box)):
        changed = box[:]
        changed[place] ^= 1
        SealedValue.update(sealed=bytes(changed)).execute()
        with pytest.raises((SealBroken, SecretsDestroyed)):  # a changed version names a key that there is not
            reveal(keyring, "cus_a", credential)


KEY = Key(b"k" * 32, 1)


@pytest.mark.parametrize("box", [b"", b"\x03", KEY.seal("", ("here",))[:-1], b"\x04" + KEY.seal(SECRET, ("here",))[1:], b"plain text" * 9],
                         ids=["empty", "cut", "short", "version", "text"])
def test_what_is_no_box_does_not_open(box):
    with pytest.raises(SealBroken):
        KEY.open(box, ("here",))


@pytest.mark.parametrize("text", ["", "v3", "v3.1.", "v4.1.AAAA", "v3.x.AAAA", "v3.1.!!!!", "v3.1.AAAA", "plain text", "v3.1.AAAA.AAAA",
                                  "v999.1.AAAA", "v3.99999999999.AAAA", "v-1.1.AAAA"])
def test_what_is_no_armored_box_is_refused(text):
    with pytest.raises(SealBroken):
        seal.unarmored(text)


def test_a_box_is_the_same_after_it_was_armored():
    box = KEY.seal(SECRET, ("here",))
    assert seal.unarmored(seal.armored(box)) == box
    assert seal.armored(box).startswith("v3.1.")


@pytest.mark.parametrize(("form", "place"), [
    ("v1", json.dumps(["v1", 1, "cus_a", "crd_a", "token"], separators=(",", ":"))), ("v2", "stockade\x002\x001\0cus_a\0crd_a\0token")])
def test_what_was_sealed_in_an_earlier_format_opens_at_its_place(form, place):
    box = b"n" * 12 + AESGCM(b"k" * 32).encrypt(b"n" * 12, SECRET.encode(), place.encode())
    box = seal.unarmored(f"{form}.1.{base64.b64encode(box).decode()}")
    assert KEY.open(box, ("cus_a", "crd_a", "token")) == SECRET
    another = Key(b"k" * 32, 2)
    for key, bound in ((another, ("cus_a", "crd_a", "token")), (KEY, ("cus_a", "crd_b", "token")), (KEY, ("cus_a", "crd_a\0token"))):
        with pytest.raises(SealBroken):
            key.open(box, bound)


def test_the_version_of_the_key_is_bound_in():
    box = KEY.seal(SECRET, ("here",))
    assert KEY.open(box, ("here",)) == SECRET
    with pytest.raises(SealBroken):
        Key(b"k" * 32, 2).open(box, ("here",))
    with pytest.raises(SealBroken):
        Key(b"k" * 32, 2).open(b"\x03\0\0\0\x02" + box[5:], ("here",))


@pytest.mark.parametrize("elsewhere", [("a", "bc"), ("abc",), ("ab", "c", ""), ("", "ab", "c")])
def test_places_cannot_be_glued_together_to_look_alike(elsewhere):
    box = KEY.seal(SECRET, ("ab", "c"))
    with pytest.raises(SealBroken):
        KEY.open(box, elsewhere)


def test_the_name_of_a_place_holds_no_nul():
    with pytest.raises(ValueError, match="NUL"):
        KEY.seal(SECRET, ("a\0b", "c"))


# -- keys -------------------------------------------------------------------------------------------------------------------


def test_each_customer_has_a_data_key_of_his_own(keyring):
    store(keyring)
    store(keyring)
    store(keyring, "cus_b")
    assert {(row.customer_id, row.version) for row in DataKey.select()} == {("cus_a", 1), ("cus_b", 1)}
    box = keyring.sealing_key("cus_a").seal(SECRET, ("here",))
    with pytest.raises(SealBroken):
        keyring.sealing_key("cus_b").open(box, ("here",))


def test_destroying_the_key_destroys_the_secrets_in_every_process_at_once(keyring):
    credential = store(keyring)
    elsewhere = Keyring(b"k" * 32)
    assert reveal(elsewhere, "cus_a", credential)
    kept = SealedValue.get().__data__
    service.destroy_customer_key("cus_a", actor="test")
    assert reveal(elsewhere, "cus_a", credential) == {}
    SealedValue.insert(kept).execute()  # as from a backup that lacks the key
    with pytest.raises(SecretsDestroyed):
        reveal(elsewhere, "cus_a", credential)


def test_after_the_destruction_new_secrets_have_a_new_key(keyring):
    kept = store(keyring) and bytes(SealedValue.get().sealed)
    service.destroy_customer_key("cus_a", actor="test")
    credential = store(keyring, token="new")
    with pytest.raises(SealBroken):
        keyring.sealing_key("cus_a").open(kept, ("cus_a", credential, "token"))
    assert reveal(keyring, "cus_a", credential) == {"token": "new"}


def test_a_key_of_another_version_opens_what_was_sealed_under_it(keyring):
    old = store(keyring)
    keyring.new_row("cus_a", 2)
    new = store(keyring, token="new")
    assert seal.key_version(bytes(SealedValue.get(SealedValue.credential == new).sealed)) == 2
    assert (reveal(keyring, "cus_a", old), reveal(keyring, "cus_a", new)) == ({"token": SECRET}, {"token": "new"})


# -- the master key ---------------------------------------------------------------------------------------------------------


def test_a_database_takes_the_first_master_key_as_its_own(keyring):
    keyring.verify()
    Keyring(b"k" * 32).verify()
    assert [row.key_id for row in MasterKeyCheck.select()] == [keyring.key_id]


def test_a_wrong_master_key_is_refused_and_touches_nothing(keyring):
    credential = store(keyring)
    wrong = Keyring(b"w" * 32)
    before = [row.__data__ for model in (MasterKeyCheck, DataKey, SealedValue) for row in model.select()]
    for attempt in (wrong.verify, lambda: store(wrong), lambda: reveal(wrong, "cus_a", credential), lambda: store(wrong, "cus_new")):
        with pytest.raises(MasterKeyWrong, match="nothing was touched"):
            attempt()
    assert [row.__data__ for model in (MasterKeyCheck, DataKey, SealedValue) for row in model.select()] == before
    assert Credential.select().count() == 1


def test_a_database_whose_check_was_removed_takes_no_other_key(keyring):
    store(keyring)
    MasterKeyCheck.delete().execute()
    with pytest.raises(MasterKeyWrong):
        Keyring(b"w" * 32).verify()


def test_a_check_that_does_not_open_is_refused_in_words(keyring):
    store(keyring)
    MasterKeyCheck.update(sealed=seal.armored(KEY.seal("anything", ("elsewhere",)))).execute()
    for prove in (Keyring(b"k" * 32).verify, Keyring(b"k" * 32).refuse_wrong):
        with pytest.raises(MasterKeyWrong, match="nothing was touched"):
            prove()


def test_the_master_key_shows_in_no_representation():
    keyring = Keyring(b"\x7fsecret" + b"k" * 25)
    assert "secret" not in repr(keyring) + str(keyring)
    assert b"secret".hex() not in keyring.key_id


def test_what_is_derived_differs_by_purpose_and_is_the_same_in_every_process(keyring):
    assert len({keyring.derived(purpose) for purpose in ("csrf", "demo", "wrapping")}) == 3
    assert Keyring(b"k" * 32).derived("csrf") == keyring.derived("csrf")


# PostgreSQL reuses the space of deleted rows in its own time, as docs/operators.md says
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_destroyed_is_gone_from_the_file_as_well(keyring):
    db.execute_sql("PRAGMA secure_delete = OFF")  # which some builds of SQLite have on by themselves
    store(keyring)
    wrapped, box = DataKey.get(DataKey.customer_id == "cus_a").wrapped.encode(), bytes(SealedValue.get().sealed)
    path = Path(db.obj.database)
    assert any(wrapped in one.read_bytes() for one in path.parent.glob(path.name + "*"))
    service.destroy_customer_key("cus_a", actor="test")
    db.close_all()
    assert [one.name for one in path.parent.glob(path.name + "*") if wrapped in one.read_bytes() or box in one.read_bytes()] == []
