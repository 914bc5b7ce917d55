"""Changing keys while everything runs: the master key, the customers' data keys, and what is sealed under them.

Every step is kept as soon as it is done, and what is left to do is read from the database. So each of these can be cut short
anywhere, by whatever, and asked for again; two at once do no harm.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import peewee

from core.audit import record
from core.credentials import seal
from core.credentials.keyring import DEPLOYMENT, Keyring
from core.credentials.models import Credential, DataKey, MasterKeyCheck, PastValue, SealedValue
from core.credentials.seal import Key
from core.db import atomic, is_postgres, is_unique_violation
from core.db.bulk import bulk_update
from core.db.traces import leaving_no_trace
from core.errors import Conflict

BATCH = 1000  # values that are sealed anew in one transaction
_KEYS_AT_ONCE = 500

#: called after each step with how many of how many are done
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class MasterKeyState:
    """:ivar is_known: whether this process was given it."""

    key_id: str
    is_current: bool
    is_known: bool
    data_keys: int


@dataclass(frozen=True, slots=True)
class Status:
    """How the keys stand.

    :ivar rotating: customers whose values are still being sealed anew, or were when a rotation was cut short.
    :ivar values: sealed values, earlier ones included.
    """

    master_keys: list[MasterKeyState] = field(default_factory=list)
    customers: int = 0
    rotating: int = 0
    values: int = 0


def status(keyring: Keyring) -> Status:
    """Counts of keys and of what is sealed under them; opens nothing."""
    wrapped = dict(DataKey.select(DataKey.master_key_id, peewee.fn.COUNT(DataKey.version)).group_by(DataKey.master_key_id).tuples())
    masters = [MasterKeyState(row.key_id, row.is_current, row.key_id in keyring.known, wrapped.get(row.key_id, 0))
               for row in MasterKeyCheck.select().order_by(MasterKeyCheck.created_at, MasterKeyCheck.key_id)]
    versions = _versions(None)
    return Status(masters, len(versions), sum(len(found) > 1 for found in versions.values()), _count(None))


# -- the master key -----------------------------------------------------------------------------------------------------------


def rewrap(keyring: Keyring, tell: Tell = lambda done, of: None, *, actor: str) -> int:
    """Make the master key of the settings the current one, and wrap every data key by it; returns how many were wrapped anew.

    Nothing that is sealed is touched. When no data key is left under the earlier master keys, they are forgotten: a process that has
    only these is refused from then on.
    """
    keyring.verify()
    with atomic():
        MasterKeyCheck.update(is_current=MasterKeyCheck.key_id == keyring.key_id).execute()
    waiting = DataKey.select().where(DataKey.master_key_id != keyring.key_id)
    total, done = waiting.count(), 0
    while rows := list(waiting.limit(_KEYS_AT_ONCE)):
        with atomic():
            bulk_update(DataKey, ("customer_id", "version", "master_key_id"),
                        [(row.customer_id, row.version, row.master_key_id, keyring.key_id, keyring.rewrapped(row)) for row in rows],
                        update=("master_key_id", "wrapped"))
        done += len(rows)
        tell(done, max(done, total))
    _forget_earlier_masters(keyring, done, actor)
    return done


def _forget_earlier_masters(keyring: Keyring, wrapped: int, actor: str) -> None:
    with atomic():
        earlier = sorted(key_id for (key_id,) in
                         MasterKeyCheck.select(MasterKeyCheck.key_id).where(MasterKeyCheck.key_id != keyring.key_id).tuples())
        MasterKeyCheck.delete().where(MasterKeyCheck.key_id.in_(earlier)).execute()
        if wrapped or earlier:
            record("master_key.changed", actor=actor, target=keyring.key_id, details={"from": earlier, "dataKeys": wrapped})


# -- data keys ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rotated:
    """:ivar resumed: a rotation that had been cut short was ended; no key was made."""

    customers: int
    values: int
    resumed: bool


def rotate(keyring: Keyring, tell: Tell = lambda done, of: None, *, actor: str, customer_id: str | None = None) -> Rotated:
    """Give every customer, or one, a new data key, seal all values anew under it, and destroy the earlier key.

    When a rotation was cut short, this one goes on with it instead of making further keys.

    :raises Conflict: when another rotation begins in the same moment.
    """
    keyring.verify()
    customers = _unfinished(customer_id)
    resumed = bool(customers)
    if not resumed:
        customers = _begin(keyring, customer_id, actor)
    changed = 0
    while customers:
        changed += _seal_anew(keyring, customers, customer_id, tell)
        customers = _drop_earlier_keys(customers)  # those for whom somebody sealed a value under the earlier key meanwhile
    record("data_keys.rotated", actor=actor, customer_id=customer_id, details={"values": changed})
    return Rotated(len(_versions(customer_id)), changed, resumed)


def _versions(customer_id: str | None) -> dict[str, list[int]]:
    """The versions of each customer's data key, the earliest first."""
    query = DataKey.select(DataKey.customer_id, DataKey.version).where(DataKey.customer_id != DEPLOYMENT)
    found: dict[str, list[int]] = {}
    for customer, version in _of(DataKey, query, customer_id).order_by(DataKey.customer_id, DataKey.version).tuples():
        found.setdefault(customer, []).append(version)
    return found


