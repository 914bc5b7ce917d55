"""Master keys and data keys are changed while everything runs, from wherever it was cut short."""

import threading
from collections.abc import Callable

import pytest

from core.audit.models import AuditEvent
from core.credentials import rotation, seal, service, values
from core.credentials.keyring import Keyring, MasterKeyWrong
from core.credentials.models import Credential, DataKey, MasterKeyCheck, PastValue, SealedValue
from core.credentials.seal import Key
from core.db import atomic, db

OLD, NEW, OTHER = b"k" * 32, b"n" * 32, b"o" * 32


@pytest.fixture
def keyring(database: str) -> Keyring:
    return Keyring(OLD)


def store(keyring: Keyring, customer: str = "cus_a", **secrets: str) -> str:
    return service.store(keyring, customer, "connection.test", "Test", secrets or {"token": f"secret of {customer}"}, actor="test")


def reveal(keyring: Keyring, customer: str, credential: str) -> dict[str, str]:
    return service.reveal(keyring, customer, credential, actor="test", reason="a test")


def boxes() -> dict[tuple[str, str], bytes]:
    return {(row.credential_id, row.field): bytes(row.sealed) for row in SealedValue.select()}


def rewrap(keyring: Keyring, tell: Callable[[int, int], None] = lambda done, of: None) -> int:
    return rotation.rewrap(keyring, tell, actor="test")


def rotate(keyring: Keyring, tell: Callable[[int, int], None] = lambda done, of: None, customer: str | None = None) -> rotation.Rotated:
    return rotation.rotate(keyring, tell, actor="test", customer_id=customer)


class CutShort(Exception):
    """Stands for a kill between two steps; tests/faults and test_keys_command kill real processes."""


def cut_short_after(steps: int) -> Callable[[int, int], None]:
    def tell(done: int, of: int) -> None:
        nonlocal steps
        steps -= 1
        if not steps:
            raise CutShort
    return tell


# -- the master key -----------------------------------------------------------------------------------------------------------


def test_a_new_master_key_wraps_the_data_keys_anew_and_touches_no_value(keyring, statements):
    kept = {customer: store(keyring, customer) for customer in ("cus_a", "cus_b")}
    before, derived = boxes(), keyring.derived("csrf")
    rotated = Keyring(NEW, [OLD])
    with statements() as executed:
        assert rewrap(rotated) == 3  # and the key that other secrets are derived from
    assert not any('"sealed_value"' in statement or '"past_value"' in statement for statement in executed)
    assert boxes() == before
    assert {row.master_key_id for row in DataKey.select()} == {rotated.key_id}
    alone = Keyring(NEW)
    assert {customer: reveal(alone, customer, key)["token"] for customer, key in kept.items()} == {
        "cus_a": "secret of cus_a", "cus_b": "secret of cus_b"}
    assert alone.derived("csrf") == derived


def test_processes_with_the_old_settings_work_on_beside_those_with_the_new_until_the_keys_are_rewrapped(keyring):
    keyring.verify()
    both = Keyring(NEW, [OLD])
    credential = store(both, "cus_of_a_new_process")
    assert reveal(Keyring(OLD), "cus_of_a_new_process", credential)
    assert reveal(both, "cus_a", store(Keyring(OLD)))


def test_after_the_rewrapping_the_old_key_alone_is_refused_and_the_new_one_alone_is_enough(keyring):
    credential = store(keyring)
    rewrap(Keyring(NEW, [OLD]))
    with pytest.raises(MasterKeyWrong, match="nothing was touched"):
        Keyring(OLD).verify()
    running = keyring  # was started before, and verified then
    with pytest.raises(MasterKeyWrong):
        reveal(running, "cus_a", credential)
    with pytest.raises(MasterKeyWrong):
        store(running, "cus_new")
    assert reveal(Keyring(NEW), "cus_a", credential)
    assert [row.key_id for row in MasterKeyCheck.select()] == [Keyring(NEW).key_id]


def test_a_new_master_key_without_the_old_one_is_refused_and_touches_nothing(keyring):
    store(keyring)
    before = [row.__data__ for model in (MasterKeyCheck, DataKey) for row in model.select()]
    for attempt in (Keyring(NEW).verify, Keyring(NEW, [OTHER]).verify, lambda: rewrap(Keyring(NEW))):
        with pytest.raises(MasterKeyWrong):
            attempt()
    assert [row.__data__ for model in (MasterKeyCheck, DataKey) for row in model.select()] == before


