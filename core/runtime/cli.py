"""The command ``stockade``. Each command imports what it needs when it runs, so that none waits for another's libraries."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from core import __version__
from core.runtime.exits import CommandFailed, ExitCode, expected_problems, told

_Command = Callable[..., None]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code; what went wrong is one line on standard error."""
    try:
        stockade.main(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="stockade", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message())
        sys.exit(ExitCode.USAGE)
    except click.ClickException as problem:
        _leave(ExitCode.USAGE, " ".join(problem.format_message().split()))
    except (click.Abort, KeyboardInterrupt):
        _leave(ExitCode.INTERRUPTED, "interrupted")
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output left; Python would complain of it once more
        sys.exit(ExitCode.DONE)
    except expected_problems() as problem:
        failed = told(problem)
        _leave(failed.code, str(failed))
    sys.exit(ExitCode.DONE)


def _leave(code: ExitCode, message: str) -> NoReturn:
    click.echo(f"stockade: {message}", err=True)
    sys.exit(code)


_home = click.option("--home", metavar="DIR", help="The folder of `stockade up`; STOCKADE_HOME or .stockade when not given.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="stockade")
def stockade() -> None:
    """Stockade: one place for the security findings of many customers."""


# -- running it -----------------------------------------------------------------------------------------------------------------


@stockade.command()
@click.option("--demo", is_flag=True, help="With two customers whose data comes from stand-ins of the sources.")
@_home
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes: that many syncs at a time.")
def up(demo: bool, home: str | None, host: str, port: int, workers: int) -> None:
    """Run everything on this machine: web server, workers, scheduler, Redis and database, in one folder."""
    from core.runtime.home import Home
    from core.runtime.up import Wanted
    from core.runtime.up import up as run

    sys.exit(run(Home.of(home, os.environ), Wanted(host, port, workers, demo), os.environ))


@stockade.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--fd", type=int, hidden=True)
@click.option("--grace", default=20.0, show_default=True, help="Seconds for requests under way when it is asked to stop.")
def serve(host: str, port: int, fd: int | None, grace: float) -> None:
    """Run a web server alone, configured by the environment."""
    settings = _settings_of_service()
    from core.runtime.listening import listen
    from core.runtime.serve import serve as run

    run(settings, fd if fd is not None else listen(host, port).detach(), grace)


@stockade.command()
@click.option("--grace", default=20.0, show_default=True, help="Seconds for the job under way when it is asked to stop.")
def worker(grace: float) -> None:
    """Run a worker alone, configured by the environment."""
    settings = _settings_of_service()
    import core.connections.engine  # noqa: F401 - loaded once, shared by the forked jobs
    from core.audit import origin
    from core.db import db
    from core.jobs.worker import work
    from core.runtime.assemble import assemble

    origin.stand_as("job")
    assemble(settings)
    db.close_all()  # every job is forked off and connects by itself
    work(settings.redis_url, grace)


@stockade.command()
def scheduler() -> None:
    """Run a scheduler alone, configured by the environment. Of several, one is elected."""
    settings = _settings_of_service()
    from core.audit import origin
    from core.db import db
    from core.runtime.assemble import assemble
    from core.runtime.scheduler import run

    origin.stand_as("job")
    deployment = assemble(settings)
    db.close()
    run(deployment)


def _settings_of_service() -> Any:
    from core import logs
    from core.settings import SettingsError, load

    settings = load(os.environ)
    missing = [f"STOCKADE_{name.upper()} is missing" for name in ("redis_url", "master_key") if not getattr(settings, name)]
    if missing:
        raise SettingsError(missing)
    logs.configure(settings.log_level)
    sys.excepthook = _log_fault
    return settings


def _log_fault(kind: type[BaseException], problem: BaseException, trace: Any) -> None:
    import logging

    logging.getLogger("stockade").critical("ended by a fault of its own", exc_info=(kind, problem, trace))


# -- database -------------------------------------------------------------------------------------------------------------------


@stockade.group()
def db() -> None:
    """Migrations, and the proof that totals and findings agree."""


@db.command("upgrade")
@_home
def db_upgrade(home: str | None) -> None:
    """Apply every pending migration."""
    from core import db as database
    from core.access.service import ensure_built_in_roles
    from core.credentials.keyring import Keyring
    from core.db import schema

    settings = _settings(home)
    if settings.database_url:
        database.configure(settings.database_url)
    else:
        _connect(settings)
    if settings.master_key is not None:
        Keyring.of(settings).refuse_wrong()
    applied = schema.upgrade()
    ensure_built_in_roles()
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to apply")


@db.command("status")
@_home
@_json
def db_status(home: str | None, as_json: bool) -> None:
    """List the migrations, applied and pending."""
    from core.db import schema

    _connect(_settings(home))
    rows = [{"name": migration.name, "applied": migration.applied is not None} for migration in schema.status()]
    _show(rows, as_json, lambda row: f"{'applied' if row['applied'] else 'pending':<8} {row['name']}")


@db.command("check")
@_home
@_json
def db_check(home: str | None, as_json: bool) -> None:
    """Count findings anew and compare with the totals that are kept."""
    from core.findings import rollups
    from core.runtime.assemble import refuse_unmigrated

    _connect(_settings(home))
    refuse_unmigrated()
    rows = [{"assetId": row.asset_id, "stored": row.stored, "counted": row.counted} for row in rollups.check()]
    _show(rows, as_json, lambda row: f"{row['assetId']}  kept {row['stored']}, counted {row['counted']}")
    if rows:
        raise CommandFailed(ExitCode.DIFFERENT, f"{len(rows)} assets have totals that differ from their findings")
    if not as_json:
        click.echo("totals and findings agree")


# -- people and customers -------------------------------------------------------------------------------------------------------


@stockade.group()
def user() -> None:
    """People who sign in."""


@user.command("add")
@click.argument("email")
@click.option("--role", required=True, help="msp_admin, msp_analyst, customer_admin, customer_viewer, or one of your own.")
@click.option("--customer", help="Customer, by id or name, in which the role is held; MSP staff hold theirs everywhere.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
@click.option("--without-password", is_flag=True, help="For somebody who signs in with a provider alone; see `stockade user invite`.")
@_home
def user_add(email: str, role: str, customer: str | None, password_stdin: bool, without_password: bool, home: str | None) -> None:
    """Add somebody who signs in with EMAIL and a password."""
    from core.access import service as access
    from core.db import atomic
    from core.people import service as people

    deployment = _deployment(home)
    customer_id = _customer(customer).id if customer else None
    password = None if without_password else _password(password_stdin)
    with atomic():
        added = people.add(email, actor=access.COMMAND.actor, settings=deployment.settings, password=password)
        access.grant_role(access.COMMAND, added, role, customer_id)
    click.echo(added.id)


@user.command("invite")
@click.argument("email")
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="How long the link is good.")
@_home
def user_invite(email: str, days: int, home: str | None) -> None:
    """Print a link by which the user EMAIL signs in with a provider for the first time; whoever opens it becomes that user."""
    from core.access.service import COMMAND
    from core.http.addresses import SIGN_IN_PAGE
    from core.people import service as people
    from core.signin import identities, providers

    settings = _deployment(home).settings
    if not providers.configured(settings):
        raise CommandFailed(ExitCode.REFUSED, "no sign-in provider is set up: see STOCKADE_OIDC_... in docs/operators.md")
    secret = identities.invite(people.by_email(email), actor=COMMAND.actor, days=days)
    click.echo(f"{settings.public_url.rstrip('/')}{SIGN_IN_PAGE}?invitation={secret}")


@user.command("link")
@click.argument("email")
@click.argument("subject")
@click.option("--tenant", help="The tenant's id, when it is Microsoft's; SUBJECT is the person's object id there.")
@_home
def user_link(email: str, subject: str, tenant: str | None, home: str | None) -> None:
    """Let the user EMAIL sign in as SUBJECT, the provider's own id of that person."""
    from core.access.service import COMMAND
    from core.people import service as people
    from core.signin import identities, providers

    deployment = _deployment(home)
    wanted = providers.MICROSOFT if tenant else providers.OTHER
    provider = next((found for found in providers.configured(deployment.settings) if found.id == wanted), None)
    if provider is None:
        raise CommandFailed(ExitCode.REFUSED, "this provider is not set up: see STOCKADE_OIDC_... in docs/operators.md")
    identities.link(people.by_email(email), provider.identity_of(subject, tenant or ""), actor=COMMAND.actor)


@user.command("unlink")
@click.argument("email")
@_home
def user_unlink(email: str, home: str | None) -> None:
    """Take from the user EMAIL every way to sign in with a provider, and end what he is signed in with."""
    from core.access.service import COMMAND
    from core.people import service as people
    from core.signin import identities

    _deployment(home)
    number = identities.unlink_all(people.by_email(email), actor=COMMAND.actor)
    click.echo(f"{number} identities removed")


@user.command("add-service")
@click.argument("login")
@click.option("--role", required=True, help="As for `stockade user add`.")
@click.option("--customer", help="Customer, by id or name, in which the role is held.")
@_home
def user_add_service(login: str, role: str, customer: str | None, home: str | None) -> None:
    """Add the account LOGIN for a program: it never signs in, and acts by API tokens. Prints its address."""
    from core.access import service as access
    from core.access import users

    _deployment(home)
    company = {"company_id": _customer(customer).id} if customer else {}
    click.echo(users.create_service_account(access.COMMAND, {"login": login, "name": "", "roles": [role], **company}).user.email)


@user.command("disable")
@click.argument("email")
@_home
def user_disable(email: str, home: str | None) -> None:
    """Shut the user EMAIL out; what he holds stays."""
    _switch_user(email, "disabled", home)


@user.command("enable")
@click.argument("email")
@_home
def user_enable(email: str, home: str | None) -> None:
    """Let the user EMAIL in again."""
    _switch_user(email, "active", home)


def _switch_user(email: str, status: str, home: str | None) -> None:
    from core.access import users
    from core.access.nodes import NodeRegistry
    from core.access.service import COMMAND
    from core.people import service as people

    _deployment(home)
    users.change(COMMAND, people.by_email(email).id, {"status": status}, NodeRegistry())


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("give the password on standard input with --password-stdin, or run this on a terminal")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)


