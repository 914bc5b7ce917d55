"""A token that is revoked in the middle of a run: the run fails with the reason, the connection is marked, nothing is closed, and
the token stands nowhere."""

import zlib

import redis

from core.db import db
from core.runtime.tables import ALL
from tests.faults.site import ISSUES, at_the_source, totals_are_right


def everything_stored():
    """All columns of all rows of all tables, as text."""
    with db.connection_context():
        return "\n".join(repr(row) for model in ALL for row in model.select().tuples())


def everything_in(redis_url):
    """What Redis holds, with the payloads of jobs unpacked."""
    read = {b"string": "get", b"hash": "hgetall", b"set": "smembers"}
    with redis.Redis.from_url(redis_url) as client:
        values = [getattr(client, read[kind])(key) for key in client.scan_iter() if (kind := client.type(key)) in read]
    jobs = [zlib.decompress(value[b"data"]) for value in values if isinstance(value, dict) and b"data" in value]
    return f"{values} {jobs}"


def test_a_token_revoked_in_mid_run(sqlite_site, sonar, redis_url):
    site = sqlite_site
    worker, scheduler = site.worker(), site.scheduler()
    assert site.sync()["state"] == "succeeded"
    for key in ("shop", "api"):
        sonar.forget(key, 5)
    sonar.world.faults.add("revoke", path=ISSUES, about="shop", after=2)
    with sonar.held(ISSUES, project="shop", after=1) as second_page:
        run_id = site.ask()
        second_page.wait()
        waiting = everything_in(redis_url)
    assert f'"run_id":"{run_id}"' in waiting.replace(" ", "")
    assert sonar.token not in waiting
    run = site.ended(run_id)
    assert (run["state"], run["reasonCode"]) == ("failed", "token_refused")
    assert "GET /api/issues/search" in run["reason"]
    assert run["counts"]["unchanged"] > 1000
    assert site.closed() == set()
    assert site.health() == ("needs_attention", "token_refused")
    assert totals_are_right()
    checked = site.client.post("/api/integrations/sonarqube/validate").get_json()
    assert (checked["valid"], checked["code"]) == (False, "token_refused")
    assert_nowhere(sonar.token, site, redis_url, worker, scheduler)

    sonar.world.faults.clear()
    fresh = sonar.world.admit()
    answer = site.client.put("/api/integrations/sonarqube", json={"settings": {"url": sonar.url, "token": fresh}})
    assert answer.status_code == 200
    assert site.sync()["state"] == "succeeded"
    assert site.open_or_dismissed() == at_the_source(sonar.world)
    assert len(site.closed()) == 10
    assert_nowhere(fresh, site, redis_url, worker, scheduler)


def assert_nowhere(token, site, redis_url, *processes):
    told = [site.client.get(path).get_data(as_text=True) for path in ("/api/runs", "/api/integrations", "/metrics", "/health/ready")]
    logs = [process.output for process in processes]
    tables = everything_stored()
    assert site.customer.id in tables
    assert "token_refused" in logs[0]
    for place in (tables, *told, *logs):
        assert token not in place
    assert token not in everything_in(redis_url)
