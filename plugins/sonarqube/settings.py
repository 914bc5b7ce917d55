"""The form for a SonarQube connection."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate, validates_schema

from core.hooks.contracts import SettingsSchema

CLOUD_URL = "https://sonarcloud.io"
_CLOUD_HOSTS = frozenset({"sonarcloud.io", "www.sonarcloud.io", "sonarqube.us", "www.sonarqube.us"})
_SHORTEST_SECRET = 16  # what SonarQube itself asks for since 10.6


class Line(fields.String):
    """One line of text; blanks around it, which come along when it is pasted, are dropped."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kw)
        return text.strip()


class SonarSettings(SettingsSchema):
    """SonarQube Server and SonarQube Cloud share one form: naming an organization makes it a Cloud connection."""

    url = Line(load_default=CLOUD_URL, validate=validate.URL(schemes={"http", "https"}, require_tld=False),
               metadata={"label": "Address", "placeholder": CLOUD_URL,
                         "help": "Of SonarQube Cloud, or of your own SonarQube Server, with its path if it has one."})
    organization = Line(load_default="", validate=validate.Length(max=255),
                        metadata={"label": "Organization key", "placeholder": "my-organization",
                                  "help": "SonarQube Cloud only. Leave it empty for your own server."})
    token = Line(required=True, validate=validate.Length(min=1, max=255),
                 metadata={"label": "Token", "secret": True, "placeholder": "squ_…",
                           "help": "A user token whose owner may browse the projects. Analysis tokens (sqp_, sqa_) cannot read findings."})
    branches = Line(load_default="", validate=validate.Length(max=1000),
                    metadata={"label": "Further branches", "placeholder": "release/*, develop",
                              "help": "Patterns, with commas between. Each branch that fits becomes an asset of its own beside the "
                                      "main branch. Empty: main branches only."})
    include_quality_issues = fields.Boolean(load_default=False,
                                            metadata={"label": "Bugs and code smells",
                                                      "help": "Pull them too. Security findings are always pulled."})
    severity_mode = fields.String(load_default="auto",
                                  validate=validate.OneOf(("auto", "standard", "mqr"),
                                                          labels=("As the server is set", "Standard Experience", "Multi-Quality Rule")),
                                  metadata={"label": "Severities", "help": "Which of SonarQube's two scales counts."})
    ca_certificate = Line(load_default="",
                          metadata={"label": "Certificate authority", "multiline": True, "placeholder": "-----BEGIN CERTIFICATE-----",
                                    "help": "PEM certificates to trust in place of the public ones, for a server with its own authority."})
    webhook_secret = Line(load_default="",
                          metadata={"label": "Webhook secret", "secret": True,
                                    "help": f"At least {_SHORTEST_SECRET} characters, the same as in SonarQube's webhook: each analysis "
                                            "then starts a sync of its project."})

    @validates_schema(skip_on_field_errors=True)
    def _check_together(self, data: Mapping[str, Any], **_: Any) -> None:
        problems = {}
        if is_cloud_host(data.get("url", CLOUD_URL)) and not data.get("organization"):
            problems["organization"] = ["SonarQube Cloud needs the organization's key."]
        if data.get("ca_certificate") and "-----BEGIN CERTIFICATE-----" not in data["ca_certificate"]:
            problems["ca_certificate"] = ["Not a PEM certificate."]
        if data.get("webhook_secret") and len(data["webhook_secret"]) < _SHORTEST_SECRET:
            problems["webhook_secret"] = [f"Shorter than {_SHORTEST_SECRET} characters."]
        if problems:
            raise ValidationError(problems)


def is_cloud_host(url: str) -> bool:
    """Whether the address is one of SonarQube Cloud's own."""
    try:
        return (urlsplit(url).hostname or "") in _CLOUD_HOSTS
    except ValueError:
        return False


def branch_patterns(text: str) -> tuple[str, ...]:
    """The glob patterns of the setting ``branches``."""
    return tuple(pattern for pattern in (part.strip() for part in text.split(",")) if pattern)
