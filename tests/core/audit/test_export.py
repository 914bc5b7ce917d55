"""An exported log verifies without the database, and whatever is changed in the file shows."""

import json

import pytest

from core import audit, clock
from core.audit.export import FILE, examine_file, lines
from core.audit.models import AuditEvent
from core.audit.origin import Origin, acting
from core.audit.retention import trim
from core.audit.sealing import SealingKey, seal

pytestmark = pytest.mark.usefixtures("database")

KEY = SealingKey(b"k" * 32)


def record(number: int = 1, customer: str | None = "cus_a") -> None:
    audit.record("thing.changed", actor="ädä", target=f"t{number}", customer_id=customer, details={"number": number})


@pytest.fixture
def written():
    """The lines of a log with three events each of two customers, and one of nobody's."""
    record(0, None)
    for number in range(3):
        record(number)
        with acting(Origin("session", "usr_1", "192.0.2.1", "req")):
            record(number, "cus_b")
    return list(lines(KEY))


def faults(given: list[str], key: str | None = KEY.public) -> list[tuple[str, int]]:
    return [(fault.chain, fault.seq) for fault in examine_file(given, key).faults]


def changed(line: str, **how: object) -> str:
    told = json.loads(line)
    told["event"].update(how)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n"


def test_every_event_is_a_line_with_what_its_digest_covers(written):
    assert [(told["chain"], told["event"]["seq"]) for told in map(json.loads, written[:-1])] == [
        ("-", 1), *(("cus_a", seq) for seq in (1, 2, 3)), *(("cus_b", seq) for seq in (1, 2, 3))]
    told = json.loads(written[4])
    assert told["event"] == {"seq": 1, "at": clock.from_iso(told["time"]), "actor": "ädä", "action": "thing.changed", "target": "t0",
                             "details": {"number": 0}, "actor_id": "usr_1", "via": "session", "address": "192.0.2.1", "request_id": "req"}


def test_it_verifies_and_tells_how_much_it_is(written):
    found = examine_file(written, KEY.public)
    assert (found.faults, found.chains, found.events, found.key) == ([], 3, 7, KEY.public)
    assert examine_file(written).faults == []


def test_a_customer_s_part_holds_nothing_of_another_s(written):
    part = list(lines(KEY, customer_id="cus_b"))
    assert faults(part) == []
    assert "cus_a" not in "".join(part)
    assert json.loads(part[-1])["end"]["events"] == 3


@pytest.mark.parametrize(("since", "until", "numbers"), [(None, 300, [1, 2]), (200, None, [2, 3, 4]), (200, 400, [2, 3]), (900, None, []),
                                                         (None, 100, [])])
def test_a_part_in_time_has_no_gaps_and_verifies(monkeypatch, since, until, numbers):
    for moment in (100, 200, 300, 400):
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        record()
    part = list(lines(KEY, since=since, until=until))
    assert [json.loads(line)["event"]["seq"] for line in part[:-1]] == numbers
    assert faults(part) == []


def test_what_remains_after_deleting_by_age_verifies(monkeypatch):
    for moment in (100, 30 * clock.DAY):
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        record()
    assert seal(KEY, clock.now())
    assert trim(KEY, 5, clock.now()) == 1
    part = list(lines(KEY, customer_id="cus_a"))
    assert json.loads(part[0])["event"]["seq"] == 2
    assert faults(part) == []
    assert json.loads(part[-1])["end"]["seal"]["number"] == 2


@pytest.mark.parametrize("change", [{"actor": "eve"}, {"at": 1}, {"details": {}}, {"seq": 9}, {"via": "token"}])
def test_a_changed_event_is_found(written, change):
    written[2] = changed(written[2], **change)
    assert faults(written)[0] == ("cus_a", 2)


def test_another_time_beside_the_event_is_found(written):
    written[2] = written[2].replace(json.loads(written[2])["time"], "2020-01-01T00:00:00.000Z")
    assert faults(written)[0] == ("cus_a", 2)


def test_a_missing_event_is_found_wherever_it_was(written):
    assert faults(written[:2] + written[3:])[0] == ("cus_a", 2)
    assert faults(written[:3] + written[4:]) == [(FILE, 7)]  # the newest of its chain: the signature tells
    assert faults(written[1:]) == [(FILE, 7)]  # a whole chain


def test_a_file_cut_short_or_gone_on_is_found(written):
    assert faults(written[:-1]) == [(FILE, 8)]
    assert faults([*written, written[0]]) == [(FILE, 9)]
    assert faults([]) == [(FILE, 1)]


def test_chains_out_of_order_are_found(written):
    assert ("-", 1) in faults(written[4:7] + written[:4] + written[7:])


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", "null", '{"chain":"x"}', "[" * 5000,
                                  '{"chain":1,"event":{"seq":1,"at":1},"before":"","digest":"","time":"1970-01-01T00:00:00.001Z"}'])
def test_a_line_that_is_none_is_told_and_the_rest_is_read(written, line):
    found = examine_file([*written[:3], line + "\n", *written[3:]], KEY.public)
    assert {(fault.chain, fault.seq) for fault in found.faults} & {(FILE, 4), ("1", 1)}
    assert found.events >= 7


def test_a_last_line_that_was_changed_or_signed_by_somebody_else_is_found(written):
    end = json.loads(written[-1])
    end["end"]["customer"] = "cus_a"
    assert faults([*written[:-1], json.dumps(end)]) == [(FILE, 8)]
    others = list(lines(SealingKey(b"o" * 32)))
    assert faults(others) == [(FILE, 8)]
    assert faults(others, None) == []
    for broken in ('{"end":{}}', '{"end":[],"key":"x","signature":"y"}', '{"end":1}'):
        assert faults([*written[:-1], broken]) == [(FILE, 8)]


def test_a_long_log_is_read_a_batch_at_a_time(monkeypatch, statements):
    monkeypatch.setattr("core.audit.links._READ_AT_ONCE", 4)
    for number in range(9):
        record(number)
    with statements() as executed:
        part = list(lines(KEY))
    assert len([sql for sql in executed if "LIMIT" in sql and "BETWEEN" not in sql and '"seq" >' in sql]) == 3
    assert faults(part) == []
    assert AuditEvent.select().count() == 9
