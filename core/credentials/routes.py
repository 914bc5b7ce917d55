"""Credentials of companies and their types, on the ``/v1`` surface. What somebody may see is decided by ``core.credentials.reach``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import request
from flask_smorest import Blueprint
from marshmallow import fields

from core.credentials import reach, schemas, seal, service, types, values
from core.credentials.models import Credential
from core.credentials.reach import Found
from core.credentials.service import Given
from core.credentials.types import TypeDefinition
from core.credentials.value_types import VALUE_TYPES
from core.errors import BadRequest, NotFound
from core.http import v1
from core.http.access import CustomerFrom, current_principal, requires
from core.http.deployed import deployment, settings
from core.tenancy.models import Customer

blp = Blueprint("credentials", __name__, url_prefix="/v1/credential", description="Credentials of companies")
types_blp = Blueprint("credential_types", __name__, url_prefix="/v1/credential-type", description="Types of credentials")

_MAY_BE_SCOPED: dict[str, Any] = {"customer": CustomerFrom.ANY, "by_scope": True}
_LONGEST_REASON = 500


@blp.get("/valuetypes")
@requires(customer=CustomerFrom.ANY)
@v1.answers(blp, fields.List(fields.String()), "Value Types Fetched Successfully!")
def value_types() -> list[str]:
    """The kinds of values that fields may have."""
    return list(VALUE_TYPES)


@blp.get("/credentials")
@requires("credential.fetch.many", **_MAY_BE_SCOPED)
@blp.arguments(schemas.SearchArgs, location="query")
@v1.answers(blp, schemas.CredentialSchema(many=True), "Credentials Fetched Successfully!", paged=True)
def search(args: dict[str, Any]) -> v1.NumberedPage:
    """Search all credentials that one may see, by name and plain fields."""
    known = _types()
    rows, total = service.search(reach.visible(current_principal(), known, "fetch.many"), known, args["search"], args["page"],
                                 args["rpp"], customer_id=args["company_id"], type_id=args["type_id"])
    return v1.NumberedPage(_shown(rows, known), args["page"], args["rpp"], total)


@blp.get("/credentials/company/<company_id>")
@requires("credential.fetch.many", **_MAY_BE_SCOPED)
@v1.answers(blp, schemas.ListedCredentialSchema(many=True), "Company Credentials Fetched Successfully!")
def of_company(company_id: str) -> list[dict[str, Any]]:
    """The credentials of one company."""
    known = _types()
    customer = reach.company(current_principal(), company_id)
    return _shown(service.listing(reach.visible(current_principal(), known, "fetch.many"), customer_id=customer.id), known)


@blp.post("/credentials")
@requires("credential.create", **_MAY_BE_SCOPED)
@blp.arguments(schemas.NewCredentialSchema)
@v1.answers(blp, schemas.NewlyCreatedSchema, "Credential Created Successfully!", status=201)
def create(body: dict[str, Any]) -> dict[str, Any]:
    """Create a credential; its secure values are encrypted."""
    principal = current_principal()
    type = next((one for one in _types() if one.id == body["type_id"]), None)
    if type is None:
        raise BadRequest("The request is not valid", details={"typeId": ["There is no such credential type."]})
    customer = reach.company_to_add_to(principal, body["company_id"], type)
    credential = service.create(deployment().keyring, deployment().plugins, customer.id, type.id, body["name"], body["notes"],
                                _given(body), actor=principal.actor)
    return _one(Found(credential, type, customer))


@blp.get("/credentials/<credential_id>")
@requires("credential.fetch", **_MAY_BE_SCOPED)
@v1.answers(blp, schemas.CredentialSchema, "Credential Fetched Successfully!")
def get(credential_id: str) -> dict[str, Any]:
    """One credential, with its plain values."""
    return _one(_found(credential_id, "fetch"))


@blp.patch("/credentials/<credential_id>")
@requires("credential.update", **_MAY_BE_SCOPED)
@blp.arguments(schemas.CredentialChangesSchema)
@v1.answers(blp, schemas.ListedCredentialSchema, "Credential Updated Successfully!")
def change(body: dict[str, Any], credential_id: str) -> dict[str, Any]:
    """Change name, notes and values; all is checked before any of it is written."""
    columns = {name: body[name] for name in ("name", "notes") if name in body}
    return _changed(_found(credential_id, "update"), body, **columns)


@blp.put("/credentials/<credential_id>/fields")
@requires("credential.update", "credential.fields.update", **_MAY_BE_SCOPED)
@blp.arguments(schemas.GivenFieldsSchema)
@v1.answers(blp, schemas.ListedCredentialSchema, "Credential Fields Updated Successfully!")
def put_fields(body: dict[str, Any], credential_id: str) -> dict[str, Any]:
    """Give fields new values; no required one may be without a value afterwards."""
    return _changed(_found(credential_id, "update", "fields.update"), body, is_whole=True)


@blp.get("/credentials/<credential_id>/fields")
@requires("credential.fetch", "credential.fields.fetch", **_MAY_BE_SCOPED)
@v1.answers(blp, schemas.StoredFieldSchema(many=True), "Credential Fields Fetched Successfully!")
def stored_fields(credential_id: str) -> list[dict[str, Any]]:
    """All field values as they are stored: secure ones encrypted. Sent back unchanged, these leave the values as they are."""
    found = _found(credential_id, "fetch", "fields.fetch")
    stored = values.of(found.credential)
    return [{"id": f"{credential_id}-{field.id}", "field_id": field.id, "value": _as_stored(stored.get(field.id))}
            for field in found.type.fields]


@blp.get("/credentials/<credential_id>/secure-values")
@requires("credential.fetch", "credential.secure_values.read", **_MAY_BE_SCOPED)
@blp.arguments(schemas.RevealArgs, location="query")
@v1.answers(blp, fields.Dict(fields.String(), fields.String()), "Secure Values Fetched Successfully!")
def secure_values(args: dict[str, str], credential_id: str) -> dict[str, str]:
    """Decrypt all secure values. Who did, from where and why is recorded."""
    found = _found(credential_id, "fetch", "secure_values.read")
    return _revealed(found, [field.id for field in found.type.fields if field.secure], _reason(args))


@blp.get("/credentials/<credential_id>/secure-values/<field_id>")
@requires("credential.fetch", "credential.secure_values.read", **_MAY_BE_SCOPED)
@blp.arguments(schemas.RevealArgs, location="query")
@v1.answers(blp, schemas.SecureValueSchema, "Secure Value Fetched Successfully!")
def secure_value(args: dict[str, str], credential_id: str, field_id: str) -> dict[str, Any]:
    """Decrypt one secure value. Who did, from where and why is recorded."""
    found = _found(credential_id, "fetch", "secure_values.read")
    field = found.type.field(field_id)
    if field is None or not field.secure:
        raise NotFound(f"Secure field not found: {field_id}", code="SecureFieldNotFound")
    return {"field_id": field_id, "value": _revealed(found, [field_id], _reason(args)).get(field_id)}


@blp.get("/credentials/<credential_id>/history")
@requires("credential.fetch", "credential.fields.fetch", **_MAY_BE_SCOPED)
@blp.arguments(schemas.HistoryArgs, location="query")
@v1.answers(blp, schemas.PastValueSchema(many=True), "Credential History Fetched Successfully!")
def history(args: dict[str, Any], credential_id: str) -> list[dict[str, Any]]:
    """The values that fields had before, the latest first; those of secure fields are not shown."""
    found = _found(credential_id, "fetch", "fields.fetch")
    return [{"row": row, "value": text}
            for row, text in service.past_values(deployment().keyring, found.type, found.credential, args["field_id"])]


@blp.post("/credentials/<credential_id>/history/<past_id>/restore")
@requires("credential.update", "credential.fields.update", **_MAY_BE_SCOPED)
@v1.answers(blp, schemas.ListedCredentialSchema, "Credential Value Restored Successfully!")
def restore(credential_id: str, past_id: str) -> dict[str, Any]:
    """Give a field a value that it had before."""
    found = _found(credential_id, "update", "fields.update")
    credential = service.restore(deployment().plugins, deployment().keyring, found.credential, past_id, actor=current_principal().actor)
    return _one(Found(credential, found.type, found.customer))


@blp.delete("/credentials/<credential_id>")
@requires("credential.delete", **_MAY_BE_SCOPED)
@v1.answers(blp, None, "Credential Deleted Successfully!")
def delete(credential_id: str) -> None:
    """Delete a credential with all its values, those of before as well."""
    service.delete_of_person(_found(credential_id, "delete").credential, actor=current_principal().actor)


# -- types --------------------------------------------------------------------------------------------------------------------


@types_blp.get("")
@requires("credential_type.fetch.many", customer=CustomerFrom.ANY)
@v1.answers(types_blp, schemas.ListedTypeSchema(many=True), "Credential Types Fetched Successfully!")
def list_types() -> list[dict[str, Any]]:
    """All types, those of connections last; each with how many credentials of it one may see."""
    known = _types()
    counts = _counts(known)
    return [_told(type, counts) for type in known]


@types_blp.post("")
@requires("credential_type.create", customer=CustomerFrom.NONE)
@types_blp.arguments(schemas.NewTypeSchema)
@v1.answers(types_blp, schemas.NewlyCreatedTypeSchema, "Credential Type Created Successfully!", status=201)
def create_type(body: dict[str, Any]) -> TypeDefinition:
    """Create a type."""
    return types.create(deployment().plugins, name=body["name"], permission_scope=body["permission_scope"], icon=body["icon"],
                        fields=body["definitions"], actor=current_principal().actor)


@types_blp.get("/<path:identifier>")
@requires("credential_type.fetch", customer=CustomerFrom.ANY)
@v1.answers(types_blp, schemas.CredentialTypeSchema, "Credential Type Fetched Successfully!")
def get_type(identifier: str) -> dict[str, Any]:
    """One type, by id or name."""
    type = types.find(deployment().plugins, identifier)
    return _told(type, _counts([type]))


@types_blp.patch("/<type_id>")
@requires("credential_type.update", customer=CustomerFrom.NONE)
@types_blp.arguments(schemas.TypeChangesSchema)
@v1.answers(types_blp, schemas.ChangedTypeSchema, "Credential Type Updated Successfully!")
def change_type(body: dict[str, Any], type_id: str) -> TypeDefinition:
    """Change a type. Its credentials follow: a field that becomes secure is encrypted at once, one that is left out can return."""
    changes = {("fields" if name == "definitions" else name): value for name, value in body.items()}
    return types.change(deployment().plugins, deployment().keyring, current_principal(), type_id, changes)


@types_blp.delete("/<type_id>")
@requires("credential_type.delete", customer=CustomerFrom.NONE)
@types_blp.arguments(schemas.DeletionArgs, location="query")
@v1.answers(types_blp, fields.Nested(schemas.DeletionSchema, allow_none=True), "Credential Type Deleted Successfully!")
def delete_type(args: dict[str, bool], type_id: str) -> v1.Told | None:
    """Delete a type and all credentials of it; with ``dryRun`` only tell what that would take along."""
    if not args["dry_run"]:
        types.delete(type_id, actor=current_principal().actor)
        return None
    taken = types.taken_along(type_id)
    names = dict(Customer.select(Customer.id, Customer.name).where(Customer.id.in_([one.customer_id for one in taken])).tuples())
    companies = [{"company_id": one.customer_id, "company": names.get(one.customer_id), "credentials": one.credentials} for one in taken]
    return v1.Told("Nothing was deleted: this is what would be.",
                   {"credentials": sum(one.credentials for one in taken), "companies": companies})


@types_blp.get("/<type_id>/credentials")
@requires("credential_type.fetch", "credential.fetch.many", **_MAY_BE_SCOPED)
@v1.answers(types_blp, schemas.CredentialOfTypeSchema(many=True), "Credentials Fetched Successfully!")
def of_type(type_id: str) -> list[dict[str, Any]]:
    """The credentials of one type that one may see."""
    type = next((one for one in _types() if one.id == type_id), None)
    if type is None:
        raise NotFound
    rows = service.listing(reach.visible(current_principal(), [type], "fetch.many"))
    shown = _shown(rows, [type])
    return [{**one, "values": {field["id"]: field["value"] for field in one["fields"]}} for one in shown]


# -- what they share ----------------------------------------------------------------------------------------------------------


def _types() -> list[TypeDefinition]:
    return types.all_types(deployment().plugins)


def _found(credential_id: str, *actions: str) -> Found:
    return reach.find(current_principal(), _types(), credential_id, *actions)


def _given(body: Mapping[str, Any]) -> list[Given]:
    return [Given(one["field_id"], one["value"]) for one in body["given"]]


def _changed(found: Found, body: Mapping[str, Any], **how: Any) -> dict[str, Any]:
    credential = service.change(deployment().keyring, deployment().plugins, found.credential, _given(body),
                                actor=current_principal().actor, **how)
    return _one(Found(credential, found.type, found.customer))


def _one(found: Found) -> dict[str, Any]:
    return _described(found.credential, found.type, found.customer, values.of(found.credential))


def _shown(rows: Sequence[Credential], known: Iterable[TypeDefinition]) -> list[dict[str, Any]]:
    by_id = {type.id: type for type in known}
    customer_ids = {row.customer_id for row in rows}
    customers = {row.id: row for row in Customer.select().where(Customer.id.in_(sorted(customer_ids)))} if rows else {}
    stored = values.of_many(customer_ids, [row.id for row in rows]) if rows else {}
    return [_described(row, by_id[row.type], customers[row.customer_id], stored[row.id]) for row in rows]


def _described(row: Credential, type: TypeDefinition, customer: Customer, stored: Mapping[str, values.Stored]) -> dict[str, Any]:
    shown = [{"id": field.id, "name": field.name, "secure": field.secure, "required": field.required, "value_type": field.value_type,
              "value": None if field.secure or field.id not in stored else stored[field.id].plain} for field in type.fields]
    return {"id": row.id, "name": row.name, "notes": row.notes, "type_id": row.type, "company_id": row.customer_id, "fields": shown,
            "type": type, "company": customer, "created_at": row.created_at, "updated_at": row.updated_at}


def _as_stored(stored: values.Stored | None) -> str | None:
    if stored is None:
        return None
    return stored.plain if stored.sealed is None else seal.armored(stored.sealed)


def _revealed(found: Found, field_ids: Sequence[str], reason: str) -> dict[str, str]:
    credential = found.credential
    return service.reveal(deployment().keyring, credential.customer_id, credential.id, actor=current_principal().actor, reason=reason,
                          fields=field_ids)


def _reason(args: Mapping[str, str]) -> str:
    """Why somebody reads a secret.

    :raises BadRequest: when he does not say, and has to.
    """
    given = " ".join((request.headers.get("x-reveal-reason") or args["reason"]).split())
    if not given.isprintable() or len(given) > _LONGEST_REASON:
        raise BadRequest("The request is not valid", details={"reason": [f"Must be one line of at most {_LONGEST_REASON} characters."]})
    if not given and settings().reveal_reason == "required":
        raise BadRequest("Say why you read this, in the header x-reveal-reason or the parameter reason", code="RevealReasonRequired")
    return given


def _counts(known: Sequence[TypeDefinition]) -> dict[str, int]:
    return service.count_by_type(reach.visible(current_principal(), known, "fetch.many"))


def _told(type: TypeDefinition, counts: Mapping[str, int]) -> dict[str, Any]:
    return {"id": type.id, "name": type.name, "permission_scope": type.permission_scope, "icon": type.icon, "fields": type.fields,
            "credential_count": counts.get(type.id, 0), "created_at": type.created_at, "updated_at": type.updated_at}
