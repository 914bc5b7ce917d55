import peewee

from core.db import InstantField, JsonField, Model
from core.scope import HOUSE


class AuditEvent(Model):
    """One thing that was changed or revealed. ``chain`` is the customer's id, or ``-`` for what belongs to no customer.

    :ivar actor_id: the signed-in user's id; ``actor`` is how he was called then.
    :ivar via: what he was recognised by (``session``, ``token``, ...), or ``command`` or ``job``; None when nobody was recognised.
    :ivar address: where the request came from.
    """

    id = peewee.BigAutoField()
    chain = peewee.CharField(32)
    seq = peewee.BigIntegerField()
    customer_id = peewee.CharField(32, null=True)
    at = InstantField(index=True)
    actor = peewee.CharField(255, index=True)
    action = peewee.CharField(64)
    target = peewee.CharField(255, index=True)
    details = JsonField()
    digest = peewee.CharField(64)
    actor_id = peewee.CharField(32, null=True)
    via = peewee.CharField(16, null=True)
    address = peewee.CharField(64, null=True)
    request_id = peewee.CharField(64, null=True)

    class Meta:
        indexes = ((("chain", "seq"), True),)

    @property
    def place(self) -> str:
        """What it is called by outside: its chain, and its number there."""
        return f"{self.chain}.{self.seq}"

    @property
    def company_id(self) -> str | None:
        """The customer whose it is; None for what belongs to no customer, or to the MSP's own connections."""
        return self.customer_id if self.customer_id != HOUSE else None


class AuditHead(Model):
    """The newest link of each chain; updating it puts writers of one chain in a row."""

    chain = peewee.CharField(32, primary_key=True)
    seq = peewee.BigIntegerField()
    digest = peewee.CharField(64)


class AuditAnchor(Model):
    """How far a chain was when the log was last sealed, and the link that it begins after: what came before was deleted by age."""

    chain = peewee.CharField(32, primary_key=True)
    seq = peewee.BigIntegerField()
    digest = peewee.CharField(64)
    base_seq = peewee.BigIntegerField()
    base_digest = peewee.CharField(64)


class AuditSeal(Model):
    """One row: the signature over all anchors, which binds the chains together.

    :ivar root: digest of all anchors.
    :ivar key: the public key that the signature fits.
    :ivar looked_at: when it was last looked whether there is something to seal.
    """

    id = peewee.IntegerField(primary_key=True)
    number = peewee.BigIntegerField()
    at = InstantField()
    root = peewee.CharField(64)
    key = peewee.CharField(64)
    signature = peewee.CharField(128)
    looked_at = InstantField()
