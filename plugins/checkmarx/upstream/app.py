"""The stand-in as a Flask app: token service and API on one address, error bodies, faults, and the controls for tests and demos."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from core.testing import faults as kit
from plugins.checkmarx.upstream import dast, projects, results, tokens, webhooks
from plugins.checkmarx.upstream.answers import Call, Refused
from plugins.checkmarx.upstream.world import Credential, World

View = Callable[..., Any]
_VERSIONED = "application/json; version=1.0"
_LISTS = ("projects", "results", "environments", "scans", "entries", "scansSummaries", "applications")
_PAGE = "<!doctype html><title>Checkmarx One stand-in</title><h1>Checkmarx One stand-in</h1><p>The real service shows a page here.</p>"


@dataclass(frozen=True, slots=True)
class _Route:
    """One path of the API; ``is_versioned`` says which of the two families of error bodies and content types it belongs to."""

    path: str
    view: View
    is_versioned: bool = False
    method: str = "GET"
    status: int = 200

    @property
    def name(self) -> str:
        """For counting and faults."""
        return re.sub("<[^>]*>", "{}", self.path).rstrip("/")


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
    app.after_request(_after)
    app.register_blueprint(_identity(world), url_prefix="/auth")
    app.register_blueprint(_api(world), url_prefix="/api")
    app.register_blueprint(kit.controls(world.faults, world.calls), url_prefix="/_standin")
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
    """Count the request and let its faults strike; an answer ends it."""
    g.striking, g.rule, g.named = [], *_matched()
    if request.path.startswith("/_standin"):
        return None
    request.get_data()  # a request whose body is not read cannot be answered half
    name = g.rule.endpoint.name if g.rule is not None else "token" if request.path.startswith("/auth") else request.path
    world.count(name)
    g.striking = world.faults.striking(name, _projects_named(world))
    for fault in g.striking:
        if fault.kind == "vanish":
            world.remove(fault.what)
        elif fault.kind == "expire":
            world.access.clear()
        elif fault.kind == "revoke":
            world.revoke()
    return kit.spoilt_before(g.striking, lambda status: Response(status=status))


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


def _after(response: Response) -> Response:
    """Misbehave with the answer that is ready."""
    striking = g.get("striking", ())
    if any(fault.kind == "empty_page" for fault in striking) and response.is_json and isinstance(response.get_json(), dict):
        response.set_data(json.dumps({name: [] if name in _LISTS else value for name, value in response.get_json().items()}))
    return kit.spoilt_after(striking, response)
