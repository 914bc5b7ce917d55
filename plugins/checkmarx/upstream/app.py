"""The stand-in as a Flask app: token service and API on one address, error bodies, faults, and the controls for tests and demos."""

import ipaddress
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from plugins.checkmarx.upstream import dast, projects, results, tokens, webhooks
from plugins.checkmarx.upstream.answers import Call, Refused
from plugins.checkmarx.upstream.faults import KINDS, Fault, from_json
from plugins.checkmarx.upstream.world import Credential, World

View = Callable[..., Any]
_VERSIONED = "application/json; version=1.0"
_LISTS = ("projects", "results", "environments", "scans", "entries", "scansSummaries", "applications")
_PAGE = "<!doctype html><title>Checkmarx One stand-in</title><h1>Checkmarx One stand-in</h1><p>The real service shows a page here.</p>"
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class _Route:
    """One path of the API; ``is_versioned`` says which of the two families of error bodies and content types it belongs to."""

    path: str
    view: View
    is_versioned: bool = False
    method: str = "GET"
    status: int = 200


_ROUTES = (
    _Route("versions", projects.versions, True), _Route("flags", projects.flags), _Route("custom-states", projects.custom_states),
    _Route("projects", projects.listed, True), _Route("projects/last-scan", projects.last_scans, True),
    _Route("projects/tags", projects.tags, True), _Route("projects/branches", projects.branches, True),
    _Route("projects/<project>", projects.one, True), _Route("applications", projects.applications, True),
    _Route("applications/<application>", projects.application, True), _Route("scans", projects.scans, True),
    _Route("scans/tags", projects.scan_tags, True), _Route("scans/summary", projects.scan_statuses, True),
    _Route("scans/<scan>", projects.scan, True), _Route("scans/<scan>/workflow", projects.workflow, True),
    _Route("scan-summary", projects.summaries), _Route("scan-summary/", projects.summaries), _Route("results", results.results),
    _Route("results/", results.results), _Route("sast-results", results.sast_results), _Route("sast-results/", results.sast_results),
    _Route("kics-results", results.kics_results), _Route("kics-results/", results.kics_results),
    _Route("queries/descriptions", results.query_texts), _Route("apisec/static/api/risks/<scan>", results.risks),
    _Route("apisec/static/api/scan/<scan>/risks-overview", results.risks_overview),
    _Route("dast/scans/tenant", dast.tenant), _Route("dast/scans/environments", dast.environments),
    _Route("dast/scans/environment/<environment>", dast.environment), _Route("dast/scans/scans", dast.scans),
    _Route("dast/scans/scan/<scan>", dast.scan), _Route("dast/mfe-results/results/<scan>", dast.results),
    _Route("dast/mfe-results/results/<scan>/group", dast.grouped),
    _Route("dast/mfe-results/results/environment/<environment>/<scan>/alert_level", dast.alerts),
    _Route("dast/mfe-results/results/info/<result>/<scan>", dast.result),
    _Route("webhooks/tenant", webhooks.listed, True), _Route("webhooks/tenant", webhooks.create, True, "POST", 201),
    _Route("webhooks/projects/<project>", webhooks.listed, True), _Route("webhooks/projects/<project>", webhooks.create, True, "POST", 201),
    _Route("webhooks/<webhook>", webhooks.one, True), _Route("webhooks/<webhook>", webhooks.change, True, "PATCH", 204),
    _Route("webhooks/<webhook>", webhooks.delete, True, "DELETE", 204),
)
#: compiled once, which takes longer than most tests
_API = Map([Rule(f"/api/{route.path}", endpoint=route, methods=[route.method]) for route in _ROUTES])


def create_app(world: World) -> Flask:
    """A Checkmarx One that holds this world, token service and API on one address."""
    app = Flask("checkmarx-stand-in")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.before_request(lambda: _before(world))
    app.after_request(_spoil_after)
    app.register_blueprint(_identity(world), url_prefix="/auth")
    app.register_blueprint(_api(world), url_prefix="/api")
    app.register_blueprint(_controls(world), url_prefix="/_standin")
    app.add_url_rule("/<path:page>", "page", lambda page: _PAGE)
    app.add_url_rule("/", "start", lambda: _PAGE)
    return app


def _identity(world: World) -> Blueprint:
    identity = Blueprint("identity", __name__)

    @identity.route("/realms/<tenant>/protocol/openid-connect/token", methods=["GET", "POST"])
    def token(tenant: str) -> Response:
        if request.method != "POST":
            return Response(status=405)
        answer, status = tokens.grant(world, tenant, request.form, request.host_url.rstrip("/"))
        response = jsonify(answer)
        response.status_code = status
        return response

    return identity


