"""What all calls of the stand-in share: JSON:API documents and errors, parameters, versions, cursors."""

import base64
import binascii
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from core import clock
from plugins.snyk.upstream.world import Organization, Project, Token, World

_Item = TypeVar("_Item")
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(?:~(wip|experimental|beta))?")
_SMALLEST, _LARGEST, _USUAL = 10, 100, 10
NEWEST = "2026-03-25"


class Refused(Exception):
    """An answer with an error status and Snyk's body for it."""

    def __init__(self, status: int, detail: str, *, code: str = "", parameter: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.code, self.parameter = status, detail, code, parameter


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who makes it, with which parameters, and what the path names."""

    world: World
    token: Token
    args: MultiDict[str, str]
    path: str
    host: str
    strikes: frozenset[str] = frozenset()
    body: Any = None

    def one(self, name: str) -> str:
        """A parameter's only value; empty when it is missing.

        :raises Refused: when it came more than once.
        """
        values = self.args.getlist(name)
        if len(values) > 1:
            raise Refused(400, f"Expected '{name}' to be a string", code="SNYK-0003", parameter=name)
        return values[0] if values else ""

    def words(self, name: str, allowed: Sequence[str] = ()) -> list[str]:
        """A comma-separated parameter; refused when a value is none of ``allowed``."""
        values = [word for value in self.args.getlist(name) for word in value.split(",") if word]
        for value in values:
            if allowed and value not in allowed:
                raise Refused(400, f"'{name}' must be one of: {', '.join(allowed)}", code="SNYK-0003", parameter=name)
        return values

    def flag(self, name: str) -> bool | None:
        value = self.one(name)
        if value not in ("", "true", "false"):
            raise Refused(400, f"'{name}' must be a boolean", code="SNYK-0003", parameter=name)
        return None if not value else value == "true"

    def moment(self, name: str) -> int | None:
        value = self.one(name)
        try:
            return clock.from_iso(value) if value else None
        except ValueError:
            raise Refused(400, f"'{name}' must be a date-time", code="SNYK-0003", parameter=name) from None

    def organization(self, key: str, *permissions: str) -> Organization:
        """An organization that the token sees: 404 when there is none, 403 when a permission is missing there."""
        organization = self.world.organizations.get(key)
        if organization is None or not self.token.sees(organization):
            raise Refused(404, f"Org {key} was not found or you may not have the correct permissions to access the org")
        for permission in permissions:
            if not self.token.may(permission, organization.id):
                raise Refused(403, f"Missing permission {permission}")
        return organization

    def group(self, key: str, *permissions: str) -> list[Organization]:
        """The organizations of a group that the token sees."""
        if key not in self.world.groups or not self.token.sees_group(key):
            raise Refused(404, f"Group {key} was not found")
        for permission in permissions:
            if not self.token.may(permission):
                raise Refused(403, f"Missing permission {permission}")
        return [organization for organization in self.world.organizations.values() if organization.group == key]

    def project(self, organization: Organization, key: str) -> Project:
        if key not in organization.projects:
            raise Refused(404, f"Project {key} was not found")
        return organization.projects[key]


def check_version(call: Call, since: str, stability: str = "") -> dict[str, str]:
    """The version headers of the answer.

    :param since: the first date on which the call existed.
    :param stability: ``beta`` for a call that never became more than that.
    :raises Refused: as the version router does.
    """
    asked = call.one("version")
    found = _VERSION.fullmatch(asked)
    if not asked or not found:
        raise Refused(400, "Missing or invalid version", code="SNYK-0003", parameter="version")
    if found[1] < since or (stability and found[2] not in (stability, "experimental", "wip")):
        raise Refused(404, "The requested version is not available")
    served = since + (f"~{stability}" if stability else "")
    headers = {"snyk-version-requested": asked, "snyk-version-served": served, "snyk-version-lifecycle-stage": stability or "ga"}
    if call.world.sunset:
        headers |= {"sunset": call.world.sunset, "deprecation": NEWEST, "snyk-version-lifecycle-stage": "deprecated"}
    return headers


def check_parameters(call: Call, known: Sequence[str]) -> None:
    """:raises Refused: for a parameter that the call does not know."""
    for name in call.args:
        if name not in ("version", *known):
            raise Refused(400, f"Unknown query parameter '{name}'", code="SNYK-0003", parameter=name)


def document(data: Any, **more: Any) -> dict[str, Any]:
    return {"jsonapi": {"version": "1.0"}, "data": data, **more}


def page_of(call: Call, items: Sequence[_Item], key: Callable[[_Item], str], told: Callable[[_Item], Any],
            meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The page of a listing that the cursor asks for, with its links.

    :param items: in the order of ``key``.
    """
    size = _page_size(call)
    keys = [key(item) for item in items]
    before = call.one("ending_before")
    if before and before != "end":
        stop = bisect_left(keys, _read_cursor(before))
        start = max(0, stop - size)
    elif before:
        start, stop = max(0, len(items) - size), len(items)
    else:
        after = call.one("starting_after")
        start = bisect_right(keys, _read_cursor(after)) if after else 0
        stop = min(start + size, len(items))
    shown = [] if call.strikes & {"empty", "empty_page"} else [told(item) for item in items[start:stop]]
    links = _links(call, size, keys, start, stop)
    return document(shown, links=links, **({"meta": meta} if meta else {}))


def _page_size(call: Call) -> int:
    text = call.one("limit") or str(_USUAL)
    size = int(text) if text.isdecimal() else 0
    if not _SMALLEST <= size <= _LARGEST or size % _SMALLEST:
        raise Refused(400, f"'limit' must be a multiple of {_SMALLEST} between {_SMALLEST} and {_LARGEST}", code="SNYK-0003",
                      parameter="limit")
    return size


def _links(call: Call, size: int, keys: Sequence[str], start: int, stop: int) -> dict[str, Any]:
    query = [(name, value) for name, value in call.args.items(multi=True) if name not in ("starting_after", "ending_before", "limit")]

    def link(**cursor: str) -> Any:
        written = f"{call.path}?{urlencode([*query, ('limit', size), *cursor.items()])}"
        if call.world.links == "bare":
            return written.removeprefix("/rest")
        if call.world.links == "absolute":
            return f"{call.host}{written}"
        return {"href": written, "meta": {}} if call.world.links == "object" else written

    here = {name: call.one(name) for name in ("starting_after", "ending_before") if call.one(name)}
    links = {"self": link(**here), "first": link(), "last": link(ending_before="end")}
    if start > 0 and keys:
        links["prev"] = link(ending_before=_cursor(keys[start]) if start < len(keys) else "end")
    if stop < len(keys):
        links["next"] = link(starting_after=_cursor(keys[stop - 1]))
    return _spoilt(call, links)


def _spoilt(call: Call, links: dict[str, Any]) -> dict[str, Any]:
    if call.strikes & {"empty", "lost_next"}:
        links.pop("next", None)
    if "self_next" in call.strikes:
        links["next"] = links["self"]
    if "first_next" in call.strikes:
        links["next"] = links["first"]
    if "foreign_next" in call.strikes:
        links["next"] = f"https://elsewhere.example{call.path}?version=2024-10-15&limit=10"
    return links


def _cursor(key: str) -> str:
    return "v1." + base64.urlsafe_b64encode(json.dumps({"id": key}).encode()).decode()


def _read_cursor(text: str) -> str:
    try:
        return str(json.loads(base64.urlsafe_b64decode(text.removeprefix("v1.")))["id"])
    except (ValueError, binascii.Error, KeyError, TypeError):
        raise Refused(500, "Internal error", code="SNYK-9999") from None


def date(moment: int) -> str:
    """``2031-01-11T18:25:22.457Z``."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
