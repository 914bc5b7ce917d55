import peewee

from core.db import InstantField, Model


class User(Model):
    """A person, or an account for a service. Roles are held apart, in ``core.access``."""

    id = peewee.CharField(32, primary_key=True)
    kind = peewee.CharField(16, default="person")  # person | service; a service has tokens and never signs in
    email = peewee.CharField(255)
    email_key = peewee.CharField(255, unique=True)  # folded for comparison
    login = peewee.CharField(64, default="")  # shown, not looked up: two people may have the same (decision 10)
    name = peewee.CharField(200, default="")
    image = peewee.CharField(1000, default="")
    password_hash = peewee.TextField(null=True)  # PHC string; null: cannot sign in with a password
    status = peewee.CharField(16, default="active")  # active | disabled
    failed_attempts = peewee.IntegerField(default=0)
    locked_until = InstantField(null=True)
    last_sign_in_at = InstantField(null=True)
    created_at = InstantField()
    updated_at = InstantField()


class SignInDecoy(Model):
    """Stands for the addresses that nobody has, so that an attempt on them is counted, locked and written like any other; else its
    time would tell that there is no such user. There are only so many rows, and an address always meets the same one."""

    number = peewee.IntegerField(primary_key=True)
    failed_attempts = peewee.IntegerField(default=0)
    locked_until = InstantField(null=True)


class UserSession(Model):
    """A signed-in browser. The cookie holds a random token; only its SHA-256 is kept."""

    token_digest = peewee.CharField(64, primary_key=True)
    user_id = peewee.CharField(32, index=True)
    customer_id = peewee.CharField(32, null=True)  # the active customer that MSP staff picked
    created_at = InstantField()
    seen_at = InstantField()
    expires_at = InstantField(index=True)


class TokenFamily(Model):
    """A client that somebody has signed in with: all refresh tokens that came of that one sign-in, of which one is good at a time."""

    id = peewee.CharField(32, primary_key=True)
    user_id = peewee.CharField(32, index=True)
    created_at = InstantField()
    used_at = InstantField()
    expires_at = InstantField(index=True)
    ended_at = InstantField(null=True)


class RefreshToken(Model):
    """One link of a family, kept as SHA-256. A spent one stays as long as the family, so that its reuse is recognised."""

    digest = peewee.CharField(64, primary_key=True)
    family_id = peewee.CharField(32, index=True)
    created_at = InstantField()
    spent_at = InstantField(null=True)


class UserIdentity(Model):
    """Who an OpenID provider says that a user is. Issuer and subject never change; an e-mail address is never looked at."""

    id = peewee.CharField(32, primary_key=True)
    user_id = peewee.CharField(32, index=True)
    issuer = peewee.CharField(255)
    subject = peewee.CharField(255)
    tenant = peewee.CharField(36, default="")
    name = peewee.CharField(200, default="")
    username = peewee.CharField(200, default="")
    created_at = InstantField()
    used_at = InstantField(null=True)

    class Meta:
        indexes = ((("issuer", "subject"), True),)


class UserInvitation(Model):
    """A link by which a user whom an administrator made gets his identity; good once. Only the SHA-256 of its secret is kept."""

    digest = peewee.CharField(64, primary_key=True)
    user_id = peewee.CharField(32, index=True)
    created_at = InstantField()
    expires_at = InstantField(index=True)
