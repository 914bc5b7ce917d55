"""The keys that access tokens are signed with: ES256, each for thirty days, the next one published a day before it signs."""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass
from typing import Any

import peewee
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

from core import clock
from core.audit import record
from core.db import atomic, is_unique_violation
from core.signin.models import SigningKey

ALGORITHM = "ES256"
SIGNS_FOR = 30 * clock.DAY
PUBLISHED_BEFORE = clock.DAY
#: how long after its last signature a key stays published
PUBLISHED_AFTER = clock.HOUR
LOOK_AGAIN = 20 * clock.SECOND
_PURPOSE = "signing key"


@dataclass(frozen=True, slots=True)
class Signer:
    kid: str
    private_key: ec.EllipticCurvePrivateKey


class Verifiers:
    """The public keys that one process looked up lately. They never change, so that only their coming and going can be missed
    for a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, PyJWK]] = {}

    def get(self, kid: str) -> PyJWK | None:
        """The public key with this id, as long as it is published."""
        looked_at, key = self._known.get(kid, (0, None))
        if key is not None and 0 <= clock.now() - looked_at < LOOK_AGAIN:
            return key
        row = _published().where(SigningKey.kid == kid).first()
        with self._lock:
            self._known.pop(kid, None)
            if row is not None:
                self._known[kid] = clock.now(), PyJWK(row.public_jwk, ALGORITHM)
        return self._known[kid][1] if row is not None else None


def signer(keyring: Any) -> Signer:
    """The key to sign with now, made when there is none; the next one is made in time for everybody to know it."""
    moment = clock.now()
    newest = SigningKey.select().where(SigningKey.signs_until > moment).order_by(SigningKey.number.desc()).limit(2)
    rows = sorted(newest, key=lambda row: row.number)
    if rows and rows[-1].signs_until - moment < PUBLISHED_BEFORE:
        _make(keyring, rows[-1].signs_until)
    for row in rows:
        private_key = _opened(keyring, row) if row.signs_from <= moment else None
        if private_key is not None:
            return Signer(row.kid, private_key)
    _make(keyring, moment)  # the first one, or the others were sealed under a master key that has been replaced
    return signer(keyring)


def published() -> list[dict[str, Any]]:
    """The public keys as JWKs, the oldest first."""
    return [row.public_jwk for row in _published().order_by(SigningKey.number)]


def withdraw_all(*, actor: str) -> int:
    """Delete every key, as after a leak; every process refuses what they signed within ``LOOK_AGAIN``. How many there were."""
    with atomic():
        number = SigningKey.delete().execute()
        record("signing_keys.withdrawn", actor=actor, details={"number": number})
    return number


def _published() -> peewee.ModelSelect:
    return SigningKey.select().where(SigningKey.signs_until + PUBLISHED_AFTER > clock.now())


def _make(keyring: Any, signs_from: int) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(ECAlgorithm.to_jwk(private_key.public_key()))
    kid = _thumbprint(jwk)
    text = private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    number = (SigningKey.select(peewee.fn.MAX(SigningKey.number)).scalar() or 0) + 1
    try:
        with atomic():
            SigningKey.create(number=number, kid=kid, public_jwk={**jwk, "kid": kid, "use": "sig", "alg": ALGORITHM},
                              sealed=keyring.sealed(_PURPOSE, text, kid), created_at=clock.now(), signs_from=signs_from,
                              signs_until=signs_from + SIGNS_FOR)
            SigningKey.delete().where(SigningKey.signs_until + PUBLISHED_AFTER <= clock.now()).execute()
    except peewee.IntegrityError as problem:
        if not is_unique_violation(problem):
            raise  # another process was first, and its key is as good


def _opened(keyring: Any, row: SigningKey) -> ec.EllipticCurvePrivateKey | None:
    text = keyring.opened(_PURPOSE, row.sealed, row.kid)
    if text is None:
        return None
    key = serialization.load_pem_private_key(text.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - it is what _make sealed
    return key


def _thumbprint(jwk: dict[str, str]) -> str:
    """Of RFC 7638: the members that make the key, in order."""
    text = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
