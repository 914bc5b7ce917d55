"""Webhooks: keeping them, and what a delivery looks like."""

import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import uuid4

from plugins.checkmarx.upstream.answers import Call, Refused
from plugins.checkmarx.upstream.world import Project, Scan

EVENTS = ("scan_completed_successfully", "scan_failed", "scan_partial", "project_created")


def signature(secret: str, body: bytes) -> str:
    """What the service sends as ``X-Cx-Webhook-Signature``."""
    return "sha256=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def delivery(project: Project, scan: Scan, secret: str, event: str = "scan_completed_successfully") -> tuple[dict[str, str], bytes]:
    """Headers and body that the service sends when this scan has ended."""
    payload: dict[str, Any] = {
        "scanId": scan.id, "projectId": project.id, "projectName": project.name,
        "statusInfo": [{"name": "general", "status": scan.status, "details": ""},
                       *({"name": engine, "status": status, "details": ""} for engine, status in scan.engines.items())],
        "userAgent": "ASTCLI/2.3.29", "sourceType": "github", "sourceOrigin": "GitHub Action", "branch": scan.branch,
        "mainBranch": project.main_branch, "repoURL": project.repository, "correlationId": scan.id[::-1],
    }
    if event == "project_created":
        payload = {"ID": project.id, "name": project.name}
    body = json.dumps(payload).encode()
    return {"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1", "X-Cx-Webhook-Event": event,
            "X-Cx-Webhook-Signature": signature(secret, body)}, body


def listed(call: Call, project: str = "") -> dict[str, Any]:
    found = [webhook for webhook in call.tenant.webhooks.values() if webhook["projectId"] == project]
    return {"totalCount": len(found), "webhooks": [_shown(webhook) for webhook in call.items(found, 10, 100)]}


def create(call: Call, project: str = "") -> dict[str, Any]:
    if project:
        call.project(project)
    config, events = call.body.get("config") or {}, call.body.get("enabledEvents") or []
    if not call.body.get("name") or not config.get("url") or not events or not set(events) <= set(EVENTS):
        raise Refused(400, "name, enabledEvents and config.url are required")
    webhook = {**call.body, "id": str(uuid4()), "projectId": project}
    call.tenant.webhooks[webhook["id"]] = webhook
    return _shown(webhook)


def one(call: Call, webhook: str) -> dict[str, Any]:
    return _shown(_known(call, webhook))


def change(call: Call, webhook: str) -> dict[str, Any]:
    _known(call, webhook).update(call.body)
    return _shown(_known(call, webhook))


def delete(call: Call, webhook: str) -> None:
    _known(call, webhook)
    del call.tenant.webhooks[webhook]


def _known(call: Call, key: str) -> dict[str, Any]:
    if key not in call.tenant.webhooks:
        raise Refused(404, "webhook not found")
    return call.tenant.webhooks[key]


def _shown(webhook: dict[str, Any]) -> dict[str, Any]:
    config = {name: value for name, value in webhook["config"].items() if name != "secret"}
    return {**webhook, "config": config}
