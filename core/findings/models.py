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
    """One problem in one asset, unique by the source's present key; ``FindingKey`` has the earlier ones.

    Two independent facts and one derived from them: ``source_state`` is what the source says, ``verdict`` what a person
    decided, ``status`` the effective state that lists and totals use (``core.findings.state.effective``). The columns
    from ``verdict`` to ``verdict_until`` repeat the one ``Verdict`` that is in force; the columns from ``paused_ms`` to ``due_day``
    follow from the others (``core.findings.standing``).
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
    verdict = peewee.CharField(16, null=True)  # core.findings.state.VerdictKind
    verdict_id = peewee.CharField(32, null=True)
    verdict_until = InstantField(null=True)
    paused_ms = peewee.BigIntegerField(default=0, constraints=[peewee.SQL("DEFAULT 0")])  # spent accepted, ended acceptances alone
    paused_since = InstantField(null=True)  # set while accepted
    due_day = peewee.IntegerField(null=True)  # days since 1970; null unless it is open and a policy covers it
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
    kind = peewee.CharField(24)  # core.findings.history.KINDS
    actor = peewee.CharField(255)
    run_id = peewee.CharField(32)
    details = JsonField(default=dict)  # {"field": [before, after]}
    verdict_id = peewee.CharField(32, null=True)  # the verdict that it tells of

    class Meta:
        indexes = ((("customer_id", "finding_id", "id"), False),)


class FindingKey(Model):
    """A key that a finding had before its present one, so that a source that goes back to it finds the finding again."""

    customer_id = peewee.CharField(32)
    asset_id = peewee.CharField(32)
    source_key = peewee.CharField(500)
    finding_id = peewee.BigIntegerField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "asset_id", "source_key")
        indexes = ((("customer_id", "finding_id"), False),)


class Verdict(Model):
    """What a person decided, and about what: one finding, an asset, or a rule or CVE in the whole customer.

    Never changed but to end it. Those of single findings also cover the same finding (by fingerprint) in assets of the same
    lineage that appear later: another branch, a new image tag.
    """

    id = peewee.CharField(32, primary_key=True)
    customer_id = peewee.CharField(32)
    kind = peewee.CharField(16)  # core.findings.state.VerdictKind
    level = peewee.CharField(8)  # finding | asset | rule | cve
    asset_id = peewee.CharField(32, default="")  # levels finding and asset
    finding_id = peewee.BigIntegerField(null=True)  # level finding
    lineage = peewee.CharField(500, default="")  # level finding: of its asset
    fingerprint = peewee.CharField(64, default="")  # level finding; empty when the source gives none
    source = peewee.CharField(32, default="")  # levels finding, asset and rule
    rule_key = peewee.CharField(300, default="")  # level rule
    cve = peewee.CharField(64, default="")  # level cve
    reason = peewee.TextField(default="")
    author = peewee.CharField(255)
    created_at = InstantField()
    until = InstantField(null=True)  # acceptances alone
    ended_at = InstantField(null=True)
    ended_by = peewee.CharField(255, default="")
    settled_at = InstantField(null=True)  # null: findings are still to be brought in line with it, or with its end

    @classmethod
    def within(cls, scope: Scope) -> peewee.ModelSelect:
        """The verdicts that a scope shows. Those on rules and CVEs concern every asset, so only who sees all has them."""
        query = cls.select().where(cls.customer_id == scope.customer_id)
        if scope.hidden_sources:
            query = query.where(cls.source.not_in(sorted(scope.hidden_sources)))
        if scope.group_ids is not None:
            query = query.where(cls.asset_id.in_(GroupMember.assets_of(scope.customer_id, scope.group_ids)))
        return query


# One verdict in force for each target: the database refuses the second, whoever decides at the same moment.
_IN_FORCE = Verdict.ended_at.is_null()
Verdict.add_index(Verdict.index(Verdict.customer_id, Verdict.finding_id, unique=True, name="verdict_one_per_finding")
                  .where(_IN_FORCE, Verdict.level == "finding"))
Verdict.add_index(Verdict.index(Verdict.customer_id, Verdict.level, Verdict.asset_id, Verdict.source, Verdict.rule_key, Verdict.cve,
                                unique=True, name="verdict_one_per_target").where(_IN_FORCE, Verdict.level != "finding"))
Verdict.add_index(Verdict.index(Verdict.customer_id, Verdict.created_at, Verdict.id, name="verdict_in_force").where(_IN_FORCE))
Verdict.add_index(Verdict.index(Verdict.customer_id, Verdict.lineage, Verdict.fingerprint, name="verdict_by_fingerprint")
                  .where(_IN_FORCE, Verdict.level == "finding"))
Verdict.add_index(Verdict.index(Verdict.until, name="verdict_running_out").where(_IN_FORCE, Verdict.until.is_null(False)))
Verdict.add_index(Verdict.index(Verdict.created_at, name="verdict_unsettled").where(Verdict.settled_at.is_null()))
Finding.add_index(Finding.index(Finding.customer_id, Finding.verdict_id, name="finding_by_verdict")
                  .where(Finding.verdict_id.is_null(False)))


class SlaPolicy(Model):
    """Within how many days a customer wants findings fixed, by severity; ``group_id`` is empty for the customer's own policy,
    else the asset group whose assets it holds for instead."""

    customer_id = peewee.CharField(32)
    group_id = peewee.CharField(32, default="")
    critical = peewee.IntegerField(null=True)
    high = peewee.IntegerField(null=True)
    medium = peewee.IntegerField(null=True)
    low = peewee.IntegerField(null=True)
    counts_working_days = peewee.BooleanField(default=False)  # Monday to Friday
    updated_at = InstantField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "group_id")


class AssetDue(Model):
    """How many open findings of an asset are due on a day: a rollup like the totals that the asset carries itself."""

    customer_id = peewee.CharField(32)
    asset_id = peewee.CharField(32)
    due_day = peewee.IntegerField()
    open_findings = peewee.IntegerField()

    class Meta:
        primary_key = peewee.CompositeKey("customer_id", "asset_id", "due_day")
