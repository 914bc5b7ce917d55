"""What a sync may and may not do to what is stored, on both databases."""

import json
import threading

import pytest

from core import clock
from core.assets import catalog
from core.assets.models import Asset, GroupMember
from core.audit.models import AuditEvent
from core.connections import engine, runs, service, upkeep
from core.connections.models import Connection, Run, RunChange
from core.credentials import service as credentials
from core.db import atomic, db, is_postgres
from core.errors import Conflict, NotFound
from core.findings.models import Finding, FindingEvent, Rule
from core.hooks.contracts import Severity, SourceState, Unmapped
from core.hooks.failures import AnswerInvalid, LoginRejected, UpstreamUnavailable
from tests import syncing
from tests.scripted import finding
from tests.servers import eventually_waits
from tests.syncing import living_assets, rollups_are_right, states, sync


def events_of(source_key):
    key = Finding.get(Finding.source_key == source_key).id
    return [event.kind for event in FindingEvent.select().where(FindingEvent.finding_id == key).order_by(FindingEvent.id)]


def test_a_first_sync_stores_assets_and_findings_with_their_totals(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a", Severity.CRITICAL), finding("b", Severity.LOW)], "api": [finding("c", state=SourceState.FIXED)]}
    run = sync(deployment, connection)
    assert (run.state, run.phase, run.done, run.of_how_many) == ("succeeded", "done", 2, 2)
    assert run.counts["added"] == 3
    assert states(acme) == {"a": "open", "b": "open", "c": "fixed"}
    shop = Asset.get(Asset.external_key == "shop")
    assert (shop.open_critical, shop.open_low, shop.findings_total, shop.findings_remediated) == (1, 1, 2, 0)
    assert rollups_are_right()
    assert Connection.get_by_id(connection.id).health == "ok"


def test_an_identical_sync_rewrites_no_row(deployment, connection, world):
    world.assets = {"shop": [finding(f"k{number}") for number in range(2500)]}
    first = sync(deployment, connection)
    before = list(Finding.select().order_by(Finding.id).dicts())
    second = sync(deployment, connection)
    assert second.counts["unchanged"] == 2500
    assert second.counts.get("added", 0) == second.counts.get("changed", 0) == 0
    assert list(Finding.select().order_by(Finding.id).dicts()) == before
    assert {row["last_run_id"] for row in before} == {first.id}
    assert FindingEvent.select().count() == 0


def test_what_is_no_longer_mentioned_is_closed_and_what_returns_is_reopened(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a"), finding("b")]}
    sync(deployment, connection)
    first_seen = Finding.get(Finding.source_key == "b").first_seen_at
    world.assets = {"shop": [finding("a")]}
    assert sync(deployment, connection).counts["closed"] == 1
    assert states(acme) == {"a": "open", "b": "gone"}
    world.assets = {"shop": [finding("a"), finding("b")]}
    assert sync(deployment, connection).counts["reopened"] == 1
    assert states(acme) == {"a": "open", "b": "open"}
    row = Finding.get(Finding.source_key == "b")
    assert (row.first_seen_at, row.closed_at) == (first_seen, None)
    assert events_of("b") == ["closed", "reopened"]
    assert rollups_are_right()


def test_changes_are_told_with_before_and_after(deployment, connection, world):
    world.assets = {"shop": [finding("a", Severity.LOW)]}
    sync(deployment, connection)
    world.assets = {"shop": [finding("a", Severity.CRITICAL)]}
    run = sync(deployment, connection)
    event = FindingEvent.get()
    assert (event.kind, event.details, event.run_id) == ("changed", {"severity": [1, 4]}, run.id)
    assert rollups_are_right()


def test_a_verdict_survives_every_sync(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a")]}
    sync(deployment, connection)
    Finding.update(verdict="accepted", status="accepted").execute()
    Asset.update(open_high=0).execute()
    for draft in (finding("a", Severity.CRITICAL), finding("a", state=SourceState.FIXED), finding("a")):
        world.assets = {"shop": [draft]}
        sync(deployment, connection)
        assert Finding.get().verdict == "accepted"
        assert rollups_are_right()
    assert states(acme) == {"a": "accepted"}


def test_a_key_that_is_repeated_counts_once_with_its_last_draft(deployment, connection, world):
    same = [finding("a", Severity.LOW), *(finding(f"k{number}") for number in range(1500)), finding("a", Severity.HIGH)]
    world.assets = {"shop": same}
    sync(deployment, connection)
    assert Finding.select().count() == 1501
    assert Finding.get(Finding.source_key == "a").severity == Severity.HIGH
    assert rollups_are_right()


@pytest.mark.parametrize("trouble", [UpstreamUnavailable("page 3 answered 503"), AnswerInvalid("cut short"), RuntimeError("a bug")],
                         ids=lambda trouble: type(trouble).__name__)
def test_an_asset_cut_short_closes_nothing_and_the_others_go_on(deployment, connection, acme, world, trouble):
    world.assets = {"api": [finding("x"), finding("y")], "shop": [finding("a"), finding("b")]}
    sync(deployment, connection)
    world.assets = {"api": [finding("x"), trouble], "shop": [finding("a")]}
    run = sync(deployment, connection)
    assert run.state == "partial"
    assert [problem["asset"] for problem in run.problems] == ["api"]
    assert states(acme) == {"x": "open", "y": "open", "a": "open", "b": "gone"}
    assert living_assets(acme) == {"api", "shop"}


def test_a_catalog_cut_short_closes_and_prunes_nothing(deployment, connection, acme, world):
    world.assets = {"api": [finding("x")], "shop": [finding("a")]}
    sync(deployment, connection)
    world.assets, world.catalog_fails = {"api": []}, UpstreamUnavailable("page 2 of the catalog answered 500")
    run = sync(deployment, connection)
    assert (run.state, run.reason_code) == ("failed", "unavailable")
    assert living_assets(acme) == {"api", "shop"}
    assert states(acme) == {"x": "open", "a": "open"}


def test_a_refused_token_ends_the_run_marks_the_connection_and_closes_nothing(deployment, connection, acme, world):
    world.assets = {"api": [finding("x")], "shop": [finding("a")]}
    sync(deployment, connection)
    world.assets = {"api": [], "shop": [LoginRejected("GET /issues on source.example answered 401")]}
    run = sync(deployment, connection)
    assert (run.state, run.reason_code) == ("failed", "token_refused")
    stored = Connection.get_by_id(connection.id)
    assert (stored.health, stored.health_code) == ("needs_attention", "token_refused")
    assert states(acme) == {"x": "open", "a": "open"}
    assert RunChange.select().count() == 0


def test_a_source_that_is_down_ends_the_run_instead_of_asking_for_every_asset(deployment, connection, world):
    asked = []
    world.on_asset = asked.append
    world.assets = {f"p{number}": [UpstreamUnavailable("503")] for number in range(40)}
    run = sync(deployment, connection)
    assert (run.state, run.reason_code) == ("failed", "unavailable")
    assert len(asked) == engine.FAILURES_IN_A_ROW


def test_a_record_that_cannot_be_read_is_counted_and_closes_nothing(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a"), finding("b")]}
    sync(deployment, connection)
    world.assets = {"shop": [finding("a"), Unmapped("KeyError: severity")]}
    assert sync(deployment, connection).counts["unmapped"] == 1
    assert states(acme) == {"a": "open", "b": "open"}
    world.assets = {"shop": [Unmapped("KeyError: severity", "a")]}
    sync(deployment, connection)
    assert states(acme) == {"a": "open", "b": "gone"}


def test_an_empty_catalog_is_held_until_a_person_decides(deployment, connection, acme, world):
    world.assets = {"api": [finding("x")], "shop": [finding("a")]}
    sync(deployment, connection)
    world.assets = {}
    run = sync(deployment, connection)
    assert (run.state, run.plan["prunes"], run.plan["closes"], run.plan["catalogIsEmpty"]) == ("held", 2, 2, True)
    assert living_assets(acme) == {"api", "shop"}
    runs.discard(acme, run.id, actor="anna")
    assert Run.get_by_id(run.id).state == "discarded"
    assert living_assets(acme) == {"api", "shop"}
    with pytest.raises(Conflict):
        runs.approve(deployment, acme, run.id, actor="anna")


def test_a_held_run_that_is_approved_does_what_it_showed(deployment, connection, acme, world):
    world.assets = {"shop": [finding(f"k{number}") for number in range(30)], "api": [finding("x")]}
    sync(deployment, connection)
    world.assets = {"shop": [finding(f"k{number}") for number in range(5)], "api": [finding("x")]}
    run = sync(deployment, connection)
    assert (run.state, run.plan["closes"], run.plan["findingsThere"]) == ("held", 25, 31)
    assert set(states(acme).values()) == {"open"}
    runs.approve(deployment, acme, run.id, actor="anna")
    engine.execute(deployment, run.id)
    run = Run.get_by_id(run.id)
    assert (run.state, run.decided_by, run.counts["closed"]) == ("succeeded", "anna", 25)
    assert sum(state == "gone" for state in states(acme).values()) == 25
    assert rollups_are_right()


def test_ten_closings_are_free_and_half_is_not_too_many(deployment, connection, acme, world):
    world.assets = {"shop": [finding(f"k{number}") for number in range(10)]}
    sync(deployment, connection)
    world.assets = {"shop": []}
    assert sync(deployment, connection).state == "succeeded"
    assert set(states(acme).values()) == {"gone"}
    world.assets = {"shop": [finding(f"n{number}") for number in range(40)]}
    sync(deployment, connection)
    world.assets = {"shop": [finding(f"n{number}") for number in range(20)]}
    assert sync(deployment, connection).state == "succeeded"


def test_a_newer_run_makes_a_held_one_out_of_date(deployment, connection, acme, world):
    world.assets = {"shop": [finding(f"k{number}") for number in range(30)]}
    sync(deployment, connection)
    world.assets = {"shop": []}
    held = sync(deployment, connection)
    world.assets = {"shop": [finding(f"k{number}") for number in range(30)]}
    newer = sync(deployment, connection)
    held = Run.get_by_id(held.id)
    assert (held.state, held.decided_by) == ("discarded", newer.id)
    assert RunChange.select().count() == 0


def test_a_project_that_vanished_is_pruned_with_its_memberships_and_comes_back_whole(deployment, connection, acme, world):
    world.assets = {"api": [finding("x")], "shop": [finding("a")], "web": []}
    sync(deployment, connection)
    world.assets = {"api": [finding("x")], "web": []}
    assert sync(deployment, connection).counts["pruned"] == 1
    assert living_assets(acme) == {"api", "web"}
    assert [row.source_key for row in Finding.within(acme)] == ["x"]
    shop = Asset.get(Asset.external_key == "shop")
    assert catalog.restore(acme.customer_id, shop.id)
    assert living_assets(acme) == {"api", "shop", "web"}
    assert GroupMember.select().where(GroupMember.asset == shop.id).count() == 1
    sync(deployment, connection)
    world.assets = {"api": [finding("x")], "shop": [finding("a")], "web": []}
    sync(deployment, connection)
    assert Asset.get_by_id(shop.id).pruned_at is None


def test_pruned_assets_are_deleted_when_they_can_no_longer_be_restored(deployment, connection, acme, world):
    world.assets = {"api": [finding("x")], "shop": [finding("a"), finding("b")]}
    sync(deployment, connection)
    world.assets = {"api": [finding("x")], "shop": [finding("a")]}
    sync(deployment, connection)
    catalog.prune(acme.customer_id, [Asset.get(Asset.external_key == "shop").id])
    day = clock.DAY
    assert upkeep.delete_pruned(deployment, clock.now() + 29 * day) == 0
    assert upkeep.delete_pruned(deployment, clock.now() + 31 * day) == 1
    assert states(acme) == {"x": "open"}
    assert FindingEvent.select().count() == 0
    assert GroupMember.select().count() == 1


def test_only_newly_discovered_assets_join_the_group_of_the_connection(deployment, connection, acme, world):
    world.assets = {"shop": []}
    sync(deployment, connection)
    assert GroupMember.select().count() == 1
    GroupMember.delete().execute()
    world.assets = {"shop": [], "api": []}
    sync(deployment, connection)
    assert [member.asset.external_key for member in GroupMember.select()] == ["api"]


def test_rules_are_fetched_once_and_stored_clean(deployment, connection, world):
    world.assets = {"shop": [finding("a", rule="r1"), finding("b", rule="r2")], "api": [finding("c", rule="r1")]}
    sync(deployment, connection)
    sync(deployment, connection)
    assert sorted(world.rules_asked) == ["r1", "r2"]
    assert {rule.description for rule in Rule.select()} == {"<p>Text</p>"}


def test_a_webhook_syncs_its_asset_alone(deployment, connection, acme, world):
    world.assets = {"api": [finding("x")], "shop": [finding("a")]}
    sync(deployment, connection)
    asked = []
    world.on_asset = asked.append
    world.assets = {"api": [], "shop": [finding("a"), finding("b")]}
    run = sync(deployment, connection, asset_keys=["shop"])
    assert (run.state, asked) == ("succeeded", ["shop"])
    assert states(acme) == {"x": "open", "a": "open", "b": "open"}
    assert living_assets(acme) == {"api", "shop"}


def test_a_webhook_for_what_the_connection_does_not_cover_changes_nothing(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a")]}
    sync(deployment, connection)
    run = sync(deployment, connection, asset_keys=["shop::feature"])
    assert (run.state, run.problems, run.of_how_many) == ("succeeded", [], 0)
    assert living_assets(acme) == {"shop"}
    assert Connection.get_by_id(connection.id).health == "ok"


def test_two_requests_at_once_are_one_run_and_what_a_webhook_named_meanwhile_comes_next(deployment, connection, world):
    world.assets = {"shop": [finding("a")]}
    first = runs.request_sync(deployment, connection, trigger="person", requested_by="anna")
    second = runs.request_sync(deployment, connection, trigger="webhook", requested_by="webhook", asset_keys=["shop"])
    assert first.id == second.id
    engine.execute(deployment, first.id)
    assert Run.get_by_id(first.id).state == "succeeded"
    after = Run.get(Run.id != first.id)
    assert (after.asset_keys, after.trigger, after.state) == (["shop"], "webhook", "queued")


def test_what_two_webhooks_name_at_once_both_comes_next(deployment, connection, world):
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="anna")
    webhook = threading.Thread(target=lambda: (
        runs.request_sync(deployment, connection, trigger="webhook", requested_by="webhook", asset_keys=["shop"]), db.close()))
    with atomic():  # as another webhook does that is between looking and writing
        if is_postgres():
            Run.select().where(Run.id == run.id).for_update().execute()
        webhook.start()
        eventually_waits(webhook)
        Run.update(follow_up=["blog"]).where(Run.id == run.id).execute()
    webhook.join(30)
    assert Run.get_by_id(run.id).follow_up == ["blog", "shop"]


def test_a_run_is_executed_by_one_worker_only(deployment, connection, world):
    world.assets = {"shop": [finding("a")]}
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="anna")
    world.on_asset = lambda key: engine.execute(deployment, run.id)  # a second worker gets the same job meanwhile
    engine.execute(deployment, run.id)
    run = Run.get_by_id(run.id)
    assert (run.state, run.attempt, run.counts["added"]) == ("succeeded", 1, 1)


def test_a_worker_that_was_taken_for_dead_writes_nothing_more(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a")]}
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="anna")
    world.on_asset = lambda key: Run.update(worker="another").execute()
    engine.execute(deployment, run.id)
    assert states(acme) == {}
    assert Run.get_by_id(run.id).state == "running"


def test_a_dead_run_is_taken_up_again_and_nothing_is_doubled(deployment, connection, acme, world):
    world.assets = {"api": [finding("x")], "shop": [finding("a")]}
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="anna")
    world.on_asset = lambda key: (_ for _ in ()).throw(KeyboardInterrupt) if key == "shop" else None  # as good as killed
    with pytest.raises(KeyboardInterrupt):
        engine.execute(deployment, run.id)
    assert Run.get_by_id(run.id).state == "running"
    later = clock.now() + 31 * clock.SECOND
    assert upkeep.take_up_dead(deployment, later) == 1
    assert Run.get_by_id(run.id).state == "queued"
    world.on_asset = lambda key: None
    engine.execute(deployment, run.id)
    run = Run.get_by_id(run.id)
    assert (run.state, run.attempt, run.counts["added"]) == ("succeeded", 2, 2)
    assert states(acme) == {"x": "open", "a": "open"}
    assert rollups_are_right()


def test_a_run_that_kills_every_worker_is_given_up(deployment, connection, world):
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="anna")
    Run.update(state="running", attempt=runs.MOST_ATTEMPTS, worker="w", heartbeat_at=0).execute()
    upkeep.take_up_dead(deployment, clock.now())
    run = Run.get_by_id(run.id)
    assert (run.state, run.reason_code) == ("failed", "worker_died")


def test_jobs_that_redis_lost_are_enqueued_again(deployment, connection, world):
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="anna")
    later = clock.now() + clock.MINUTE
    assert upkeep.enqueue_lost(deployment, later) == 0
    deployment.queue._redis.flushall()
    assert upkeep.enqueue_lost(deployment, later) == 1
    assert deployment.queue.has(runs.job_id(run))


