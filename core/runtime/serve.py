"""The web server: gunicorn with threads, given our app and our logs."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from core.db import db
from core.http import stopping
from core.jobs import lifeline
from core.runtime.assemble import assemble
from core.settings import Settings

STOP_SECONDS = 20.0
_COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
_LONGEST_REQUEST_LINE = 8190  # filters of a listing travel in it


def serve(settings: Settings, listener: int, stop_seconds: float = STOP_SECONDS) -> None:
    """Answer requests until SIGTERM, then let those under way end within ``stop_seconds``.

    :param listener: number of a file descriptor, a socket that listens.
    """
    with _shared_counters():
        _Server(settings, listener, stop_seconds).run()


@contextlib.contextmanager
def _shared_counters() -> Iterator[None]:
    """Have ``/metrics`` count for all processes of this server, whichever of them is asked. Set before the counters are made."""
    if os.environ.get(_COUNTERS):
        yield  # a folder that the operator gave
        return
    folder, owner = tempfile.mkdtemp(prefix="stockade-metrics-"), os.getpid()
    os.environ[_COUNTERS] = folder
    try:
        yield
    finally:
        if os.getpid() == owner:  # worker processes leave through here as well
            shutil.rmtree(folder, ignore_errors=True)


class _Server(BaseApplication):
    def __init__(self, settings: Settings, listener: int, stop_seconds: float) -> None:
        self._settings = settings
        self._listener = listener
        self._stop_seconds = stop_seconds
        super().__init__()

    def load_config(self) -> None:
        values = {
            "bind": f"fd://{self._listener}",
            "workers": self._settings.web_workers,
            "worker_class": "gthread",
            "threads": self._settings.web_threads,
            "preload_app": True,  # loaded once, and a fault in it is told once
            "timeout": 60,
            "graceful_timeout": max(1, round(self._stop_seconds)),
            "limit_request_line": _LONGEST_REQUEST_LINE,
            "forwarded_allow_ips": "",  # the app itself decides which proxies it believes
            "control_socket_disable": True,
            "logger_class": _JsonLogger,
            "loglevel": self._settings.log_level.lower(),
            "proc_name": "stockade-web",
            "post_fork": _begin_worker,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from core.app import create_app

        parts = assemble(self._settings)
        app = create_app(self._settings, plugins=parts.plugins, queue=parts.queue)
        db.close_all()  # each worker process makes connections of its own
        return app


def _begin_worker(arbiter: Any, worker: Any) -> None:
    lifeline.die_with(os.getppid())
    stopping.told_by(lambda: not worker.alive)
    db.obj.dispose()


class _JsonLogger(Logger):
    """gunicorn's messages among our own; requests are logged by the app, with their id."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
        self.error_log.setLevel(logging.getLogger().level)
