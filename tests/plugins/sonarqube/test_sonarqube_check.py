"""``check()`` names the precise reason, one by one."""

from pathlib import Path

import pytest
from flask import Flask, Response, request

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
from plugins.sonarqube.upstream import Flavour, Project, Token, World, create_app

CLOUD = Flavour(cloud=True)
OLD = Flavour(version="9.9.4.87374")


def world(flavour: Flavour | None = None) -> World:
    return World.of(Project("acme:billing", "Billing", "acme"), Project("acme:web", "Web", "acme"), flavour=flavour)


def test_a_server_that_works_tells_its_version_and_projects(pull_of):
    result = pull_of(world()).check()
    assert result.message == "Connected to SonarQube Server 2025.4.2.112048: 2 projects visible"
    assert result.facts == {"Service": "SonarQube Server 2025.4.2.112048", "Projects visible": "2"}


def test_a_cloud_that_works_tells_its_organization(pull_of):
    result = pull_of(world(CLOUD)).check()
    assert result.facts == {"Service": "SonarQube Cloud", "Organization": "acme", "Projects visible": "2"}


def test_the_day_a_token_expires_is_told_and_warned_of_when_it_is_near(pull_of):
    far, near = clock.now() + 200 * clock.DAY, clock.now() + 3 * clock.DAY
    assert pull_of(world(), Token(expires=far)).check().facts["Token expires"] == clock.iso(far)[:10]
    assert "expires" not in pull_of(world(), Token(expires=far)).check().message
    assert pull_of(world(), Token(expires=near)).check().message.endswith(f"The token expires on {clock.iso(near)[:10]}")


def test_an_old_server_is_spoken_to_with_the_token_as_user_name(pull_of):
    assert pull_of(world(OLD)).check().facts["Projects visible"] == "2"


def test_a_server_behind_a_proxy_that_drops_bearer_is_spoken_to_with_the_token_as_user_name(serve, open_at):
    held = world()
    app = create_app(held)

    def without_bearer(environ, start_response):
        if environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer"):
            del environ["HTTP_AUTHORIZATION"]
        return app(environ, start_response)

    url, token = serve(without_bearer), held.admit(Token(admin=True))
    assert open_at(url=url, token=token).check().facts["Projects visible"] == "2"
    assert len(list(open_at(url=url, token=token).catalog())) == 2


def test_a_context_path_is_kept(serve, open_at):
    held = world()
    pull = open_at(url=serve(create_app(held, context="/sonar")) + "/sonar/", token=held.admit())
    assert pull.check().facts["Projects visible"] == "2"


def test_nobody_listens(open_at):
    with StandIn(Flask("gone")) as server:
        address = server.url
    with pytest.raises(Unreachable):
        open_at(url=address, token="squ_x").check()


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
    lambda: "<html>Welcome</html>", lambda: {"hello": "world"}, lambda: ["UP"], lambda: ("nothing here", 404), lambda: ("go away", 403),
    lambda: Response(status=302, headers={"Location": "https://elsewhere.example"}), lambda: ({"version": "x", "status": "UP"}),
    lambda: ("who are you", 401),
])
@pytest.mark.parametrize("organization", ["", "acme"])
def test_something_else_answers(serve, open_at, answer, organization):
    app = Flask("else")
    app.add_url_rule("/<path:path>", "any", lambda path: answer())
    # a Cloud is first asked about the token, and 401 is a possible answer to that
    with pytest.raises(LoginRejected if organization and answer() == ("who are you", 401) else WrongService):
        open_at(url=serve(app), token="squ_x", organization=organization).check()


@pytest.mark.parametrize("status", ["STARTING", "DOWN", "DB_MIGRATION_RUNNING"])
def test_a_server_that_is_not_up_yet(pull_of, status):
    with pytest.raises(UpstreamUnavailable, match=status):
        pull_of(world(Flavour(status=status))).check()


def test_a_server_does_not_see_the_token_before_it_is_known_to_be_a_sonarqube(serve, open_at):
    seen = []
    app = Flask("else")
    app.before_request(lambda: seen.append(dict(request.headers)))
    with pytest.raises(WrongService):
        open_at(url=serve(app), token="squ_secret").check()
    assert seen
    assert "squ_secret" not in str(seen)


@pytest.mark.parametrize("flavour", [Flavour(), CLOUD, OLD])
@pytest.mark.parametrize("value", ["squ_wrong", ""])
def test_a_token_that_is_unknown_or_expired(pull_of, flavour, value):
    held = world(flavour)
    value = value or held.admit(Token(expires=clock.now() - clock.DAY))
    with pytest.raises(LoginRejected, match="wrong, revoked or expired") as caught:
        pull_of(held, value=value).check()
    assert value not in str(caught.value)


def test_an_organization_that_does_not_exist(pull_of):
    with pytest.raises(OrganizationUnknown, match="'other'"):
        pull_of(world(CLOUD), organization="other").check()


def test_an_organization_of_somebody_else(pull_of):
    held = world(CLOUD)
    held.projects["x"] = Project("x", "X", "contoso")
    with pytest.raises(OrganizationUnknown):
        pull_of(held, Token("contoso"), organization="acme").check()


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_cloud_that_does_not_list_organizations_is_asked_for_the_projects(pull_of, status):
    held = world(CLOUD)
    held.faults.add("status", path="organizations/search", status=status)
    assert pull_of(held).check().facts["Projects visible"] == "2"
    with pytest.raises(OrganizationUnknown, match="'other'"):
        pull_of(held, organization="other").check()


def test_a_cloud_without_an_organization(open_at):
    pull = open_at(url="https://sonarcloud.io", token="squ_x", organization="acme")
    pull._client.organization = ""  # as if the form had let it through
    for attempt in (pull.check, lambda: list(pull.catalog())):
        with pytest.raises(SettingsInvalid, match="organization"):
            attempt()


@pytest.mark.parametrize("flavour", [Flavour(), CLOUD])
@pytest.mark.parametrize("admin", [False, True])
def test_a_token_that_may_browse_nothing(pull_of, flavour, admin):
    with pytest.raises(PermissionMissing, match="Browse"):
        pull_of(world(flavour), Token("acme", frozenset(), admin=admin)).check()


def test_a_sonarqube_without_any_project_works(pull_of):
    assert pull_of(World.of()).check().facts["Projects visible"] == "0"


@pytest.mark.parametrize("flavour", [Flavour(version="10.8.0.1"), OLD])
def test_an_analysis_token_cannot_read_projects(pull_of, flavour):
    with pytest.raises(PermissionMissing, match="analysis token"):
        pull_of(world(flavour), Token(analysis=True)).check()
