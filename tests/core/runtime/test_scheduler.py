import pytest

from core import clock
from core.db import db
from core.jobs import lease
from core.jobs.models import Lease
from core.people import sessions
from core.people.models import UserSession
from core.runtime.scheduler import DUTY, Scheduler
from tests.factories import make_user
from tests.processes import deployment_of, environment
from tests.servers import eventually


@pytest.fixture
def deployment(database, redis_url, tmp_path):
    return deployment_of(environment(tmp_path, database, redis_url))


def test_of_two_schedulers_one_is_elected_and_the_other_follows_when_it_leaves(deployment):
    first, second = Scheduler(deployment), Scheduler(deployment)
    assert (first.look(), second.look()) == (True, False)
    assert lease.holder_of(DUTY) == first.name
    first.leave()
    assert (second.look(), first.look()) == (True, False)


def test_a_scheduler_that_vanished_is_followed_when_its_duty_expires(deployment):
    gone, next_one = Scheduler(deployment), Scheduler(deployment)
    assert gone.look()
    assert not next_one.look()
    Lease.update(expires_at=clock.now() - 1).execute()
    assert next_one.look()


def test_a_redis_that_is_away_ends_no_scheduler(deployment, redis_server):
    scheduler = Scheduler(deployment)
    redis_server.stop()
    scheduler.look()
    redis_server.start()
    assert scheduler.look()


def test_a_database_that_is_away_is_told_once_and_waited_for(deployment, caplog):
    scheduler = Scheduler(deployment)
    db.execute_sql("ALTER TABLE lease RENAME TO hidden")
    try:
        assert not scheduler.look()
        assert not scheduler.look()
    finally:
        db.execute_sql("ALTER TABLE hidden RENAME TO lease")
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert scheduler.look()


def test_sessions_that_ended_are_deleted(deployment):
    user = make_user("msp_admin")
    sessions.begin(user.id, deployment.settings)
    sessions.begin(user.id, deployment.settings)
    UserSession.update(expires_at=clock.now() - 1).where(UserSession.token_digest == UserSession.select().first().token_digest).execute()
    assert Scheduler(deployment).look()
    assert UserSession.select().count() == 1


def test_a_scheduler_process_stops_when_asked_and_frees_its_duty(database, redis_url, tmp_path, processes):
    process = processes.stockade("scheduler", environ=environment(tmp_path, database, redis_url))
    eventually(lambda: "elected" in process.output)
    assert process.stop() == 0
    assert lease.holder_of(DUTY) is None
