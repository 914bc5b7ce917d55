"""A deployment of real processes for tests: environment, customers connected to a SonarQube stand-in, words to look at it."""

import base64
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from core.connections import service
from core.connections.models import Connection, Run
from core.credentials.keyring import Keyring
from core.db import db
from core.deployment import Deployment
from core.findings import rollups
from core.findings.models import Finding
from core.hooks.manager import Plugins
from core.jobs.queue import JobQueue
from core.scope import Scope
from core.settings import load
from core.tenancy import service as tenancy
from plugins.sonarqube.upstream import Plan, Token, World, default_world
from plugins.sonarqube.upstream.world import Flavour

SMALL = Plan(projects=6, issues=240, largest=80, hotspots=12)


def environment(home: Path, database: str, redis_url: str, **settings: Any) -> dict[str, str]:
    """The variables that configure every process of one test's deployment."""
    values = {"home": str(home), "database_url": database, "redis_url": redis_url, "password_cost": "test",
              "master_key": base64.b64encode(b"m" * 32).decode(), "upstream_allow": "127.0.0.0/8", "upstream_backoff": "0.01",
              "web_workers": "1", "web_threads": "4", **settings}
    return {f"STOCKADE_{name.upper()}": str(value) for name, value in values.items()}


def deployment_of(environ: Mapping[str, str]) -> Deployment:
    """The same deployment, seen from the test's own process."""
    settings = load(environ)
    return Deployment(settings, Plugins.load(settings), JobQueue(settings.redis_url), Keyring(settings.master_key or b""))


def world_with_token(plan: Plan = SMALL) -> tuple[World, str]:
    """What a stand-in of a SonarQube Server holds, and a token that may see all of it."""
    world = default_world(plan, replace(Flavour(), cloud=False))
    return world, world.admit(Token(admin=True))


def connected(deployment: Deployment, name: str, url: str, token: str) -> Connection:
    """A new customer's connection to the stand-in at ``url``."""
    customer = tenancy.create(name, actor="test")
    return service.configure(deployment, Scope(customer.id), deployment.plugins.connector("sonarqube"), {"url": url, "token": token},
                             actor="test")


def state(run: Run) -> str:
    """The run's state by now, seen over a fresh connection."""
    with db.connection_context():
        return Run.get_by_id(run.id).state


def counted(connection: Connection) -> tuple[int, int]:
    """Stored findings of the connection's customer, and how many distinct keys they have; equal when nothing is doubled."""
    mine = Finding.select(Finding.asset_id, Finding.source_key).where(Finding.customer_id == connection.customer_id)
    return mine.count(), mine.distinct().count()


def totals_are_right() -> bool:
    return rollups.check() == []


def descendants(pid: int) -> list[psutil.Process]:
    """Every process that this one started, and theirs."""
    return psutil.Process(pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def shown_arguments(processes: list[psutil.Process]) -> str:
    """What anybody on the machine can see of how they were started."""
    return "\n".join(" ".join(process.cmdline()) for process in processes)


def free_of_stockade(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("STOCKADE_")}