@stockade.group()
def token() -> None:
    """API tokens for programs."""


@token.command("create")
@click.option("--user", "email", required=True, metavar="EMAIL", help="Whom the token acts for.")
@click.option("--name", default="", help="What it is for.")
@click.option("--node", "nodes", multiple=True, help="Narrow it to this permission; may be repeated.")
@click.option("--customer", help="Narrow it to this customer, by id or name.")
@click.option("--expires", "days", type=click.IntRange(1), metavar="DAYS", help="Let it expire; never when not given.")
@_home
def token_create(email: str, name: str, nodes: tuple[str, ...], customer: str | None, days: int | None, home: str | None) -> None:
    """Print a new token, which is not shown again."""
    from core.access import service as access
    from core.access import tokens
    from core.access.nodes import NodeRegistry
    from core.people import service as people

    deployment = _deployment(home)
    click.echo(tokens.create(access.COMMAND, people.by_email(email), registry=NodeRegistry(deployment.plugins.permission_nodes), name=name,
                             nodes=list(nodes) or None, customer_id=_customer(customer).id if customer else None,
                             expires_days=days).secret)


@token.command("list")
@click.option("--user", "email", required=True, metavar="EMAIL", help="Whose.")
@_home
@_json
def token_list(email: str, home: str | None, as_json: bool) -> None:
    """List a user's tokens, newest first, with those that ended."""
    from core.access import tokens
    from core.access.v1_schemas import TokenSchema
    from core.people import service as people

    _deployment(home)
    rows = TokenSchema(many=True).dump(tokens.of_user(people.by_email(email).id))
    _show(rows, as_json, lambda row: f"{row['id']}  {row['prefix']}...  {'ended' if row['revokedAt'] else 'good':<5}  "
                                     f"until {row['expiresAt'] or 'revoked':<24}  {row['name']}")


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@_home
def token_revoke(token_id: str, home: str | None) -> None:
    """End the token ID for good, with those that were made with it."""
    from core.access import tokens
    from core.access.service import COMMAND

    _deployment(home)
    tokens.revoke(token_id, actor=COMMAND.actor)


