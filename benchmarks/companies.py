"""What a search costs among 50,000 companies against 500, through the whole app in process; and keeping so many in step."""

import random
from collections.abc import Iterator, Sequence

import peewee
from flask.testing import FlaskClient

from benchmarks.report import Report, median, seconds
from core.access import service as access
from core.app import create_app
from core.db import atomic, db, is_postgres
from core.hooks.contracts import HouseRun
from core.hooks.manager import Plugins
from plugins.connectwise.mapper import Company
from plugins.connectwise.models import CwCompany
from plugins.connectwise.storing import BATCH, Store
from tests.factories import SETTINGS, signed_in_client

FEW, MANY = 500, 50_000
CALLS = 40
MOST_STATEMENTS = 60  # for a thousand companies, from the listing to their customers
_FIRST = ("nor", "con", "acme", "blue", "fjell", "vest", "ocean", "alpha", "delta", "sol", "tech", "micro", "gran", "inter")
_SECOND = ("wind", "toso", "soft", "berg", "data", "line", "ware", "care", "net", "lab")
_FORMS = ("AS", "Inc", "GmbH", "Ltd", "Group", "Holding")
#: what is typed, by how much of it there is
SEARCHES = {"one company": "000042", "a tenth of all": "soft", "nothing": "quixotic", "everything": ""}


class _Run:
    """A run that nobody else has."""

    id, keys, actor, webhook_url = "run_bench", None, "sync:connectwise", ""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def claim(self, **progress: object) -> None:
        """It is always ours."""

    def note_problem(self, asset: str, problem: object) -> None:
        raise AssertionError(problem)


def measure(report: Report) -> None:
    """The first page with and without a search, as MSP staff, of 500 companies and then of 50,000."""
    kind = "PostgreSQL" if is_postgres() else "SQLite"
    access.ensure_built_in_roles()
    app = create_app(SETTINGS, plugins=Plugins.load(SETTINGS))
    client, companies = signed_in_client(app, "msp_admin"), _companies()
    taken: dict[str, list[list[float]]] = {what: [] for what in SEARCHES}
    for number in (FEW, MANY - FEW):
        _kept(report, kind, [next(companies) for _ in range(number)])
        db.execute_sql("ANALYZE")
        for what, search in SEARCHES.items():
            taken[what].append([seconds(lambda search=search: _page(client, search)) for _ in range(CALLS + 3)][3:])
    for what, (few, many) in taken.items():
        ratio = median(many) / median(few)
        report.at_most(f"{kind}: GET /v1/company/companies, search for {what}, {MANY:,} against {FEW}", ratio, 3,
                       f"{ratio:.2f} ({median(many) * 1000:.1f} ms)")
    assert CwCompany.select().where(CwCompany.customer_id.is_null(False)).count() == MANY
    db.close()


def _companies() -> Iterator[Company]:
    chance, number = random.Random(7), 0  # noqa: S311 - made-up companies
    while True:
        number += 1
        name = f"{chance.choice(_FIRST)}{chance.choice(_SECOND)} {chance.choice(_FIRST)} {number:06} {chance.choice(_FORMS)}".title()
        data = {"status": "Active", "types": ["Customer"], "address": {"city": "Tromsø"}}
        yield Company(number, name.replace(" ", ""), name, data, number, False)


def _kept(report: Report, kind: str, companies: Sequence[Company]) -> None:
    """Store these and make customers of them, as the first sync does."""
    executed: list[peewee.QueryEvent] = []
    db.query_hooks.append(executed.append)
    spent = seconds(lambda: _stored(companies, _Run()))
    db.query_hooks.remove(executed.append)
    if len(companies) > BATCH:
        each = len(executed) / (len(companies) / BATCH)
        report.at_most(f"{kind}: {len(companies):,} companies become customers, statements for each thousand", each, MOST_STATEMENTS,
                       f"{each:.1f} ({len(companies) / spent:,.0f} companies/s)")


def _stored(companies: Sequence[Company], run: HouseRun) -> None:
    store = Store("bench", run.actor, True, run.counts)
    for start in range(0, len(companies), BATCH):
        with atomic():
            store.write_companies(companies[start:start + BATCH])
    store.match(True, run)


def _page(client: FlaskClient, search: str) -> None:
    answer = client.get("/v1/company/companies", query_string={"search": search})
    assert answer.status_code == 200, answer.get_data(as_text=True)
