"""Types of credentials: which fields one has, how each is checked, and which are secure.

Most are made by people and kept in a table. Those of connections come from the settings of their plugins' connectors: they are
listed with the others, and nobody changes them here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import peewee

from core import clock
from core.access import scopes
from core.access.nodes import NodeRegistry
from core.audit import record
from core.audit.many import Happening, record_many
from core.credentials import values
from core.credentials.keyring import Keyring
from core.credentials.models import Credential, CredentialType, PastValue, PlainValue, SealedValue
from core.db import atomic, is_postgres, is_unique_violation
from core.db.traces import leaving_no_trace
from core.errors import BadRequest, Conflict, Forbidden, NotFound
from core.hooks.contracts import Connector
from core.hooks.manager import Plugins
from core.http.access import Principal
from core.ids import new_id
from core.tenancy.service import name_key

OF_CONNECTION = "connection."
MOST_FIELDS = 100
LONGEST_NAME = 200
_SCOPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """One field of a type; values hang on its ``id``, whatever its name."""

    id: str
    name: str
    required: bool
    secure: bool
    value_type: str


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A type of credentials. ``created_at`` is None for those of connections."""

    id: str
    name: str
    permission_scope: str
    icon: str | None
    fields: tuple[FieldDefinition, ...]
    created_at: int | None = None
    updated_at: int | None = None

    @property
    def is_of_connection(self) -> bool:
        return self.id.startswith(OF_CONNECTION)

    def field(self, field_id: str) -> FieldDefinition | None:
        return next((field for field in self.fields if field.id == field_id), None)


def all_types(plugins: Plugins) -> list[TypeDefinition]:
    """Those that people made, by name, then those of the connectors that are on."""
    made = [_defined(row) for row in CredentialType.select().order_by(CredentialType.name_key)]
    return made + sorted(map(_of_connector, plugins.connectors()), key=lambda one: one.name.lower())


def find(plugins: Plugins, id_or_name: str) -> TypeDefinition:
    """The type with this id, else the one with this name.

    :raises NotFound: when there is none.
    """
    found = all_types(plugins)
    by_id = next((one for one in found if one.id == id_or_name), None)
    return by_id or _by_name(found, id_or_name)


def _by_name(found: Iterable[TypeDefinition], name: str) -> TypeDefinition:
    key = _key_of(name) if len(name) <= LONGEST_NAME else ""
    named = next((one for one in found if key and _key_of(one.name) == key), None)
    if named is None:
        raise NotFound
    return named


def held(plugins: Plugins, type_id: str) -> TypeDefinition | None:
    """The type with this id, which stays as it is until the end of the transaction; None when there is none."""
    if type_id.startswith(OF_CONNECTION):
        return next((one for one in map(_of_connector, plugins.connectors()) if one.id == type_id), None)
    query = CredentialType.select().where(CredentialType.id == type_id)
    row = (query.for_update("FOR SHARE") if is_postgres() else query).first()
    return None if row is None else _defined(row)


def _defined(row: CredentialType) -> TypeDefinition:
    fields = tuple(FieldDefinition(**field) for field in row.fields)
    return TypeDefinition(row.id, row.name, row.permission_scope, row.icon, fields, row.created_at, row.updated_at)


def _of_connector(connector: Connector) -> TypeDefinition:
    """The secrets among a connector's settings; the others stay with the connection."""
    described = connector.settings_schema().fields.items()
    fields = tuple(FieldDefinition(name, str(setting.metadata.get("label") or name), bool(setting.required), True, "generic_secret")
                   for name, setting in described if setting.metadata.get("secret"))
    return TypeDefinition(OF_CONNECTION + connector.source, f"{connector.title} connection", scopes.OF_CONNECTIONS, None, fields)


# -- making and changing ----------------------------------------------------------------------------------------------------


def create(plugins: Plugins, *, name: str, permission_scope: str, icon: str | None, fields: Sequence[Mapping[str, Any]],
           actor: str) -> TypeDefinition:
    """Add a type.

    :raises BadRequest: with the place of each fault.
    :raises Conflict: when the name is taken.
    """
    _check_scope(plugins, permission_scope)
    _check_name(plugins, name, "")
    definitions = _checked_fields(fields)
    moment = clock.now()
    with _telling_taken_names(), atomic():
        row = CredentialType.create(id=new_id("cty"), name=name, name_key=name_key(name), permission_scope=permission_scope, icon=icon,
                                    fields=[asdict(field) for field in definitions], created_at=moment, updated_at=moment)
        _note_scopes()
        record("credential_type.created", actor=actor, target=row.id,
               details={"name": name, "permissionScope": permission_scope, "fields": _told(definitions)})
    return _defined(row)


