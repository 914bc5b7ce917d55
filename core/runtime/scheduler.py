"""The scheduler: of all that run, the one elected process does the upkeep every few seconds."""

import logging
import os
import signal
import socket
import threading
from secrets import token_hex

import peewee
from redis.exceptions import RedisError

from core.connections import upkeep
from core.db import db
from core.deployment import Deployment
from core.errors import StockadeError
from core.jobs import lease
from core.people import families, sessions
from core.runtime import auditing

log = logging.getLogger(__name__)

DUTY = "scheduler"
LEASE_SECONDS = 15.0
TICK_SECONDS = 2.0


def run(deployment: Deployment, tick_seconds: float = TICK_SECONDS) -> None:
    """Do the upkeep while holding the duty, until SIGTERM or SIGINT. A database or Redis that is away is waited for."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    scheduler = Scheduler(deployment)
    log.info("standing by as %s", scheduler.name)
    while not stop.is_set():
        scheduler.look()
        stop.wait(tick_seconds)
    scheduler.leave()
    log.info("stopped")


class Scheduler:
    """One candidate for the duty.

    :ivar is_elected: whether it had the duty when it last looked.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.name = f"{socket.gethostname()[:32]}-{os.getpid()}-{token_hex(4)}"
        self.is_elected = False
        self._deployment = deployment
        self._in_trouble = False

    def look(self) -> bool:
        """One pass if the duty is ours; True when it was done."""
        try:
            with db.connection_context():
                self._elect(lease.take(DUTY, self.name, LEASE_SECONDS))
                if self.is_elected:
                    upkeep.tick(self._deployment)
                    sessions.end_expired()
                    families.forget_expired()
                    auditing.keep(self._deployment)
        except (StockadeError, peewee.PeeweeException, RedisError) as problem:
            self._tell(problem)
            return False
        if self._in_trouble:
            log.info("going on")
        self._in_trouble = False
        return self.is_elected

    def leave(self) -> None:
        """Let another take over at once."""
        try:
            with db.connection_context():
                lease.give_up(DUTY, self.name)
        except (StockadeError, peewee.PeeweeException) as problem:
            log.warning("the duty could not be given up and ends by itself: %s", problem)

    def _elect(self, is_elected: bool) -> None:
        if is_elected != self.is_elected:
            log.info("elected" if is_elected else "another scheduler took over")
        self.is_elected = is_elected

    def _tell(self, problem: Exception) -> None:
        if not self._in_trouble:
            log.error("the pass could not be done (%s: %s); trying again until it can", type(problem).__name__, problem)
        self._in_trouble = True
