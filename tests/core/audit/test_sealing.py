"""The seal: what a chain alone cannot tell, that it was dropped or cut short, shows all the same; what is broken is never sealed over."""

import logging

import pytest

from core import audit, clock
from core.audit.models import AuditAnchor, AuditEvent, AuditHead, AuditSeal
from core.audit.sealing import BEGUN, EVERY, SealingKey, newest_seal, seal, seal_if_due
from core.audit.service import NO_CUSTOMER
from core.audit.verifying import SEAL, examine

pytestmark = pytest.mark.usefixtures("database")

KEY = SealingKey(b"k" * 32)


def record(number: int = 1, customer: str | None = "cus_a") -> None:
    audit.record("thing.changed", actor="ada", target=f"t{number}", customer_id=customer, details={"number": number})


def sealed(events: int = 3, *customers: str) -> None:
    for customer in customers or ("cus_a", "cus_b"):
        for number in range(events):
            record(number, customer)
    assert seal(KEY, clock.now())
    assert found() == []


def found(key: SealingKey = KEY, **how: int) -> list[tuple[str, int]]:
    return [(fault.chain, fault.seq) for fault in examine(key.public, **how).faults]


def drop(chain: str) -> None:
    for model in (AuditEvent, AuditHead, AuditAnchor):
        model.delete().where(model.chain == chain).execute()


def forge(chain: str, seq: int, **change: object) -> None:
    """Change an event as somebody would who knows how digests are made: all that follow, and the head, fit again."""
    rows = list(AuditEvent.select().where(AuditEvent.chain == chain).order_by(AuditEvent.seq))
    AuditEvent.delete().where(AuditEvent.chain == chain).execute()
    AuditHead.delete().where(AuditHead.chain == chain).execute()
    for row in rows:
        facts = {"actor": row.actor, "action": row.action, "target": row.target, "details": row.details}
        audit.record(**{**facts, **(change if row.seq == seq else {})}, customer_id=row.customer_id)
    assert audit.verify(chain) in (None, *(row.seq for row in rows))


def test_a_sealed_log_verifies_and_goes_on_being_written():
    sealed()
    record()
    record(1, "cus_new")
    assert found() == []
    assert seal(KEY, clock.now())
    assert found() == []
    assert (newest_seal().number, newest_seal().key) == (2, KEY.public)


def test_a_customer_s_chain_that_was_dropped_is_found():
    sealed()
    for model in (AuditEvent, AuditHead):
        model.delete().where(model.chain == "cus_b").execute()
    assert found() == [("cus_b", 1)]
    drop("cus_b")
    assert (SEAL, 1) in found()


def test_the_newest_events_taken_back_with_their_head_are_found():
    sealed()
    AuditEvent.delete().where(AuditEvent.chain == "cus_a", AuditEvent.seq == 3).execute()
    before = AuditEvent.get(AuditEvent.chain == "cus_a", AuditEvent.seq == 2)
    AuditHead.update(seq=2, digest=before.digest).where(AuditHead.chain == "cus_a").execute()
    assert found() == [("cus_a", 3)]


def test_a_chain_that_was_written_anew_from_a_changed_event_on_is_found():
    sealed()
    forge("cus_a", 2, actor="eve")
    assert found() == [("cus_a", 3)]


def test_what_was_written_anew_is_not_sealed_over(caplog):
    sealed()
    forge("cus_a", 2, actor="eve")
    record(4)
    record(4, "cus_b")
    with caplog.at_level(logging.ERROR):
        assert seal(KEY, clock.now())
    assert "chain cus_a does not hold at event 4" in caplog.text
    assert found() == [("cus_a", 3)]
    assert AuditAnchor.get_by_id("cus_b").seq == 4


@pytest.mark.parametrize("change", [{"seq": 2}, {"digest": "f" * 64}, {"base_seq": 3}, {"base_digest": "f" * 64}])
def test_anchors_that_were_changed_are_found_and_not_sealed_over(change, caplog):
    sealed()
    AuditAnchor.update(**change).where(AuditAnchor.chain == "cus_a").execute()
    record()
    assert not seal(KEY, clock.now())
    assert "not sealed any more" in caplog.text
    assert (SEAL, 1) in found()


@pytest.mark.parametrize("change", [{"number": 7}, {"at": 1}, {"root": "f" * 64}, {"key": "f" * 64}, {"key": "no key"},
                                    {"signature": "00"}])
def test_a_seal_that_was_changed_is_found(change):
    sealed()
    AuditSeal.update(**change).execute()
    assert SEAL in {chain for chain, _ in found()}
    assert not seal(KEY, clock.now())


def test_a_seal_made_with_another_key_is_found():
    sealed()
    other = SealingKey(b"o" * 32)
    assert found(other) == [(SEAL, 1)]
    assert not seal(other, clock.now())


def test_sealing_that_began_anew_is_found():
    sealed()
    drop("cus_b")
    for model in (AuditAnchor, AuditSeal):
        model.delete().execute()
    assert seal(KEY, clock.now())
    assert found() == [(NO_CUSTOMER, 2)]
    assert [event.action for event in AuditEvent.select().where(AuditEvent.chain == NO_CUSTOMER)] == [BEGUN, BEGUN]


def test_a_database_put_back_to_an_earlier_seal_is_found_by_who_remembers_a_later_one():
    sealed()
    assert found(at_least=1) == []
    assert found(at_least=2) == [(SEAL, 1)]


def test_a_log_without_a_seal_is_verified_by_its_chains_alone():
    record()
    assert found() == []
    AuditEvent.update(actor="eve").execute()
    assert found() == [("cus_a", 1)]
    assert found(at_least=1)[0] == (SEAL, 0)


def test_it_is_sealed_once_a_minute_and_only_when_something_was_recorded():
    now = clock.now()
    record()
    assert seal_if_due(KEY, now)
    record()
    assert not seal_if_due(KEY, now + EVERY - 1)
    assert seal_if_due(KEY, now + EVERY)
    assert not seal_if_due(KEY, now + 2 * EVERY)
    assert newest_seal().number == 2


def test_a_long_chain_is_sealed_in_parts(monkeypatch):
    monkeypatch.setattr("core.audit.sealing._EVENTS_AT_ONCE", 5)
    for number in range(12):
        record(number)
        record(number, "cus_b")
    assert seal(KEY, clock.now())
    assert sum(anchor.seq for anchor in AuditAnchor.select()) <= 6
    assert found() == []
    assert seal_if_due(KEY, clock.now() + EVERY)
    assert {anchor.chain: anchor.seq for anchor in AuditAnchor.select()} == {"-": 1, "cus_a": 12, "cus_b": 12}
    assert found() == []


def test_a_key_shows_its_public_half_alone():
    assert repr(KEY) == f"<SealingKey {KEY.public}>"
    assert len(KEY.public) == 64
