"""Column types that SQLite and PostgreSQL share."""

import json
from typing import Any

import peewee


class InstantField(peewee.BigIntegerField):
    """A moment in milliseconds since 1970 UTC; see ``core.clock``."""


class JsonField(peewee.TextField):
    """A small JSON value kept as text: read and written whole, never searched inside."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def python_value(self, value: Any) -> Any:
        return None if value is None else json.loads(value)
