"""Webhooks: signing and sending them as SonarQube does, and the calls that manage them."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import requests

from core import ids
from plugins.sonarqube.upstream.answers import Call, Refused, date
from plugins.sonarqube.upstream.world import TODAY, Branch, Project, World

_DELIVERY_SECONDS = 10
_SECRET_LENGTHS = (16, 200)


def signature(secret: str, body: bytes) -> str:
    """The value of ``X-Sonar-Webhook-HMAC-SHA256``: bare lower-case hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def payload(project: Project, branch: Branch | None = None, *, status: str = "SUCCESS", server: str = "http://localhost") -> dict[str, Any]:
    """What SonarQube tells of a finished analysis of the main branch, or of the one given."""
    branch = branch or project.main
    link = f"{server}/dashboard?id={project.key}"
    told: dict[str, Any] = {
        "serverUrl": server, "taskId": "AZtask0001", "status": status, "changedAt": date(TODAY),
        "project": {"key": project.key, "name": project.name, "url": link},
        "branch": {"name": branch.name, "type": "BRANCH", "isMain": branch.is_main, "url": link},
        "properties": {},
    }
    if status == "SUCCESS":
        told |= {"analysedAt": date(TODAY), "revision": "5f1c0de"}
        told["qualityGate"] = {"name": "Sonar way", "status": branch.gate, "conditions": []}
    return told


def send_webhook(url: str, told: Mapping[str, Any], secret: str = "") -> int:
    """POST a webhook, signed when there is a secret, and give the status of the answer.

    :raises requests.RequestException: when nobody answers within ten seconds.
    """
    body = json.dumps(told).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "SonarQube/stand-in",
               "X-SonarQube-Project": told["project"]["key"]}
    if secret:
        headers["X-Sonar-Webhook-HMAC-SHA256"] = signature(secret, body)
    return requests.post(url, data=body, headers=headers, timeout=_DELIVERY_SECONDS).status_code


def analysis_finished(world: World, project: str, branch: str = "", *, status: str = "SUCCESS",
                      server: str = "http://localhost") -> list[int | None]:
    """Send what an analysis sends to every registered webhook that concerns the project; the statuses of their answers,
    None for one that did not answer.

    :raises KeyError: when there is no such project or branch.
    """
    analysed = world.projects[project]
    held = analysed.branch(branch)
    if held is None:
        raise KeyError(branch)
    told = payload(analysed, held, status=status, server=server)
    hooks = [hook for hook in list(world.webhooks.values()) if hook["project"] in ("", project)]
    answers = [_delivered(hook, told) for hook in hooks]
    world.deliveries += [{"id": ids.new_id("dlv"), "webhook": hook["key"], "componentKey": project, "name": hook["name"],
                          "url": hook["url"], "at": date(TODAY), "success": answer is not None and answer < 300, "httpStatus": answer}
                         for hook, answer in zip(hooks, answers, strict=True)]
    return answers


def create(call: Call) -> dict[str, Any]:
    """``POST webhooks/create``."""
    secret = call.args.get("secret", "")
    if secret and not _SECRET_LENGTHS[0] <= len(secret) <= _SECRET_LENGTHS[1]:
        raise Refused(400, f"'secret' length ({len(secret)}) is shorter than the minimum authorized ({_SECRET_LENGTHS[0]})")
    project = call.project("project").key if call.args.get("project") else ""
    hook = {"key": ids.new_id("AZwh"), "name": call.need("name"), "url": call.need("url"), "project": project, "secret": secret}
    call.world.webhooks[hook["key"]] = hook
    return {"webhook": _as_json(hook)}


def listed(call: Call) -> dict[str, Any]:
    """``GET webhooks/list``."""
    project = call.args.get("project", "")
    return {"webhooks": [_as_json(hook) for hook in call.world.webhooks.values() if hook["project"] == project]}


def delete(call: Call) -> None:
    """``POST webhooks/delete``."""
    if call.world.webhooks.pop(call.need("webhook"), None) is None:
        raise Refused(404, f"No webhook with key '{call.args['webhook']}'")


def deliveries(call: Call) -> dict[str, Any]:
    """``GET webhooks/deliveries``."""
    wanted = call.args.get("webhook", "")
    page, paging = call.page([entry for entry in reversed(call.world.deliveries) if wanted in ("", entry["webhook"])])
    return {"paging": paging, "deliveries": list(page)}


def _delivered(hook: Mapping[str, str], told: Mapping[str, Any]) -> int | None:
    try:
        return send_webhook(hook["url"], told, hook["secret"])
    except requests.RequestException:
        return None


def _as_json(hook: Mapping[str, str]) -> dict[str, Any]:
    return {"key": hook["key"], "name": hook["name"], "url": hook["url"], "hasSecret": bool(hook["secret"])}
