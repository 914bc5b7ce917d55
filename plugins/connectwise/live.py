"""Asking ConnectWise while somebody waits: a few seconds at most, and not at all for a while after it did not answer.

What it tells is stored as a sync stores it. Whatever goes wrong, what is stored serves.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from redis.exceptions import RedisError

from core.connections import service as connections
from core.db import atomic
from core.deployment import Deployment
from core.errors import StockadeError
from core.hooks.failures import ConnectorError, NotThere
from core.scope import HOUSE, Scope
from plugins.connectwise.client import ConnectWiseClient
from plugins.connectwise.connector import ConnectWiseConnector, read_company, refresh_configurations, store_of, tenant_of
from plugins.connectwise.models import CwCompany
from plugins.connectwise.storing import DELETED, GONE, Store

log = logging.getLogger(__name__)
CONNECT_SECONDS, READ_SECONDS = 2.0, 5.0
BROKEN_SECONDS = 30
_ACTOR = f"live:{ConnectWiseConnector.source}"
_NOTE = "stockade:connectwise:broken"


def refresh_company(deployment: Deployment, company: CwCompany) -> bool:
    """Store what ConnectWise has of the company in this moment; False when it was not asked, or did not answer."""
    def ask(client: ConnectWiseClient, store: Store) -> None:
        try:
            fresh = read_company(client, company.cw_id)
        except NotThere:
            store.remove_now(company.cw_id, GONE)
            raise
        if fresh.is_deleted:
            store.remove_now(company.cw_id, DELETED)
            raise NotThere(f"company {company.cw_id} is deleted")
        with atomic():
            store.write_companies([fresh])
            store.confirm_one(company.cw_id)

    return _asked(deployment, company, ask)


def refresh_its_configurations(deployment: Deployment, company: CwCompany) -> bool:
    """As ``refresh_company``, of the company's configurations."""
    return _asked(deployment, company, lambda client, store: refresh_configurations(client, store, company.cw_id))


def _asked(deployment: Deployment, company: CwCompany, ask: Callable[[ConnectWiseClient, Store], None]) -> bool:
    try:
        if company.removed_at is not None or _is_broken(deployment):
            return False  # whether it is back, a sync or a callback finds out, who know what the settings cover
        settings = _settings(deployment, company)
        if settings is None:
            return False
        policy = replace(connections.policy_of(deployment), connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=0)
        ask(ConnectWiseClient(settings, connections.maker_of(policy)[0]), store_of(settings, _ACTOR, {}))
    except NotThere as problem:
        log.info("ConnectWise has it no longer: %s", problem)
        return False
    except ConnectorError as problem:
        log.warning("ConnectWise is not asked for a while: %s", problem)
        _note_broken(deployment)
        return False
    except StockadeError as problem:  # secrets that were destroyed, a full disk: what only reads is answered all the same
        log.warning("ConnectWise was not asked, or its answer was not stored: %s", problem.message)
        return False
    return True


def _settings(deployment: Deployment, company: CwCompany) -> Mapping[str, Any] | None:
    """The connection's settings; None when there is none, or it is to another ConnectWise than the company's."""
    connection = connections.find(Scope(HOUSE), ConnectWiseConnector.source)
    if connection is None or tenant_of(connection.settings) != company.tenant:
        return None
    return connections.stored_settings(deployment, connection, _ACTOR)


def _is_broken(deployment: Deployment) -> bool:
    try:
        return bool(deployment.queue.memory.exists(_NOTE))
    except RedisError:
        return False


def _note_broken(deployment: Deployment) -> None:
    try:
        deployment.queue.memory.set(_NOTE, "1", ex=BROKEN_SECONDS)
    except RedisError as problem:
        log.warning("that cannot be noted (%s)", type(problem).__name__)
