"""How fast the engine stores, against writing the same finished rows with nothing around it."""

from itertools import islice

from benchmarks import worlds
from benchmarks.report import Report, seconds
from core.assets.models import Asset
from core.connections.models import Run
from core.db import atomic, db, is_postgres
from core.db.bulk import bulk_upsert
from core.findings import store
from core.findings.models import Finding
from core.findings.rows import STORED
from core.findings.store import AssetWriter, Written

FINDINGS = 100_000
_KEY = ("customer_id", "asset_id", "source_key")
_UPDATED = [column for column in STORED if column not in (*_KEY, "first_seen_at", "first_run_id")]


def measure(report: Report) -> None:
    """New findings, the identical re-sync, and the bare upsert; batches of the same size, three rounds in turn, the best of each."""
    kind, share = ("PostgreSQL", 0.5) if is_postgres() else ("SQLite", 0.4)
    drafts = list(worlds.drafts(FINDINGS))
    bare, first, again = [], [], []
    for attempt in range(3):
        one, other = worlds.asset("cus_bench", f"engine-{attempt}"), worlds.asset("cus_bench", f"bare-{attempt}")
        finished = worlds.rows(other.id, "cus_bench", drafts)
        bare.append(seconds(lambda finished=finished: _bare(finished)))
        first.append(seconds(lambda one=one: _engine(one, drafts, added=FINDINGS)))
        before = _written_rows()
        again.append(seconds(lambda one=one: _engine(one, drafts, added=0)))
        assert _written_rows() == before, "an identical re-sync rewrote finding rows"
        Finding.delete().where(Finding.customer_id == "cus_bench").execute()
    rate = FINDINGS / min(first)
    report.add(f"{kind}: bare upsert of finished rows", f"{FINDINGS / min(bare):,.0f} findings/s")
    report.at_least(f"{kind}: engine, new findings, share of the bare rate", min(bare) / min(first), share,
                    f"{min(bare) / min(first):.2f} ({rate:,.0f}/s)")
    report.at_most(f"{kind}: identical re-sync of {FINDINGS:,}, share of the first's time", min(again) / min(first), 0.5,
                   f"{min(again) / min(first):.2f} ({FINDINGS / min(again):,.0f}/s)")


def _bare(rows: list[tuple]) -> None:
    for start in range(0, len(rows), store.BATCH):
        with atomic():
            bulk_upsert(Finding, STORED, rows[start:start + store.BATCH], conflict=_KEY, update=_UPDATED)


def _engine(asset: Asset, drafts: list, *, added: int) -> None:
    """As a run writes: row changes, history, totals and the run's own progress in each transaction."""
    writer, total = AssetWriter(asset, "run_bench", "sync:sonarqube"), Written()
    stream = iter(drafts)
    while batch := list(islice(stream, store.BATCH)):
        total += writer.write(batch, also=lambda written: Run.update(counts={"added": 1}).where(Run.id == "run_bench").execute())
    assert total.added == added
    assert not list(writer.unmentioned())


def _written_rows() -> tuple:
    """What changes when any row is rewritten: SQLite's change counter, PostgreSQL's transaction and row identities."""
    if is_postgres():
        return db.execute_sql("SELECT count(*), sum(xmin::text::bigint), max(ctid::text) FROM finding").fetchone()
    return (db.execute_sql("SELECT count(*), sum(digest % 1000003), max(id) FROM finding").fetchone(),)
