"""Nobody ends up with more than he had, whatever he sends: limited users send hundreds of requests that could widen what they, their
tokens and the accounts they make may do. The requests are drawn by chance from a fixed seed, out of everything that changes rights."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import principals, roles
from core.access import service as access
from core.access.models import ApiToken, Role
from core.access.nodes import NodeRegistry
from core.app import create_app
from core.db import db
from core.http.access import Principal
from core.people.models import User
from core.tenancy.models import Customer
from tests.factories import SETTINGS, bearer, give_role, make_customer, make_user, signed_in_client

STEPS = 300
#: everything that lets one hand out rights, in one way or another
HANDING_OUT = ("role.create", "role.modify", "role.delete", "role.read", "role.list", "user.read", "user.write", "user.read.other",
               "user.list.other", "user.write.other", "user.roles.other", "user.permissions.other", "user.create.service",
               "user.delete.other", "token.manage", "token.manage.other", "token.read.other", "customer.user.create", "customer.user.list")
#: patterns that somebody could hope are read as more than they are; the first ones are, and so may not be given
TRICKS = ("*", "user.*", "*.read", "finding.*", "*.*", "credential.*.read", "**", "* ", " *", "*.", ".*", "\uff0a", "user.*\u200b",
          "USER.*", "User.Read", "finding.list\x00", "finding.list\n*", "finding.list,*", "finding.list *", "f\u0456nding.list",
          "finding\u3002list", "finding/list", "%2a", "*" * 60, "finding..list", "", "finding.list", "finding.decide",
          "company.fetch", "integration.sync", "audit.read")


@dataclass
class Attempt:
    """Somebody who holds a few rights, and what he knows: people, roles, tokens.

    :ivar home: the customer that he belongs to; None for MSP staff with few rights.
    """

    app: Flask
    chance: random.Random
    user: User
    home: Customer | None
    others: list[Customer]
    people: list[str]
    roles: list[str]
    client: FlaskClient
    had: dict[str | None, frozenset[str]] = field(default_factory=dict)
    own_accounts: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)

    def send(self) -> tuple[Any, str]:
        """One request; what was answered, and a line that tells it."""
        method, path, body = self.chance.choice(_REQUESTS)(self)
        headers = bearer(self.chance.choice(sorted(self.secrets))) if self.secrets and self.chance.random() < 0.3 else {}
        answer = self.app.test_client().open(path, method=method, json=body, headers=headers) if headers else self.client.open(
            path, method=method, json=body)
        return answer, f"{method} {path} {body} -> {answer.status_code} {answer.text[:200]}"

    def learn(self, answer: Any) -> None:
        """Remember what an answer gives away: ids and secrets."""
        data = answer.get_json().get("data") if answer.is_json else None
        if not isinstance(data, dict):
            return
        if "token" in data:
            self.secrets.add(data["token"])
        elif "moniker" in data:
            self.roles += [data["id"], data["moniker"]]
        elif "login" in data and answer.status_code == 201:
            self.people.append(data["id"])
            self.own_accounts.add(data["id"])

    def principals(self) -> Iterator[tuple[str, Principal]]:
        """Everybody whom he can act as."""
        for user_id in {self.user.id, *self.own_accounts}:
            user = User.get_or_none(User.id == user_id)
            if user is not None:
                yield user.login, principals.of_user(user)
        for secret in self.secrets:
            token = principals.api_token_of(secret)
            if token is not None:
                yield f"token {token.id}", principals.by_api_token(token)

    def is_over(self) -> bool:
        """Whether he can hand out nothing any more."""
        user = User.get_by_id(self.user.id)
        return user.status != "active" or not principals.of_user(user).holds("user.permissions.other", self.home.id if self.home else None)

    def gained(self) -> list[tuple[str, str | None, list[str]]]:
        """What somebody holds, and where, beyond what the attempt began with."""
        return [(name, place, sorted(more)) for name, who in self.principals() for place in (None, *(one.id for one in self.others))
                if (more := held(self.app, who, place) - self.had[place] - self.had[None])]


def held(app: Flask, who: Principal, place: str | None) -> frozenset[str]:
    """The nodes that somebody holds in a customer, or everywhere."""
    registry = NodeRegistry(app.extensions["stockade"].plugins.permission_nodes)
    return frozenset(node.node for node in registry if who.holds(node.node, place))


def somebody(attempt: Attempt) -> str:
    return attempt.chance.choice([*attempt.people, "@me"])


def some_role(attempt: Attempt) -> str:
    return attempt.chance.choice(attempt.roles)


def some_nodes(attempt: Attempt) -> list[str]:
    """Most often what he holds, so that much is accepted."""
    among = (*HANDING_OUT, "finding.list") if attempt.chance.random() < 0.6 else TRICKS
    return attempt.chance.sample(among, attempt.chance.randint(0, 3))


def somewhere(attempt: Attempt) -> dict[str, Any]:
    if attempt.home is not None and attempt.chance.random() < 0.8:
        return {"companyId": attempt.home.id}
    return attempt.chance.choice([{}, {"companyId": None}, *({"companyId": one.id} for one in attempt.others)])


def some_moniker(attempt: Attempt) -> str:
    names = ["msp_admin", "MSP_ADMIN", "Msp_Admin", "msp_admin ", "msp_admin\u200b", "\uff4dsp_admin", "customer_admin", "rol_", "x"]
    return attempt.chance.choice(names) + attempt.chance.choice(["", "", str(attempt.chance.randint(0, 9))])


def _user_path(attempt: Attempt, rest: str = "") -> str:
    who = somebody(attempt)
    return f"/v1/user/{'@me' if who == '@me' else 'users/' + who}{rest}"


_REQUESTS = (
    lambda a: ("POST", "/v1/role", {"title": "x", "moniker": some_moniker(a), "permissions": some_nodes(a)}),
    lambda a: ("PATCH", f"/v1/role/{some_role(a)}", {"permissions": some_nodes(a)}),
    lambda a: ("PATCH", f"/v1/role/{some_role(a)}", {"moniker": some_moniker(a)}),
    lambda a: ("POST", f"/v1/role/{some_role(a)}/permissions", {"permissions": some_nodes(a)}),
    lambda a: ("DELETE", f"/v1/role/{some_role(a)}/permissions", {"permissions": some_nodes(a)}),
    lambda a: ("PATCH", _user_path(a), {"roles": [some_role(a) for _ in range(a.chance.randint(0, 2))], **somewhere(a)}),
    lambda a: ("PATCH", _user_path(a), {"permissions": some_nodes(a), **somewhere(a)}),
    lambda a: ("POST", _user_path(a, "/tokens"), {"name": "x", **somewhere(a)}),
    lambda a: ("POST", _user_path(a, "/tokens"), {"name": "x", "permissions": some_nodes(a), **somewhere(a)}),
    lambda a: ("POST", "/v1/user/service-accounts", {"login": f"s{a.chance.randint(0, 10**6)}", "roles": [some_role(a)], **somewhere(a)}),
    lambda a: ("POST", f"/api/customers/{a.chance.choice(a.others).id}/users", {
        "email": f"e{a.chance.randint(0, 10**6)}@example.test", "role": some_role(a)}),
)


@pytest.fixture
def app(sqlite_database: str) -> Iterator[Flask]:
    access.ensure_built_in_roles()
    yield create_app(replace(SETTINGS, database_url=sqlite_database))
    if not db.is_closed():
        db.close()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "customer"])
def test_hundreds_of_requests_win_nothing(app, is_staff, seed):
    attempt = begun(app, is_staff, random.Random(seed))
    told, accepted = [], 0
    for _ in range(STEPS):
        answer, line = attempt.send()
        assert answer.status_code < 500, line
        told.append(line)
        if answer.status_code < 400:
            accepted += 1
            attempt.learn(answer)
            assert attempt.gained() == [], "\n".join(told[-5:])
        if attempt.is_over():
            attempt = begun(app, is_staff, attempt.chance)  # he took his own rights away; another one goes on
    assert accepted >= 10, "nearly all were refused: the requests try nothing"


def begun(app: Flask, is_staff: bool, chance: random.Random) -> Attempt:
    """Somebody who may hand out rights, but holds few; around him those who hold much."""
    homes = [make_customer(), make_customer()]
    home = None if is_staff else homes[0]
    registry = NodeRegistry(app.extensions["stockade"].plugins.permission_nodes)
    user = make_user()
    own_role = roles.create(access.COMMAND, title="Own", moniker=f"own{user.id}", permissions=["finding.list"], registry=registry)
    strong = roles.create(access.COMMAND, title="Strong", moniker=f"strong{user.id}", permissions=["finding.*", "integration.sync"],
                          registry=registry)
    for node in (*HANDING_OUT, "finding.list"):
        access.grant_node(access.COMMAND, user, node, home.id if home else None, registry)
    access.grant_role(access.COMMAND, user, own_role.moniker, home.id if home else None)
    around = [make_user("msp_admin"), make_user("customer_admin", customer=homes[0]), make_user("customer_viewer", customer=homes[0]),
              make_user("customer_admin", customer=homes[1]), make_user()]
    give_role(around[2], "customer_admin", homes[1])
    known = [own_role.id, own_role.moniker, strong.id, strong.moniker, *(role.moniker for role in Role.select().where(Role.built_in))]
    attempt = Attempt(app, chance, user, home, homes, [one.id for one in around], known, signed_in_client(app, user=user))
    attempt.had = {place: held(app, principals.of_user(user), place) for place in (None, *(one.id for one in homes))}
    return attempt


def test_every_trick_is_refused_or_means_no_more_than_it_says(app):
    """Patterns that look like others: given by who holds nothing but the node that they resemble."""
    registry = NodeRegistry(app.extensions["stockade"].plugins.permission_nodes)
    user = make_user()
    for node in ("user.write.other", "user.permissions.other", "user.read.other", "finding.list"):
        access.grant_node(access.COMMAND, user, node, None, registry)
    client, target = signed_in_client(app, user=user), make_user("msp_analyst")
    for trick in TRICKS:
        answer = client.patch(f"/v1/user/users/{target.id}", json={"permissions": [trick]})
        assert answer.status_code in ((200,) if trick == "finding.list" else (400, 403)), trick


def test_a_role_edited_by_who_lacks_its_rights_gives_him_nothing_by_way_of_its_name(app):
    """Renaming a role to the name of a stronger one, or a weaker one of his to a free name, moves no right."""
    attempt = begun(app, True, random.Random(0))
    for moniker in ("msp_admin", "MSP_ADMIN", f"STRONG{attempt.user.id}"):
        assert attempt.client.patch(f"/v1/role/own{attempt.user.id}", json={"moniker": moniker}).status_code in (400, 409)
    assert attempt.client.patch("/v1/role/msp_admin", json={"moniker": "was_admin"}).status_code == 409
    assert ApiToken.select().count() == 0
    assert attempt.gained() == []
