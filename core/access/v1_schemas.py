"""Users, roles, permissions and tokens as the ``/v1`` surface writes them."""

import unicodedata
from typing import Any

from marshmallow import ValidationError, fields, post_dump, validate
from marshmallow.validate import Length

from core.access.nodes import LONGEST_PATTERN
from core.access.roles import MONIKER
from core.access.tokens import LONGEST_DAYS
from core.http.schemas import CamelSchema, IsoInstant, LineStr, SafeStr

_MOST = 1000
_NODE = Length(1, LONGEST_PATTERN)
_SEEN = frozenset("LNPS")  # Unicode's letters, numbers, punctuation and symbols


def _refuse_what_cannot_be_seen(text: str) -> None:
    if not any(unicodedata.category(character)[0] in _SEEN for character in text):
        raise ValidationError("Has nothing that can be seen.")


class _Picture(LineStr):
    """The address of a picture on the web; null or an empty text for none."""

    _is_address = validate.URL(schemes={"http", "https"}, require_tld=False)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        address = super()._deserialize(value, *args, **kwargs)
        if address:
            self._is_address(address)
        return address

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().deserialize("" if value is None else value, *args, **kwargs)

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super()._serialize(value, *args, **kwargs) or None


_Title = validate.And(Length(1, 200), _refuse_what_cannot_be_seen)


def _nodes(**more: Any) -> fields.List:
    return fields.List(SafeStr(validate=_NODE), validate=Length(max=_MOST), **more)


def _role_names(**more: Any) -> fields.List:
    return fields.List(SafeStr(validate=Length(1, 64)), metadata={"description": "Ids or monikers"}, **more)


# -- users ------------------------------------------------------------------------------------------------------------------


class UserSchema(CamelSchema):
    """A user among others."""

    id = fields.String(attribute="user.id", required=True)
    name = fields.String(attribute="user.name", required=True)
    email = fields.String(attribute="user.email", required=True)
    login = fields.String(attribute="user.login", required=True)
    image = _Picture(attribute="user.image", allow_none=True, required=True)
    roles = fields.List(fields.String(), attribute="monikers", required=True, metadata={"description": "Monikers"})


class OwnUserSchema(UserSchema):
    created_at = IsoInstant(attribute="user.created_at", required=True)
    updated_at = IsoInstant(attribute="user.updated_at", required=True)


class ChangedOwnUserSchema(CamelSchema):
    id = fields.String(attribute="user.id", required=True)
    name = fields.String(attribute="user.name", required=True)
    email = fields.String(attribute="user.email", required=True)
    image = _Picture(attribute="user.image", allow_none=True, required=True)


class RoleUserSchema(CamelSchema):
    """A user among those who hold a role."""

    id = fields.String(attribute="user.id", required=True)
    name = fields.String(attribute="user.name", required=True)
    login = fields.String(attribute="user.login", required=True)
    roles = fields.List(fields.String(), attribute="role_ids", required=True, metadata={"description": "Ids"})
    created_at = IsoInstant(attribute="user.created_at", required=True)
    updated_at = IsoInstant(attribute="user.updated_at", required=True)


class OwnChangesSchema(CamelSchema):
    """What is left out stays as it is."""

    name = LineStr(validate=_Title)
    image = _Picture(allow_none=True, validate=Length(max=1000))


class UserChangesSchema(OwnChangesSchema):
    """``roles`` and ``permissions`` replace all that the user holds."""

    roles = _role_names(validate=Length(max=_MOST))
    permissions = _nodes()
    status = fields.String(validate=validate.OneOf(["active", "disabled"]))
    company_id = SafeStr(allow_none=True, validate=Length(1, 32), metadata={
        "description": "The company that roles and permissions are held in, null for everywhere; only those held there are replaced."
                       " When left out, those held stay where they are, and new ones are held where the user belongs."})


class NewServiceAccountSchema(CamelSchema):
    login = SafeStr(required=True, validate=Length(1, 64))
    name = LineStr(load_default="", validate=Length(max=200))
    roles = _role_names(required=True, validate=Length(1, _MOST))
    company_id = SafeStr(allow_none=True, validate=Length(1, 32), metadata={"description": "The company that the roles are held in"})


class DirectNodeSchema(CamelSchema):
    permission = fields.String(attribute="node", required=True)
    company_id = fields.String(attribute="customer_id", allow_none=True, required=True)


# -- checking ---------------------------------------------------------------------------------------------------------------