def test_an_old_key_that_is_still_needed_is_asked_for(keyring, monkeypatch):
    monkeypatch.setattr(rotation, "_KEYS_AT_ONCE", 1)
    for number in range(3):
        store(keyring, f"cus_{number}")
    with pytest.raises(CutShort):
        rewrap(Keyring(NEW, [OLD]), cut_short_after(2))
    with pytest.raises(MasterKeyWrong, match=f"STOCKADE_MASTER_KEYS_OLD lacks the key {keyring.key_id}"):
        Keyring(NEW).verify()


def test_a_rewrapping_that_was_cut_short_is_ended_by_the_next(keyring, monkeypatch):
    monkeypatch.setattr(rotation, "_KEYS_AT_ONCE", 1)
    kept = {customer: store(keyring, customer) for customer in ("cus_a", "cus_b", "cus_c")}
    with pytest.raises(CutShort):
        rewrap(Keyring(NEW, [OLD]), cut_short_after(2))
    assert {row.master_key_id for row in DataKey.select()} == {Keyring(NEW).key_id, Keyring(OLD).key_id}
    assert all(reveal(Keyring(NEW, [OLD]), customer, key) for customer, key in kept.items())
    assert rewrap(Keyring(NEW, [OLD])) == 1
    assert all(reveal(Keyring(NEW), customer, key) for customer, key in kept.items())


def test_a_rewrapping_can_be_taken_back(keyring):
    credential = store(keyring)
    rewrap(Keyring(NEW, [OLD]))
    rewrap(Keyring(OLD, [NEW]))
    assert reveal(Keyring(OLD), "cus_a", credential)
    with pytest.raises(MasterKeyWrong):
        Keyring(NEW).verify()


def test_the_change_of_the_master_key_is_recorded(keyring):
    store(keyring)
    rewrap(Keyring(NEW, [OLD]))
    event = AuditEvent.select().where(AuditEvent.action == "master_key.changed").get()
    assert (event.target, event.details) == (Keyring(NEW).key_id, {"from": [keyring.key_id], "dataKeys": 1})


# -- data keys ----------------------------------------------------------------------------------------------------------------


def versions() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in DataKey.select().order_by(DataKey.customer_id, DataKey.version):
        found.setdefault(row.customer_id, []).append(row.version)
    return found


def test_new_data_keys_seal_every_value_anew_those_of_before_as_well(keyring):
    kept = {customer: store(keyring, customer, token=f"1 {customer}", webhook=f"2 {customer}") for customer in ("cus_a", "cus_b")}
    service.replace(keyring, "cus_a", kept["cus_a"], {"token": "3 cus_a"}, actor="test")
    before, past_before = boxes(), bytes(PastValue.get().sealed)
    assert rotate(keyring) == rotation.Rotated(customers=2, values=5, resumed=False)
    after, past = boxes(), PastValue.get()
    assert after.keys() == before.keys()
    assert {seal.key_version(box) for box in (*after.values(), bytes(past.sealed))} == {2}
    assert bytes(past.sealed) != past_before
    assert versions() == {"cus_a": [2], "cus_b": [2]}
    assert reveal(keyring, "cus_a", kept["cus_a"]) == {"token": "3 cus_a", "webhook": "2 cus_a"}
    assert reveal(keyring, "cus_b", kept["cus_b"]) == {"token": "1 cus_b", "webhook": "2 cus_b"}
    assert values.opened_past(keyring, Credential.get_by_id(kept["cus_a"]), [past]) == {past.id: "1 cus_a"}


