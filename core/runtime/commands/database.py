"""Migrations, and the proof that totals and findings agree."""

import click

from core.runtime.commands.shared import connected, home_option, json_option, settings_of, show
from core.runtime.exits import CommandFailed, ExitCode


@click.group()
def db() -> None:
    """Migrations, and the proof that totals and findings agree."""


@db.command("upgrade")
@home_option
def db_upgrade(home: str | None) -> None:
    """Apply every pending migration."""
    from core import db as database
    from core.access.service import ensure_built_in_roles
    from core.credentials.keyring import Keyring
    from core.db import schema

    settings = settings_of(home)
    if settings.database_url:
        database.configure(settings.database_url)
    else:
        connected(settings)
    if settings.master_key is not None:
        Keyring.of(settings).refuse_wrong()
    applied = schema.upgrade()
    ensure_built_in_roles()
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to apply")


@db.command("status")
@home_option
@json_option
def db_status(home: str | None, as_json: bool) -> None:
    """List the migrations, applied and pending."""
    from core.db import schema

    connected(settings_of(home))
    rows = [{"name": migration.name, "applied": migration.applied is not None} for migration in schema.status()]
    show(rows, as_json, lambda row: f"{'applied' if row['applied'] else 'pending':<8} {row['name']}")


@db.command("check")
@home_option
@json_option
def db_check(home: str | None, as_json: bool) -> None:
    """Count findings anew and compare with the totals that are kept."""
    from core.findings import rollups
    from core.runtime.assemble import refuse_unmigrated

    connected(settings_of(home))
    refuse_unmigrated()
    rows = [{"assetId": row.asset_id, "stored": row.stored, "counted": row.counted} for row in rollups.check()]
    show(rows, as_json, lambda row: f"{row['assetId']}  kept {row['stored']}, counted {row['counted']}")
    if rows:
        raise CommandFailed(ExitCode.DIFFERENT, f"{len(rows)} assets have totals that differ from their findings")
    if not as_json:
        click.echo("totals and findings agree")
