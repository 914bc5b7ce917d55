"""Logins, service accounts, tokens that made tokens; monikers of roles that differ by more than case."""

from peewee import *

from core.db import is_postgres


def up(migrator, db):
    db.execute_sql("ALTER TABLE \"user\" ADD COLUMN login VARCHAR(64) NOT NULL DEFAULT ''")
    db.execute_sql("ALTER TABLE \"user\" ADD COLUMN kind VARCHAR(16) NOT NULL DEFAULT 'person'")
    local_part = "split_part(email, '@', 1)" if is_postgres() else "substr(email, 1, instr(email, '@') - 1)"
    db.execute_sql(f'UPDATE "user" SET login = {local_part}')  # noqa: S608
    migrator.migrate(migrator.add_column("api_token", "made_by", CharField(max_length=32, null=True)))
    db.execute_sql("CREATE INDEX api_token_made_by ON api_token (made_by) WHERE made_by IS NOT NULL")
    db.execute_sql("CREATE UNIQUE INDEX role_moniker_without_case ON role (lower(moniker))")