@stockade.group()
def customer() -> None:
    """Customers."""


@customer.command("list")
@_home
@_json
def customer_list(home: str | None, as_json: bool) -> None:
    """List the customers by name."""
    from core import clock
    from core.tenancy import service as tenancy

    _deployment(home)
    rows = [{"id": row.id, "name": row.name, "status": row.status, "createdAt": clock.iso(row.created_at)}
            for row in tenancy.all_customers()]
    _show(rows, as_json, lambda row: f"{row['id']}  {row['status']:<8}  {row['name']}")


@customer.command("add")
@click.argument("name")
@_home
def customer_add(name: str, home: str | None) -> None:
    """Add a customer and print its id."""
    from core.access.service import COMMAND
    from core.tenancy import service as tenancy

    _deployment(home)
    click.echo(tenancy.create(name, actor=COMMAND.actor).id)


def _customer(id_or_name: str) -> Any:
    from core.errors import NotFound
    from core.tenancy import service as tenancy
    from core.tenancy.models import Customer

    found = tenancy.find(id_or_name) or Customer.get_or_none(Customer.name_key == tenancy.name_key(id_or_name))
    if found is None:
        raise NotFound(f"there is no customer {id_or_name!r}")
    return found


# -- plugins --------------------------------------------------------------------------------------------------------------------


