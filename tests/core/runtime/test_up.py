"""``stockade up`` as a person runs it: real processes, found over HTTP, stopped with Ctrl-C."""

import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import entry_points

import psutil
import pytest
import requests

from core.runtime.exits import ExitCode
from tests.processes import all_gone, descendants, shown_arguments
from tests.servers import Processes, clean_environ, eventually

CHEAP = {"STOCKADE_PASSWORD_COST": "test", "STOCKADE_WEB_WORKERS": "1"}


class Running:
    """A ``stockade up`` that has told its address."""

    def __init__(self, processes, home, *arguments, port=0):
        self.home = home
        self.process = processes.stockade("up", "--home", str(home), "--port", str(port), "--workers", "1", *arguments, environ=CHEAP)
        found = eventually(lambda: re.search(r"answers at (http://\S+)", self.process.output) or not self.process.is_running,
                           within=60)
        assert self.process.is_running, self.process.output
        self.url = found[1]

    @property
    def passwords(self):
        return dict(re.findall(r"(\S+@demo\.example)\s+password\s+(\S+)", self.process.output))

    def get(self, path, **options):
        return requests.get(self.url + path, timeout=10, **options)

    def command(self, *arguments, text=None):
        answer = subprocess.run([sys.executable, "-m", "core.runtime", *arguments, "--home", str(self.home)],
                                env={**clean_environ(), **CHEAP}, input=text, capture_output=True, text=True, timeout=30)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    def stop(self):
        started = descendants(self.process.pid)
        code = self.process.stop(signal.SIGINT)
        assert all_gone(started), started
        return code


def signed_in(running, email, password):
    browser = requests.Session()
    token = browser.get(running.url + "/api/auth/csrf", timeout=10).json()["csrfToken"]
    browser.post(running.url + "/api/auth/callback/credentials", timeout=10, allow_redirects=False,
                 data={"email": email, "password": password, "csrfToken": token, "json": "true"})
    return browser


def sign_in(running, email, password):
    return signed_in(running, email, password).get(running.url + "/api/auth/session", timeout=10).json()


@pytest.fixture(scope="module")
def demo_processes(tmp_path_factory):
    running = Processes(tmp_path_factory.mktemp("demo-processes"))
    yield running
    running.end()


def syncs_of(entry):
    """How many connections the demo has to a plugin's stand-in: each customer's, or the one of the MSP's own."""
    plugin = entry.load()
    if not hasattr(plugin, "register_stand_ins"):
        return 0
    return 1 if any(getattr(connector, "belongs_to_house", False) for connector in plugin.register_connectors()) else 2


@pytest.fixture(scope="module")
def demo(demo_processes, tmp_path_factory):
    """The demo after its first start, everything synced. The test of a restart, the last to use it, stops it."""
    running = Running(demo_processes, tmp_path_factory.mktemp("demo") / "home", "--demo")
    syncs = sum(map(syncs_of, entry_points(group="stockade.plugins")))
    eventually(lambda: running.command("runs").count("succeeded") == syncs, within=90, every=1)
    return running


def test_the_demo_shows_two_customers_synced_by_the_worker(demo):
    token = demo.command("token", "create", "--user", "admin@demo.example")
    allowed = {"Authorization": f"Bearer {token}"}
    customers = demo.get("/api/customers", headers=allowed).json()
    names = sorted(re.findall(r"Northwind Retail|Contoso Insurance", str(customers)))
    assert sorted(set(names)) == ["Contoso Insurance", "Northwind Retail"]
    assert demo.command("db", "check") == "totals and findings agree"
    assert demo.get("/health/ready").json()["status"] == "ok"


def test_the_demos_groups_are_its_customers_own_and_msp_wide_ones(demo):
    browser = signed_in(demo, "viewer@demo.example", demo.passwords["viewer@demo.example"])

    def groups():
        return browser.get(demo.url + "/api/asset-groups", timeout=10).json()["groups"]

    eventually(lambda: {"Crown jewels", "Customer-facing services"} <= {group["name"] for group in groups()})
    owners = {group["customerId"] for group in groups()}
    assert len(owners) == 2
    assert None in owners


def test_both_people_of_the_demo_sign_in_with_the_passwords_it_printed(demo):
    assert set(demo.passwords) == {"admin@demo.example", "viewer@demo.example"}
    for email, password in demo.passwords.items():
        assert sign_in(demo, email, password)["user"]["email"] == email
        assert sign_in(demo, email, "not " + password) in ({}, None)


def test_both_sign_in_with_microsoft_too_at_a_stand_in_that_asks_for_no_password(demo):
    for key, email in (("alex", "admin@demo.example"), ("vera", "viewer@demo.example")):
        browser = requests.Session()
        token = browser.get(demo.url + "/api/auth/csrf", timeout=10).json()["csrfToken"]
        url = browser.post(demo.url + "/api/auth/signin/microsoft", data={"csrfToken": token, "json": "true"}, timeout=10).json()["url"]
        browser.post(url, data={"person": key}, timeout=10)
        assert browser.get(demo.url + "/api/auth/session", timeout=10).json()["user"]["email"] == email


def test_no_secret_stands_in_any_argument(demo):
    running = [psutil.Process(demo.process.pid), *descendants(demo.process.pid)]
    shown = shown_arguments(running)
    secrets = [*demo.passwords.values(), (demo.home / "master.key").read_text().strip()]
    assert len(running) >= 7
    assert not [secret for secret in secrets if secret in shown]
    assert "squ_" not in shown


