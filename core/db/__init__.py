"""The one relational database: SQLite embedded, PostgreSQL for scale, the same schema and statements on both."""

from core.db.database import atomic, configure, db, is_postgres, is_unique_violation
from core.db.fields import InstantField, JsonField
from core.db.model import Model

__all__ = ["InstantField", "JsonField", "Model", "atomic", "configure", "db", "is_postgres", "is_unique_violation"]
