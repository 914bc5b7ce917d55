"""Customers can be found by their name and by the short name that another system has for them; companies of ConnectWise and their
configurations. The tables of the plugins that come with Stockade are part of its one schema (docs/decisions/0012-connectwise.md)."""

from peewee import *
from playhouse.migrate import migrate

from core.db.fields import InstantField, JsonField


def up(migrator, db):
    migrate(migrator.add_column('customer', 'alias', CharField(default='', max_length=100)),
            migrator.add_column('customer', 'search_key', TextField(default='')))

    db.execute_sql(f"UPDATE customer SET search_key = name_key || {db.param}", ("\n",))  # noqa: S608
    migrate(migrator.add_index('customer', ('search_key',)))
    if isinstance(db, PostgresqlDatabase):
        _find_parts_of_words(db)

    class CwCompany(Model):
        id = CharField(primary_key=True, max_length=32)
        tenant = CharField(max_length=100)
        cw_id = BigIntegerField()
        customer_id = CharField(null=True, max_length=32)
        identifier = CharField(max_length=100)
        identifier_key = CharField(max_length=200)
        name = CharField(max_length=200)
        name_key = CharField(max_length=400)
        data = JsonField()
        digest = CharField(max_length=32)
        changed_at = InstantField(null=True)
        fetched_at = InstantField()
        configurations_at = InstantField(null=True)
        removed_at = InstantField(null=True)
        removed_why = CharField(default='', max_length=16)
        due_run = CharField(default='', max_length=32)
        due_why = CharField(default='', max_length=16)
        review = CharField(default='', max_length=16)
        candidates = JsonField(default=list)
        class Meta:
            database = db
            table_name = 'cw_company'
            indexes = ((('tenant', 'cw_id'), True), (('customer_id',), True), (('tenant', 'name_key'), False),
                       (('tenant', 'identifier_key'), False))
    db.create_tables([CwCompany])

    class CwConfiguration(Model):
        id = BigAutoField()
        customer_id = CharField(max_length=32)
        tenant = CharField(max_length=100)
        cw_id = BigIntegerField()
        company_cw_id = BigIntegerField()
        name = CharField(max_length=200)
        data = JsonField()
        digest = CharField(max_length=32)
        changed_at = InstantField(null=True)
        fetched_at = InstantField()
        removed_at = InstantField(null=True)
        due_run = CharField(default='', max_length=32)
        class Meta:
            database = db
            table_name = 'cw_configuration'
            indexes = ((('customer_id', 'tenant', 'cw_id'), True), (('tenant', 'cw_id'), False))
    db.create_tables([CwConfiguration])

    for statement in ("CREATE INDEX cw_company_unlinked ON cw_company (tenant, cw_id) WHERE customer_id IS NULL",
                      "CREATE INDEX cw_company_due ON cw_company (due_run) WHERE due_run <> ''",
                      "CREATE INDEX cw_configuration_due ON cw_configuration (due_run) WHERE due_run <> ''"):
        db.execute_sql(statement)


def _find_parts_of_words(db):
    """An index for texts within names. Not every server has pg_trgm, nor lets everybody add it; without it a search looks at every name."""
    try:
        with db.atomic():
            db.execute_sql('CREATE EXTENSION IF NOT EXISTS pg_trgm')
            db.execute_sql('CREATE INDEX customer_search_parts ON customer USING gin (search_key gin_trgm_ops)')
    except DatabaseError:
        pass
