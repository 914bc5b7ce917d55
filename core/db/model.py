"""The base of all tables."""

import peewee

from core.db.database import db


class Model(peewee.Model):
    class Meta:
        database = db
        legacy_table_names = False