def change(plugins: Plugins, keyring: Keyring, principal: Principal, type_id: str, changes: Mapping[str, Any]) -> TypeDefinition:
    """Change ``name``, ``permission_scope``, ``icon`` or ``fields``; what credentials of the type hold follows in the same transaction.

    A field that becomes secure has its values sealed at once. The values of a field that is left out stay, unseen, and are back
    when a field with this id returns.

    :raises BadRequest: with the place of each fault; also when a field with sealed values would become plain.
    :raises Forbidden: when the scope of a type with credentials changes, and the principal does not hold all of ``credential.*`` himself.
    """
    _refuse_of_connection(type_id)
    if "permission_scope" in changes:
        _check_scope(plugins, changes["permission_scope"])
    if "name" in changes:
        _check_name(plugins, changes["name"], type_id)
    definitions = _checked_fields(changes["fields"]) if "fields" in changes else None
    with _telling_taken_names(), leaving_no_trace(), atomic():
        before = _locked(type_id)
        if changes.get("permission_scope", before.permission_scope) != before.permission_scope:
            _refuse_giving_more_than_held(principal, type_id)
        columns = {name: value for name, value in changes.items() if name != "fields"}
        if "name" in changes:
            columns["name_key"] = name_key(changes["name"])
        if definitions is not None:
            columns["fields"] = [asdict(field) for field in definitions]
            _migrate(keyring, type_id, definitions)
        CredentialType.update(columns | {"updated_at": clock.now()}).where(CredentialType.id == type_id).execute()
        _note_scopes()
        after = _locked(type_id)
        record("credential_type.changed", actor=principal.actor, target=type_id, details=_difference(before, after))
    return after


def _locked(type_id: str) -> TypeDefinition:
    query = CredentialType.select().where(CredentialType.id == type_id)
    row = (query.for_update() if is_postgres() else query).first()
    if row is None:
        raise NotFound
    return _defined(row)


def _migrate(keyring: Keyring, type_id: str, definitions: Sequence[FieldDefinition]) -> None:
    of_type = Credential.select(Credential.id).where(Credential.type == type_id)
    _refuse_opening(of_type, definitions)
    secure = [field.id for field in definitions if field.secure]
    if secure:
        _hide_past_values(type_id, of_type, secure)
    while secure:
        rows = list(PlainValue.select(PlainValue.customer_id, PlainValue.credential, PlainValue.field, PlainValue.value,
                                      PlainValue.updated_at)
                    .where(PlainValue.field.in_(secure), PlainValue.credential.in_(of_type)).limit(_BATCH).tuples())
        if not rows:
            return
        keys = keyring.sealing_keys({row[0] for row in rows})
        values.put_boxes([(customer_id, key, field, keys[customer_id].seal(text, (customer_id, key, field)), moment)
                          for customer_id, key, field, text, moment in rows])
        for field in sorted({row[2] for row in rows}):
            sealed = [row[1] for row in rows if row[2] == field]
            PlainValue.delete().where(PlainValue.field == field, PlainValue.credential.in_(sealed)).execute()


def _hide_past_values(type_id: str, of_type: peewee.ModelSelect, secure: Sequence[str]) -> None:
    """What these fields had before is secret from now on as well, also once they are left out again."""
    _hold_credentials(type_id)
    PastValue.update(was_secure=True).where(PastValue.field.in_(secure), PastValue.credential.in_(of_type), ~PastValue.was_secure).execute()


def _refuse_opening(of_type: peewee.ModelSelect, definitions: Sequence[FieldDefinition]) -> None:
    """A field never becomes plain while a value of it is sealed: whoever may change types need not be one who may read secrets."""
    plain = {field.id: number for number, field in enumerate(definitions) if not field.secure}
    held_sealed = (SealedValue.select(SealedValue.field).where(SealedValue.field.in_(sorted(plain)), SealedValue.credential.in_(of_type))
                   .distinct().tuples())
    fault = {"secure": ["There are sealed values of this field. Give the plain one another id."]}
    faults = {plain[field]: fault for (field,) in held_sealed}
    if faults:
        raise BadRequest("The request is not valid", details={"fields": faults})


def _refuse_giving_more_than_held(principal: Principal, type_id: str) -> None:
    gives = Credential.select().where(Credential.type == type_id).exists()
    if gives and not principal.holds(scopes.EVERY_TYPE + ".*"):
        raise Forbidden("Another scope would open the credentials of this type to others; that takes all permissions of credentials")


