"""Redis goes away, and comes back, with or without what it knew: requests are answered, and every run that was recorded happens."""

import shutil

import pytest

from tests.faults.site import at_the_source, totals_are_right
from tests.servers import eventually


@pytest.fixture
def redis_lost(redis_server):
    """Takes Redis away as a crash does, with all that it had kept."""
    def lose():
        redis_server.process.kill()
        redis_server.process.wait()
        redis_server.process = None
        shutil.rmtree(redis_server.folder)
    return lose


def test_a_sync_asked_for_while_redis_is_away_happens_when_it_is_back(sqlite_site, sonar, redis_server):
    worker, scheduler = sqlite_site.worker(), sqlite_site.scheduler()
    eventually(lambda: "elected" in scheduler.output)
    redis_server.stop()
    answer = sqlite_site.client.post("/api/integrations/sonarqube/sync")
    assert (answer.status_code, answer.get_json()["run"]["state"]) == (202, "queued")
    assert sqlite_site.client.get("/api/manage-assets", headers={"x-customer-id": sqlite_site.customer.id}).status_code == 200
    assert sqlite_site.client.get("/health/ready").status_code == 503
    assert sqlite_site.client.get("/health/live").status_code == 200
    eventually(lambda: "Redis is not reachable" in worker.output)
    redis_server.start()
    run_id = answer.get_json()["run"]["id"]
    sqlite_site.let_pass(run_id, seconds=5)
    run = sqlite_site.ended(run_id)
    assert run["state"] == "succeeded"
    assert sqlite_site.stored() == at_the_source(sonar.world)
    assert totals_are_right()
    assert worker.is_running
    assert scheduler.is_running
    assert sqlite_site.client.get("/health/ready").status_code == 200


def test_a_redis_that_comes_back_empty_loses_no_run(sqlite_site, sonar, redis_server, redis_lost):
    run_id = sqlite_site.ask()
    redis_lost()
    redis_server.start()
    assert sqlite_site.deployment.queue.depth() == 0
    sqlite_site.let_pass(run_id, seconds=5)
    sqlite_site.worker()
    sqlite_site.scheduler()
    assert sqlite_site.ended(run_id)["state"] == "succeeded"
    assert sqlite_site.stored() == at_the_source(sonar.world)
    assert len(sonar.log.of("projects/search")) == 1
