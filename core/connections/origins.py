"""Where a run's assets and findings come from, and who is told how it ended: a connection's source, or an uploaded report."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.assets import catalog
from core.connections import health, runs
from core.connections.models import Connection, Run
from core.deployment import Deployment
from core.hooks.contracts import HousePull, Pull


class Origin(ABC):
    """What the engine asks of the place that a run's data comes from.

    :ivar owner: whose catalog it is.
    :ivar actor: how history and audit log name the run.
    :ivar findings_in_all: how many findings there will be, where that is known before; progress is told by it then.
    """

    owner: catalog.Owner
    actor: str
    findings_in_all: int | None = None
    webhook_path = ""

    @abstractmethod
    def open(self, run: Run, progress: Callable[..., None]) -> tuple[Pull | HousePull, Sequence[Any]]:
        """The pull, and the clients that count its requests.

        :param progress: writes columns of the run, and with them a sign of life.
        :raises core.hooks.failures.ConnectorError: when there is nothing to pull.
        """

    def rules_told(self, keys: Iterable[str]) -> Iterable[str]:
        """Those of the rules whose text this origin can give; others are left for one that can."""
        return keys

    @abstractmethod
    def ended(self, run: Run, health: str, code: str, message: str) -> None:
        """The run ended, or is held; called inside the transaction that says so."""

    @abstractmethod
    def go_on_with(self, asset_keys: Sequence[str]) -> None:
        """Sync next what was asked for while the run was under way."""


class ConnectionOrigin(Origin):
    """A customer's configured source."""

    def __init__(self, deployment: Deployment, connection: Connection) -> None:
        self.owner = catalog.Owner(connection.customer_id, connection.id, connection.source, connection.group_id)
        self.actor = f"sync:{connection.source}"
        self.webhook_path = connection.webhook_path
        self._deployment = deployment
        self._connection = connection

    def open(self, run: Run, progress: Callable[..., None]) -> tuple[Pull | HousePull, Sequence[Any]]:
        from core.connections import service  # service asks for runs, whose jobs come here

        return service.open_pull(self._deployment, self._connection, actor=self.actor)

    def ended(self, run: Run, state: str, code: str, message: str) -> None:
        health.after_run(self._connection, state, code, message)

    def go_on_with(self, asset_keys: Sequence[str]) -> None:
        runs.request_sync(self._deployment, self._connection, trigger="webhook", requested_by="webhook", asset_keys=asset_keys)


def of_connection(deployment: Deployment, run: Run) -> Origin | None:
    """The origin of a sync; None when its connection was removed."""
    connection = Connection.get_or_none(Connection.id == run.connection_id)
    return None if connection is None else ConnectionOrigin(deployment, connection)
