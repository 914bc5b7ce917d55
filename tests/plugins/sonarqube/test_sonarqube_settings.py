"""The form of a SonarQube connection."""

import pytest
from marshmallow import ValidationError

from plugins.sonarqube.settings import SonarSettings, branch_patterns, is_cloud_host

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def faults(**settings: object) -> set[str]:
    try:
        SonarSettings().load({"token": "squ_x", **settings})
    except ValidationError as problem:
        return set(problem.messages_dict)
    return set()


def test_a_token_and_an_organization_are_enough():
    loaded = SonarSettings().load({"token": " squ_x\n", "organization": "acme"})
    assert loaded == {"url": "https://sonarcloud.io", "organization": "acme", "token": "squ_x", "branches": "", "severity_mode": "auto",
                      "include_quality_issues": False, "ca_certificate": "", "webhook_secret": ""}


@pytest.mark.parametrize("settings", [
    {"url": "http://127.0.0.1:9000/sonar"}, {"url": "https://sonar"}, {"url": "https://sonarcloud.io", "organization": "acme"},
    {"url": "http://sq", "ca_certificate": PEM, "webhook_secret": "s" * 16, "branches": "release/*, develop", "severity_mode": "mqr"},
])
def test_settings_that_are_taken(settings):
    assert faults(**settings) == set()


@pytest.mark.parametrize(("settings", "field"), [
    ({"url": "sonar.example.org"}, "url"), ({"url": "ftp://sq"}, "url"), ({"url": "https://sonarcloud.io"}, "organization"),
    ({}, "organization"), ({"url": "https://www.sonarqube.us/"}, "organization"), ({"url": "http://sq", "token": ""}, "token"),
    ({"url": "http://sq", "ca_certificate": "hello"}, "ca_certificate"), ({"url": "http://sq", "severity_mode": "x"}, "severity_mode"),
    ({"url": "http://sq", "webhook_secret": "short"}, "webhook_secret"),
])
def test_settings_that_are_refused_at_their_field(settings, field):
    assert faults(**settings) == {field}


def test_every_field_has_a_label_and_help_and_the_secret_ones_are_marked():
    fields = SonarSettings().fields
    assert all(field.metadata["label"] and field.metadata["help"] for field in fields.values())
    assert {name for name, field in fields.items() if field.metadata.get("secret")} == {"token", "webhook_secret"}
    assert list(fields)[:3] == ["url", "organization", "token"]


def test_patterns_of_branches():
    assert branch_patterns(" release/* ,, develop ") == ("release/*", "develop")
    assert branch_patterns("") == ()


@pytest.mark.parametrize(("url", "cloud"), [
    ("https://sonarcloud.io", True), ("https://SonarCloud.io/", True), ("https://www.sonarqube.us", True),
    ("https://sq.example.org", False), ("https://sonarcloud.io.evil.example", False), ("http://[x", False),
])
def test_hosts_of_the_cloud(url, cloud):
    assert is_cloud_host(url) is cloud
