"""The disk is full while something is written: who asked is told so, reading goes on, the database stays sound, and all is well
again once there is room."""

import contextlib
import resource
import shutil
import sqlite3
import subprocess
import sys

import psutil
import pytest
import requests

from core import clock, db
from core.access.models import ApiToken
from core.errors import StorageFull
from core.people.models import UserSession
from core.tenancy.models import Customer
from tests.factories import bearer, make_token, make_user
from tests.faults.site import ISSUES, at_the_source, totals_are_right
from tests.processes import descendants
from tests.servers import eventually

FULL = {"error": "The server's disk is full; nothing was changed."}


class Quota:
    """Programs that may write no more to any file, as over a quota. Nobody needs special rights for this one."""

    def __init__(self, folder):
        self.folder = folder
        self._limited = []

    def fill(self, program, largest_file=0):
        self._limited = [psutil.Process(program.pid), *descendants(program.pid)]
        self._limit(largest_file)

    def free(self):
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._limit(most)

    def _limit(self, largest_file):
        for process in filter(psutil.Process.is_running, self._limited):
            _, most = process.rlimit(psutil.RLIMIT_FSIZE)  # may be lowered by anybody, raised by root alone
            process.rlimit(psutil.RLIMIT_FSIZE, (largest_file, most))


class SmallDisk:
    """A file system of its own, of which the last byte is taken."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "stockade-test", folder], capture_output=True, check=False)
        if mounted.returncode:
            pytest.skip("mounting is not permitted here; the quota stands for it")

    def fill(self, program):
        with (self.folder / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(b"x" * 4096):
                pass

    def free(self):
        (self.folder / "ballast").unlink()

    def unmount(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture(params=["quota", pytest.param("small-disk", marks=pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs"))])
def disk(request, tmp_path):
    if request.param == "quota":
        yield Quota(tmp_path)
        return
    small = SmallDisk(tmp_path / "disk")
    yield small
    small.unmount()


@pytest.fixture
def site(site_at, disk, migrated_sqlite, sonar):
    """A deployment whose database lies on the disk."""
    file = shutil.copy(migrated_sqlite, disk.folder / "stockade.sqlite3")
    configured = db.configure(f"sqlite:///{file}")
    yield site_at(f"sqlite:///{file}", sonar)
    configured.close_all()


def soundness(site):
    with sqlite3.connect(site.environ["STOCKADE_DATABASE_URL"].removeprefix("sqlite://")) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() + connection.execute("PRAGMA foreign_key_check").fetchall()


def test_a_request_that_writes_says_so_and_one_that_reads_is_answered(site, disk, serve):
    web = serve(site)
    browser = web.browser()

    def create(name):
        return browser.post(f"{web.url}/api/customers", json={"name": name}, timeout=20)

    assert create("Before").status_code == 201
    token = make_token(make_user("msp_admin"))
    UserSession.update(seen_at=clock.now() - 5 * clock.MINUTE).execute()  # to be noted as in use again
    disk.fill(web.process)
    for _ in range(3):
        refused = create("During")
        assert (refused.status_code, refused.json()) == (507, FULL)
    assert browser.post(f"{web.url}/api/integrations/sonarqube/sync", timeout=20).status_code == 507
    for path in ("/api/customers", "/api/runs", "/api/findings", "/api/dashboard/overview", "/health/live"):
        assert browser.get(web.url + path, timeout=20).status_code == 200, path
    assert requests.get(f"{web.url}/api/customers", headers=bearer(token), timeout=20).status_code == 200
    assert soundness(site) == [("ok",)]
    disk.free()
    assert create("After").status_code == 201
    customers = browser.get(f"{web.url}/api/customers", timeout=20).json()["customers"]
    assert [entry["name"] for entry in customers] == ["Acme", "After", "Before"]
    requests.get(f"{web.url}/api/customers", headers=bearer(token), timeout=20)
    assert ApiToken.get().last_used_at
    assert soundness(site) == [("ok",)]


def test_a_sync_that_meets_it_closes_nothing_and_is_done_when_there_is_room(site, disk, sonar):
    worker = site.worker()
    assert site.sync()["state"] == "succeeded"
    sonar.forget("shop", 30)
    sonar.forget("api", 5)
    with sonar.held(ISSUES, project="shop", after=1) as second_page:
        run_id = site.ask()
        second_page.wait()
        disk.fill(worker)
    eventually(lambda: not descendants(worker.pid))
    assert "a fault of our own" not in worker.output
    assert site.closed() == set()
    assert soundness(site) == [("ok",)]
    assert totals_are_right()
    disk.free()
    site.scheduler()
    run = site.ended(run_id)
    assert run["state"] == "succeeded"
    assert site.open_or_dismissed() == at_the_source(sonar.world)
    assert len(site.closed()) == 35
    assert soundness(site) == [("ok",)]
    assert totals_are_right()
    assert worker.is_running


@pytest.mark.parametrize("disk", ["quota"], indirect=True)
def test_a_sync_that_has_room_for_the_reason_alone_fails_with_it(site, disk, sonar):
    worker = site.worker()
    disk.fill(worker, largest_file=850_000)  # enough for "api", and for marking the run; not for a thousand findings
    run = site.sync()
    assert (run["state"], run["reasonCode"], run["attempt"]) == ("failed", "storage_full", 1)
    assert run["reason"] == "The server's disk is full; what was stored before that is kept"
    assert site.health() == ("failing", "storage_full")
    assert {project for project, _ in site.stored()} == {"api"}
    assert soundness(site) == [("ok",)]
    assert totals_are_right()
    disk.free()
    assert site.sync()["state"] == "succeeded"
    assert site.stored() == at_the_source(sonar.world)
    assert site.health() == ("ok", "")
    assert totals_are_right()


def test_the_reason_is_told_through_transactions_within_each_other(sqlite_database):
    pages = db.db.execute_sql("PRAGMA page_count").fetchone()[0]
    db.db.execute_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFull):
        create_customers_in_nested_transactions(1000)
    db.db.execute_sql("PRAGMA max_page_count = 1000000")
    assert Customer.select().count() == 0
    create_customers_in_nested_transactions(1)
    assert Customer.select().count() == 1


def create_customers_in_nested_transactions(number):
    with db.atomic(), db.atomic():
        for each in range(number):
            Customer.create(id=f"cus_{each}", name=f"{each:0190}", name_key=str(each), created_at=1, updated_at=1)
