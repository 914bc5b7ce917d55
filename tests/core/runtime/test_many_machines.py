"""The same parts alone, as on many machines: two web servers, a worker, two schedulers, over PostgreSQL and Redis."""

import re
import shutil
import sqlite3
from contextlib import closing

import pytest
import requests

from core.access.service import ensure_built_in_roles
from core.runtime.exits import ExitCode
from core.testing.standin import StandIn
from plugins.sonarqube.upstream import create_app
from tests.core.runtime.test_up import Running
from tests.factories import PASSWORD, make_user
from tests.processes import connected, deployment_of, environment, world_with_token
from tests.servers import eventually, start_postgres


@pytest.fixture
def environ(postgres_database, redis_url, tmp_path):
    ensure_built_in_roles()
    return environment(tmp_path, postgres_database, redis_url, run_lease_seconds="2")


def web(processes, environ):
    """Address of a web server that answers."""
    server = processes.stockade("serve", "--port", "0", "--grace", "1", environ=environ)
    found = eventually(lambda: re.search(r"Listening at: (http://\S+?) ", server.output) or not server.is_running)
    assert server.is_running, server.output
    eventually(lambda: requests.get(found[1] + "/health/ready", timeout=10).status_code == 200)
    return found[1], server


def test_two_web_servers_behave_as_one(environ, processes):
    make_user("msp_admin", email="ada@example.com", password=PASSWORD)
    (one, _), (two, _) = web(processes, environ), web(processes, environ)
    browser = requests.Session()
    token = browser.get(one + "/api/auth/csrf", timeout=10).json()["csrfToken"]
    browser.post(two + "/api/auth/callback/credentials", timeout=10, allow_redirects=False,
                 data={"email": "ada@example.com", "password": PASSWORD, "csrfToken": token, "json": "true"})
    for server in (one, two):
        assert browser.get(server + "/api/auth/session", timeout=10).json()["user"]["email"] == "ada@example.com"
    browser.post(one + "/api/auth/signout", timeout=10, allow_redirects=False, data={"csrfToken": token, "json": "true"})
    assert browser.get(two + "/api/auth/session", timeout=10).json() in ({}, None)


def test_a_sync_asked_of_one_machine_is_done_by_another(environ, processes):
    world, token = world_with_token()
    with StandIn(create_app(world)) as sonar:
        connected(deployment_of(environ), "Acme", sonar.url, token)
        processes.worker(environ)
        first, second = (processes.stockade("scheduler", environ=environ) for _ in range(2))
        eventually(lambda: "elected" in first.output + second.output)
        asked = processes.stockade("sync", "Acme", "sonarqube", "--wait", environ=environ)
        assert asked.popen.wait(60) == ExitCode.DONE
        assert "succeeded" in asked.output
        elected, other = (first, second) if "elected" in first.output else (second, first)
        elected.stop()
        eventually(lambda: "elected" in other.output)


def test_a_database_that_goes_and_comes_back_needs_no_restart(processes, redis_url, tmp_path):
    server = start_postgres()
    try:
        server.run("CREATE DATABASE stockade")
        environ = environment(tmp_path, server.url("stockade"), redis_url)
        assert processes.stockade("db", "upgrade", environ=environ).popen.wait(30) == 0
        address, _ = web(processes, environ)
        scheduler = processes.stockade("scheduler", environ=environ)
        eventually(lambda: "elected" in scheduler.output)
        server.halt()
        assert requests.get(address + "/health/ready", timeout=10).status_code == 503
        assert requests.get(address + "/health/live", timeout=10).status_code == 200
        assert requests.get(address + "/api/customers", timeout=10, headers={"Authorization": "Bearer stk_x"}).status_code == 503
        eventually(lambda: "could not be done" in scheduler.output)
        server.resume()
        eventually(lambda: requests.get(address + "/health/ready", timeout=10).status_code == 200)
        eventually(lambda: "going on" in scheduler.output)
    finally:
        server.stop()


@pytest.mark.parametrize("part", ["serve", "worker", "scheduler"])
def test_a_part_refuses_to_start_on_a_database_of_another_version(part, processes, redis_url, tmp_path):
    environ = environment(tmp_path, f"sqlite:///{tmp_path}/empty.sqlite3", redis_url)
    refused = processes.stockade(part, environ=environ)
    assert refused.popen.wait(30) == ExitCode.CONFIGURATION
    assert "stockade db upgrade" in refused.output


@pytest.mark.parametrize("part", ["serve", "worker", "scheduler"])
def test_a_part_tells_all_that_is_missing(part, processes):
    refused = processes.stockade(part)
    assert refused.popen.wait(30) == ExitCode.CONFIGURATION
    assert refused.output.strip() == "stockade: settings: STOCKADE_REDIS_URL is missing; STOCKADE_MASTER_KEY is missing"


def test_a_port_that_is_taken_is_told(environ, processes):
    address, _ = web(processes, environ)
    second = processes.stockade("serve", "--port", address.rpartition(":")[2], environ=environ)
    assert second.popen.wait(30) == ExitCode.IN_USE


def test_a_backup_taken_while_it_runs_is_restored_into_a_new_folder(processes, tmp_path):
    running = Running(processes, tmp_path / "home")
    running.command("customer", "add", "Acme")
    restored = tmp_path / "restored"
    restored.mkdir()
    name = "stockade.sqlite3"
    with closing(sqlite3.connect(running.home / name)) as source, closing(sqlite3.connect(restored / name)) as copy:
        source.backup(copy)
    shutil.copy(running.home / "master.key", restored)
    running.stop()
    assert "Acme" in Running(processes, restored).command("customer", "list")
