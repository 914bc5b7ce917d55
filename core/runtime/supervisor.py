"""Keeps the processes of ``stockade up`` running, gathers their logs, and ends every one of them.

One thread, one loop: it reads what the programs print, starts again what ended, and watches for signals. The programs are
tied to this process, so that they end even when it is killed.
"""

import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from core import clock
from core.jobs.lifeline import tied_to_parent

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
_STEADY_SECONDS = 30.0  # a program that ran this long is given a short pause again when it ends
_STOP_SECONDS = 8.0
_LONGEST_LOG, _KEPT_LOGS = 10 * 1024 * 1024, 3
_LONGEST_LINE = 64 * 1024
_LOUD = ("error", "critical")
_SAID_SECONDS = 60.0  # several programs meet the same trouble; a person is told once


@dataclass(frozen=True, slots=True)
class Program:
    """Something to keep running.

    :ivar runs_once: ending with exit code 0 is its purpose; it is not started again then.
    :ivar stops_last: it is asked to stop only when the others have ended (they use it).
    :ivar tied_by: what it gets when the supervisor is killed.
    :ivar hopeless: exit codes that no second try changes: the supervisor gives up.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    runs_once: bool = False
    stops_last: bool = False
    tied_by: signal.Signals = signal.SIGKILL
    hopeless: frozenset[int] = frozenset()


@dataclass
class _Child:
    program: Program
    log: "_Log"
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_at: float | None = 0.0  # None: not to be started (again)
    pause: float = _FIRST_PAUSE
    unread: bytes = b""
    last_message: str = ""


@dataclass
class Supervisor:
    """Runs programs until it is told to stop.

    :ivar say: tells a person one line of news.
    """

    logs: Path
    say: Callable[[str], None]
    _children: list[_Child] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _asked_to_stop: int = 0
    _given_up: int = 0
    _said: dict[str, float] = field(default_factory=dict)

    def add(self, program: Program) -> None:
        """Have the program started with the next turn of the loop, after those that were added before."""
        self._children.append(_Child(program, _Log(self.logs / f"{program.name}.log", program.name)))

    def run(self, watch: Callable[[], None] = lambda: None) -> int:
        """Keep the programs running until SIGTERM, SIGINT or SIGHUP, then end them all.

        :param watch: called at every turn, at least twice a second; it must not wait.
        :returns: 0, or the exit code of a program that could not go on.
        """
        try:
            with self._woken_by_signals():
                while not self._asked_to_stop and not self._given_up:
                    self._start_due()
                    self._turn(0.1)
                    watch()
                self.stop()
        finally:
            self._kill_all()
        return self._given_up

    def stop(self) -> None:
        """Ask the programs to end, those that others use last, and kill what has not ended in time."""
        for last in (False, True):
            ending = [child for child in self._running() if child.program.stops_last is last]
            for child in ending:
                _send(child, signal.SIGTERM, whole_group=False)
            give_up = time.monotonic() + _STOP_SECONDS
            while any(_is_alive(child) for child in ending) and time.monotonic() < give_up and self._asked_to_stop < 2:
                self._turn(0.05)
            self._turn(0)  # what the last of them said when it ended is kept too
            for child in ending:
                _send(child, signal.SIGKILL, whole_group=True)

    def _running(self) -> list[_Child]:
        return [child for child in self._children if child.process is not None]

    @contextlib.contextmanager
    def _woken_by_signals(self) -> Iterator[None]:
        """Let a signal end the wait of the loop, also when it comes just before the wait."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        wanted = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to outlive the terminal
            wanted.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in wanted}
        woken_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.unregister(reader)
            reader.close()
            writer.close()

    def _on_signal(self, number: int, frame: object) -> None:
        self._asked_to_stop += 1

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.start_at is not None and child.start_at <= now:
                self._start(child)

    def _start(self, child: _Child) -> None:
        program = child.program
        child.process = subprocess.Popen(program.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,  # noqa: S603 - our own programs
                                         stderr=subprocess.STDOUT, env=program.environ, pass_fds=program.pass_fds,
                                         start_new_session=True, preexec_fn=tied_to_parent(program.tied_by))
        child.started_at = time.monotonic()
        child.last_message = ""
        pipe = _pipe(child.process)
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe, selectors.EVENT_READ, child)

    def _turn(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.recv(4096)  # type: ignore[union-attr]
            else:
                self._read(key.data)
        for child in self._running():
            if not _is_alive(child):
                self._ended(child)

    def _read(self, child: _Child) -> bool:
        """Take what the program printed since the last turn, or a good part of it; whether there was anything."""
        if child.process is None:
            return False
        try:
            chunk = os.read(_pipe(child.process).fileno(), _LONGEST_LINE)
        except BlockingIOError:
            return False
        if not chunk:
            with contextlib.suppress(KeyError):
                self._selector.unregister(_pipe(child.process))
            return False
        *lines, child.unread = (child.unread + chunk).split(b"\n")
        if len(child.unread) > _LONGEST_LINE:
            lines, child.unread = [*lines, child.unread], b""
        for line in lines:
            self._take(child, line)
        return True

    def _take(self, child: _Child, line: bytes) -> None:
        level, message = child.log.write(line.decode(errors="replace"))
        child.last_message = message or child.last_message
        if level in _LOUD and not self._asked_to_stop and time.monotonic() - self._said.get(message, -_SAID_SECONDS) >= _SAID_SECONDS:
            self._said[message] = time.monotonic()
            self.say(f"{child.program.name}: {message}")

    def _ended(self, child: _Child) -> None:
        assert child.process is not None  # noqa: S101 - the caller looked
        while self._read(child):
            pass
        if child.unread:
            self._take(child, child.unread)
            child.unread = b""
        code, program = child.process.returncode, child.program
        with contextlib.suppress(KeyError):
            self._selector.unregister(_pipe(child.process))
        _pipe(child.process).close()
        _send(child, signal.SIGKILL, whole_group=True)  # whatever it left behind
        child.process = None
        child.start_at = None
        if not self._asked_to_stop and not self._given_up and not (program.runs_once and code == 0):
            self._plan_restart(child, code)

    def _plan_restart(self, child: _Child, code: int) -> None:
        if code in child.program.hopeless:
            self.say(f"{child.program.name} cannot start: {child.last_message}")
            self._given_up = code
            return
        lasted = time.monotonic() - child.started_at
        pause = _FIRST_PAUSE if lasted > _STEADY_SECONDS else child.pause
        child.pause = min(pause * 2, _LONGEST_PAUSE)
        child.start_at = time.monotonic() + pause
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self.say(f"{child.program.name} {how}; starting it again in {pause:g} s (log: {child.log.path})")

    def _kill_all(self) -> None:
        for child in self._running():
            _send(child, signal.SIGKILL, whole_group=True)
            if child.process is not None:
                child.process.wait()
                _pipe(child.process).close()
        self._selector.close()
        for child in self._children:
            child.log.close()


def _pipe(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert process.stdout is not None  # noqa: S101 - started with a pipe
    return process.stdout


def _is_alive(child: _Child) -> bool:
    return child.process is not None and child.process.poll() is None


def _send(child: _Child, sent: signal.Signals, *, whole_group: bool) -> None:
    if child.process is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone already; macOS says "permission" of a zombie's group
        if whole_group:
            os.killpg(child.process.pid, sent)
        else:
            child.process.send_signal(sent)


class _Log:
    """A program's log file: JSON lines as they come; other lines, such as Redis's, are wrapped into JSON."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._file = RotatingFileHandler(path, maxBytes=_LONGEST_LOG, backupCount=_KEPT_LOGS, encoding="utf-8")

    def write(self, line: str) -> tuple[str, str]:
        """Keep one line; gives its level and message."""
        facts = _read_json(line)
        if facts is None:
            facts = {"time": clock.iso(clock.now()), "level": "info", "logger": self._name, "message": line}
            line = json.dumps(facts, ensure_ascii=False)
        self._file.emit(logging.makeLogRecord({"msg": line}))
        return str(facts.get("level", "")), str(facts.get("message", ""))

    def close(self) -> None:
        self._file.close()


def _read_json(line: str) -> dict | None:
    if not line.startswith("{"):
        return None
    try:
        facts = json.loads(line)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None
