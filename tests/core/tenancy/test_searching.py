"""A search finds the same whichever way it goes: by index, through the names, or without an index at all."""

import pytest

from core.db import atomic, db, is_postgres
from core.tenancy import searching, service
from core.tenancy.models import Customer
from core.tenancy.service import Naming

NAMES = ("Acme Corp", "Acme Oslo", 'The "Blue" Company', "Blåfjell AS", "100% Pure_Water", "Ab", "back\\slash", "Orca (North) * Ltd")


@pytest.fixture
def customers(database):
    with atomic():
        service.create_many([Naming(name, f"ID-{number}") for number, name in enumerate(NAMES)], actor="test")


def found(search: str) -> list[str]:
    page = service.page_of(1, 100, search=search)
    assert page.total == len(page.customers)
    return sorted(customer.name for customer in page.customers)


def expected(search: str) -> list[str]:
    return sorted(name for number, name in enumerate(NAMES) if search.casefold() in f"{name}\nID-{number}".casefold())


SEARCHES = ["acme", "cme c", "ACME OSLO", '"blue"', 'e "b', "blåf", "0% p", "e_w", "%", "_", "ab", "a", "k\\s", "(north) *", "id-3",
            "corp id", "or", "*", "NOT", "acme AND oslo", "^acme", "-"]


@pytest.mark.parametrize("search", SEARCHES)
def test_what_holds_the_text_is_found_and_nothing_else(customers, search):
    assert found(search) == expected(search)


@pytest.mark.parametrize("search", SEARCHES)
def test_it_is_found_as_well_when_it_is_common(customers, search, monkeypatch):
    monkeypatch.setattr(searching, "_RARE", 0)
    assert found(search) == expected(search)
    assert service.page_of(1, 1, search=search).total == len(expected(search))


@pytest.mark.parametrize("search", SEARCHES)
def test_it_is_found_as_well_without_an_index(customers, search):
    if is_postgres():
        db.execute_sql("BEGIN; DROP INDEX customer_search_parts")
    else:
        db.execute_sql("BEGIN")
        for trigger in ("added", "changed", "removed"):
            db.execute_sql(f"DROP TRIGGER customer_search_{trigger}")
        db.execute_sql("DROP TABLE customer_search")
    try:
        assert found(search) == expected(search)
    finally:
        db.execute_sql("ROLLBACK")


def test_the_index_follows_what_happens_to_customers(customers):
    acme = Customer.get(Customer.name == "Acme Corp")
    service.change(acme.id, name="Zenith", actor="test")
    with atomic():
        service.rename_many({acme.id: Naming("Zenith Two", "ZEN")}, actor="test")
    assert (found("acme"), found("zenith"), found("zen")) == (["Acme Oslo"], ["Zenith Two"], ["Zenith Two"])
    Customer.delete().where(Customer.name == "Acme Oslo").execute()
    assert found("acme") == []
    with atomic() as transaction:
        service.change(acme.id, name="Undone", actor="test")
        transaction.rollback()
    assert (found("undone"), found("zenith")) == ([], ["Zenith Two"])