class CheckSchema(CamelSchema):
    permissions = fields.List(SafeStr(validate=_NODE), required=True, validate=Length(max=_MOST))
    trace = fields.Boolean(load_default=False, metadata={"description": "Also tell why"})


class ReasonSchema(CamelSchema):
    via = fields.String(required=True, validate=validate.OneOf(["role", "permission"]))
    role = fields.String(allow_none=True, required=True)
    node = fields.String(required=True)
    company_id = fields.String(allow_none=True, required=True)


class CheckedSchema(CamelSchema):
    permission = fields.String(required=True)
    has_permission = fields.Boolean(required=True)
    trace = fields.List(fields.Nested(ReasonSchema), metadata={"description": "The grants that cover it; only when asked for"})
    narrowed = fields.Boolean(metadata={"description": "It is held, but the token that asks is narrowed; only with a trace"})

    @post_dump
    def leave_out_what_nobody_asked_for(self, told: dict[str, Any], **_: Any) -> dict[str, Any]:
        if told["trace"] is None:
            del told["trace"], told["narrowed"]
        return told


class CheckResultsSchema(CamelSchema):
    results = fields.List(fields.Nested(CheckedSchema), required=True)


# -- roles ------------------------------------------------------------------------------------------------------------------


class UserRoleSchema(CamelSchema):
    id = fields.String(required=True)
    title = fields.String(attribute="name", required=True)
    moniker = fields.String(required=True)
    permissions = fields.List(fields.String(), attribute="nodes", required=True)


class RoleSchema(UserRoleSchema):
    created_at = IsoInstant(required=True)
    updated_at = IsoInstant(required=True)


class DeletedRoleSchema(CamelSchema):
    id = fields.String(required=True)
    title = fields.String(attribute="name", required=True)
    moniker = fields.String(required=True)
    created_at = IsoInstant(required=True)
    updated_at = IsoInstant(required=True)


_MONIKER = validate.Regexp(rf"(?:{MONIKER.pattern})\Z", error="Made of at most 64 letters, digits, dots, dashes and underscores.")


class NewRoleSchema(CamelSchema):
    title = LineStr(required=True, validate=_Title)
    moniker = SafeStr(required=True, validate=_MONIKER)
    permissions = _nodes(load_default=list)


class RoleChangesSchema(CamelSchema):
    """What is left out stays as it is; ``permissions`` replaces all of them."""

    title = LineStr(validate=_Title)
    moniker = SafeStr(validate=_MONIKER)
    permissions = _nodes()


class NodesSchema(CamelSchema):
    permissions = _nodes(required=True)


# -- the catalogue ----------------------------------------------------------------------------------------------------------


class CatalogueNodeSchema(CamelSchema):
    node = fields.String(required=True)
    description = fields.String(required=True)
    used_in = fields.List(fields.String(), required=True, metadata={"description": "Routes that ask for it, read off the app"})
    dependencies = fields.List(fields.String(), metadata={"description": "Nodes that it is of no use without; only when there are any"})

    @post_dump
    def leave_out_no_dependencies(self, told: dict[str, Any], **_: Any) -> dict[str, Any]:
        if not told["dependencies"]:
            del told["dependencies"]
        return told


class CategorySchema(CamelSchema):
    name = fields.String(required=True)
    description = fields.String(required=True)
    permissions = fields.List(fields.Nested(CatalogueNodeSchema), required=True)


# -- tokens -----------------------------------------------------------------------------------------------------------------


class TokenSchema(CamelSchema):
    """An API token; its secret is not kept."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True, metadata={"description": "What its secret begins with"})
    permissions = fields.List(fields.String(), attribute="nodes", allow_none=True, required=True,
                              metadata={"description": "What it is narrowed to; null for all that its user holds"})
    company_id = fields.String(attribute="customer_id", allow_none=True, required=True)
    created_at = IsoInstant(required=True)
    expires_at = IsoInstant(allow_none=True, required=True)
    last_used_at = IsoInstant(allow_none=True, required=True)
    revoked_at = IsoInstant(allow_none=True, required=True)


class MadeTokenSchema(TokenSchema):
    token = fields.String(required=True, metadata={"description": "The secret, shown this once"})


class NewTokenSchema(CamelSchema):
    name = LineStr(required=True, validate=_Title)
    permissions = fields.List(SafeStr(validate=_NODE), load_default=None, allow_none=True, validate=Length(1, _MOST))
    company_id = SafeStr(load_default=None, allow_none=True, validate=Length(1, 32))
    expires_in_days = fields.Integer(load_default=None, allow_none=True, strict=True, validate=validate.Range(1, LONGEST_DAYS))
