"""Callbacks: registering them, and sending them signed as ConnectWise does."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import requests

from core import ids
from plugins.connectwise.upstream.answers import Refused
from plugins.connectwise.upstream.world import World

_SECONDS = 5
_TYPES = ("company", "configuration")


def signature(key: str, body: bytes) -> str:
    """The value of ``x-content-signature``: the digest of the key is what signs, not the key."""
    return base64.b64encode(hmac.new(hashlib.sha256(key.encode()).digest(), body, hashlib.sha256).digest()).decode()


def create(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """Register a callback.

    :raises Refused: when something is missing, or one with the same address, type, level and object is there.
    """
    missing = [name for name in ("url", "type", "level", "objectId") if not body.get(name)]
    if missing:
        raise Refused(400, "InvalidObject", "callback object is invalid", [
            {"code": "MissingRequiredField", "message": f"The {name} field is required.", "resource": "callback", "field": name}
            for name in missing])
    if len(str(body.get("description", ""))) > 100:
        raise Refused(400, "InvalidObject", "callback object is invalid", [
            {"code": "MaxLengthField", "message": "The field description must be a string with a maximum length of 100.",
             "resource": "callback", "field": "description"}])
    told = {"description": "", "inactiveFlag": False, "payloadVersion": "3.0.0", "isSelfSuppressedFlag": False, "memberId": 178, **body}
    with world.lock:
        if any(_identity(other) == _identity(told) for other in world.callbacks.values()):
            raise Refused(400, "InvalidObject", "callback object is invalid", [
                {"code": "ObjectExists", "message": "A callback with this url exists.", "resource": "callback", "field": "url"}])
        key = max(world.callbacks, default=310) + 1
        world.callbacks[key] = {"id": key, **told}
        world.signing_keys[key, "9"] = ids.new_id("key")
    return world.callbacks[key]


def _identity(callback: Mapping[str, Any]) -> tuple[Any, ...]:
    return callback["url"], str(callback["type"]).lower(), str(callback["level"]).lower(), callback["objectId"]


def announce(world: World, api: str, kind: str, key: int, action: str) -> list[int | None]:
    """Send what a change of a record sends to the callbacks of its kind; the statuses of the answers, None where nobody answered."""
    if kind not in _TYPES:
        raise KeyError(kind)
    hooks = [hook for hook in list(world.callbacks.values()) if str(hook["type"]).lower() == kind and not hook["inactiveFlag"]]
    return [deliver(world, hook, *message(world, api, hook, kind, key, action)) for hook in hooks]


def message(world: World, api: str, hook: Mapping[str, Any], kind: str, key: int, action: str) -> tuple[dict[str, str], bytes]:
    """Query and signed body of a delivery."""
    record = (world.companies if kind == "company" else world.configurations).get(key)
    entity = json.dumps({name: value for name, value in record.items() if name != "_info"}) if record and action != "deleted" else None
    told = {"MessageId": ids.new_id("msg"), "FromUrl": "eu.myconnectwise.net", "CompanyId": world.login, "MemberId": "akarlsen",
            "Action": action, "Type": kind, "ID": key, "ProductInstanceId": None, "Entity": entity,
            "Metadata": {"key_url": f"{api}/v4_6_release/apis/3.0/system/callbacks/{hook['id']}/keys/9"}}
    return {"id": str(key), "action": action}, json.dumps(told).encode()


def deliver(world: World, hook: Mapping[str, Any], query: Mapping[str, str], body: bytes, key: str = "") -> int | None:
    """POST a signed delivery. The record's id and the action are put behind the registered address, as they are."""
    sent = {"Content-Type": "application/json", "x-content-signature": signature(key or world.signing_keys[hook["id"], "9"], body)}
    try:
        answer: int | None = requests.post(f"{hook['url']}{query['id']}&action={query['action']}", data=body, headers=sent,
                                           timeout=_SECONDS).status_code
    except requests.RequestException:
        answer = None
    world.deliveries.append({"callback": hook["id"], "id": query["id"], "action": query["action"], "status": answer})
    return answer
