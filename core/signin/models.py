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


class SignInAttempt(Model):
    """Somebody on his way to a provider and back. Of its secrets only the SHA-256 is kept.

    It leads either to a session of the browser that began it (``browser_digest``, ``callback_url``), or to tokens for the client
    that holds the callback key (``callback_digest``).
    """

    state_digest = peewee.CharField(64, primary_key=True)
    provider = peewee.CharField(32)
    redirect_uri = peewee.CharField(500)
    browser_digest = peewee.CharField(64)
    callback_url = peewee.CharField(2000, default="")
    callback_digest = peewee.CharField(64, null=True, unique=True)
    invitation_digest = peewee.CharField(64, null=True)
    address = peewee.CharField(64, default="")  # where the client that asked is
    created_at = InstantField()
    expires_at = InstantField(index=True)
    used_at = InstantField(null=True)
    user_id = peewee.CharField(32, null=True)  # who came back
    confirm_digest = peewee.CharField(64, null=True)  # set while he has to say that the client is his
    failure = peewee.CharField(40, null=True)

    class Meta:
        indexes = ((("address", "created_at"), False),)
