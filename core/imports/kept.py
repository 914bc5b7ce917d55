"""Where a run's report lies until the run has ended, so that another worker can take it up when its own one dies."""

import json
from contextlib import AbstractContextManager
from dataclasses import asdict

from core.deployment import Deployment
from core.files import FileStore
from core.imports.report import Report, blocks_of, on_disk
from core.imports.request import Received, Request


class Kept:
    """One run's report in the file store."""

    def __init__(self, deployment: Deployment, customer_id: str, run_id: str) -> None:
        self._files = FileStore.of(deployment.settings)
        self._customer_id = customer_id
        self._folder = f"imports/{run_id}"

    def put(self, received: Received, report: Report) -> None:
        """The report last: where it is, everything is."""
        self._files.put_stream(self._customer_id, f"{self._folder}/request", [json.dumps(asdict(received)).encode()])
        with report.open() as stream:
            self._files.put_stream(self._customer_id, f"{self._folder}/report", blocks_of(stream))

    def received(self) -> Received:
        """:raises NotFound: when nothing is kept."""
        told = json.loads(b"".join(self._files.get_stream(self._customer_id, f"{self._folder}/request")))
        limited = told["limited_to"]
        return Received(Request(**told["request"]), told["actor"], told["file_name"], None if limited is None else tuple(limited))

    def report(self, name: str) -> AbstractContextManager[Report]:
        """:raises NotFound: when it did not arrive whole."""
        return on_disk(self._files.get_stream(self._customer_id, f"{self._folder}/report"), name)

    def delete(self) -> None:
        for part in ("report", "request"):
            self._files.delete(self._customer_id, f"{self._folder}/{part}")
