"""The form of the ConnectWise connection, the host that it means, and the conditions that it asks by."""

import pytest
from marshmallow import ValidationError

from plugins.connectwise.settings import ConnectWiseSettings, company_conditions, configuration_conditions, site_of
from plugins.connectwise.upstream import conditions

FILLED = {"site": "eu.myconnectwise.net", "company": "nordlys", "public_key": "p", "private_key": "s",
          "client_id": "00000000-0000-4000-8000-000000000000"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def faults(**settings: object) -> set[str]:
    try:
        ConnectWiseSettings().load({**FILLED, **settings})
    except ValidationError as problem:
        return set(problem.messages_dict)
    return set()


def test_site_company_and_keys_are_enough():
    loaded = ConnectWiseSettings().load({**FILLED, "private_key": " s\n"})
    assert loaded == {**FILLED, "version": "2025.1", "statuses": "", "types": "", "conditions": "", "include_leads": False,
                      "include_vendors": False, "create_customers": True, "follow_names": True, "configurations": True,
                      "inactive_configurations": False, "callbacks": True, "paging": "forward-only", "ca_certificate": ""}


@pytest.mark.parametrize("settings", [{"version": ""}, {"version": "2019.10"}, {"ca_certificate": PEM}, {"paging": "pages"},
                                      {"statuses": "Active, 3", "types": "Kunde & Partner"}, {"site": "http://127.0.0.1:8080"}], ids=str)
def test_settings_that_are_taken(settings):
    assert faults(**settings) == set()


@pytest.mark.parametrize(("settings", "field"), [
    ({"site": ""}, "site"), ({"site": "not a host"}, "site"), ({"site": "ftp://eu.myconnectwise.net"}, "site"),
    ({"site": "http://eu.myconnectwise.net"}, "site"), ({"site": "https://me:pw@cw.example.org"}, "site"),
    ({"site": "https://cw.example.org:99999"}, "site"), ({"company": "two words"}, "company"), ({"company": "a+b"}, "company"),
    ({"public_key": ""}, "public_key"), ({"private_key": " "}, "private_key"), ({"client_id": "me"}, "client_id"),
    ({"version": "newest"}, "version"), ({"statuses": '"Active"'}, "statuses"), ({"types": 'a"b'}, "types"),
    ({"conditions": "x" * 1001}, "conditions"), ({"paging": "cursor"}, "paging"), ({"ca_certificate": "hello"}, "ca_certificate"),
])
def test_settings_that_are_refused_at_their_field(settings, field):
    assert faults(**settings) == {field}


def test_every_field_has_a_label_and_a_help_or_an_example_and_the_secret_one_is_marked():
    fields = ConnectWiseSettings().fields
    assert all(field.metadata["label"] for field in fields.values())
    assert {name for name, field in fields.items() if field.metadata.get("secret")} == {"private_key"}
    assert [name for name, field in fields.items() if "help" not in field.metadata] == ["private_key"]


@pytest.mark.parametrize(("typed", "api", "pages"), [
    ("eu.myconnectwise.net", "https://api-eu.myconnectwise.net", "https://eu.myconnectwise.net"),
    ("https://EU.myconnectwise.net/", "https://api-eu.myconnectwise.net", "https://eu.myconnectwise.net"),
    ("api-na.myconnectwise.net", "https://api-na.myconnectwise.net", "https://na.myconnectwise.net"),
    ("https://api-au.myconnectwise.net/v4_6_release/apis/3.0", "https://api-au.myconnectwise.net", "https://au.myconnectwise.net"),
    ("staging.connectwisedev.com", "https://api-staging.connectwisedev.com", "https://staging.connectwisedev.com"),
    ("https://cw.example.org:8443/v4_6_release", "https://cw.example.org:8443", "https://cw.example.org:8443"),
    ("http://localhost:9000", "http://localhost:9000", "http://localhost:9000"), ("http://[::1]:9", "http://[::1]:9", "http://[::1]:9"),
    ("myconnectwise.net.evil.example", "https://myconnectwise.net.evil.example", "https://myconnectwise.net.evil.example"),
])
def test_what_a_person_types_becomes_the_hosts_of_api_and_pages(typed, api, pages):
    site = site_of(typed)
    assert (site.api, site.pages) == (api, pages)


@pytest.mark.parametrize(("settings", "own", "child"), [
    ({}, "deletedFlag=false AND leadFlag=false AND isVendorFlag=false", ""),
    ({"include_leads": True, "include_vendors": True}, "deletedFlag=false", ""),
    ({"include_leads": True, "include_vendors": True, "statuses": "1, 2,, Active ,1"},
     'deletedFlag=false AND (status/id in (1,2) OR status/name in ("Active"))', ""),
    ({"include_leads": True, "include_vendors": True, "types": "14"}, "deletedFlag=false", "types/id in (14)"),
    ({"include_leads": True, "include_vendors": True, "conditions": "id=1 OR id=2"}, "deletedFlag=false AND (id=1 OR id=2)", ""),
], ids=str)
def test_the_settings_become_conditions_that_connectwise_reads(settings, own, child):
    assert company_conditions(settings) == (own, child)
    conditions.read(own), conditions.read(child)


def test_retired_configurations_are_left_out_by_condition():
    assert (configuration_conditions({}), configuration_conditions({"inactive_configurations": True})) == ("activeFlag=true", "")
