"""Attempts on addresses that nobody has."""

from peewee import *

from core.db.fields import InstantField


def up(migrator, db):
    class SignInDecoy(Model):
        number = IntegerField(primary_key=True)
        failed_attempts = IntegerField(default=0)
        locked_until = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'sign_in_decoy'
    db.create_tables([SignInDecoy])
