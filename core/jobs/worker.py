"""The worker: takes jobs from the queue and does each in a forked process, so that a job's memory and faults end with it."""

import contextlib
import importlib
import logging
import os
import signal
import socket
import threading
import time
from secrets import token_hex
from typing import Any, NoReturn

import redis
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisSilent
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job

from core.db import db
from core.jobs import lifeline
from core.jobs.queue import ALLOWED, NAME, SERIALIZER, AllowedJob

log = logging.getLogger(__name__)

STOP_SECONDS = 20.0
_AWAY = (RedisGone, RedisSilent)
_GONE_SECONDS = 60  # a worker that was silent for so long counts as gone
_LISTEN_SECONDS = 5  # of one blocking look at the queue; a signal that comes just before a look is heeded after it
_TIDY_SECONDS = 30  # how often jobs of workers that vanished are looked for
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


def work(redis_url: str, stop_seconds: float = STOP_SECONDS) -> None:
    """Do jobs until SIGTERM or SIGINT; a Redis that goes away is waited for.

    The signal lets the job under way go on for ``stop_seconds``; then it is killed, and its run is taken up again later by
    whoever works then. A second signal kills it at once.
    """
    for name in ALLOWED:  # loaded once here, shared by every forked job
        importlib.import_module(name.rpartition(".")[0])
    _quiet_rq()
    pause = _FIRST_PAUSE
    while True:
        _on_stop_signals(_leave)
        try:
            worker = _ForkingWorker(redis_url, stop_seconds)
            pause = _FIRST_PAUSE
            worker.work(logging_level="WARNING")
        except _AWAY as problem:
            if pause == _FIRST_PAUSE:
                log.error("Redis is not reachable (%s); trying again until it is", type(problem).__name__)
        else:
            if worker.asked_to_stop:
                log.info("stopped")
                return
        _on_stop_signals(_leave)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


class _ForkingWorker(Worker):
    """RQ's worker, bound to our allow-list, that ends in time and leaves no process behind."""

    max_connection_wait_time = _LONGEST_PAUSE

    def __init__(self, redis_url: str, stop_seconds: float) -> None:
        connection = redis.Redis.from_url(redis_url, socket_connect_timeout=2.0)
        queue = Queue(NAME, connection=connection, serializer=SERIALIZER, job_class=AllowedJob)
        super().__init__([queue], name=f"{socket.gethostname()[:60]}-{os.getpid()}-{token_hex(4)}", connection=connection,
                         serializer=SERIALIZER, job_class=AllowedJob, worker_ttl=_GONE_SECONDS,
                         maintenance_interval=_TIDY_SECONDS, log_job_description=False)
        self.asked_to_stop = False
        self._stop_seconds = stop_seconds
        self._redis_is_away = False

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        super().bootstrap(*args, **kwargs)
        log.info("listening for jobs")

    @property
    def dequeue_timeout(self) -> int:
        return _LISTEN_SECONDS

    def subscribe(self) -> None:
        """No remote commands: nobody but the operating system tells a worker to stop."""

    def request_stop(self, signum: int, frame: Any) -> None:
        self.asked_to_stop = True
        _on_stop_signals(self._stop_now)
        if not self.horse_pid:
            raise StopRequested
        self._stop_requested = True
        log.info("finishing the job under way, for at most %g s", self._stop_seconds)
        killer = threading.Timer(self._stop_seconds, self.kill_horse)
        killer.daemon = True
        killer.start()

    def _stop_now(self, signum: int, frame: Any) -> None:
        if self.horse_pid:
            self.kill_horse()

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Begin the forked process: it ends with the worker, and shares no connection with it."""
        lifeline.die_with(self.pid or 0)
        db.obj.dispose()
        super().main_work_horse(job, queue)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        try:
            super().heartbeat(timeout, pipeline)
        except _AWAY as problem:
            if not self._redis_is_away:
                log.error("Redis is not reachable (%s); trying again until it is", type(problem).__name__)
            self._redis_is_away = True
            raise
        if pipeline is None and self._redis_is_away:
            log.info("Redis answers again")
            self._redis_is_away = False

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        with contextlib.suppress(*_AWAY):  # the job itself needs no Redis; it goes on, and what comes of it is in the database
            super().maintain_heartbeats(job, execution)

    def teardown(self) -> None:
        with contextlib.suppress(RedisError):  # signing off fails when Redis is the reason for leaving
            super().teardown()
        self.connection.close()


def _leave(signum: int, frame: Any) -> NoReturn:
    raise SystemExit(0)


def _on_stop_signals(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)


def _quiet_rq() -> None:
    """RQ repeats itself while Redis is away; ``heartbeat`` above says it once."""
    logging.getLogger("rq.worker").addFilter(lambda record: "could not connect to Redis" not in str(record.msg))
