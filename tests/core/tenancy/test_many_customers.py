"""Many customers at once: a constant number of statements, each with its event in the audit log."""

import pytest

from core.audit import verify
from core.audit.models import AuditEvent
from core.db import atomic
from core.tenancy import service
from core.tenancy.models import Customer
from core.tenancy.service import Naming


def make(*names: str) -> list[str]:
    with atomic():
        return service.create_many([Naming(name, f"{name[:2]}{number}") for number, name in enumerate(names)], actor="sync:test")


def test_many_are_made_as_one_is(database):
    one = service.create("Bravo  Ltd", actor="test")
    ids = make("Alpha Ltd", "Ærø A/S")
    found = {row.id: row for row in Customer.select()}
    assert [(found[key].name, found[key].name_key, found[key].alias, found[key].search_key) for key in (*ids, one.id)] == [
        ("Alpha Ltd", "alpha ltd", "Al0", "alpha ltd\nal0"), ("Ærø A/S", "ærø a/s", "Ær1", "ærø a/s\nær1"),
        ("Bravo  Ltd", "bravo ltd", "", "bravo ltd\n")]
    assert {row.status for row in found.values()} == {"active"}
    assert [verify(key) for key in ids] == [None, None]


def test_the_number_of_statements_does_not_grow(database, statements):
    counted = []
    for number in (2, 500):
        with statements() as executed:
            ids = make(*(f"Company {number}-{index}" for index in range(number)))
        with statements() as renaming, atomic():
            service.rename_many({key: Naming(f"Renamed {key}", "R") for key in ids}, actor="test")
        counted.append((len(executed), len(renaming)))
    assert counted[0] == counted[1]
    assert AuditEvent.select().where(AuditEvent.action == "customer.changed").count() == 502


def test_renaming_changes_those_alone_that_differ(database):
    first, second = make("Alpha", "Bravo")
    other = service.create("Other", actor="test")
    with atomic():
        service.rename_many({first: Naming("Alpha Two", "A2"), second: Naming("Bravo", "Br1"), "cus_ghost": Naming("x")}, actor="test")
    assert {row.name: row.search_key for row in Customer.select()} == {
        "Alpha Two": "alpha two\na2", "Bravo": "bravo\nbr1", "Other": "other\n"}
    assert [event.target for event in AuditEvent.select().where(AuditEvent.action == "customer.changed")] == [first]
    assert [verify(key) for key in (first, second, other.id)] == [None] * 3


def test_a_changed_name_is_found_by_and_the_alias_stays(database):
    [key] = make("Alpha")
    service.change(key, name="Omega", actor="test")
    assert [customer.id for customer in service.page_of(1, 10, search="omega").customers] == [key]
    assert service.page_of(1, 10, search="AL0").total == 1
    assert service.page_of(1, 10, search="alpha").total == 0


@pytest.mark.parametrize(("page", "size", "shown"), [(1, 2, 2), (2, 2, 2), (3, 2, 1), (4, 2, 0), (1, 5, 5), (1, 9, 5)])
def test_a_page_knows_how_many_there_are_in_all(database, page, size, shown):
    make(*"abcde")
    found = service.page_of(page, size)
    assert (len(found.customers), found.total) == (shown, 5)


def test_a_page_is_narrowed_to_some_customers(database):
    ids = make(*"abcde")
    assert [row.id for row in service.page_of(1, 9, among=ids[:2]).customers] == ids[:2]
    assert service.page_of(1, 9, among=[]).total == 0
