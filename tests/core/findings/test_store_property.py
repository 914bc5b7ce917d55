"""Whatever a source says, sync after sync: what is stored is what a plain model of the rules says, and the rollups are a recount."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from core.assets.models import Asset
from core.db import atomic
from core.findings import rollups, store
from core.findings.models import Finding, FindingEvent
from core.findings.state import REMEDIATED
from core.findings.store import AssetWriter
from core.hooks.contracts import FindingDraft, Severity, SourceState
from core.ids import new_id

SAYABLE = [SourceState.OPEN, SourceState.FIXED, SourceState.ACCEPTED, SourceState.FALSE_POSITIVE]
draft = some.builds(lambda key, severity, state: FindingDraft(source_key=f"k{key}", title="t", severity=severity, state=state),
                    some.integers(0, 6), some.sampled_from(list(Severity)), some.sampled_from(SAYABLE))
batches = some.lists(some.lists(draft, max_size=5), max_size=3)


@given(some.lists(some.tuples(batches, some.booleans()), max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_syncs_leaves_what_the_rules_say(database, syncs):
    for table in (FindingEvent, Finding, Asset):
        table.delete().execute()
    asset = Asset.create(id=new_id("ast"), customer_id="cus", connection_id="con", source="s", kind="k", discipline="appsec",
                         external_key="x", name="x", discovered_at=1)
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
        due = list(writer.unmentioned())
        assert {row.source_key for row in Finding.select().where(Finding.id.in_(due))} == living
        if is_complete:
            with atomic():
                store.close("cus", asset.id, due, run_id=run_id, actor="test")
            model.update({key: (SourceState.GONE, model[key][1]) for key in living})
        assert {row.source_key: (row.source_state, row.severity) for row in Finding.select()} == model
        assert rollups.check() == []
