"""Verdicts, earlier keys of findings, due days; what a finding and an asset carry of them."""

from peewee import *

from core import clock
from core.db.fields import InstantField, JsonField


def up(migrator, db):
    # Constant defaults in the database itself: neither kind rewrites a row for them, however large the table is.
    db.execute_sql("ALTER TABLE asset ADD COLUMN lineage VARCHAR(500) NOT NULL DEFAULT ''")
    db.execute_sql("ALTER TABLE finding ADD COLUMN paused_ms BIGINT NOT NULL DEFAULT 0")
    migrator.migrate(
        migrator.add_column("asset", "enumerated_to", BigIntegerField(null=True)),
        migrator.add_column("asset", "sla_terms", JsonField(null=True)),
        migrator.add_column("asset", "terms_stale_at", InstantField(null=True)),
        migrator.add_column("asset", "due_stale_at", InstantField(null=True)),
        migrator.add_column("finding", "verdict_id", CharField(32, null=True)),
        migrator.add_column("finding", "verdict_until", InstantField(null=True)),
        migrator.add_column("finding", "paused_since", InstantField(null=True)),
        migrator.add_column("finding", "due_day", IntegerField(null=True)),
        migrator.add_column("finding_event", "verdict_id", CharField(32, null=True)))

    db.execute_sql("UPDATE asset SET lineage = external_key, enumerated_to = CASE WHEN synced_at IS NULL THEN NULL ELSE COALESCE(("
                   "SELECT MAX(finding.id) FROM finding WHERE finding.customer_id = asset.customer_id AND finding.asset_id = asset.id), 0) END")
    # What a source has accepted pauses from now on; since when it did is not known.
    db.execute_sql(f"UPDATE finding SET paused_since = {db.param} WHERE status = 'accepted'", (clock.now(),))  # noqa: S608

    class FindingKey(Model):
        customer_id = CharField(max_length=32)
        asset_id = CharField(max_length=32)
        source_key = CharField(max_length=500)
        finding_id = BigIntegerField()
        class Meta:
            database = db
            table_name = 'finding_key'
            primary_key = CompositeKey('customer_id', 'asset_id', 'source_key')
            indexes = ((('customer_id', 'finding_id'), False),)
    db.create_tables([FindingKey])

    class Verdict(Model):
        id = CharField(primary_key=True, max_length=32)
        customer_id = CharField(max_length=32)
        kind = CharField(max_length=16)
        level = CharField(max_length=8)
        asset_id = CharField(default='', max_length=32)
        finding_id = BigIntegerField(null=True)
        lineage = CharField(default='', max_length=500)
        fingerprint = CharField(default='', max_length=64)
        source = CharField(default='', max_length=32)
        rule_key = CharField(default='', max_length=300)
        cve = CharField(default='', max_length=64)
        reason = TextField(default='')
        author = CharField()
        created_at = InstantField()
        until = InstantField(null=True)
        ended_at = InstantField(null=True)
        ended_by = CharField(default='')
        settled_at = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'verdict'
    db.create_tables([Verdict])

    class SlaPolicy(Model):
        customer_id = CharField(max_length=32)
        group_id = CharField(default='', max_length=32)
        critical = IntegerField(null=True)
        high = IntegerField(null=True)
        medium = IntegerField(null=True)
        low = IntegerField(null=True)
        counts_working_days = BooleanField(default=False)
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'sla_policy'
            primary_key = CompositeKey('customer_id', 'group_id')
    db.create_tables([SlaPolicy])

    class AssetDue(Model):
        customer_id = CharField(max_length=32)
        asset_id = CharField(max_length=32)
        due_day = IntegerField()
        open_findings = IntegerField()
        class Meta:
            database = db
            table_name = 'asset_due'
            primary_key = CompositeKey('customer_id', 'asset_id', 'due_day')
    db.create_tables([AssetDue])

    for statement in (
            "CREATE INDEX asset_stale ON asset (customer_id) WHERE terms_stale_at IS NOT NULL OR due_stale_at IS NOT NULL",
            "CREATE INDEX finding_by_verdict ON finding (customer_id, verdict_id) WHERE verdict_id IS NOT NULL",
            # One verdict in force for each target: the database refuses the second, whoever decides at the same moment.
            "CREATE UNIQUE INDEX verdict_one_per_finding ON verdict (customer_id, finding_id) WHERE ended_at IS NULL AND level = 'finding'",
            "CREATE UNIQUE INDEX verdict_one_per_target ON verdict (customer_id, level, asset_id, source, rule_key, cve)"
            " WHERE ended_at IS NULL AND level <> 'finding'",
            "CREATE INDEX verdict_in_force ON verdict (customer_id, created_at, id) WHERE ended_at IS NULL",
            "CREATE INDEX verdict_by_fingerprint ON verdict (customer_id, lineage, fingerprint) WHERE ended_at IS NULL AND level = 'finding'",
            "CREATE INDEX verdict_running_out ON verdict (until) WHERE ended_at IS NULL AND until IS NOT NULL",
            "CREATE INDEX verdict_unsettled ON verdict (created_at) WHERE settled_at IS NULL"):
        db.execute_sql(statement)
