"""The command ``stockade``. Each of its commands imports what it needs when it runs, so that none waits for another's libraries."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from core import __version__
from core.runtime.commands import audit, database, keys, people, services, syncs
from core.runtime.exits import ExitCode, expected_problems, told


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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="stockade")
def stockade() -> None:
    """Stockade: one place for the security findings of many customers."""


for _command in (services.up, services.serve, services.worker, services.scheduler, database.db, people.user, people.token, people.customer,
                 syncs.plugins, syncs.sync, syncs.runs_list, syncs.import_report, keys.keys, audit.audit):
    stockade.add_command(_command)
