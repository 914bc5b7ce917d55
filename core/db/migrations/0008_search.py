"""A part of a customer's name is found by an index of trigrams, on SQLite too; runs of imports keep the name of the file."""

from peewee import *
from playhouse.migrate import migrate

# How a part of a name is found without looking at every name; core/tenancy/searching.py asks.
_ON_POSTGRES = ('CREATE EXTENSION IF NOT EXISTS pg_trgm',
                'DROP INDEX IF EXISTS customer_search_parts',
                'CREATE INDEX customer_search_parts ON customer USING gin (search_key gin_trgm_ops) WITH (fastupdate = off)')
# The full-text table needs numbers that a VACUUM leaves as they are, which the rowids of a table without an integer key are not.
_ON_SQLITE = (
    "CREATE TABLE customer_search_row (number INTEGER PRIMARY KEY, customer_id TEXT NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE customer_search USING fts5(search_key, content='', tokenize='trigram case_sensitive 1')",
    "INSERT INTO customer_search_row (customer_id) SELECT id FROM customer",
    "INSERT INTO customer_search (rowid, search_key)"
    " SELECT number, search_key FROM customer_search_row JOIN customer ON id = customer_id",
    "CREATE TRIGGER customer_search_added AFTER INSERT ON customer BEGIN"
    " INSERT INTO customer_search_row (customer_id) VALUES (new.id);"
    " INSERT INTO customer_search (rowid, search_key)"
    " SELECT number, new.search_key FROM customer_search_row WHERE customer_id = new.id; END",
    "CREATE TRIGGER customer_search_changed AFTER UPDATE OF search_key ON customer WHEN new.search_key <> old.search_key BEGIN"
    " INSERT INTO customer_search (customer_search, rowid, search_key)"
    " SELECT 'delete', number, old.search_key FROM customer_search_row WHERE customer_id = old.id;"
    " INSERT INTO customer_search (rowid, search_key)"
    " SELECT number, new.search_key FROM customer_search_row WHERE customer_id = new.id; END",
    "CREATE TRIGGER customer_search_removed AFTER DELETE ON customer BEGIN"
    " INSERT INTO customer_search (customer_search, rowid, search_key)"
    " SELECT 'delete', number, old.search_key FROM customer_search_row WHERE customer_id = old.id;"
    " DELETE FROM customer_search_row WHERE customer_id = old.id; END",
)


def up(migrator, db):
    db.execute_sql("ALTER TABLE run ADD COLUMN file_name VARCHAR(200) NOT NULL DEFAULT ''")
    migrate(migrator.drop_index('customer', 'customer_search_key'),
            migrator.add_index('customer', ('search_key', 'id')))
    try:  # not every server has pg_trgm, nor lets everybody add it, nor has every SQLite its trigrams: a search then looks at every name
        with db.atomic():
            for statement in _ON_POSTGRES if isinstance(db, PostgresqlDatabase) else _ON_SQLITE:
                db.execute_sql(statement)
    except DatabaseError:
        pass