def test_schedules_start_when_they_are_due(deployment, acme, world):
    connection = service.configure(deployment, acme, deployment.plugins.connector("scripted"), {"token": "t" * 20}, actor="test",
                                   interval_minutes=60)
    assert upkeep.start_due(deployment, clock.now()) == 0
    due = clock.now() + 61 * clock.MINUTE
    assert upkeep.start_due(deployment, due) == 1
    assert Run.get().trigger == "schedule"
    assert Connection.get_by_id(connection.id).next_due_at == due + 60 * clock.MINUTE


def test_what_belongs_to_another_customer_is_neither_touched_nor_shown(deployment, connection, acme, world):
    other = syncing.customer("Globex")
    theirs = syncing.connected(deployment, other)
    world.assets = {"shop": [finding("a"), finding("b")]}
    sync(deployment, connection)
    held = sync(deployment, theirs)
    world.assets = {"shop": [finding("a")]}
    sync(deployment, connection)
    assert states(acme) == {"a": "open", "b": "gone"}
    assert states(other) == {"a": "open", "b": "open"}
    assert [run.id for run in runs.listing(other)] == [held.id]
    with pytest.raises(NotFound):
        runs.find(acme, held.id)


def test_the_secret_is_in_no_table_but_sealed(deployment, connection, world):
    world.assets = {"shop": [RuntimeError(f"boom {syncing.SECRET}")]}
    sync(deployment, connection)
    assert world.opened_with[-1]["token"] == syncing.SECRET
    for table in db.get_tables():
        rows = db.execute_sql(f'SELECT * FROM "{table}"').fetchall()
        assert syncing.SECRET not in json.dumps(rows, default=str)
    assert AuditEvent.select().where(AuditEvent.action == "credential.revealed").count() == 1


def test_texts_that_a_database_refuses_are_cleaned_not_lost(deployment, connection, world):
    world.assets = {"shop": [finding("nul\x00key", path="x\ud800y", description="\x00", title="t" * 3000)], "l" * 900: []}
    world.names = {"l" * 900: "n" * 900}
    assert sync(deployment, connection).state == "succeeded"
    assert sync(deployment, connection).counts["unchanged"] == 1
    assert Finding.get().source_key == "nulkey"


def test_a_connection_whose_secrets_were_destroyed_asks_to_be_configured_anew(deployment, connection, acme, world):
    credentials.destroy_customer_key(acme.customer_id, actor="test")
    run = sync(deployment, connection)
    assert (run.state, run.reason_code) == ("failed", "settings_invalid")
    assert Connection.get_by_id(connection.id).health == "needs_attention"
    syncing.connected(deployment, acme)
    assert sync(deployment, connection).state == "succeeded"
