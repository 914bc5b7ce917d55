"""The form for a Snyk connection, and which hosts it means."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from marshmallow import ValidationError, fields, validate, validates_schema

from core.hooks.contracts import SettingsSchema

#: Snyk's regions, each with its API host
REGIONS = {
    "SNYK-US-01": "https://api.snyk.io",
    "SNYK-US-02": "https://api.us.snyk.io",
    "SNYK-EU-01": "https://api.eu.snyk.io",
    "SNYK-AU-01": "https://api.au.snyk.io",
    "SNYK-GOV-01": "https://api.snykgov.io",
}
DEFAULT_REGION = "SNYK-US-01"
_REGION_LABELS = ("SNYK-US-01 (app.snyk.io)", "SNYK-US-02 (app.us.snyk.io)", "SNYK-EU-01 (app.eu.snyk.io)", "SNYK-AU-01 (app.au.snyk.io)",
                  "SNYK-GOV-01 (app.snykgov.io)")
_SHORTEST_SECRET = 16


class Line(fields.String):
    """One line of text; blanks around it, which come along when it is pasted, are dropped."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kw)
        return text.strip()


class SnykSettings(SettingsSchema):
    """A token, or a service account with OAuth; and the organizations to pull."""

    region = fields.String(load_default=DEFAULT_REGION, validate=validate.OneOf(tuple(REGIONS), labels=_REGION_LABELS),
                           metadata={"label": "Region", "help": "The one whose pages you open: a token is good in its own region only."})
    url = Line(load_default="",
               metadata={"label": "Another address", "placeholder": "https://api.eu.snyk.io",
                         "help": "Only when Snyk is at none of these regions. It takes the region's place."})
    token = Line(load_default="", validate=validate.Length(max=4000),
                 metadata={"label": "Token", "secret": True,
                           "help": "Of a service account (recommended) or of a user; its plan must include access to the API. Leave it "
                                   "empty for an OAuth service account."})
    client_id = Line(load_default="", validate=validate.Length(max=255),
                     metadata={"label": "OAuth client id", "help": "Of a service account that signs in with OAuth 2.0 client credentials."})
    client_secret = Line(load_default="", validate=validate.Length(max=4000),
                         metadata={"label": "OAuth client secret", "secret": True, "help": "It comes with the client id."})
    group = Line(load_default="", validate=validate.Length(max=64),
                 metadata={"label": "Group id", "placeholder": "5b1c6e0a-0000-4000-8000-000000000001",
                           "help": "Pulls every organization of this group, or those named below."})
    organizations = Line(load_default="", validate=validate.Length(max=20_000),
                         metadata={"label": "Organizations", "multiline": True, "placeholder": "billing-team, 5b1c6e0a-0000-…",
                                   "help": "Ids or slugs, with commas between. Empty: all of the group; without a group, the one "
                                           "that the token sees."})
    include_licenses = fields.Boolean(load_default=False,
                                      metadata={"label": "License issues",
                                                "help": "Pull them too, as findings that count in all totals. Off: each project only "
                                                        "shows how many there are."})
    include_resolved = fields.Boolean(load_default=False,
                                      metadata={"label": "Resolved issues",
                                                "help": "Pull them too, as fixed findings with their date, as far back as Snyk keeps "
                                                        "them. Off: findings close when Snyk no longer lists them as open."})
    ignore_reasons = fields.Boolean(load_default=True,
                                    metadata={"label": "Reasons of ignored issues",
                                              "help": "Ask why issues are ignored, with one request for each project that has some: those "
                                                      "that are not vulnerable are then false positives. Off: all count as accepted."})
    ca_certificate = Line(load_default="",
                          metadata={"label": "Certificate authority", "multiline": True, "placeholder": "-----BEGIN CERTIFICATE-----",
                                    "help": "PEM certificates to trust in place of the public ones, for an address with its own "
                                            "authority."})
    webhook_secret = Line(load_default="",
                          metadata={"label": "Webhook secret", "secret": True,
                                    "help": f"At least {_SHORTEST_SECRET} characters, the same as given to Snyk when the webhook was "
                                            "created: each test of a project then starts a sync of it."})

    @validates_schema(skip_on_field_errors=True)
    def _check_together(self, data: Mapping[str, Any], **_: Any) -> None:
        problems = {**_address_problems(data), **_credential_problems(data)}
        if data.get("ca_certificate") and "-----BEGIN CERTIFICATE-----" not in data["ca_certificate"]:
            problems["ca_certificate"] = ["Not a PEM certificate."]
        if data.get("webhook_secret") and len(data["webhook_secret"]) < _SHORTEST_SECRET:
            problems["webhook_secret"] = [f"Shorter than {_SHORTEST_SECRET} characters."]
        if problems:
            raise ValidationError(problems)


def _address_problems(data: Mapping[str, Any]) -> dict[str, list[str]]:
    try:
        if data.get("url"):
            api_address(data["url"])
    except ValueError as problem:
        return {"url": [str(problem)]}
    return {}


def _credential_problems(data: Mapping[str, Any]) -> dict[str, list[str]]:
    token, client_id, client_secret = (bool(data.get(name)) for name in ("token", "client_id", "client_secret"))
    if client_id != client_secret:
        return {"client_secret" if client_id else "client_id": ["An OAuth service account needs both its id and its secret."]}
    if token and client_id:
        return {"token": ["Give either a token or an OAuth client, not both."]}
    if not token and not client_id:
        return {"token": ["Give a token, or the id and the secret of an OAuth client."]}
    return {}


def api_address(text: str) -> str:
    """The API's address for what a person may type: ``app.eu.snyk.io/org/x`` means ``https://api.eu.snyk.io``. Loopback names
    and bare IP addresses stay as they are.

    :raises ValueError: when it names no host.
    """
    parts = urlsplit(text if "//" in text else f"https://{text}")
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[a-z0-9_.:-]+", host) or parts.username:
        raise ValueError("Not an address of the form https://api.snyk.io.")
    if not _is_bare(host) and not host.startswith("api."):
        host = f"api.{host.removeprefix('app.')}"
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, (f"[{host}]" if ":" in host else host) + port, "", "", ""))


def pages_address(api: str) -> str:
    """Where the pages are that belong to an API address."""
    scheme, _, host = api.partition("://")
    return f"{scheme}://app.{host.removeprefix('api.')}" if host.startswith("api.") else api


def chosen_address(settings: Mapping[str, Any]) -> str:
    """The API address that the settings mean."""
    return api_address(settings["url"]) if settings.get("url") else REGIONS[settings.get("region") or DEFAULT_REGION]


def chosen_organizations(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids and slugs of the setting ``organizations``, in its order, each once."""
    return tuple(dict.fromkeys(re.findall(r"[^\s,;]+", settings.get("organizations") or "")))


def _is_bare(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