def test_no_secret_stands_in_any_log(demo):
    logs = "".join(path.read_text() for path in (demo.home / "logs").iterdir())
    assert "listening for jobs" in logs
    assert not [secret for secret in demo.passwords.values() if secret in logs]
    assert not re.search(r"squ_[0-9a-f]{40}", logs)


def test_a_second_one_in_the_same_home_is_refused(demo, processes):
    second = processes.stockade("up", "--home", str(demo.home), "--port", "0", environ=CHEAP)
    assert second.popen.wait(20) == ExitCode.IN_USE
    assert second.output == f"stockade: a Stockade already runs in {demo.home} (process {demo.process.pid})\n"


def test_a_port_that_is_taken_is_told(demo, processes, tmp_path):
    port = demo.url.rpartition(":")[2]
    second = processes.stockade("up", "--home", str(tmp_path / "other"), "--port", port, environ=CHEAP)
    assert second.popen.wait(20) == ExitCode.IN_USE
    assert f"port {port} is in use" in second.output


def test_a_restart_keeps_data_and_passwords(demo, demo_processes):
    before, runs = demo.passwords, demo.command("runs", "--json")
    assert demo.stop() == 0
    again = Running(demo_processes, demo.home, "--demo")
    assert again.passwords == before
    assert again.command("runs", "--json") == runs
    assert sign_in(again, "admin@demo.example", before["admin@demo.example"])["user"]["email"] == "admin@demo.example"
    eventually(lambda: (demo.home / "logs" / "demo.log").read_text().count("stand-in of sonarqube at") == 2)
    synced = again.command("sync", "Northwind Retail", "sonarqube", "--wait")  # the stand-in accepts the same tokens again
    assert "succeeded, nothing changed" in synced
    assert again.stop() == 0


def test_a_first_start_says_how_to_make_the_first_administrator_who_then_signs_in(processes, tmp_path):
    running = Running(processes, tmp_path / "home")
    hint = re.search(r"stockade (user add .*)", running.process.output)
    assert hint is not None
    arguments = hint[1].replace(f" --home {running.home}", "").split()
    running.command(*arguments, "--password-stdin", text="correct horse battery\n")
    assert sign_in(running, "you@example.com", "correct horse battery")["user"]["email"] == "you@example.com"


def test_two_homes_beside_each_other_do_not_meet(processes, tmp_path):
    one, two = Running(processes, tmp_path / "one"), Running(processes, tmp_path / "two")
    one.command("customer", "add", "Acme")
    assert "Acme" in one.command("customer", "list")
    assert two.command("customer", "list") == ""
    assert one.stop() == 0
    assert two.get("/health/ready").status_code == 200


def test_a_killed_worker_and_a_killed_redis_are_started_again(processes, tmp_path):
    running = Running(processes, tmp_path / "home")
    for name in ("worker-1", "redis"):
        eventually(lambda name=name: _child(running, name)).kill()  # the web server starts first, the others a moment later
        eventually(lambda name=name: f"{name} was ended by SIGKILL" in running.process.output)
        eventually(lambda name=name: _child(running, name))
    eventually(lambda: running.get("/health/ready").status_code == 200)


def _child(running, name):
    """The process by that name, or None while there is none."""
    def is_worker(words):
        return words[-3:-2] == ["worker"]  # followed by its grace

    def is_redis(words):
        return "redis-server" in words[0]

    is_meant = {"worker-1": is_worker, "redis": is_redis}[name]
    return next((process for process in psutil.Process(running.process.pid).children() if is_meant(process.cmdline() or [""])), None)


def test_when_the_supervisor_is_killed_nothing_of_it_stays(processes, tmp_path):
    running = Running(processes, tmp_path / "home")
    started = descendants(running.process.pid)
    running.process.kill()
    eventually(lambda: all_gone(started))


def test_a_home_of_a_deployment_is_not_made_a_demo(processes, tmp_path):
    running = Running(processes, tmp_path / "home")
    running.command("user", "add", "you@example.com", "--role", "msp_admin", "--password-stdin", text="correct horse battery\n")
    running.stop()
    refused = processes.stockade("up", "--demo", "--home", str(tmp_path / "home"), "--port", "0", environ=CHEAP)
    assert refused.popen.wait(20) == ExitCode.REFUSED
    assert "another --home" in refused.output


def test_settings_that_are_wrong_are_told_before_anything_is_made(processes, tmp_path):
    refused = processes.stockade("up", "--home", str(tmp_path / "home"), environ={"STOCKADE_WEB_WORKERS": "0", "STOCKADE_BRAKE_SHARE": "2"})
    assert refused.popen.wait(20) == ExitCode.CONFIGURATION
    assert "STOCKADE_WEB_WORKERS" in refused.output
    assert "STOCKADE_BRAKE_SHARE" in refused.output
    assert not (tmp_path / "home").exists()


def test_an_address_that_is_not_ours_is_told(processes, tmp_path):
    refused = processes.stockade("up", "--home", str(tmp_path / "home"), "--host", "192.0.2.1", environ=CHEAP)
    assert refused.popen.wait(20) == ExitCode.CONFIGURATION
    assert "192.0.2.1" in refused.output


def test_a_free_port_is_taken_when_asked_for_none(processes, tmp_path):
    running = Running(processes, tmp_path / "home")
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])), timeout=5):
        pass
