"""The schema that migrations make is the one that the models describe; a database of an earlier release comes up to it with its data."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from playhouse.migrations import Runner
from playhouse.schema_diff import diff_models

import core.app  # noqa: F401  brings in every area's models
import plugins.connectwise.models  # noqa: F401
from core import db as database
from core.assets.models import Asset
from core.connections.models import Run
from core.credentials import rotation, values
from core.credentials.keyring import Keyring, MasterKeyWrong
from core.db import Model, db, schema
from core.findings import rollups
from core.findings.models import Finding, Verdict
from core.people.models import User
from core.tenancy import service as tenancy

TEXTS = ("fingerprint", "source_status", "category", "rule_key", "description", "cwe", "cve", "path", "url", "first_run_id", "last_run_id")


def models() -> list[type[Model]]:
    return [model for model in Model.__subclasses__() if model.__module__.startswith(("core.", "plugins."))]


#: indexes that are made where the server can, and that no model tells of
EXTRA = {"customer_search_parts"}


def differences() -> list[object]:
    """What the database has and the models do not describe, or the other way round."""
    found = diff_models(db.obj, models())
    extra = [index for index in found.drop_indexes if index.name not in EXTRA]
    return [*found.create_tables, *found.add_columns, *found.drop_columns, *found.add_indexes, *extra]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """A database without any schema."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    else:
        server = request.getfixturevalue("postgres_server")
        server.run("DROP DATABASE IF EXISTS upgraded")
        server.run("CREATE DATABASE upgraded")
        url = server.url("upgraded")
    configured = database.configure(url)
    yield
    configured.close_all()


def test_the_schema_is_what_the_models_describe(database):
    assert len(models()) > 20
    assert differences() == []
    assert schema.pending() == []


def insert(table: str, **columns: object) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join([db.param] * len(columns))
    db.execute_sql(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(columns.values()))


def asset(key: str, synced_at: int | None) -> None:
    insert("asset", id=f"ast_{key}", customer_id="cus", connection_id="con", source="sonarqube", kind="sonar_project", discipline="appsec",
           external_key=key, name=key, url="", attributes="{}", open_critical=0, open_high=1, open_medium=0, open_low=0, open_info=0,
           findings_total=2, findings_remediated=0, discovered_at=1, synced_at=synced_at)


def finding(asset_key: str, source_key: str, status: str) -> None:
    insert("finding", customer_id="cus", asset_id=f"ast_{asset_key}", source="sonarqube", source_key=source_key, title="t", severity=3,
           status=status, source_state=status, details="{}", first_seen_at=5, digest=7, **dict.fromkeys(TEXTS, ""))


def test_a_database_of_the_first_release_comes_up_with_its_data(empty_database):
    Runner(db.obj, str(schema.FOLDER)).up("0001_initial")
    for key, synced_at in (("shop", 9), ("api", None), ("empty", 9)):
        asset(key, synced_at)
    db.execute_sql("UPDATE asset SET open_high = 0, findings_total = 0 WHERE id = 'ast_empty'")
    for key in ("shop", "api"):
        finding(key, "a", "open")
        finding(key, "b", "accepted")
    moments = {"created_at": 1, "updated_at": 1}
    for email in ("john.doe@example.test", "Ada@example.test"):
        insert("user", id=f"usr_{email[:3]}", email=email, email_key=email.lower(), name="", image="", status="active", failed_attempts=0,
               **moments)
    assert schema.upgrade()[0] == "0002_verdicts"
    assert differences() == []
    newest = dict(Finding.select(Finding.asset_id, Finding.id).order_by(Finding.id).tuples())
    assert {row.id: (row.lineage, row.enumerated_to) for row in Asset.select()} == {
        "ast_shop": ("shop", newest["ast_shop"]), "ast_api": ("api", None), "ast_empty": ("empty", 0)}
    assert {(row.status, row.paused_ms, row.paused_since is None) for row in Finding.select()} == {
        ("open", 0, True), ("accepted", 0, False)}
    assert {(user.email, user.login, user.kind) for user in User.select()} == {
        ("john.doe@example.test", "john.doe", "person"), ("Ada@example.test", "Ada", "person")}
    assert rollups.check() == []
    assert Verdict.select().count() == 0
    assert schema.upgrade() == []


