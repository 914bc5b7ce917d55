"""Customers, users, tokens and signed-in clients for tests, made through the same services that the routes use."""

import itertools
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.access import tokens
from core.access.nodes import CUSTOMER_ROLES, NodeRegistry
from core.http import cookies
from core.people import service as people
from core.people import sessions
from core.people.models import User
from core.settings import Settings
from core.tenancy import service as tenancy
from core.tenancy.models import Customer

SETTINGS = Settings(master_key=b"m" * 32, password_cost="test")
PASSWORD = "correct horse battery"

_numbers = itertools.count(1)


def make_customer(name: str = "", *, active: bool = True) -> Customer:
    customer = tenancy.create(name or f"Customer {next(_numbers)}", actor="test")
    return customer if active else tenancy.change(customer.id, status="disabled", actor="test")


def make_user(*roles: str, customer: Customer | None = None, email: str = "", password: str | None = None) -> User:
    """A user who holds these roles: customers' roles in ``customer``, the others everywhere. Without a password unless one is given."""
    access.ensure_built_in_roles()
    user = people.add(email or f"user{next(_numbers)}@example.test", actor="test", settings=SETTINGS, name="Ada", password=password)
    for role in roles:
        give_role(user, role, customer if role in CUSTOMER_ROLES else None)
    return user


def give_role(user: User, role: str, customer: Customer | None = None) -> None:
    """Let a user hold a role, in a customer or everywhere."""
    access.grant_role(access.COMMAND, user, role, customer.id if customer is not None else None)


def give_nodes(user: User, *nodes: str, customer: Customer | None = None) -> User:
    """Let a user hold single nodes, in a customer or everywhere; gives the user."""
    for node in nodes:
        access.grant_node(access.COMMAND, user, node, customer.id if customer is not None else None, NodeRegistry())
    return user


def signed_in_client(app: Flask, *roles: str, customer: Customer | None = None, user: User | None = None,
                     active: Customer | None = None) -> FlaskClient:
    """A browser in which a user (a new one with these roles, when none is given) has signed in.

    :param active: the customer that the session has picked.
    """
    user = user or make_user(*roles, customer=customer)
    settings = app.extensions["stockade"].settings
    token = sessions.begin(user.id, settings)
    client = app.test_client()
    client.set_cookie(cookies.session_cookie_name(settings), token, secure=settings.is_https)
    if active is not None:
        answer = client.put("/api/session/customer", json={"customerId": active.id})
        assert answer.status_code == 200, answer.get_json()
    return client


def make_token(user: User, **narrowed: Any) -> str:
    """An API token of this user; ``nodes``, ``customer_id``, ``expires_days`` as ``core.access.tokens.create`` takes them."""
    return tokens.create(access.COMMAND, user, registry=NodeRegistry(), **narrowed).secret


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