def _api(world: World) -> Blueprint:
    api = Blueprint("api", __name__)

    @api.route("/<path:_>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def answer(_: str) -> Response:
        credential = _caller(world)
        if credential is None:
            return Response(status=401)
        if credential.forbidden and request.path.startswith(credential.forbidden):
            return Response(status=403)
        if g.rule is None:
            return _refusal(Refused(404, "no such path"), is_versioned=True)
        return _answer(world, credential, g.rule.endpoint, g.named)

    return api


def _answer(world: World, credential: Credential, route: _Route, named: Mapping[str, str]) -> Response:
    body = request.get_json(silent=True) if request.method != "GET" else None
    call = Call(world, credential, request.args, body if isinstance(body, dict) else {}, frozenset(fault.kind for fault in g.striking))
    try:
        told = route.view(call, **named)
    except Refused as problem:
        return _refusal(problem, route.is_versioned)
    response = Response(status=route.status) if route.status == 204 else jsonify(told)
    response.status_code = route.status
    if route.is_versioned:
        response.content_type = _VERSIONED
    return response


def _refusal(problem: Refused, is_versioned: bool) -> Response:
    if not problem.message:
        return Response(status=problem.status)
    more: dict[str, Any] = {"type": "ERROR"} if is_versioned else {"data": None}
    response = jsonify({"message": problem.message, "code": problem.status, **more})
    response.status_code = problem.status
    return response


def _caller(world: World) -> Credential | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return tokens.holder(world, token.strip()) if kind.lower() == "bearer" else None


def _before(world: World) -> Response | None:
    """Count the request, and misbehave before it is looked at; an answer ends it."""
    g.striking, g.rule, g.named = [], *_matched()
    if request.path.startswith("/_standin"):
        return None
    request.get_data()  # a request whose body is not read cannot be answered half
    world.count(g.rule.rule if g.rule is not None else request.url_rule.rule if request.url_rule is not None else request.path)
    g.striking = world.faults.striking(request.path, _projects_named(world))
    for fault in g.striking:
        spoilt = _spoil_before(world, fault)
        if spoilt is not None:
            return spoilt
    return None


def _matched() -> tuple[Rule | None, Mapping[str, str]]:
    """The rule of the API that the path follows, and what it names."""
    try:
        return _API.bind("").match(request.path, request.method, return_rule=True)
    except HTTPException:
        return None, {}


def _projects_named(world: World) -> set[str]:
    words = {word for value in request.args.values() for word in value.split(",")} | set(g.named.values())
    owners = {project.id for tenant in world.tenants.values() for word in words if (project := tenant.project_of(word)) is not None}
    return words | owners


def _spoil_before(world: World, fault: Fault) -> Response | None:
    if fault.kind == "slow":
        (fault.gate or threading.Event()).wait(fault.seconds)
    elif fault.kind == "vanish":
        world.remove(fault.project)
    elif fault.kind == "expire":
        world.access.clear()
    elif fault.kind == "revoke":
        world.revoke()
    elif fault.kind == "html":
        return Response(_BAD_GATEWAY, 502, content_type="text/html")
    elif fault.kind == "status":
        response = Response(status=fault.status)
        if fault.retry_after:
            response.headers["Retry-After"] = fault.retry_after
        return response
    return None


def _spoil_after(response: Response) -> Response:
    """Misbehave with the answer that is ready."""
    kinds = {fault.kind for fault in g.get("striking", ())}
    if "empty_page" in kinds and response.is_json and isinstance(response.get_json(), dict):
        response.set_data(json.dumps({name: [] if name in _LISTS else value for name, value in response.get_json().items()}))
    if "cut_json" in kinds:
        response.set_data(response.get_data()[:-max(1, response.content_length or 2) // 2])
    if "cut" in kinds:
        whole = response.get_data()
        return Response(_once(whole[:len(whole) // 2]), response.status_code,
                        headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
    return response


def _once(body: bytes) -> Iterator[bytes]:
    # streamed, since a body in one piece would be given its own, true length
    yield body


def _controls(world: World) -> Blueprint:
    """``/_standin``: what the world is told to do, and what was asked of it. For callers on this machine alone."""
    controls = Blueprint("controls", __name__)

    @controls.before_request
    def only_from_here() -> Response | None:
        here = ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104 - stands for an unknown caller
        return None if here else Response(status=403)

    @controls.get("/calls")
    def calls() -> Response:
        return jsonify(dict(world.calls))

    @controls.delete("/calls")
    def forget_calls() -> Response:
        world.calls.clear()
        return Response(status=204)

    @controls.get("/faults")
    def faults() -> Response:
        return jsonify(faults=world.faults.as_json(), kinds=KINDS)

    @controls.post("/faults")
    def add_fault() -> Response:
        try:
            fault = world.faults.add(**from_json(request.get_json()))
        except (TypeError, ValueError, AttributeError) as problem:
            response = jsonify(message=str(problem))
            response.status_code = 400
            return response
        return jsonify(fault.as_json())

    @controls.delete("/faults")
    def clear_faults() -> Response:
        world.faults.clear()
        return Response(status=204)

    return controls
