"""Keeping credentials of customers: checked by their type, secure values sealed, and never read without an audit event."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from core import clock
from core.audit import record
from core.credentials import seal, types, values
from core.credentials.keyring import Keyring
from core.credentials.models import Credential, DataKey, PastValue, PlainValue, SealedValue
from core.credentials.seal import SealBroken
from core.credentials.types import FieldDefinition, TypeDefinition
from core.credentials.value_types import fault_in
from core.db import atomic, is_postgres
from core.db.traces import leaving_no_trace
from core.errors import BadRequest, Conflict, NotFound
from core.hooks.manager import Plugins
from core.ids import new_id

_NOT_VALID = "The request is not valid"


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a request gives to a field. An empty one takes the field's value away, and so does None unless the field is secure:
    those are shown as null, and what is sent back as it was shown stays as it is."""

    field_id: str
    value: str | None


# -- secrets alone, as connections keep them ----------------------------------------------------------------------------------


def store(keyring: Keyring, customer_id: str, type: str, name: str, secrets: Mapping[str, str], *, actor: str) -> str:
    """Keep a set of secret values; returns the new credential's id.

    :param type: what the values are for, such as ``connection.sonarqube``.
    """
    moment = clock.now()
    with atomic():
        credential = _new(customer_id, type, name, None, moment)
        values.put_sealed(keyring, credential, secrets, moment)
        record("credential.created", actor=actor, target=credential.id, customer_id=customer_id,
               details={"type": type, "name": name, "fields": sorted(secrets)})
    return credential.id


def replace(keyring: Keyring, customer_id: str, credential_id: str, secrets: Mapping[str, str | None], *, actor: str) -> None:
    """Give the fields named new values, or with None no value; the others stay as they are.

    :raises NotFound: when the customer has no such credential.
    """
    moment = clock.now()
    with atomic():
        credential = _held(customer_id, credential_id)
        written = values.write(keyring, credential, {}, secrets, actor=actor, moment=moment)
        _touch(credential, moment)
        record("credential.changed", actor=actor, target=credential_id, customer_id=customer_id, details={"fields": written})


def reveal(keyring: Keyring, customer_id: str, credential_id: str, *, actor: str, reason: str,
           fields: Collection[str] | None = None) -> dict[str, str]:
    """The secure values by field. Leaves an audit event that says who read them, and why.

    :param fields: only these; all when None.
    :raises NotFound: when the customer has no such credential.
    :raises SecretsDestroyed: when the customer's data key is gone.
    :raises SealBroken: when a stored value was tampered with.
    """
    _get(customer_id, credential_id)
    opened = values.opened(keyring, customer_id, credential_id, fields)
    record("credential.revealed", actor=actor, target=credential_id, customer_id=customer_id,
           details={"fields": sorted(opened), "reason": reason})
    return opened


def fields_of(customer_id: str, credential_id: str) -> frozenset[str]:
    """Names of the secure fields that have a value; opens nothing."""
    rows = SealedValue.select(SealedValue.field).where(SealedValue.customer_id == customer_id, SealedValue.credential == credential_id)
    return frozenset(field for (field,) in rows.tuples())


def delete(customer_id: str, credential_id: str, *, actor: str) -> None:
    """Forget a credential with its values, those of before as well.

    :raises NotFound: when the customer has no such credential.
    """
    with atomic():
        _get(customer_id, credential_id)
        Credential.delete().where(Credential.customer_id == customer_id, Credential.id == credential_id).execute()
        record("credential.deleted", actor=actor, target=credential_id, customer_id=customer_id)


def destroy_customer_key(customer_id: str, *, actor: str) -> None:
    """Destroy all secrets of a customer for good, in this database and in every backup that lacks the key's row."""
    with leaving_no_trace(), atomic():
        DataKey.delete().where(DataKey.customer_id == customer_id).execute()  # waits for those who are sealing under it
        for model in (SealedValue, PastValue):
            model.delete().where(model.customer_id == customer_id).execute()
        record("data_key.destroyed", actor=actor, target=customer_id, customer_id=customer_id)


# -- credentials of people ----------------------------------------------------------------------------------------------------


def create(keyring: Keyring, plugins: Plugins, customer_id: str, type_id: str, name: str, notes: str | None, given: Sequence[Given], *,
           actor: str) -> Credential:
    """Add a credential.

    :raises BadRequest: with the place of each fault; nothing was written.
    """
    moment = clock.now()
    with atomic():
        type = _held_type(plugins, type_id)
        checked = _checked(type, given, {}, is_whole=True)
        credential = _new(customer_id, type.id, name, notes, moment)
        written = _write(keyring, credential, type, checked, actor, moment)
        record("credential.created", actor=actor, target=credential.id, customer_id=customer_id,
               details={"type": type.id, "name": name, "fields": written})
    return credential


