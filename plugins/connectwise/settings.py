"""The form for the ConnectWise connection, which host it means, and which companies it covers."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate, validates_schema

from core.hooks.contracts import SettingsSchema

FORWARD_ONLY, PAGES = "forward-only", "pages"
DEFAULT_VERSION = "2025.1"
_CLOUD = ("myconnectwise.net", "connectwisedev.com")
_HOST = re.compile(r"[a-z0-9_.:-]+")


class Line(fields.String):
    """One line of text; blanks around it, which come along when it is pasted, are dropped."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kw)
        return text.strip()


class ConnectWiseSettings(SettingsSchema):
    """An API member's keys, and which companies are customers."""

    site = Line(required=True, validate=validate.Length(1, 255),
                metadata={"label": "Site", "placeholder": "eu.myconnectwise.net",
                          "help": "The host that you sign in at. For ConnectWise of your own, its name."})
    company = Line(required=True, validate=validate.And(validate.Length(1, 60), validate.Regexp(r"^[A-Za-z0-9_.-]+$",
                                                                                          error="Only letters, digits, _ . and -.")),
                   metadata={"label": "Company ID", "placeholder": "nordlys", "help": "What you type as company when you sign in."})
    public_key = Line(required=True, validate=validate.Length(1, 255),
                      metadata={"label": "Public key", "help": "Of an API member whose role may inquire on companies, configurations and "
                                                               "table setup, and add and delete callbacks."})
    private_key = Line(required=True, validate=validate.Length(1, 255), metadata={"label": "Private key", "secret": True})
    client_id = Line(required=True, validate=validate.Regexp(r"^[0-9A-Za-z-]{8,64}$", error="Not a client ID."),
                     metadata={"label": "Client ID", "placeholder": "5b1c6e0a-0000-4000-8000-000000000001",
                               "help": "Registered on ConnectWise's developer portal."})
    version = Line(load_default=DEFAULT_VERSION, validate=validate.Regexp(r"^(\d{4}\.\d{1,2})?$", error="Not a version like 2025.1."),
                   metadata={"label": "Version of the API", "help": "Empty: the newest that the server has.", "emptiable": True})
    statuses = Line(load_default="", validate=validate.Length(max=2000),
                    metadata={"label": "Statuses", "placeholder": "Active",
                              "help": "Only companies with one of these statuses; names or ids, with commas between. Empty: all."})
    types = Line(load_default="", validate=validate.Length(max=2000),
                 metadata={"label": "Types", "placeholder": "Customer, Managed",
                           "help": "Only companies of one of these types. Empty: all."})
    conditions = Line(load_default="", validate=validate.Length(max=1000),
                      metadata={"label": "Further conditions", "placeholder": 'territory/name="Nordic"',
                                "help": "In ConnectWise's own words; they narrow what the fields above cover."})
    include_leads = fields.Boolean(load_default=False,
                                   metadata={"label": "Leads", "help": "Off: companies that are only leads are left out."})
    include_vendors = fields.Boolean(load_default=False, metadata={"label": "Vendors", "help": "Off: vendors are left out."})
    create_customers = fields.Boolean(load_default=True,
                                      metadata={"label": "New customers", "help": "A company that nobody here looks like becomes a new "
                                                                                  "customer. Off: it waits in the review list."})
    follow_names = fields.Boolean(load_default=True,
                                  metadata={"label": "Names follow ConnectWise",
                                            "help": "A customer whose company is renamed is renamed too, unless it was renamed here."})
    configurations = fields.Boolean(load_default=True, metadata={"label": "Configurations", "help": "Store them too."})
    inactive_configurations = fields.Boolean(load_default=False,
                                             metadata={"label": "Inactive configurations", "help": "Store retired ones as well."})
    callbacks = fields.Boolean(load_default=True,
                               metadata={"label": "Callbacks",
                                         "help": "Have ConnectWise tell of changes at once. Needs an address of this deployment that "
                                                 "ConnectWise reaches (STOCKADE_PUBLIC_URL)."})
    paging = fields.String(load_default=FORWARD_ONLY,
                           validate=validate.OneOf([FORWARD_ONLY, PAGES], labels=["Forward only", "Page numbers"]),
                           metadata={"label": "Paging", "help": "Page numbers for servers before 2018.5."})
    ca_certificate = Line(load_default="",
                          metadata={"label": "Certificate authority", "multiline": True, "placeholder": "-----BEGIN CERTIFICATE-----",
                                    "help": "PEM certificates to trust in place of the public ones, for a server of your own."})

    @validates_schema(skip_on_field_errors=True)
    def _check_together(self, data: Mapping[str, Any], **_: Any) -> None:
        problems: dict[str, list[str]] = {}
        try:
            site_of(data["site"])
        except ValueError as problem:
            problems["site"] = [str(problem)]
        for name in ("statuses", "types"):
            if '"' in data[name]:
                problems[name] = ["Without quotation marks."]
        if data["ca_certificate"] and "-----BEGIN CERTIFICATE-----" not in data["ca_certificate"]:
            problems["ca_certificate"] = ["Not a PEM certificate."]
        if problems:
            raise ValidationError(problems)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a ConnectWise answers. ``api`` is the address of its API, ``pages`` that of its pages; both without a path."""

    api: str
    pages: str


def site_of(text: str) -> Site:
    """The addresses for what a person may type: ``https://eu.myconnectwise.net/`` means the API at ``api-eu.myconnectwise.net``. In the
    cloud only that host takes calls; a server of one's own is one host for both. Plain http is for the loopback alone.

    :raises ValueError: when it names no host.
    """
    parts = urlsplit(text.lower() if "//" in text else f"https://{text.lower()}")
    host = parts.hostname or ""
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise ValueError("Not a host such as eu.myconnectwise.net.") from None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or parts.username:
        raise ValueError("Not a host such as eu.myconnectwise.net.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("ConnectWise answers https alone.")
    bare = host.removeprefix("api-")
    shown = f"[{host}]" if ":" in host else host
    if is_cloud(host):
        return Site(f"https://api-{bare}{port}", f"https://{bare}{port}")
    return Site(f"{parts.scheme}://{shown}{port}", f"{parts.scheme}://{shown}{port}")


def is_cloud(host: str) -> bool:
    """Whether it is a host of ConnectWise's own."""
    return host.endswith(tuple(f".{name}" for name in _CLOUD))


def company_conditions(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Conditions and child conditions of the companies that are customers."""
    wanted = ["deletedFlag=false"]
    if not settings.get("include_leads"):
        wanted.append("leadFlag=false")
    if not settings.get("include_vendors"):
        wanted.append("isVendorFlag=false")
    wanted += _one_of("status", settings.get("statuses") or "")
    if settings.get("conditions"):
        wanted.append(f"({settings['conditions']})")
    return " AND ".join(wanted), " AND ".join(_one_of("types", settings.get("types") or ""))


def configuration_conditions(settings: Mapping[str, Any]) -> str:
    return "" if settings.get("inactive_configurations") else "activeFlag=true"


def _one_of(reference: str, listed: str) -> Iterable[str]:
    """``["(status/id in (1,2) OR status/name in ("Active"))"]`` for ``1, 2, Active``; nothing for an empty list."""
    words = list(dict.fromkeys(word.strip() for word in listed.split(",") if word.strip()))
    ids = [word for word in words if word.isdecimal() and word.isascii()]
    names = [f'"{word}"' for word in words if word not in ids]
    either = [f"{reference}/{part} in ({','.join(given)})" for part, given in (("id", ids), ("name", names)) if given]
    return [either[0] if len(either) == 1 else f"({' OR '.join(either)})"] if either else []


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
