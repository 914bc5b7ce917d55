"""Deleting events by age: what remains verifies, and nothing goes that is not both too old and sealed."""

import pytest

from core import audit, clock
from core.audit import upkeep
from core.audit.models import AuditAnchor, AuditEvent, AuditHead
from core.audit.retention import TRIMMED, trim
from core.audit.sealing import EVERY, SealingKey, seal
from core.audit.verifying import examine

pytestmark = pytest.mark.usefixtures("database")

KEY = SealingKey(b"k" * 32)
TODAY = 20_000 * clock.DAY + clock.HOUR


@pytest.fixture
def at(monkeypatch):
    """``at(3)`` makes it three days ago."""

    def days_ago(days: float) -> int:
        moment = TODAY - int(days * clock.DAY)
        monkeypatch.setattr(clock, "now", lambda: moment)
        return moment

    return days_ago


def record(customer: str = "cus_a", times: int = 1) -> None:
    for _ in range(times):
        audit.record("thing.changed", actor="ada", customer_id=customer)


def kept(customer: str = "cus_a") -> list[int]:
    rows = AuditEvent.select(AuditEvent.seq).where(AuditEvent.chain == customer).order_by(AuditEvent.seq).tuples()
    return [seq for (seq,) in rows]


def faults() -> list[tuple[str, int]]:
    return [(fault.chain, fault.seq) for fault in examine(KEY.public).faults]


@pytest.fixture
def aged(at):
    """Two chains with three events of ten days ago and two of today; a third with old ones alone."""
    for days, times in ((10, 3), (0, 2)):
        at(days)
        record("cus_a", times)
        record("cus_b", times)
        if days:
            record("cus_old", times)
    assert seal(KEY, TODAY)


def test_events_that_are_too_old_go_and_the_rest_verifies(aged):
    assert trim(KEY, 5, TODAY) == 9
    assert (kept("cus_a"), kept("cus_b"), kept("cus_old")) == ([4, 5], [4, 5], [])
    assert faults() == []
    record("cus_a")
    record("cus_old")
    assert (kept("cus_a"), kept("cus_old")) == ([4, 5, 6], [4])
    assert seal(KEY, TODAY)
    assert faults() == []


def test_that_events_were_deleted_is_in_the_log(aged):
    trim(KEY, 5, TODAY)
    told = AuditEvent.get(AuditEvent.action == TRIMMED)
    assert (told.actor, told.customer_id, told.details) == ("scheduler", None, {
        "events": 9, "chains": 3, "before": clock.iso(TODAY - clock.HOUR - 5 * clock.DAY)})


def test_there_is_nothing_more_to_delete_until_another_day_is_over(aged):
    trim(KEY, 5, TODAY)
    assert trim(KEY, 5, TODAY + 20 * clock.HOUR) == 0
    assert AuditEvent.select().where(AuditEvent.action == TRIMMED).count() == 1


@pytest.mark.parametrize("deleted", [1, 4])
def test_deleting_more_by_hand_is_found(aged, deleted):
    trim(KEY, 5, TODAY)
    AuditEvent.delete().where(AuditEvent.chain == "cus_a", AuditEvent.seq == 4).execute()
    assert faults() == [("cus_a", 4)]


def test_claiming_that_more_was_deleted_by_age_is_found(aged):
    fourth = AuditEvent.get(AuditEvent.chain == "cus_a", AuditEvent.seq == 4)
    AuditEvent.delete().where(AuditEvent.chain == "cus_a", AuditEvent.seq <= 4).execute()
    AuditAnchor.update(base_seq=4, base_digest=fourth.digest).where(AuditAnchor.chain == "cus_a").execute()
    assert faults() == [("seal", 1)]


def test_what_was_deleted_cannot_be_put_back(aged):
    first = AuditEvent.get(AuditEvent.chain == "cus_a", AuditEvent.seq == 1).__data__
    trim(KEY, 5, TODAY)
    AuditEvent.insert({**first, "id": 999}).execute()
    assert faults() == [("cus_a", 4)]


def test_an_event_that_is_not_sealed_stays_however_old(at):
    at(10)
    record(times=2)
    assert trim(KEY, 5, TODAY) == 0
    assert seal(KEY, TODAY)
    record()
    at(0)
    record()
    assert trim(KEY, 5, TODAY) == 3  # the two, and that sealing began
    assert kept() == [3, 4]
    assert faults() == []


def test_a_chain_that_does_not_hold_keeps_what_shows_it(aged):
    AuditEvent.update(actor="eve").where(AuditEvent.chain == "cus_a", AuditEvent.seq == 2).execute()
    trim(KEY, 5, TODAY)
    assert kept() == [2, 3, 4, 5]
    assert faults() == [("cus_a", 2)]
    assert trim(KEY, 5, TODAY) == 0


def test_a_clock_that_went_back_for_an_event_takes_no_young_ones_along(at):
    for days in (10, 1, 10, 0):
        at(days)
        record()
    assert seal(KEY, TODAY)
    assert trim(KEY, 5, TODAY) == 1
    assert kept() == [2, 3, 4]
    assert faults() == []


def test_much_is_deleted_in_batches(aged, monkeypatch):
    monkeypatch.setattr("core.audit.retention._EVENTS_AT_ONCE", 2)
    assert trim(KEY, 5, TODAY) == 9
    assert AuditEvent.select().where(AuditEvent.action == TRIMMED).count() == 5
    assert faults() == []


def test_the_scheduler_deletes_only_when_told_how_old_is_too_old(aged, at):
    at(0)
    upkeep.tick(KEY, 0, TODAY + EVERY)
    assert kept() == [1, 2, 3, 4, 5]
    upkeep.tick(KEY, 5, TODAY + EVERY)
    assert kept() == [4, 5]
    assert AuditHead.get_by_id("cus_a").seq == 5
