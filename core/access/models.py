import peewee

from core.db import InstantField, JsonField, Model


class Role(Model):
    """A named gathering of permission nodes. Held everywhere or in one customer, through ``RoleGrant``."""

    id = peewee.CharField(32, primary_key=True)
    moniker = peewee.CharField(64, unique=True)
    name = peewee.CharField(200)
    nodes = JsonField()  # list of node patterns
    built_in = peewee.BooleanField(default=False)
    created_at = InstantField()
    updated_at = InstantField()


Role.add_index(Role.index(peewee.fn.LOWER(Role.moniker), unique=True, name="role_moniker_without_case"))


class RoleGrant(Model):
    """A role that a user holds: everywhere when ``customer_id`` is empty (MSP staff), else in that customer."""

    id = peewee.BigAutoField()
    user_id = peewee.CharField(32)
    role = peewee.ForeignKeyField(Role, on_delete="RESTRICT")
    customer_id = peewee.CharField(32, default="")

    class Meta:
        indexes = ((("user_id", "role", "customer_id"), True), (("customer_id",), False))


class NodeGrant(Model):
    """A single node that a user holds beside his roles; ``customer_id`` as in ``RoleGrant``."""

    id = peewee.BigAutoField()
    user_id = peewee.CharField(32)
    node = peewee.CharField(200)
    customer_id = peewee.CharField(32, default="")

    class Meta:
        indexes = ((("user_id", "node", "customer_id"), True),)


class GroupLimit(Model):
    """An asset group that a user is limited to within a customer; no row means the whole customer."""

    id = peewee.BigAutoField()
    customer_id = peewee.CharField(32)
    user_id = peewee.CharField(32)
    group_id = peewee.CharField(32)

    class Meta:
        indexes = ((("customer_id", "user_id", "group_id"), True), (("user_id",), False))


class ApiToken(Model):
    """A bearer token for programs: shown once, kept as SHA-256, narrowed to nodes and a customer, expiring, revocable."""

    id = peewee.CharField(32, primary_key=True)
    user_id = peewee.CharField(32, index=True)
    name = peewee.CharField(200)
    prefix = peewee.CharField(16)
    digest = peewee.CharField(64, unique=True)
    nodes = JsonField(null=True)  # null: all that the user holds
    customer_id = peewee.CharField(32, null=True)
    made_by = peewee.CharField(32, null=True)  # the token that it was made with, which it does not outlive
    created_at = InstantField()
    expires_at = InstantField(null=True)
    last_used_at = InstantField(null=True)
    revoked_at = InstantField(null=True)


ApiToken.add_index(ApiToken.index(ApiToken.made_by, name="api_token_made_by").where(ApiToken.made_by.is_null(False)))


class PermissionScope(Model):
    """A word that types of credentials have given out: ``<scope>.fetch`` and so on are nodes then; see ``core.access.scopes``."""

    scope = peewee.CharField(150, primary_key=True)
