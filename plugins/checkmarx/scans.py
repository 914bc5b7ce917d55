"""Which scan speaks for which engine of a project.

A scan need not run every engine, and one engine may fail while the others finish. So for each engine the newest scan counts in
which this engine completed, on the project's main branch unless no scan of that is told: results of an older SCA scan stay when
today's scan ran SAST alone, and a failed engine closes nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core import clock
from plugins.checkmarx.client import CheckmarxClient
from plugins.checkmarx.listings import Record

T = TypeVar("T")
PROJECTS_AT_ONCE = 100
API_SECURITY = "apisec"
_SETTLED = ("completed", "partial")
_SUPPLY_CHAIN = "sscs-"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine.

    :ivar types: types of the results that it gives.
    :ivar counters: where a scan's summary counts them.
    """

    name: str
    types: frozenset[str]
    counters: tuple[str, ...]


ENGINES = (
    Engine("sast", frozenset({"sast"}), ("sastCounters",)),
    Engine("sca", frozenset({"sca", "sca-container"}), ("scaCounters", "scaContainersCounters")),
    Engine("kics", frozenset({"kics"}), ("kicsCounters",)),
    Engine("containers", frozenset({"containers"}), ("containersCounters",)),
    Engine("microengines", frozenset({"sscs-secret-detection", "sscs-scorecard"}), ("microEnginesCounters",)),
    Engine(API_SECURITY, frozenset(), ("apiSecCounters",)),
)
_ENGINE_OF = {kind: engine.name for engine in ENGINES for kind in engine.types}


@dataclass(frozen=True, slots=True)
class Scan:
    """A finished scan; ``created_at`` in milliseconds."""

    id: str
    branch: str = ""
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class ProjectScans:
    """The scans that speak for a project, by engine; none when no scan of it was ever finished."""

    by_engine: Mapping[str, Scan] = field(default_factory=dict)

    @property
    def newest(self) -> Scan | None:
        return max(self.by_engine.values(), key=lambda scan: (scan.created_at, scan.id), default=None)

    @property
    def to_read(self) -> list[str]:
        """Ids of the scans whose results have to be read, each once, in the order of the engines."""
        return list(dict.fromkeys(scan.id for engine, scan in self.by_engine.items() if engine != API_SECURITY))

    def speaks(self, scan: str, kind: str) -> bool:
        """Whether this scan speaks for results of this type; for a type that is not known yet, the newest scan does."""
        engine = "microengines" if kind.startswith(_SUPPLY_CHAIN) else _ENGINE_OF.get(kind)
        chosen = self.newest if engine is None else self.by_engine.get(engine)
        return chosen is not None and chosen.id == scan


def latest(client: CheckmarxClient, projects: Sequence[str], engines: Iterable[Engine] = ENGINES) -> dict[str, ProjectScans]:
    """The scans that speak for each of these projects, at most ``PROJECTS_AT_ONCE``."""
    chosen = list(engines)
    found = _by_project(client, projects, chosen, on_main=True)
    missing = [key for key, scans in found.items() if not scans.by_engine]
    elsewhere = sorted(client.last_scans(missing, on_main=False)) if missing else []
    return found | _by_project(client, elsewhere, chosen, on_main=False) if elsewhere else found


def _by_project(client: CheckmarxClient, projects: Sequence[str], engines: Iterable[Engine], *, on_main: bool) -> dict[str, ProjectScans]:
    found: dict[str, dict[str, Scan]] = {key: {} for key in projects}
    for engine in engines:
        for key, scan in of_engine(client, projects, engine, on_main=on_main).items():
            found[key][engine.name] = scan
    return {key: ProjectScans(by_engine) for key, by_engine in found.items()}


def of_engine(client: CheckmarxClient, projects: Sequence[str], engine: Engine, *, on_main: bool = True) -> dict[str, Scan]:
    """The scan that speaks for this engine, of each project that has one.

    :param on_main: on the main branch; see ``CheckmarxClient.last_scans``.
    """
    completed = {f"{engine.name}_status": "Completed"}
    told = client.last_scans(projects, on_main=on_main, **completed)
    # while a scan runs, its first engines are completed already, but its results are not published yet
    running = [key for key, scan in told.items() if str(scan.get("status")).lower() not in _SETTLED]
    if running:
        told = {key: scan for key, scan in told.items() if key not in running}
        told |= client.last_scans(running, on_main=on_main, scan_status="Completed", **completed)
    return {key: _scan(record) for key, record in told.items() if _ran(record, engine.name)}


def _ran(scan: Record, engine: str) -> bool:
    """Whether the engine took part, as far as the scan says. Its list of engines is sometimes a JSON text."""
    engines = scan.get("engines")
    if isinstance(engines, str):
        try:
            engines = json.loads(engines)
        except ValueError:
            engines = engines.split(",")
    return not isinstance(engines, list) or not engines or engine in {str(name).strip().lower() for name in engines}


def _scan(record: Record) -> Scan:
    created = record.get("createdAt")
    return Scan(str(record["id"]), str(record.get("branch") or ""), clock.from_iso(created) if created else 0)


def chunks(entries: Iterable[T], size: int) -> Iterator[list[T]]:
    """The entries in lists of at most this size."""
    chunk: list[T] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def counted(summary: Record, engine: Engine) -> int:
    """How many results of an engine a scan's summary counts, dismissed ones included and fixed ones left out."""
    return sum(sum(by_severity(counters).values()) for counters in counters_of(summary, engine))


def counters_of(summary: Record, engine: Engine) -> list[Record]:
    """The blocks of a summary that count an engine's results; engines that did not run have empty ones, or none."""
    return [counters for counters in (summary.get(name) for name in engine.counters) if isinstance(counters, dict)]


def by_severity(counters: Record) -> dict[str, int]:
    """Results by severity, as it is spelled. Of two lists the one counts that never holds fixed results, if it is filled."""
    rows = (counters.get("severityStatusCounters") or counters.get("severityCounters")
            or counters.get("severityVulnerabilitiesCounters") or ())
    found: dict[str, int] = {}
    for row in rows:
        found[str(row["severity"])] = found.get(str(row["severity"]), 0) + int(row["counter"])
    return found


def states(summary: Record, engine: Engine) -> Iterator[str]:
    """The states that an engine's results are in, as they are spelled. Where they are not told they may be dismissed as well."""
    for counters in counters_of(summary, engine):
        rows = counters.get("stateCounters") or counters.get("stateVulnerabilitiesCounters")
        if rows:
            yield from (str(row["state"]) for row in rows if row.get("counter"))
        elif by_severity(counters):
            yield "NOT_EXPLOITABLE"


def is_second_view(risk: Record, found: ProjectScans) -> bool:
    """Whether an API risk is a SAST result seen from the API, which is counted there."""
    return bool(risk.get("sast_risk_id")) and "sast" in found.by_engine
