"""Webhooks: signing and sending them as Snyk does, and the calls that manage them."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from core import clock, ids
from plugins.snyk.upstream.answers import Call, Refused, date
from plugins.snyk.upstream.v1_facts import project_facts
from plugins.snyk.upstream.world import Organization, Project, World

PING, SNAPSHOT = "ping/v0", "project_snapshot/v0"
_DELIVERY_SECONDS = 10
_NOT_TOLD = ("sast", "terraformplan")  # and all configuration: there are webhooks for open source and container projects alone


def signature(secret: str, body: bytes) -> str:
    """The value of ``X-Hub-Signature``."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def snapshot(world: World, owner: Organization, project: Project, pages: str = "https://app.snyk.io") -> dict[str, Any]:
    """What Snyk tells after a test of a project."""
    return {
        "project": project_facts(pages, owner, project),
        "org": {"id": owner.id, "name": owner.name, "slug": owner.slug, "url": f"{pages}/org/{owner.slug}", "created": date(owner.created)},
        "group": {"id": owner.group, "name": world.groups.get(owner.group, "")},
        "newIssues": [], "removedIssues": [],
    }


def send_webhook(url: str, event: str, told: Mapping[str, Any], secret: str) -> int:
    """POST a signed webhook and give the status of the answer.

    :raises requests.RequestException: when nobody answers within ten seconds.
    """
    body = json.dumps(told, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Snyk-Webhooks/stand-in", "X-Snyk-Event": event,
               "X-Snyk-Transport-ID": ids.new_id("dlv"), "X-Snyk-Timestamp": date(clock.now()), "X-Hub-Signature": signature(secret, body)}
    return requests.post(url, data=body, headers=headers, timeout=_DELIVERY_SECONDS).status_code


def tested(world: World, key: str) -> list[int | None]:
    """Send what a test of a project sends to its organization's webhooks; the statuses of their answers, None for one that
    did not answer. Nothing is sent for code and configuration.

    :raises KeyError: when there is no such project.
    """
    found = world.find_project(key)
    if found is None:
        raise KeyError(key)
    owner, project = found
    if project.type in _NOT_TOLD or project.type.endswith("config"):
        return []
    hooks = [hook for hook in list(world.webhooks.values()) if hook["org"] == owner.id]
    told = snapshot(world, owner, project)
    return [_delivered(world, hook, SNAPSHOT, told) for hook in hooks]


def create(call: Call, org: str) -> Any:
    owner = call.organization(org)
    body = call.body if isinstance(call.body, dict) else {}
    url, secret = str(body.get("url") or ""), str(body.get("secret") or "")
    is_here = urlsplit(url).hostname in ("127.0.0.1", "localhost")
    if not url.startswith("https://") and not is_here:  # the real service takes no plain address, not even this
        raise Refused(400, "url must begin with https://")
    if not secret:
        raise Refused(400, "secret is required")
    hook = {"id": ids.new_id("whk"), "url": url, "secret": secret, "org": owner.id}
    call.world.webhooks[hook["id"]] = hook
    _delivered(call.world, hook, PING, {"webhookId": hook["id"]})
    return {"id": hook["id"], "url": url}


def listed(call: Call, org: str) -> Any:
    owner = call.organization(org)
    return {"results": [{"id": hook["id"], "url": hook["url"]} for hook in call.world.webhooks.values() if hook["org"] == owner.id]}


def one(call: Call, org: str, hook: str) -> Any:
    found = _hook(call, org, hook)
    return {"id": found["id"], "url": found["url"]}


def delete(call: Call, org: str, hook: str) -> Any:
    call.world.webhooks.pop(_hook(call, org, hook)["id"])
    return {}


def ping(call: Call, org: str, hook: str) -> Any:
    found = _hook(call, org, hook)
    _delivered(call.world, found, PING, {"webhookId": found["id"]})
    return {}


def _hook(call: Call, org: str, hook: str) -> dict[str, str]:
    found = call.world.webhooks.get(hook)
    if found is None or found["org"] != call.organization(org).id:
        raise Refused(404, f"Webhook {hook} was not found")
    return found


def _delivered(world: World, hook: Mapping[str, str], event: str, told: Mapping[str, Any]) -> int | None:
    try:
        answer: int | None = send_webhook(hook["url"], event, told, hook["secret"])
    except requests.RequestException:
        answer = None
    world.deliveries.append({"webhook": hook["id"], "event": event, "status": answer})
    return answer
