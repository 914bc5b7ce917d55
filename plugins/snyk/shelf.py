"""All issues of one organization, read once and kept on disk by project, so that memory stays flat.

One listing of an organization takes a request for each hundred issues; asking project by project takes at least one for
each project, and most projects have far fewer than a hundred.
"""

import json
import sqlite3
import weakref
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from core.hooks.failures import PullIncomplete

_FASTEST = 1  # of zlib's levels; it already makes a quarter of it


class Shelf:
    """Read by project, in the order in which the issues came. The file has no name and is gone with this object.

    :raises PullIncomplete: when an issue does not tell its project, and so may be any project's, or the disk takes no more.
    """

    def __init__(self, issues: Iterable[Any]) -> None:
        self._file = sqlite3.connect("", check_same_thread=False)
        self.close = weakref.finalize(self, self._file.close)
        try:
            self._file.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; CREATE TABLE issue (project TEXT, record BLOB)")
            self._file.executemany("INSERT INTO issue VALUES (?, ?)", ((_project_of(issue), _packed(issue)) for issue in issues))
            self._file.execute("CREATE INDEX by_project ON issue (project)")
        except sqlite3.Error as problem:
            raise PullIncomplete(f"The issues could not be kept on disk: {problem}") from problem

    def of(self, project: str) -> Iterator[Any]:
        """The issues of one project."""
        for (record,) in self._file.execute("SELECT record FROM issue WHERE project = ? ORDER BY rowid", (project,)):
            yield json.loads(zlib.decompress(record))


def _project_of(issue: Any) -> str:
    try:
        return str(issue["relationships"]["scan_item"]["data"]["id"])
    except (KeyError, TypeError):
        raise PullIncomplete("An issue of the listing does not tell its project") from None


def _packed(issue: Any) -> bytes:
    return zlib.compress(json.dumps(issue).encode(), _FASTEST)
