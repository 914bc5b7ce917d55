import base64
import os
import stat

import pytest

from core.runtime.exits import CommandFailed, ExitCode
from core.runtime.home import Home


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    made.create()
    return made


def test_the_folder_and_its_key_are_its_owners_alone(home):
    home.ensure_master_key()
    assert (mode(home.folder), mode(home.logs), mode(home.master_key_file)) == (0o700, 0o700, 0o600)
    assert len(base64.b64decode(home.master_key_file.read_bytes())) == 32
    assert sorted(os.listdir(home.folder)) == ["logs", "master.key"]


def test_a_master_key_that_is_there_is_never_touched(home):
    home.ensure_master_key()
    before = home.master_key_file.read_bytes()
    home.ensure_master_key()
    assert home.master_key_file.read_bytes() == before


def test_one_process_at_a_time_has_the_folder(home):
    held = home.hold()
    with pytest.raises(CommandFailed, match=f"process {os.getpid()}") as refused:
        home.hold()
    assert refused.value.code == ExitCode.IN_USE
    held.close()
    home.hold().close()


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    before = mode(tmp_path)
    with pytest.raises(CommandFailed, match="something else"):
        Home(tmp_path).create()
    assert (mode(tmp_path), os.listdir(tmp_path)) == (before, ["letters.txt"])


def test_the_folder_is_named_on_the_command_line_or_by_the_environment_or_is_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Home.of("a", {"STOCKADE_HOME": "b"}).folder == tmp_path / "a"
    assert Home.of(None, {"STOCKADE_HOME": "b"}).folder == tmp_path / "b"
    assert Home.of(None, {}).folder == tmp_path / ".stockade"


def test_commands_find_key_and_redis_in_the_folder_unless_the_environment_names_others(home):
    home.ensure_master_key()
    settings = home.settings({})
    assert settings.master_key == base64.b64decode(home.master_key_file.read_bytes())
    assert settings.redis_url == f"unix://{home.redis}/redis.sock"
    assert settings.effective_database_url == f"sqlite:///{home.folder}/stockade.sqlite3"
    other = base64.b64encode(b"o" * 32).decode()
    given = home.settings({"STOCKADE_MASTER_KEY": other, "STOCKADE_REDIS_URL": "redis://elsewhere:6379/0"})
    assert (given.master_key, given.redis_url) == (b"o" * 32, "redis://elsewhere:6379/0")
