"""How many HTTP requests a pull takes, by source: one customer with some 10,000 findings in 50 projects, pulled from each stand-in."""

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.report import Report
from core import db
from core.access import service as access
from core.assets.models import Asset
from core.connections import engine, runs, service
from core.connections.models import Run
from core.db import schema
from core.deployment import Deployment
from core.findings.models import Finding
from core.hooks.contracts import StandIn
from core.scope import Scope
from core.tenancy import service as tenancy
from core.testing.standin import StandInProcess
from tests.processes import deployment_of, environment

#: what each stand-in holds of two customers, one of whom is pulled
SIZES: Mapping[str, Sequence[str]] = {
    "sonarqube": ("--projects", "100", "--issues", "20000", "--largest", "2000"),
    "snyk": ("--projects", "100", "--issues", "20000"),
    "checkmarx": ("--projects", "100", "--results", "20000", "--largest", "2000"),
}


def measure(report: Report) -> None:
    """On SQLite: what is asked of a source does not depend on the database. Rules and projects are among the requests."""
    with tempfile.TemporaryDirectory() as folder:
        database = db.configure(f"sqlite:///{Path(folder) / 'bench.sqlite3'}")
        schema.upgrade()
        access.ensure_built_in_roles()
        deployment = deployment_of(environment(Path(folder), f"sqlite:///{Path(folder) / 'bench.sqlite3'}", "redis://127.0.0.1:1/0"))
        for offered in deployment.plugins.stand_ins():
            if deployment.plugins.is_of_house(offered.source):
                continue  # has no findings
            run = _pulled(deployment, offered)
            findings = Finding.select().where(Finding.customer_id == run.customer_id).count()
            assets = Asset.select().where(Asset.customer_id == run.customer_id).count()
            requests = run.counts["requests"]
            report.add(f"{offered.source}: HTTP requests per 10,000 findings", f"{requests / findings * 10_000:.0f}"
                       f" ({requests}: {findings:,} in {assets})")
        database.close_all()


def _pulled(deployment: Deployment, offered: StandIn) -> Run:
    tokens = [offered.token_prefix + secrets.token_hex(20) for _ in range(2)]
    arguments = [*offered.arguments, *SIZES[offered.source], "--port", "0"]
    with StandInProcess(offered.module, arguments, dict(offered.environ(tokens))) as source:
        scope = Scope(tenancy.create(offered.source, actor="bench").id)
        settings = offered.settings(source.url, tokens[0], 0)
        connection = service.configure(deployment, scope, deployment.plugins.connector(offered.source), settings, actor="bench")
        run = runs.recorded(scope.customer_id, connection.id, connection.source, trigger="command", requested_by="bench")
        assert run is not None
        engine.execute(deployment, run.id)
    run = Run.get_by_id(run.id)
    assert run.state == "succeeded", run.reason
    return run
