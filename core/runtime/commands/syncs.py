"""Plugins, syncs, runs, and reports that are imported."""

import click

from core.runtime.commands.shared import customer_called, deployment_of, home_option, json_option, show, show_one
from core.runtime.exits import CommandFailed, ExitCode


@click.group()
def plugins() -> None:
    """Plugins of this deployment."""


@plugins.command("list")
@home_option
@json_option
def plugins_list(home: str | None, as_json: bool) -> None:
    """List the plugins, with the reason when one is not running."""
    rows = [{"name": row.name, "title": row.title, "version": row.version, "state": row.state, "reason": row.reason,
             "sources": list(row.sources)} for row in deployment_of(home).plugins.listing()]
    show(rows, as_json, lambda row: f"{row['name']:<16} {row['state']:<10} {row['version']:<8} {row['title']}"
                                     + (f"\n{'':<16} {row['reason']}" if row["reason"] else ""))


@plugins.command("enable")
@click.argument("name")
@home_option
def plugins_enable(name: str, home: str | None) -> None:
    """Switch a plugin on for the whole deployment."""
    from core.access.service import COMMAND

    changed = deployment_of(home).plugins.enable(name, COMMAND.actor)
    click.echo(f"{name} is enabled" if changed else f"{name} was enabled already")


@plugins.command("disable")
@click.argument("name")
@home_option
def plugins_disable(name: str, home: str | None) -> None:
    """Switch a plugin off for the whole deployment; its data stays."""
    from core.access.service import COMMAND

    changed = deployment_of(home).plugins.disable(name, COMMAND.actor)
    click.echo(f"{name} is disabled; its data stays" if changed else f"{name} was disabled already")


@click.command()
@click.argument("customer", metavar="CUSTOMER")
@click.argument("source")
@click.option("--wait", is_flag=True, help="Show the progress, and leave when the run has ended.")
@home_option
def sync(customer: str, source: str, wait: bool, home: str | None) -> None:
    """Have SOURCE of CUSTOMER (id or name) synced, and print the id of the run. For a source that is the MSP's own, such as connectwise,
    CUSTOMER is "house"."""
    from core.access.service import COMMAND
    from core.connections import runs, service
    from core.runtime import progress
    from core.scope import HOUSE, Scope

    deployment = deployment_of(home)
    connector = deployment.plugins.connector(source)
    is_of_house = deployment.plugins.is_of_house(source)
    if is_of_house is not (customer == HOUSE):
        raise CommandFailed(ExitCode.REFUSED, f"{source} is {'' if is_of_house else 'not '}the MSP's own: "
                                              f"stockade sync {HOUSE if is_of_house else 'CUSTOMER'} {source}")
    connection = service.must_find(Scope(HOUSE if is_of_house else customer_called(customer).id), connector.source)
    deployment.queue.ping()  # a run that nobody can take up would only wait
    run = runs.request_sync(deployment, connection, trigger="command", requested_by=COMMAND.actor)
    click.echo(run.id)
    if wait:
        progress.follow(run.id)


@click.command("runs")
@click.option("--customer", help="Only of this customer, by id or name.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@home_option
@json_option
def runs_list(customer: str | None, limit: int, home: str | None, as_json: bool) -> None:
    """List the newest runs."""
    from core.runtime import progress

    deployment_of(home)
    customers = [customer_called(customer)] if customer else None
    show(progress.newest(customers, limit), as_json, progress.line)


@click.command("import")
@click.argument("file")
@click.option("--customer", required=True, help="Customer, by id or name.")
@click.option("--asset", default="", help="The asset that the report is of; else the report says, or the file's name.")
@click.option("--group", help="Id of the asset group that new assets join.")
@click.option("--format", "report_format", default="", help="Name of the format; recognised by content when not given.")
@click.option("--dry-run", is_flag=True, help="Tell what would open and close, and write nothing.")
@home_option
@json_option
def import_report(file: str, customer: str, asset: str, group: str | None, report_format: str, dry_run: bool, home: str | None,
                  as_json: bool) -> None:
    """Store the findings of the report FILE (- for standard input), all of them or none."""
    from core.imports.schemas import ImportSchema
    from core.imports.service import Request
    from core.runtime import importing, progress
    from core.scope import Scope

    deployment = deployment_of(home)
    scope, request = Scope(customer_called(customer).id), Request(asset, group, report_format)
    if dry_run:
        preview, parser = importing.rehearse(deployment, scope, file, request)
        told = {"format": parser.format, "run": None, "preview": preview}
        show_one(told, as_json, ImportSchema(), "\n".join(importing.told(preview)))
        return
    run, parser = importing.store(deployment, scope, file, request)
    if as_json:
        show_one({"format": parser.format, "run": run, "preview": None}, as_json, ImportSchema(), "")
    progress.conclude(run, silently=as_json)
