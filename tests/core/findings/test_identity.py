"""What recognising findings under other keys costs, and that it costs nothing where there is nothing to recognise."""

import pytest

from core.assets.models import Asset
from core.db import atomic
from core.findings import identity, rollups, store
from core.findings.models import Finding, FindingEvent, FindingKey
from core.findings.store import AssetWriter
from core.ids import new_id
from tests.scripted import finding


def asset(key: str) -> Asset:
    return Asset.create(id=new_id("ast"), customer_id="cus", connection_id="con", source="scripted", kind="k", discipline="appsec",
                        external_key=key, name=key, discovered_at=1)


def pull(place: Asset, drafts: list, run: str = "run") -> AssetWriter:
    writer = AssetWriter(place, run, "sync:scripted")
    for start in range(0, len(drafts), store.BATCH):
        writer.write(drafts[start:start + store.BATCH])
    return writer


def numbered(number: int, prefix: str) -> list:
    return [finding(f"{prefix}{index}", fingerprint=f"print {index}") for index in range(number)]


def test_each_thousand_renamed_costs_the_same_number_of_statements(database, statements):
    counted = []
    for number in (1000, 3000):
        place = asset(f"of {number}")
        pull(place, numbered(number, "a")).settle()
        writer = pull(place, numbered(number, "b"))
        with statements() as executed:
            written = writer.settle()
        counted.append(len(executed))
        assert (written.renamed, written.added, written.closed) == (number, -number, 0)
        assert list(writer.unmentioned()) == []
    assert (counted[1] - counted[0]) / 2 <= 30, counted
    assert counted[0] <= 40, counted
    assert (Finding.select().count(), FindingKey.select().count(), FindingEvent.select().count()) == (4000, 4000, 4000)
    assert rollups.check() == []


@pytest.mark.parametrize("again", [numbered(5, "a"), numbered(3, "a"), []], ids=["all", "fewer", "none"])
def test_where_nothing_is_new_nothing_is_looked_for(database, statements, again):
    place = asset("shop")
    pull(place, numbered(5, "a")).settle()
    writer = pull(place, again)
    with statements() as executed:
        writer.settle()
    assert len([sql for sql in executed if sql.startswith(("SELECT", "UPDATE"))]) == 1, executed


def test_where_nothing_is_missing_nothing_is_looked_for(database, statements):
    place = asset("shop")
    first = pull(place, numbered(5, "a"))
    with statements() as executed:
        first.settle()
    assert not any("fingerprint" in sql for sql in executed)
    writer = pull(place, numbered(9, "a"))
    with statements() as executed:
        writer.settle()
    assert not any("fingerprint" in sql for sql in executed)


def test_very_many_with_one_fingerprint_are_paired_in_order_of_place(database):
    place = asset("shop")
    number = 300  # 300 * 300 pairs are more than are weighed one by one
    assert number * number > identity._MOST_WEIGHED
    pull(place, [finding(f"a{index:03}", fingerprint="same", path=f"{index // 100}.py", line=index) for index in range(number)]).settle()
    before = {row.source_key: row.id for row in Finding.select()}
    moved = [finding(f"b{index:03}", fingerprint="same", path=f"{index // 100}.py", line=index + 7) for index in range(number)]
    pull(place, moved).settle()
    after = {row.source_key: row.id for row in Finding.select()}
    assert after == {key.replace("a", "b"): finding_id for key, finding_id in before.items()}
    assert rollups.check() == []


def test_a_retry_after_a_killed_attempt_counts_nothing_twice(database):
    place = asset("shop")
    pull(place, numbered(4, "a"), "run_1").settle()
    pull(place, numbered(2, "b"), "run_2")  # killed here
    writer = pull(place, numbered(4, "b"), "run_2")
    written = writer.settle()
    assert (written.renamed, written.added) == (4, -4)
    assert {row.source_key for row in Finding.select()} == {"b0", "b1", "b2", "b3"}
    with atomic():
        assert store.close("cus", place.id, list(writer.unmentioned()), run_id="run_2", actor="x") == 0
    assert rollups.check() == []
