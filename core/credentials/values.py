"""The values of credentials' fields: secure ones sealed, the others plain, and those that fields had before."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.credentials import seal
from core.credentials.keyring import Keyring, SecretsDestroyed
from core.credentials.models import Credential, PastValue, PlainValue, SealedValue
from core.db.bulk import bulk_insert, bulk_upsert, rows_by_key

KEPT = 20  # earlier values of a field
_PLACE = ("customer_id", "credential_id", "field")
_SEALED = (*_PLACE, "sealed", "updated_at")
_PLAIN = (*_PLACE, "value", "updated_at")
_PAST = (*_PLACE, "sealed", "was_secure", "set_at", "replaced_at", "replaced_by")


@dataclass(frozen=True, slots=True)
class Stored:
    """What a field has at present. One of ``plain`` and ``sealed`` is None."""

    plain: str | None
    sealed: bytes | None
    updated_at: int


def of_many(customer_ids: Collection[str], credential_ids: Sequence[str]) -> dict[str, dict[str, Stored]]:
    """The fields that have a value, by credential and field; opens nothing."""
    found: dict[str, dict[str, Stored]] = {key: {} for key in credential_ids}
    customers = set(customer_ids)
    for model, column in ((PlainValue, "value"), (SealedValue, "sealed")):
        for customer_id, key, field, kept, moment in rows_by_key(model, (*_PLACE, column, "updated_at"), {}, "credential_id",
                                                                 list(credential_ids)):
            if customer_id in customers:
                stored = Stored(kept, None, moment) if model is PlainValue else Stored(None, bytes(kept), moment)
                found[key][field] = stored
    return found


def of(credential: Credential) -> dict[str, Stored]:
    """``of_many`` of one credential."""
    return of_many([credential.customer_id], [credential.id])[credential.id]


def opened(keyring: Keyring, customer_id: str, credential_id: str, fields: Collection[str] | None = None) -> dict[str, str]:
    """Secure values by field; the caller records that they were read.

    :param fields: only these; all when None.
    :raises SecretsDestroyed: when the customer's data key is gone.
    :raises core.credentials.seal.SealBroken: when a stored value was tampered with.
    """
    try:
        return _opened_now(keyring, customer_id, credential_id, fields)
    except SecretsDestroyed:  # or a rotation sealed them anew, and dropped the old key, since the rows were read
        return _opened_now(keyring, customer_id, credential_id, fields)


def _opened_now(keyring: Keyring, customer_id: str, credential_id: str, fields: Collection[str] | None) -> dict[str, str]:
    query = SealedValue.select(SealedValue.field, SealedValue.sealed).where(*_of(SealedValue, customer_id, credential_id))
    rows = [(field, bytes(box)) for field, box in query.tuples() if fields is None or field in fields]
    if not rows:
        return {}
    keys = keyring.opening_keys({(customer_id, seal.key_version(box)) for _, box in rows})
    return {field: keys[customer_id, seal.key_version(box)].open(box, (customer_id, credential_id, field)) for field, box in rows}


def write(keyring: Keyring, credential: Credential, plain: Mapping[str, str | None], secure: Mapping[str, str | None], *, actor: str,
          moment: int) -> list[str]:
    """Give fields new values, or with None no value, and keep those they had; inside a transaction.

    :returns: the fields whose value was written or removed; a plain one that stays as it is is not.
    """
    present = of(credential)
    plain = {field: text for field, text in plain.items() if field not in present or present[field].plain != text}
    given = {**plain, **secure}
    replaced = {field: present[field] for field in given if field in present}
    if given:
        _keep(keyring, credential, replaced, actor, moment)
        _remove(credential, replaced)
        _put_plain(credential, {field: text for field, text in plain.items() if text is not None}, moment)
        put_sealed(keyring, credential, {field: text for field, text in secure.items() if text is not None}, moment)
    return sorted(field for field, text in given.items() if text is not None or field in replaced)


def put_sealed(keyring: Keyring, credential: Credential, texts: Mapping[str, str], moment: int) -> None:
    """Seal values, in place of any that are there; inside a transaction."""
    if texts:
        customer_id, key = credential.customer_id, keyring.sealing_key(credential.customer_id)
        put_boxes([(customer_id, credential.id, field, key.seal(text, (customer_id, credential.id, field)), moment)
                   for field, text in texts.items()])


def put_boxes(rows: Sequence[tuple]) -> None:
    """Store what is sealed already: (customer, credential, field, box, moment)."""
    bulk_upsert(SealedValue, _SEALED, rows, conflict=_PLACE, update=("sealed", "updated_at"))


def _put_plain(credential: Credential, texts: Mapping[str, str], moment: int) -> None:
    bulk_upsert(PlainValue, _PLAIN, [(credential.customer_id, credential.id, field, text, moment) for field, text in texts.items()],
                conflict=_PLACE, update=("value", "updated_at"))


def _remove(credential: Credential, fields: Iterable[str]) -> None:
    for model in (PlainValue, SealedValue):
        if names := sorted(fields):
            model.delete().where(*_of(model, credential.customer_id, credential.id), model.field.in_(names)).execute()


# -- earlier values ---------------------------------------------------------------------------------------------------------


def past(credential: Credential, field: str | None = None) -> list[PastValue]:
    """What fields had before, the latest first; opens nothing."""
    query = PastValue.select().where(*_of(PastValue, credential.customer_id, credential.id)).order_by(PastValue.id.desc())
    return list(query if field is None else query.where(PastValue.field == field))


def opened_past(keyring: Keyring, credential: Credential, rows: Sequence[PastValue]) -> dict[int, str]:
    """The texts of earlier values, by the rows' ids; meant for those that were not secure."""
    if not rows:
        return {}
    boxes = {row.id: bytes(row.sealed) for row in rows}
    customer_id = credential.customer_id
    keys = keyring.opening_keys({(customer_id, seal.key_version(box)) for box in boxes.values()})
    return {row.id: keys[customer_id, seal.key_version(boxes[row.id])].open(boxes[row.id], (customer_id, credential.id, row.field))
            for row in rows}


def _keep(keyring: Keyring, credential: Credential, replaced: Mapping[str, Stored], actor: str, moment: int) -> None:
    """Move values that are about to be replaced among the earlier ones, and forget those that are too many."""
    if not replaced:
        return
    customer_id = credential.customer_id
    key = keyring.sealing_key(customer_id)
    rows = []
    for field, stored in replaced.items():
        box = stored.sealed if stored.sealed is not None else key.seal(stored.plain or "", (customer_id, credential.id, field))
        rows.append((customer_id, credential.id, field, box, stored.sealed is not None, stored.updated_at, moment, actor))
    bulk_insert(PastValue, _PAST, rows)
    _forget_the_oldest(credential)


def _forget_the_oldest(credential: Credential) -> None:
    counted: dict[str, int] = {}
    surplus = []
    rows = (PastValue.select(PastValue.id, PastValue.field).where(*_of(PastValue, credential.customer_id, credential.id))
            .order_by(PastValue.id.desc()))
    for key, field in rows.tuples():
        counted[field] = counted.get(field, 0) + 1
        if counted[field] > KEPT:
            surplus.append(key)
    if surplus:
        PastValue.delete().where(PastValue.customer_id == credential.customer_id, PastValue.id.in_(surplus)).execute()


def _of(model: type[PlainValue] | type[SealedValue] | type[PastValue], customer_id: str, credential_id: str) -> tuple:
    return model.customer_id == customer_id, model.credential == credential_id