@stockade.group()
def plugins() -> None:
    """Plugins of this deployment."""


@plugins.command("list")
@_home
@_json
def plugins_list(home: str | None, as_json: bool) -> None:
    """List the plugins, with the reason when one is not running."""
    rows = [{"name": row.name, "title": row.title, "version": row.version, "state": row.state, "reason": row.reason,
             "sources": list(row.sources)} for row in _deployment(home).plugins.listing()]
    _show(rows, as_json, lambda row: f"{row['name']:<16} {row['state']:<10} {row['version']:<8} {row['title']}"
                                     + (f"\n{'':<16} {row['reason']}" if row["reason"] else ""))


@plugins.command("enable")
@click.argument("name")
@_home
def plugins_enable(name: str, home: str | None) -> None:
    """Switch a plugin on for the whole deployment."""
    from core.access.service import COMMAND

    changed = _deployment(home).plugins.enable(name, COMMAND.actor)
    click.echo(f"{name} is enabled" if changed else f"{name} was enabled already")


@plugins.command("disable")
@click.argument("name")
@_home
def plugins_disable(name: str, home: str | None) -> None:
    """Switch a plugin off for the whole deployment; its data stays."""
    from core.access.service import COMMAND

    changed = _deployment(home).plugins.disable(name, COMMAND.actor)
    click.echo(f"{name} is disabled; its data stays" if changed else f"{name} was disabled already")


# -- syncs ----------------------------------------------------------------------------------------------------------------------