# -- deleting ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """What the deletion of a type takes along in one customer."""

    customer_id: str
    credentials: int


def taken_along(type_id: str) -> list[Taken]:
    """What ``delete`` would take along.

    :raises NotFound: when there is no such type.
    """
    _refuse_of_connection(type_id)
    if not CredentialType.select().where(CredentialType.id == type_id).exists():
        raise NotFound
    count = peewee.fn.COUNT(Credential.id)
    rows = Credential.select(Credential.customer_id, count).where(Credential.type == type_id).group_by(Credential.customer_id)
    return [Taken(*row) for row in rows.order_by(Credential.customer_id).tuples()]


def delete(type_id: str, *, actor: str) -> list[Taken]:
    """Delete a type and all credentials of it, whosever they are; returns what went along."""
    _refuse_of_connection(type_id)
    with leaving_no_trace(), atomic():
        gone = _locked(type_id)
        taken = taken_along(type_id)
        _hold_credentials(type_id)
        Credential.delete().where(Credential.type == type_id).execute()
        CredentialType.delete().where(CredentialType.id == type_id).execute()
        _note_scopes()
        of_all = {"name": gone.name, "credentials": sum(one.credentials for one in taken)}
        record_many([Happening("credential_type.deleted", type_id, None, of_all), *(
            Happening("credential.deleted", type_id, one.customer_id, {"credentials": one.credentials, "type": gone.name}) for one in taken
        )], actor=actor)
    return taken


def _hold_credentials(type_id: str) -> None:
    """In the order in which others hold several of them, so that nobody waits in a ring."""
    if is_postgres():
        Credential.select(Credential.id).where(Credential.type == type_id).order_by(Credential.id).for_update().execute()


# -- checks -----------------------------------------------------------------------------------------------------------------


def _refuse_of_connection(type_id: str) -> None:
    if type_id.startswith(OF_CONNECTION):
        raise Conflict("The type belongs to a plugin, which alone says what it consists of", code="CredentialTypeOfPlugin")


def _check_scope(plugins: Plugins, scope: str) -> None:
    """A scope must not begin like a node that exists: ``finding.*``, once granted, would open credentials as well."""
    taken = {node.node.partition(".")[0].casefold() for node in NodeRegistry.fixed(plugins.permission_nodes)}
    if not _SCOPE.fullmatch(scope):
        fault = "Must be words of letters, digits, - and _, with dots between, such as aws.credentials."
    elif scope.partition(".")[0].casefold() in taken:
        fault = "Begins like other permissions do; choose another first word."
    else:
        return
    raise BadRequest("The request is not valid", details={"permissionScope": [fault]})


def _check_name(plugins: Plugins, name: str, own_id: str) -> None:
    key = _key_of(name)
    if not key:
        raise BadRequest("The request is not valid", details={"name": ["Nothing to see."]})
    if any(_key_of(one.name) == key and one.id != own_id for one in all_types(plugins)):
        raise Conflict("A credential type with this name exists already", code="CredentialTypeExists")


def _key_of(name: str) -> str:
    """The form in which names that look alike are equal; empty for one that cannot be seen."""
    try:
        return name_key(name)
    except BadRequest:
        return ""


def _checked_fields(given: Sequence[Mapping[str, Any]]) -> tuple[FieldDefinition, ...]:
    definitions = tuple(FieldDefinition(**field) for field in given)
    ids = [field.id for field in definitions]
    faults = {number: {"id": ["Another field has this id."]} for number, one in enumerate(ids) if one in ids[:number]}
    if faults:
        raise BadRequest("The request is not valid", details={"fields": faults})
    return definitions


def _note_scopes() -> None:
    scopes.replace(lambda: {scope for (scope,) in CredentialType.select(CredentialType.permission_scope).distinct().tuples()})


class _telling_taken_names:  # noqa: N801  reads as a clause
    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, peewee.IntegrityError) and is_unique_violation(problem):
            raise Conflict("A credential type with this name exists already", code="CredentialTypeExists") from problem


def _told(fields: Iterable[FieldDefinition]) -> list[dict[str, Any]]:
    return [{"id": field.id, "secure": field.secure, "valueType": field.value_type} for field in fields]


def _difference(before: TypeDefinition, after: TypeDefinition) -> dict[str, Any]:
    pairs = {"name": (before.name, after.name), "permissionScope": (before.permission_scope, after.permission_scope),
             "icon": (before.icon, after.icon), "fields": (_told(before.fields), _told(after.fields))}
    return {name: {"from": was, "to": now} for name, (was, now) in pairs.items() if was != now}
