"""Customers: creating, finding, changing. Who may is decided by the caller's rule."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from core import clock
from core.audit import record
from core.audit.many import Happening, record_many
from core.db import atomic, is_unique_violation
from core.db.bulk import bulk_insert, bulk_update, rows_by_key
from core.errors import BadRequest, Conflict, NoSuchCustomer
from core.ids import new_id
from core.tenancy import searching
from core.tenancy.models import Customer

STATUSES = ("active", "disabled")
LONGEST_NAME, LONGEST_ALIAS = 200, 100


def name_key(name: str) -> str:
    """The form in which names that look alike are equal: without case, compatibility forms, runs of blanks, and what is invisible.

    :raises BadRequest: when nothing visible is left.
    """
    key = folded(name)
    if not key:
        raise BadRequest("A customer needs a name that can be seen", details={"name": ["Nothing to see."]})
    return key


def folded(text: str) -> str:
    """As ``name_key``, but for any text: empty when there is nothing to see."""
    if text.isascii():  # nearly every name, and nothing else of it needs to be looked at
        return " ".join(text.lower().split())
    alike = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(character for character in alike if unicodedata.category(character) != "Cf").split())


def _search_key(name: str, alias: str) -> str:
    """What a search looks through. The name comes first, so that its order is that of names."""
    return f"{folded(name)}\n{folded(alias)}"


def all_customers() -> list[Customer]:
    """Every customer, by name."""
    return list(Customer.select().order_by(Customer.name_key))


def find(customer_id: str) -> Customer | None:
    return Customer.get_or_none(Customer.id == customer_id)


def get(customer_id: str) -> Customer:
    """The customer with this id.

    :raises NotFound: when there is none.
    """
    customer = find(customer_id)
    if customer is None:
        raise NoSuchCustomer
    return customer


def create(name: str, *, actor: str, contact_email: str = "", notes: str = "") -> Customer:
    """Add a customer.

    :raises Conflict: when another customer's name is equal to the eye.
    """
    moment = clock.now()
    with _telling_taken_names(), atomic():
        customer = Customer.create(id=new_id("cus"), name=name.strip(), name_key=name_key(name), search_key=_search_key(name, ""),
                                   contact_email=contact_email, notes=notes, created_at=moment, updated_at=moment)
        record("customer.created", actor=actor, target=customer.id, customer_id=customer.id, details={"name": customer.name})
    return customer


def change(customer_id: str, *, actor: str, **changes: Any) -> Customer:
    """Change ``name``, ``status``, ``contact_email`` or ``notes``; returns the customer as it is now."""
    with _telling_taken_names(), atomic():
        customer = get(customer_id)
        changed = {name: value for name, value in changes.items() if getattr(customer, name) != value}
        if not changed:
            return customer
        if "name" in changed:
            changed |= {"name_key": name_key(changed["name"]), "search_key": _search_key(changed["name"], customer.alias)}
        changed["updated_at"] = clock.now()
        Customer.update(changed).where(Customer.id == customer_id).execute()
        record("customer.changed", actor=actor, target=customer_id, customer_id=customer_id,
               details={name: value for name, value in changed.items() if name not in ("name_key", "search_key", "updated_at")})
    return get(customer_id)


@dataclass(frozen=True, slots=True)
class Page:
    """Some customers by name, of how many in all."""

    customers: Sequence[Customer]
    total: int


def page_of(number: int, size: int, *, search: str = "", among: Collection[str] | None = None) -> Page:
    """One page of the customers by name, the disabled ones with them.

    :param number: counts from 1.
    :param search: only those whose name or alias holds this text, folded as ``name_key`` folds.
    :param among: only these customers; None for all.
    """
    return Page(*searching.page(folded(search), among, (number - 1) * size, size))


# -- many at once, for a job that keeps customers in step with another system -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Naming:
    """A customer's name, and the short name that the other system has for it."""

    name: str
    alias: str = ""


def create_many(namings: Sequence[Naming], *, actor: str) -> list[str]:
    """Add customers with a constant number of statements; their ids, in the same order.

    :raises peewee.IntegrityError: when a name is taken; look with ``taken_names`` before.
    """
    now, rows, ids = clock.now(), [], [new_id("cus") for _ in namings]
    for customer_id, naming in zip(ids, namings, strict=True):
        name, alias = naming.name.strip()[:LONGEST_NAME], naming.alias[:LONGEST_ALIAS]
        rows.append((customer_id, name, name_key(name), alias, _search_key(name, alias), "active", "", "", now, now))
    with atomic():
        bulk_insert(Customer, ("id", "name", "name_key", "alias", "search_key", "status", "contact_email", "notes", "created_at",
                               "updated_at"), rows)
        record_many([Happening("customer.created", row[0], row[0], {"name": row[1]}) for row in rows], actor=actor)
    return ids


def taken_names(names: Collection[str]) -> dict[str, str]:
    """The ids of customers whose names are equal to the eye to these, by the name's key."""
    return dict(rows_by_key(Customer, ("name_key", "id"), {}, "name_key", sorted({folded(name) for name in names})))


def names_of(customer_ids: Collection[str]) -> dict[str, Naming]:
    """Name and alias of these customers; unknown ones are left out."""
    return {key: Naming(name, alias) for key, name, alias in
            rows_by_key(Customer, ("id", "name", "alias"), {}, "id", sorted(customer_ids))}


def rename_many(namings: dict[str, Naming], *, actor: str) -> None:
    """Give customers new names and aliases, by their ids, with a constant number of statements. Names must be free."""
    before, now = names_of(namings), clock.now()
    changed = [(customer_id, Naming(naming.name.strip()[:LONGEST_NAME], naming.alias[:LONGEST_ALIAS]))
               for customer_id, naming in sorted(namings.items()) if customer_id in before]
    changed = [(customer_id, naming) for customer_id, naming in changed if naming != before[customer_id]]
    rows = [(customer_id, naming.name, name_key(naming.name), naming.alias, _search_key(naming.name, naming.alias), now)
            for customer_id, naming in changed]
    with atomic():
        bulk_update(Customer, ("id",), rows, update=("name", "name_key", "alias", "search_key", "updated_at"))
        record_many([Happening("customer.changed", customer_id, customer_id, {"name": naming.name, "alias": naming.alias})
                     for customer_id, naming in changed], actor=actor)


class _telling_taken_names:  # noqa: N801  reads as a clause
    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, peewee.IntegrityError) and is_unique_violation(problem):
            raise Conflict("A customer with this name exists already", details={"name": ["Taken."]}) from problem
