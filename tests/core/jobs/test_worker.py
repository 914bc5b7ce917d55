"""Real worker processes on a real Redis: what they refuse, and what they outlive."""

import pickle
import signal
import threading

import psutil
import pytest
import redis
from rq import Queue
from rq.job import Job, JobStatus

from core.connections import runs
from core.connections.jobs import EXECUTE_RUN
from core.jobs import queue as jobs
from core.jobs.queue import AllowedJob
from core.testing.standin import StandIn
from plugins.sonarqube.upstream import create_app
from tests.processes import all_gone, connected, counted, deployment_of, descendants, environment, state, totals_are_right, world_with_token
from tests.servers import eventually


@pytest.fixture
def environ(database, redis_url, tmp_path):
    return environment(tmp_path, database, redis_url)


@pytest.fixture
def environ_on_sqlite(sqlite_database, redis_url, tmp_path):
    return environment(tmp_path, sqlite_database, redis_url)


@pytest.fixture
def sonar():
    world, token = world_with_token()
    with StandIn(create_app(world)) as server:
        yield world, server.url, token


def ask(deployment, connection):
    return runs.request_sync(deployment, connection, trigger="person", requested_by="test")


def failed(redis_url, job_id):
    job = AllowedJob.fetch(job_id, connection=redis.Redis.from_url(redis_url), serializer=jobs.SERIALIZER)
    return job.get_status() == JobStatus.FAILED and str(job.latest_result().exc_string)


def test_a_worker_does_a_run(environ, processes, sonar):
    _, url, token = sonar
    deployment = deployment_of(environ)
    connection = connected(deployment, "Acme", url, token)
    processes.worker(environ)
    run = ask(deployment, connection)
    eventually(lambda: state(run) == "succeeded")
    stored, distinct = counted(connection)
    assert stored == distinct > 200
    assert totals_are_right()


def test_planted_jobs_fail_without_being_run_and_the_worker_goes_on(environ_on_sqlite, redis_url, processes, sonar, tmp_path):
    connection = redis.Redis.from_url(redis_url)
    queue = Queue(jobs.NAME, connection=connection, serializer="json")
    queue.enqueue("os.mkdir", str(tmp_path / "planted"), job_id="planted")
    unreadable = Job.create(EXECUTE_RUN, connection=connection, serializer="json", id="pickled", origin=jobs.NAME)
    unreadable.save()
    connection.hset(unreadable.key, "data", pickle.dumps(("os.mkdir", None, (str(tmp_path / "planted"),), {})))
    queue.push_job_id("pickled")
    worker = processes.worker(environ_on_sqlite)
    assert "not on the allow-list" in eventually(lambda: failed(redis_url, "planted"))
    assert "DeserializationError" in eventually(lambda: failed(redis_url, "pickled"))
    assert not (tmp_path / "planted").exists()
    deployment = deployment_of(environ_on_sqlite)
    run = ask(deployment, connected(deployment, "Acme", *sonar[1:]))
    eventually(lambda: state(run) == "succeeded")
    assert worker.is_running


def test_an_idle_worker_stops_at_once_when_asked(environ_on_sqlite, processes):
    assert processes.worker(environ_on_sqlite).stop() == 0


def test_a_worker_under_way_is_given_its_grace_and_leaves_nothing_running(environ_on_sqlite, processes, sonar):
    world, url, token = sonar
    gate = threading.Event()
    world.faults.add("slow", path="issues/search", gate=gate)
    deployment = deployment_of(environ_on_sqlite)
    connection = connected(deployment, "Acme", url, token)
    worker = processes.stockade("worker", "--grace", "0.2", environ=environ_on_sqlite)
    ask(deployment, connection)
    job = eventually(lambda: descendants(worker.pid))
    assert worker.stop() == 0
    assert all_gone(job)
    gate.set()


def test_a_job_finishes_within_the_grace(environ_on_sqlite, processes, sonar):
    world, url, token = sonar
    gate = threading.Event()
    world.faults.add("slow", path="issues/search", gate=gate)
    deployment = deployment_of(environ_on_sqlite)
    run = ask(deployment, connected(deployment, "Acme", url, token))
    worker = processes.worker(environ_on_sqlite)
    eventually(lambda: descendants(worker.pid))
    worker.popen.send_signal(signal.SIGTERM)
    eventually(lambda: "finishing the job under way" in worker.output)
    gate.set()
    assert worker.popen.wait(20) == 0
    assert state(run) == "succeeded"


def test_a_killed_worker_takes_its_job_with_it_and_another_takes_the_run_up(environ, processes, sonar):
    environ = {**environ, "STOCKADE_RUN_LEASE_SECONDS": "1"}
    world, url, token = sonar
    deployment = deployment_of(environ)
    connection = connected(deployment, "Acme", url, token)
    expected = _synced_elsewhere(deployment, environ, processes, url, token)
    gate = threading.Event()
    world.faults.add("slow", path="issues/search", after=3, gate=gate, times=1)
    worker = processes.worker(environ)
    run = ask(deployment, connection)
    eventually(lambda: counted(connection)[0] > 0)
    job = descendants(worker.pid)
    assert job
    worker.kill()
    eventually(lambda: all_gone(job))
    gate.set()
    assert state(run) == "running"
    processes.stockade("scheduler", environ=environ)
    processes.worker(environ)
    eventually(lambda: state(run) == "succeeded")
    stored, distinct = counted(connection)
    assert stored == distinct == expected
    assert totals_are_right()


def _synced_elsewhere(deployment, environ, processes, url, token):
    """How many findings the source has, by an undisturbed sync of another customer."""
    other = connected(deployment, "Undisturbed", url, token)
    worker = processes.worker(environ)
    run = ask(deployment, other)
    eventually(lambda: state(run) == "succeeded")
    worker.stop()
    return counted(other)[0]


def test_redis_goes_and_comes_back(environ_on_sqlite, processes, redis_server, sonar):
    deployment = deployment_of(environ_on_sqlite)
    connection = connected(deployment, "Acme", *sonar[1:])
    worker = processes.worker(environ_on_sqlite)
    scheduler = processes.stockade("scheduler", environ=environ_on_sqlite)
    eventually(lambda: "elected" in scheduler.output)
    redis_server.stop()
    eventually(lambda: "Redis is not reachable" in worker.output)
    run = ask(deployment, connection)  # recorded all the same
    assert state(run) == "queued"
    redis_server.start()
    eventually(lambda: state(run) == "succeeded", within=40)
    assert worker.is_running
    assert worker.output.count("Redis is not reachable") == 1
    assert psutil.pid_exists(scheduler.pid)


def test_a_job_goes_on_while_redis_is_away(environ_on_sqlite, processes, redis_server, sonar):
    world, url, token = sonar
    gate = threading.Event()
    world.faults.add("slow", path="issues/search", gate=gate, times=1)
    deployment = deployment_of(environ_on_sqlite)
    connection = connected(deployment, "Acme", url, token)
    worker = processes.worker(environ_on_sqlite)
    run = ask(deployment, connection)
    eventually(lambda: state(run) == "running")
    redis_server.stop()
    gate.set()
    eventually(lambda: state(run) == "succeeded")
    redis_server.start()
    again = ask(deployment, connection)
    eventually(lambda: state(again) == "succeeded", within=40)
    assert worker.is_running
