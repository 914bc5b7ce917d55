import peewee

from core.db import InstantField, Model


class Customer(Model):
    """A tenant. The ``/v1`` surface calls it company, the portal's documents organization."""

    id = peewee.CharField(32, primary_key=True)
    name = peewee.CharField(200)
    name_key = peewee.CharField(400, unique=True)  # name folded for comparison, so that names differ to the eye
    alias = peewee.CharField(100, default="")  # short name that another system knows it by, such as its ConnectWise identifier
    search_key = peewee.TextField(default="")  # folded name, a line feed, folded alias: what a search looks through
    status = peewee.CharField(16, default="active")  # active | disabled
    contact_email = peewee.CharField(255, default="")
    notes = peewee.TextField(default="")
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        indexes = ((("search_key", "id"), False),)
