"""Whether the time of a refused sign-in tells that there is such a user, over many attempts through the whole app."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from flask.testing import FlaskClient

from benchmarks.report import Report, seconds
from core.access import service as access
from core.app import create_app
from core.db import db, is_postgres
from core.hooks.manager import Plugins
from core.people import service as people
from tests.factories import PASSWORD, SETTINGS

ADDRESSES, ATTEMPTS = 50, 500  # of each kind: ten attempts an address, so that some lock
CHEAP_ATTEMPTS = 2000
MOST_LEANING = 0.075  # 3.35 standard errors of a sign test over 500 pairs: chance passes it once in a thousand runs
MOST_DIFFERENCE = 0.02


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of attempts made in pairs: on an address that somebody has, and on one that nobody has."""

    pairs: Sequence[tuple[float, float]]

    @property
    def leaning(self) -> float:
        """How far from one half the share of pairs is in which the unknown address took longer (a sign test)."""
        longer = sum((unknown > known) + (unknown == known) / 2 for known, unknown in self.pairs)
        return abs(longer / len(self.pairs) - 0.5)

    @property
    def difference(self) -> float:
        """Within a pair, so that it matters little what else the machine does meanwhile; the median."""
        return median(unknown - known for known, unknown in self.pairs)

    @property
    def usual(self) -> float:
        return median(known for known, _ in self.pairs)


def measure(report: Report) -> None:
    """Wrong passwords for known and unknown addresses, in pairs of random order. PostgreSQL waits for the disk, as in use."""
    kind = "PostgreSQL" if is_postgres() else "SQLite"
    if is_postgres():
        for name in ("fsync", "synchronous_commit"):
            db.execute_sql(f"ALTER SYSTEM SET {name} = on")
        db.execute_sql("SELECT pg_reload_conf()")
    access.ensure_built_in_roles()
    taken = _taken("standard", ATTEMPTS)
    report.at_most(f"{kind}: unknown against known address, leaning of a sign test", taken.leaning, MOST_LEANING, f"{taken.leaning:.3f}")
    share = abs(taken.difference) / taken.usual
    report.at_most(f"{kind}: unknown against known address, median difference", share, MOST_DIFFERENCE,
                   f"{share:.2%} of {taken.usual * 1000:.0f} ms")
    bare = _taken("test", CHEAP_ATTEMPTS)
    report.add(f"{kind}: the same with next to no Argon2", f"{bare.difference * 1e6:+.0f} of {bare.usual * 1e6:.0f} µs")
    db.close()


def _taken(cost: str, attempts: int) -> Taken:
    settings = replace(SETTINGS, password_cost=cost, lockout_attempts=10)
    client = create_app(settings, plugins=Plugins(settings)).test_client()
    token = client.get("/api/auth/csrf").get_json()["csrfToken"]
    known = [f"{cost}.known{number:03d}@example.test" for number in range(ADDRESSES)]
    unknown = [f"{cost}.nobody{number:02d}@example.test" for number in range(ADDRESSES)]
    for email in known:
        people.add(email, actor="bench", settings=settings, password=PASSWORD)
    for address in known[:3] + unknown[:3]:
        _refused(client, token, address)  # warms up
    chance = random.Random(attempts)  # noqa: S311 - no secret
    pairs = []
    for number in range(attempts):
        pair = (known[number % ADDRESSES], unknown[number % ADDRESSES])
        taken = {address: seconds(lambda address=address: _refused(client, token, address)) for address in chance.sample(pair, 2)}
        pairs.append((taken[pair[0]], taken[pair[1]]))
    return Taken(pairs)


def _refused(client: FlaskClient, token: str, email: str) -> None:
    answer = client.post("/api/auth/callback/credentials",
                         json={"csrfToken": token, "email": email, "password": "not the right one", "json": True})
    assert answer.status_code == 401
