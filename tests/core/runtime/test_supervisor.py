"""The supervisor with small programs: what it starts again, what it tells, and that nothing outlives it."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from core.jobs.lifeline import tied_to_parent
from core.runtime.supervisor import Program, Supervisor
from tests.servers import eventually


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(tmp_path, said):
    return Supervisor(tmp_path, said.append)


def program(name, code, **more):
    return Program(name, (sys.executable, "-S", "-c", code), {"PATH": os.environ["PATH"]}, **more)


#: says ``up`` and goes on when it is asked to stop; a handler could miss a signal that comes just before the sleep it is to end
UNTIL_ASKED = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\nprint('up', flush=True)\nsignal.sigwait([15])"


def stop_when(holds):
    """A watch that asks the supervisor to stop, as the operating system would, once something holds."""
    def watch():
        if holds():
            os.kill(os.getpid(), signal.SIGTERM)
    return watch


def lines(tmp_path, name):
    path = tmp_path / f"{name}.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_program_that_ends_is_started_again_and_that_is_told(supervisor, said, tmp_path):
    supervisor.add(program("short", "print('here')"))
    assert supervisor.run(stop_when(lambda: len(lines(tmp_path, "short")) == 2)) == 0
    assert said[0] == f"short ended with exit code 0; starting it again in 0.5 s (log: {tmp_path}/short.log)"


def test_a_killed_program_is_started_again(supervisor, said, tmp_path):
    supervisor.add(program("victim", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
    killed = []

    def watch():
        seen = [int(line["message"]) for line in lines(tmp_path, "victim")]
        if len(seen) == 1 and not killed:
            killed.append(seen[0])
            os.kill(seen[0], signal.SIGKILL)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    supervisor.run(watch)
    assert "victim was ended by SIGKILL" in said[0]


def test_a_program_that_runs_once_is_not_started_again(supervisor, said, tmp_path):
    supervisor.add(program("once", "print('done')", runs_once=True))
    supervisor.add(program("other", "import time\nwhile True: print('tick', flush=True); time.sleep(0.05)"))
    supervisor.run(stop_when(lambda: len(lines(tmp_path, "other")) > 5))
    assert [line["message"] for line in lines(tmp_path, "once")] == ["done"]
    assert said == []


def test_an_exit_code_that_no_second_try_changes_ends_everything(supervisor, said):
    supervisor.add(program("good", "import time; time.sleep(60)"))
    supervisor.add(program("bad", "print('the key is wrong'); raise SystemExit(3)", hopeless=frozenset({3})))
    assert supervisor.run() == 3
    assert said == ["bad cannot start: the key is wrong"]


def test_a_program_that_will_not_stop_is_killed_with_all_it_started(supervisor, tmp_path):
    stubborn = "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" \
               "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n" \
               "print(child.pid, flush=True)\ntime.sleep(60)"
    supervisor.add(program("stubborn", stubborn))

    def watch():
        if lines(tmp_path, "stubborn"):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)  # the second time means: now

    supervisor.run(watch)
    eventually(lambda: is_gone(int(lines(tmp_path, "stubborn")[0]["message"])))


def test_what_others_use_is_stopped_last(supervisor, tmp_path):
    code = f"{UNTIL_ASKED}\nimport time; print(time.monotonic())"
    supervisor.add(program("base", code, stops_last=True))
    supervisor.add(program("user", code))
    supervisor.run(stop_when(lambda: lines(tmp_path, "base") and lines(tmp_path, "user")))
    assert float(lines(tmp_path, "user")[1]["message"]) < float(lines(tmp_path, "base")[1]["message"])


def test_all_that_a_program_says_while_it_ends_is_kept(supervisor, tmp_path):
    code = f"{UNTIL_ASKED}\nfor number in range(300): print(number, 'x' * 200, flush=True)"
    for number in range(5):
        supervisor.add(program(f"talker{number}", code))
    supervisor.run(stop_when(lambda: all(lines(tmp_path, f"talker{number}") for number in range(5))))
    assert [len(lines(tmp_path, f"talker{number}")) for number in range(5)] == [301] * 5


def test_logs_are_json_lines_and_errors_are_told_once(supervisor, said, tmp_path):
    error = json.dumps({"level": "error", "message": "the disk is full"})
    for name in ("one", "two"):
        supervisor.add(program(name, f"print('plain'); print('''{error}''', flush=True); import time; time.sleep(60)"))
    supervisor.run(stop_when(lambda: len(lines(tmp_path, "one")) == len(lines(tmp_path, "two")) == 2))
    assert [(line["level"], line["message"]) for line in lines(tmp_path, "one")] == [("info", "plain"), ("error", "the disk is full")]
    assert len(said) == 1
    assert said[0].endswith(": the disk is full")


def test_the_last_words_of_a_program_are_kept(supervisor, tmp_path):
    supervisor.add(program("talker", "import sys; sys.stdout.write('x' * 200_000 + '\\nlast words')", runs_once=True))
    supervisor.run(stop_when(lambda: lines(tmp_path, "talker")[-1:] and lines(tmp_path, "talker")[-1]["message"] == "last words"))


def test_a_tied_child_ends_with_its_parent(tmp_path):
    grandchild = "import time; time.sleep(60)"
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys, time\nfrom core.jobs.lifeline import tied_to_parent\n"
         f"print(subprocess.Popen([sys.executable, '-S', '-c', {grandchild!r}], preexec_fn=tied_to_parent()).pid, flush=True)\n"
         "time.sleep(60)"], stdout=subprocess.PIPE, preexec_fn=tied_to_parent())
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: is_gone(pid))
