"""What every surface's schemas are made of: camelCase names, texts that every database takes, ISO instants."""

import re
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate

from core import clock

_UNSAFE = re.compile(r"[\x00\ud800-\udfff]")  # PostgreSQL refuses NUL and lone surrogates, SQLite takes them
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")  # with what turns the direction of text around
_MOST_FIELDS = 200


def camel(name: str) -> str:
    """``last_updated`` as ``lastUpdated``; a word with a leading underscore keeps it."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


class CamelSchema(Schema):
    """snake_case inside, camelCase on the wire. A body with a field that nobody knows is refused, and so is a text that
    holds what PostgreSQL cannot."""

    class Meta:
        unknown = RAISE

    def on_bind_field(self, field_name: str, field_obj: fields.Field) -> None:
        if field_obj.data_key is None:
            field_obj.data_key = camel(field_name)
        if isinstance(field_obj, fields.String):
            field_obj.validators.insert(0, refuse_what_cannot_be_stored)

    @pre_load
    def refuse_too_much(self, data: Any, **_: Any) -> Any:
        """Lists are measured before their entries are looked at: to find fault with millions of these takes a minute."""
        if not isinstance(data, dict):
            return data
        if len(data) > _MOST_FIELDS:
            raise ValidationError("Has too many fields.")
        for field in self.load_fields.values():
            given = data.get(field.data_key)
            if isinstance(field, fields.List) and isinstance(given, list):
                for rule in field.validators:
                    if isinstance(rule, validate.Length) and rule.max is not None and len(given) > rule.max:
                        raise ValidationError(f"Longer than maximum length {rule.max}.", str(field.data_key))
        return data


def refuse_what_cannot_be_stored(text: Any) -> None:
    """A validator: no NUL and no lone surrogate."""
    if isinstance(text, str) and _UNSAFE.search(text):
        raise ValidationError("Holds a character that cannot be stored.")


class SafeStr(fields.String):
    """A text without NUL and lone surrogates, in any schema."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        refuse_what_cannot_be_stored(text)
        return text


class LineStr(SafeStr):
    """A text on one line: no control characters; spaces around it are dropped."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if isinstance(text, str):
            if _CONTROL.search(text):
                raise ValidationError("Must be one line without control characters.")
            text = text.strip()
        return text


class IsoInstant(fields.Field):
    """Milliseconds inside, ``2026-05-12T12:00:00.000Z`` on the wire."""

    def _serialize(self, value: int | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return clock.iso(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return clock.from_iso(value)
        except (TypeError, ValueError, OverflowError):
            raise ValidationError("Not an ISO 8601 instant.") from None
