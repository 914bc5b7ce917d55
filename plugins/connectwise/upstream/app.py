"""The stand-in as a Flask app: hosts and codebases, keys, dispatch, error bodies, faults, and the controls that tests and demos use."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from core.testing import faults as kit
from plugins.connectwise.upstream import answers, callbacks
from plugins.connectwise.upstream.answers import Record, Refused
from plugins.connectwise.upstream.world import STATUSES, TYPES, Member, World

_METHODS = ["GET", "POST", "DELETE"]
_MESSAGES = {401: ("Unauthorized", "UserNotAuthenticated"),
             403: ("Security", "You do not have security permission to perform this action."),
             404: ("NotFound", "Resource not found"), 500: ("ServerError", "Execution Timeout Expired."), 503: ("Unavailable", "")}
_PAGE = "<!doctype html><title>ConnectWise stand-in</title><h1>ConnectWise stand-in</h1><p>The real service shows a page here.</p>"


def create_app(world: World) -> Flask:
    """A ConnectWise that holds this world."""
    app = Flask("connectwise-stand-in")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.add_url_rule("/login/companyinfo/<company>", "companyinfo", lambda company: _company_info(world, company))
    app.add_url_rule("/<codebase>/apis/3.0/<path:path>", "api", lambda codebase, path: _called(world, codebase, path), methods=_METHODS)
    controls = kit.controls(world.faults, world.calls)
    controls.add_url_rule("/callbacks", "announce", lambda: _announced(world), methods=["POST"])
    controls.add_url_rule("/companies/<int:key>", "change", lambda key: _changed(world, key), methods=["PATCH", "DELETE"])
    app.register_blueprint(controls, url_prefix="/_standin")
    app.add_url_rule("/", "start", lambda: _PAGE)
    app.register_error_handler(Refused, lambda problem: _error(problem.status, problem.code, problem.message, problem.errors))
    app.register_error_handler(HTTPException, lambda problem: _error(problem.code or 500, "NotFound", problem.name))
    app.after_request(lambda response: kit.spoilt_after(g.get("striking", []), response))
    return app


def _company_info(world: World, company: str) -> Response:
    spoilt = _begun(world, "companyinfo", {company})
    if spoilt is not None:
        return spoilt
    if company.lower() != world.login:
        return jsonify(None)
    return jsonify({"CompanyName": world.name, "Codebase": f"{world.codebase}/", "VersionCode": world.codebase.replace("_", "."),
                    "VersionNumber": "v4.6.103412", "CompanyID": world.login, "IsCloud": "True", "SiteUrl": "api-eu.myconnectwise.net"})


def _called(world: World, codebase: str, path: str) -> Response:
    parts = path.strip("/").split("/")
    name = _name_of(parts)
    spoilt = _begun(world, name, {*parts, *request.args.values()})
    if spoilt is not None:
        return spoilt
    if codebase not in world.codebases:
        return Response("<html><body>404 - File or directory not found.</body></html>", 404, content_type="text/html")
    member = _member(world)
    if name in member.lacks:
        raise Refused(403, *_MESSAGES[403])
    response = _ROUTES[name](world, parts) if name in _ROUTES else None
    if response is None:
        raise Refused(404, *_MESSAGES[404])
    asked = request.headers.get("Accept", "").partition("version=")[2]
    response.headers["api-current-version"] = asked or "2025.1"
    return response


def _name_of(parts: list[str]) -> str:
    """The second part of the path, which the calls are counted by; what is asked of a single record goes by the same."""
    return parts[1] if len(parts) > 1 else ""


def _begun(world: World, name: str, named: set[str]) -> Response | None:
    """Count the request and let its faults strike; an answer ends it."""
    world.count(name)
    g.striking = world.faults.striking(name, named)
    for fault in g.striking:
        if fault.kind == "vanish":
            world.remove(int(fault.what))
        elif fault.kind == "moved":
            world.codebase, world.codebases = fault.what, {fault.what}
    wait = world.throttle.wait() if world.throttle else 0.0
    return _too_many(wait) if wait else kit.spoilt_before(g.striking, _refusal)


def _refusal(status: int) -> Response:
    return _too_many(30) if status == 429 else _error(status, *_MESSAGES.get(status, ("Error", "")))


def _too_many(seconds: float) -> Response:
    response = jsonify(error="ConnectWiseAPI", message=f"Too many requests. Please try again in {round(seconds)} seconds.")
    response.status_code = 429
    response.headers["Retry-After"] = str(max(1, round(seconds)))
    return response


def _member(world: World) -> Member:
    if not request.headers.get("clientId") or (world.client_ids and request.headers["clientId"] not in world.client_ids):
        raise Refused(401, "ConnectWiseApi", "The clientId is missing or unknown.")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, private = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = private = ""
    login, _, public = user.partition("+")
    member = world.members.get(public)
    if scheme.lower() != "basic" or login.lower() != world.login or member is None or member.private_key != private:
        raise Refused(401, *_MESSAGES[401])
    return member


# -- what is asked --------------------------------------------------------------------------------------------------------------


def _system_info(world: World, parts: list[str]) -> Response | None:
    if parts != ["system", "info"]:
        return None
    return jsonify(version="v2025.1.98765", isCloud=True, serverTimeZone="Central Europe Standard Time", cloudRegion="EU",
                   licenseBits=[{"name": "Service", "activeFlag": True}])


def _companies(world: World, parts: list[str]) -> Response | None:
    tables: Mapping[str, list[Record]] = {
        "statuses": [{"id": key, "name": name, "defaultFlag": key == 1, "inactiveFlag": False} for key, name in STATUSES.items()],
        "types": [{"id": key, "name": name, "defaultFlag": key == 1, "vendorFlag": key == 3} for key, name in TYPES.items()]}
    if len(parts) == 4 and parts[3] in ("sites", "typeAssociations"):
        return _of_one(world.companies.get(int(parts[2])) if parts[2].isdecimal() else None, parts[3])
    return _records(world, parts, world.companies, tables)


def _of_one(company: Record | None, what: str) -> Response:
    if company is None:
        raise Refused(404, "NotFound", "Company not found")
    if what == "sites":
        return jsonify([{"id": company["id"] * 10, "name": "Main", "addressLine1": company.get("addressLine1"),
                         "city": company.get("city")}])
    return jsonify([{"id": company["id"] * 100 + kind["id"], "type": kind, "company": {"id": company["id"]}} for kind in company["types"]])


def _configurations(world: World, parts: list[str]) -> Response | None:
    tables: Mapping[str, list[Record]] = {
        "statuses": [{"id": key, "description": name, "closedFlag": False, "defaultFlag": key == 1} for key, name in STATUSES.items()],
        "types": [{"id": 22, "name": "Managed Firewall", "inactiveFlag": False}]}
    return _records(world, parts, world.configurations, tables)


def _callbacks(world: World, parts: list[str]) -> Response | None:
    if request.method == "POST" and len(parts) == 2:
        response = jsonify(callbacks.create(world, request.get_json()))
        response.status_code = 201
        return response
    key = int(parts[2]) if len(parts) > 2 and parts[2].isdecimal() else 0
    if len(parts) == 5 and parts[3] == "keys":
        found = world.signing_keys.get((key, parts[4]))
        return jsonify(signing_key=found, expires_on=None) if found else None
    if request.method == "DELETE" and key in world.callbacks:
        del world.callbacks[key]
        return Response(status=204)
    return _records(world, parts, world.callbacks, {})


def _records(world: World, parts: list[str], records: Mapping[int, Record], tables: Mapping[str, list[Record]]) -> Response | None:
    """A list, its count, a search, a table of set-up, or one record."""
    last = parts[2] if len(parts) == 3 else ""
    if last in tables:
        return jsonify(tables[last])
    if last.isdecimal():
        record = records.get(int(last))
        if record is None:
            raise Refused(404, "NotFound", f"{parts[1].rstrip('s').title()} {last} not found")
        return jsonify(answers.narrowed(record, request.args.get("fields", "")))
    asked = {**request.args, **(request.get_json() if last == "search" and request.method == "POST" else {})}
    if last not in ("", "count", "search") or len(parts) > 3:
        return None
    rows = [] if _strikes("empty") else answers.chosen(list(records.values()), asked)
    return jsonify(count=len(rows)) if last == "count" else _listed(world, parts, rows, asked)


def _listed(world: World, parts: list[str], rows: list[Record], asked: Mapping[str, Any]) -> Response:
    forward = request.headers.get("pagination-type") == "forward-only" and not _strikes("ignores_forward_only")
    address = f"{world.link_host}/v4_6_release/apis/3.0/{'/'.join(parts)}"
    shown, link = answers.page(rows, {name: str(value) for name, value in asked.items()}, address, forward)
    if _strikes("lost_rows"):
        shown = shown[: len(shown) // 2]
    if _strikes("insert"):
        key = max(world.companies) + 1
        world.add_company(key, f"Inserted {key}")
    response = jsonify([answers.narrowed(row, str(asked.get("fields") or "")) for row in shown])
    if _strikes("loop"):
        link = f'<{address}?page=1&pageSize=1>; rel="next"'
    if link and not _strikes("no_link"):
        response.headers["Link"] = link
    return response


def _strikes(kind: str) -> bool:
    return any(fault.kind == kind for fault in g.striking)


_ROUTES: Mapping[str, Callable[[World, list[str]], Response | None]] = {
    "info": _system_info, "companies": _companies, "configurations": _configurations, "callbacks": _callbacks}


# -- controls -----------------------------------------------------------------------------------------------------------------------


def _announced(world: World) -> tuple[Response, int] | Response:
    told = request.get_json(silent=True) or {}
    try:
        return jsonify(deliveries=callbacks.announce(world, request.host_url.rstrip("/"), str(told.get("type", "company")),
                                                     int(told.get("id", 0)), str(told.get("action", "updated"))))
    except (KeyError, ValueError) as problem:
        return jsonify(message=f"No such thing: {problem}"), 404


def _changed(world: World, key: int) -> tuple[Response, int] | Response:
    if key not in world.companies:
        return jsonify(message="No such company"), 404
    if request.method == "DELETE":
        world.remove(key)
        return Response(status=204)
    world.change(key, **(request.get_json(silent=True) or {}))
    return jsonify(world.companies[key])


def _error(status: int, code: str, message: str, errors: Any = None) -> Response:
    response = jsonify(code=code, message=message, errors=errors)
    response.status_code = status
    return response
