"""The audit log: verified, and exported."""

import click

from core.runtime.commands.shared import customer_called, deployment_of, home_option, json_option, show_one
from core.runtime.exits import CommandFailed, ExitCode


@click.group()
def audit() -> None:
    """The log of everything that was changed or revealed."""


@audit.command("verify")
@click.option("--file", "file", metavar="FILE", help="An exported file (- for standard input) instead of the database.")
@click.option("--signed-by", "key", metavar="KEY", help="The public key that the file must be signed with, as `audit verify` shows it.")
@click.option("--seal", "at_least", default=0, metavar="N", help="Number of a seal seen earlier: an older one means a database put back.")
@home_option
@json_option
def audit_verify(file: str | None, key: str | None, at_least: int, home: str | None, as_json: bool) -> None:
    """Recompute the audit log, and tell where it does not hold."""
    from core.runtime import auditing

    if key and not file:
        raise click.UsageError("--signed-by is for --file: of the database's log the key is known")
    told = auditing.of_file(file, key) if file else auditing.of_database(deployment_of(home), at_least)
    show_one(told.as_json(), as_json, None, "\n".join(told.lines()))
    if told.faults:
        raise CommandFailed(ExitCode.DIFFERENT, f"the audit log does not hold, in {len(told.faults)} places")


@audit.command("export")
@click.option("--customer", help="Only of this customer, by id or name.")
@click.option("--since", metavar="INSTANT", help="From this moment on (ISO 8601; without an offset UTC).")
@click.option("--until", metavar="INSTANT", help="Before this moment.")
@click.option("--output", "-o", metavar="FILE", help="A new file, readable by you alone; standard output when not given.")
@home_option
def audit_export(customer: str | None, since: str | None, until: str | None, output: str | None, home: str | None) -> None:
    """Write the audit log as JSON lines that `audit verify --file` can check anywhere."""
    from core.runtime import auditing

    deployment = deployment_of(home)
    auditing.export(deployment, customer_called(customer).id if customer else None, _instant(since), _instant(until), output)


def _instant(text: str | None) -> int | None:
    from core import clock

    try:
        return None if text is None else clock.from_iso(text)
    except (ValueError, OverflowError):
        raise click.UsageError(f"{text} is not an ISO 8601 instant") from None
