"""Where audit events come from, what they are found by, and the seal over all chains."""

from peewee import *

from core.db.fields import InstantField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("audit_event", "actor_id", CharField(32, null=True)),
        migrator.add_column("audit_event", "via", CharField(16, null=True)),
        migrator.add_column("audit_event", "address", CharField(64, null=True)),
        migrator.add_column("audit_event", "request_id", CharField(64, null=True)),
        migrator.add_index("audit_event", ("at",)),
        migrator.add_index("audit_event", ("actor",)),
        migrator.add_index("audit_event", ("target",)))

    class AuditAnchor(Model):
        chain = CharField(primary_key=True, max_length=32)
        seq = BigIntegerField()
        digest = CharField(max_length=64)
        base_seq = BigIntegerField()
        base_digest = CharField(max_length=64)
        class Meta:
            database = db
            table_name = 'audit_anchor'
    db.create_tables([AuditAnchor])

    class AuditSeal(Model):
        id = IntegerField(primary_key=True)
        number = BigIntegerField()
        at = InstantField()
        root = CharField(max_length=64)
        key = CharField(max_length=64)
        signature = CharField(max_length=128)
        looked_at = InstantField()
        class Meta:
            database = db
            table_name = 'audit_seal'
    db.create_tables([AuditSeal])
