"""The form for a Checkmarx One connection, and what it says: where to ask, and as whom."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from marshmallow import ValidationError, fields, validate, validates_schema

from core.hooks.contracts import SettingsSchema
from core.hooks.failures import SettingsInvalid

#: name and API host of each region of the vendor
REGIONS = {
    "us": ("US", "https://ast.checkmarx.net"), "us2": ("US 2", "https://us.ast.checkmarx.net"),
    "eu": ("Europe", "https://eu.ast.checkmarx.net"), "eu2": ("Europe 2", "https://eu-2.ast.checkmarx.net"),
    "deu": ("Germany", "https://deu.ast.checkmarx.net"), "anz": ("Australia and New Zealand", "https://anz.ast.checkmarx.net"),
    "ind": ("India", "https://ind.ast.checkmarx.net"), "sng": ("Singapore", "https://sng.ast.checkmarx.net"),
    "mea": ("Middle East", "https://mea.ast.checkmarx.net"),
}
_API_LABEL, _IDENTITY_LABEL = "ast", "iam"
_API_KEY_CLIENT = "ast-app"
_REALM = "/auth/realms/"
_SHORTEST_SECRET = 16

_ADDRESS = validate.URL(schemes={"http", "https"}, require_tld=False)


class Coverage:
    """What a connection pulls: projects, DAST environments, or both."""

    AUTO, BOTH, PROJECTS, DAST = "auto", "both", "projects", "dast"
    CHOICES = {AUTO: "Projects, and DAST where it is licensed", BOTH: "Projects and DAST", PROJECTS: "Projects only", DAST: "DAST only"}


class Line(fields.String):
    """One line of text; blanks around it, which come along when it is pasted, are dropped."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kw)
        return text.strip()


class Address(Line):
    """An address that may be left empty."""

    def _validate(self, value: Any) -> None:
        if value:
            super()._validate(value)


class CheckmarxSettings(SettingsSchema):
    """A region or an address, a tenant, and either an API key, which names tenant and region itself, or an OAuth client."""

    region = fields.String(load_default="",
                           validate=validate.OneOf(("", *REGIONS), labels=("As the API key or the address says",
                                                                           *(name for name, _ in REGIONS.values()))),
                           metadata={"label": "Region", "help": "Where your tenant lives: the part of the address before 'ast'."})
    url = Address(load_default="", validate=_ADDRESS,
                  metadata={"label": "Address", "placeholder": "https://eu.ast.checkmarx.net",
                            "help": "Of a single-tenant environment, or one that is not in the list. Goes before the region."})
    iam_url = Address(load_default="", validate=_ADDRESS,
                      metadata={"label": "Identity address", "placeholder": "https://eu.iam.checkmarx.net",
                                "help": "Only when it is not the address with 'iam' in place of 'ast'."})
    tenant = Line(load_default="", validate=validate.Length(max=255),
                  metadata={"label": "Tenant", "help": "The tenant's name, as you give it when you sign in. An API key knows it itself."})
    client_id = Line(load_default="", validate=validate.Length(max=255),
                     metadata={"label": "OAuth client ID", "help": "Leave it empty to sign in with the API key."})
    client_secret = Line(load_default="", validate=validate.Length(max=1000), metadata={"label": "OAuth client secret", "secret": True})
    api_key = Line(load_default="", validate=validate.Length(max=8000),
                   metadata={"label": "API key", "secret": True, "placeholder": "eyJ…", "help": "Used when no OAuth client is named."})
    coverage = fields.String(load_default=Coverage.AUTO, validate=validate.OneOf(tuple(Coverage.CHOICES), tuple(Coverage.CHOICES.values())),
                             metadata={"label": "What to pull"})
    include_api_security = fields.Boolean(load_default=True,
                                          metadata={"label": "API security",
                                                    "help": "Pull its risks too; one that is also a SAST result counts once."})
    ca_certificate = Line(load_default="",
                          metadata={"label": "Certificate authority", "multiline": True, "placeholder": "-----BEGIN CERTIFICATE-----",
                                    "help": "PEM certificates to trust in place of the public ones."})
    webhook_secret = Line(load_default="",
                          metadata={"label": "Webhook secret", "secret": True,
                                    "help": f"At least {_SHORTEST_SECRET} characters, the same as in Checkmarx' webhook: each scan that "
                                            "ends then starts a sync of its project."})

    @validates_schema(skip_on_field_errors=True)
    def _check_together(self, data: Mapping[str, Any], **_: Any) -> None:
        problems = dict(_missing(data))
        if data.get("ca_certificate") and "-----BEGIN CERTIFICATE-----" not in data["ca_certificate"]:
            problems["ca_certificate"] = "Not a PEM certificate."
        if data.get("webhook_secret") and len(data["webhook_secret"]) < _SHORTEST_SECRET:
            problems["webhook_secret"] = f"Shorter than {_SHORTEST_SECRET} characters."
        if problems:
            raise ValidationError({name: [problem] for name, problem in problems.items()})


