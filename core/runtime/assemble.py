"""Putting a process together from its settings: database, plugins, queue, keys."""

from pathlib import Path

from core import db, deployment
from core.deployment import Deployment
from core.runtime.exits import CommandFailed, ExitCode
from core.settings import Settings


def assemble(settings: Settings) -> Deployment:
    """The parts of this process, ready to work; also the ones that its jobs will use.

    :raises CommandFailed: when a setting that is needed is missing, or the database is not migrated.
    :raises core.credentials.keyring.MasterKeyWrong: when the key is not this database's.
    """
    from core.access.nodes import CORE_NODES
    from core.connections.models import Connection, Run
    from core.credentials.keyring import Keyring
    from core.hooks.manager import Plugins
    from core.jobs.queue import JobQueue

    connect(settings)
    if settings.master_key is None:
        raise CommandFailed(ExitCode.CONFIGURATION, "settings: STOCKADE_MASTER_KEY (or STOCKADE_MASTER_KEY_FILE) is missing")
    refuse_unmigrated()
    keyring = Keyring.of(settings)
    keyring.verify()
    plugins = Plugins.load(settings, core_nodes=[node.node for node in CORE_NODES])
    plugins.note_stored_sources({source for model in (Connection, Run) for (source,) in model.select(model.source).distinct().tuples()})
    return deployment.use(Deployment(settings, plugins, JobQueue(settings.redis_url), keyring))


def connect(settings: Settings) -> None:
    """Point the database at where the settings say; a SQLite file is never made by looking for it.

    :raises CommandFailed: when there is no database yet.
    """
    if not settings.database_url and not Path(settings.sqlite_path).exists():
        raise CommandFailed(ExitCode.CONFIGURATION,
                            f"there is no Stockade in {Path(settings.home).absolute()}: start one with `stockade up`, name its folder"
                            " with --home or STOCKADE_HOME, or set STOCKADE_DATABASE_URL and run `stockade db upgrade`")
    db.configure(settings.effective_database_url)


def refuse_unmigrated() -> None:
    """:raises CommandFailed: when migrations wait to be applied."""
    from core.db import schema

    if waiting := schema.pending():
        raise CommandFailed(ExitCode.CONFIGURATION, f"{len(waiting)} migrations have not been applied: run `stockade db upgrade`")
