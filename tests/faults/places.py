"""Every place where a deployment keeps or says something, as raw bytes, and the ways in which a secret could lie there."""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import redis

from tests.servers import Processes

_PLAIN_PART = 24  # bytes of base 64 that do not depend on what stands around the secret


def spellings(secret: str) -> set[bytes]:
    """The secret as text, and as it looks inside of base 64 at each of the three alignments, in hex, and backwards."""
    raw = secret.encode()
    inside = {base64.b64encode(b"\0" * shift + raw)[4:4 + _PLAIN_PART] for shift in range(3)}
    safe = {text.translate(bytes.maketrans(b"+/", b"-_")) for text in inside}
    return {raw, *inside, *safe, binascii.hexlify(raw), raw[::-1]}


def found_in(secret: str, place: bytes) -> bool:
    lowered = place.lower()
    return any(spelling in place or spelling.lower() == binascii.hexlify(secret.encode()) and spelling in lowered
               for spelling in spellings(secret))


def of_database(url: str) -> Iterator[tuple[str, bytes]]:
    """SQLite's files as they lie on the disk, with what was deleted and not overwritten; of PostgreSQL every row as its own text."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        for file in path.parent.glob(path.name + "*"):
            yield file.name, file.read_bytes()
        return
    with psycopg.connect(url, autocommit=True) as connection:
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT') as rows:
                text = b"".join(bytes(part) for part in rows)
            yield table, _unhexed(text)


def _unhexed(text: bytes) -> bytes:
    r"""A dump, and once more with its binary columns (``\\x0123``) as the bytes that they are."""
    return text + re.sub(rb"\\\\x((?:[0-9a-f]{2})+)", lambda told: bytes.fromhex(told[1].decode()), text)


def of_redis(url: str) -> Iterator[tuple[str, bytes]]:
    """Every key with its value, whatever it is; compressed jobs also unpacked."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            kind = client.type(key)
            read = {b"string": client.get, b"hash": client.hgetall, b"set": client.smembers,
                    b"list": lambda name: client.lrange(name, 0, -1), b"zset": lambda name: client.zrange(name, 0, -1),
                    b"stream": client.xrange}.get(kind, client.dump)
            value = read(key)
            parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, (list, set)) else [value]
            yield key.decode(errors="replace"), b"\n".join([key, *map(_unpacked, parts)])


def _unpacked(value: object) -> bytes:
    raw = value if isinstance(value, bytes) else repr(value).encode()
    try:
        return raw + zlib.decompress(raw)
    except zlib.error:
        return raw


def of_processes(processes: Processes) -> Iterator[tuple[str, bytes]]:
    """What each said, and what anybody on the machine can see of how it and its children were started."""
    for process in processes.started:
        yield process.log.name, process.log.read_bytes()
        if process.is_running:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            yield f"arguments of {process.pid}", "\n".join(" ".join(one.cmdline()) for one in family).encode()


def of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder."""
    for file in folder.rglob("*"):
        if file.is_file():
            yield str(file.relative_to(folder)), file.read_bytes()
