"""What it costs to decide about many findings at once, to hold them to a policy, and to count those that are overdue."""

from collections.abc import Callable

import peewee

from benchmarks import worlds
from benchmarks.report import Report, seconds
from core import clock
from core.assets.models import Asset, AssetGroup, GroupMember
from core.db import atomic, db, is_postgres
from core.db.bulk import bulk_insert
from core.findings import rollups, sla, store, verdicts
from core.findings.models import Finding
from core.findings.rows import STORED
from core.findings.settling import Target
from core.findings.sla import Policy
from core.findings.state import VerdictKind
from core.findings.store import AssetWriter
from core.findings.terms import day_of
from core.findings.verdicts import Decision
from core.overview import kernel
from core.scope import Scope

FEW, MANY = 10_000, 50_000
ASSETS = 50
MOST_STATEMENTS = 30  # for a thousand findings
ACCEPTED = Decision(VerdictKind.ACCEPTED, "Behind a firewall until the next release", clock.now() + 90 * clock.DAY)
RULE = Target("rule", source="sonarqube", rule_key="java:S1")
RULES = [f"java:S{2000 + number}" for number in range(60)]


def measure(report: Report) -> None:
    """The same requests for 10,000 and for 50,000 findings in 50 assets."""
    kind = "PostgreSQL" if is_postgres() else "SQLite"
    few, many = _customer("cus_few", FEW), _customer("cus_many", MANY)
    db.execute_sql("ANALYZE")
    for what, act in _REQUESTS.items():
        spent, counted = 0.0, []
        for scope in (few, many):
            executed: list[peewee.QueryEvent] = []
            db.query_hooks.append(executed.append)
            spent = seconds(lambda act=act, scope=scope: act(scope))
            db.query_hooks.remove(executed.append)
            counted.append(len(executed))
        each = (counted[1] - counted[0]) / ((MANY - FEW) / 1000)
        report.at_most(f"{kind}: {what}, {MANY:,} findings, statements for each thousand", each, MOST_STATEMENTS,
                       f"{each:.1f} ({MANY / spent:,.0f} findings/s)")
    assert rollups.check() == []
    small, large = (min(seconds(lambda scope=scope: kernel.breaches(scope, day_of(clock.now()) + 1000)) for _ in range(30))
                    for scope in (few, many))
    report.at_most(f"{kind}: breaches, {MANY:,} against {FEW:,} findings", large / small, 1.5,
                   f"{large / small:.2f} ({large * 1000:.1f} ms)")
    _storing(report, kind)


def _by_ids(scope: Scope) -> list[int]:
    return [key for (key,) in Finding.select(Finding.id).where(Finding.customer_id == scope.customer_id).tuples()]


_REQUESTS: dict[str, Callable[[Scope], object]] = {
    "policy for all": lambda scope: sla.replace(scope, [Policy(None, critical=7, high=30, medium=90, low=180)], actor="bench"),
    "accept one by one": lambda scope: verdicts.decide(scope, _by_ids(scope), ACCEPTED, actor="bench"),
    "reopen one by one": lambda scope: verdicts.reopen(scope, _by_ids(scope), actor="bench"),
    "ignore their rule": lambda scope: verdicts.decide_broadly(scope, RULE, Decision(VerdictKind.IGNORED), actor="bench"),
    "end that": lambda scope: verdicts.reopen_broadly(scope, RULE, actor="bench"),
}


def _customer(customer_id: str, findings: int) -> Scope:
    with atomic():
        assets = [worlds.asset(customer_id, f"p{number}") for number in range(ASSETS)]
        group = AssetGroup.create(id=f"grp_{customer_id}", customer_id=customer_id, name="All", created_at=1, updated_at=1)
        bulk_insert(GroupMember, ("customer_id", "group_id", "asset_id", "added_at"),
                    [(customer_id, group.id, one.id, 1) for one in assets])
    for one in assets:
        with atomic():
            bulk_insert(Finding, STORED, worlds.rows(one.id, customer_id, list(worlds.drafts(findings // ASSETS))))
    with atomic():
        Finding.update(rule_key=RULE.rule_key).where(Finding.customer_id == customer_id).execute()
        rollups.recount(customer_id, [one.id for one in assets])
    return Scope(customer_id)


def _storing(report: Report, kind: str) -> None:
    """New findings of a customer with a policy and verdicts on 60 rules, against those of one without."""
    held, free = Scope("cus_held"), Scope("cus_free")
    sla.replace(held, [Policy(None, critical=7, high=30, medium=90, low=180)], actor="bench")
    for rule in RULES:
        verdicts.decide_broadly(held, Target("rule", source="sonarqube", rule_key=rule), ACCEPTED, actor="bench")
    drafts = list(worlds.drafts(20_000))
    taken: dict[str, float] = {}
    for attempt in range(3):
        for scope in (held, free):
            one = worlds.asset(scope.customer_id, f"new-{attempt}")
            spent = seconds(lambda one=one: _write(one, drafts))
            taken[scope.customer_id] = min(spent, taken.get(scope.customer_id, spent))
    share = taken["cus_held"] / taken["cus_free"]
    report.at_most(f"{kind}: 20,000 new findings under verdicts and a policy, against free ones", share, 2.0, f"{share:.2f}")


def _write(asset: Asset, drafts: list) -> None:
    writer = AssetWriter(asset, "run_bench", "sync:sonarqube")
    for start in range(0, len(drafts), store.BATCH):
        writer.write(drafts[start:start + store.BATCH])
