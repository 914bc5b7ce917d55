"""Commands over a deployment: what they print, where, and the exit codes that scripts compare."""

import io
import json
import os
import pty
import sys

import pytest

from core.access.models import ApiToken, RoleGrant
from core.access.service import ensure_built_in_roles
from core.assets.models import Asset
from core.connections.models import Run
from core.people import service as people
from core.people.models import User
from core.runtime.exits import ExitCode
from core.settings import load
from core.signin import identities
from core.tenancy import service as tenancy
from core.testing.standin import StandIn
from plugins.sonarqube.upstream import create_app
from tests.factories import PASSWORD, make_user
from tests.processes import connected, deployment_of, environment, world_with_token
from tests.servers import clean_environ
from tests.syncing import customer

SECRETS = ("--password", "--secret", "--key", "--token")


@pytest.fixture
def typed(monkeypatch):
    """Puts text on standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def sonar():
    world, token = world_with_token()
    with StandIn(create_app(world)) as server:
        yield world, server.url, token


def one_line(answer):
    return answer.err.startswith("stockade: ") and answer.err.count("\n") == 1 and "Traceback" not in answer.err


def test_a_user_is_added_with_a_password_from_standard_input(environ, stockade, typed):
    typed(PASSWORD + "\n")
    answer = stockade("user", "add", "ada@example.com", "--role", "msp_admin", "--password-stdin")
    assert (answer.code, answer.err) == (0, "")
    user = people.authenticate("ada@example.com", PASSWORD, load(environ))
    assert user is not None
    assert answer.out == user.id + "\n"


@pytest.fixture
def with_provider(environ, monkeypatch):
    """Sets a provider up, for this process too."""
    def set_up():
        for name, value in (("OIDC_ISSUER", "https://login.example.com/realms/x"), ("OIDC_CLIENT_ID", "stockade"),
                            ("PUBLIC_URL", "https://stockade.example.com/")):
            monkeypatch.setenv(f"STOCKADE_{name}", value)
    return set_up


def test_a_user_who_signs_in_with_a_provider_is_added_without_a_password_and_invited(environ, stockade, with_provider):
    assert stockade("user", "add", "ada@example.com", "--role", "msp_admin", "--without-password").code == 0
    answer = stockade("user", "invite", "ada@example.com")
    assert (answer.code, "no sign-in provider is set up" in answer.err) == (ExitCode.REFUSED, True)
    with_provider()
    answer = stockade("user", "invite", "ada@example.com")
    assert answer.out.startswith("https://stockade.example.com/signin?invitation=")
    assert identities.invited(answer.out.strip().partition("=")[2]).email == "ada@example.com"


def test_a_user_is_linked_with_a_providers_own_id_and_unlinked(environ, stockade, with_provider):
    with_provider()
    stockade("user", "add", "ada@example.com", "--role", "msp_admin", "--without-password")
    assert stockade("user", "link", "ada@example.com", "4f1c").code == 0
    assert stockade("user", "link", "ada@example.com", "4f1c").code == ExitCode.REFUSED
    assert stockade("user", "link", "ada@example.com", "4f1c", "--tenant", "x").code == ExitCode.REFUSED
    assert stockade("user", "unlink", "ada@example.com").out == "1 identities removed\n"


def test_a_customers_user_names_the_customer_by_id_or_name(environ, stockade, typed):
    acme = tenancy.create("Acme Corp", actor="test")
    for number, named in enumerate((acme.id, "acme  corp")):
        typed(PASSWORD)
        answer = stockade("user", "add", f"u{number}@example.com", "--role", "customer_viewer", "--customer", named, "--password-stdin")
        assert answer.code == 0, answer.err
    assert {grant.customer_id for grant in RoleGrant.select()} == {acme.id}


def test_a_role_that_does_not_fit_leaves_no_user_behind(environ, stockade, typed):
    typed(PASSWORD)
    answer = stockade("user", "add", "ada@example.com", "--role", "customer_viewer", "--password-stdin")
    assert answer.code == ExitCode.REFUSED
    assert one_line(answer)
    assert people.find_by_email("ada@example.com") is None


def test_without_a_terminal_a_password_has_to_come_on_standard_input(environ, stockade, typed):
    typed(PASSWORD)
    answer = stockade("user", "add", "ada@example.com", "--role", "msp_admin")
    assert answer.code == ExitCode.USAGE
    assert "--password-stdin" in answer.err


def test_a_short_password_and_a_taken_address_are_refused(environ, stockade, typed):
    typed("short")
    assert stockade("user", "add", "ada@example.com", "--role", "msp_admin", "--password-stdin").code == ExitCode.REFUSED
    make_user("msp_admin", email="ada@example.com")
    typed(PASSWORD)
    assert stockade("user", "add", "ADA@example.com", "--role", "msp_admin", "--password-stdin").code == ExitCode.REFUSED


def test_a_token_alone_is_printed(environ, stockade):
    make_user("msp_admin", email="ada@example.com")
    answer = stockade("token", "create", "--user", "ada@example.com", "--name", "ci", "--node", "finding.list", "--expires", "30")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("stk_")
    assert len(answer.out.split()) == 1
    assert ApiToken.get().nodes == ["finding.list"]


def test_a_token_for_nobody_or_for_a_node_that_does_not_exist(environ, stockade):
    make_user("msp_admin", email="ada@example.com")
    assert stockade("token", "create", "--user", "bob@example.com").code == ExitCode.NOT_FOUND
    assert stockade("token", "create", "--user", "ada@example.com", "--node", "no.such").code == ExitCode.REFUSED


def test_a_service_account_gets_a_token_narrowed_to_its_customer_and_loses_it(environ, stockade):
    ensure_built_in_roles()
    stockade("customer", "add", "Acme")
    added = stockade("user", "add-service", "ci", "--role", "customer_viewer", "--customer", "Acme")
    assert (added.code, added.out) == (0, "ci@service.invalid\n")
    stockade("token", "create", "--user", "ci@service.invalid", "--customer", "acme", "--name", "pipeline")
    [row] = json.loads(stockade("token", "list", "--user", "ci@service.invalid", "--json").out)
    assert (row["name"], row["companyId"], row["revokedAt"]) == ("pipeline", RoleGrant.get().customer_id, None)
    assert "good" in stockade("token", "list", "--user", "ci@service.invalid").out
    assert stockade("token", "revoke", row["id"]).code == 0
    assert stockade("token", "revoke", row["id"]).code == ExitCode.NOT_FOUND
    assert "ended" in stockade("token", "list", "--user", "ci@service.invalid").out


def test_the_last_administrator_is_not_disabled(environ, stockade):
    make_user("msp_admin", email="ada@example.com", password=PASSWORD)
    refused = stockade("user", "disable", "ada@example.com")
    assert (refused.code, "no administrator" in refused.err) == (ExitCode.REFUSED, True)
    make_user("msp_admin", email="bob@example.com", password=PASSWORD)
    assert stockade("user", "disable", "ada@example.com").code == 0
    assert User.get(User.email == "ada@example.com").status == "disabled"
    assert stockade("user", "enable", "ada@example.com").code == 0
    assert User.get(User.email == "ada@example.com").status == "active"


def test_customers_are_added_and_listed(environ, stockade):
    added = stockade("customer", "add", "Acme")
    assert stockade("customer", "add", "ACME").code == ExitCode.REFUSED
    listed = json.loads(stockade("customer", "list", "--json").out)
    assert [(row["id"], row["name"], row["status"]) for row in listed] == [(added.out.strip(), "Acme", "active")]
    assert "Acme" in stockade("customer", "list").out


def test_plugins_are_switched_off_and_on(environ, stockade):
    assert stockade("plugins", "disable", "sonarqube").out == "sonarqube is disabled; its data stays\n"
    rows = {row["name"]: row for row in json.loads(stockade("plugins", "list", "--json").out)}
    assert (rows["sonarqube"]["state"], rows["sonarqube"]["sources"]) == ("disabled", ["sonarqube"])
    assert "switched off by an administrator" in stockade("plugins", "list").out
    assert stockade("plugins", "enable", "sonarqube").code == 0
    assert stockade("plugins", "enable", "nothing").code == ExitCode.NOT_FOUND


def test_a_sync_is_asked_for_and_listed(environ, stockade, sonar):
    connection = connected(deployment_of(environ), "Acme", *sonar[1:])
    asked = stockade("sync", "Acme", "sonarqube")
    assert asked.code == 0
    run = Run.get()
    assert (asked.out.strip(), run.connection_id, run.trigger) == (run.id, connection.id, "command")
    listed = json.loads(stockade("runs", "--customer", "Acme", "--json").out)
    assert [(row["id"], row["state"], row["customer"]) for row in listed] == [(run.id, "queued", "Acme")]
    assert run.id in stockade("runs").out


def test_a_sync_waited_for_tells_its_phases_and_its_outcome(environ, stockade, sonar, processes):
    connected(deployment_of(environ), "Acme", *sonar[1:])
    processes.worker(environ)
    answer = stockade("sync", "Acme", "sonarqube", "--wait")
    assert answer.code == 0, answer.err
    assert "sonarqube: succeeded" in answer.out
    assert " new" in answer.out
    assert Asset.select().count() == 6


def test_a_run_that_fails_is_told_by_the_exit_code_with_its_reason(environ, stockade, sonar, processes):
    world, url, token = sonar
    connected(deployment_of(environ), "Acme", url, token)
    processes.worker(environ)
    world.revoke(token)
    answer = stockade("sync", "Acme", "sonarqube", "--wait")
    assert answer.code == ExitCode.RUN_FAILED
    assert "token_refused" in answer.err
    assert token not in answer.err + answer.out


def test_a_run_the_brake_holds_is_told_by_the_exit_code(environ, stockade, sonar, processes):
    world, url, token = sonar
    connected(deployment_of(environ), "Acme", url, token)
    processes.worker(environ)
    assert stockade("sync", "Acme", "sonarqube", "--wait").code == 0
    world.faults.add("no_projects")
    answer = stockade("sync", "Acme", "sonarqube", "--wait")
    assert answer.code == ExitCode.RUN_HELD
    assert one_line(answer)


def test_what_does_not_exist_is_not_found(environ, stockade):
    tenancy.create("Acme", actor="test")
    for arguments in (("sync", "Nobody", "sonarqube"), ("sync", "Acme", "sonarqube"), ("sync", "Acme", "nothing"),
                      ("runs", "--customer", "Nobody")):
        answer = stockade(*arguments)
        assert answer.code == ExitCode.NOT_FOUND, arguments
        assert one_line(answer)


def test_without_redis_a_sync_is_refused_and_nothing_is_recorded(environ, stockade, sonar, monkeypatch, tmp_path):
    connected(deployment_of(environ), "Acme", *sonar[1:])
    monkeypatch.setenv("STOCKADE_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    answer = stockade("sync", "Acme", "sonarqube")
    assert answer.code == ExitCode.UNAVAILABLE
    assert one_line(answer)
    assert Run.select().count() == 0


def test_a_database_that_is_away_is_told(stockade, monkeypatch, tmp_path):
    monkeypatch.setenv("STOCKADE_DATABASE_URL", f"postgresql://nobody@/nothing?host={tmp_path}")
    monkeypatch.setenv("STOCKADE_MASTER_KEY", "bW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW0=")
    answer = stockade("customer", "list")
    assert answer.code == ExitCode.UNAVAILABLE
    assert one_line(answer)


def test_every_fault_of_the_settings_is_told_at_once(stockade, monkeypatch):
    monkeypatch.setenv("STOCKADE_WEB_WORKERS", "many")
    monkeypatch.setenv("STOCKADE_NONSENSE", "1")
    monkeypatch.setenv("STOCKADE_MASTER_KEY", "c2hvcnQ=")
    answer = stockade("customer", "list")
    assert answer.code == ExitCode.CONFIGURATION
    assert one_line(answer)
    assert all(name in answer.err for name in ("STOCKADE_WEB_WORKERS", "STOCKADE_NONSENSE", "STOCKADE_MASTER_KEY"))
    assert "c2hvcnQ" not in answer.err


def test_a_wrong_master_key_is_told_and_touches_nothing(environ, stockade, monkeypatch):
    assert stockade("customer", "list").code == 0
    monkeypatch.setenv("STOCKADE_MASTER_KEY", "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=")
    answer = stockade("customer", "list")
    assert answer.code == ExitCode.CONFIGURATION
    assert "not the key" in answer.err


def test_a_folder_without_a_deployment_is_told_and_not_made(stockade, tmp_path):
    answer = stockade("customer", "list", "--home", str(tmp_path / "nothing"))
    assert answer.code == ExitCode.CONFIGURATION
    assert "stockade up" in answer.err
    assert not (tmp_path / "nothing").exists()


def test_the_totals_are_checked_and_a_difference_is_told(environ, stockade):
    assert stockade("db", "check").out == "totals and findings agree\n"
    scope = customer("Acme")
    Asset.create(id="ast_1", customer_id=scope.customer_id, connection_id="con_1", source="sonarqube", kind="sonar_project",
                 discipline="appsec", external_key="a", name="A", open_high=3, discovered_at=0)
    answer = stockade("db", "check", "--json")
    assert answer.code == ExitCode.DIFFERENT
    assert [row["assetId"] for row in json.loads(answer.out)] == ["ast_1"]


def test_migrations_are_listed_and_nothing_is_left_to_apply(environ, stockade):
    rows = json.loads(stockade("db", "status", "--json").out)
    assert rows
    assert all(row["applied"] for row in rows)
    assert stockade("db", "upgrade").out == "nothing to apply\n"


def test_an_empty_database_is_brought_up_and_until_then_refused(redis_url, stockade, tmp_path, monkeypatch):
    for name, value in environment(tmp_path, f"sqlite:///{tmp_path}/fresh.sqlite3", redis_url).items():
        monkeypatch.setenv(name, value)
    refused = stockade("customer", "list")
    assert refused.code == ExitCode.CONFIGURATION
    assert "stockade db upgrade" in refused.err
    assert "applied 0001" in stockade("db", "upgrade").out
    assert stockade("customer", "list").code == 0


@pytest.mark.parametrize("arguments", [("sync", "Acme"), ("nothing",), ("user", "add"), ("runs", "--limit", "0")])
def test_a_command_line_that_is_not_understood(stockade, arguments):
    answer = stockade(*arguments)
    assert answer.code == ExitCode.USAGE
    assert one_line(answer)


def test_no_command_takes_a_secret_on_its_command_line():
    from core.runtime.cli import stockade as root

    def options(command):
        for parameter in command.params:
            yield from parameter.opts
        for child in getattr(command, "commands", {}).values():
            yield from options(child)

    assert not set(options(root)) & set(SECRETS)


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(sqlite_database, redis_url, tmp_path):
    environ = environment(tmp_path, sqlite_database, redis_url)
    ensure_built_in_roles()
    pid, terminal = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "core.runtime", "user", "add", "ada@example.com", "--role", "msp_admin"]
        os.execve(sys.executable, command, {**clean_environ(), **environ})
    shown = b""
    for _ in range(2):
        shown += read_until(terminal, b": ")
        os.write(terminal, PASSWORD.encode() + b"\n")
    shown += read_until(terminal, b"usr_")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert PASSWORD.encode() not in shown
    assert people.authenticate("ada@example.com", PASSWORD, load(environ)) is not None


def read_until(terminal, wanted):
    shown = b""
    while wanted not in shown:
        shown += os.read(terminal, 1024)
    return shown
