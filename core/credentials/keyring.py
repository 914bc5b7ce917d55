"""The master keys of a deployment. They wrap the data keys of customers, and one more that other secrets are derived from."""

import base64
import hashlib
import hmac
import logging
import os
from collections.abc import Collection, Iterable, Mapping

import peewee

from core import clock
from core.credentials import seal
from core.credentials.models import DataKey, MasterKeyCheck
from core.credentials.seal import Key
from core.db import atomic, db, is_postgres, is_unique_violation
from core.errors import Conflict, Unavailable
from core.settings import Settings

log = logging.getLogger(__name__)
KEY_BYTES = 32
#: whose data key the other secrets of the deployment are derived from; no customer's id looks like this
DEPLOYMENT = "deployment"
_WRAPPING = 0  # the "key version" of what a master key itself seals; key_id says which master key it was
_ROWS_AT_ONCE = 500
_KNOWN_TEXT = "this database was set up with this master key"


class MasterKeyWrong(Unavailable):
    """The master keys given are not those that this database's secrets were sealed under; nothing was touched."""

    code = "MasterKeyWrong"

    def __init__(self, message: str = "") -> None:
        super().__init__((message or "STOCKADE_MASTER_KEY is not the key that this database was set up with") + "; nothing was touched")


class SecretsDestroyed(Conflict):
    """The data key of these secrets was destroyed, and with it the secrets."""

    code = "SecretsDestroyed"


def key_id_of(master_key: bytes) -> str:
    """What a master key is called in the database and in messages."""
    return hashlib.sha256(b"stockade key id" + master_key).hexdigest()[:16]