@stockade.command()
@click.argument("customer", metavar="CUSTOMER")
@click.argument("source")
@click.option("--wait", is_flag=True, help="Show the progress, and leave when the run has ended.")
@_home
def sync(customer: str, source: str, wait: bool, home: str | None) -> None:
    """Have SOURCE of CUSTOMER (id or name) synced, and print the id of the run. For a source that is the MSP's own, such as connectwise,
    CUSTOMER is "house"."""
    from core.access.service import COMMAND
    from core.connections import runs, service
    from core.runtime import progress
    from core.scope import HOUSE, Scope

    deployment = _deployment(home)
    connector = deployment.plugins.connector(source)
    is_of_house = deployment.plugins.is_of_house(source)
    if is_of_house is not (customer == HOUSE):
        raise CommandFailed(ExitCode.REFUSED, f"{source} is {'' if is_of_house else 'not '}the MSP's own: "
                                              f"stockade sync {HOUSE if is_of_house else 'CUSTOMER'} {source}")
    connection = service.must_find(Scope(HOUSE if is_of_house else _customer(customer).id), connector.source)
    deployment.queue.ping()  # a run that nobody can take up would only wait
    run = runs.request_sync(deployment, connection, trigger="command", requested_by=COMMAND.actor)
    click.echo(run.id)
    if wait:
        progress.follow(run.id)


