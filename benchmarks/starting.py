"""How soon ``stockade up`` answers, and how much memory the whole of it takes."""

import socket
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import requests

from benchmarks.report import Report
from tests.processes import descendants
from tests.servers import Process, Processes, eventually

MOST_SECONDS = 5
ROUNDS = 3
_MEBIBYTE = 1024 * 1024
_ALL_PARTS = 5  # web server with one process for requests at least, workers, scheduler, Redis


def measure(report: Report) -> None:
    """A fresh home each time, with the settings of a first start: from the command to the first answered request."""
    fresh, again, memory = zip(*(_started_twice() for _ in range(ROUNDS)), strict=True)
    report.at_most("stockade up in a fresh home, seconds to the first answer", max(fresh), MOST_SECONDS, _told(fresh))
    report.add("the same home again", _told(again))
    report.add("memory of all its processes at rest (proportional set size)", f"{statistics.median(memory) / _MEBIBYTE:.0f} MiB")


def _told(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.1f} s (worst {max(values):.1f})"


def _started_twice() -> tuple[float, float, int]:
    """Seconds in a fresh home, seconds in the same home again, and the bytes that it then takes."""
    with tempfile.TemporaryDirectory() as name:
        processes = Processes(Path(name))
        try:
            seconds, process, _ = _up(processes, Path(name))
            process.stop(within=20)
            seconds_again, process, url = _up(processes, Path(name))
            eventually(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
            return seconds, seconds_again, _memory(process)
        finally:
            processes.end()


def _up(processes: Processes, folder: Path) -> tuple[float, Process, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    begun = time.perf_counter()
    process = processes.stockade("up", "--home", str(folder / "home"), "--port", str(port))
    eventually(lambda: _answers(f"{url}/api/auth/providers"), every=0.005)
    return time.perf_counter() - begun, process, url


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=20).ok
    except requests.ConnectionError:
        return False


def _memory(process: Process) -> int:
    """Of all processes together, memory that they share counted once."""
    running = eventually(lambda: descendants(process.pid) if len(descendants(process.pid)) >= _ALL_PARTS else [])
    return sum(each.memory_full_info().pss for each in (psutil.Process(process.pid), *running))