class Keyring:
    """What can open and seal. Data keys are unwrapped each time from their row, which takes microseconds and makes the
    destruction of a key take effect in every process at once; none is kept in memory.

    :ivar key_id: of the master key that the settings name; new data keys are wrapped by the one that the database calls
        current, which is this one as soon as ``rewrap`` was asked for. So processes with old and new settings can work side by side.
    """

    def __init__(self, master_key: bytes, earlier: Iterable[bytes] = ()) -> None:
        self.key_id = key_id_of(master_key)
        self._wrapping = {key_id_of(key): Key(_derived(key, "wrapping"), _WRAPPING) for key in (*earlier, master_key)}
        self._seed: bytes | None = None
        self._is_verified = False

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """The keyring of a deployment whose settings have a master key."""
        if settings.master_key is None:
            raise MasterKeyWrong("STOCKADE_MASTER_KEY is missing")
        return cls(settings.master_key, settings.master_keys_old)

    def __repr__(self) -> str:
        return f"<Keyring {self.key_id}>"

    @property
    def known(self) -> Collection[str]:
        """Ids of the master keys that this process has."""
        return self._wrapping.keys()

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose, the same in every process of the deployment, whichever master key is current."""
        if self._seed is None:
            self._seed = self._unwrapped_bytes(self._row_of(DEPLOYMENT))
        return _derived(self._seed, purpose)

    def sealed(self, purpose: str, text: str, name: str) -> str:
        """A secret of the deployment itself, to be kept under this name."""
        return seal.armored(Key(self.derived(purpose), _WRAPPING).seal(text, (purpose, name)))

    def opened(self, purpose: str, text: str, name: str) -> str | None:
        """What ``sealed`` was given; None when it was sealed elsewhere, or under another name."""
        try:
            return _opened(Key(self.derived(purpose), _WRAPPING), text, (purpose, name))
        except seal.SealBroken:
            return None

    # -- the master keys ----------------------------------------------------------------------------------------------------

    def refuse_wrong(self) -> None:
        """Compare with a database that may still wait for migrations, and read nothing else of it.

        :raises MasterKeyWrong: when it was set up with another master key.
        """
        if db.table_exists(MasterKeyCheck._meta.table_name):
            self._compare(dict(MasterKeyCheck.select(MasterKeyCheck.key_id, MasterKeyCheck.sealed).tuples()))

    def verify(self) -> None:
        """Prove that the master keys fit the database; a database without secrets takes the first one as its own.

        :raises MasterKeyWrong: when they do not fit, or one is missing that data keys are still wrapped by; nothing was written.
        """
        if self._is_verified:
            return
        checks = dict(MasterKeyCheck.select(MasterKeyCheck.key_id, MasterKeyCheck.sealed).tuples())
        self._compare(checks)
        if self.key_id not in checks:
            self._adopt()
        self._is_verified = True

    def _compare(self, checks: Mapping[str, str]) -> None:
        for key_id, text in checks.items():
            if key_id in self._wrapping and not _proves(self._wrapping[key_id], text, key_id):
                raise MasterKeyWrong
        if checks and not checks.keys() & self._wrapping.keys():
            raise MasterKeyWrong
        in_use = {key_id for (key_id,) in DataKey.select(DataKey.master_key_id).distinct().tuples()}
        if missing := sorted(in_use - self._wrapping.keys()):
            raise MasterKeyWrong(f"STOCKADE_MASTER_KEYS_OLD lacks the key {', '.join(missing)}, which data keys are still wrapped by")

    def _adopt(self) -> None:
        """Note down the master key of the settings: the first of a database, or one that takes another's place."""
        with atomic():
            is_first = not MasterKeyCheck.select().exists()
            if is_first and DataKey.select().exists():
                raise MasterKeyWrong
            text = seal.armored(self._wrapping[self.key_id].seal(_KNOWN_TEXT, ("check", self.key_id)))
            (MasterKeyCheck.insert(key_id=self.key_id, sealed=text, is_current=is_first, created_at=clock.now())
             .on_conflict_ignore().execute())
        self._compare(dict(MasterKeyCheck.select(MasterKeyCheck.key_id, MasterKeyCheck.sealed).tuples()))

    def wrap(self, data_key: bytes, customer_id: str, version: int, master_key_id: str) -> str:
        """A data key as its row keeps it."""
        return seal.armored(self._wrapping[master_key_id].seal(base64.b64encode(data_key).decode(), _place(customer_id, version)))

    def rewrapped(self, row: DataKey) -> str:
        """The same data key, wrapped by the master key of the settings."""
        return self.wrap(self._unwrapped_bytes(row), row.customer_id, row.version, self.key_id)

    def current_key_id(self) -> str:
        """The master key that new data keys are wrapped by. Inside a transaction it stays so until the transaction's end.

        :raises MasterKeyWrong: when this process does not have it.
        """
        query = MasterKeyCheck.select(MasterKeyCheck.key_id).where(MasterKeyCheck.is_current)
        if is_postgres():
            query = query.for_update("FOR SHARE")
        # Who waited for another key to become the current one finds no row, and looks again.
        row = query.tuples().first() or query.clone().tuples().first()
        if row is None or row[0] not in self._wrapping:
            raise _not_given()
        return row[0]

    # -- data keys ----------------------------------------------------------------------------------------------------------

    def sealing_key(self, customer_id: str) -> Key:
        """The data key to seal a customer's secrets with; made when he has none yet. Asked for inside the transaction that writes
        what is sealed, so that a rotation waits for it."""
        return self.sealing_keys([customer_id])[customer_id]

    def sealing_keys(self, customer_ids: Collection[str]) -> dict[str, Key]:
        """``sealing_key`` of many customers, in a constant number of statements unless keys have to be made."""
        self.verify()
        query = DataKey.select().where(DataKey.customer_id.in_(sorted(customer_ids))).order_by(DataKey.customer_id, DataKey.version)
        rows = {row.customer_id: row for row in (query.for_update("FOR SHARE") if is_postgres() else query)}  # the newest of each
        for customer_id in sorted(set(customer_ids) - rows.keys()):
            rows[customer_id] = self._first_row(customer_id)
        return {customer_id: self._unwrapped(row) for customer_id, row in rows.items()}

    def opening_keys(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Key]:
        """Data keys by customer and version, in one statement.

        :raises SecretsDestroyed: when one is no longer there.
        """
        self.verify()
        customers = sorted({customer_id for customer_id, _ in wanted})
        rows = {(row.customer_id, row.version): row for row in DataKey.select().where(DataKey.customer_id.in_(customers))}
        for customer_id, version in wanted:
            if (customer_id, version) not in rows:
                raise SecretsDestroyed(f"The data key {version} of the customer {customer_id} was destroyed, and its secrets with it")
        return {name: self._unwrapped(rows[name]) for name in wanted}

    def _row_of(self, owner: str) -> DataKey:
        self.verify()
        return DataKey.get_or_none(DataKey.customer_id == owner, DataKey.version == 1) or self._first_row(owner)

    def _first_row(self, customer_id: str) -> DataKey:
        try:
            with atomic():
                return self.new_row(customer_id, 1)
        except peewee.IntegrityError as problem:
            if not is_unique_violation(problem):
                raise
            return DataKey.get(DataKey.customer_id == customer_id, DataKey.version == 1)  # another process was first

    def new_row(self, customer_id: str, version: int) -> DataKey:
        """Make and keep a data key; inside a transaction."""
        master = self.current_key_id()
        return DataKey.create(customer_id=customer_id, version=version, master_key_id=master, created_at=clock.now(),
                              wrapped=self.wrap(os.urandom(KEY_BYTES), customer_id, version, master))

    def add_rows(self, versions: Mapping[str, int]) -> None:
        """Make and keep a data key of this version for each customer; inside a transaction."""
        master, moment = self.current_key_id(), clock.now()
        rows = [{"customer_id": customer_id, "version": version, "master_key_id": master, "created_at": moment,
                 "wrapped": self.wrap(os.urandom(KEY_BYTES), customer_id, version, master)} for customer_id, version in versions.items()]
        for some in peewee.chunked(rows, _ROWS_AT_ONCE):
            DataKey.insert_many(some).execute()

    def _unwrapped(self, row: DataKey) -> Key:
        return Key(self._unwrapped_bytes(row), row.version)

    def _unwrapped_bytes(self, row: DataKey) -> bytes:
        if row.master_key_id not in self._wrapping:
            raise _not_given()
        return base64.b64decode(_opened(self._wrapping[row.master_key_id], row.wrapped, _place(row.customer_id, row.version)))


def _not_given() -> MasterKeyWrong:
    """A process that runs on with settings of before ``rewrap``: it says so in its log, whoever asked."""
    log.error("the master key in use is not among those that this process was started with; start it anew with the new settings")
    return MasterKeyWrong("this process was started without the master key that is in use now")


def _proves(key: Key, text: str, key_id: str) -> bool:
    try:
        return _opened(key, text, ("check", key_id)) == _KNOWN_TEXT
    except seal.SealBroken:
        return False


def _place(customer_id: str, version: int) -> tuple[str, ...]:
    return "data key", customer_id, str(version)


def _opened(key: Key, text: str, bound: tuple[str, ...]) -> str:
    return key.open(seal.unarmored(text), bound)


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.new(secret, b"stockade " + purpose.encode(), hashlib.sha256).digest()
