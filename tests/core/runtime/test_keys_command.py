"""``stockade keys``: over a deployment, in this process and as processes of their own that are killed."""

import base64
import json
import signal
import subprocess
import sys

import pytest

from core.audit.models import AuditEvent
from core.credentials import rotation, service, values
from core.credentials.keyring import Keyring
from core.credentials.models import DataKey, MasterKeyCheck, SealedValue
from core.credentials.types import OF_CONNECTION
from core.db import atomic, db
from core.runtime.exits import ExitCode
from core.tenancy import service as tenancy
from tests.core.runtime.test_up import Running, signed_in
from tests.factories import PASSWORD
from tests.servers import clean_environ

OLD, NEW = b"m" * 32, b"n" * 32


def text(key):
    return base64.b64encode(key).decode()


@pytest.fixture
def acme(environ):
    return tenancy.create("Acme Corp", actor="test")


def store(customer, keyring=None, **secrets):
    return service.store(keyring or Keyring(OLD), customer.id, f"{OF_CONNECTION}test", "Test", secrets or {"token": "secret"}, actor="test")


def exchange(monkeypatch):
    """Settings with a new master key beside the old one."""
    monkeypatch.setenv("STOCKADE_MASTER_KEY", text(NEW))
    monkeypatch.setenv("STOCKADE_MASTER_KEYS_OLD", text(OLD))


def test_a_master_key_is_exchanged_step_by_step(environ, stockade, monkeypatch, acme):
    credential = store(acme)
    exchange(monkeypatch)
    answer = stockade("keys", "status")
    assert (answer.code, answer.err) == (0, "")
    assert "still wrapped by an earlier master key: `stockade keys rewrap`" in answer.out
    answer = stockade("keys", "rewrap")
    assert (answer.code, answer.out) == (0, f"1 data keys wrapped; the master key is {Keyring(NEW).key_id}, and no other is needed\n")
    assert "1 of 1 data keys wrapped" in answer.err
    monkeypatch.delenv("STOCKADE_MASTER_KEYS_OLD")
    shown = json.loads(stockade("keys", "status", "--json").out)
    assert shown == {"masterKeys": [{"id": Keyring(NEW).key_id, "current": True, "configured": True, "dataKeys": 1}],
                     "configured": Keyring(NEW).key_id, "customers": 1, "unfinishedRotations": 0, "values": 1}
    assert values.opened(Keyring(NEW), acme.id, credential) == {"token": "secret"}
    assert AuditEvent.select().where(AuditEvent.action == "master_key.changed").get().via == "command"


def test_data_keys_are_rotated_for_all_or_for_one(environ, stockade, acme):
    other = tenancy.create("Globex", actor="test")
    kept = {customer.id: store(customer) for customer in (acme, other)}
    assert stockade("keys", "rotate", "--customer", "acme corp").out == "1 new data keys, 1 values sealed anew\n"
    assert stockade("keys", "rotate").out == "2 new data keys, 2 values sealed anew\n"
    assert {(row.customer_id, row.version) for row in DataKey.select()} == {(acme.id, 3), (other.id, 2)}
    assert all(values.opened(Keyring(OLD), customer, key) for customer, key in kept.items())


def test_destroying_asks_for_the_name_and_destroys_one_customers_secrets(environ, stockade, acme):
    other = tenancy.create("Globex", actor="test")
    kept = {customer.id: store(customer) for customer in (acme, other)}
    assert stockade("keys", "destroy", "--customer", acme.id).code == ExitCode.USAGE
    assert stockade("keys", "destroy", "--customer", acme.id, "--confirm", "Globex").code == ExitCode.REFUSED
    assert values.opened(Keyring(OLD), acme.id, kept[acme.id])
    answer = stockade("keys", "destroy", "--customer", acme.id, "--confirm", "Acme Corp")
    assert (answer.code, "are destroyed" in answer.out) == (0, True)
    assert values.opened(Keyring(OLD), acme.id, kept[acme.id]) == {}
    assert values.opened(Keyring(OLD), other.id, kept[other.id]) == {"token": "secret"}
    assert AuditEvent.select().where(AuditEvent.action == "data_key.destroyed", AuditEvent.customer_id == acme.id).count() == 1