def _unfinished(customer_id: str | None) -> dict[str, int]:
    """The newest version of each customer who has earlier ones as well."""
    return {customer: versions[-1] for customer, versions in _versions(customer_id).items() if len(versions) > 1}


def _begin(keyring: Keyring, customer_id: str | None, actor: str) -> dict[str, int]:
    """New data keys for all at once, so that a rotation that is cut short can be told from one that has not begun."""
    newest = {customer: versions[-1] + 1 for customer, versions in _versions(customer_id).items()}
    try:
        with atomic():
            keyring.add_rows(newest)
            record("data_keys.rotation_begun", actor=actor, customer_id=customer_id, details={"customers": len(newest)})
    except peewee.IntegrityError as problem:
        if is_unique_violation(problem):
            raise Conflict("Another rotation has begun; ask again to go on with it") from problem
        raise
    return newest


def _seal_anew(keyring: Keyring, newest: Mapping[str, int], customer_id: str | None, tell: Tell) -> int:
    done = changed = 0
    total = _count(customer_id)
    for sealing in (_seal_values_anew, _seal_past_anew):
        for seen, written in sealing(keyring, newest, customer_id):
            done, changed = done + seen, changed + written
            tell(done, max(done, total))
    return changed


def _seal_values_anew(keyring: Keyring, newest: Mapping[str, int], customer_id: str | None) -> Iterator[tuple[int, int]]:
    place = (SealedValue.customer_id, SealedValue.credential, SealedValue.field)
    after: tuple[str, ...] = ("", "", "")
    while True:
        query = SealedValue.select(*place, SealedValue.sealed).where(peewee.Tuple(*place) > peewee.Tuple(*after))
        with atomic():
            rows = [(*row[:3], bytes(row[3])) for row in _of(SealedValue, query, customer_id).order_by(*place).limit(BATCH).tuples()]
            if not rows:
                return
            _hold_credentials({row[1] for row in rows})
            anew = _anew(keyring, newest, [(row, row[:3], row[3]) for row in rows])
            bulk_update(SealedValue, ("customer_id", "credential_id", "field", "sealed"), [(*row, box) for row, box in anew],
                        update=("sealed",))
        after = rows[-1][:3]
        yield len(rows), len(anew)


