"""What verdicts cost, what is left when somebody is killed while they are carried out, and deciding while a pull is under way."""

import time

import pytest

from core import clock
from core.assets import catalog
from core.assets.models import Asset
from core.connections import upkeep
from core.db import atomic, db
from core.findings import restating, rollups, settling, store, verdicts
from core.findings.models import AssetDue, Finding, FindingEvent, FindingKey, Verdict
from core.findings.settling import Target
from core.findings.state import VerdictKind
from core.findings.store import AssetWriter
from core.findings.verdicts import Decision
from core.ids import new_id
from core.scope import Scope
from tests import syncing
from tests.scripted import finding

ACCEPTED = Decision(VerdictKind.ACCEPTED, "The risk is known")
MOST_STATEMENTS = 30  # for a thousand findings
RULE = Target("rule", source="scripted", rule_key="r")


@pytest.fixture
def acme(database) -> Scope:
    return syncing.customer("Acme")


def asset(scope: Scope, key: str, lineage: str = "") -> Asset:
    return Asset.create(id=new_id("ast"), customer_id=scope.customer_id, connection_id="con", source="scripted", kind="scripted_project",
                        discipline="appsec", external_key=key, lineage=lineage or key, name=key, discovered_at=1)


def fill(scope: Scope, number: int, assets: int = 5) -> None:
    """So many findings under one rule, spread evenly."""
    for place in range(assets):
        writer = AssetWriter(asset(scope, f"p{place}"), "run", "sync:scripted")
        keys = range(place, number, assets)
        for start in range(0, len(keys), store.BATCH):
            writer.write([finding(f"k{key}", rule="r", fingerprint=f"print {key}") for key in keys[start:start + store.BATCH]])


def keys_of(scope: Scope) -> list[int]:
    return [key for (key,) in Finding.select(Finding.id).where(Finding.customer_id == scope.customer_id).tuples()]


def states(scope: Scope) -> set[str]:
    return {row.status for row in Finding.select(Finding.status).where(Finding.customer_id == scope.customer_id).distinct()}


WAYS = {
    "one by one": (lambda scope: verdicts.decide(scope, keys_of(scope), ACCEPTED, actor="anna"), "accepted"),
    "another verdict": (lambda scope: verdicts.decide(scope, keys_of(scope), Decision(VerdictKind.IGNORED), actor="anna"), "ignored"),
    "reopened": (lambda scope: verdicts.reopen(scope, keys_of(scope), actor="anna"), "open"),
    "by rule": (lambda scope: verdicts.decide_broadly(scope, RULE, Decision(VerdictKind.FALSE_POSITIVE), actor="anna"), "false_positive"),
    "rule ended": (lambda scope: verdicts.reopen_broadly(scope, RULE, actor="anna"), "open"),
    "for a while": (lambda scope: verdicts.decide(scope, keys_of(scope), Decision(VerdictKind.ACCEPTED, "x", clock.now() + clock.DAY),
                                                  actor="anna"), "accepted"),
    "run out": (lambda scope: [settling.expire(clock.now() + 2 * clock.DAY) for _ in range(4)], "open"),
}


def test_each_thousand_findings_cost_the_same_number_of_statements(acme, statements):
    globex = syncing.customer("Globex")
    fill(acme, 1000)
    fill(globex, 3000)
    for name, (way, state) in WAYS.items():
        counted = []
        for scope in (acme, globex):
            with statements() as executed:
                way(scope)
            counted.append(len([sql for sql in executed if "audit" not in sql]))
        assert states(acme) == states(globex) == {state}, name
        if name == "run out":  # the first call is about both customers
            assert counted[0] <= 4 * MOST_STATEMENTS, counted
            continue
        more = (counted[1] - counted[0]) / 2
        assert more <= MOST_STATEMENTS, (name, counted)
        assert counted[0] <= more + MOST_STATEMENTS, (name, counted)
    assert rollups.check() == []
    assert Verdict.select().where(Verdict.settled_at.is_null()).count() == 0


class Killed(BaseException):
    """As good as SIGKILL: nobody catches it."""


@pytest.fixture
def killed_after(request):
    """``with killed_after(n)``: whoever is in the block is killed after its n-th statement."""
    from contextlib import contextmanager

    @contextmanager
    def dying(number: int):
        left = [number]

        def count(event):
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        db.query_hooks.append(count)
        try:
            yield
        except Killed:
            pass
        finally:
            db.query_hooks.remove(count)
    return dying


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(restating, "BATCH", 10)


@pytest.mark.parametrize("after", range(1, 120, 7))
@pytest.mark.parametrize("way", ["one by one", "by rule"])
def test_a_request_that_was_killed_is_finished_by_repeating_it(acme, killed_after, small_batches, way, after):
    fill(acme, 40, assets=2)
    act, state = WAYS[way]
    with killed_after(after):
        act(acme)
    assert rollups.check() == []
    act(acme)
    assert states(acme) == {state}
    assert rollups.check() == []
    assert Verdict.select().where(Verdict.ended_at.is_null()).count() == (40 if way == "one by one" else 1)
    assert FindingEvent.select().count() == 40, "nobody is told twice"


@pytest.mark.parametrize("after", range(2, 100, 9))
@pytest.mark.parametrize(("before", "way"), [("by rule", "rule ended"), ("one by one", "reopened"), (None, "by rule"),
                                             ("for a while", "run out")])
