"""The uploaded file itself: on disk, opened as often as a parser likes."""

import codecs
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from core.errors import BadRequest, TooLarge
from core.imports.limits import HEAD, LARGEST_REPORT, MEBIBYTE

_BLOCK = MEBIBYTE
_LONGEST_NAME = 200
_ENDINGS = re.compile(r"(\.(?:sarif|cdx|json|xml|csv|txt|zip))+$", re.IGNORECASE)
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what a shell on Windows makes of a program's output


class Report:
    """A report file on disk.

    :param descriptor: of the open file; whoever opened it closes it.
    :param name: the file's name as it was sent.
    """

    def __init__(self, descriptor: int, name: str = "") -> None:
        self._descriptor = descriptor
        self.name = _bare(name)
        self.size = os.fstat(descriptor).st_size
        self.read_up_to = 0  # how far any reader has come, in bytes

    @property
    def stem(self) -> str:
        """The file's name without its endings; empty when no name was sent."""
        return _ENDINGS.sub("", self.name) or self.name

    def open(self) -> BinaryIO:
        """A new reader at the beginning; readers do not disturb each other."""
        return io.BufferedReader(_Reader(self), _BLOCK)

    def head(self) -> bytes:
        """The first 64 KiB, as UTF-8 without a byte order mark when they are text with one."""
        start = os.pread(self._descriptor, HEAD, 0)
        encoding = encoding_of(start)
        return start if encoding == "utf-8" else start.decode(encoding, "ignore").encode("utf-8", "replace")

    def pread(self, size: int, at: int) -> bytes:
        read = os.pread(self._descriptor, size, at)
        self.read_up_to = max(self.read_up_to, at + len(read))
        return read


class _Reader(io.RawIOBase):
    """Reads a shared descriptor at a place of its own."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        read = self._report.pread(len(buffer), self._at)
        buffer[:len(read)] = read
        self._at += len(read)
        return len(read)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._report.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def encoding_of(start: bytes) -> str:
    """The encoding that a byte order mark tells; UTF-8 without one."""
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return "utf-16" if start.startswith(_WIDE) else "utf-8"


@contextmanager
def on_disk(blocks: Iterator[bytes], name: str = "") -> Iterator[Report]:
    """What ``blocks`` yields, written to a file that is gone with this process, however that ends.

    :raises BadRequest: when nothing comes.
    :raises TooLarge: when it is more than a report may be.
    """
    with TemporaryFile(prefix="stockade-report-") as file:
        written = 0
        for block in blocks:
            written += len(block)
            if written > LARGEST_REPORT:
                raise too_large(written)
            file.write(block)
        file.flush()
        yield accepted(file.fileno(), name)


@contextmanager
def at_path(path: Path) -> Iterator[Report]:
    """A file of this machine.

    :raises OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        yield accepted(file.fileno(), path.name)


def accepted(descriptor: int, name: str) -> Report:
    """The file as a report; refused when it is empty or too large."""
    report = Report(descriptor, name)
    if report.size == 0:
        raise BadRequest("The file is empty", details={"place": "line 1, column 1"})
    if report.size > LARGEST_REPORT:
        raise too_large(report.size)
    return report


def too_large(size: int) -> TooLarge:
    return TooLarge(f"A report may have at most {LARGEST_REPORT // MEBIBYTE} MiB",
                    details={"place": f"byte {LARGEST_REPORT}", "size": size})


def blocks_of(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _bare(name: str) -> str:
    """Without folders of either kind, control characters and an end that nobody reads."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[:_LONGEST_NAME].strip()
