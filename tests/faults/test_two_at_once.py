"""Two people ask for the same sync at the same moment, on two web nodes with two workers behind them: one run, one pull."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from core.app import create_app
from core.connections.models import Run
from core.db import db
from core.jobs.queue import JobQueue
from tests.factories import signed_in_client
from tests.faults.site import CATALOG, HOTSPOTS, ISSUES, at_the_source, totals_are_right

CLIENTS = 6


@pytest.fixture
def browsers(site):
    """People in front of two web nodes, which share nothing but the database and Redis."""
    def node():
        return create_app(site.deployment.settings, plugins=site.deployment.plugins, queue=JobQueue(site.deployment.settings.redis_url))
    nodes = [node(), node()]
    return [signed_in_client(nodes[number % 2], "customer_admin", customer=site.customer) for number in range(CLIENTS)]


def ask_all_at_once(browsers):
    together = Barrier(len(browsers))

    def ask(browser):
        together.wait()
        return browser.post("/api/integrations/sonarqube/sync")
    with ThreadPoolExecutor(len(browsers)) as people:
        return list(people.map(ask, browsers))


def test_two_syncs_at_once_are_one_run_and_one_pull(site, sonar, browsers):
    workers = [site.worker(), site.worker()]
    with sonar.held(CATALOG) as first_request:
        answers = ask_all_at_once(browsers)
        first_request.wait()
        answers += ask_all_at_once(browsers)
    assert [answer.status_code for answer in answers] == [202] * 2 * CLIENTS
    run_ids = {answer.get_json()["run"]["id"] for answer in answers}
    assert len(run_ids) == 1
    run = site.ended(run_ids.pop())
    assert (run["state"], run["attempt"]) == ("succeeded", 1)
    with db.connection_context():
        assert Run.select().count() == 1
    assert [len(sonar.log.of(path)) for path in (CATALOG, HOTSPOTS, ISSUES)] == [1, 3, 3 + 1 + 1]
    assert run["counts"]["requests"] == len(sonar.log.calls)
    assert site.stored() == at_the_source(sonar.world)
    assert totals_are_right()
    assert site.deployment.queue.depth() == 0
    assert all(worker.is_running for worker in workers)