@dataclass(frozen=True, slots=True)
class Account:
    """Where a connection asks, and as whom.

    :ivar api: address of API and pages.
    :ivar identity: address of the token service.
    :ivar form: the fields of a token request; its values are secret.
    """

    api: str
    identity: str
    tenant: str
    form: Mapping[str, str] = field(repr=False)
    ca_pem: str = ""

    @property
    def secret(self) -> str:
        """The client's secret, or the API key."""
        return self.form.get("client_secret") or self.form.get("refresh_token") or ""

    @property
    def token_path(self) -> str:
        return f"{_REALM}{quote(self.tenant, safe='')}/protocol/openid-connect/token"


def account_of(settings: Mapping[str, Any]) -> Account:
    """What the settings say, filled up with what an API key says of itself.

    :raises SettingsInvalid: when something is missing that neither says.
    """
    missing = dict(_missing(settings))
    if missing:
        raise SettingsInvalid("The settings are not complete: " + " ".join(missing.values()))
    issuer, tenant = _issuer(_key_used(settings))
    api = settings.get("url") or REGIONS.get(settings.get("region") or "", ("", ""))[1] or _relabelled(issuer, _IDENTITY_LABEL, _API_LABEL)
    identity = settings.get("iam_url") or _relabelled(api, _API_LABEL, _IDENTITY_LABEL)
    if not settings.get("url") and not settings.get("region"):
        identity = settings.get("iam_url") or issuer
    # the vendor's own tools write the tenant in lower case before they ask
    named = (settings.get("tenant") or tenant).lower()
    return Account(api.rstrip("/"), identity.rstrip("/"), named, _form(settings), settings.get("ca_certificate") or "")


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says, its signature unread; nothing when it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _form(settings: Mapping[str, Any]) -> dict[str, str]:
    if settings.get("client_id"):
        return {"grant_type": "client_credentials", "client_id": settings["client_id"], "client_secret": settings["client_secret"]}
    client = claims_of(settings["api_key"]).get("azp")
    return {"grant_type": "refresh_token", "client_id": client if isinstance(client, str) and client else _API_KEY_CLIENT,
            "refresh_token": settings["api_key"]}


def _missing(settings: Mapping[str, Any]) -> Mapping[str, str]:
    """What is missing, by field."""
    problems = {}
    issuer, tenant = _issuer(_key_used(settings))
    if not settings.get("client_id") and not settings.get("api_key"):
        problems["client_id"] = "Give an OAuth client, or an API key."
    if settings.get("client_id") and not settings.get("client_secret"):
        problems["client_secret"] = "The OAuth client needs its secret."  # noqa: S105 - a sentence
    if not tenant and not settings.get("tenant"):
        problems["tenant"] = "Name the tenant."
    if not issuer and not settings.get("region") and not settings.get("url"):
        problems["region"] = "Choose the region, or give the address."
    return problems


def _key_used(settings: Mapping[str, Any]) -> str:
    """The API key, unless an OAuth client is named, which goes first."""
    return "" if settings.get("client_id") else settings.get("api_key") or ""


def _issuer(api_key: str) -> tuple[str, str]:
    """Address of the token service and tenant that an API key names; both empty when it names none."""
    issuer = claims_of(api_key).get("iss")
    address, mark, tenant = issuer.partition(_REALM) if isinstance(issuer, str) else ("", "", "")
    tenant = unquote(tenant.strip("/"))
    return (address, tenant) if mark and address.startswith(("https://", "http://")) and tenant and "/" not in tenant else ("", "")


def _relabelled(address: str, label: str, other: str) -> str:
    """The address with one label of its host's name replaced; unchanged when the name has no such label."""
    parts = urlsplit(address)
    labels = parts.netloc.split(".")
    return parts._replace(netloc=".".join(other if part == label else part for part in labels)).geturl()
