"""The queue of background work: RQ on Redis, with what a job may be narrowed to the functions named here.

A job carries nothing but the id of a row in our own tables. Whoever can write to Redis can at most have such a row worked
on again: payloads are JSON, never pickle, and a job that names any other function, or a callback, is refused.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus

#: every function that a job may name
ALLOWED = frozenset({"core.connections.jobs.execute_run", "core.imports.jobs.execute_import"})

NAME = "stockade"
SERIALIZER = "json"
_ANSWER_SECONDS = 2.0  # a person waits behind this
_LONGEST_JOB_SECONDS = 12 * 3600  # a job that takes longer is stuck; RQ's own default of 180 s would cut a large sync short
_FAILED_KEPT_SECONDS = 24 * 3600  # for an operator's look; what came of a run is in our own tables
_WAITING = (JobStatus.QUEUED, JobStatus.STARTED)


class JobRefused(Exception):
    """A job that names something other than an allowed function; it fails and nothing of it is run."""


class AllowedJob(Job):
    """A job that runs an allowed function or nothing, wherever it came from."""

    @property
    def func(self) -> Any:
        if self.instance is not None or self.func_name not in ALLOWED:
            raise JobRefused("the job names a function that is not on the allow-list")
        return super().func

    def restore(self, raw_data: Any) -> Any:
        """As RQ's, without callbacks and webhooks: we set none, so any that are there were planted."""
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []


class JobQueue:
    """Where web servers, the scheduler and the command line leave work, and look how much is waiting.

    Methods raise ``redis.exceptions.RedisError`` within seconds when Redis is away.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS,
                                           retry=Retry(NoBackoff(), 1), health_check_interval=30)
        self._queue = Queue(NAME, connection=self._redis, serializer=SERIALIZER, job_class=AllowedJob)

    def enqueue(self, function_name: str, job_id: str, kwargs: Mapping[str, Any]) -> None:
        """Have a worker call the function. With a job of this id waiting or under way, nothing changes.

        :raises JobRefused: when the function is not on the allow-list.
        """
        if function_name not in ALLOWED:
            raise JobRefused(f"{function_name} is not on the allow-list")
        while True:
            try:
                self._queue.enqueue_call(function_name, kwargs=dict(kwargs), job_id=job_id, unique=True, timeout=_LONGEST_JOB_SECONDS,
                                         result_ttl=0, failure_ttl=_FAILED_KEPT_SECONDS, description=job_id)
                return
            except DuplicateJobError:
                if self.has(job_id):
                    return
                self._forget(job_id)  # a failed one, or one that was lost on its way to a worker

    def has(self, job_id: str) -> bool:
        """Whether a job of this id waits or is under way. One that failed, or that nobody holds any more, is not there."""
        try:
            job = AllowedJob.fetch(job_id, connection=self._redis, serializer=SERIALIZER)
        except NoSuchJobError:
            return False
        if job.get_status(refresh=False) not in _WAITING:
            return False
        places = (self._queue.key, self._queue.intermediate_queue_key)
        return any(self._redis.lpos(place, job_id) is not None for place in places) or job_id in self._queue.started_job_registry

    def depth(self) -> int:
        """How many jobs wait for a worker."""
        return self._queue.count

    @property
    def memory(self) -> redis.Redis:
        """The same Redis, for what web servers share for a minute and may lose at any time."""
        return self._redis

    def ping(self) -> None:
        """Return when Redis answers."""
        self._redis.ping()

    def close(self) -> None:
        self._redis.close()

    def _forget(self, job_id: str) -> None:
        with contextlib.suppress(NoSuchJobError):  # somebody else was faster
            AllowedJob.fetch(job_id, connection=self._redis, serializer=SERIALIZER).delete()
