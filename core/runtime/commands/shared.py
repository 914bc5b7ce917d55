"""What commands share: their options, the deployment that they are about, and how rows are shown."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import click

home_option = click.option("--home", metavar="DIR", help="The folder of `stockade up`; STOCKADE_HOME or .stockade when not given.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def settings_of(home: str | None) -> Any:
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


def connected(settings: Any) -> None:
    from core.runtime.assemble import connect

    connect(settings)


def deployment_of(home: str | None) -> Any:
    from core.audit import origin
    from core.runtime.assemble import assemble

    origin.stand_as("command")
    return assemble(settings_of(home))


def show_one(told: dict[str, Any], as_json: bool, schema: Any, line: str) -> None:
    import json

    click.echo(json.dumps(schema.dump(told) if schema else told, ensure_ascii=False, indent=2) if as_json else line)


def show(rows: Sequence[dict[str, Any]], as_json: bool, line: Callable[[Any], str]) -> None:
    if as_json:
        import json

        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        click.echo(line(row))


def customer_called(id_or_name: str) -> Any:
    from core.errors import NotFound
    from core.tenancy import service as tenancy
    from core.tenancy.models import Customer

    found = tenancy.find(id_or_name) or Customer.get_or_none(Customer.name_key == tenancy.name_key(id_or_name))
    if found is None:
        raise NotFound(f"there is no customer {id_or_name!r}")
    return found
