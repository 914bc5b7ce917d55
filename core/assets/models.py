"""Assets, their rolled-up counts, and the groups that gather them."""

import peewee

from core.db import InstantField, JsonField, Model
from core.scope import Scope


class Asset(Model):
    """What findings hang on. Carries its own totals, rewritten in the transaction that changes its findings."""

    id = peewee.CharField(32, primary_key=True)
    customer_id = peewee.CharField(32)
    connection_id = peewee.CharField(32)
    source = peewee.CharField(32)
    kind = peewee.CharField(32)
    discipline = peewee.CharField(8)  # appsec | offsec
    external_key = peewee.CharField(500)
    lineage = peewee.CharField(500, default="", constraints=[peewee.SQL("DEFAULT ''")])  # the same for branches, tags; AssetDraft.lineage
    name = peewee.CharField(500)
    url = peewee.CharField(2000, default="")
    attributes = JsonField(default=dict)
    open_critical = peewee.IntegerField(default=0)
    open_high = peewee.IntegerField(default=0)
    open_medium = peewee.IntegerField(default=0)
    open_low = peewee.IntegerField(default=0)
    open_info = peewee.IntegerField(default=0)
    findings_total = peewee.IntegerField(default=0)
    findings_remediated = peewee.IntegerField(default=0)  # fixed or gone
    discovered_at = InstantField()
    synced_at = InstantField(null=True)  # last complete enumeration
    enumerated_to = peewee.BigIntegerField(null=True)  # the newest finding's key then: those above it are new since
    sla_terms = JsonField(null=True)  # what its findings' due days are counted by (core.findings.sla); null: none are
    terms_stale_at = InstantField(null=True)  # since when a policy or its groups may ask for other terms
    due_stale_at = InstantField(null=True)  # since when its findings have due days by earlier terms
    pruned_at = InstantField(null=True)

    class Meta:
        indexes = ((("customer_id", "connection_id", "external_key"), True),)

    @classmethod
    def within(cls, scope: Scope) -> peewee.ModelSelect:
        """The living assets of a scope: of its customer, in its groups when it is limited to some, of sources that are on."""
        return cls._of(scope).where(cls.pruned_at.is_null())

    @classmethod
    def pruned_within(cls, scope: Scope) -> peewee.ModelSelect:
        """The scope's assets that were pruned and can still be restored."""
        return cls._of(scope).where(cls.pruned_at.is_null(False))

    @classmethod
    def _of(cls, scope: Scope) -> peewee.ModelSelect:
        query = cls.select().where(cls.customer_id == scope.customer_id)
        if scope.hidden_sources:
            query = query.where(cls.source.not_in(sorted(scope.hidden_sources)))
        if scope.group_ids is not None:
            query = query.where(cls.id.in_(GroupMember.assets_of(scope.customer_id, scope.group_ids)))
        return query


Asset.add_index(Asset.index(Asset.customer_id, name="asset_stale")
                .where(Asset.terms_stale_at.is_null(False) | Asset.due_stale_at.is_null(False)))


class AssetGroup(Model):
    """A unified asset group: MSP-wide when ``customer_id`` is null, else owned by that customer."""

    id = peewee.CharField(32, primary_key=True)
    customer_id = peewee.CharField(32, null=True, index=True)
    name = peewee.CharField(200)
    description = peewee.TextField(default="")
    created_at = InstantField()
    updated_at = InstantField()

    @classmethod
    def visible_in(cls, scope: Scope) -> peewee.ModelSelect:
        """Groups that a scope shows: MSP-wide ones and the customer's own, narrowed when the principal is limited to some."""
        query = cls.select().where(cls.customer_id.is_null() | (cls.customer_id == scope.customer_id))
        return query if scope.group_ids is None else query.where(cls.id.in_(sorted(scope.group_ids)))


class GroupMember(Model):
    """An asset in a group. ``customer_id`` is the asset's: an MSP-wide group holds assets of many customers."""

    customer_id = peewee.CharField(32)
    group = peewee.ForeignKeyField(AssetGroup, on_delete="CASCADE")
    asset = peewee.ForeignKeyField(Asset, on_delete="CASCADE")
    added_at = InstantField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "group", "asset")

    @classmethod
    def assets_of(cls, customer_id: str, group_ids: frozenset[str]) -> peewee.ModelSelect:
        """Ids of the customer's assets in any of these groups, for an ``IN``."""
        return cls.select(cls.asset).where(cls.customer_id == customer_id, cls.group.in_(sorted(group_ids)))
