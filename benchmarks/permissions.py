"""What a permission check costs somebody who holds 50 roles of 40 nodes each, half of them with wildcards."""

import itertools
import time
from collections.abc import Callable, Iterable
from statistics import median

import peewee

from benchmarks.report import Report
from core import clock
from core.access import principals
from core.access.models import Role, RoleGrant
from core.db import atomic, db, is_postgres
from core.http.access import Principal
from core.people.models import User

ROLES, NODES, CHECKS, LOADS, CUSTOMERS = 50, 40, 20_000, 50, 10
MOST_MICROSECONDS = 20
_BATCH = 100


def measure(report: Report) -> None:
    kind = "postgresql" if is_postgres() else "sqlite"
    user = _much_holding_user()
    statements = _statements(lambda: principals.of_user(user))
    principal = principals.of_user(user)
    places = itertools.cycle([None, "cus_bench_0", f"cus_bench_{CUSTOMERS - 1}"])

    def checks(nodes: Iterable[str]) -> float:
        return _microseconds_each([(node, next(places)) for node in nodes], principal)

    seen = [f"area{number % ROLES}.thing{number % NODES}.read" for number in range(CHECKS)]
    missing = [f"elsewhere{number % 40}.thing.read.other" for number in range(CHECKS)]
    never_seen = (f"area7.thing{number}.never.before" for number in range(CHECKS))
    for what, nodes in (("held", seen), ("not held", missing), ("of a node that nobody asked for before", never_seen)):
        taken = checks(nodes)
        report.at_most(f"{kind}: a check, {what}, microseconds", taken, MOST_MICROSECONDS, f"{taken:.2f}")
    report.at_most(f"{kind}: statements of the load", statements, 1, str(statements))
    within = _statements(lambda: checks(seen[:1000]))
    report.at_most(f"{kind}: statements of 1,000 checks", within, 0, str(within))
    loads = [_milliseconds(lambda: principals.of_user(user)) for _ in range(LOADS)]
    report.add(f"{kind}: the load of {ROLES} roles with {ROLES * NODES:,} nodes, ms", f"{median(loads):.2f}")
    db.close()


def _much_holding_user() -> User:
    moment = clock.now()
    with atomic():
        user = User.create(id="usr_bench", email="bench@example.test", email_key="bench@example.test", created_at=moment, updated_at=moment)
        for number in range(ROLES):
            nodes = [f"area{number}.thing{index}.{'read' if index % 2 else '*'}" for index in range(NODES - 2)]
            role = Role.create(id=f"rol_bench{number}", moniker=f"bench{number}", name="Bench", created_at=moment, updated_at=moment,
                               nodes=[*nodes, f"area{number}.*.read", f"*.thing{number}.write.*"])
            RoleGrant.create(user_id=user.id, role=role, customer_id="" if number % 2 else f"cus_bench_{number % CUSTOMERS}")
    return user


def _microseconds_each(asked: list[tuple[str, str | None]], principal: Principal) -> float:
    """The median over batches of a hundred, so that a batch in which the machine did something else does not count."""
    taken = []
    for start_at in range(0, len(asked), _BATCH):
        start = time.perf_counter()
        for node, customer_id in asked[start_at:start_at + _BATCH]:
            principal.holds(node, customer_id)
        taken.append((time.perf_counter() - start) * 1e6 / _BATCH)
    return median(taken)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _statements(work: Callable[[], object]) -> int:
    executed: list[peewee.QueryEvent] = []
    db.query_hooks.append(executed.append)
    try:
        work()
    finally:
        db.query_hooks.remove(executed.append)
    return len(executed)
