"""Live totals: fresher counts than the stored ones, asked for while a dashboard waits, and never waited for longer than that allows.

What was answered lately, and which source failed lately, is kept in Redis, so that all web servers share it: an answer
serves for a minute, a failure keeps a source from being asked again for half a minute, and one request asks while the
others take the stored counts. Without Redis nothing is asked, and the stored counts serve.
"""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass, replace

from redis.exceptions import RedisError

from core import clock
from core.assets.models import Asset
from core.connections import service
from core.deployment import Deployment
from core.errors import StockadeError
from core.hooks.contracts import Discipline, LiveCounts, LiveTotals
from core.hooks.failures import ConnectorError
from core.scope import Scope

log = logging.getLogger(__name__)
SECONDS_IN_ALL = 2.0
FRESH_SECONDS = 60
BROKEN_SECONDS = 30
_SPARED_SECONDS = 0.2  # so that what a plugin could count until its time was up still arrives while it is waited for
_MOST_AT_ONCE = 8
#: a burst of some hundred calls, once a minute at most; how many a plugin makes at once holds it back (docs/benchmarks.md)
_PER_SECOND = 200.0
_pool = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="live-totals")


@dataclass(frozen=True, slots=True)
class Answered:
    """What one source answered.

    :ivar at: when it answered, milliseconds.
    :ivar counts: open findings by asset id; assets that are missing keep their stored counts.
    """

    at: int
    counts: Mapping[str, LiveCounts]


def ask(deployment: Deployment, scope: Scope, *, afresh: bool = False) -> dict[str, Answered]:
    """Live counts by source, from all sources that can give them at once, within two seconds in all.

    A source that is not in the answer has to be counted from what is stored.

    :param afresh: ask even where an answer is young enough to serve again; a source that failed lately is still left alone.
    """
    offered = [one for one in deployment.plugins.live_totals() if one.source not in scope.hidden_sources]
    if not offered or deployment.queue is None:
        return {}
    try:
        return _asked(deployment, scope, offered, afresh)
    except RedisError as problem:
        log.warning("live totals are not asked for: the queue is not reachable (%s)", type(problem).__name__)
        return {}


def _asked(deployment: Deployment, scope: Scope, offered: Iterable[LiveTotals], afresh: bool) -> dict[str, Answered]:
    answers: dict[str, Answered] = {}
    waiting: dict[str, Future[Answered | None]] = {}
    end = time.monotonic() + SECONDS_IN_ALL
    for one in offered:
        note = _Note(deployment, scope.customer_id, one.source)
        known = note.read()
        if known is not None and not (afresh and known.get("counts")):
            if known.get("counts"):
                answers[one.source] = _read(known)
        elif note.take_turn():
            future = _begin(deployment, scope, one, note, end)
            if future is not None:
                waiting[one.source] = future
    wait(waiting.values(), timeout=max(0.0, end - time.monotonic()))
    for source, future in waiting.items():
        note = _Note(deployment, scope.customer_id, source)
        if not future.done():
            log.warning("live totals of %s took longer than %.0f s; the stored counts serve", source, SECONDS_IN_ALL)
            note.failed()
        elif (answered := future.result()) is not None:
            answers[source] = answered
    return answers


def _begin(deployment: Deployment, scope: Scope, one: LiveTotals, note: "_Note", end: float) -> "Future[Answered | None] | None":
    """Start asking one source in a thread of its own, which touches no database; None when the customer has no such connection."""
    connection = service.find(scope, one.source)
    if connection is None:
        note.nothing()
        return None
    ids = dict(Asset.select(Asset.external_key, Asset.id).where(
        Asset.customer_id == scope.customer_id, Asset.connection_id == connection.id, Asset.pruned_at.is_null(),
        Asset.discipline == Discipline.APPSEC).tuples())
    try:
        settings = service.stored_settings(deployment, connection, "dashboard")
    except StockadeError as problem:
        log.warning("live totals of %s: %s", one.source, problem.message)
        note.failed()
        return None
    return _pool.submit(_ask_one, deployment, one, note, settings, ids, end)


def _ask_one(deployment: Deployment, one: LiveTotals, note: "_Note", settings: Mapping[str, object], ids: Mapping[str, str],
             end: float) -> Answered | None:
    policy = replace(service.policy_of(deployment), connect_timeout=SECONDS_IN_ALL / 2, read_timeout=SECONDS_IN_ALL, retries=0,
                     per_second=_PER_SECOND)
    try:
        seconds = max(SECONDS_IN_ALL / 10, end - time.monotonic() - _SPARED_SECONDS)
        counts = one.totals(settings, service.maker_of(policy)[0], list(ids), seconds)
        answered = Answered(clock.now(), {ids[key]: given for key, given in counts.items() if key in ids})
        note.answered(answered)
    except ConnectorError as problem:
        log.warning("live totals of %s: %s", one.source, problem)
        note.failed()
        return None
    except RedisError:
        return answered
    except Exception:  # the border around a plugin call
        log.exception("live totals of %s: the plugin raised", one.source)
        note.failed()
        return None
    return answered


class _Note:
    """What all web servers know of one customer's source: its last answer, that it failed, or that there is none."""

    def __init__(self, deployment: Deployment, customer_id: str, source: str) -> None:
        self._memory = deployment.queue.memory
        self._key = f"stockade:live:{customer_id}:{source}"

    def read(self) -> dict | None:
        text = self._memory.get(self._key)
        return None if text is None else json.loads(text)

    def take_turn(self) -> bool:
        """Whether this request is the one that asks. The turn ends by itself, should its process die."""
        return bool(self._memory.set(f"{self._key}:asking", "1", nx=True, px=int(2 * SECONDS_IN_ALL * clock.SECOND)))

    def answered(self, answered: Answered) -> None:
        counts = {asset_id: astuple(given) for asset_id, given in answered.counts.items()}
        self._keep({"at": answered.at, "counts": counts}, FRESH_SECONDS)

    def failed(self) -> None:
        """The circuit is open: nobody asks for a while."""
        self._keep({}, BROKEN_SECONDS)

    def nothing(self) -> None:
        self._keep({}, FRESH_SECONDS)

    def _keep(self, what: dict, seconds: int) -> None:
        self._memory.set(self._key, json.dumps(what), ex=seconds)
        self._memory.delete(f"{self._key}:asking")


def _read(known: Mapping) -> Answered:
    return Answered(known["at"], {asset_id: LiveCounts(*given) for asset_id, given in known["counts"].items()})
