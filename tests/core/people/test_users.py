"""Users and their passwords, without HTTP."""

import threading
from dataclasses import replace

import pytest

from core.audit.models import AuditEvent
from core.db import atomic, db
from core.errors import BadRequest, Conflict, NotFound
from core.people import passwords, service, sessions
from core.people.models import User, UserSession
from tests.factories import PASSWORD, SETTINGS
from tests.servers import eventually_waits

pytestmark = pytest.mark.usefixtures("database")


def add(email: str = "ada@example.test", **more) -> User:
    return service.add(email, actor="test", settings=SETTINGS, **more)


def test_a_password_is_kept_as_argon2id_alone():
    add(password=PASSWORD)
    assert User.get().password_hash.startswith("$argon2id$")
    assert PASSWORD not in repr(User.get().__data__)


def test_the_standard_cost_is_owasp_s():
    assert passwords.hashed(PASSWORD, "standard").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_equal_passwords_have_different_hashes():
    assert passwords.hashed(PASSWORD, "test") != passwords.hashed(PASSWORD, "test")


def test_a_hash_made_at_another_cost_still_fits():
    assert passwords.matches(PASSWORD, passwords.hashed(PASSWORD, "standard"), "test")


def test_a_password_typed_on_another_keyboard_fits():
    assert passwords.matches("e\u0301clair au chocolat", passwords.hashed("\u00e9clair au chocolat", "test"), "test")


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 1025, "Somebody@Example.test", "somebody.long"])
def test_a_poor_password_is_refused(password):
    email = "somebody.long@example.test" if password == "somebody.long" else "somebody@example.test"
    with pytest.raises(BadRequest):
        add(email, password=password)
    assert User.select().count() == 0


@pytest.mark.parametrize("email", ["", "ada", "@example.test", "ada@", "a b@example.test", "ada@exa\x00mple.test", "ada@x\ny", "a@b@c",
                                   "x" * 65 + "@example.test", "a@" + "x" * 200, "\ud800@example.test"])
def test_what_is_no_address_is_refused(email):
    with pytest.raises(BadRequest):
        add(email)


@pytest.mark.parametrize("spelling", ["ADA@EXAMPLE.TEST", " ada@example.test", "ａｄａ@example.test"])
def test_one_address_has_one_user_however_it_is_spelled(spelling):
    add()
    with pytest.raises(Conflict):
        add(spelling)


def test_folding_an_address_costs_no_more_than_an_address_may():
    marks = "\u0316\u0301" * 5000  # to bring so many marks in order takes the square of their number
    assert len(service.email_key(f"a{marks}@example.test")) <= 1000
    assert service.authenticate(f"a{marks}@example.test", PASSWORD, SETTINGS) is None


def test_a_new_password_ends_all_sessions_and_the_lock():
    user = add(password=PASSWORD)
    sessions.begin(user.id, SETTINGS)
    User.update(failed_attempts=9, locked_until=2**52).execute()
    service.set_password(user, "another fine password", actor="test", settings=SETTINGS)
    assert UserSession.select().count() == 0
    assert service.authenticate(user.email, "another fine password", SETTINGS) is not None
    assert service.authenticate(user.email, PASSWORD, SETTINGS) is None


def test_a_password_that_is_changed_while_it_is_looked_at_lets_nobody_in(database):
    user, let_in = add(password=PASSWORD), []
    signing_in = threading.Thread(target=lambda: (let_in.append(service.authenticate(user.email, PASSWORD, SETTINGS)), db.close()))
    with atomic():
        service.set_password(user, "another fine password", actor="test", settings=SETTINGS)
        signing_in.start()
        eventually_waits(signing_in)
    signing_in.join(30)
    assert let_in == [None]


def test_expired_sessions_go_when_anybody_signs_in():
    sessions.begin(add().id, SETTINGS)
    UserSession.update(expires_at=1).execute()
    sessions.begin(add("grace@example.test").id, SETTINGS)
    assert UserSession.select().count() == 1


def test_a_session_lasts_as_long_as_the_settings_say():
    user = add()
    sessions.begin(user.id, replace(SETTINGS, session_hours=3))
    row = UserSession.get()
    assert row.expires_at - row.created_at == 3 * 3600 * 1000


def test_a_user_that_is_not_there_is_told_so():
    with pytest.raises(NotFound):
        service.by_email("nobody@example.test")


def test_what_happens_to_users_is_in_the_audit_log():
    user = add(password=PASSWORD)
    service.set_password(user, "another fine password", actor="test", settings=SETTINGS)
    service.disable(user, actor="test")
    service.enable(user, actor="test")
    assert [event.action for event in AuditEvent.select().order_by(AuditEvent.seq)] == [
        "user.created", "user.password_set", "user.disabled", "user.enabled"]
    assert PASSWORD not in repr([event.details for event in AuditEvent.select()])
