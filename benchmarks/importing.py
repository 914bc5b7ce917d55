"""What an uploaded report costs: 10,000 findings through HTTP to a real ``stockade serve``, until all can be seen; and its memory over a
report of 100 MB."""

import json
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import requests

from benchmarks.report import Report
from core import db
from core.access import service as access
from core.db import schema
from core.findings import rollups
from core.findings.models import Finding
from tests.factories import bearer, make_customer, make_token, make_user
from tests.processes import environment
from tests.servers import Processes, RedisServer, eventually, start_postgres

FINDINGS = 10_000
LEAST_PER_SECOND = 5_000
LARGE = 100_000_000  # bytes
MOST_MEMORY = 300_000_000  # bytes
ROUNDS = 3
_MEBIBYTE = 1024 * 1024


def measure(report: Report) -> None:
    """On both databases, each with a server of its own, which has one process for requests."""
    with tempfile.TemporaryDirectory() as name:
        files = {"SARIF": _written(Path(name) / "shop.sarif", sarif(FINDINGS)),
                 "Snyk CLI JSON": _written(Path(name) / "shop.json", snyk(FINDINGS))}
        large = _written(Path(name) / "large.sarif", sarif(LARGE // _size_of_a_result()))
        for kind in ("SQLite", "PostgreSQL"):
            with serving(kind) as server:
                for title, path in files.items():
                    _measure_speed(report, f"{kind}: {title} of {path.stat().st_size / 1e6:.0f} MB", server, path)
                _measure_memory(report, kind, server, large)


def _measure_speed(report: Report, what: str, server: "Server", path: Path) -> None:
    first = median(server.seconds(path, f"{path.name} {number}", FINDINGS) for number in range(ROUNDS))
    again = median(server.seconds(path, f"{path.name} {number}", FINDINGS) for number in range(ROUNDS))
    report.at_least(f"{what}, {FINDINGS:,} findings through HTTP, each second", FINDINGS / first, LEAST_PER_SECOND,
                    f"{FINDINGS / first:,.0f} ({first:.2f} s)")
    report.add(f"{what}, the same once more", f"{FINDINGS / again:,.0f} ({again:.2f} s)")


def _measure_memory(report: Report, kind: str, server: "Server", path: Path) -> None:
    """In a server of its own age: what the smaller reports took is in the peak as well, and far below."""
    number = LARGE // _size_of_a_result()
    seconds = server.seconds(path, path.name, number)
    report.at_most(f"{kind}: peak memory of the serving process, MB, SARIF of {path.stat().st_size / 1e6:.0f} MB", server.peak / 1e6,
                   MOST_MEMORY / 1e6, f"{server.peak / 1e6:.0f} ({seconds:.0f} s, {number / seconds:,.0f}/s)")


# -- a server -------------------------------------------------------------------------------------------------------------------


class Server:
    """A real ``stockade serve`` with a customer and a token of a build."""

    def __init__(self, url: str, pid: int) -> None:
        self._url = url
        self._pid = pid
        customer = make_customer("Bench")
        user = make_user("customer_admin", customer=customer)
        self._headers = {**bearer(make_token(user)), "x-customer-id": customer.id}
        self._session = requests.Session()

    def seconds(self, path: Path, asset: str, findings: int) -> float:
        """From the first byte sent until the portal's figures and the listing have every finding of the report."""
        known = Finding.select().count()
        start = time.perf_counter()
        with path.open("rb") as file:
            answer = self._session.post(f"{self._url}/api/imports", params={"asset": asset}, data=file, headers=self._headers, timeout=600)
        total = self._get("/api/manage-assets")["applicationCodeSecurity"]["total"]
        self._get("/api/findings?limit=100")
        spent = time.perf_counter() - start
        assert answer.status_code == 201, answer.text
        counts = answer.json()["run"]["counts"]
        assert counts["added"] + counts["unchanged"] == findings, counts
        assert total == known + counts["added"] == Finding.select().count()
        return spent

    def _get(self, path: str) -> Any:
        answer = self._session.get(self._url + path, headers=self._headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def peak(self) -> int:
        """The largest resident memory that the process which answers requests had, in bytes, as Linux keeps it."""
        (worker,) = psutil.Process(self._pid).children()
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024


@contextmanager
def serving(kind: str) -> Iterator[Server]:
    """A deployment on this database, with nothing in it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = RedisServer(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        environ = environment(folder, _database(kind, folder, stack), redis.url)
        opened = db.configure(environ["STOCKADE_DATABASE_URL"])
        stack.callback(opened.close_all)
        schema.upgrade()
        access.ensure_built_in_roles()
        processes = Processes(folder)
        stack.callback(processes.end)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = processes.stockade("serve", "--port", str(port), environ=environ)
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(url))
        yield Server(url, process.pid)
        assert rollups.check() == []


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/live", timeout=20).ok
    except requests.ConnectionError:
        return False


def _database(kind: str, folder: Path, stack: ExitStack) -> str:
    if kind == "SQLite":
        return f"sqlite:///{folder / 'bench.sqlite3'}"
    server = start_postgres()
    stack.callback(server.stop)
    server.run("CREATE DATABASE bench")
    return server.url("bench")


# -- reports, each finding of the size that the tools' own have ------------------------------------------------------------------


def _written(path: Path, pieces: Iterator[str]) -> Path:
    with path.open("w") as file:
        file.writelines(pieces)
    return path


def sarif(results: int) -> Iterator[str]:
    """SARIF of a code scanner: a quarter of the results with a data flow."""
    rules = [{"id": f"java/rule-{number}", "shortDescription": {"text": f"Fault number {number}"}, "help": {"text": "Mend it. " * 40},
              "properties": {"tags": ["security", f"external/cwe/cwe-{number + 20}"], "security-severity": f"{number % 10}.5"}}
             for number in range(60)]
    yield f'{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "Scanner", "rules": {json.dumps(rules)}}}}}, "results": ['
    yield from _listed(results, _result)
    yield "]}]}"


def _result(number: int) -> dict[str, Any]:
    rule = number % 60
    return {"ruleId": f"java/rule-{rule}", "ruleIndex": rule, "level": "error",
            "message": {"text": "Unsanitized input from [the HTTP request body](0) [flows](1) into [query](2), where it is used."},
            "locations": [_location(number)], "partialFingerprints": {"primaryLocationLineHash": f"{number:016x}:1"},
            "codeFlows": [{"threadFlows": [{"locations": [{"location": _location(number + step)} for step in range(12)]}]}]
            if number % 4 == 0 else []}


def _location(number: int) -> dict[str, Any]:
    artifact = {"uri": f"src/main/java/acme/billing/Invoice{number % 300}Dao.java", "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": artifact,
                                 "region": {"startLine": number % 900 + 1, "startColumn": 22, "endColumn": 27}}}


def _size_of_a_result() -> int:
    return sum(len(json.dumps(_result(number))) + 2 for number in range(1000)) // 1000


def snyk(vulnerabilities: int) -> Iterator[str]:
    """``snyk test --json``, whose every vulnerability has its advisory's whole text."""
    yield '{"vulnerabilities": ['
    yield from _listed(vulnerabilities, _vulnerability)
    yield '], "ok": false, "dependencyCount": 900, "packageManager": "maven", "projectName": "acme:shop", "displayTargetFile": "pom.xml"}'


def _vulnerability(number: int) -> dict[str, Any]:
    package, way = f"org.acme.part{number // 10}:library", [f"org.acme:step-{step}@1.{step}.0" for step in range(4)]
    return {"id": f"SNYK-JAVA-ORGACME-{number:07d}", "CVSSv3": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:L", "cvssScore": 5.6,
            "title": "Unsafe Dependency Resolution", "severity": ("low", "medium", "high", "critical")[number % 4],
            "severityWithCritical": ("low", "medium", "high", "critical")[number % 4], "creationTime": "2024-05-29T13:04:45.907245Z",
            "description": "## Overview\n" + "Affected versions of this package resolve dependencies over an insecure channel. \n" * 28,
            "identifiers": {"CVE": [f"CVE-2024-{number + 10000}"], "CWE": ["CWE-829", "CWE-494"]}, "semver": {"vulnerable": ["[,1.75)"]},
            "references": [{"title": "GitHub Commit", "url": f"https://github.example/acme/commit/{number:040x}"}] * 3,
            "packageName": package, "moduleName": package, "name": package, "version": "1.74", "packageManager": "maven",
            "from": ["acme:shop@1.0.0", *way, f"{package}@1.74"], "upgradePath": [False, "org.acme:step-0@1.1.0"], "isUpgradable": True,
            "isPatchable": False, "fixedIn": ["1.75"], "epssDetails": {"probability": "0.00043", "percentile": "0.1"}}


def _listed(number: int, made: Callable[[int], dict[str, Any]]) -> Iterator[str]:
    for index in range(number):
        yield (", " if index else "") + json.dumps(made(index))
