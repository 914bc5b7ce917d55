import os
import shutil
import stat
import subprocess

import pytest
import redis

from core.jobs.lifeline import tied_to_parent
from core.runtime import embedded_redis
from core.runtime.embedded_redis import NoRedis


@pytest.fixture
def started():
    """Starts a prepared server and waits for it; all are stopped at the end."""
    running = []

    def start(prepared):
        running.append(subprocess.Popen(prepared.command, stdout=subprocess.DEVNULL, preexec_fn=tied_to_parent()))
        prepared.wait()
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_it_keeps_its_data_when_it_is_started_again(tmp_path, started):
    prepared = embedded_redis.prepare(tmp_path / "redis")
    process = started(prepared)
    with redis.Redis.from_url(prepared.url) as client:
        client.set("kept", "yes")
    process.terminate()
    process.wait()
    again = embedded_redis.prepare(tmp_path / "redis")
    started(again)
    with redis.Redis.from_url(again.url) as client:
        assert client.get("kept") == b"yes"


def test_only_its_owner_reaches_it_and_only_over_its_socket(tmp_path, started):
    prepared = embedded_redis.prepare(tmp_path / "redis")
    started(prepared)
    assert stat.S_IMODE((tmp_path / "redis").stat().st_mode) == 0o700
    assert stat.S_IMODE(prepared.socket.stat().st_mode) == 0o700
    with redis.Redis.from_url(prepared.url) as client:
        assert client.config_get("port") == {"port": "0"}


def test_a_socket_left_by_a_killed_server_is_no_hindrance(tmp_path, started):
    prepared = embedded_redis.prepare(tmp_path / "redis")
    process = started(prepared)
    process.kill()
    process.wait()
    assert prepared.socket.exists()
    started(embedded_redis.prepare(tmp_path / "redis"))


def test_a_server_left_running_is_stopped_before_another_takes_its_folder(tmp_path, started):
    left_over = started(embedded_redis.prepare(tmp_path / "redis"))
    started(embedded_redis.prepare(tmp_path / "redis"))
    assert left_over.wait(5) == 0


def test_a_home_too_deep_for_a_socket_gets_one_in_a_private_temporary_folder(tmp_path, started):
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "redis"
    prepared = embedded_redis.prepare(deep)
    assert len(os.fsencode(prepared.socket)) <= 100
    assert prepared.socket == embedded_redis.socket_of(deep)
    assert stat.S_IMODE(prepared.socket.parent.stat().st_mode) == 0o700
    started(prepared)
    assert prepared.answers()
    shutil.rmtree(prepared.socket.parent)


def test_a_temporary_folder_that_others_can_write_to_is_refused(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "redis"
    place = embedded_redis.socket_of(deep).parent
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    with pytest.raises(NoRedis, match="this user alone"):
        embedded_redis.prepare(deep)
    place.rmdir()


def test_paths_with_blanks_and_quotes_are_no_hindrance(tmp_path, started):
    prepared = embedded_redis.prepare(tmp_path / 'a "quoted" #folder')
    started(prepared)
    with redis.Redis.from_url(prepared.url) as client:
        assert client.ping()


def test_a_server_on_the_path_is_taken_before_a_packages(tmp_path, monkeypatch):
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded_redis.find_program() == str(program)


def test_without_any_server_it_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoRedis, match=r"redis-server.*STOCKADE_REDIS_URL"):
        embedded_redis.find_program(carriers=())
