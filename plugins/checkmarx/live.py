"""Open counts of projects as Checkmarx One counts them now, from as few calls as that takes.

Six calls, one for each engine, find the scans of a hundred projects; one call sums up fifty scans. The sums hold results that
somebody dismissed, so that a scan with such results costs one call more, as does one with API risks, whose sums hold
SAST results a second time. What these calls answer holds as long as the sums of the scan stay as they are, and is remembered.
Calls that need not wait for one another are made at once.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from core.hooks.contracts import LiveCounts, Severity, SourceState, UpstreamMaker
from core.hooks.failures import ConnectorError, UpstreamUnavailable
from plugins.checkmarx import mapper, scans
from plugins.checkmarx.client import CheckmarxClient
from plugins.checkmarx.listings import Record
from plugins.checkmarx.login import Login
from plugins.checkmarx.readings import is_dismissed, is_open, severity_of, state_of
from plugins.checkmarx.scans import API_SECURITY, ENGINES, Engine, ProjectScans, Scan
from plugins.checkmarx.settings import account_of

_SCANS_AT_ONCE = 50
_CALLS_AT_ONCE = 6
_REMEMBERED, _REMEMBERED_SECONDS = 5_000, 600.0
T = TypeVar("T")


class CheckmarxLive:
    """Live totals of projects; see ``core.hooks.contracts.LiveTotals``. DAST has no sums to ask for, so its stored counts stay."""

    source = "checkmarx"

    def __init__(self) -> None:
        self._memory = Memory()

    def totals(self, settings: Mapping[str, Any], upstream: UpstreamMaker, asset_keys: Sequence[str],
               seconds: float) -> Mapping[str, LiveCounts]:
        """Open counts by project, of those that were counted in time. Projects that no scan speaks for are left out.

        A call that hangs is left behind when the time is up; it ends by the timeouts of the clients that ``upstream`` makes.

        :raises ConnectorError: when nothing was counted because something failed or took too long.
        """
        client = CheckmarxClient(Login(upstream, account_of(settings)))
        engines = [engine for engine in ENGINES if settings.get("include_api_security", True) or engine.name != API_SECURITY]
        projects = [key for key in asset_keys if not mapper.environment_of(key)]
        with _Race(seconds) as race:
            return _Count(client, engines, race, self._memory).of(projects)


class Memory:
    """What sums of scans were corrected by, for a while. Shared by all customers: its keys hold the scan and all its sums, and no
    secret is in it.

    :param now: seconds of a clock that only goes forward.
    """

    def __init__(self, most: int = _REMEMBERED, seconds: float = _REMEMBERED_SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._now = most, seconds, now
        self._lock = threading.Lock()
        self._known: dict[Hashable, tuple[float, Counter[Severity]]] = {}

    def get(self, key: Hashable) -> Counter[Severity] | None:
        with self._lock:
            at, counts = self._known.get(key, (0.0, None))
            return counts if counts is not None and self._now() - at < self._seconds else None

    def keep(self, key: Hashable, counts: Counter[Severity]) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = self._now(), counts
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]  # the one that was kept first


class _Race:
    """Makes calls at once until the time is up. Remembers the first failure."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="checkmarx-live")
        self.failure: ConnectorError | None = None

    def __enter__(self) -> "_Race":
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def each(self, ask: Callable[..., T], entries: Iterable[Any]) -> Iterator[tuple[Any, T]]:
        """Each entry with its answer, as answers come; entries that failed or came too late are left out."""
        asked: dict[Future[T], Any] = {self._pool.submit(ask, entry): entry for entry in entries}
        pending = set(asked)
        while pending:
            done, pending = wait(pending, max(0.0, self._end - time.monotonic()), FIRST_COMPLETED)
            if not done:
                self.failure = self.failure or UpstreamUnavailable(f"Checkmarx One did not answer within {self._seconds:g} seconds")
                return
            for future in done:
                try:
                    answer = future.result()
                except ConnectorError as problem:
                    self.failure = self.failure or problem
                else:
                    yield asked[future], answer


@dataclass(frozen=True, slots=True)
class _Correction:
    """Something that the sums of a scan cannot tell and that is asked for by itself.

    :ivar sums: stands for all that the sums of the scan say; as long as they say the same, the answer is the same.
    :ivar states: the states in which results are dismissed, as the scan spells them; none when it is about API risks.
    """

    project: str
    scan: str
    sums: int
    states: tuple[str, ...] = ()


