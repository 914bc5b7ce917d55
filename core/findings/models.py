"""Findings, the rules that found them, and what happened to them."""

import peewee

from core.assets.models import Asset, GroupMember
from core.db import InstantField, JsonField, Model
from core.scope import Scope


class Rule(Model):
    """The text of a rule, once per customer and source, not once per finding."""

    id = peewee.BigAutoField()
    customer_id = peewee.CharField(32)
    source = peewee.CharField(32)
    key = peewee.CharField(300)
    name = peewee.CharField(500)
    description = peewee.TextField()  # HTML, cleaned when it was stored
    cwe = JsonField()
    url = peewee.CharField(2000)
    updated_at = InstantField()

    class Meta:
        indexes = ((("customer_id", "source", "key"), True),)


class Finding(Model):
    """One problem in one asset, unique by the source's key.

    Two independent facts and one derived from them: ``source_state`` is what the source says, ``verdict`` what a person
    decided, ``status`` the effective state that lists and totals use (``core.findings.state.effective``).
    """

    id = peewee.BigAutoField()
    customer_id = peewee.CharField(32)
    asset_id = peewee.CharField(32)
    source = peewee.CharField(32)
    source_key = peewee.CharField(500)
    fingerprint = peewee.CharField(64)
    title = peewee.CharField(1000)
    severity = peewee.SmallIntegerField()  # core.hooks.contracts.Severity
    status = peewee.CharField(16)
    source_state = peewee.CharField(16)
    source_status = peewee.CharField(64)
    verdict = peewee.CharField(16, null=True)
    category = peewee.CharField(32)
    rule_key = peewee.CharField(300)
    description = peewee.TextField()
    cwe = peewee.CharField(200)  # ",79,89," so that one number is found by LIKE; empty when none
    cve = peewee.CharField(500)  # the same for CVE ids
    path = peewee.CharField(1000)
    line = peewee.IntegerField(null=True)
    url = peewee.CharField(2000)
    details = peewee.TextField()  # JSON object of further facts
    source_created_at = InstantField(null=True)
    source_updated_at = InstantField(null=True)
    first_seen_at = InstantField()
    closed_at = InstantField(null=True)
    first_run_id = peewee.CharField(32)
    last_run_id = peewee.CharField(32)  # the run that last changed the row
    digest = peewee.BigIntegerField()  # of all that the source says; an equal digest means an unchanged row

    class Meta:
        indexes = (
            (("customer_id", "asset_id", "source_key"), True),
            (("customer_id", "status", "severity", "id"), False),
            (("customer_id", "asset_id", "status", "severity"), False),
        )

    @classmethod
    def within(cls, scope: Scope) -> peewee.ModelSelect:
        """Findings of the scope's living assets. Written as exclusions, so that both databases keep to the list's own index."""
        pruned = Asset.select(Asset.id).where(Asset.customer_id == scope.customer_id, Asset.pruned_at.is_null(False))
        query = cls.select().where(cls.customer_id == scope.customer_id, cls.asset_id.not_in(pruned))
        if scope.hidden_sources:
            query = query.where(cls.source.not_in(sorted(scope.hidden_sources)))
        if scope.group_ids is not None:
            query = query.where(cls.asset_id.in_(GroupMember.assets_of(scope.customer_id, scope.group_ids)))
        return query


class FindingEvent(Model):
    """Something that happened to a finding after it was first seen (that first event is in the row itself)."""

    id = peewee.BigAutoField()
    customer_id = peewee.CharField(32)
    finding_id = peewee.BigIntegerField()
    at = InstantField()
    kind = peewee.CharField(24)  # changed | reopened | closed | dismissed | restored
    actor = peewee.CharField(255)
    run_id = peewee.CharField(32)
    details = JsonField(default=dict)  # for changed: {"field": [before, after]}

    class Meta:
        indexes = ((("customer_id", "finding_id", "id"), False),)
