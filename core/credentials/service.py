"""Keeping secrets of customers: sealed under a data key per customer, and never read without an audit event."""

from collections.abc import Mapping

from core import clock
from core.audit import record
from core.credentials import seal
from core.credentials.keyring import Keyring
from core.credentials.models import Credential, DataKey, SealedValue
from core.db import atomic
from core.errors import NotFound
from core.ids import new_id


def store(keyring: Keyring, customer_id: str, type: str, name: str, values: Mapping[str, str], *, actor: str) -> str:
    """Keep a set of secret values; returns the new credential's id.

    :param type: what the values are for, such as ``connection.sonarqube``.
    """
    moment = clock.now()
    with atomic():
        credential = Credential.create(id=new_id("crd"), customer_id=customer_id, type=type, name=name, created_at=moment,
                                       updated_at=moment)
        _write(keyring, customer_id, credential.id, values, moment)
        record("credential.created", actor=actor, target=credential.id, customer_id=customer_id,
               details={"type": type, "name": name, "fields": sorted(values)})
    return credential.id


def replace(keyring: Keyring, customer_id: str, credential_id: str, values: Mapping[str, str | None], *, actor: str) -> None:
    """Give the fields named new values, or with None no value; the others stay as they are.

    :raises NotFound: when the customer has no such credential.
    """
    moment = clock.now()
    with atomic():
        _get(customer_id, credential_id)
        dropped = [field for field, value in values.items() if value is None]
        if dropped:
            SealedValue.delete().where(*_of(customer_id, credential_id), SealedValue.field.in_(dropped)).execute()
        _write(keyring, customer_id, credential_id, {field: value for field, value in values.items() if value is not None}, moment)
        Credential.update(updated_at=moment).where(Credential.customer_id == customer_id, Credential.id == credential_id).execute()
        record("credential.changed", actor=actor, target=credential_id, customer_id=customer_id, details={"fields": sorted(values)})


def reveal(keyring: Keyring, customer_id: str, credential_id: str, *, actor: str, reason: str) -> dict[str, str]:
    """The secret values by field. Leaves an audit event that says who read them, and why.

    :raises NotFound: when the customer has no such credential.
    :raises SecretsDestroyed: when the customer's data key is gone.
    :raises SealBroken: when a stored value was tampered with.
    """
    _get(customer_id, credential_id)
    keys: dict[int, bytes] = {}
    values: dict[str, str] = {}
    for row in SealedValue.select().where(*_of(customer_id, credential_id)):
        version = seal.key_version(row.sealed)
        if version not in keys:
            keys[version] = keyring.opening_key(customer_id, version)
        values[row.field] = seal.opened(keys[version], row.sealed, (customer_id, credential_id, row.field))
    record("credential.revealed", actor=actor, target=credential_id, customer_id=customer_id,
           details={"fields": sorted(values), "reason": reason})
    return values


def fields_of(customer_id: str, credential_id: str) -> frozenset[str]:
    """Names of the fields that have a value; opens nothing."""
    return frozenset(field for (field,) in SealedValue.select(SealedValue.field).where(*_of(customer_id, credential_id)).tuples())


def delete(customer_id: str, credential_id: str, *, actor: str) -> None:
    """Forget a credential and its values.

    :raises NotFound: when the customer has no such credential.
    """
    with atomic():
        _get(customer_id, credential_id)
        Credential.delete().where(Credential.customer_id == customer_id, Credential.id == credential_id).execute()
        record("credential.deleted", actor=actor, target=credential_id, customer_id=customer_id)


def destroy_customer_key(customer_id: str, *, actor: str) -> None:
    """Destroy all secrets of a customer for good, in this database and in every backup that lacks the key's row."""
    with atomic():
        DataKey.delete().where(DataKey.customer_id == customer_id).execute()
        SealedValue.delete().where(SealedValue.customer_id == customer_id).execute()
        record("data_key.destroyed", actor=actor, target=customer_id, customer_id=customer_id)


def _get(customer_id: str, credential_id: str) -> Credential:
    credential = Credential.get_or_none(Credential.customer_id == customer_id, Credential.id == credential_id)
    if credential is None:
        raise NotFound("There is no such credential")
    return credential


def _write(keyring: Keyring, customer_id: str, credential_id: str, values: Mapping[str, str], moment: int) -> None:
    if not values:
        return
    version, key = keyring.sealing_key(customer_id)
    for field, value in values.items():
        sealed = seal.sealed(key, version, value, (customer_id, credential_id, field))
        (SealedValue.insert(customer_id=customer_id, credential=credential_id, field=field, sealed=sealed, updated_at=moment)
         .on_conflict(conflict_target=[SealedValue.customer_id, SealedValue.credential, SealedValue.field],
                      update={"sealed": sealed, "updated_at": moment})
         .execute())


def _of(customer_id: str, credential_id: str) -> tuple:
    return SealedValue.customer_id == customer_id, SealedValue.credential == credential_id
