"""``stockade audit``: verifying and exporting the log from the command line."""

import base64
import io
import json
import sys

import pytest

from core import audit, clock
from core.audit.models import AuditEvent
from core.runtime import auditing
from core.runtime.exits import ExitCode
from core.tenancy import service as tenancy
from tests.processes import deployment_of


@pytest.fixture
def log(environ):
    """Events of two customers, sealed."""
    customers = [tenancy.create(name, actor="test") for name in ("Acme", "Other")]
    for customer in customers:
        audit.record("thing.changed", actor="ada", customer_id=customer.id)
    deployment = deployment_of(environ)
    auditing.keep(deployment)
    return customers


def test_a_whole_log_is_told_to_be_whole(log, stockade):
    answer = stockade("audit", "verify")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("5 events in 3 chains, seal 1 of ")
    told = json.loads(stockade("audit", "verify", "--json").out)
    assert (told["whole"], told["events"], told["chains"], told["faults"], told["seal"]["number"]) == (True, 5, 3, [], 1)


def test_a_broken_log_is_told_with_chain_and_event(log, stockade):
    acme = log[0]
    AuditEvent.update(actor="eve").where(AuditEvent.chain == acme.id, AuditEvent.seq == 2).execute()
    answer = stockade("audit", "verify")
    assert answer.code == ExitCode.DIFFERENT
    assert f"chain {acme.id}: event 2 is missing, changed or not in its place" in answer.out
    told = stockade("audit", "verify", "--json")
    assert told.code == ExitCode.DIFFERENT
    assert json.loads(told.out)["faults"] == [{"chain": acme.id, "event": 2, "reason": "is missing, changed or not in its place"}]


def test_an_older_seal_than_one_seen_is_a_database_put_back(log, stockade):
    assert stockade("audit", "verify", "--seal", "1").code == 0
    answer = stockade("audit", "verify", "--seal", "2")
    assert (answer.code, "seal 1 is older than 2" in answer.out) == (ExitCode.DIFFERENT, True)


def test_an_exported_file_verifies_without_a_deployment(log, stockade, tmp_path, monkeypatch):
    file, key = str(tmp_path / "audit.jsonl"), json.loads(stockade("audit", "verify", "--json").out)["key"]
    answer = stockade("audit", "export", "-o", file)
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    monkeypatch.delenv("STOCKADE_DATABASE_URL")
    monkeypatch.delenv("STOCKADE_MASTER_KEY")
    monkeypatch.setenv("STOCKADE_HOME", str(tmp_path / "nowhere"))
    answer = stockade("audit", "verify", "--file", file, "--signed-by", key)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("6 events in 3 chains")
    assert stockade("audit", "verify", "--file", file, "--signed-by", "00" * 32).code == ExitCode.DIFFERENT
    lines = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(lines[1:])))
    answer = stockade("audit", "verify", "--file", "-", "--json")
    assert (answer.code, json.loads(answer.out)["whole"]) == (ExitCode.DIFFERENT, False)


def test_an_export_is_narrowed_and_recorded(log, stockade):
    acme, other = log
    answer = stockade("audit", "export", "--customer", "acme", "--since", "2020-01-01", "--until", "2100-01-01T00:00:00+02:00")
    assert answer.code == 0
    assert other.id not in answer.out
    *events, end = map(json.loads, answer.out.splitlines())
    assert [told["event"]["action"] for told in events] == ["customer.created", "thing.changed", "audit.exported"]
    assert (events[-1]["event"]["actor"], events[-1]["event"]["via"]) == ("command", "command")
    assert (end["end"]["customer"], end["end"]["since"]) == (acme.id, "2020-01-01T00:00:00.000Z")


@pytest.mark.parametrize(("arguments", "code"), [
    (("export", "--customer", "ghost"), ExitCode.NOT_FOUND), (("export", "--since", "yesterday"), ExitCode.USAGE),
    (("export", "-o", "/nowhere/at/all"), ExitCode.REFUSED), (("verify", "--file", "/nowhere/at/all"), ExitCode.NOT_FOUND),
    (("verify", "--signed-by", "00"), ExitCode.USAGE)])
def test_what_cannot_be_done_is_told_in_one_line(log, stockade, arguments, code):
    answer = stockade("audit", *arguments)
    assert answer.code == code
    assert answer.err.count("\n") == 1


def test_an_export_writes_over_nothing(log, stockade, tmp_path):
    (tmp_path / "there").write_text("precious")
    assert stockade("audit", "export", "-o", str(tmp_path / "there")).code == ExitCode.REFUSED
    assert (tmp_path / "there").read_text() == "precious"


def test_the_log_verifies_before_and_after_the_master_key_is_exchanged(environ, log, stockade, monkeypatch):
    key = json.loads(stockade("audit", "verify", "--json").out)["key"]
    monkeypatch.setenv("STOCKADE_MASTER_KEYS_OLD", environ["STOCKADE_MASTER_KEY"])
    monkeypatch.setenv("STOCKADE_MASTER_KEY", base64.b64encode(b"n" * 32).decode())
    assert stockade("audit", "verify").code == 0
    assert stockade("keys", "rewrap").code == 0
    monkeypatch.delenv("STOCKADE_MASTER_KEYS_OLD")
    told = json.loads(stockade("audit", "verify", "--json").out)
    assert (told["whole"], told["key"], told["seal"]["number"]) == (True, key, 1)


def test_the_scheduler_seals_and_deletes_by_age(environ, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: 1000)
    audit.record("thing.changed", actor="ada", customer_id="cus_old")
    monkeypatch.undo()
    monkeypatch.setenv("STOCKADE_AUDIT_RETENTION_DAYS", "30")
    auditing.keep(deployment_of({**environ, "STOCKADE_AUDIT_RETENTION_DAYS": "30"}))
    assert not AuditEvent.select().where(AuditEvent.chain == "cus_old").exists()
    assert auditing.of_database(deployment_of(environ)).faults == []
