"""Which scan speaks for a DAST environment: the newest that was finished."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from plugins.checkmarx.client import CheckmarxClient
from plugins.checkmarx.listings import Record
from plugins.checkmarx.readings import status_word

_FINISHED = ("completed", "finished")


@dataclass(frozen=True, slots=True)
class Environment:
    """What a pull keeps of an environment. Its configuration is not among it: that holds the target's credentials.

    :ivar finished_scan: its last scan, when that was finished; else empty.
    :ivar announced: how many results the environment says that it has.
    """

    id: str
    url: str = ""
    projects: tuple[str, ...] = ()
    finished_scan: str = ""
    announced: int = 0

    @classmethod
    def of(cls, record: Record) -> Self:
        """:raises KeyError: when the record lacks its id."""
        last = str(record.get("lastScanID") or "") if is_finished(record.get("lastStatus")) else ""
        return cls(record["environmentId"], record.get("url") or "", tuple(map(str, record.get("projectIds") or ())), last,
                   _counted(record.get("riskLevel")))


@dataclass(frozen=True, slots=True)
class Scans:
    """The newest finished scan of an environment, empty when there is none, and whether there are any scans."""

    newest: str = ""
    exist: bool = False


def is_finished(status: Any) -> bool:
    """Whether a scan with this status has all its results."""
    return status_word(status).lower() in _FINISHED


def scans_of(client: CheckmarxClient, environment: Environment) -> Scans:
    """The scan that speaks for the environment; its scans are listed only when the last one was not finished."""
    if environment.finished_scan:
        return Scans(environment.finished_scan, True)
    return _newest(client.dast_scans(environment.id))


def _newest(records: Iterable[Record]) -> Scans:
    newest, moment, found = "", "", False
    for record in records:
        found = True
        told = str(record.get("updateTime") or record.get("startTime") or record.get("created") or "")
        if is_finished(record.get("lastStatus")) and told >= moment:
            newest, moment = str(record["scanId"]), told
    return Scans(newest, found)


def _counted(levels: Any) -> int:
    return sum(count for count in levels.values() if isinstance(count, int)) if isinstance(levels, Mapping) else 0
