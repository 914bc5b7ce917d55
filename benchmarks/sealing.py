"""What sealing costs beside bare AES-GCM, and how fast keys are exchanged while others read."""

import hashlib
import os
import threading
import time
from statistics import median

import peewee
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.report import Report, p95, seconds
from core.credentials import rotation, service, values
from core.credentials.keyring import Keyring
from core.credentials.models import Credential, DataKey, SealedValue
from core.credentials.seal import Key
from core.db import atomic, db, is_postgres
from core.db.bulk import bulk_insert

VALUES, CUSTOMERS = 100_000, 500
PLACES = [(f"cus_{number % 500:014d}", f"crd_{number:014d}", "secretAccessKey") for number in range(20_000)]
TEXT = "x" * 100
OLD, NEW = b"k" * 32, b"n" * 32
_LEAST_SHARE, _LEAST_RATE = 0.5, 5000


def measure(report: Report) -> None:
    """Sealing itself once; then 100,000 secrets of 500 customers, whose master key is exchanged and whose data keys are rotated."""
    kind = "PostgreSQL" if is_postgres() else "SQLite"
    if not is_postgres():
        _against_bare(report)
    keyring = Keyring(OLD)
    _fill(keyring)
    _rewrap(report, kind)
    _rotate(report, kind)


def _against_bare(report: Report) -> None:
    """The same texts at the same places. Bare AES-GCM makes and takes nonce and ciphertext in one, as they are stored; it gets the
    text as bytes and the associated data ready made."""
    key, bare = Key(OLD, 1), AESGCM(OLD)
    raw = TEXT.encode()
    associated = ["\0".join(("stockade", "2", "1", "3", *place)).encode() for place in PLACES]
    boxes = [key.seal(TEXT, place) for place in PLACES]
    headless = [box[5:] for box in boxes]
    assert bare.decrypt(headless[0][:12], headless[0][12:], associated[0]) == raw, "the associated data are not the same"
    told: dict[str, list[float]] = {"seal": [], "open": []}
    rates: dict[str, float] = {}
    for _ in range(15):
        pairs = {
            "seal": (lambda: [_sealed_bare(bare, raw, place) for place in associated],
                     lambda: [key.seal(TEXT, place) for place in PLACES]),
            "open": (lambda: [bare.decrypt(box[:12], box[12:], place) for box, place in zip(headless, associated, strict=True)],
                     lambda: [key.open(box, place) for box, place in zip(boxes, PLACES, strict=True)]),
        }
        for what, (theirs, ours) in pairs.items():
            spent = seconds(theirs), seconds(ours)
            told[what].append(spent[0] / spent[1])
            rates[what] = max(rates.get(what, 0), len(PLACES) / spent[1])
    for what, shares in told.items():
        report.at_least(f"{what} a value of 100 bytes, share of the rate of bare AES-GCM", median(shares), _LEAST_SHARE,
                        f"{median(shares):.2f} ({rates[what]:,.0f}/s)")


def _sealed_bare(bare: AESGCM, raw: bytes, place: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + bare.encrypt(nonce, raw, place)


def _fill(keyring: Keyring) -> None:
    each = VALUES // CUSTOMERS
    for number in range(CUSTOMERS):
        customer = f"cus_{number}"
        with atomic():
            key = keyring.sealing_key(customer)
            ids = [f"crd_{number}_{index}" for index in range(each)]
            bulk_insert(Credential, ("id", "customer_id", "type", "name", "created_at", "updated_at"),
                        [(one, customer, "cty_bench", one, 1, 1) for one in ids])
            values.put_boxes([(customer, one, "password", key.seal(f"{one} {TEXT}", (customer, one, "password")), 1) for one in ids])
    db.execute_sql("ANALYZE")


def _rewrap(report: Report, kind: str) -> None:
    executed: list[peewee.QueryEvent] = []
    before = _digest_of_boxes()
    rotated = Keyring(NEW, [OLD])
    rotated.verify()
    db.query_hooks.append(executed.append)
    spent = seconds(lambda: rotation.rewrap(rotated, actor="bench"))
    db.query_hooks.remove(executed.append)
    assert _digest_of_boxes() == before, "the exchange of the master key rewrote a value"
    touching = [one.sql for one in executed if "sealed_value" in one.sql or "past_value" in one.sql]
    report.at_most(f"{kind}: another master key over {VALUES:,} secrets, statements that touch a value", len(touching), 0,
                   str(len(touching)))
    wrapped = DataKey.select().where(DataKey.master_key_id == rotated.key_id).count()
    report.at_most(f"{kind}: the same, rows written for each data key", wrapped / CUSTOMERS, 1.01,
                   f"{wrapped / CUSTOMERS:.3f} ({wrapped} in {spent:.2f} s)")


def _digest_of_boxes() -> str:
    rows = SealedValue.select(SealedValue.credential, SealedValue.sealed).order_by(SealedValue.customer_id, SealedValue.credential)
    digest = hashlib.sha256()
    for credential, box in rows.tuples().iterator():
        digest.update(credential.encode() + bytes(box))
    return digest.hexdigest()


class _Reader:
    """Opens secrets one after another, as people and syncs do, and notes how long each took."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "_Reader":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        keyring, number = Keyring(NEW), 0
        while not self._ended.wait(0.01):
            number += 7919
            customer, index = number % CUSTOMERS, number % (VALUES // CUSTOMERS)
            one = f"crd_{customer}_{index}"
            begun = time.perf_counter()
            assert values.opened(keyring, f"cus_{customer}", one) == {"password": f"{one} {TEXT}"}
            self.took.append((time.perf_counter() - begun) * 1000)
        db.close()


def _rotate(report: Report, kind: str) -> None:
    keyring = Keyring(NEW)
    with _Reader() as reader:
        spent = seconds(lambda: rotation.rotate(keyring, actor="bench"))
    report.at_least(f"{kind}: new data keys, all values sealed anew with reads going on, values/s", VALUES / spent, _LEAST_RATE,
                    f"{VALUES / spent:,.0f}/s")
    report.add(f"{kind}: reads of a secret meanwhile, 95th percentile of {len(reader.took)}", f"{p95(reader.took):.1f} ms")
    assert not SealedValue.select().where(peewee.fn.SUBSTR(SealedValue.sealed, 2, 4) != (2).to_bytes(4)).exists()
    assert service.fields_of("cus_0", "crd_0_0") == {"password"}
