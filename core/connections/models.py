"""Configured connectors and the executions of their jobs."""

import peewee

from core.db import InstantField, JsonField, Model
from core.scope import Scope

UNFINISHED = ("queued", "running")
IMPORT = "import"  # the trigger of a run whose data comes from an uploaded report
STATES = (*UNFINISHED, "succeeded", "partial", "failed", "held", "discarded")


class Connection(Model):
    """One customer's configured connector, or one of the MSP's own (``core.scope.HOUSE``). Secrets lie apart, sealed, in the credential."""

    id = peewee.CharField(32, primary_key=True)
    customer_id = peewee.CharField(32)
    source = peewee.CharField(32)
    name = peewee.CharField(200)
    settings = JsonField()  # without the secret fields
    credential_id = peewee.CharField(32)
    health = peewee.CharField(16, default="unchecked")  # unchecked | ok | failing | needs_attention
    health_code = peewee.CharField(32, default="")
    health_message = peewee.TextField(default="")
    health_at = InstantField(null=True)
    interval_minutes = peewee.IntegerField(null=True)  # null: synced by hand and by webhooks alone
    next_due_at = InstantField(null=True, index=True)
    group_id = peewee.CharField(32, null=True)  # group that newly discovered assets join
    webhook_key = peewee.CharField(64, unique=True)  # names the connection in its webhook's address
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        indexes = ((("customer_id", "source"), True),)

    @classmethod
    def within(cls, scope: Scope) -> peewee.ModelSelect:
        query = cls.select().where(cls.customer_id == scope.customer_id)
        return query.where(cls.source.not_in(sorted(scope.hidden_sources))) if scope.hidden_sources else query

    @property
    def webhook_path(self) -> str:
        """The path of the connection's webhook; its key is not a secret, the signature is."""
        return f"/api/integrations/{self.source}/webhook/{self.webhook_key}"


class Run(Model):
    """One execution of a sync for a connection. The durable record: the job in Redis only carries the id."""

    id = peewee.CharField(32, primary_key=True)
    customer_id = peewee.CharField(32)
    connection_id = peewee.CharField(32)
    source = peewee.CharField(32)
    trigger = peewee.CharField(16)  # person | schedule | webhook | command | import
    requested_by = peewee.CharField(255)
    file_name = peewee.CharField(200, default="")  # of an import's report, as it was sent; to be read by people, never a path
    asset_keys = JsonField(null=True)  # null: everything; else these assets alone
    state = peewee.CharField(16)  # one of STATES
    phase = peewee.CharField(16, default="")  # reading (an import's) | catalog | findings | closing | done
    done = peewee.IntegerField(default=0)
    of_how_many = peewee.IntegerField(null=True)
    counts = JsonField(default=dict)
    reason_code = peewee.CharField(32, default="")
    reason = peewee.TextField(default="")
    problems = JsonField(default=list)  # [{"asset": ..., "code": ..., "message": ...}], the first hundred
    plan = JsonField(null=True)  # what a held run would do
    decided_by = peewee.CharField(255, default="")  # who approved or discarded a held run
    follow_up = JsonField(null=True)  # assets that a webhook named meanwhile: synced next, when this run has ended
    attempt = peewee.IntegerField(default=0)
    worker = peewee.CharField(128, default="")
    requested_at = InstantField()
    started_at = InstantField(null=True)
    heartbeat_at = InstantField(null=True)
    finished_at = InstantField(null=True)

    class Meta:
        indexes = ((("customer_id", "requested_at"), False), (("connection_id", "requested_at"), False))

    @classmethod
    def within(cls, scope: Scope) -> peewee.ModelSelect:
        query = cls.select().where(cls.customer_id == scope.customer_id)
        return query.where(cls.source.not_in(sorted(scope.hidden_sources))) if scope.hidden_sources else query


# One unfinished run per connection: the database refuses the second, whoever asks.
Run.add_index(Run.index(Run.connection_id, unique=True, name="run_one_unfinished").where(Run.state.in_(UNFINISHED)))


class RunChange(Model):
    """A closing or pruning that a run found due. Applied at its end, or kept while the run is held."""

    id = peewee.BigAutoField()
    customer_id = peewee.CharField(32)
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    asset_id = peewee.CharField(32)
    finding_id = peewee.BigIntegerField(null=True)  # null: the whole asset is to be pruned

    class Meta:
        indexes = ((("customer_id", "run", "asset_id"), False),)
