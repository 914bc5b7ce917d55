"""Whatever a source says, sync after sync: what is stored is what a plain model of the rules says, and the rollups are a recount."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from core.assets.models import Asset
from core.db import atomic
from core.findings import rollups, store
from core.findings.models import AssetDue, Finding, FindingEvent, FindingKey, SlaPolicy
from core.findings.state import REMEDIATED
from core.findings.store import AssetWriter
from core.hooks.contracts import FindingDraft, Severity, SourceState
from core.ids import new_id

SAYABLE = [SourceState.OPEN, SourceState.FIXED, SourceState.ACCEPTED, SourceState.FALSE_POSITIVE]


def drafts(fingerprints):
    return some.builds(lambda key, severity, state, fingerprint, line: FindingDraft(
        source_key=f"k{key}", title="t", severity=severity, state=state, fingerprint=fingerprint, line=line),
        some.integers(0, 6), some.sampled_from(list(Severity)), some.sampled_from(SAYABLE), some.sampled_from(fingerprints),
        some.integers(1, 3))


def syncs(fingerprints):
    return some.lists(some.tuples(some.lists(some.lists(drafts(fingerprints), max_size=5), max_size=3), some.booleans()), max_size=5)


def start_anew(*policy):
    for table in (FindingEvent, FindingKey, Finding, Asset, AssetDue, SlaPolicy):
        table.delete().execute()
    if policy:
        SlaPolicy.create(customer_id="cus", critical=policy[0], high=policy[1], low=policy[2], counts_working_days=policy[3], updated_at=1)
    return Asset.create(id=new_id("ast"), customer_id="cus", connection_id="con", source="s", kind="k", discipline="appsec",
                        external_key="x", name="x", discovered_at=1)


@given(syncs([""]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_syncs_leaves_what_the_rules_say(database, syncs):
    asset = start_anew()
    model: dict[str, tuple[str, int]] = {}
    for number, (enumeration, is_complete) in enumerate(syncs):
        run_id = f"run_{number}"
        writer = AssetWriter(asset, run_id, "test")
        living = {key for key, (state, _) in model.items() if state not in REMEDIATED}
        for batch in enumeration:
            writer.write(batch)
            for said in batch:
                model[said.source_key] = (said.state, said.severity)
                living.discard(said.source_key)
        if is_complete:
            writer.settle()
        due = list(writer.unmentioned())
        assert {row.source_key for row in Finding.select().where(Finding.id.in_(due))} == living
        if is_complete:
            with atomic():
                store.close("cus", asset.id, due, run_id=run_id, actor="test")
            model.update({key: (SourceState.GONE, model[key][1]) for key in living})
        assert {row.source_key: (row.source_state, row.severity) for row in Finding.select()} == model
        assert rollups.check() == []
        assert AssetDue.select().count() == 0


policies = some.tuples(some.none() | some.integers(1, 9), some.none() | some.integers(1, 9), some.none() | some.integers(1, 9),
                       some.booleans())


@given(syncs(["", "p", "q"]), policies)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_keys_a_source_gives_no_finding_is_lost_doubled_or_miscounted(database, syncs, policy):
    """Few fingerprints for many keys: nearly every complete pull finds something under another key."""
    asset = start_anew(*policy)
    settled: set[int] = set()
    for number, (enumeration, is_complete) in enumerate(syncs):
        run_id = f"run_{number}"
        writer = AssetWriter(asset, run_id, "test")
        said: dict[str, tuple[str, int]] = {}
        for batch in enumeration:
            writer.write(batch)
            said.update({draft.source_key: (draft.state, draft.severity) for draft in batch})
        if is_complete:
            writer.settle()
            with atomic():
                store.close("cus", asset.id, list(writer.unmentioned()), run_id=run_id, actor="test")
        rows = {row.source_key: row for row in Finding.select()}
        assert len(rows) == Finding.select().count()
        assert {key: (rows[key].source_state, rows[key].severity) for key in said} == said
        assert settled <= {row.id for row in rows.values()}, "a finding that was there has vanished"
        if is_complete:
            assert {key for key, row in rows.items() if row.source_state not in REMEDIATED} == {
                key for key, (state, _) in said.items() if state not in REMEDIATED}
            settled = {row.id for row in rows.values()}
        told = {event.finding_id for event in FindingEvent.select()} | {key.finding_id for key in FindingKey.select()}
        assert told <= {row.id for row in rows.values()}, "something is told of a row that is no more"
        assert rollups.check() == []
        days = policy[:2]
        for row in rows.values():
            covered = {Severity.CRITICAL: days[0], Severity.HIGH: days[1], Severity.LOW: policy[2]}.get(row.severity)
            assert (row.due_day is not None) == (row.status == "open" and covered is not None)
