"""A database that is busy is no fault of ours, and whoever asked is told that he may try again."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

from core.app import create_app
from core.db import atomic, db
from core.errors import Unavailable
from core.hooks.manager import Plugins
from core.tenancy.models import Customer
from tests.factories import SETTINGS, make_customer, signed_in_client


def test_a_file_that_somebody_else_writes_for_too_long(sqlite_database):
    settings = replace(SETTINGS, database_url=sqlite_database)
    client = signed_in_client(create_app(settings, plugins=Plugins(settings)), "msp_admin")
    db.execute_sql("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(db.obj.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.post("/v1/role", json={"title": "Late", "moniker": "late"})
    assert (answer.status_code, answer.get_json()) == (503, {
        "status": 503, "message": "The database is busy; nothing was changed, try again", "error": "Unavailable", "successful": False})


def test_two_who_wait_for_each_other(postgres_database):
    one, two = make_customer(), make_customer()
    told = []

    def change(first: Customer, second: Customer) -> None:
        try:
            with atomic():
                Customer.update(notes="x").where(Customer.id == first.id).execute()
                both_begun.wait(30)
                Customer.update(notes="x").where(Customer.id == second.id).execute()
        except Unavailable as problem:
            told.append(problem.message)
        finally:
            db.close()

    both_begun = threading.Barrier(2)
    threads = [threading.Thread(target=change, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert told == ["The database is busy; nothing was changed, try again"]