def test_a_customer_that_is_not_there_is_told(environ, stockade):
    assert stockade("keys", "destroy", "--customer", "nobody", "--confirm", "nobody").code == ExitCode.NOT_FOUND
    assert stockade("keys", "rotate", "--customer", "house").code == ExitCode.NOT_FOUND


# -- wrong and missing keys at the start --------------------------------------------------------------------------------------


STARTS = [("serve", "--port", "0"), ("worker",), ("scheduler",), ("keys", "status"), ("db", "upgrade")]


def started(environ, *arguments):
    return subprocess.run([sys.executable, "-m", "core.runtime", *arguments], env={**clean_environ(), **environ}, capture_output=True,
                          text=True, timeout=60)


def rows():
    return [row.__data__ for model in (MasterKeyCheck, DataKey, SealedValue, AuditEvent) for row in model.select()]


@pytest.mark.parametrize("given", [{"STOCKADE_MASTER_KEY": text(NEW)},
                                   {"STOCKADE_MASTER_KEY": text(NEW), "STOCKADE_MASTER_KEYS_OLD": text(b"o" * 32)}])
@pytest.mark.parametrize("command", STARTS, ids=lambda command: command[0])
def test_a_wrong_master_key_is_refused_at_the_start_and_nothing_is_touched(environ, acme, command, given):
    store(acme)
    before = rows()
    db.close_all()
    answer = started({**environ, **given}, *command)
    assert answer.returncode == ExitCode.CONFIGURATION
    assert "STOCKADE_MASTER_KEY is not the key that this database was set up with; nothing was touched" in answer.stderr
    assert text(NEW) not in answer.stderr + answer.stdout
    assert rows() == before


@pytest.mark.parametrize("command", STARTS[:4], ids=lambda command: command[0])
def test_a_missing_master_key_is_refused_at_the_start(environ, command):
    answer = started({name: value for name, value in environ.items() if name != "STOCKADE_MASTER_KEY"}, *command)
    assert answer.returncode == ExitCode.CONFIGURATION
    assert "STOCKADE_MASTER_KEY" in answer.stderr
    assert "is missing" in answer.stderr


def test_up_refuses_a_wrong_or_missing_key_and_leaves_its_folder_as_it_was(sqlite_database, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "stockade.sqlite3").write_bytes(b"")
    from core import db as database
    from core.db import schema

    database.configure(f"sqlite:///{home / 'stockade.sqlite3'}")
    schema.upgrade()
    Keyring(OLD).verify()
    db.close_all()
    for key in (None, NEW):
        if key is not None:
            (home / "master.key").write_text(text(key))
        answer = started({}, "up", "--home", str(home), "--port", "0")
        assert answer.returncode == ExitCode.CONFIGURATION
        assert "nothing was touched" in answer.stderr
        assert (home / "master.key").exists() is (key is not None)
    assert [row.key_id for row in MasterKeyCheck.select()] == [Keyring(OLD).key_id]
    db.close_all()


# -- killed -------------------------------------------------------------------------------------------------------------------


def many(customers, of_each):
    keyring = Keyring(OLD)
    with atomic():
        return {store(customer, keyring, token=f"secret {number}"): (customer.id, number)
                for customer in customers for number in range(of_each)}


