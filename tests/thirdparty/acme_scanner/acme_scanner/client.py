"""Acme's feeds over HTTP. Each is JSON lines, and its last line says how many there were: ``{"end": 2}``."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from core.hooks.contracts import UpstreamMaker
from core.hooks.failures import AnswerInvalid, PullIncomplete


class AcmeClient:
    def __init__(self, upstream: UpstreamMaker, url: str, key: str) -> None:
        self._upstream = upstream(url, headers={"X-Acme-Key": key})

    def about(self) -> Mapping[str, Any]:
        """Name and version of what answers."""
        return self._upstream.get("/about.json")

    def targets(self) -> Iterator[Mapping[str, Any]]:
        return self._feed("/targets.jsonl")

    def target(self, key: str) -> Mapping[str, Any]:
        return self._upstream.get(f"/targets/{quote(key, safe='')}.json")

    def findings(self, key: str) -> Iterator[Mapping[str, Any]]:
        return self._feed(f"/targets/{quote(key, safe='')}/findings.jsonl")

    def checks(self) -> Iterator[Mapping[str, Any]]:
        return self._feed("/checks.jsonl")

    def _feed(self, path: str) -> Iterator[Mapping[str, Any]]:
        count = 0
        for line in self._upstream.get_text(path).splitlines():
            record = _record(path, line)
            if "end" in record:
                if record["end"] != count:
                    raise PullIncomplete(f"{path} announced {record['end']} records and gave {count}")
                return
            count += 1
            yield record
        raise PullIncomplete(f"{path} stops after {count} records without its last line")


def _record(path: str, line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise AnswerInvalid(f"{path} has a line that is not a JSON object")
    return record
