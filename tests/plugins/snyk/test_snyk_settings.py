"""The form of a Snyk connection, and the addresses that it means."""

import pytest
from marshmallow import ValidationError

from plugins.snyk.settings import REGIONS, SnykSettings, api_address, chosen_address, chosen_organizations, pages_address

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def faults(**settings: object) -> set[str]:
    try:
        SnykSettings().load(settings)
    except ValidationError as problem:
        return set(problem.messages_dict)
    return set()


def test_a_token_is_enough():
    loaded = SnykSettings().load({"token": " 1234\n"})
    assert loaded == {"region": "SNYK-US-01", "url": "", "token": "1234", "client_id": "", "client_secret": "", "group": "",
                      "organizations": "", "include_licenses": False, "include_resolved": False, "ignore_reasons": True,
                      "ca_certificate": "", "webhook_secret": ""}


@pytest.mark.parametrize("settings", [
    {"token": "t", "region": "SNYK-EU-01"}, {"token": "t", "url": "http://127.0.0.1:9000"}, {"token": "t", "url": "app.eu.snyk.io"},
    {"client_id": "c", "client_secret": "s"}, {"token": "t", "webhook_secret": "s" * 16, "ca_certificate": PEM},
])
def test_settings_that_are_taken(settings):
    assert faults(**settings) == set()


@pytest.mark.parametrize(("settings", "field"), [
    ({}, "token"), ({"token": "t", "client_id": "c", "client_secret": "s"}, "token"), ({"client_id": "c"}, "client_secret"),
    ({"client_secret": "s"}, "client_id"), ({"token": "t", "region": "SNYK-XX-01"}, "region"), ({"token": "t", "url": "ftp://x"}, "url"),
    ({"token": "t", "url": "https://"}, "url"), ({"token": "t", "url": "https://me:pw@api.snyk.io"}, "url"),
    ({"token": "t", "url": "http://[x"}, "url"), ({"token": "t", "url": "https://x:99999"}, "url"),
    ({"token": "t", "ca_certificate": "hello"}, "ca_certificate"), ({"token": "t", "webhook_secret": "short"}, "webhook_secret"),
])
def test_settings_that_are_refused_at_their_field(settings, field):
    assert faults(**settings) == {field}


def test_every_field_has_a_label_and_help_and_the_secret_ones_are_marked():
    fields = SnykSettings().fields
    assert all(field.metadata["label"] and field.metadata["help"] for field in fields.values())
    assert {name for name, field in fields.items() if field.metadata.get("secret")} == {"token", "client_secret", "webhook_secret"}


@pytest.mark.parametrize(("typed", "meant"), [
    ("https://api.snyk.io", "https://api.snyk.io"), ("https://app.eu.snyk.io/org/acme?x=1#y", "https://api.eu.snyk.io"),
    ("snyk.io", "https://api.snyk.io"), ("au.snyk.io/", "https://api.au.snyk.io"), ("https://API.snyk.io/rest", "https://api.snyk.io"),
    ("http://localhost:8080/rest", "http://localhost:8080"), ("http://127.0.0.1:5", "http://127.0.0.1:5"),
    ("http://[::1]:5/v1", "http://[::1]:5"), ("https://snyk.example.org:8443", "https://api.snyk.example.org:8443"),
])
def test_what_a_person_types_is_turned_into_the_api_s_address(typed, meant):
    assert api_address(typed) == meant


@pytest.mark.parametrize(("api", "pages"), [("https://api.snyk.io", "https://app.snyk.io"), ("http://127.0.0.1:5", "http://127.0.0.1:5"),
                                            ("https://api.eu.snyk.io", "https://app.eu.snyk.io")])
def test_the_pages_are_beside_the_api(api, pages):
    assert pages_address(api) == pages


def test_an_address_takes_the_place_of_the_region():
    assert chosen_address({"region": "SNYK-AU-01"}) == REGIONS["SNYK-AU-01"] == "https://api.au.snyk.io"
    assert chosen_address({"region": "SNYK-AU-01", "url": "eu.snyk.io"}) == "https://api.eu.snyk.io"
    assert chosen_address({}) == "https://api.snyk.io"


def test_organizations_are_separated_by_whatever_people_type():
    assert chosen_organizations({"organizations": " billing,web ;\n ops web"}) == ("billing", "web", "ops")
    assert chosen_organizations({}) == ()
