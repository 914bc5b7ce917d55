"""A worker that dies in the middle of a run: the run is taken up, and nothing is lost or doubled."""

import signal

import psutil
import psycopg
import pytest

from core.audit.models import AuditEvent
from core.db import db
from core.findings.models import Finding, FindingEvent
from tests.faults.site import ISSUES, at_the_source, totals_are_right
from tests.processes import all_gone, descendants
from tests.servers import eventually

# elsewhere a process that is made to sleep may hold the lock of the whole database, and no test can hold that of a single row
ON_POSTGRES = pytest.mark.parametrize("database", ["postgres"], indirect=True)


def of_action(action):
    with db.connection_context():
        return AuditEvent.select().where(AuditEvent.action == action).count()


def events(kind):
    with db.connection_context():
        return FindingEvent.select().where(FindingEvent.kind == kind).count()


def assert_whole(site, sonar, run):
    """The run has ended well, and what is stored is what the source has: no more, no less, no other state."""
    assert (run["state"], run["attempt"], run["reason"]) == ("succeeded", 2, "")
    assert run["counts"]["added"] == len(site.stored()) == len(at_the_source(sonar.world))
    assert site.stored() == at_the_source(sonar.world)
    assert totals_are_right()
    assert of_action("run.finished") == 1
    with db.connection_context():
        assert FindingEvent.select().count() == 0


def test_a_killed_worker_s_run_is_taken_up_by_another(site, sonar):
    with sonar.held(ISSUES, project="shop", after=2) as third_page:
        worker = site.worker()
        run_id = site.ask()
        third_page.wait()
        stored_by_then = len(site.stored())
        job = descendants(worker.pid)
        worker.kill()
        eventually(lambda: all_gone(job))
    assert stored_by_then == 1030  # "api", and the first thousand of "shop"
    site.worker()
    site.scheduler()
    assert_whole(site, sonar, site.ended(run_id))


def test_a_job_killed_alone_as_by_a_machine_short_of_memory_is_taken_up_by_the_same_worker(sqlite_site, sonar):
    site = sqlite_site
    worker = site.worker()
    site.scheduler()
    with sonar.held(ISSUES, project="shop", after=2) as third_page:
        run_id = site.ask()
        third_page.wait()
        for job in descendants(worker.pid):
            job.send_signal(signal.SIGKILL)
    assert_whole(site, sonar, site.ended(run_id))
    assert worker.is_running


@ON_POSTGRES
def test_a_worker_that_was_taken_for_dead_writes_nothing_more_when_it_wakes(site, sonar):
    with sonar.held(ISSUES, project="shop", after=2) as third_page:
        sleeper = site.worker()
        run_id = site.ask()
        third_page.wait()
        asleep = [*descendants(sleeper.pid), psutil.Process(sleeper.pid)]
        for process in asleep:
            process.suspend()
        site.worker()
        site.scheduler()
        run = site.ended(run_id)
    for process in asleep:
        process.resume()
    eventually(lambda: "taken up by another worker" in sleeper.output)
    assert_whole(site, sonar, run)
    assert site.ended(run_id) == run


@ON_POSTGRES
def test_a_worker_killed_while_it_closes_leaves_the_rest_to_another(site, sonar, database):
    first = site.worker()
    assert site.sync()["state"] == "succeeded"
    sonar.forget("shop", 400)
    sonar.forget("api", 5)
    due = {("shop", f"shop-{number:05}") for number in range(400)} | {("api", f"api-{number:05}") for number in range(5)}
    with psycopg.connect(database) as holding:
        held = holding.execute("SELECT id FROM finding WHERE source_key IN ('shop-00399', 'api-00004') FOR UPDATE").fetchall()
        run_id = site.ask()
        eventually(lambda: _waiting_for_a_lock(database))
        closing = site.client.get(f"/api/runs/{run_id}").get_json()
        first.kill()
    assert (len(held), closing["phase"]) == (2, "closing")
    assert site.closed() == set()
    site.worker()
    site.scheduler()
    run = site.ended(run_id)
    assert (run["state"], run["counts"]["closed"]) == ("succeeded", 405)
    assert site.closed() == due
    assert site.open_or_dismissed() == at_the_source(sonar.world)
    assert events("closed") == 405
    with db.connection_context():
        assert Finding.select().count() == 1234
    assert totals_are_right()


def _waiting_for_a_lock(url):
    with psycopg.connect(url, autocommit=True) as looking:
        return looking.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone() != (0,)
