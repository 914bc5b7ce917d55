"""What a dashboard costs, through the whole app in process: signed-in session, gate, kernel, JSON."""

from collections.abc import Callable
from dataclasses import replace

import peewee
from flask.testing import FlaskClient

from benchmarks import worlds
from benchmarks.report import Report, median, p95, seconds
from core.access import service as access
from core.app import create_app
from core.db import db, is_postgres
from core.hooks.manager import Plugins
from core.tenancy.models import Customer
from tests.factories import SETTINGS, signed_in_client

SMALL, LARGE = 10_000, 1_000_000
CALLS = 60
MOST_STATEMENTS = 8
DASHBOARDS = {"GET /api/manage-assets": "/api/manage-assets", "GET /api/dashboard/overview": "/api/dashboard/overview"}
FIRST_PAGE = "/api/findings"


def measure(report: Report) -> None:
    """The same requests of two customers, one with 10,000 findings and one with 1,000,000, called in turn."""
    kind = "PostgreSQL" if is_postgres() else "SQLite"
    access.ensure_built_in_roles()
    for customer_id, findings in (("cus_small", SMALL), ("cus_large", LARGE)):
        worlds.portfolio(customer_id, findings)
    db.execute_sql("ANALYZE")
    app = create_app(SETTINGS, plugins=Plugins.load(replace(SETTINGS)))
    clients = {customer_id: signed_in_client(app, "msp_admin", active=Customer.get_by_id(customer_id))
               for customer_id in ("cus_small", "cus_large")}
    for what, path in DASHBOARDS.items():
        small, large = _timed(clients, path)
        report.at_most(f"{kind}: {what}, {LARGE:,} against {SMALL:,} findings", median(large) / median(small), 1.5,
                       f"{median(large) / median(small):.2f} ({median(large) * 1000:.1f} ms)")
        report.at_most(f"{kind}: {what}, p95 at {LARGE:,} findings, ms", p95(large) * 1000, 25, f"{p95(large) * 1000:.1f}")
        number = _statements(lambda path=path: _get(clients["cus_large"], path, "cus_large"))
        report.at_most(f"{kind}: {what}, statements", number, MOST_STATEMENTS, str(number))
    small, large = _timed(clients, FIRST_PAGE)
    report.at_most(f"{kind}: first page of GET /api/findings, {LARGE:,} against {SMALL:,}", median(large) / median(small), 2,
                   f"{median(large) / median(small):.2f} ({median(large) * 1000:.1f} ms)")
    db.close()


def _timed(clients: dict[str, FlaskClient], path: str) -> list[list[float]]:
    """Seconds of each call, by customer; called in turn, so that what else the machine does weighs on all alike."""
    taken: dict[str, list[float]] = {customer_id: [] for customer_id in clients}
    for number in range(CALLS + 3):
        for customer_id, client in clients.items():
            spent = seconds(lambda client=client, customer_id=customer_id: _get(client, path, customer_id))
            if number >= 3:  # the first ones warm up
                taken[customer_id].append(spent)
    return list(taken.values())


def _get(client: FlaskClient, path: str, customer_id: str) -> None:
    answer = client.get(path, headers={"x-customer-id": customer_id})
    assert answer.status_code == 200, answer.get_data(as_text=True)


def _statements(work: Callable[[], None]) -> int:
    executed: list[peewee.QueryEvent] = []
    db.query_hooks.append(executed.append)
    try:
        work()
    finally:
        db.query_hooks.remove(executed.append)
    return len(executed)