def two_customers_of_the_first_release() -> None:
    Runner(db.obj, str(schema.FOLDER)).up("0001_initial")
    for key, name in (("a", "Acme Corp"), ("b", "Blåfjell AS")):
        insert("customer", id=f"cus_{key}", name=name, name_key=tenancy.name_key(name), status="active", contact_email="", notes="",
               created_at=1, updated_at=1)


def found(text: str) -> list[str]:
    return [customer.name for customer in tenancy.page_of(1, 9, search=text).customers]


def test_customers_of_the_first_release_are_found_after_the_upgrade(empty_database):
    two_customers_of_the_first_release()
    schema.upgrade()
    tenancy.change("cus_a", name="Acme Two", actor="test")
    assert (found("BLÅF"), found("me tw"), found("corp")) == (["Blåfjell AS"], ["Acme Two"], [])


def test_a_search_finds_who_was_there_before_it_had_its_index(empty_database):
    two_customers_of_the_first_release()
    Runner(db.obj, str(schema.FOLDER)).up("0007_audit")
    insert("customer", id="cus_c", name="Contoso", name_key="contoso", alias="CTS", search_key="contoso\ncts", status="active",
           contact_email="", notes="", created_at=1, updated_at=1)
    insert("run", id="run_a", customer_id="cus_a", connection_id="con", source="csv", trigger="import", requested_by="ada",
           state="succeeded", phase="", done=0, counts="{}", reason_code="", reason="", problems="[]", decided_by="", attempt=0, worker="",
           requested_at=1)
    assert schema.upgrade() == ["0008_search"]
    assert (differences(), found("toso"), found("fjell"), Run.get().file_name) == ([], ["Contoso"], ["Blåfjell AS"], "")


def test_who_may_add_no_extension_to_postgresql_upgrades_all_the_same(postgres_server):
    postgres_server.run("DROP DATABASE IF EXISTS poor")
    postgres_server.run("CREATE DATABASE poor")
    if not postgres_server.run("SELECT 1 FROM pg_roles WHERE rolname = 'poor'"):
        postgres_server.run("CREATE ROLE poor LOGIN")
    postgres_server.run("GRANT ALL ON SCHEMA public TO poor", "poor")
    configured = database.configure(postgres_server.url("poor").replace("stockade@", "poor@"))
    try:
        two_customers_of_the_first_release()
        schema.upgrade()
        assert db.execute_sql("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'").fetchone() is None
        assert (found("BLÅF"), found("corp")) == (["Blåfjell AS"], ["Acme Corp"])
    finally:
        configured.close_all()


def test_secrets_of_the_first_release_open_after_the_upgrade(empty_database):
    Runner(db.obj, str(schema.FOLDER)).up("0001_initial")
    master, data_key, wrapping = b"m" * 32, b"d" * 32, hmac.digest(b"m" * 32, b"stockade wrapping", "sha256")
    key_id = hashlib.sha256(b"stockade key id" + master).hexdigest()[:16]
    insert("master_key_check", key_id=key_id, created_at=1,
           sealed=sealed_as_then(wrapping, 0, "this database was set up with this master key", "check", key_id))
    insert("data_key", customer_id="cus_a", version=1, master_key_id=key_id, created_at=1,
           wrapped=sealed_as_then(wrapping, 0, base64.b64encode(data_key).decode(), "data key", "cus_a", "1"))
    insert("credential", id="crd_a", customer_id="cus_a", type="connection.sonarqube", name="SonarQube", created_at=1, updated_at=1)
    insert("sealed_value", customer_id="cus_a", credential_id="crd_a", field="token", updated_at=1,
           sealed=sealed_as_then(data_key, 1, "squ_secret", "cus_a", "crd_a", "token"))
    with pytest.raises(MasterKeyWrong):
        Keyring(b"w" * 32).refuse_wrong()  # also before the upgrade
    Keyring(master).refuse_wrong()
    schema.upgrade()
    keyring = Keyring(master)
    assert values.opened(keyring, "cus_a", "crd_a") == {"token": "squ_secret"}
    rotation.rotate(keyring, actor="test")
    rotation.rewrap(Keyring(b"n" * 32, [master]), actor="test")
    assert values.opened(Keyring(b"n" * 32), "cus_a", "crd_a") == {"token": "squ_secret"}


def sealed_as_then(key: bytes, version: int, text: str, *bound: str) -> str:
    place = json.dumps(["v1", version, *bound], separators=(",", ":")).encode()
    box = b"n" * 12 + AESGCM(key).encrypt(b"n" * 12, text.encode(), place)
    return f"v1.{version}.{base64.b64encode(box).decode()}"
