"""The audit log: appended in order, whole or found out."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import audit
from core.audit import origin
from core.audit.links import digest_of
from core.audit.many import Happening, record_many
from core.audit.models import AuditEvent, AuditHead
from core.audit.origin import Origin
from core.audit.service import NO_CUSTOMER
from core.audit.verifying import broken_chains
from core.db import atomic, db

pytestmark = pytest.mark.usefixtures("database")


def record(number: int = 1, customer: str | None = "cus_a") -> None:
    audit.record("thing.changed", actor="ada", target=f"t{number}", customer_id=customer, details={"number": number})


def test_events_are_numbered_per_customer_and_verify():
    for number in range(3):
        record(number)
        record(number, "cus_b")
    record(9, None)
    rows = AuditEvent.select(AuditEvent.chain, AuditEvent.seq).order_by(AuditEvent.chain, AuditEvent.seq).tuples()
    assert sorted(rows) == sorted([("cus_a", 1), ("cus_a", 2), ("cus_a", 3), ("cus_b", 1), ("cus_b", 2), ("cus_b", 3), ("-", 1)])
    assert [audit.verify(chain) for chain in ("cus_a", "cus_b", NO_CUSTOMER, "cus_without_events")] == [None] * 4
    assert broken_chains() == {}


@pytest.mark.parametrize("change", [
    {"actor": "eve"}, {"details": {"number": 7}}, {"at": 1}, {"action": "other"}, {"target": "x"}, {"seq": 9}, {"digest": "0" * 64},
    {"chain": "cus_b"}])
def test_a_changed_event_is_found(change):
    for number in range(3):
        record(number)
    AuditEvent.update(**change).where(AuditEvent.seq == 2).execute()
    assert audit.verify("cus_a") == 2
    assert broken_chains()["cus_a"] == 2


def test_a_removed_event_is_found_in_the_middle_and_at_the_end():
    for number in range(3):
        record(number)
    AuditEvent.delete().where(AuditEvent.seq == 3).execute()
    assert audit.verify("cus_a") == 3
    AuditEvent.delete().where(AuditEvent.seq == 1).execute()
    assert audit.verify("cus_a") == 1


def test_a_chain_removed_as_a_whole_is_found():
    record()
    AuditEvent.delete().execute()
    assert broken_chains() == {"cus_a": 1}


def test_a_chain_without_its_head_is_found():
    record()
    AuditHead.delete().execute()
    assert broken_chains() == {"cus_a": 1}


def test_an_event_put_behind_the_newest_is_found():
    record()
    row = AuditEvent.get().__data__ | {"id": 99, "seq": 2}
    AuditEvent.insert(row).execute()
    assert broken_chains() == {"cus_a": 2}


def test_an_event_goes_with_the_transaction_that_it_tells_of():
    def broken_off() -> None:
        with atomic():
            record()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    record(2)
    assert [event.target for event in AuditEvent.select()] == ["t2"]
    assert audit.verify("cus_a") is None


def test_a_name_longer_than_its_column_is_cut_and_the_chain_stays_whole():
    audit.record("thing.changed", actor="a" * 300, target="t" * 300, customer_id="cus_a")
    assert (len(AuditEvent.get().actor), len(AuditEvent.get().target)) == (255, 255)
    assert audit.verify("cus_a") is None


def test_writers_at_once_make_one_unbroken_chain():
    def write(number: int) -> None:
        try:
            record(number)
        finally:
            db.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(30)))
    assert AuditEvent.select().count() == 30
    assert audit.verify("cus_a") is None


def test_many_events_of_many_customers_are_recorded_with_a_constant_number_of_statements(statements):
    record(1)
    counted = []
    for size in (3, 60):
        with statements() as executed:
            record_many([Happening("thing.changed", f"t{number}", f"cus_{number % 4}" if number % 4 else None, {"number": number})
                               for number in range(size)], actor="ada")
        counted.append(len(executed))
    assert counted[0] >= counted[1]  # staging tables are made once
    assert AuditEvent.select().count() == 64
    assert broken_chains() == {}
    record_many([], actor="ada")


def test_details_are_digested_as_they_are_read_again():
    audit.record("thing.changed", actor="ada\x00", customer_id="cus_a", details={
        10: "ten", 2: ("two", None), "half": "\ud83d", "nul": "a\x00b", "deep": {"ünï": [1.5, True]}})
    assert AuditEvent.get().actor == "ada"
    assert AuditEvent.get().details == {"10": "ten", "2": ["two", None], "half": "?", "nul": "a\x00b", "deep": {"ünï": [1.5, True]}}
    assert audit.verify("cus_a") is None


def test_an_event_tells_where_it_comes_from():
    with origin.acting(Origin("token", "usr_1", "2001:db8::1", "request-1")):
        record(1)
    record(2)
    told = [(event.via, event.actor_id, event.address, event.request_id) for event in AuditEvent.select().order_by(AuditEvent.id)]
    assert told == [("token", "usr_1", "2001:db8::1", "request-1"), (None,) * 4]


@pytest.mark.parametrize("change", [{"via": "session"}, {"actor_id": None}, {"address": "::2"}, {"request_id": None}])
def test_where_an_event_comes_from_is_covered_by_its_digest(change):
    with origin.acting(Origin("token", "usr_1", "2001:db8::1", "request-1")):
        record(1)
    AuditEvent.update(**change).execute()
    assert audit.verify("cus_a") == 1


def test_a_digest_is_what_it_was_in_the_first_release_and_what_the_guide_says():
    """Whoever verifies an export by his own means relies on it."""
    facts = {"seq": 1, "at": 1_770_000_000_000, "actor": "ädä", "action": "thing.changed", "target": "t", "details": {"b": 1, "a": [None]}}
    text = (f'["{"0" * 64}","cus_a",{{"action":"thing.changed","actor":"ädä","at":1770000000000,"details":{{"a":[null],"b":1}},"seq":1,'
            '"target":"t"}]')
    assert digest_of("0" * 64, "cus_a", facts) == hashlib.sha256(text.encode()).hexdigest()