def killed_halfway(environ, *arguments):
    """Starts a command and kills it when it has taken its first step; True when it had not ended."""
    process = subprocess.Popen([sys.executable, "-m", "core.runtime", *arguments], env={**clean_environ(), **environ},
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert " of " in first, first
    return process.returncode == -signal.SIGKILL


_WAITS_AFTER_THE_FIRST_STEP = """
import sys
import core.credentials.rotation
import core.runtime.keys

core.credentials.rotation.BATCH = 20
core.credentials.rotation._KEYS_AT_ONCE = 2

def tell(progress, done, of):
    print(f"{done} of {of}", file=sys.stderr, flush=True)
    sys.stdin.read()

core.runtime.keys._Progress.tell = tell
"""


@pytest.fixture
def slow(monkeypatch, tmp_path):
    """Has a command take small steps and wait after the first one, until it is killed."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_WAITS_AFTER_THE_FIRST_STEP)
    return {"PYTHONPATH": f"{folder}:{__file__.rsplit('/tests/', 1)[0]}"}


def test_a_rotation_that_is_killed_loses_nothing_and_is_ended_by_the_next(environ, stockade, slow):
    customers = [tenancy.create(f"Customer {number}", actor="test") for number in range(3)]
    kept = many(customers, 400)
    db.close_all()
    assert killed_halfway({**environ, **slow}, "keys", "rotate")
    assert rotation.status(Keyring(OLD)).rotating == 3
    assert len({bytes(row.sealed)[4] for row in SealedValue.select()}) == 2  # some under the new keys, some under the old
    assert "a rotation was cut short" in stockade("keys", "status").out
    for key, (customer, number) in kept.items():
        assert values.opened(Keyring(OLD), customer, key) == {"token": f"secret {number}"}
    answer = stockade("keys", "rotate")
    assert answer.out.startswith("an unfinished rotation was ended, ")
    for key, (customer, number) in kept.items():
        assert values.opened(Keyring(OLD), customer, key) == {"token": f"secret {number}"}
    assert {row.version for row in DataKey.select()} == {2}


def test_a_rewrapping_that_is_killed_loses_nothing_and_is_ended_by_the_next(environ, stockade, slow, monkeypatch):
    customers = [tenancy.create(f"Customer {number}", actor="test") for number in range(60)]
    kept = many(customers, 1)
    db.close_all()
    given = {"STOCKADE_MASTER_KEY": text(NEW), "STOCKADE_MASTER_KEYS_OLD": text(OLD)}
    assert killed_halfway({**environ, **slow, **given}, "keys", "rewrap")
    assert {row.master_key_id for row in DataKey.select()} == {Keyring(OLD).key_id, Keyring(NEW).key_id}
    both = Keyring(NEW, [OLD])
    assert all(values.opened(both, customer, key) for key, (customer, _) in kept.items())
    exchange(monkeypatch)
    assert stockade("keys", "rewrap").code == 0
    alone = Keyring(NEW)
    assert all(values.opened(alone, customer, key) for key, (customer, _) in kept.items())


# -- stockade up --------------------------------------------------------------------------------------------------------------


def test_up_makes_a_new_master_key_when_the_old_one_is_put_aside(processes, tmp_path):
    running = Running(processes, tmp_path / "home")
    running.command("user", "add", "ada@example.com", "--role", "msp_admin", "--password-stdin", text=PASSWORD)
    browser = signed_in(running, "ada@example.com", PASSWORD)
    port = running.url.rpartition(":")[2]
    csrf = browser.get(running.url + "/api/auth/csrf", timeout=10).json()["csrfToken"]
    running.stop()
    (running.home / "master.key").rename(running.home / "master.keys.old")
    again = Running(processes, running.home, port=port)
    assert "still wrapped by an earlier master key" in again.command("keys", "status")
    assert "no other is needed" in again.command("keys", "rewrap")
    (running.home / "master.keys.old").unlink()
    assert again.command("keys", "status").count("master key ") == 1
    assert browser.get(again.url + "/api/auth/csrf", timeout=10).json()["csrfToken"] == csrf  # what is derived stays
    assert browser.get(again.url + "/api/auth/session", timeout=10).json()["user"]["email"] == "ada@example.com"