def test_one_customers_data_key_is_changed_alone(keyring):
    store(keyring)
    other = store(keyring, "cus_b")
    before = boxes()
    assert rotate(keyring, customer="cus_a") == rotation.Rotated(customers=1, values=1, resumed=False)
    assert versions() == {"cus_a": [2], "cus_b": [1]}
    assert boxes()[other, "token"] == before[other, "token"]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_rotation_that_was_cut_short_is_ended_by_the_next_and_makes_no_further_keys(keyring, monkeypatch, steps):
    monkeypatch.setattr(rotation, "BATCH", 2)
    kept = [store(keyring, f"cus_{number}", a="1", b="2") for number in range(3)]
    service.replace(keyring, "cus_0", kept[0], {"a": "3", "b": "4"}, actor="test")
    with pytest.raises(CutShort):
        rotate(keyring, cut_short_after(steps))
    assert rotation.status(keyring).rotating == 3
    assert reveal(keyring, "cus_1", kept[1]) == {"a": "1", "b": "2"}
    done = rotate(keyring)
    assert (done.customers, done.resumed) == (3, True)
    assert versions() == {f"cus_{number}": [2] for number in range(3)}
    assert [reveal(keyring, f"cus_{number}", key) for number, key in enumerate(kept)] == [
        {"a": "3", "b": "4"}, {"a": "1", "b": "2"}, {"a": "1", "b": "2"}]
    assert rotation.status(keyring).rotating == 0


def test_a_value_that_is_written_meanwhile_is_not_overwritten(keyring, monkeypatch):
    monkeypatch.setattr(rotation, "BATCH", 1)
    first, second = sorted(store(keyring) for _ in range(2))
    written = []

    def tell(done: int, of: int) -> None:
        if not written:
            service.replace(keyring, "cus_a", second, {"token": "meanwhile"}, actor="test")
            written.append(seal.key_version(boxes()[second, "token"]))

    rotate(keyring, tell)
    assert written == [2]
    assert reveal(keyring, "cus_a", second) == {"token": "meanwhile"}


def test_a_key_is_not_dropped_while_somebody_seals_under_it(keyring):
    """A writer that has asked for the key before a rotation began commits after the last value was sealed anew."""
    kept = store(keyring)
    holding, may_commit = threading.Event(), threading.Event()
    written: list[str] = []

    def write() -> None:
        try:
            with atomic():
                credential = store(keyring, token="late")
                holding.set()
                may_commit.wait(20)
            written.append(credential)
        finally:
            db.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert holding.wait(20)
    rotating = threading.Thread(target=lambda: (rotate(keyring), db.close()))
    rotating.start()
    may_commit.set()
    for thread in (writer, rotating):
        thread.join(60)
    assert versions() == {"cus_a": [2]}
    assert (reveal(keyring, "cus_a", kept), reveal(keyring, "cus_a", written[0])) == ({"token": "secret of cus_a"}, {"token": "late"})


def test_reading_goes_on_while_values_are_sealed_anew(keyring, monkeypatch):
    monkeypatch.setattr(rotation, "BATCH", 5)
    kept = [store(keyring, f"cus_{number % 3}", a=str(number), b="b") for number in range(30)]
    ended = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        own = Keyring(OLD)
        try:
            while not ended.is_set():
                for number, key in enumerate(kept):
                    assert values.opened(own, f"cus_{number % 3}", key) == {"a": str(number), "b": "b"}
        except BaseException as problem:  # noqa: BLE001 - told by the test's own thread
            faults.append(problem)
        finally:
            db.close()

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(4):
        rotate(keyring)
    ended.set()
    reader.join(60)
    assert faults == []
    assert versions() == {f"cus_{number}": [5] for number in range(3)}


def test_a_value_that_does_not_open_stops_the_rotation_and_loses_nothing(keyring):
    kept = store(keyring, token="mine")
    SealedValue.update(sealed=Key(b"x" * 32, 1).seal("forged", ("cus_a", kept, "token"))).execute()
    with pytest.raises(seal.SealBroken):
        rotate(keyring)
    assert versions() == {"cus_a": [1, 2]}


def test_a_destroyed_customer_is_no_part_of_a_rotation(keyring):
    store(keyring)
    store(keyring, "cus_b")
    service.destroy_customer_key("cus_b", actor="test")
    assert rotate(keyring) == rotation.Rotated(customers=1, values=1, resumed=False)


def test_the_status_tells_keys_and_values(keyring):
    credential = store(keyring)
    store(keyring, "cus_b")
    service.replace(keyring, "cus_a", credential, {"token": "new"}, actor="test")
    Keyring(NEW, [OLD]).verify()
    told = rotation.status(keyring)
    assert [(one.key_id, one.is_current, one.is_known, one.data_keys) for one in told.master_keys] == [
        (Keyring(OLD).key_id, True, True, 2), (Keyring(NEW).key_id, False, False, 0)]
    assert (told.customers, told.rotating, told.values) == (2, 0, 3)
