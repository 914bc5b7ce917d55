"""``check()`` names the precise reason, one by one."""

from pathlib import Path

import pytest
from flask import Flask, Response

from core import clock
from core.hooks.failures import (
    AddressRefused,
    LoginRejected,
    OrganizationUnknown,
    PermissionMissing,
    TlsFailed,
    Unreachable,
    UpstreamUnavailable,
    WrongService,
)
from core.http.upstream import UpstreamPolicy
from core.testing.standin import StandIn
from core.testing.tls import self_signed
from plugins.checkmarx.upstream import Credential, Scan, World, create_app
from tests.plugins.checkmarx.conftest import CLIENT, SECRET
from tests.plugins.checkmarx.results import P2, S1, attack, environment, project, sast


def world(**how) -> World:
    return World.of(project(Scan.holding(S1, sast("a"))), project(key=P2), environments=[environment(attack("x"))], **how)


def test_a_connection_that_works_tells_tenant_version_and_what_is_visible(pull_of):
    pull = pull_of(world())
    result = pull.check()
    assert result.message == "Connected to tenant 'acme' of Checkmarx One: 2 projects and 1 DAST environment visible"
    assert result.facts == {"Service": "Checkmarx One 3.41.5", "Tenant": "acme", "Address": pull._client.base,
                            "Signed in as": "service-account-findings-portal", "Projects visible": "2", "DAST environments": "1"}


def test_results_of_a_project_are_tried(pull_of):
    held = world()
    held.tenants["acme"].projects.pop(P2)
    pull_of(held).check()
    assert held.calls["results"] == 1


def test_a_tenant_without_dast_works_and_is_told_so(pull_of):
    result = pull_of(world(has_dast=False)).check()
    assert result.message.endswith("2 projects visible")
    assert result.facts["DAST environments"] == "not licensed, or not for this credential"


@pytest.mark.parametrize(("coverage", "message"), [("projects", "2 projects visible"), ("dast", "1 DAST environment visible")])
def test_only_what_is_to_be_pulled_is_tried(pull_of, coverage, message):
    held = world()
    assert pull_of(held, coverage=coverage).check().message.endswith(f": {message}")
    assert (held.calls["projects"] == 0) is (coverage == "dast")


@pytest.mark.parametrize("coverage", ["both", "dast"])
def test_dast_that_is_asked_for_must_be_readable(pull_of, coverage):
    with pytest.raises(PermissionMissing, match="DAST environments may not be read"):
        pull_of(world(has_dast=False), coverage=coverage).check()


def test_dast_that_is_licensed_must_be_readable(pull_of):
    with pytest.raises(PermissionMissing, match="give the credential a role for DAST"):
        pull_of(world(), {"forbidden": ("/api/dast",)}).check()


def test_the_day_an_api_key_expires_is_told_and_warned_of_when_it_is_near(serve, open_at):
    held = world()
    url = serve(create_app(held))
    for days, warned in ((200, False), (3, True)):
        moment = clock.now() + days * clock.DAY
        result = open_at(api_key=held.admit_key(Credential("acme", "anna", expires=moment), url)).check()
        assert result.facts["API key expires"] == clock.iso(moment)[:10]
        assert ("The API key expires on" in result.message) is warned


def test_nobody_listens(open_at):
    with StandIn(Flask("gone")) as server:
        address = server.url
    with pytest.raises(Unreachable):
        open_at(url=address, tenant="acme", client_id=CLIENT, client_secret=SECRET).check()


def test_a_private_address_that_the_operator_does_not_allow(pull_of):
    with pytest.raises(AddressRefused):
        pull_of(world(), policy=UpstreamPolicy()).check()


def test_a_certificate_nobody_vouches_for_and_then_one_that_is_trusted(serve, open_at, tmp_path):
    held = world()
    held.admit_client(Credential("acme", CLIENT, SECRET))
    certificate, key = self_signed(tmp_path)
    settings = {"url": serve(create_app(held), tls=(certificate, key)), "tenant": "acme", "client_id": CLIENT, "client_secret": SECRET}
    with pytest.raises(TlsFailed):
        open_at(**settings).check()
    assert open_at(**settings, ca_certificate=Path(certificate).read_text()).check().facts["Projects visible"] == "2"


def test_a_tenant_of_another_region(pull_of):
    with pytest.raises(OrganizationUnknown, match="knows no tenant 'elsewhere'"):
        pull_of(world(), tenant="elsewhere").check()


def test_a_secret_that_is_wrong(pull_of):
    with pytest.raises(LoginRejected):
        pull_of(world(), client_secret="not-the-secret-of-this-client").check()


def test_a_token_service_of_one_region_with_the_api_of_another(pull_of, serve):
    held, elsewhere = world(), World.of(project())  # the API elsewhere knows nothing of tokens that others have given
    held.admit_client(Credential("acme", CLIENT, SECRET))
    pull = pull_of(held, url=serve(create_app(elsewhere)), iam_url=serve(create_app(held)))
    with pytest.raises(WrongService, match="not the API of tenant 'acme', which lives at http://127.0.0.1"):
        pull.check()


@pytest.mark.parametrize("answer", [
    lambda: "<html>Welcome</html>", lambda: ["3.41.5"], lambda: ("nothing here", 404), lambda: ("who are you", 401),
    lambda: Response(status=302, headers={"Location": "https://elsewhere.example"}),
])
def test_something_else_answers_in_place_of_the_api(pull_answered, answer):
    with pytest.raises(WrongService):
        pull_answered({"/api/versions": answer}).check()


def test_a_service_that_is_down(pull_of):
    held = world()
    held.faults.add("html", path="versions")
    with pytest.raises(UpstreamUnavailable):
        pull_of(held).check()


@pytest.mark.parametrize("rights", [{"sees": frozenset()}, {"forbidden": ("/api/projects",)}, {"forbidden": ("/api/results",)}])
def test_a_credential_without_the_rights(pull_of, rights):
    held = world()
    held.tenants["acme"].projects.pop(P2)
    with pytest.raises(PermissionMissing):
        pull_of(held, rights).check()


def test_a_credential_in_no_group_is_told_what_to_do(pull_of):
    with pytest.raises(PermissionMissing, match="put it into the groups of the projects"):
        pull_of(world(), {"sees": frozenset()}).check()


def test_a_role_that_may_not_read_the_version_does_not_matter(pull_of):
    assert pull_of(world(), {"forbidden": ("/api/versions",)}).check().facts["Service"] == "Checkmarx One"