def test_what_a_killed_request_has_left_the_scheduler_finishes(acme, killed_after, small_batches, before, way, after):
    fill(acme, 40, assets=2)
    branch = asset(acme, "branch", lineage="p0")
    if before:
        WAYS[before][0](acme)
        AssetWriter(branch, "run", "sync:scripted").write([finding("k0", fingerprint="print 0", rule="r")])  # takes over what was decided
    with killed_after(after):
        WAYS[way][0](acme)
    later = clock.now() + 3 * clock.DAY
    while settling.finish(later, time.monotonic() + 60):
        pass
    verdict_of = {verdict.id: verdict for verdict in Verdict.select()}
    for row in Finding.select():
        verdict = verdict_of.get(row.verdict_id)
        assert (row.verdict, row.status) == ((verdict.kind, verdict.kind) if verdict else (None, "open"))
        assert verdict is None or verdict.ended_at is None
    assert rollups.check() == []
    assert all(verdict.settled_at is not None for verdict in verdict_of.values())


def test_the_scheduler_leaves_alone_who_is_still_at_work(acme, killed_after, small_batches):
    fill(acme, 20, assets=1)
    with killed_after(30):
        WAYS["by rule"][0](acme)
    assert settling.finish(clock.now(), time.monotonic() + 60) == 0


def test_what_is_decided_while_a_pull_is_under_way_covers_what_it_has_stored_and_what_it_will(acme):
    shop = asset(acme, "shop")
    writer = AssetWriter(shop, "run", "sync:scripted")
    writer.write([finding("a", rule="r")])
    verdicts.decide_broadly(acme, RULE, ACCEPTED, actor="anna")
    writer.write([finding("b", rule="r"), finding("c", rule="s")])
    verdicts.reopen_broadly(acme, RULE, actor="anna")
    writer.write([finding("d", rule="r")])
    verdicts.decide_broadly(acme, Target("asset", asset_id=shop.id, source="scripted"), Decision(VerdictKind.IGNORED), actor="anna")
    writer.write([finding("e")])
    assert {row.source_key: row.status for row in Finding.select()} == dict.fromkeys("abcde", "ignored")
    assert rollups.check() == []


def test_a_verdict_that_is_not_known_yet_when_a_pull_begins_reaches_the_new_branch(acme):
    main, dev = asset(acme, "main", "acme"), asset(acme, "dev", "acme")
    AssetWriter(main, "run", "sync:scripted").write([finding("a", fingerprint="x")])
    writer = AssetWriter(dev, "run", "sync:scripted")
    verdicts.decide(acme, keys_of(acme), ACCEPTED, actor="anna")
    writer.write([finding("b", fingerprint="x")])
    assert states(acme) == {"accepted"}


def test_deleting_an_asset_for_good_deletes_what_is_told_of_it_but_not_what_its_branches_may_take_over(acme):
    main, dev, other = asset(acme, "main", "acme"), asset(acme, "dev", "acme"), asset(acme, "other")
    for place in (main, other):
        AssetWriter(place, "run", "sync:scripted").write([finding("a", fingerprint="x")])
        verdicts.decide_broadly(acme, Target("asset", asset_id=place.id, source="scripted"), Decision(VerdictKind.IGNORED), actor="anna")
    verdicts.decide(acme, keys_of(acme), ACCEPTED, actor="anna")
    for place in (main, other):
        with atomic():
            store.delete_all(place)
            Asset.delete().where(Asset.id == place.id).execute()
    assert [model.select().count() for model in (Finding, FindingEvent, FindingKey, AssetDue)] == [0, 0, 0, 0]
    assert [(verdict.level, verdict.asset_id) for verdict in Verdict.select()] == [("finding", main.id)]
    AssetWriter(dev, "run", "sync:scripted").write([finding("b", fingerprint="x")])
    assert states(acme) == {"accepted"}
    with atomic():
        store.delete_all(dev)
    assert Verdict.select().count() == 0


def test_acceptances_that_run_out_come_back_at_the_schedulers_next_pass(acme):
    fill(acme, 3, assets=1)
    verdicts.decide(acme, keys_of(acme)[:2], Decision(VerdictKind.ACCEPTED, "x", clock.now() + clock.HOUR), actor="anna")
    upkeep.bring_in_line(clock.now() + clock.MINUTE)
    assert states(acme) == {"accepted", "open"}
    upkeep.bring_in_line(clock.now() + 2 * clock.HOUR)
    assert states(acme) == {"open"}
    expired = list(FindingEvent.select().where(FindingEvent.kind == "acceptance_expired"))
    assert {(event.actor, event.details["verdict"][0]) for event in expired} == {(settling.EXPIRY, "accepted")}
    assert len(expired) == 2
    assert rollups.check() == []


def test_the_second_verdict_on_one_target_takes_the_place_of_the_first_and_the_database_refuses_two(acme):
    fill(acme, 2, assets=1)
    for kind in (VerdictKind.IGNORED, VerdictKind.FALSE_POSITIVE):
        verdicts.decide_broadly(acme, RULE, Decision(kind), actor="anna")
    assert [(row.kind, row.ended_at is None) for row in Verdict.select().order_by(Verdict.created_at, Verdict.ended_at)].count(
        ("false_positive", True)) == 1
    assert Verdict.select().where(Verdict.ended_at.is_null()).count() == 1
    same = Verdict.get(Verdict.ended_at.is_null())
    columns = {**same.__data__, "id": new_id("vrd")}
    with pytest.raises(Exception, match="(?i)unique"), atomic():
        Verdict.insert(columns).execute()


def test_a_pruned_assets_findings_fall_under_what_is_decided_meanwhile(acme):
    fill(acme, 4, assets=2)
    first = Asset.get()
    with atomic():
        catalog.prune(acme.customer_id, [first.id])
    verdicts.decide_broadly(acme, RULE, ACCEPTED, actor="anna")
    catalog.restore(acme.customer_id, first.id)
    assert states(acme) == {"accepted"}
