"""The database server goes away and comes back, or drops its connections; web servers are killed: what was asked is answered or
refused in so many words, and work that was under way is done."""

import os
import signal
import subprocess
from dataclasses import dataclass

import psycopg
import pytest

from core import db
from core.db import schema
from core.jobs.lifeline import tied_to_parent
from tests.faults.site import ISSUES, at_the_source, totals_are_right
from tests.processes import descendants
from tests.servers import Postgres, eventually, start_postgres

UNREACHABLE = {"error": "The database is not reachable"}
ON_POSTGRES = pytest.mark.parametrize("database", ["postgres"], indirect=True)


def drop_all_connections(url):
    with psycopg.connect(url, autocommit=True) as connection:
        dropped = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                     " WHERE datname = current_database() AND pid <> pg_backend_pid()").fetchall()
    return len(dropped)


@ON_POSTGRES
def test_dropped_connections_are_replaced_without_anybody_noticing(site, database, serve):
    web = serve(site)
    browser = web.browser()
    for method, path in (("GET", "/api/customers"), ("GET", "/api/dashboard/overview"), ("GET", "/api/findings")) * 2:
        assert drop_all_connections(database) > 0
        answer = browser.request(method, web.url + path, timeout=20)
        assert (answer.status_code, path) == (200, path), answer.text


@ON_POSTGRES
def test_a_run_whose_connections_are_dropped_is_taken_up_again(site, sonar, database):
    worker, scheduler = site.worker(), site.scheduler()
    eventually(lambda: "elected" in scheduler.output)  # one that cannot even begin gives up
    with sonar.held(ISSUES, project="shop", after=2) as third_page:
        run_id = site.ask()
        third_page.wait()
        assert drop_all_connections(database) > 0
    run = site.ended(run_id)
    assert (run["state"], run["attempt"]) == ("succeeded", 2)
    assert site.stored() == at_the_source(sonar.world)
    assert totals_are_right()
    assert worker.is_running


@dataclass
class Restartable:
    """A PostgreSQL that this test alone uses."""

    server: Postgres

    def stop(self):
        self.server.process.send_signal(signal.SIGINT)  # "fast": whoever is connected is thrown out
        self.server.process.wait(20)

    def start(self):
        user, groups = ("nobody", list[str]()) if os.geteuid() == 0 else (None, None)  # PostgreSQL refuses to run as root
        self.server.process = subprocess.Popen(self.server.process.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                               cwd=self.server.folder, preexec_fn=tied_to_parent(signal.SIGQUIT), user=user,
                                               extra_groups=groups)
        eventually(self._accepts)

    def _accepts(self):
        try:
            return self.server.run("SELECT 1")
        except psycopg.OperationalError:
            return False


@pytest.fixture
def restartable():
    server = start_postgres()
    server.run("CREATE DATABASE stockade")
    configured = db.configure(server.url("stockade"))
    schema.upgrade()
    yield Restartable(server)
    configured.close_all()
    server.stop()


def test_a_database_server_that_restarts_is_waited_for(site_at, sonar, serve, restartable):
    site = site_at(restartable.server.url("stockade"), sonar)
    web, worker, scheduler = serve(site), site.worker(), site.scheduler()
    browser = web.browser()
    eventually(lambda: "elected" in scheduler.output)
    with sonar.held(ISSUES, project="shop", after=2) as third_page:
        run_id = site.ask()
        third_page.wait()
        restartable.stop()
    for method, path in (("GET", "/api/customers"), ("POST", "/api/integrations/sonarqube/sync"), ("GET", "/api/dashboard/overview")):
        answer = browser.request(method, web.url + path, timeout=20)
        assert (answer.status_code, answer.json()) == (503, UNREACHABLE), path
    assert browser.get(f"{web.url}/health/live", timeout=20).status_code == 200
    assert browser.get(f"{web.url}/health/ready", timeout=20).status_code == 503
    eventually(lambda: "trying again until it can" in scheduler.output)
    eventually(lambda: not descendants(worker.pid))
    restartable.start()
    assert browser.get(f"{web.url}/api/customers", timeout=20).status_code == 200
    assert browser.get(f"{web.url}/health/ready", timeout=20).status_code == 200
    assert site.ended(run_id)["state"] == "succeeded"
    assert site.stored() == at_the_source(sonar.world)
    assert totals_are_right()
    assert all(process.is_running for process in (web.process, worker, scheduler))
    assert scheduler.output.count("trying again until it can") == 1
    assert "a fault of our own" not in worker.output


def test_whoever_is_signed_in_stays_so_when_web_servers_are_killed(sqlite_site, serve):
    web = serve(sqlite_site)
    browser = web.browser()
    for killed in descendants(web.process.pid):
        killed.kill()
    browser.close()  # the connection that it had kept; it stays signed in
    assert browser.get(f"{web.url}/api/customers", timeout=20).status_code == 200
    web.process.kill()
    web.start()
    browser.close()
    answer = browser.post(f"{web.url}/api/customers", json={"name": "Globex"}, timeout=20)
    assert answer.status_code == 201
