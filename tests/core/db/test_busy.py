"""A database that is busy is no fault of ours, and whoever asked is told that he may try again."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import peewee
import pytest

from core.app import create_app
from core.db import atomic, db
from core.db.database import told
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
    heard = []

    def change(first: Customer, second: Customer) -> None:
        try:
            with atomic():
                Customer.update(notes="x").where(Customer.id == first.id).execute()
                both_begun.wait(30)
                Customer.update(notes="x").where(Customer.id == second.id).execute()
        except Unavailable as problem:
            heard.append(problem.message)
        finally:
            db.close()

    both_begun = threading.Barrier(2)
    threads = [threading.Thread(target=change, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert heard == ["The database is busy; nothing was changed, try again"]


@pytest.mark.parametrize("said", [
    "the connection is lost", "connection timeout expired", "no connection to the server", "server closed the connection unexpectedly",
    "consuming input failed: SSL SYSCALL error: EOF detected", "connection failed: FATAL: the database system is starting up",
    "consuming input failed: terminating connection due to administrator command"])
def test_a_server_that_is_gone_is_told_in_whatever_words_the_driver_finds(said):
    known = told(peewee.OperationalError(said))
    assert isinstance(known, Unavailable)
    assert known.message == "The database is not reachable"


@pytest.mark.parametrize("said", ["no such column: x", "sending query and params failed: number of parameters must be between 0 and 65535"])
def test_a_fault_of_ours_is_not_taken_for_that(said):
    problem = peewee.OperationalError(said)
    assert told(problem) is problem
