"""Types of credentials, their plain and earlier values; sealed values as bytes; which master key is the current one."""

import base64

from peewee import *

from core.db.fields import InstantField, JsonField


def up(migrator, db):
    db.execute_sql("ALTER TABLE master_key_check ADD COLUMN is_current BOOLEAN NOT NULL DEFAULT FALSE")
    db.execute_sql("UPDATE master_key_check SET is_current = TRUE")  # there was only ever one
    migrator.migrate(migrator.add_column("credential", "notes", TextField(null=True)))
    db.execute_sql("CREATE INDEX credential_by_type ON credential (type)")

    class Credential(Model):
        id = CharField(primary_key=True, max_length=32)
        class Meta:
            database = db
            table_name = 'credential'

    sealed_before = db.execute_sql("SELECT customer_id, credential_id, field, sealed, updated_at FROM sealed_value").fetchall()
    db.execute_sql("DROP TABLE sealed_value")

    class SealedValue(Model):
        customer_id = CharField(max_length=32)
        credential = ForeignKeyField(Credential, on_delete='CASCADE')
        field = CharField(max_length=64)
        sealed = BlobField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'sealed_value'
            primary_key = CompositeKey('customer_id', 'credential', 'field')
    db.create_tables([SealedValue])
    for customer_id, credential_id, field, text, updated_at in sealed_before:
        SealedValue.insert(customer_id=customer_id, credential=credential_id, field=field, sealed=_box(text), updated_at=updated_at).execute()

    class PlainValue(Model):
        customer_id = CharField(max_length=32)
        credential = ForeignKeyField(Credential, on_delete='CASCADE')
        field = CharField(max_length=64)
        value = TextField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'plain_value'
            primary_key = CompositeKey('customer_id', 'credential', 'field')
    db.create_tables([PlainValue])

    class PastValue(Model):
        id = BigAutoField()
        customer_id = CharField(max_length=32)
        credential = ForeignKeyField(Credential, on_delete='CASCADE')
        field = CharField(max_length=64)
        sealed = BlobField()
        was_secure = BooleanField()
        set_at = InstantField()
        replaced_at = InstantField()
        replaced_by = CharField()
        class Meta:
            database = db
            table_name = 'past_value'
            indexes = ((('customer_id', 'credential', 'field'), False),)
    db.create_tables([PastValue])

    class CredentialType(Model):
        id = CharField(primary_key=True, max_length=32)
        name = CharField(max_length=200)
        name_key = CharField(max_length=400, unique=True)
        permission_scope = CharField(max_length=150)
        icon = TextField(null=True)
        fields = JsonField()
        created_at = InstantField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'credential_type'
    db.create_tables([CredentialType])

    class PermissionScope(Model):
        scope = CharField(primary_key=True, max_length=150)
        class Meta:
            database = db
            table_name = 'permission_scope'
    db.create_tables([PermissionScope])


def _box(text):
    """``v1.<key version>.<base 64>`` as one byte of format, four of the version, and the rest."""
    form, version, rest = text.split(".")
    return bytes((int(form.removeprefix("v")),)) + int(version).to_bytes(4) + base64.b64decode(rest)
