"""The search itself finds what it is to find; a search that finds nothing anywhere would prove nothing."""

import base64
import json
import zlib

import pytest
import redis

from core.db import db
from tests.faults import places

CANARY = "Canary7Kq2Wm9Xr4Tb6Zn1"


@pytest.mark.parametrize("hidden", [
    CANARY.encode(), json.dumps({"token": CANARY}).encode(), base64.b64encode(CANARY.encode()), base64.b64encode(b"x" + CANARY.encode()),
    base64.b64encode(b"user:" + CANARY.encode() + b"!"), CANARY.encode().hex().encode(), CANARY.encode().hex().upper().encode(),
    CANARY[::-1].encode(), base64.urlsafe_b64encode(b"??" + CANARY.encode() + b">>")])
def test_a_secret_is_found_however_it_is_written(hidden):
    assert places.found_in(CANARY, b"before " + hidden + b" after")


def test_what_is_not_there_is_not_found():
    assert not places.found_in(CANARY, CANARY[:-1].encode() + b"0" + base64.b64encode(b"something else, and quite long"))


def test_it_is_found_in_every_column_of_a_database_also_after_it_was_deleted(database):
    db.execute_sql("CREATE TABLE kept (a TEXT, b " + ("BYTEA" if database.startswith("postgresql") else "BLOB") + ")")
    try:
        for columns in ((CANARY, None), ("", CANARY.encode())):
            db.execute_sql(f"INSERT INTO kept VALUES ({db.param}, {db.param})", columns)
            assert [name for name, kept in places.of_database(database) if places.found_in(CANARY, kept)]
            db.execute_sql("DELETE FROM kept")
        if database.startswith("sqlite"):
            assert [name for name, kept in places.of_database(database) if places.found_in(CANARY, kept)]
    finally:
        db.execute_sql("DROP TABLE kept")


def test_it_is_found_in_redis_in_every_kind_of_value(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        puts = {"string": lambda: client.set("k", CANARY), "name": lambda: client.set(CANARY, "v"),
                "hash": lambda: client.hset("k", "f", CANARY), "packed": lambda: client.hset("k", "data", zlib.compress(CANARY.encode())),
                "list": lambda: client.lpush("k", CANARY), "set": lambda: client.sadd("k", CANARY),
                "zset": lambda: client.zadd("k", {CANARY: 1}), "stream": lambda: client.xadd("k", {"f": CANARY})}
        for kind, put in puts.items():
            put()
            assert [name for name, kept in places.of_redis(redis_url) if places.found_in(CANARY, kept)], kind
            client.flushdb()
