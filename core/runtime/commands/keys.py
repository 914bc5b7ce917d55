"""Master key, data keys, and the keys that sign access tokens."""

import click

from core.runtime.commands.shared import customer_called, deployment_of, home_option, json_option


@click.group()
def keys() -> None:
    """The keys that secrets are sealed under."""


@keys.command("status")
@home_option
@json_option
def keys_status(home: str | None, as_json: bool) -> None:
    """Show which master keys are in use, and whether something is left to be done."""
    import json

    from core.runtime import keys as part

    shown = part.status(deployment_of(home))
    click.echo(json.dumps(shown, indent=2) if as_json else "\n".join(part.lines(shown)))


@keys.command("rewrap")
@home_option
def keys_rewrap(home: str | None) -> None:
    """Make STOCKADE_MASTER_KEY the current one, and wrap all data keys by it. No value is touched."""
    from core.runtime import keys as part

    click.echo(part.rewrap(deployment_of(home)))


@keys.command("rotate")
@click.option("--customer", help="Only this customer's, by id or name.")
@home_option
def keys_rotate(customer: str | None, home: str | None) -> None:
    """Give customers new data keys and seal all values anew under them; goes on where it was cut short."""
    from core.runtime import keys as part

    deployment = deployment_of(home)
    click.echo(part.rotate(deployment, customer_called(customer) if customer else None))


@keys.command("destroy")
@click.option("--customer", required=True, help="Whose secrets, by id or name.")
@click.option("--confirm", metavar="NAME", help="The customer's name, in place of being asked for it.")
@home_option
def keys_destroy(customer: str, confirm: str | None, home: str | None) -> None:
    """Destroy a customer's data key, and with it all of its secrets, for good."""
    from core.runtime import keys as part

    deployment = deployment_of(home)
    click.echo(part.destroy(deployment, customer_called(customer), confirm))


@keys.command("withdraw")
@home_option
def keys_withdraw(home: str | None) -> None:
    """Refuse every access token that was signed until now, as after a leak; clients get new ones with their refresh tokens."""
    from core.access.service import COMMAND
    from core.signin import keys as signing

    deployment_of(home)
    click.echo(f"{signing.withdraw_all(actor=COMMAND.actor)} signing keys deleted")
