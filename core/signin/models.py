import peewee

from core.db import InstantField, JsonField, Model


class SigningKey(Model):
    """A key that access tokens are signed with for a while, and published for as long as one of them may be about."""

    number = peewee.IntegerField(primary_key=True)
    kid = peewee.CharField(43, unique=True)
    public_jwk = JsonField()
    sealed = peewee.TextField()  # the private key, under the master key
    created_at = InstantField()
    signs_from = InstantField()
    signs_until = InstantField()