class _Count:
    """Counts what is open in some projects."""

    def __init__(self, client: CheckmarxClient, engines: Sequence[Engine], race: _Race, memory: Memory) -> None:
        self._client, self._engines, self._race, self._memory = client, engines, race, memory

    def of(self, projects: Sequence[str]) -> dict[str, LiveCounts]:
        signed_in = list(self._race.each(lambda login: login.api(), [self._client.login]))  # first, so that one token serves all calls
        counted = self._counted(self._scans(projects)) if signed_in else {}
        if not counted and self._race.failure is not None:
            raise self._race.failure
        return {key: LiveCounts(**{severity.name.lower(): counts[severity] for severity in Severity}) for key, counts in counted.items()}

    def _scans(self, projects: Sequence[str]) -> dict[str, ProjectScans]:
        """The scans that speak for each project that has any, as ``scans.latest`` chooses them."""
        found = self._by_project(projects, on_main=True)
        missing = [project for project, told in found.items() if not told.by_engine]
        elsewhere = [project for _, told in self._race.each(lambda chunk: self._client.last_scans(chunk, on_main=False),
                                                            list(scans.chunks(missing, scans.PROJECTS_AT_ONCE))) for project in told]
        found |= self._by_project(elsewhere, on_main=False)
        return {project: told for project, told in found.items() if told.by_engine}

    def _by_project(self, projects: Sequence[str], *, on_main: bool) -> dict[str, ProjectScans]:
        """The scans of each project of which every engine was told in time."""
        asked = [(engine, chunk) for chunk in scans.chunks(projects, scans.PROJECTS_AT_ONCE) for engine in self._engines]
        told: dict[str, dict[str, Scan]] = {project: {} for project in projects}
        answers = Counter[str]()
        for (engine, chunk), found in self._race.each(lambda pair: scans.of_engine(self._client, pair[1], pair[0], on_main=on_main), asked):
            answers.update(chunk)
            for project, scan in found.items():
                told[project][engine.name] = scan
        return {project: ProjectScans(by_engine) for project, by_engine in told.items() if answers[project] == len(self._engines)}

    def _counted(self, found: Mapping[str, ProjectScans]) -> dict[str, Counter[Severity]]:
        summaries = self._summaries(sorted({scan.id for told in found.values() for scan in told.by_engine.values()}))
        counted = {project: _summed(told, self._engines, summaries) for project, told in found.items()
                   if all(scan.id in summaries for scan in told.by_engine.values())}
        needed = [need for project in counted for need in _corrections(project, found[project], self._engines, summaries)]
        missing = Counter(need.project for need in needed)
        for need, counts in self._corrected(needed, found):
            counted[need.project].update(counts)
            missing[need.project] -= 1
        return {project: counts for project, counts in counted.items() if not missing[project]}

    def _corrected(self, needed: Iterable[_Correction],
                   found: Mapping[str, ProjectScans]) -> Iterator[tuple[_Correction, Counter[Severity]]]:
        """Each correction with what to add to the project's counts, remembered or asked for; those not told in time are left out."""
        asked = []
        for need in needed:
            counts = self._memory.get(self._key(need, found))
            if counts is None:
                asked.append(need)
            else:
                yield need, counts
        for need, counts in self._race.each(lambda need: self._asked(need, found[need.project]), asked):
            self._memory.keep(self._key(need, found), counts)
            yield need, counts

    def _key(self, need: _Correction, found: Mapping[str, ProjectScans]) -> Hashable:
        engines = frozenset(engine for engine, scan in found[need.project].by_engine.items() if scan.id == need.scan)
        return self._client.base, need.scan, engines, need.states, need.sums

    def _summaries(self, wanted: Sequence[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for _, told in self._race.each(self._client.summaries, list(scans.chunks(wanted, _SCANS_AT_ONCE))):
            found |= told
        return found

    def _asked(self, need: _Correction, found: ProjectScans) -> Counter[Severity]:
        """What to add to a project's counts; negative numbers for what the sums hold too much of."""
        counts = Counter[Severity]()
        if need.states:
            for record in self._client.results(need.scan, need.states):
                if state_of(record) is SourceState.FALSE_POSITIVE and found.speaks(need.scan, str(record.get("type") or "")):
                    counts[severity_of(record.get("severity"))] -= 1
        else:
            for risk in self._client.api_risks(need.scan):
                if is_open(risk) and not scans.is_second_view(risk, found):
                    counts[severity_of(risk.get("severity"))] += 1
        return counts


def _summed(found: ProjectScans, engines: Iterable[Engine], summaries: Mapping[str, Record]) -> Counter[Severity]:
    """What the sums say of a project, dismissed results included, API risks left out."""
    counts = Counter[Severity]()
    for engine, summary in _spoken(found, engines, summaries):
        if engine.name != API_SECURITY:
            for counters in scans.counters_of(summary, engine):
                for severity, number in scans.by_severity(counters).items():
                    counts[severity_of(severity)] += number
    return counts


def _corrections(project: str, found: ProjectScans, engines: Iterable[Engine], summaries: Mapping[str, Record]) -> Iterator[_Correction]:
    dismissed: dict[str, set[str]] = {}
    for engine, summary in _spoken(found, engines, summaries):
        scan = found.by_engine[engine.name].id
        if engine.name == API_SECURITY:
            if scans.counted(summary, engine):
                yield _Correction(project, scan, _mark(summary))
        else:
            dismissed.setdefault(scan, set()).update(filter(is_dismissed, scans.states(summary, engine)))
    for scan, states in dismissed.items():
        if states:
            yield _Correction(project, scan, _mark(summaries[scan]), tuple(sorted(states)))


def _mark(summary: Record) -> int:
    return hash(repr(summary))


def _spoken(found: ProjectScans, engines: Iterable[Engine], summaries: Mapping[str, Record]) -> Iterator[tuple[Engine, Record]]:
    """Each engine that has a scan, with the sums of that scan."""
    for engine in engines:
        scan = found.by_engine.get(engine.name)
        if scan is not None:
            yield engine, summaries[scan.id]
