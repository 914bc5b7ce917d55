"""``check()`` names the precise reason, one by one."""

import base64
import json
from pathlib import Path

import pytest
from flask import Flask, Response

from core import clock
from core.hooks.failures import (
    AddressRefused,
    LoginRejected,
    OrganizationUnknown,
    PermissionMissing,
    SettingsInvalid,
    TlsFailed,
    Unreachable,
    UpstreamUnavailable,
    WrongService,
)
from core.http.upstream import UpstreamPolicy
from core.testing.standin import StandIn
from core.testing.tls import self_signed
from plugins.snyk.upstream import Issue, Organization, Project, Throttle, Token, World, create_app
from tests.plugins.snyk.worlds import acme

GROUP = "9f1c6e0a-0000-4000-8000-000000000001"


def world() -> World:
    return acme(Project.holding("app", Issue("a")), Project.holding("web"), group=GROUP)


def newer_token(**told: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    return f"snyk_uat.1a2b3c4d.{middle}.c2lnbmF0dXJl"


def test_a_connection_that_works_tells_what_it_sees(pull_of):
    result = pull_of(world()).check()
    assert result.message == "Connected to Snyk: 2 projects in 1 organization"
    assert {name: fact for name, fact in result.facts.items() if name != "Service"} == {
        "Account": "portal-sync (service account)", "Organizations": "acme", "Projects visible": "2"}


def test_a_group_of_many_organizations_is_tried_in_part(pull_of):
    held = World.of(*(Organization.of(f"team-{number:02}", Project.holding(f"app-{number}"), group=GROUP) for number in range(12)),
                    groups={GROUP: "Acme"})
    result = pull_of(held, group=GROUP).check()
    assert result.message == "Connected to Snyk: 10 projects or more in 12 organizations"
    assert result.facts["Projects visible"] == "10+"
    assert result.facts["Organizations"].endswith("team-07 and 4 more")
    assert held.calls["orgs/issues"] == held.calls["orgs/projects"] == 10


def test_the_one_organization_that_a_token_sees_need_not_be_named(pull_of):
    assert pull_of(world(), organizations="").check().facts["Organizations"] == "acme"


def test_several_organizations_have_to_be_named_since_they_may_be_those_of_several_customers(pull_of):
    held = World.of(Organization.of("northwind"), Organization.of("contoso"))
    pull = pull_of(held, organizations="")
    for attempt in (pull.check, lambda: list(pull.catalog())):
        with pytest.raises(SettingsInvalid, match="sees 2 organizations") as caught:
            attempt()
    assert "northwind" in str(caught.value)


def test_a_user_s_token_tells_the_user(pull_of):
    assert pull_of(world(), Token(kind="user", name="ann")).check().facts["Account"] == "ann (user)"


def test_a_token_that_may_not_ask_who_it_is_is_good_when_it_sees_something(pull_of):
    held = world()
    held.faults.add("status", path="self", status=403)
    assert "Account" not in pull_of(held).check().facts


def test_the_day_a_token_expires_is_told_and_warned_of_when_it_is_near(pull_of):
    for days, warned in ((60, False), (3, True)):
        ends = clock.now() + days * clock.DAY
        held = world()
        value = held.admit(value=newer_token(h="snyk.io", e=ends / 1000))
        result = pull_of(held, value=value).check()
        assert result.facts["Token expires"] == clock.iso(ends)[:10]
        assert ("expires on" in result.message) is warned


def test_the_end_of_the_contract_that_is_spoken_is_told(pull_of):
    held = world()
    held.sunset = "2027-05-01"
    assert pull_of(held).check().facts["API contract ends"] == "2027-05-01"


# -- refusals -------------------------------------------------------------------------------------------------------------------


def test_nobody_listens(open_at):
    with StandIn(Flask("gone")) as server:
        address = server.url
    with pytest.raises(Unreachable):
        open_at(url=address, token="t").check()


def test_a_private_address_that_the_operator_does_not_allow(pull_of):
    with pytest.raises(AddressRefused):
        pull_of(world(), policy=UpstreamPolicy()).check()


def test_a_certificate_nobody_vouches_for_and_then_one_that_is_trusted(serve, open_at, tmp_path):
    held = world()
    certificate, key = self_signed(tmp_path)
    url, token = serve(create_app(held), tls=(certificate, key)), held.admit()
    with pytest.raises(TlsFailed):
        open_at(url=url, token=token).check()
    assert open_at(url=url, token=token, ca_certificate=Path(certificate).read_text()).check().facts["Projects visible"] == "2"


@pytest.mark.parametrize("answer", [
    lambda: "<html>Welcome</html>", lambda: {"hello": "world"}, lambda: ["UP"], lambda: ("nothing here", 404), lambda: {"data": {}},
    lambda: Response(status=302, headers={"Location": "https://elsewhere.example"}), lambda: {"data": {"id": "1"}}, lambda: ("bad", 400),
])
def test_something_else_answers(serve, open_at, answer):
    app = Flask("else")
    app.add_url_rule("/<path:path>", "any", lambda path: answer())
    with pytest.raises(WrongService, match="not Snyk's API"):
        open_at(url=serve(app), token="t").check()


@pytest.mark.parametrize("value", ["no-such-token", ""])
def test_a_token_that_is_unknown_or_expired(pull_of, value):
    held = world()
    value = value or held.admit(Token(expires=clock.now() - clock.DAY))
    with pytest.raises(LoginRejected, match="wrong, revoked or expired, belongs to another region") as caught:
        pull_of(held, value=value).check()
    assert value not in str(caught.value)


def test_a_token_of_another_region_is_told_to_be_one(pull_of):
    with pytest.raises(LoginRejected, match="belongs to the region of eu.snyk.io"):
        pull_of(world(), value=newer_token(h="eu.snyk.io", e=clock.now() / 1000 + 9999)).check()


def test_a_token_that_tells_its_end_is_told_to_have_expired(pull_of):
    with pytest.raises(LoginRejected, match="expired on 2020-01-01"):
        pull_of(world(), value=newer_token(h="snyk.io", e=clock.from_iso("2020-01-01") / 1000)).check()


@pytest.mark.parametrize("name", ["nobody", "5b1c6e0a-0000-4000-8000-000000000001", "../orgs", "northwind"])
def test_an_organization_that_does_not_exist_or_is_hidden(pull_of, name):
    held = world()
    other = Organization.of("northwind")
    held.organizations[other.id] = other
    with pytest.raises(OrganizationUnknown, match=f"no organization '{name}'"):
        pull_of(held, Token(frozenset({next(iter(held.organizations))})), organizations=f"acme, {name}").check()


def test_organizations_are_found_by_id_and_by_slug_and_counted_once(pull_of):
    held = world()
    assert pull_of(held, organizations=f"acme {next(iter(held.organizations))}").check().facts["Organizations"] == "acme"


@pytest.mark.parametrize("group", ["nobody", "5b1c6e0a-0000-4000-8000-000000000001", "a/b"])
def test_a_group_that_does_not_exist(pull_of, group):
    with pytest.raises(OrganizationUnknown, match=f"no group '{group}'"):
        pull_of(world(), group=group).check()


def test_an_organization_outside_the_group(pull_of):
    held = world()
    held.organizations["x"] = Organization("loner", id="x")
    with pytest.raises(OrganizationUnknown, match="has no organization 'loner'"):
        pull_of(held, group=GROUP, organizations="loner").check()
    assert pull_of(held, group=GROUP, organizations="acme").check().facts["Organizations"] == "acme"


@pytest.mark.parametrize("permission", ["group.read", "group.org.list"])
def test_a_group_whose_organizations_may_not_be_listed(pull_of, permission):
    with pytest.raises(PermissionMissing, match="group.org.list"):
        pull_of(world(), Token(lacks=frozenset({permission})), group=GROUP).check()


@pytest.mark.parametrize("permission", ["org.read", "org.project.read", "org.project.snapshot.read"])
def test_a_permission_that_is_missing_in_the_organization_is_told(pull_of, permission):
    with pytest.raises(PermissionMissing, match="org.project.snapshot.read"):
        pull_of(world(), Token(lacks=frozenset({permission})), group=GROUP).check()


def test_a_plan_without_access_to_the_api(pull_of):
    for settings in ({}, {"organizations": ""}, {"organizations": next(iter(world().organizations))}, {"group": GROUP}):
        with pytest.raises(PermissionMissing):
            pull_of(world(), Token(has_api=False), **settings).check()


def test_a_token_that_sees_nothing(pull_of):
    with pytest.raises(PermissionMissing, match="sees no organization"):
        pull_of(world(), Token(frozenset()), organizations="").check()


def test_a_snyk_that_is_too_busy(pull_of):
    held = world()
    held.throttle = Throttle(2, 30.0)
    with pytest.raises(UpstreamUnavailable):
        pull_of(held).check()


def test_maintenance(pull_of):
    held = world()
    held.faults.add("status", status=503)
    with pytest.raises(UpstreamUnavailable):
        pull_of(held).check()
