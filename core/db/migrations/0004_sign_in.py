"""Signing in: attempts on addresses that nobody has, clients that hold tokens, the keys that sign these,
identities at OpenID providers, and people on their way there and back."""

from peewee import *

from core.db.fields import InstantField, JsonField


def up(migrator, db):
    class SignInDecoy(Model):
        number = IntegerField(primary_key=True)
        failed_attempts = IntegerField(default=0)
        locked_until = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'sign_in_decoy'
    db.create_tables([SignInDecoy])

    class TokenFamily(Model):
        id = CharField(primary_key=True, max_length=32)
        user_id = CharField(index=True, max_length=32)
        created_at = InstantField()
        used_at = InstantField()
        expires_at = InstantField(index=True)
        ended_at = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'token_family'

    class RefreshToken(Model):
        digest = CharField(primary_key=True, max_length=64)
        family_id = CharField(index=True, max_length=32)
        created_at = InstantField()
        spent_at = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'refresh_token'

    class SigningKey(Model):
        number = IntegerField(primary_key=True)
        kid = CharField(max_length=43, unique=True)
        public_jwk = JsonField()
        sealed = TextField()
        created_at = InstantField()
        signs_from = InstantField()
        signs_until = InstantField()
        class Meta:
            database = db
            table_name = 'signing_key'
    db.create_tables([TokenFamily, RefreshToken, SigningKey])

    class UserIdentity(Model):
        id = CharField(primary_key=True, max_length=32)
        user_id = CharField(index=True, max_length=32)
        issuer = CharField()
        subject = CharField()
        tenant = CharField(default='', max_length=36)
        name = CharField(default='', max_length=200)
        username = CharField(default='', max_length=200)
        created_at = InstantField()
        used_at = InstantField(null=True)
        class Meta:
            database = db
            table_name = 'user_identity'
            indexes = ((('issuer', 'subject'), True),)

    class UserInvitation(Model):
        digest = CharField(primary_key=True, max_length=64)
        user_id = CharField(index=True, max_length=32)
        created_at = InstantField()
        expires_at = InstantField(index=True)
        class Meta:
            database = db
            table_name = 'user_invitation'

    class SignInAttempt(Model):
        state_digest = CharField(primary_key=True, max_length=64)
        provider = CharField(max_length=32)
        redirect_uri = CharField(max_length=500)
        browser_digest = CharField(max_length=64)
        callback_url = CharField(default='', max_length=2000)
        callback_digest = CharField(max_length=64, null=True, unique=True)
        invitation_digest = CharField(max_length=64, null=True)
        address = CharField(default='', max_length=64)
        created_at = InstantField()
        expires_at = InstantField(index=True)
        used_at = InstantField(null=True)
        user_id = CharField(max_length=32, null=True)
        confirm_digest = CharField(max_length=64, null=True)
        failure = CharField(max_length=40, null=True)
        class Meta:
            database = db
            table_name = 'sign_in_attempt'
            indexes = ((('address', 'created_at'), False),)
    db.create_tables([UserIdentity, UserInvitation, SignInAttempt])