def change(keyring: Keyring, plugins: Plugins, credential: Credential, given: Sequence[Given], *, actor: str, is_whole: bool = False,
           **columns: Any) -> Credential:
    """Change ``name`` and ``notes``, and give fields new values; what is not named stays as it is.

    :param is_whole: no required field may be without a value afterwards.
    :raises BadRequest: with the place of each fault; nothing was written.
    """
    moment = clock.now()
    with atomic():
        type = _held_type(plugins, credential.type)
        credential = _held(credential.customer_id, credential.id)
        checked = _checked(type, given, values.of(credential), is_whole=is_whole)
        written = _write(keyring, credential, type, checked, actor, moment)
        changed = {name: value for name, value in columns.items() if getattr(credential, name) != value}
        if not written and not changed:
            return credential
        _touch(credential, moment, **changed)
        record("credential.changed", actor=actor, target=credential.id, customer_id=credential.customer_id,
               details={"fields": written, **{name: value for name, value in changed.items() if name == "name"}})
    return _get(credential.customer_id, credential.id)


def restore(plugins: Plugins, keyring: Keyring, credential: Credential, past_id: str, *, actor: str) -> Credential:
    """Give a field the value that it had before; the present one goes among the earlier ones.

    :raises NotFound: when there is no such earlier value.
    :raises Conflict: when the type has no such field now, or the field is plain now and the value was secret.
    """
    moment = clock.now()
    with atomic():
        type = _held_type(plugins, credential.type)
        credential = _held(credential.customer_id, credential.id)
        row = next((row for row in values.past(credential) if str(row.id) == past_id), None)
        if row is None:
            raise NotFound
        definition = type.field(row.field)
        if definition is None:
            raise Conflict(f"The credential's type has no field {row.field} now")
        if row.was_secure and not definition.secure:
            raise Conflict("The value was secret, and the field is not secure now")
        text = values.opened_past(keyring, credential, [row])[row.id]
        plain, secure = ({}, {row.field: text}) if definition.secure else ({row.field: text}, {})
        values.write(keyring, credential, plain, secure, actor=actor, moment=moment)
        _touch(credential, moment)
        record("credential.restored", actor=actor, target=credential.id, customer_id=credential.customer_id,
               details={"field": row.field, "replacedAt": clock.iso(row.replaced_at)})
    return _get(credential.customer_id, credential.id)


def listing(condition: Any, *, customer_id: str | None = None, type_id: str | None = None) -> list[Credential]:
    """Credentials that meet the condition of ``core.credentials.reach.visible``, by name."""
    return [] if condition is None else list(_matching(condition, customer_id, type_id).order_by(Credential.name, Credential.id))


def search(condition: Any, known: Sequence[TypeDefinition], text: str, page: int, rows: int, *, customer_id: str | None = None,
           type_id: str | None = None) -> tuple[list[Credential], int]:
    """One page of the credentials whose name, or a plain field, holds ``text`` in any case; with how many there are in all."""
    if condition is None:
        return [], 0
    query = _matching(condition, customer_id, type_id)
    if text:
        query = query.where(Credential.name.contains(text) | _has_plain(known, text))
    return list(query.order_by(Credential.name, Credential.id).paginate(page, rows)), query.count()


def _matching(condition: Any, customer_id: str | None, type_id: str | None) -> peewee.ModelSelect:
    query = Credential.select().where(condition)
    if customer_id is not None:
        query = query.where(Credential.customer_id == customer_id)
    return query if type_id is None else query.where(Credential.type == type_id)


def _has_plain(known: Sequence[TypeDefinition], text: str) -> Any:
    """Looks at the fields that a type shows now; values of those that it once had stay unseen."""
    holding = PlainValue.select(PlainValue.credential).where(PlainValue.value.contains(text))
    found: Any = Credential.id.in_(())
    for type in known:
        if shown := [field.id for field in type.fields if not field.secure]:
            found |= (Credential.type == type.id) & Credential.id.in_(holding.where(PlainValue.field.in_(shown)))
    return found


def count_by_type(condition: Any) -> dict[str, int]:
    """How many credentials of each type meet the condition."""
    if condition is None:
        return {}
    return dict(Credential.select(Credential.type, peewee.fn.COUNT(Credential.id)).where(condition).group_by(Credential.type).tuples())


# -- what they share ----------------------------------------------------------------------------------------------------------


