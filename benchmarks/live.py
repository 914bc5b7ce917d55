"""What live totals cost a dashboard: a Checkmarx One that hangs, one that answers, and the answer of a minute ago."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import redis
import requests
from flask.testing import FlaskClient

from benchmarks.report import Report, median, seconds
from core.access import service as access
from core.app import create_app
from core.connections import engine, runs, service
from core.db import db, is_postgres
from core.deployment import Deployment, use
from core.scope import Scope
from core.tenancy.models import Customer
from core.testing.standin import StandInProcess
from tests.factories import SETTINGS, make_customer, signed_in_client
from tests.processes import deployment_of, environment
from tests.servers import RedisServer

PROJECTS, RESULTS = 100, 3_000  # of one customer; nearly every project has dismissed results and API risks, which cost a call each
MOST_SECONDS, MOST_RATIO = 2.3, 2.0
CALLS = 60
_SECRET = "secret-of-the-bench"
_PATH, _USED = "/api/manage-assets", "X-Stockade-Totals"


def measure(report: Report) -> None:
    """``GET /api/manage-assets`` through the whole app in process; the stand-in is a process of its own."""
    kind = "PostgreSQL" if is_postgres() else "SQLite"
    access.ensure_built_in_roles()
    with _redis() as url, _checkmarx() as source:
        deployment = deployment_of(environment(Path(tempfile.gettempdir()), "sqlite://", url))
        use(deployment)
        dashboard = _Dashboard(deployment, _synced(deployment, source.url), source.url)
        stored, hanging = dashboard.while_it_hangs()
        report.at_most(f"{kind}: {_PATH} while Checkmarx One hangs, seconds", hanging, MOST_SECONDS, f"{hanging:.2f}")
        asked, calls = dashboard.asked()
        report.add(f"{kind}: {_PATH}, {PROJECTS} projects counted live", f"{asked:.2f} s ({calls} calls)")
        live = dashboard.repeated("live")
        report.at_most(f"{kind}: {_PATH}, live answer kept against stored counts", live / stored, MOST_RATIO,
                       f"{live / stored:.2f} ({live * 1000:.1f} ms)")
    db.close()


@contextmanager
def _redis() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        server = RedisServer(Path(name))
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


def _checkmarx() -> StandInProcess:
    """A stand-in of two tenants, one of which has what is measured."""
    sizes = ["--projects", str(2 * PROJECTS), "--results", str(2 * RESULTS), "--largest", str(RESULTS // 20)]
    return StandInProcess("plugins.checkmarx.upstream", [*sizes, "--port", "0"], {"STANDIN_TOKENS": json.dumps({"northwind": _SECRET})})


def _synced(deployment: Deployment, url: str) -> Customer:
    customer = make_customer("Bench")
    settings = {"url": url, "tenant": "northwind", "client_id": "findings-portal", "client_secret": _SECRET}
    connection = service.configure(deployment, Scope(customer.id), deployment.plugins.connector("checkmarx"), settings, actor="bench")
    run = runs.request_sync(deployment, connection, trigger="command", requested_by="bench")
    engine.execute(deployment, run.id)
    return customer


class _Dashboard:
    """A browser that looks at one customer's figures."""

    def __init__(self, deployment: Deployment, customer: Customer, source: str) -> None:
        app = create_app(replace(SETTINGS, upstream_allow=deployment.settings.upstream_allow), plugins=deployment.plugins,
                         queue=deployment.queue)
        self._client: FlaskClient = signed_in_client(app, "msp_admin", active=customer)
        self._headers = {"x-customer-id": customer.id}
        self._controls = f"{source}/_standin"
        self._memory = redis.Redis.from_url(deployment.settings.redis_url)

    def while_it_hangs(self) -> tuple[float, float]:
        """Seconds of a call that has stored counts, since it is known that the source hangs, and of the one that found out."""
        requests.post(f"{self._controls}/faults", json={"kind": "slow", "seconds": 60}, timeout=5).raise_for_status()
        found_out = seconds(lambda: self._get("stored"))
        return self.repeated("stored"), found_out

    def asked(self) -> tuple[float, int]:
        """Seconds of a call that asks a source which answers, and the calls that this took there."""
        requests.delete(f"{self._controls}/faults", timeout=5).raise_for_status()
        requests.delete(f"{self._controls}/calls", timeout=5).raise_for_status()
        self._memory.flushall()
        spent = seconds(lambda: self._get("live"))
        return spent, sum(requests.get(f"{self._controls}/calls", timeout=5).json().values())

    def repeated(self, used: str) -> float:
        return median([seconds(lambda: self._get(used)) for _ in range(CALLS)])

    def _get(self, used: str) -> None:
        answer = self._client.get(_PATH, headers=self._headers)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert answer.headers[_USED].startswith(f"checkmarx={used}"), answer.headers[_USED]
