"""Serves a stand-in of an upstream service over real HTTP on the loopback: in a thread for tests, as a process for the demo."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server

from core.jobs.lifeline import tied_to_parent

_POLL_SECONDS = 0.005  # what stopping may have to wait for
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


class StandIn:
    """A WSGI app served by threads of this process while the ``with`` block lasts.

    :param port: 0 takes a free one.
    :param tls: files of the certificate and its key; the address then begins with ``https``.
    :ivar url: where it answers, without a slash at the end.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], *, port: int = 0, tls: tuple[str, str] | None = None) -> None:
        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet, ssl_context=tls)
        self.port: int = self._server.server_port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": _POLL_SECONDS}, daemon=True,
                                        name=f"stand-in {self.url}")
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering and free the port; a request that is still being answered is left to end by itself."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class StandInProcess:
    """A stand-in that runs as a Python process of its own, for as long as the demo does.

    The module is run with ``python -m``; the first line that it prints is its address.

    :param env: variables added to this process's own; the place for tokens, since arguments can be seen by others.
    :raises RuntimeError: from ``start`` when the process ends, or prints nothing, before it has told its address.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> Self:
        self._process = subprocess.Popen(self._command, env=self._env, stdin=subprocess.DEVNULL,  # noqa: S603 - our own module
                                         stdout=subprocess.PIPE, text=True, preexec_fn=tied_to_parent())
        self.url = self._first_line(self._process)
        if not self.url.startswith("http"):
            self.stop()
            raise RuntimeError(f"{self._command[2]} did not start")
        return self

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @staticmethod
    def _first_line(process: "subprocess.Popen[str]") -> str:
        said: list[str] = []

        def read() -> None:
            with contextlib.suppress(ValueError):  # the pipe was closed because nothing came in time
                said.append(process.stdout.readline().strip() if process.stdout else "")

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(_START_SECONDS)
        return said[0] if said else ""


class _Quiet(WSGIRequestHandler):
    """Answers without a log line for each request."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own name
        pass
