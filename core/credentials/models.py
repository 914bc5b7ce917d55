import peewee

from core.db import InstantField, JsonField, Model


class MasterKeyCheck(Model):
    """A known text sealed under each master key in use, so that a wrong key is refused at start, before anything is touched."""

    key_id = peewee.CharField(16, primary_key=True)
    sealed = peewee.TextField()
    is_current = peewee.BooleanField(default=False)  # the one that new data keys are wrapped by
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


class CredentialType(Model):
    """What credentials of a kind consist of; the same for all customers. Connectors' types are not here: their plugins say them."""

    id = peewee.CharField(32, primary_key=True)
    name = peewee.CharField(200)
    name_key = peewee.CharField(400, unique=True)
    permission_scope = peewee.CharField(150)
    icon = peewee.TextField(null=True)
    fields = JsonField()  # list of core.credentials.types.FieldDefinition, as mappings
    created_at = InstantField()
    updated_at = InstantField()


class Credential(Model):
    """A customer's set of values with a type; a connection's secrets are one."""

    id = peewee.CharField(32, primary_key=True)
    customer_id = peewee.CharField(32)
    type = peewee.CharField(64)  # id of a CredentialType, or connection.<source>
    name = peewee.CharField(200)
    notes = peewee.TextField(null=True)
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        indexes = ((("customer_id", "id"), True),)


Credential.add_index(Credential.index(Credential.type, name="credential_by_type"))  # its usual name is a table's


class SealedValue(Model):
    """One secure field of a credential, sealed with AES-256-GCM; see ``core.credentials.seal``."""

    customer_id = peewee.CharField(32)
    credential = peewee.ForeignKeyField(Credential, on_delete="CASCADE")
    field = peewee.CharField(64)
    sealed = peewee.BlobField()
    updated_at = InstantField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "credential", "field")


class PlainValue(Model):
    """One field of a credential that is not secure."""

    customer_id = peewee.CharField(32)
    credential = peewee.ForeignKeyField(Credential, on_delete="CASCADE")
    field = peewee.CharField(64)
    value = peewee.TextField()
    updated_at = InstantField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "credential", "field")


class PastValue(Model):
    """A value that a field had before; sealed, also when the field was not secure."""

    id = peewee.BigAutoField()
    customer_id = peewee.CharField(32)
    credential = peewee.ForeignKeyField(Credential, on_delete="CASCADE")
    field = peewee.CharField(64)
    sealed = peewee.BlobField()
    was_secure = peewee.BooleanField()
    set_at = InstantField()
    replaced_at = InstantField()
    replaced_by = peewee.CharField(255)

    class Meta:
        indexes = ((("customer_id", "credential", "field"), False),)
