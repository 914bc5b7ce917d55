"""Customers: creating, finding, changing. Who may is decided by the caller's rule."""

import unicodedata
from typing import Any

import peewee

from core import clock
from core.audit import record
from core.db import atomic, is_unique_violation
from core.errors import BadRequest, Conflict, NotFound
from core.ids import new_id
from core.tenancy.models import Customer

STATUSES = ("active", "disabled")


def name_key(name: str) -> str:
    """The form in which names that look alike are equal: without case, compatibility forms, runs of blanks, and what is invisible.

    :raises BadRequest: when nothing visible is left.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    key = " ".join(visible.split())
    if not key:
        raise BadRequest("A customer needs a name that can be seen", details={"name": ["Nothing to see."]})
    return key


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
        raise NotFound("There is no such customer")
    return customer


def create(name: str, *, actor: str, contact_email: str = "", notes: str = "") -> Customer:
    """Add a customer.

    :raises Conflict: when another customer's name is equal to the eye.
    """
    moment = clock.now()
    with _telling_taken_names(), atomic():
        customer = Customer.create(id=new_id("cus"), name=name.strip(), name_key=name_key(name), contact_email=contact_email,
                                   notes=notes, created_at=moment, updated_at=moment)
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
            changed["name_key"] = name_key(changed["name"])
        changed["updated_at"] = clock.now()
        Customer.update(changed).where(Customer.id == customer_id).execute()
        record("customer.changed", actor=actor, target=customer_id, customer_id=customer_id,
               details={name: value for name, value in changed.items() if name not in ("name_key", "updated_at")})
    return get(customer_id)


class _telling_taken_names:  # noqa: N801  reads as a clause
    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, peewee.IntegrityError) and is_unique_violation(problem):
            raise Conflict("A customer with this name exists already", details={"name": ["Taken."]}) from problem
