"""Pulls, decisions, policies and the scheduler at work at the same time: no deadlock, nothing lost, nothing counted twice."""

import threading
import time

from core import clock
from core.assets.models import Asset
from core.connections import upkeep
from core.db import atomic, db
from core.findings import rollups, settling, sla, store, verdicts
from core.findings.models import Finding, Verdict
from core.findings.settling import Target
from core.findings.sla import Policy
from core.findings.state import REMEDIATED, VerdictKind, effective
from core.findings.store import AssetWriter
from core.findings.terms import day_of
from core.findings.verdicts import Decision
from core.hooks.contracts import Severity
from core.ids import new_id
from tests import syncing
from tests.scripted import finding

ASSETS, ROUNDS = 3, 6


def test_all_at_once(database):
    acme = syncing.customer("Acme")
    assets = [Asset.create(id=new_id("ast"), customer_id=acme.customer_id, connection_id="con", source="scripted", kind="k",
                           discipline="appsec", external_key=f"p{number}", lineage="one", name=f"p{number}", discovered_at=1)
              for number in range(ASSETS)]
    faults: list[BaseException] = []

    def pull(asset: Asset) -> None:
        for number in range(ROUNDS):
            writer = AssetWriter(asset, f"run_{number}", "sync:scripted")
            prefix = "k" if number % 3 else "n"  # the source gives other ids now and then
            for part in range(4):
                writer.write([finding(f"{prefix}{part}{index}", Severity(index % 5), rule=f"r{index % 2}", fingerprint=f"{part} {index}",
                                      line=number) for index in range(10 - number)])
            writer.settle()
            with atomic():
                store.close(acme.customer_id, asset.id, list(writer.unmentioned()), run_id=f"run_{number}", actor="sync")

    def decide(_: Asset) -> None:
        for number in range(ROUNDS):
            rule = Target("rule", source="scripted", rule_key=f"r{number % 2}")
            verdicts.decide_broadly(acme, rule, Decision(VerdictKind.ACCEPTED, "x", clock.now() + 50 + number), actor="anna")
            keys = [key for (key,) in Finding.select(Finding.id).where(Finding.severity > 2).limit(20).tuples()]
            verdicts.decide(acme, keys, Decision(VerdictKind.IGNORED), actor="anna")
            verdicts.reopen(acme, keys[::2], actor="anna")

    def keep_up(_: Asset) -> None:
        for number in range(ROUNDS):
            sla.replace(acme, [Policy(None, critical=number + 1, low=number + 2)], actor="anna")
            upkeep.bring_in_line(clock.now())

    def run(work, asset) -> None:
        try:
            with db.connection_context():
                work(asset)
        except BaseException as fault:  # told by the test
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(pull, asset)) for asset in assets]
    threads += [threading.Thread(target=run, args=(work, assets[0])) for work in (decide, keep_up)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert faults == []
    assert not any(thread.is_alive() for thread in threads)

    settling.expire(clock.now() + clock.DAY)
    settling.finish(clock.now() + 2 * clock.DAY, time.monotonic() + 60)
    while sla.customers_to_bring_in_line(10):
        upkeep.bring_in_line(clock.now())
    check_all()


def check_all() -> None:
    assert rollups.check() == []
    in_force = {verdict.id: verdict for verdict in Verdict.select().where(Verdict.ended_at.is_null())}
    own = {verdict.finding_id: verdict for verdict in in_force.values()}
    assert {verdict.level for verdict in in_force.values()} <= {"finding"}
    for row in Finding.select():
        verdict = in_force.get(row.verdict_id)
        assert row.verdict == (verdict.kind if verdict else None)
        assert row.id not in own or own[row.id].id == row.verdict_id
        assert row.status == effective(row.source_state, row.verdict)
        assert (row.source_state in REMEDIATED) == (row.closed_at is not None)
        days = {Severity.CRITICAL: ROUNDS, Severity.LOW: ROUNDS + 1}.get(row.severity)
        due = None if days is None or row.status != "open" else day_of(row.first_seen_at + row.paused_ms) + days
        assert row.due_day == due
    living = Finding.select().where(Finding.source_state.not_in(list(REMEDIATED))).count()
    assert living == ASSETS * 4 * (10 - ROUNDS + 1)
