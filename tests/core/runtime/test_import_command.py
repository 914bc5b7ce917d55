"""``stockade import``: what it stores, prints and answers with, on both databases."""

import io
import json
import os
import pty
import sys
import threading

import pytest

from core.assets.models import Asset
from core.audit.models import AuditEvent
from core.connections.models import Run
from core.findings.models import Finding
from core.runtime.exits import ExitCode
from core.tenancy import service as tenancy
from tests.core.imports.payloads import CSV, SARIF, SNYK_CLI, SONAR_ZIP
from tests.core.imports.test_importing import HALF, all_rows, sarif
from tests.servers import clean_environ


@pytest.fixture
def acme(environ):
    tenancy.create("Other", actor="test")
    return tenancy.create("Acme", actor="test")


@pytest.fixture
def file(tmp_path):
    """Writes a report; gives its path."""
    def written(body, name="shop.json"):
        (tmp_path / name).write_bytes(body)
        return str(tmp_path / name)
    return written


@pytest.fixture
def piped(monkeypatch):
    """Puts bytes on standard input."""
    return lambda body: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))


def one_line(answer):
    return answer.err.startswith("stockade: ") and answer.err.count("\n") == 1 and "Traceback" not in answer.err


def test_a_file_is_stored_and_what_came_of_it_is_told(acme, stockade, file):
    answer = stockade("import", file(SARIF), "--customer", "Acme", "--asset", "web shop")
    assert (answer.code, answer.out, answer.err) == (0, "sarif: succeeded, 2 new\n", "")
    assert {(asset.customer_id, asset.name) for asset in Asset.select()} == {(acme.id, "web shop")}
    assert Finding.select().where(Finding.customer_id == acme.id).count() == 2
    assert AuditEvent.get(AuditEvent.action == "report.received").actor == "command"
    assert stockade("import", file(SARIF), "--customer", acme.id, "--asset", "web shop").out == "sarif: succeeded, nothing changed\n"


def test_the_file_names_the_asset_when_nobody_else_does(acme, stockade, file):
    assert stockade("import", file(SARIF, "shop.sarif.json"), "--customer", "Acme").code == 0
    assert Asset.get().name == "shop"


def test_standard_input_is_a_report_too(acme, stockade, piped):
    piped(SNYK_CLI)
    answer = stockade("import", "-", "--customer", "Acme")
    assert (answer.code, answer.out) == (0, "snyk: succeeded, 1 new\n")
    piped(CSV)
    unnamed = stockade("import", "-", "--customer", "Acme")
    assert (unnamed.code, "name the asset" in unnamed.err) == (ExitCode.REFUSED, True)


def test_what_a_shell_substitutes_is_read_through_its_pipe(acme, stockade, tmp_path):
    pipe = tmp_path / "report"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(SONAR_ZIP,))
    writer.start()
    answer = stockade("import", str(pipe), "--customer", "Acme")
    writer.join()
    assert (answer.code, answer.out) == (0, "sonarqube: succeeded, 1 new\n")


def test_a_dry_run_tells_what_would_happen_and_writes_nothing(acme, stockade, file):
    assert stockade("import", file(sarif("a", "b")), "--customer", "Acme", "--asset", "shop").code == 0
    before = all_rows()
    answer = stockade("import", file(sarif("b", "new")), "--customer", "Acme", "--asset", "shop", "--dry-run")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "would open 1", "  high     A fault  new.py  [shop]", "would reopen 0", "would change 0", "would close 1",
        "  high     A fault  a.py  [shop]", "would leave 1 as they are"]
    assert all_rows() == before


def test_a_dry_run_tells_ten_of_many_and_that_it_would_be_held(acme, stockade, file):
    names = [f"f{number}" for number in range(HALF)]
    told = stockade("import", file(sarif(*names)), "--customer", "Acme", "--asset", "shop", "--dry-run").out.splitlines()
    assert (told[0], len(told), told[11]) == (f"would open {HALF}", 16, f"  and {HALF - 10} more")
    stockade("import", file(sarif(*names)), "--customer", "Acme", "--asset", "shop")
    told = stockade("import", file(sarif()), "--customer", "Acme", "--asset", "shop", "--dry-run").out.splitlines()
    assert told[-1] == "would be held: so many closings have to be approved"


