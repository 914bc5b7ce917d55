"""A file store: bytes under a customer and a key. Every name is checked here, so that no caller can leave his customer's folder."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from core.errors import NotFound, StorageFull, Unavailable
from core.settings import Settings

_SEGMENT = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}")  # no leading dot: neither "..", nor hidden files
_LONGEST_KEY = 512
_BLOCK = 1024 * 1024


class FileStore:
    """Where one deployment keeps its files.

    :param url: ``file:///folder``, ``s3://bucket/prefix`` (credentials from the usual AWS variables) or ``memory://``.
    """

    def __init__(self, url: str) -> None:
        self._store = _opened(url)

    @classmethod
    def of(cls, settings: Settings) -> "FileStore":
        """The store that the settings name: a folder beneath the home when they name none."""
        return cls(settings.files_url or (Path(settings.home).absolute() / "files").as_uri())

    def put_stream(self, customer_id: str, key: str, blocks: Iterable[bytes]) -> int:
        """Keep what ``blocks`` yields, replacing what was there; returns the number of bytes.

        Nothing is there under the key until all of it is: whatever ``blocks`` raises leaves the old file in place.

        :raises StorageFull: when the disk is full.
        """
        path, counted = _path(customer_id, key), _Counted(blocks)
        with _telling(key):
            obstore.put(self._store, path, counted, chunk_size=_BLOCK)
        return counted.size

    def get_stream(self, customer_id: str, key: str) -> Iterator[bytes]:
        """The bytes of a file, in blocks.

        :raises NotFound: at once, when there is no such file.
        """
        with _telling(key):
            result = obstore.get(self._store, _path(customer_id, key))
        return _blocks(result, key)

    def delete(self, customer_id: str, key: str) -> None:
        """Remove a file; nothing happens when there is none."""
        try:
            with _telling(key):
                obstore.delete(self._store, _path(customer_id, key))
        except NotFound:
            return

    def exists(self, customer_id: str, key: str) -> bool:
        try:
            self.size(customer_id, key)
        except NotFound:
            return False
        return True

    def size(self, customer_id: str, key: str) -> int:
        """How many bytes a file has.

        :raises NotFound: when there is no such file.
        """
        with _telling(key):
            return obstore.head(self._store, _path(customer_id, key))["size"]


class _Counted:
    """The blocks as they go by, none larger than need be, and how many bytes they were."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.size += len(block)
            yield block


def _blocks(result: "obstore.GetResult", key: str) -> Iterator[bytes]:
    with _telling(key):
        for block in result.stream(min_chunk_size=_BLOCK):
            yield bytes(block)


def _opened(url: str) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(unquote(parts.path), mkdir=True)
    if parts.scheme == "s3":
        return S3Store.from_url(url)
    if parts.scheme == "memory":
        return MemoryStore()
    raise ValueError(f"files cannot be kept at {parts.scheme}:")


def _path(customer_id: str, key: str) -> str:
    """``<customer>/<key>``.

    :raises ValueError: when a part of it is not a plain name. Keys are made by core and plugins, never taken from a request.
    """
    segments = [customer_id, *key.split("/")]
    if len(key) > _LONGEST_KEY or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError("a file's key is made of plain names, separated by slashes")
    return "/".join(segments)


@contextmanager
def _telling(key: str) -> Iterator[None]:
    """Turn the store's errors into ours. The store's own text may hold paths and addresses, so it stays the cause."""
    try:
        yield
    except FileNotFoundError as problem:
        raise NotFound("There is no such file") from problem
    except (BaseError, OSError) as problem:
        if "no space left" in str(problem).lower() or "os error 28" in str(problem).lower():
            raise StorageFull from problem
        raise Unavailable("The file store did not answer as it should") from problem
