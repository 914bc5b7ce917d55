"""What Checkmarx One tells by itself: scans that ended, projects that were added."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping

from core.errors import BadRequest, Unauthorized
from core.hooks.contracts import WebhookEvent

_SIGNATURE = "x-cx-webhook-signature"
_EVENT = "x-cx-webhook-event"
_SCAN_EVENTS = ("scan_completed_successfully", "scan_partial")
_NEW_PROJECT = "project_created"


def read(secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
    """A scan that ended, if only in part, asks for a sync of its project, and so does a new project; None for other events.

    :raises Unauthorized, BadRequest: as ``core.hooks.contracts.ReceivesWebhooks`` says.
    """
    named = {name.lower(): value for name, value in headers.items()}
    _verify(secret, named.get(_SIGNATURE, ""), body)
    event = named.get(_EVENT, "").strip()
    project = _project(body, "ID" if event == _NEW_PROJECT else "projectId")
    if event == _NEW_PROJECT:
        return WebhookEvent((project,), f"Project '{project}' was added")
    return WebhookEvent((project,), f"A scan of project '{project}' ended") if event in _SCAN_EVENTS else None


def _project(body: bytes, field: str) -> str:
    try:
        project = json.loads(body)[field]
    except (ValueError, KeyError, TypeError, RecursionError):
        project = None
    if not isinstance(project, str) or not project:
        raise BadRequest("This is not a webhook of Checkmarx One")
    return project


def _verify(secret: str, given: str, body: bytes) -> None:
    """The signature is written in base64; one of the vendor's own receivers takes hexadecimal digits too."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    told = given.strip().removeprefix("sha256=")
    try:
        sent = bytes.fromhex(told) if len(told) == 2 * len(digest) else base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError):
        sent = b""
    if not secret or not hmac.compare_digest(digest, sent):
        raise Unauthorized("The webhook's signature is missing or wrong")
