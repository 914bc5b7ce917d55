"""The fixtures themselves: both databases come up migrated and empty."""

from core import clock
from core.db import db, is_postgres, schema
from core.jobs.models import Lease
from tests.servers import redis


def test_a_database_is_migrated_and_empty(database):
    assert schema.pending() == []
    assert Lease.select().count() == 0
    Lease.create(name="a", holder="b", expires_at=clock.now())


def test_the_next_test_finds_it_empty_again(database):
    assert Lease.select().count() == 0
    assert is_postgres() == database.startswith("postgresql")
    assert db.execute_sql("SELECT 1").fetchone()[0] == 1


def test_redis_answers_over_its_socket(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
