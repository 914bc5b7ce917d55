"""How somebody whom an administrator made in advance gets his identity: by a link, once, and by nothing else."""

import pytest
from flask import Flask

from core import clock
from core.audit.models import AuditEvent
from core.errors import BadRequest, Conflict
from core.people import service as people
from core.people.models import User, UserIdentity, UserInvitation
from core.signin import identities
from core.signin.id_tokens import Identity
from core.testing.openid import NORTHWIND
from tests.core.signin.world import Browser, error_of, know
from tests.factories import make_user


@pytest.fixture
def invited(site: Flask, world) -> User:
    world.signs_in = "kari"
    return make_user("msp_admin", email="someone@elsewhere.example")


def test_the_link_makes_the_identity_his(browser, invited):
    secret = identities.invite(invited, actor="admin")
    browser.sign_in(invitation=secret)
    assert browser.user["id"] == invited.id
    assert [event.actor for event in AuditEvent.select().where(AuditEvent.action == "user.identity_linked")] == [invited.email]


def test_afterwards_he_needs_no_link(site, browser, invited):
    browser.sign_in(invitation=identities.invite(invited, actor="admin"))
    later = Browser(site)
    later.sign_in()
    assert later.user["id"] == invited.id


def test_it_is_good_once(browser, invited, world):
    secret = identities.invite(invited, actor="admin")
    browser.sign_in(invitation=secret)
    world.signs_in = "guest"
    assert error_of(browser.sign_in(invitation=secret)) == "AccessDenied"
    assert UserIdentity.select().count() == 1


def test_a_later_link_replaces_an_earlier_one(browser, invited):
    first = identities.invite(invited, actor="admin")
    identities.invite(invited, actor="admin")
    assert identities.invited(first) is None
    assert error_of(browser.sign_in(invitation=first)) == "AccessDenied"


def test_it_ends(browser, invited):
    secret = identities.invite(invited, actor="admin")
    UserInvitation.update(expires_at=clock.now()).execute()
    assert error_of(browser.sign_in(invitation=secret)) == "AccessDenied"


@pytest.mark.parametrize("secret", ["made up", "é", "x" * 5000, "\x00"])
def test_one_that_was_made_up_lets_nobody_in(browser, invited, secret):
    browser.client.post("/api/auth/signin/microsoft", data={"csrfToken": browser.csrf_token, "json": "true", "invitation": secret})
    assert error_of(browser.sign_in(invitation="made up")) == "AccessDenied"


def test_a_disabled_user_is_not_let_in_by_it(browser, invited):
    secret = identities.invite(invited, actor="admin")
    people.disable(invited, actor="admin")
    assert error_of(browser.sign_in(invitation=secret)) == "AccessDenied"
    assert UserIdentity.select().count() == 0


def test_a_service_account_is_neither_invited_nor_linked(site, world, provider):
    program = people.add_service("deploy", actor="admin", name="Deploy")
    with pytest.raises(BadRequest):
        identities.invite(program, actor="admin")
    with pytest.raises(BadRequest):
        know(program, world, provider, "kari")


def test_whoever_is_removed_leaves_nothing_behind(browser, invited):
    browser.sign_in(invitation=identities.invite(invited, actor="admin"))
    identities.invite(invited, actor="admin")
    people.remove(invited, actor="admin")
    assert browser.user == {}
    assert (UserIdentity.select().count(), UserInvitation.select().count()) == (0, 0)
    assert error_of(browser.sign_in()) == "AccessDenied"


def test_an_identity_that_is_somebodys_stays_his(browser, invited, world, provider):
    owner = make_user("msp_analyst", email="owner@stockade.example")
    know(owner, world, provider, "kari")
    secret = identities.invite(invited, actor="admin")
    browser.sign_in(invitation=secret)
    assert browser.user["id"] == owner.id
    assert identities.invited(secret) == invited
    with pytest.raises(Conflict):
        know(invited, world, provider, "kari")


def test_the_secret_is_nowhere_in_the_database(invited):
    secret = identities.invite(invited, actor="admin")
    kept = repr([row.__data__ for table in (UserInvitation, AuditEvent) for row in table.select()])
    assert secret not in kept


def test_whoever_is_unlinked_is_signed_out_and_does_not_come_back(browser, invited, world, provider):
    know(invited, world, provider, "kari")
    browser.sign_in()
    assert identities.unlink_all(invited, actor="admin") == 1
    assert browser.user == {}
    assert error_of(browser.sign_in()) == "AccessDenied"


def test_the_identity_is_the_tenant_and_the_object_id(browser, invited, world, provider):
    know(invited, world, provider, "kari")
    row = UserIdentity.get()
    assert (row.issuer, row.subject, row.tenant) == (f"{provider}/{NORTHWIND}/v2.0", world.people["kari"].oid, NORTHWIND)
    browser.sign_in()
    assert browser.user["id"] == invited.id


def test_a_service_account_gets_neither_a_link_nor_an_identity(site):
    robot = people.add_service("robot", actor="test")
    with pytest.raises(BadRequest, match="cannot sign in"):
        identities.invite(robot, actor="admin")
    with pytest.raises(BadRequest, match="cannot sign in"):
        identities.link(robot, Identity("https://login.test", "s", "", "Robot", "robot", "", False), actor="admin")
    assert UserIdentity.select().count() == UserInvitation.select().count() == 0
