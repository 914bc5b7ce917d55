"""Names that look like another's: what exists already cannot be made a second time in another spelling, and no spelling of a name or of
a permission is taken for another one."""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from core.access import service as access
from core.access.models import Role
from core.access.nodes import NodeRegistry
from core.app import create_app
from core.credentials.models import CredentialType
from core.db import db
from core.people.models import User
from core.tenancy.models import Customer
from tests.factories import SETTINGS, make_customer, make_user, signed_in_client

#: other spellings that a person could not tell from the first one, or that mail, shells and databases take for it
SPELLINGS: dict[str, Callable[[str], str]] = {
    "the same": lambda name: name, "upper case": str.upper, "swapped case": str.swapcase,
    "a blank behind": lambda name: name + " ", "a blank before": lambda name: " " + name,
    "full width": lambda name: "".join(chr(ord(letter) + 0xFEE0) if "a" <= letter <= "z" else letter for letter in name),
    "mathematical": lambda name: name.replace("a", "\U0001d41a"), "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "invisible inside": lambda name: name[:3] + "\u200b" + name[3:], "soft hyphen": lambda name: name[:3] + "\u00ad" + name[3:],
    "joiner behind": lambda name: name + "\u200d", "mark of order": lambda name: "\u200e" + name,
    "byte order mark": lambda name: "\ufeff" + name, "nul behind": lambda name: name + "\x00", "line behind": lambda name: name + "\n"}


@pytest.fixture
def app(sqlite_database: str) -> Iterator[Flask]:
    access.ensure_built_in_roles()
    yield create_app(replace(SETTINGS, database_url=sqlite_database))
    if not db.is_closed():
        db.close()


#: where something with a name is made: the address, the name, and a body with it
DOORS: dict[str, tuple[str, str, Callable[[str], dict[str, Any]]]] = {
    "customer": ("/api/customers", "Acmé Navarra", lambda name: {"name": name}),
    "role": ("/v1/role", "acme_admin", lambda name: {"title": "A role", "moniker": name, "permissions": []}),
    "shipped role": ("/v1/role", "msp_admin", lambda name: {"title": "A role", "moniker": name, "permissions": []}),
    "user": ("/api/customers/{customer}/users", "adela@example.test", lambda name: {"email": name, "role": "customer_viewer"}),
    "service account": ("/v1/user/service-accounts", "scanner.a", lambda name: {"login": name, "roles": ["msp_analyst"]}),
    "credential type": ("/v1/credential-type", "Acmé Aws", lambda name: {
        "name": name, "permissionScope": "acme.credentials", "fields": []}),
}


@pytest.mark.parametrize("door", DOORS)
def test_what_is_there_is_not_made_again_in_another_spelling(app, door):
    path, name, body = DOORS[door]
    client, path = signed_in_client(app, "msp_admin"), path.format(customer=make_customer("Elsewhere").id)
    if door != "shipped role":
        assert client.post(path, json=body(name)).status_code == 201
    before, accepted = counted(), []
    for spelling, spelled in SPELLINGS.items():
        if client.post(path, json=body(spelled(name))).status_code < 400:
            accepted.append(spelling)
    assert accepted == []
    assert counted() == before


def counted() -> tuple[int, ...]:
    return tuple(model.select().count() for model in (Customer, Role, User, CredentialType))


@pytest.mark.parametrize("spelling", [spelling for spelling in SPELLINGS if spelling != "the same"])
def test_a_permission_in_another_spelling_is_not_the_one_that_is_held(app, spelling):
    user = make_user()
    for node in ("user.read", "finding.list"):
        access.grant_node(access.COMMAND, user, node, None, NodeRegistry())
    name = SPELLINGS[spelling]("finding.list")
    answer = signed_in_client(app, user=user).post("/v1/user/@me/check-permission", json={"permissions": ["finding.list", name]})
    if name == "finding.list":
        return  # this spelling changes nothing in it
    held = [result["hasPermission"] for result in answer.get_json()["data"]["results"]] if answer.status_code == 200 else [True, False]
    assert held == [True, False]


@pytest.mark.parametrize("spelling", [spelling for spelling in SPELLINGS if spelling != "the same"])
def test_a_role_in_another_spelling_gives_nobody_the_role(app, spelling):
    client, user = signed_in_client(app, "msp_admin"), make_user()
    name = SPELLINGS[spelling]("msp_admin")
    answer = client.patch(f"/v1/user/users/{user.id}", json={"roles": [name]})
    assert answer.status_code == (200 if name == "msp_admin" else 400), answer.get_json()