@stockade.command("runs")
@click.option("--customer", help="Only of this customer, by id or name.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@_home
@_json
def runs_list(customer: str | None, limit: int, home: str | None, as_json: bool) -> None:
    """List the newest runs."""
    from core.runtime import progress

    _deployment(home)
    customers = [_customer(customer)] if customer else None
    _show(progress.newest(customers, limit), as_json, progress.line)


@stockade.command("import")
@click.argument("file")
@click.option("--customer", required=True, help="Customer, by id or name.")
@click.option("--asset", default="", help="The asset that the report is of; else the report says, or the file's name.")
@click.option("--group", help="Id of the asset group that new assets join.")
@click.option("--format", "report_format", default="", help="Name of the format; recognised by content when not given.")
@click.option("--dry-run", is_flag=True, help="Tell what would open and close, and write nothing.")
@_home
@_json
def import_report(file: str, customer: str, asset: str, group: str | None, report_format: str, dry_run: bool, home: str | None,
                  as_json: bool) -> None:
    """Store the findings of the report FILE (- for standard input), all of them or none."""
    from core.imports.schemas import ImportSchema
    from core.imports.service import Request
    from core.runtime import importing, progress
    from core.scope import Scope

    deployment = _deployment(home)
    scope, request = Scope(_customer(customer).id), Request(asset, group, report_format)
    if dry_run:
        preview, parser = importing.rehearse(deployment, scope, file, request)
        told = {"format": parser.format, "run": None, "preview": preview}
        _show_one(told, as_json, ImportSchema(), "\n".join(importing.told(preview)))
        return
    run, parser = importing.store(deployment, scope, file, request)
    if as_json:
        _show_one({"format": parser.format, "run": run, "preview": None}, as_json, ImportSchema(), "")
    progress.conclude(run, silently=as_json)


# -- keys -----------------------------------------------------------------------------------------------------------------------


@stockade.group()
def keys() -> None:
    """The keys that secrets are sealed under."""


@keys.command("status")
@_home
@_json
def keys_status(home: str | None, as_json: bool) -> None:
    """Show which master keys are in use, and whether something is left to be done."""
    import json

    from core.runtime import keys as part

    shown = part.status(_deployment(home))
    click.echo(json.dumps(shown, indent=2) if as_json else "\n".join(part.lines(shown)))


@keys.command("rewrap")
@_home
def keys_rewrap(home: str | None) -> None:
    """Make STOCKADE_MASTER_KEY the current one, and wrap all data keys by it. No value is touched."""
    from core.runtime import keys as part

    click.echo(part.rewrap(_deployment(home)))


@keys.command("rotate")
@click.option("--customer", help="Only this customer's, by id or name.")
@_home
def keys_rotate(customer: str | None, home: str | None) -> None:
    """Give customers new data keys and seal all values anew under them; goes on where it was cut short."""
    from core.runtime import keys as part

    deployment = _deployment(home)
    click.echo(part.rotate(deployment, _customer(customer) if customer else None))


@keys.command("destroy")
@click.option("--customer", required=True, help="Whose secrets, by id or name.")
@click.option("--confirm", metavar="NAME", help="The customer's name, in place of being asked for it.")
@_home
def keys_destroy(customer: str, confirm: str | None, home: str | None) -> None:
    """Destroy a customer's data key, and with it all of its secrets, for good."""
    from core.runtime import keys as part

    deployment = _deployment(home)
    click.echo(part.destroy(deployment, _customer(customer), confirm))


@keys.command("withdraw")
@_home
def keys_withdraw(home: str | None) -> None:
    """Refuse every access token that was signed until now, as after a leak; clients get new ones with their refresh tokens."""
    from core.access.service import COMMAND
    from core.signin import keys as signing

    _deployment(home)
    click.echo(f"{signing.withdraw_all(actor=COMMAND.actor)} signing keys deleted")


# -- audit ----------------------------------------------------------------------------------------------------------------------


@stockade.group()
def audit() -> None:
    """The log of everything that was changed or revealed."""


@audit.command("verify")
@click.option("--file", "file", metavar="FILE", help="An exported file (- for standard input) instead of the database.")
@click.option("--signed-by", "key", metavar="KEY", help="The public key that the file must be signed with, as `audit verify` shows it.")
@click.option("--seal", "at_least", default=0, metavar="N", help="Number of a seal seen earlier: an older one means a database put back.")
@_home
@_json
def audit_verify(file: str | None, key: str | None, at_least: int, home: str | None, as_json: bool) -> None:
    """Recompute the audit log, and tell where it does not hold."""
    from core.runtime import auditing

    if key and not file:
        raise click.UsageError("--signed-by is for --file: of the database's log the key is known")
    told = auditing.of_file(file, key) if file else auditing.of_database(_deployment(home), at_least)
    _show_one(told.as_json(), as_json, None, "\n".join(told.lines()))
    if told.faults:
        raise CommandFailed(ExitCode.DIFFERENT, f"the audit log does not hold, in {len(told.faults)} places")


@audit.command("export")
@click.option("--customer", help="Only of this customer, by id or name.")
@click.option("--since", metavar="INSTANT", help="From this moment on (ISO 8601; without an offset UTC).")
@click.option("--until", metavar="INSTANT", help="Before this moment.")
@click.option("--output", "-o", metavar="FILE", help="A new file, readable by you alone; standard output when not given.")
@_home
def audit_export(customer: str | None, since: str | None, until: str | None, output: str | None, home: str | None) -> None:
    """Write the audit log as JSON lines that `audit verify --file` can check anywhere."""
    from core.runtime import auditing

    deployment = _deployment(home)
    auditing.export(deployment, _customer(customer).id if customer else None, _instant(since), _instant(until), output)


def _instant(text: str | None) -> int | None:
    from core import clock

    try:
        return None if text is None else clock.from_iso(text)
    except (ValueError, OverflowError):
        raise click.UsageError(f"{text} is not an ISO 8601 instant") from None


# -- what commands share --------------------------------------------------------------------------------------------------------


def _settings(home: str | None) -> Any:
    """Settings of a command, from the environment and the home folder. Faults of plugins are told by the commands themselves."""
    import logging

    from core import logs
    from core.runtime.home import Home

    settings = Home.of(home, os.environ).settings(os.environ)
    if settings.log_level == "DEBUG":
        logs.configure("DEBUG")
    else:
        logging.disable(logging.CRITICAL)
    return settings


def _connect(settings: Any) -> None:
    from core.runtime.assemble import connect

    connect(settings)


def _deployment(home: str | None) -> Any:
    from core.audit import origin
    from core.runtime.assemble import assemble

    origin.stand_as("command")
    return assemble(_settings(home))


def _show_one(told: dict[str, Any], as_json: bool, schema: Any, line: str) -> None:
    import json

    click.echo(json.dumps(schema.dump(told) if schema else told, ensure_ascii=False, indent=2) if as_json else line)


def _show(rows: Sequence[dict[str, Any]], as_json: bool, line: Callable[[Any], str]) -> None:
    if as_json:
        import json

        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        click.echo(line(row))
