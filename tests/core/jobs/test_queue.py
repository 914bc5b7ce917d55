import os
import pickle
import time

import pytest
import redis
from rq import Queue
from rq.job import Job, JobStatus

from core.connections.jobs import EXECUTE_RUN
from core.jobs import queue as jobs
from core.jobs.queue import AllowedJob, JobQueue, JobRefused


@pytest.fixture
def queue(redis_url):
    made = JobQueue(redis_url)
    yield made
    made.close()


def fetched(redis_url, job_id):
    return AllowedJob.fetch(job_id, connection=redis.Redis.from_url(redis_url), serializer=jobs.SERIALIZER)


def test_a_job_waits_once_however_often_it_is_enqueued(queue):
    for _ in range(3):
        queue.enqueue(EXECUTE_RUN, "run_a-0", {"run_id": "run_a"})
    assert queue.depth() == 1
    assert queue.has("run_a-0")
    assert not queue.has("run_a-1")


def test_a_failed_job_of_the_same_id_is_replaced(queue, redis_url):
    queue.enqueue(EXECUTE_RUN, "run_a-0", {"run_id": "run_a"})
    with redis.Redis.from_url(redis_url) as client:
        client.delete(f"rq:queue:{jobs.NAME}")
    fetched(redis_url, "run_a-0").set_status(JobStatus.FAILED)
    assert not queue.has("run_a-0")
    queue.enqueue(EXECUTE_RUN, "run_a-0", {"run_id": "run_a"})
    assert queue.has("run_a-0")
    assert queue.depth() == 1


def test_a_job_that_was_lost_on_its_way_to_a_worker_is_not_there_and_is_replaced(queue, redis_url):
    queue.enqueue(EXECUTE_RUN, "run_a-0", {"run_id": "run_a"})
    with redis.Redis.from_url(redis_url) as client:
        client.delete(f"rq:queue:{jobs.NAME}")  # its hash is left, saying "queued"
    assert not queue.has("run_a-0")
    queue.enqueue(EXECUTE_RUN, "run_a-0", {"run_id": "run_a"})
    assert queue.depth() == 1


def test_a_job_carries_the_id_of_a_run_and_nothing_else(queue, redis_url):
    queue.enqueue(EXECUTE_RUN, "run_a-0", {"run_id": "run_a"})
    assert fetched(redis_url, "run_a-0").data == b'["core.connections.jobs.execute_run", null, [], {"run_id": "run_a"}]'


def test_no_other_function_can_be_enqueued(queue):
    with pytest.raises(JobRefused):
        queue.enqueue("os.system", "x-0", {"command": "true"})
    assert queue.depth() == 0


def test_a_planted_function_is_refused_when_the_job_is_performed(redis_url, tmp_path):
    connection = redis.Redis.from_url(redis_url)
    Queue(jobs.NAME, connection=connection, serializer="json").enqueue("os.mkdir", str(tmp_path / "planted"), job_id="planted")
    with pytest.raises(JobRefused):
        fetched(redis_url, "planted").perform()
    assert not (tmp_path / "planted").exists()


def test_a_method_of_a_planted_value_is_refused(redis_url):
    job = Job.create("upper", connection=redis.Redis.from_url(redis_url), serializer="json", id="planted")
    job.instance = "text"
    job.save()
    with pytest.raises(JobRefused):
        fetched(redis_url, "planted").perform()


def test_a_pickle_is_never_opened(redis_url, tmp_path):
    class Opened:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "opened"),)

    job = Job.create(EXECUTE_RUN, connection=redis.Redis.from_url(redis_url), serializer="json", id="planted")
    job.save()
    job.connection.hset(job.key, "data", pickle.dumps(Opened()))
    with pytest.raises(Exception, match=r"^$") as refused:
        fetched(redis_url, "planted").perform()
    assert type(refused.value).__name__ == "DeserializationError"
    assert not (tmp_path / "opened").exists()


def test_planted_callbacks_and_webhooks_are_dropped(redis_url):
    job = Job.create(EXECUTE_RUN, connection=redis.Redis.from_url(redis_url), serializer="json", id="planted")
    job.save()
    job.connection.hset(job.key, mapping={"success_callback_name": "os.abort", "failure_callback_name": "os.abort",
                                          "stopped_callback_name": "os.abort",
                                          "webhooks": '[{"url": "http://127.0.0.1/", "job_status": "finished"}]'})
    found = fetched(redis_url, "planted")
    assert (found.success_callback, found.failure_callback, found.stopped_callback, found.webhooks) == (None, None, None, [])


def test_a_redis_that_is_away_is_told_within_seconds(tmp_path):
    queue = JobQueue(f"unix://{tmp_path}/nobody.sock")
    begun = time.monotonic()
    for ask in (queue.ping, queue.depth, lambda: queue.enqueue(EXECUTE_RUN, "run_a-0", {"run_id": "run_a"})):
        with pytest.raises(redis.exceptions.ConnectionError):
            ask()
    assert time.monotonic() - begun < 6
