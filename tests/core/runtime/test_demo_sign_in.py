"""Where the demo's sign-in stand-in listens."""

from pathlib import Path

from core.runtime.demo_sign_in import environ_for


def test_two_demos_that_start_at_once_do_not_choose_the_same_port():
    chosen = [environ_for({}, Path(home))["STOCKADE_OIDC_MICROSOFT_AUTHORITY"] for home in ("/srv/one", "/srv/other")]
    assert chosen[0] != chosen[1]


def test_a_demo_with_a_provider_of_its_own_gets_no_stand_in():
    assert environ_for({"STOCKADE_OIDC_MICROSOFT_TENANT": "common"}, Path("/srv/one")) == {}