def _new(customer_id: str, type_id: str, name: str, notes: str | None, moment: int) -> Credential:
    return Credential.create(id=new_id("crd"), customer_id=customer_id, type=type_id, name=name, notes=notes, created_at=moment,
                             updated_at=moment)


def _get(customer_id: str, credential_id: str) -> Credential:
    return _one(Credential.select().where(Credential.customer_id == customer_id, Credential.id == credential_id))


def _held(customer_id: str, credential_id: str) -> Credential:
    """The credential, whose values nobody else writes until the end of the transaction."""
    query = Credential.select().where(Credential.customer_id == customer_id, Credential.id == credential_id)
    return _one(query.for_update() if is_postgres() else query)


def _one(query: peewee.ModelSelect) -> Credential:
    credential: Credential | None = query.first()
    if credential is None:
        raise NotFound("There is no such credential")
    return credential


def _touch(credential: Credential, moment: int, **columns: Any) -> None:
    (Credential.update(updated_at=moment, **columns)
     .where(Credential.customer_id == credential.customer_id, Credential.id == credential.id).execute())


def _held_type(plugins: Plugins, type_id: str) -> TypeDefinition:
    type = types.held(plugins, type_id)
    if type is None:
        raise BadRequest(_NOT_VALID, details={"typeId": ["There is no such credential type."]})
    if type.is_of_connection:
        raise Conflict("The credential belongs to a connection; change it there", code="CredentialOfConnection")
    return type


def _checked(type: TypeDefinition, given: Sequence[Given], stored: Mapping[str, values.Stored], *, is_whole: bool) -> dict[str, str | None]:
    """New values by field, all of them checked before any is written. An encrypted value that is sent back unchanged is left out."""
    faults: dict[str | int, Any] = {}
    checked: dict[str, str | None] = {}
    ids = [one.field_id for one in given]
    for number, one in enumerate(given):
        field = type.field(one.field_id)
        fault = _fault(field, one, stored, is_repeated=one.field_id in ids[:number])
        if fault:
            faults[number] = fault
        elif not _is_unchanged(field, one, stored):
            checked[one.field_id] = one.value or None
    if is_whole:
        faults |= {field.id: ["Field is required"] for field in type.fields
                   if field.required and field.id not in stored and field.id not in ids}
    if faults:
        raise BadRequest(_NOT_VALID, details={"fields": faults})
    return checked


def _fault(field: FieldDefinition | None, one: Given, stored: Mapping[str, values.Stored], *, is_repeated: bool) -> Any:
    if field is None:
        return {"fieldId": ["The credential's type has no such field."]}
    if is_repeated:
        return {"fieldId": ["The field is given twice."]}
    if _is_unchanged(field, one, stored):
        return None
    if not one.value:
        return {"value": ["Field is required"]} if field.required else None
    if field.secure and _is_box(one.value):
        return {"value": ["This is an encrypted value of elsewhere, or of before; send the value."]}
    fault = fault_in(field.value_type, one.value)
    return {"value": [fault]} if fault else None


def _is_box(text: str) -> bool:
    try:
        seal.unarmored(text)
    except SealBroken:
        return False
    return True


def _is_unchanged(field: FieldDefinition | None, one: Given, stored: Mapping[str, values.Stored]) -> bool:
    """Whether a secure value is sent back as some answer showed it: as null, or encrypted."""
    kept = stored.get(one.field_id)
    if field is None or kept is None or kept.sealed is None:
        return False
    return one.value == seal.armored(kept.sealed) or one.value is None and field.secure


def _write(keyring: Keyring, credential: Credential, type: TypeDefinition, checked: Mapping[str, str | None], actor: str,
           moment: int) -> list[str]:
    secure = {field.id for field in type.fields if field.secure}
    return values.write(keyring, credential, {field: text for field, text in checked.items() if field not in secure},
                        {field: text for field, text in checked.items() if field in secure}, actor=actor, moment=moment)


def delete_of_person(credential: Credential, *, actor: str) -> None:
    """``delete``, for what does not belong to a connection.

    :raises Conflict: when it does.
    """
    if credential.type.startswith(types.OF_CONNECTION):
        raise Conflict("The credential belongs to a connection, and goes with it", code="CredentialOfConnection")
    delete(credential.customer_id, credential.id, actor=actor)


def past_values(keyring: Keyring, type: TypeDefinition, credential: Credential, field_id: str | None) -> list[tuple[PastValue, str | None]]:
    """What fields had before, the latest first; the text only of values that never were secret."""
    rows = values.past(credential, field_id)
    secure = {field.id for field in type.fields if field.secure}
    texts = values.opened_past(keyring, credential, [row for row in rows if not row.was_secure and row.field not in secure])
    return [(row, texts.get(row.id)) for row in rows]
