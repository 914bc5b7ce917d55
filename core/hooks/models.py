"""What a deployment decided about its plugins."""

import peewee

from core.db import InstantField, Model


class PluginState(Model):
    """A plugin that was switched on or off by hand. No row means enabled."""

    name = peewee.CharField(64, primary_key=True)
    enabled = peewee.BooleanField()
    changed_at = InstantField()
    changed_by = peewee.CharField(255)
