"""Who does the work that only one process may do."""

import peewee

from core.db import InstantField, Model


class Lease(Model):
    """A named duty, held by one process until it expires (the scheduler is elected by it)."""

    name = peewee.CharField(64, primary_key=True)
    holder = peewee.CharField(64)
    expires_at = InstantField()
