"""What tests of syncs share: a deployment around the scripted source, customers with a connection, and short words for running it."""

import os
from dataclasses import replace
from typing import Any

from core import clock
from core.assets.models import Asset
from core.connections import engine, runs, service
from core.connections.models import Connection, Run
from core.credentials.keyring import Keyring
from core.deployment import Deployment
from core.findings import rollups
from core.findings.models import Finding
from core.hooks.manager import Plugins
from core.ids import new_id
from core.jobs.queue import JobQueue
from core.scope import Scope
from core.settings import Settings
from core.tenancy.models import Customer
from tests import scripted

SECRET = "a-token-nobody-may-see-0123456789"


def deployment_for(redis_url: str, **settings: Any) -> Deployment:
    """A deployment with the scripted source alone."""
    chosen = replace(Settings(master_key=os.urandom(32), password_cost="test", run_lease_seconds=30.0), **settings)
    return Deployment(chosen, Plugins.load(chosen, [scripted.ENTRY_POINT]), JobQueue(redis_url), Keyring(chosen.master_key or b""))


def customer(name: str) -> Scope:
    """A new customer, as the scope of its whole data."""
    now = clock.now()
    row = Customer.create(id=new_id("cus"), name=name, name_key=name.casefold(), created_at=now, updated_at=now)
    return Scope(row.id)


def connected(deployment: Deployment, scope: Scope) -> Connection:
    """The customer's connection to the scripted source."""
    return service.configure(deployment, scope, deployment.plugins.connector("scripted"), {"token": SECRET}, actor="test")


def sync(deployment: Deployment, connection: Connection, **options: Any) -> Run:
    """One run from its request to its end, in this process; the run as it ended."""
    run = runs.request_sync(deployment, connection, trigger="person", requested_by="test", **options)
    engine.execute(deployment, run.id)
    return Run.get_by_id(run.id)


def states(scope: Scope) -> dict[str, str]:
    """Effective state of every finding by its source key."""
    return dict(Finding.select(Finding.source_key, Finding.status).where(Finding.customer_id == scope.customer_id).tuples())


def living_assets(scope: Scope) -> set[str]:
    return {asset.external_key for asset in Asset.within(scope)}


def rollups_are_right() -> bool:
    return rollups.check() == []