def _seal_past_anew(keyring: Keyring, newest: Mapping[str, int], customer_id: str | None) -> Iterator[tuple[int, int]]:
    place = (PastValue.customer_id, PastValue.credential, PastValue.field)
    after = 0
    while True:
        query = PastValue.select(PastValue.id, *place, PastValue.sealed).where(PastValue.id > after)
        with atomic():
            rows = [(*row[:4], bytes(row[4])) for row in _of(PastValue, query, customer_id).order_by(PastValue.id).limit(BATCH).tuples()]
            if not rows:
                return
            _hold_credentials({row[2] for row in rows})
            anew = _anew(keyring, newest, [((row[0], row[4]), row[1:4], row[4]) for row in rows])
            bulk_update(PastValue, ("id", "sealed"), [(*row, box) for row, box in anew], update=("sealed",))
        after = rows[-1][0]
        yield len(rows), len(anew)


def _anew(keyring: Keyring, newest: Mapping[str, int], rows: Sequence[tuple[Any, tuple[str, ...], bytes]]) -> list[tuple[Any, bytes]]:
    """What is to be written: rows of (what names it, its place, its box) that are sealed under an earlier key, with their new boxes.
    The old box is part of the name, so that a value that somebody changes meanwhile is left alone."""
    old = [(name, place, box, seal.key_version(box)) for name, place, box in rows
           if place[0] in newest and seal.key_version(box) < newest[place[0]]]
    if not old:
        return []
    keys: dict[tuple[str, int], Key] = keyring.opening_keys(
        {pair for _, place, _, version in old for pair in ((place[0], version), (place[0], newest[place[0]]))})
    return [(name, keys[place[0], newest[place[0]]].seal(keys[place[0], version].open(box, place), place))
            for name, place, box, version in old]


def _hold_credentials(ids: Iterable[str]) -> None:
    """Have those wait who are about to write values of these credentials; they hold one at a time, so nobody waits in a ring."""
    if is_postgres():
        Credential.select(Credential.id).where(Credential.id.in_(sorted(ids))).order_by(Credential.id).for_update().execute()


def _drop_earlier_keys(newest: Mapping[str, int]) -> dict[str, int]:
    """Destroy the data keys that nothing is sealed under any more; returns the customers of whom that cannot be said."""
    left: dict[str, int] = {}
    customers = sorted(newest)
    for start in range(0, len(customers), _KEYS_AT_ONCE):
        some = customers[start:start + _KEYS_AT_ONCE]
        with leaving_no_trace(), atomic():
            query = DataKey.select(DataKey.customer_id, DataKey.version).where(DataKey.customer_id.in_(some)).order_by(
                DataKey.customer_id, DataKey.version)
            # Waits for those who seal under such a key; who comes later finds the newer one.
            held = list((query.for_update() if is_postgres() else query).tuples())
            in_use = _in_use(some)
            for customer, version in held:
                if version < newest[customer] and (customer, version) in in_use:
                    left[customer] = newest[customer]
            gone = [(customer, version) for customer, version in held if version < newest[customer] and (customer, version) not in in_use]
            if gone:
                DataKey.delete().where(peewee.Tuple(DataKey.customer_id, DataKey.version).in_(
                    [peewee.Tuple(*name) for name in gone])).execute()
    return left


def _in_use(customers: Sequence[str]) -> set[tuple[str, int]]:
    """Customers with the versions of the keys that something of theirs is sealed under."""
    found: set[tuple[str, int]] = set()
    for model in (SealedValue, PastValue):
        version = peewee.fn.SUBSTR(model.sealed, 2, 4)  # see core.credentials.seal for what a box begins with
        query = model.select(model.customer_id, version).where(model.customer_id.in_(customers)).distinct()
        found |= {(customer, int.from_bytes(bytes(number))) for customer, number in query.tuples()}
    return found


def _count(customer_id: str | None) -> int:
    return sum(_of(model, model.select(), customer_id).count() for model in (SealedValue, PastValue))


def _of(model: Any, query: peewee.ModelSelect, customer_id: str | None) -> peewee.ModelSelect:
    return query if customer_id is None else query.where(model.customer_id == customer_id)