def test_scripts_get_what_the_api_answers(acme, stockade, file):
    rehearsed = json.loads(stockade("import", file(SARIF), "--customer", "Acme", "--asset", "shop", "--dry-run", "--json").out)
    assert (rehearsed["format"], rehearsed["run"], rehearsed["preview"]["opens"]["count"]) == ("sarif", None, 0)  # both are suppressed
    assert rehearsed["preview"]["counts"]["added"] == 2
    stored = json.loads(stockade("import", file(SARIF), "--customer", "Acme", "--asset", "shop", "--json").out)
    assert (stored["format"], stored["preview"], stored["run"]["state"]) == ("sarif", None, "succeeded")
    assert stored["run"]["counts"]["added"] == 2
    assert Run.get_by_id(stored["run"]["id"]).requested_by == "command"


@pytest.mark.parametrize(("body", "said"), [
    (SARIF[:-30], "cut short (/runs/0/results/1"),
    (SARIF.replace(b'"Finding 2"', b"oops"), "(/runs/0/results/1/message/text (line 1, column "),
    (CSV.replace(b"low", b"lwo"), "(row 3 (line 3))"),
    (b"hello", "no report of a known format (line 1, column 1)"),
    (b"", "The file is empty (line 1, column 1)"),
], ids=["cut short", "no JSON", "severity", "unknown", "empty"])
def test_a_bad_file_is_refused_with_the_place_in_it_and_nothing_is_written(acme, stockade, file, body, said):
    before = all_rows()
    for more in ((), ("--dry-run",)):
        answer = stockade("import", file(body), "--customer", "Acme", *more)
        assert answer.code == ExitCode.REFUSED
        assert one_line(answer)
        assert said in answer.err
    assert all_rows() == before


def test_an_import_that_is_held_is_told_by_the_exit_code(acme, stockade, file):
    stockade("import", file(sarif(*(f"f{number}" for number in range(HALF)))), "--customer", "Acme", "--asset", "shop")
    answer = stockade("import", file(sarif()), "--customer", "Acme", "--asset", "shop")
    assert answer.code == ExitCode.RUN_HELD
    assert one_line(answer)
    assert f"close {HALF} of {HALF}" in answer.err
    run = Run.get(Run.state == "held")
    assert Finding.select().where(Finding.status == "open").count() == HALF
    assert run.id in stockade("runs", "--customer", "Acme").out
    held = json.loads(stockade("runs", "--customer", "Acme", "--json").out)[0]
    assert (held["id"], held["state"], held["trigger"]) == (run.id, "held", "import")


def test_a_held_import_is_json_for_scripts_all_the_same(acme, stockade, file):
    stockade("import", file(sarif(*(f"f{number}" for number in range(HALF)))), "--customer", "Acme", "--asset", "shop")
    answer = stockade("import", file(sarif()), "--customer", "Acme", "--asset", "shop", "--json")
    assert (answer.code, json.loads(answer.out)["run"]["state"]) == (ExitCode.RUN_HELD, "held")


def test_what_does_not_exist_is_not_found(acme, stockade, file, tmp_path):
    for arguments in ((file(SARIF), "--customer", "Nobody"), (str(tmp_path / "none.json"), "--customer", "Acme"),
                      (str(tmp_path), "--customer", "Acme")):
        answer = stockade("import", *arguments)
        assert answer.code == ExitCode.NOT_FOUND, arguments
        assert one_line(answer)


def test_a_group_or_a_format_that_nobody_knows_is_refused(acme, stockade, file):
    for more in (("--group", "grp_none"), ("--format", "word")):
        answer = stockade("import", file(SARIF), "--customer", "Acme", *more)
        assert answer.code == ExitCode.REFUSED
        assert one_line(answer)
    assert Run.select().count() == 0


def test_a_customer_has_to_be_named(acme, stockade, file):
    assert stockade("import", file(SARIF)).code == ExitCode.USAGE


def test_on_a_terminal_the_progress_is_shown_and_wiped_away(acme, environ, file):
    path = file(sarif(*(f"f{number}" for number in range(3000))))
    pid, terminal = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "core.runtime", "import", path, "--customer", "Acme", "--asset", "shop"]
        os.execve(sys.executable, command, {**clean_environ(), **environ})
    shown = b""
    try:
        while block := os.read(terminal, 1024):
            shown += block
    except OSError:  # how Linux tells that nobody holds the other side any more
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert shown.replace(b"\r", b"").endswith(b"\x1b[Ksarif: succeeded, 3,000 new\n")
