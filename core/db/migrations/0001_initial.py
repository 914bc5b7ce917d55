"""The first schema."""

from peewee import *

from core.db.fields import InstantField, JsonField


def up(migrator, db):
    class ApiToken(Model):
        id = CharField(primary_key=True, max_length=32)
        user_id = CharField(index=True, max_length=32)
        name = CharField(max_length=200)
        prefix = CharField(max_length=16)
        digest = CharField(unique=True, max_length=64)
        nodes = JsonField(null=True)
        customer_id = CharField(null=True, max_length=32)
        created_at = InstantField()
        expires_at = InstantField(null=True)
        last_used_at = InstantField(null=True)
        revoked_at = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'api_token'
    db.create_tables([ApiToken])

    class Asset(Model):
        id = CharField(primary_key=True, max_length=32)
        customer_id = CharField(max_length=32)
        connection_id = CharField(max_length=32)
        source = CharField(max_length=32)
        kind = CharField(max_length=32)
        discipline = CharField(max_length=8)
        external_key = CharField(max_length=500)
        name = CharField(max_length=500)
        url = CharField(max_length=2000, default='')
        attributes = JsonField(default=dict)
        open_critical = IntegerField(default=0)
        open_high = IntegerField(default=0)
        open_medium = IntegerField(default=0)
        open_low = IntegerField(default=0)
        open_info = IntegerField(default=0)
        findings_total = IntegerField(default=0)
        findings_remediated = IntegerField(default=0)
        discovered_at = InstantField()
        synced_at = InstantField(null=True)
        pruned_at = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'asset'
            indexes = ((('customer_id', 'connection_id', 'external_key'), True),)
    db.create_tables([Asset])

    class AssetGroup(Model):
        id = CharField(primary_key=True, max_length=32)
        customer_id = CharField(index=True, null=True, max_length=32)
        name = CharField(max_length=200)
        description = TextField(default='')
        created_at = InstantField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'asset_group'
    db.create_tables([AssetGroup])

    class AuditEvent(Model):
        id = BigAutoField()
        chain = CharField(max_length=32)
        seq = BigIntegerField()
        customer_id = CharField(null=True, max_length=32)
        at = InstantField()
        actor = CharField()
        action = CharField(max_length=64)
        target = CharField()
        details = JsonField()
        digest = CharField(max_length=64)
        class Meta:
            database = db
            table_name = 'audit_event'
            indexes = ((('chain', 'seq'), True),)
    db.create_tables([AuditEvent])

    class AuditHead(Model):
        chain = CharField(primary_key=True, max_length=32)
        seq = BigIntegerField()
        digest = CharField(max_length=64)
        class Meta:
            database = db
            table_name = 'audit_head'
    db.create_tables([AuditHead])

    class Connection(Model):
        id = CharField(primary_key=True, max_length=32)
        customer_id = CharField(max_length=32)
        source = CharField(max_length=32)
        name = CharField(max_length=200)
        settings = JsonField()
        credential_id = CharField(max_length=32)
        health = CharField(max_length=16, default='unchecked')
        health_code = CharField(max_length=32, default='')
        health_message = TextField(default='')
        health_at = InstantField(null=True)
        interval_minutes = IntegerField(null=True)
        next_due_at = InstantField(index=True, null=True)
        group_id = CharField(null=True, max_length=32)
        webhook_key = CharField(unique=True, max_length=64)
        created_at = InstantField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'connection'
            indexes = ((('customer_id', 'source'), True),)
    db.create_tables([Connection])

    class Credential(Model):
        id = CharField(primary_key=True, max_length=32)
        customer_id = CharField(max_length=32)
        type = CharField(max_length=64)
        name = CharField(max_length=200)
        created_at = InstantField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'credential'
            indexes = ((('customer_id', 'id'), True),)
    db.create_tables([Credential])

    class Customer(Model):
        id = CharField(primary_key=True, max_length=32)
        name = CharField(max_length=200)
        name_key = CharField(unique=True, max_length=400)
        status = CharField(max_length=16, default='active')
        contact_email = CharField(default='')
        notes = TextField(default='')
        created_at = InstantField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'customer'
    db.create_tables([Customer])

    class DataKey(Model):
        customer_id = CharField(max_length=32)
        version = IntegerField()
        master_key_id = CharField(max_length=16)
        wrapped = TextField()
        created_at = InstantField()
        class Meta:
            database = db
            table_name = 'data_key'
            primary_key = CompositeKey('customer_id', 'version')
    db.create_tables([DataKey])

    class Finding(Model):
        id = BigAutoField()
        customer_id = CharField(max_length=32)
        asset_id = CharField(max_length=32)
        source = CharField(max_length=32)
        source_key = CharField(max_length=500)
        fingerprint = CharField(max_length=64)
        title = CharField(max_length=1000)
        severity = SmallIntegerField()
        status = CharField(max_length=16)
        source_state = CharField(max_length=16)
        source_status = CharField(max_length=64)
        verdict = CharField(null=True, max_length=16)
        category = CharField(max_length=32)
        rule_key = CharField(max_length=300)
        description = TextField()
        cwe = CharField(max_length=200)
        cve = CharField(max_length=500)
        path = CharField(max_length=1000)
        line = IntegerField(null=True)
        url = CharField(max_length=2000)
        details = TextField()
        source_created_at = InstantField(null=True)
        source_updated_at = InstantField(null=True)
        first_seen_at = InstantField()
        closed_at = InstantField(null=True)
        first_run_id = CharField(max_length=32)
        last_run_id = CharField(max_length=32)
        digest = BigIntegerField()
        class Meta:
            database = db
            table_name = 'finding'
            indexes = ((('customer_id', 'asset_id', 'source_key'), True), (('customer_id', 'status', 'severity', 'id'), False), (('customer_id', 'asset_id', 'status', 'severity'), False))
    db.create_tables([Finding])

    class FindingEvent(Model):
        id = BigAutoField()
        customer_id = CharField(max_length=32)
        finding_id = BigIntegerField()
        at = InstantField()
        kind = CharField(max_length=24)
        actor = CharField()
        run_id = CharField(max_length=32)
        details = JsonField(default=dict)
        class Meta:
            database = db
            table_name = 'finding_event'
            indexes = ((('customer_id', 'finding_id', 'id'), False),)
    db.create_tables([FindingEvent])

    class GroupLimit(Model):
        id = BigAutoField()
        customer_id = CharField(max_length=32)
        user_id = CharField(max_length=32)
        group_id = CharField(max_length=32)
        class Meta:
            database = db
            table_name = 'group_limit'
            indexes = ((('customer_id', 'user_id', 'group_id'), True), (('user_id',), False))
    db.create_tables([GroupLimit])

    class GroupMember(Model):
        customer_id = CharField(max_length=32)
        group = ForeignKeyField(AssetGroup, on_delete='CASCADE')
        asset = ForeignKeyField(Asset, on_delete='CASCADE')
        added_at = InstantField()
        class Meta:
            database = db
            table_name = 'group_member'
            primary_key = CompositeKey('customer_id', 'group', 'asset')
    db.create_tables([GroupMember])

    class Lease(Model):
        name = CharField(primary_key=True, max_length=64)
        holder = CharField(max_length=64)
        expires_at = InstantField()
        class Meta:
            database = db
            table_name = 'lease'
    db.create_tables([Lease])

    class MasterKeyCheck(Model):
        key_id = CharField(primary_key=True, max_length=16)
        sealed = TextField()
        created_at = InstantField()
        class Meta:
            database = db
            table_name = 'master_key_check'
    db.create_tables([MasterKeyCheck])

    class NodeGrant(Model):
        id = BigAutoField()
        user_id = CharField(max_length=32)
        node = CharField(max_length=200)
        customer_id = CharField(max_length=32, default='')
        class Meta:
            database = db
            table_name = 'node_grant'
            indexes = ((('user_id', 'node', 'customer_id'), True),)
    db.create_tables([NodeGrant])

    class PluginState(Model):
        name = CharField(primary_key=True, max_length=64)
        enabled = BooleanField()
        changed_at = InstantField()
        changed_by = CharField()
        class Meta:
            database = db
            table_name = 'plugin_state'
    db.create_tables([PluginState])

    class Role(Model):
        id = CharField(primary_key=True, max_length=32)
        moniker = CharField(unique=True, max_length=64)
        name = CharField(max_length=200)
        nodes = JsonField()
        built_in = BooleanField(default=False)
        created_at = InstantField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'role'
    db.create_tables([Role])

    class RoleGrant(Model):
        id = BigAutoField()
        user_id = CharField(max_length=32)
        role = ForeignKeyField(Role, on_delete='RESTRICT')
        customer_id = CharField(max_length=32, default='')
        class Meta:
            database = db
            table_name = 'role_grant'
            indexes = ((('user_id', 'role', 'customer_id'), True), (('customer_id',), False))
    db.create_tables([RoleGrant])

    class Rule(Model):
        id = BigAutoField()
        customer_id = CharField(max_length=32)
        source = CharField(max_length=32)
        key = CharField(max_length=300)
        name = CharField(max_length=500)
        description = TextField()
        cwe = JsonField()
        url = CharField(max_length=2000)
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'rule'
            indexes = ((('customer_id', 'source', 'key'), True),)
    db.create_tables([Rule])

    class Run(Model):
        id = CharField(primary_key=True, max_length=32)
        customer_id = CharField(max_length=32)
        connection_id = CharField(max_length=32)
        source = CharField(max_length=32)
        trigger = CharField(max_length=16)
        requested_by = CharField()
        asset_keys = JsonField(null=True)
        state = CharField(max_length=16)
        phase = CharField(max_length=16, default='')
        done = IntegerField(default=0)
        of_how_many = IntegerField(null=True)
        counts = JsonField(default=dict)
        reason_code = CharField(max_length=32, default='')
        reason = TextField(default='')
        problems = JsonField(default=list)
        plan = JsonField(null=True)
        decided_by = CharField(default='')
        follow_up = JsonField(null=True)
        attempt = IntegerField(default=0)
        worker = CharField(max_length=128, default='')
        requested_at = InstantField()
        started_at = InstantField(null=True)
        heartbeat_at = InstantField(null=True)
        finished_at = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'run'
            indexes = ((('customer_id', 'requested_at'), False), (('connection_id', 'requested_at'), False))
    db.create_tables([Run])

    class RunChange(Model):
        id = BigAutoField()
        customer_id = CharField(max_length=32)
        run = ForeignKeyField(Run, on_delete='CASCADE')
        asset_id = CharField(max_length=32)
        finding_id = BigIntegerField(null=True)
        class Meta:
            database = db
            table_name = 'run_change'
            indexes = ((('customer_id', 'run', 'asset_id'), False),)
    db.create_tables([RunChange])

    class SealedValue(Model):
        customer_id = CharField(max_length=32)
        credential = ForeignKeyField(Credential, on_delete='CASCADE')
        field = CharField(max_length=64)
        sealed = TextField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'sealed_value'
            primary_key = CompositeKey('customer_id', 'credential', 'field')
    db.create_tables([SealedValue])

    class User(Model):
        id = CharField(primary_key=True, max_length=32)
        email = CharField()
        email_key = CharField(unique=True)
        name = CharField(max_length=200, default='')
        image = CharField(max_length=1000, default='')
        password_hash = TextField(null=True)
        status = CharField(max_length=16, default='active')
        failed_attempts = IntegerField(default=0)
        locked_until = InstantField(null=True)
        last_sign_in_at = InstantField(null=True)
        created_at = InstantField()
        updated_at = InstantField()
        class Meta:
            database = db
            table_name = 'user'
    db.create_tables([User])

    class UserSession(Model):
        token_digest = CharField(primary_key=True, max_length=64)
        user_id = CharField(index=True, max_length=32)
        customer_id = CharField(null=True, max_length=32)
        created_at = InstantField()
        seen_at = InstantField()
        expires_at = InstantField(index=True)
        class Meta:
            database = db
            table_name = 'user_session'
    db.create_tables([UserSession])

    # One unfinished run per connection: the database refuses the second, whoever asks.
    db.execute_sql("CREATE UNIQUE INDEX run_one_unfinished ON run (connection_id) WHERE state IN ('queued', 'running')")
