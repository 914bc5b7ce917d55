"""The master key of a deployment. It wraps the customers' data keys; other secrets of the process are derived from it."""

import base64
import hashlib
import hmac
import os

import peewee

from core import clock
from core.credentials import seal
from core.credentials.models import DataKey, MasterKeyCheck
from core.db import atomic, is_unique_violation

_KEY_BYTES = 32
_WRAPPING = 0  # the "key version" of what the master key itself seals; key_id says which master key it was
_KNOWN_TEXT = "this database was set up with this master key"


class MasterKeyWrong(Exception):
    """The master key is not the one that this database's secrets were sealed under."""

    def __init__(self) -> None:
        super().__init__("STOCKADE_MASTER_KEY is not the key that this database was set up with; nothing was touched")


class SecretsDestroyed(Exception):
    """The customer's data key was destroyed, and with it the secrets sealed under it."""


class Keyring:
    """What can open and seal. Data keys are unwrapped each time from their row, which takes microseconds and makes the
    destruction of a key take effect in every process at once; none is kept in memory."""

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key
        self.key_id = hashlib.sha256(b"stockade key id" + master_key).hexdigest()[:16]
        self._wrapping = self.derived("wrapping")
        self._is_verified = False

    def __repr__(self) -> str:
        return f"<Keyring {self.key_id}>"

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose, the same in every process with this master key."""
        return hmac.new(self._master, b"stockade " + purpose.encode(), hashlib.sha256).digest()

    def sealed(self, purpose: str, text: str, name: str) -> str:
        """A secret of the deployment itself, to be kept under this name."""
        return seal.sealed(self.derived(purpose), _WRAPPING, text, (purpose, name))

    def opened(self, purpose: str, text: str, name: str) -> str | None:
        """What ``sealed`` was given; None when it was under another master key or another name."""
        try:
            return seal.opened(self.derived(purpose), text, (purpose, name))
        except seal.SealBroken:
            return None

    def verify(self) -> None:
        """Prove that the master key fits the database; a database without secrets takes it as its own.

        :raises MasterKeyWrong: when it does not fit; nothing was written.
        """
        if self._is_verified:
            return
        check = MasterKeyCheck.get_or_none(MasterKeyCheck.key_id == self.key_id)
        if check is None:
            check = self._adopt()
        if seal.opened(self._wrapping, check.sealed, ("check", self.key_id)) != _KNOWN_TEXT:
            raise MasterKeyWrong
        self._is_verified = True

    def _adopt(self) -> MasterKeyCheck:
        with atomic():
            if MasterKeyCheck.select().exists() or DataKey.select().exists():
                raise MasterKeyWrong
            text = seal.sealed(self._wrapping, _WRAPPING, _KNOWN_TEXT, ("check", self.key_id))
            MasterKeyCheck.insert(key_id=self.key_id, sealed=text, created_at=clock.now()).on_conflict_ignore().execute()
        return MasterKeyCheck.get_by_id(self.key_id)

    def sealing_key(self, customer_id: str) -> tuple[int, bytes]:
        """Version and data key to seal a customer's secrets with; made when he has none yet."""
        self.verify()
        row = DataKey.select().where(DataKey.customer_id == customer_id).order_by(DataKey.version.desc()).first()
        return (row.version, self._unwrapped(row)) if row is not None else self._first_key(customer_id)

    def opening_key(self, customer_id: str, version: int) -> bytes:
        """The customer's data key of this version.

        :raises SecretsDestroyed: when it is no longer there.
        """
        self.verify()
        row = DataKey.get_or_none(DataKey.customer_id == customer_id, DataKey.version == version)
        if row is None:
            raise SecretsDestroyed(f"the data key {version} of the customer {customer_id} was destroyed")
        return self._unwrapped(row)

    def _first_key(self, customer_id: str) -> tuple[int, bytes]:
        version, key = 1, os.urandom(_KEY_BYTES)
        text = base64.b64encode(key).decode()
        wrapped = seal.sealed(self._wrapping, _WRAPPING, text, ("data key", customer_id, str(version)))
        try:
            with atomic():
                DataKey.create(customer_id=customer_id, version=version, master_key_id=self.key_id, wrapped=wrapped,
                               created_at=clock.now())
        except peewee.IntegrityError as problem:
            if not is_unique_violation(problem):
                raise
            return version, self.opening_key(customer_id, version)  # another process was first
        return version, key

    def _unwrapped(self, row: DataKey) -> bytes:
        if row.master_key_id != self.key_id:
            raise MasterKeyWrong
        return base64.b64decode(seal.opened(self._wrapping, row.wrapped, ("data key", row.customer_id, str(row.version))))
