"""A deployment for one fault: a SonarQube to pull from, a customer connected to it, real processes, and words to compare both ends."""

import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from flask.testing import FlaskClient

from core import clock
from core.assets.models import Asset
from core.connections.models import UNFINISHED, Connection, Run
from core.db import db
from core.deployment import Deployment
from core.findings import rollups
from core.findings.models import Finding
from core.http import cookies
from core.people import sessions
from core.tenancy.models import Customer
from plugins.sonarqube.upstream import TODAY, Hotspot, Issue, Project, World
from tests.factories import make_user
from tests.servers import Process, Processes, eventually

ISSUES, HOTSPOTS, CATALOG = "issues/search", "hotspots/search", "projects/search"
_REPORTED = ("OPEN", "CONFIRMED", "ACCEPTED", "FALSE_POSITIVE")
_STATE_OF_ISSUE = {"OPEN": "open", "CONFIRMED": "open", "ACCEPTED": "accepted", "FALSE_POSITIVE": "false_positive"}
_STATE_OF_REVIEW = {"": "open", "SAFE": "false_positive", "ACKNOWLEDGED": "accepted", "FIXED": "fixed"}


# -- the source -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it reached the source. ``at``: seconds of the monotonic clock."""

    at: float
    path: str
    query: str


class CallLog:
    """Stands before a stand-in and notes what is asked of it, and when."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.calls: list[Call] = []

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        self.calls.append(Call(time.monotonic(), environ["PATH_INFO"].removeprefix("/api/"), environ["QUERY_STRING"]))
        return self._app(environ, start_response)

    def of(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]


@dataclass
class Sonar:
    """A running stand-in.

    :ivar token: sees everything as an administrator.
    """

    world: World
    url: str
    token: str
    log: CallLog

    @contextmanager
    def held(self, path: str, *, project: str = "", after: int = 0) -> Iterator["Held"]:
        """Let one request wait: the one that comes when ``after`` others have passed. Let go at the latest when the block ends."""
        held = Held(self.world, path, project, after)
        try:
            yield held
        finally:
            held.let_go()

    def forget(self, project: str, number: int) -> None:
        """The first issues of a project are no longer there, as after a correction."""
        del self.world.projects[project].main.issues[:number]
        self.world.changed()


class Held:
    """A request that waits for its answer, so that a test knows for certain where a run is."""

    def __init__(self, world: World, path: str, project: str, after: int) -> None:
        self._gate = threading.Event()
        self._fault = world.faults.add("slow", path=path, about=project, after=after, times=1, gate=self._gate)

    def wait(self) -> None:
        """Return once the request is there."""
        eventually(lambda: self._fault.seen > self._fault.after)

    def let_go(self) -> None:
        self._gate.set()


def project_with(key: str, issues: int, hotspots: int = 0) -> Project:
    """A project with so many open vulnerabilities, a second apart, and hotspots to review."""
    return Project.holding(
        key, [Issue(f"{key}-{number:05}", "java:S2077", impacts=(("SECURITY", "HIGH"),), path=f"src/F{number % 50}.java",
                    line=number + 1, message="Make sure this query is safe.", created=TODAY - (issues - number) * clock.SECOND)
              for number in range(issues)],
        [Hotspot(f"{key}-h{number}", "java:S4790", path="src/Hash.java", line=number + 1, message="Is this hash strong enough?")
         for number in range(hotspots)])


def at_the_source(world: World) -> dict[tuple[str, str], str]:
    """State by project and key of everything that a complete sync brings."""
    found = {}
    for project in world.projects.values():
        found.update({(project.key, issue.key): _STATE_OF_ISSUE[issue.status] for issue in project.main.issues
                      if issue.status in _REPORTED and any(quality == "SECURITY" for quality, _ in issue.impacts)})
        found.update({(project.key, hotspot.key): _STATE_OF_REVIEW[hotspot.resolution] for hotspot in project.main.hotspots})
    return found


# -- the deployment ---------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """One customer's deployment.

    :ivar client: a browser in which an administrator of the customer has signed in, on a web node of this process.
    """

    environ: dict[str, str]
    processes: Processes
    deployment: Deployment
    customer: Customer
    connection: Connection
    client: FlaskClient

    def worker(self) -> Process:
        """A real worker that listens to the queue."""
        return self.processes.worker(self.environ)

    def scheduler(self) -> Process:
        return self.processes.stockade("scheduler", environ=self.environ)

    def ask(self) -> str:
        """Ask for a sync as a person does; the id of its run."""
        answer = self.client.post("/api/integrations/sonarqube/sync")
        assert answer.status_code == 202, answer.get_json()
        return answer.get_json()["run"]["id"]

    def ended(self, run_id: str, within: float = 90.0) -> dict[str, Any]:
        """The run as the API tells it, once it has ended."""
        def run() -> dict[str, Any] | None:
            told = self.client.get(f"/api/runs/{run_id}").get_json()
            return None if told["state"] in UNFINISHED else told
        return eventually(run, within=within)

    def sync(self) -> dict[str, Any]:
        """One run from its request to its end, done by whatever worker there is."""
        return self.ended(self.ask())

    def stored(self) -> dict[tuple[str, str], str]:
        """What the source said last, by project and key, of every finding of a living asset; fails when one is there twice."""
        with db.connection_context():
            rows = list(Finding.select(Asset.external_key, Finding.source_key, Finding.source_state)
                        .join(Asset, on=Finding.asset_id == Asset.id)
                        .where(Finding.customer_id == self.customer.id, Asset.pruned_at.is_null()).tuples())
        states = {(project, key): state for project, key, state in rows}
        assert len(states) == len(rows)
        return states

    def open_or_dismissed(self) -> dict[tuple[str, str], str]:
        """``stored`` without what has been closed."""
        return {key: state for key, state in self.stored().items() if state != "gone"}

    def closed(self) -> set[tuple[str, str]]:
        return {key for key, state in self.stored().items() if state == "gone"}

    def health(self) -> tuple[str, str]:
        """How the connection fares, and the code of the reason."""
        health = self.client.get("/api/integrations/sonarqube").get_json()["connection"]["health"]
        return health["state"], health["code"]

    def let_pass(self, run_id: str, *, seconds: int) -> None:
        """Make a run as old as if it had waited that much longer already."""
        with db.connection_context():
            Run.update(requested_at=Run.requested_at - seconds * clock.SECOND).where(Run.id == run_id).execute()


class Web:
    """A real web server. Its port outlives it, so that it is found again after a restart.

    :ivar url: where it answers.
    """

    def __init__(self, site: Site, listener: socket.socket) -> None:
        self._site, self._listener = site, listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.start()

    def start(self) -> None:
        number = self._listener.fileno()
        self.process = self._site.processes.start([sys.executable, "-m", "core.runtime", "serve", "--fd", str(number)],
                                                  self._site.environ, pass_fds=(number,))
        assert requests.get(f"{self.url}/health/live", timeout=20).ok, self.process.output

    def browser(self) -> requests.Session:
        """An MSP administrator who has signed in, looking at the site's customer."""
        with db.connection_context():
            token = sessions.begin(make_user("msp_admin").id, self._site.deployment.settings)
        browser = requests.Session()
        browser.cookies.set(cookies.session_cookie_name(self._site.deployment.settings), token)
        browser.headers.update({"Origin": self.url})
        answer = browser.put(f"{self.url}/api/session/customer", json={"customerId": self._site.customer.id}, timeout=10)
        assert answer.status_code == 200, answer.text
        return browser


def totals_are_right() -> bool:
    with db.connection_context():
        return rollups.check() == []
