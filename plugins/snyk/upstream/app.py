"""The stand-in as a Flask app: credentials, dispatch, error bodies, faults, and the controls that tests and demos use."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from core import clock
from core.testing import faults as kit
from plugins.snyk.upstream import rest, v1, webhooks
from plugins.snyk.upstream.answers import Call, Refused, check_parameters, check_version
from plugins.snyk.upstream.world import Token, World

_CODES = {400: "SNYK-0003", 401: "SNYK-0005", 429: "SNYK-0001", 500: "SNYK-9999", 502: "SNYK-0008", 503: "SNYK-0009", 504: "SNYK-0004"}
_DETAILS = {401: "Authentication failed", 403: "Forbidden", 429: "Too many requests", 500: "Internal error", 503: "Unavailable"}
_PAGE = "<!doctype html><title>Snyk stand-in</title><h1>Snyk stand-in</h1><p>The real service shows a page here.</p>"
_KIND = "application/vnd.api+json"
#: made once for all apps, since Flask compiles the rules of each app anew
_ROUTES = Map([*(Rule(f"/rest{route.path}", endpoint=route, methods=["GET"]) for route in rest.ROUTES),
               *(Rule(f"/v1{route.path}", endpoint=route, methods=[route.method]) for route in v1.ROUTES)])


def create_app(world: World) -> Flask:
    """A region of Snyk that holds this world."""
    app = Flask("snyk-stand-in")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.add_url_rule("/<any(rest, v1):api>/<path:path>", "api", lambda **_: _dispatched(world), methods=["GET", "POST", "PUT", "DELETE"])
    app.add_url_rule("/oauth2/token", "oauth2/token", lambda: _oauth_token(world), methods=["POST"])
    controls = kit.controls(world.faults, world.calls)
    controls.add_url_rule("/tests", "tests", lambda: _test_project(world), methods=["POST"])
    app.register_blueprint(controls, url_prefix="/_standin")
    app.add_url_rule("/", "start", lambda: _PAGE)
    app.add_url_rule("/org/<path:page>", "page", lambda page: _PAGE)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, lambda problem: _error(problem.code or 500, problem.name))
    app.after_request(_finished)
    return app


def _dispatched(world: World) -> Response:
    route, named = _ROUTES.bind_to_environ(request.environ).match()
    return _rest(world, route, named) if isinstance(route, rest.Route) else _v1(world, route, named)


def _rest(world: World, route: rest.Route, named: Mapping[str, str]) -> Response:
    spoilt = _begun(world, route.name, {*named.values(), request.args.get("scan_item.id", "")})
    if spoilt is not None:
        return spoilt
    call = _call(world)
    g.headers = check_version(call, route.since, route.stability)
    check_parameters(call, route.parameters)
    response = jsonify(route.view(call, **named))
    response.content_type = _KIND
    return response


def _v1(world: World, route: v1.Route, named: Mapping[str, str]) -> Response:
    spoilt = _begun(world, route.name, set(named.values()))
    if spoilt is not None:
        return spoilt
    return jsonify(route.view(replace(_call(world), body=request.get_json(silent=True)), **named))


def _begun(world: World, name: str, named: set[str]) -> Response | None:
    """Count the request and let its faults strike; an answer ends it."""
    world.count(name)
    g.striking = world.faults.striking(name, named)
    for fault in g.striking:
        if fault.kind == "vanish":
            world.remove(fault.what)
        elif fault.kind == "revoke":
            world.revoke(_credential())
    if world.throttle is not None and world.throttle.refuses():
        response = _error(429, _DETAILS[429])
        if world.throttle.tells:
            response.headers["Retry-After"] = str(max(1, round(world.throttle.seconds)))
        return response
    return kit.spoilt_before(g.striking, lambda status: _error(status, _DETAILS.get(status, "")))


def _call(world: World) -> Call:
    return Call(world, _token(world), request.args, request.path, request.host_url.rstrip("/"),
                frozenset(fault.kind for fault in g.striking))


def _credential() -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() in ("token", "bearer") else ""


def _token(world: World) -> Token:
    token = world.tokens.get(_credential())
    if token is None or (token.expires is not None and token.expires <= clock.now()):
        raise Refused(401, _DETAILS[401])
    if not token.has_api:
        raise Refused(403, "The plan does not include access to the API")
    return token


def _oauth_token(world: World) -> Response:
    spoilt = _begun(world, "oauth2/token", set())
    if spoilt is not None:
        return spoilt
    secret, stands_for = world.clients.get(request.form.get("client_id", ""), ("", Token()))
    if not secret or request.form.get("client_secret") != secret or request.form.get("grant_type") != "client_credentials":
        response = jsonify(error="invalid_client", error_description="Client authentication failed")
        response.status_code = 401
        return response
    ends = clock.now() + int(world.oauth_seconds * clock.SECOND)
    value = world.admit(replace(stands_for, expires=ends), f"oauth-{uuid.uuid4().hex}")
    return jsonify(access_token=value, token_type="bearer", expires_in=int(world.oauth_seconds), scope="org.read")  # noqa: S106


def _test_project(world: World) -> tuple[Response, int] | Response:
    try:
        return jsonify(deliveries=webhooks.tested(world, str((request.get_json(silent=True) or {}).get("project"))))
    except KeyError as problem:
        return jsonify(message=f"No such project: {problem}"), 404


def _refused(problem: Refused) -> Response:
    return _error(problem.status, problem.detail, problem.code, problem.parameter)


def _error(status: int, detail: str, code: str = "", parameter: str = "") -> Response:
    """The error body of the API that was asked."""
    if request.path.startswith("/v1/"):
        response = jsonify(code=status, error=detail, message=detail)
        response.headers["x-error-reference"] = str(uuid.uuid4())
    else:
        code = code or _CODES.get(status, "")
        told: dict[str, Any] = {"id": str(uuid.uuid4()), "status": str(status), "detail": detail, "title": detail}
        if code:
            told |= {"code": code, "links": {"about": f"https://docs.snyk.io/scan-with-snyk/error-catalog#{code.lower()}"}}
        if parameter:
            told["source"] = {"parameter": parameter}
        response = jsonify(jsonapi={"version": "1.0"}, errors=[told])
        response.content_type = _KIND
    response.status_code = status
    return response


def _finished(response: Response) -> Response:
    response.headers["snyk-request-id"] = str(uuid.uuid4())
    response.headers.update(g.get("headers", {}))
    return kit.spoilt_after(g.get("striking", []), response)
