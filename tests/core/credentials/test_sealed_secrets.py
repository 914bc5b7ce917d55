"""Secrets of customers: sealed, bound to their place, audited, and gone when their key is."""

import pytest

from core.audit.models import AuditEvent
from core.credentials import seal, service
from core.credentials.keyring import Keyring, MasterKeyWrong, SecretsDestroyed
from core.credentials.models import Credential, DataKey, MasterKeyCheck, SealedValue
from core.credentials.seal import SealBroken
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
    text = SealedValue.get().sealed
    changed = text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]
    SealedValue.update(sealed=changed).execute()
    with pytest.raises(SealBroken):
        reveal(keyring, "cus_a", credential)


@pytest.mark.parametrize("text", ["", "v1", "v1.1.", "v2.1.AAAA", "v1.x.AAAA", "v1.1.!!!!", "v1.1.AAAA", "plain text", "v1.1.AAAA.AAAA"])
def test_what_is_no_sealed_text_does_not_open(text):
    with pytest.raises(SealBroken):
        seal.opened(b"k" * 32, text, ("here",))


def test_the_version_of_the_key_is_bound_in(keyring):
    text = seal.sealed(b"k" * 32, 1, SECRET, ("here",))
    assert seal.opened(b"k" * 32, text, ("here",)) == SECRET
    with pytest.raises(SealBroken):
        seal.opened(b"k" * 32, text.replace("v1.1.", "v1.2."), ("here",))


def test_places_cannot_be_glued_together_to_look_alike():
    text = seal.sealed(b"k" * 32, 1, SECRET, ("ab", "c"))
    with pytest.raises(SealBroken):
        seal.opened(b"k" * 32, text, ("a", "bc"))


# -- keys -------------------------------------------------------------------------------------------------------------------


def test_each_customer_has_a_data_key_of_his_own(keyring):
    store(keyring)
    store(keyring)
    store(keyring, "cus_b")
    assert {(row.customer_id, row.version) for row in DataKey.select()} == {("cus_a", 1), ("cus_b", 1)}
    assert keyring.sealing_key("cus_a") != keyring.sealing_key("cus_b")


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
    before = store(keyring) and keyring.sealing_key("cus_a")[1]
    service.destroy_customer_key("cus_a", actor="test")
    credential = store(keyring, token="new")
    assert keyring.sealing_key("cus_a")[1] != before
    assert reveal(keyring, "cus_a", credential) == {"token": "new"}


def test_a_key_of_another_version_opens_what_was_sealed_under_it(keyring):
    old = store(keyring)
    row = DataKey.get()
    wrapped = seal.sealed(keyring.derived("wrapping"), 0, "b" * 43 + "=", ("data key", "cus_a", "2"))
    DataKey.create(customer_id="cus_a", version=2, master_key_id=row.master_key_id, wrapped=wrapped, created_at=1)
    new = store(keyring, token="new")
    assert SealedValue.get(SealedValue.credential == new).sealed.startswith("v1.2.")
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


def test_the_master_key_shows_in_no_representation():
    keyring = Keyring(b"\x7fsecret" + b"k" * 25)
    assert "secret" not in repr(keyring) + str(keyring)
    assert b"secret".hex() not in keyring.key_id


def test_what_is_derived_differs_by_purpose_and_by_master_key():
    assert len({Keyring(key).derived(purpose) for key in (b"k" * 32, b"w" * 32) for purpose in ("csrf", "flask", "wrapping")}) == 6
