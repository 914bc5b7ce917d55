import peewee

from core.db import InstantField, JsonField, Model


class AuditEvent(Model):
    """One thing that was changed or revealed. ``chain`` is the customer's id, or ``-`` for what belongs to no customer."""

    id = peewee.BigAutoField()
    chain = peewee.CharField(32)
    seq = peewee.BigIntegerField()
    customer_id = peewee.CharField(32, null=True)
    at = InstantField()
    actor = peewee.CharField(255)
    action = peewee.CharField(64)
    target = peewee.CharField(255)
    details = JsonField()
    digest = peewee.CharField(64)

    class Meta:
        indexes = ((("chain", "seq"), True),)


class AuditHead(Model):
    """The newest link of each chain; updating it puts writers of one chain in a row."""

    chain = peewee.CharField(32, primary_key=True)
    seq = peewee.BigIntegerField()
    digest = peewee.CharField(64)
