import peewee

from core.db import InstantField, Model


class MasterKeyCheck(Model):
    """A known text sealed under each master key in use, so that a wrong key is refused at start, before anything is touched."""

    key_id = peewee.CharField(16, primary_key=True)
    sealed = peewee.TextField()
    created_at = InstantField()


class DataKey(Model):
    """A customer's data key, wrapped by a master key. Destroying it destroys the customer's secrets."""

    customer_id = peewee.CharField(32)
    version = peewee.IntegerField()
    master_key_id = peewee.CharField(16)
    wrapped = peewee.TextField()
    created_at = InstantField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "version")


class Credential(Model):
    """A set of secret values with a type; a connection's secrets are one."""

    id = peewee.CharField(32, primary_key=True)
    customer_id = peewee.CharField(32)
    type = peewee.CharField(64)
    name = peewee.CharField(200)
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        indexes = ((("customer_id", "id"), True),)


class SealedValue(Model):
    """One secure field of a credential, sealed with AES-256-GCM."""

    customer_id = peewee.CharField(32)
    credential = peewee.ForeignKeyField(Credential, on_delete="CASCADE")
    field = peewee.CharField(64)
    sealed = peewee.TextField()
    updated_at = InstantField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "credential", "field")
