"""The form: which addresses, tenant and credential come out of it, and what it refuses."""

import pytest
from marshmallow import ValidationError

from core.hooks.failures import SettingsInvalid
from plugins.checkmarx.settings import REGIONS, CheckmarxSettings, account_of, claims_of
from plugins.checkmarx.upstream.world import make_jwt

CLIENT = {"tenant": "Northfjell", "client_id": "me", "client_secret": "s3cret"}
KEY = make_jwt({"iss": "https://eu.iam.checkmarx.net/auth/realms/northfjell", "azp": "ast-app"})


def account(**settings):
    return account_of(CheckmarxSettings().load(settings))


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_stands_for_two_addresses(region):
    told = account(region=region, **CLIENT)
    assert told.api == REGIONS[region][1]
    assert told.identity == told.api.replace("//ast.", "//iam.").replace(".ast.", ".iam.")
    assert ".checkmarx.net" in told.identity


def test_an_address_goes_before_the_region_and_keeps_its_name_when_it_has_no_ast():
    told = account(region="eu", url="https://acme.cxone.cloud/", **CLIENT)
    assert (told.api, told.identity) == ("https://acme.cxone.cloud", "https://acme.cxone.cloud")
    told = account(url="https://acme.cxone.cloud", iam_url="https://login.acme.example/", **CLIENT)
    assert told.identity == "https://login.acme.example"


def test_an_oauth_client_asks_in_its_tenant_in_lower_case():
    told = account(region="us", **CLIENT)
    assert told.token_path == "/auth/realms/northfjell/protocol/openid-connect/token"
    assert told.form == {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s3cret"}


def test_an_api_key_alone_knows_tenant_and_region():
    told = account(api_key=f"  {KEY}\n")
    assert (told.api, told.identity, told.tenant) == ("https://eu.ast.checkmarx.net", "https://eu.iam.checkmarx.net", "northfjell")
    assert told.form == {"grant_type": "refresh_token", "client_id": "ast-app", "refresh_token": KEY}


def test_what_the_form_says_goes_before_what_the_key_says():
    told = account(api_key=KEY, region="us", tenant="other")
    assert (told.api, told.identity, told.tenant) == ("https://ast.checkmarx.net", "https://iam.checkmarx.net", "other")


def test_a_client_that_is_named_goes_before_a_key_that_is_stored():
    assert account(region="us", api_key=KEY, **CLIENT).form["grant_type"] == "client_credentials"


def test_the_secret_does_not_show_when_an_account_is_printed():
    assert "s3cret" not in repr(account(region="us", **CLIENT))


@pytest.mark.parametrize(("settings", "field"), [
    ({"tenant": "x", "region": "eu"}, "client_id"), ({"tenant": "x", "region": "eu", "client_id": "me"}, "client_secret"),
    ({**CLIENT}, "region"), ({**CLIENT, "tenant": "", "region": "eu"}, "tenant"), ({**CLIENT, "region": "moon"}, "region"),
    ({**CLIENT, "url": "eu.ast.checkmarx.net"}, "url"), ({"api_key": "garbage", "region": "eu"}, "tenant"),
    ({"api_key": make_jwt({"iss": "https://iam.example/elsewhere"}), "tenant": "x"}, "region"),
    ({**CLIENT, "region": "eu", "ca_certificate": "no"}, "ca_certificate"),
    ({**CLIENT, "region": "eu", "webhook_secret": "short"}, "webhook_secret"),
])
def test_what_is_missing_or_impossible_is_told_by_field(settings, field):
    with pytest.raises(ValidationError) as caught:
        CheckmarxSettings().load(settings)
    assert set(caught.value.normalized_messages()) == {field}


def test_settings_that_went_around_the_form_are_refused_in_words():
    with pytest.raises(SettingsInvalid, match="Name the tenant"):
        account_of({"region": "eu", "client_id": "me", "client_secret": "s3cret"})


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.!!.c", "..", "eyJ.eyJ.eyJ", "a.W10.c"])
def test_what_is_no_token_claims_nothing(text):
    assert claims_of(text) == {}


def test_secrets_are_marked():
    marked = {name for name, field in CheckmarxSettings().fields.items() if field.metadata.get("secret")}
    assert marked == {"client_secret", "api_key", "webhook_secret"}
