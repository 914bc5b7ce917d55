"""From the command line to the first answered request: ``stockade up`` in an empty folder, and again in the same one."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Report

_BOUND = 5.0


def measure(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        for what in ("stockade up, empty folder, to the first answer", "stockade up, the same folder again"):
            took = _first_answer(home)
            report.at_most(f"{what}, s", took, _BOUND, f"{took:.2f} s")


def _first_answer(home: Path) -> float:
    """Seconds from starting the process to its announcement, which it makes when ``/health/ready`` has answered."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STOCKADE_")}
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "core.runtime", "up", "--home", str(home), "--port", "0"], env=environ,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "answers at" in line:
            took = time.perf_counter() - begun
            break
    else:
        raise RuntimeError("stockade up did not start")
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    process.wait()
    return took
