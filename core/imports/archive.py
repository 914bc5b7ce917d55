"""The files in a ZIP, read in place: nothing is unpacked to disk, and what is unpacked is counted."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO

from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports.json_stream import Opens
from core.imports.limits import LARGEST_REPORT, MEBIBYTE, MOST_MEMBERS

_EMPTY = b"PK\x05\x06"
_MEMBER = b"PK\x03\x04"
_HEADER = struct.Struct("<4s5H3I2H")  # of a member, where it lies
_STORED, _DEFLATED = 0, 8
_SHOWN = 16 * 1024  # of a member's beginning
#: what zipfile raises over directories and members that are not as they should be
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a ZIP, to be walked like a report."""

    archive: zipfile.ZipFile
    name: str

    def open(self) -> BinaryIO:
        try:
            return io.BufferedReader(_Checked(self.archive.open(self.name), self.name), MEBIBYTE)
        except (RuntimeError, *_DAMAGED) as problem:  # encrypted, or packed in a way of its own
            raise _unreadable(self.name) from problem


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is a ZIP."""
    return head.startswith((_MEMBER, _EMPTY))


@contextmanager
def members(report: Opens, ending: str) -> Iterator[list[Member]]:
    """The files of a ZIP whose name ends so, by name; others are left alone.

    :raises ReportInvalid: when it is no sound ZIP.
    :raises ReportTooLarge: when it holds too many files, or they are too large together.
    """
    with report.open() as stream:
        try:
            archive = zipfile.ZipFile(stream)
            listed = archive.infolist()
        except _DAMAGED as problem:
            raise ReportInvalid("The ZIP is damaged or cut short", "the ZIP's directory") from problem
        if len(listed) > MOST_MEMBERS:
            raise ReportTooLarge(f"A ZIP may hold at most {MOST_MEMBERS} files", f"file {MOST_MEMBERS + 1} of {len(listed)}")
        wanted = sorted(entry.filename for entry in listed if entry.filename.lower().endswith(ending) and not entry.is_dir())
        if sum(entry.file_size for entry in listed) > LARGEST_REPORT:  # a member that lies about its size is cut there by zipfile
            raise ReportTooLarge(f"A ZIP may hold at most {LARGEST_REPORT // MEBIBYTE} MiB", "the ZIP's directory")
        with archive:
            yield [Member(archive, name) for name in dict.fromkeys(wanted)]


def first_member(head: bytes, ending: str) -> bytes:
    """How the first file with such a name begins, of a ZIP that begins so; nothing when there is none in the head."""
    at = 0
    while head[at:at + 4] == _MEMBER and at + _HEADER.size <= len(head):
        _, _, _, method, _, _, _, packed, _, name_length, extra_length = _HEADER.unpack_from(head, at)
        start = at + _HEADER.size + name_length + extra_length
        name = head[at + _HEADER.size:at + _HEADER.size + name_length].decode("utf-8", "replace")
        body, left = _unpacked(head[start:], method, packed)
        if name.lower().endswith(ending):
            return body
        at = len(head) - len(left)
        at = head.find(_MEMBER, at)
        if at < 0:
            break
    return b""


def _unpacked(data: bytes, method: int, packed: int) -> tuple[bytes, bytes]:
    """The beginning of a member, and what follows the member as far as that can be told."""
    if method == _STORED:
        return data[:packed][:_SHOWN], data[packed:]
    if method != _DEFLATED:
        return b"", data[packed:]
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = inflate.decompress(data, _SHOWN)
    except zlib.error:
        return b"", data[packed:]
    return body, inflate.unused_data if inflate.eof else data[packed:] if packed else b""


class _Checked(io.RawIOBase):
    """A member whose faults are told as those of the report."""

    def __init__(self, packed: IO[bytes], name: str) -> None:
        self._packed = packed
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        try:
            unpacked = self._packed.read(len(buffer))
        except _DAMAGED as problem:
            raise _unreadable(self._name) from problem
        buffer[:len(unpacked)] = unpacked
        return len(unpacked)

    def close(self) -> None:
        self._packed.close()
        super().close()


def _unreadable(name: str) -> ReportInvalid:
    return ReportInvalid("A file in the ZIP cannot be unpacked", f"{name!r} in the ZIP")
