"""The stand-in as a Flask app: login, dispatch, error bodies, faults, and the controls that tests and demos use."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request

from core import clock
from core.testing import faults as kit
from plugins.sonarqube.upstream import catalog, hotspots, issues, webhooks
from plugins.sonarqube.upstream.answers import Call, Refused, date
from plugins.sonarqube.upstream.world import Token, World

View = Callable[[Call], Any]

_OPEN = ("system/status", "server/version", "authentication/validate")
#: what an analysis token is good for
_ANALYSIS = ("settings/values", "plugins/installed", "project_branches/list", "project_pull_requests/list", "rules/search",
             "metrics/search")
_READS: dict[str, View] = {
    "components/search": catalog.components,
    "components/search_projects": catalog.project_list,
    "components/show": catalog.show,
    "hotspots/search": hotspots.search,
    "hotspots/show": hotspots.show,
    "issues/list": issues.listed,
    "languages/list": catalog.languages,
    "measures/component": catalog.measures,
    "metrics/search": catalog.metrics,
    "navigation/global": catalog.navigation,
    "new_code_periods/show": catalog.new_code_period,
    "organizations/search": catalog.organizations,
    "plugins/installed": catalog.nothing_installed,
    "project_branches/list": catalog.branches,
    "project_pull_requests/list": catalog.pull_requests,
    "projects/search": catalog.projects,
    "qualitygates/project_status": catalog.gate,
    "rules/search": catalog.rules,
    "rules/show": catalog.rule,
    "server/version": catalog.server_version,
    "settings/list_definitions": catalog.setting_definitions,
    "settings/values": catalog.settings,
    "system/health": catalog.health,
    "system/ping": catalog.ping,
    "system/status": catalog.system_status,
    "user_tokens/search": catalog.own_tokens,
    "users/current": catalog.current_user,
    "v2/clean-code-policy/mode": catalog.mode,
    "webhooks/deliveries": webhooks.deliveries,
    "webhooks/list": webhooks.listed,
}
_WRITES: dict[str, View] = {
    "hotspots/change_status": hotspots.change_status,
    "issues/assign": issues.assign,
    "issues/do_transition": issues.transition,
    "projects/create": catalog.create_project,
    "projects/delete": catalog.delete_project,
    "webhooks/create": webhooks.create,
    "webhooks/delete": webhooks.delete,
}
_PROJECT_PARAMETERS = ("component", "components", "componentKeys", "project", "projectKey", "projects")
_PAGE = "<!doctype html><title>SonarQube stand-in</title><h1>SonarQube stand-in</h1><p>The real service shows {path} here.</p>"


def create_app(world: World, *, context: str = "") -> Flask:
    """A SonarQube that holds this world.

    :param context: path under which it answers, such as ``/sonar``.
    """
    app = Flask("sonarqube-stand-in")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(_api(world), url_prefix=f"{context}/api")
    app.register_blueprint(_controls(world), url_prefix=f"{context}/_standin")
    app.add_url_rule(f"{context}/<path:page>", "page", lambda page: _PAGE.format(path="this page"))
    app.add_url_rule(f"{context}/", "start", lambda: _PAGE.format(path="its start page"))
    return app


def _api(world: World) -> Blueprint:
    api = Blueprint("api", __name__)
    listings = issues.Listings()
    reads = {**_READS, "issues/search": lambda call: issues.search(call, listings)}

    @api.errorhandler(Refused)
    def refuse(problem: Refused) -> Response:
        return _error(problem.status, *problem.messages)

    @api.route("/<path:action>", methods=["GET", "POST"])
    def answer(action: str) -> Response:
        world.count(action)
        g.striking = world.faults.striking(action, _projects_named())
        spoilt = _spoil_before(world)
        if spoilt is not None:
            return spoilt
        if action == "authentication/validate":
            return jsonify(valid=_token(world) is not None)
        if action in _OPEN:
            return _sent(reads[action](Call(world, Token(), request.values)))
        token = _token(world)
        if token is None or (token.analysis and action not in _ANALYSIS):
            return Response(status=401)
        call = Call(world, token, request.values, shifted=_strikes("drift"), no_projects=_strikes("no_projects"))
        response = _sent(_view(action, reads)(call))
        if token.expires is not None:
            response.headers["sonarqube-authentication-token-expiration"] = date(token.expires)
        return response

    @api.after_request
    def spoil(response: Response) -> Response:
        return _spoil_after(response)

    return api


def _view(action: str, reads: dict[str, View]) -> View:
    if action in _WRITES:
        if request.method != "POST":
            raise Refused(405, "HTTP method POST is required")
        return _WRITES[action]
    if action not in reads:
        raise Refused(404, f"Unknown url : /api/{action}")
    return reads[action]


def _sent(answer: Any) -> Response:
    if answer is None:
        return Response(status=204)
    if isinstance(answer, str):
        return Response(answer, content_type="text/plain")
    return jsonify(answer)


def _error(status: int, *messages: str) -> Response:
    response = jsonify(errors=[{"msg": message} for message in messages])
    response.status_code = status
    return response


def _token(world: World) -> Token | None:
    """Who makes this request; None for a token that is not good.

    :raises Refused: when there is no credential at all.
    """
    header = request.headers.get("Authorization", "")
    if not header:
        if request.path.endswith("authentication/validate"):
            return Token() if world.flavour.cloud else None
        raise Refused(401, "Authentication is required")
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer" and not world.flavour.since(10, 0):
        return None
    token = world.tokens.get(value.strip() if kind.lower() == "bearer" else _user_of(value))
    return None if token is None or (token.expires is not None and token.expires <= clock.now()) else token


def _user_of(basic: str) -> str:
    """The user name of a Basic header whose password is empty, which is how tokens are sent."""
    try:
        user, _, password = base64.b64decode(basic, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return "" if password else user


def _projects_named() -> set[str]:
    return {word.partition("::")[0] for name in _PROJECT_PARAMETERS for word in request.values.get(name, "").split(",") if word}


def _strikes(kind: str) -> bool:
    return any(fault.kind == kind for fault in g.get("striking", ()))


def _spoil_before(world: World) -> Response | None:
    """Misbehave before the call is looked at; an answer ends it."""
    for fault in g.striking:
        if fault.kind == "vanish":
            world.remove(fault.what)
        elif fault.kind == "revoke":
            _revoke_caller(world)
    return kit.spoilt_before(g.striking, _failed)


def _failed(status: int) -> Response:
    texts = {403: "Insufficient privileges", 500: "An error has occurred. Please contact your administrator",
             503: "Results are temporarily unavailable. Indexing of issues is in progress."}
    return _error(status, texts[status]) if status in texts else Response(status=status)


def _revoke_caller(world: World) -> None:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    world.revoke(value.strip() if kind.lower() == "bearer" else _user_of(value))


def _spoil_after(response: Response) -> Response:
    """Misbehave with the answer that is ready."""
    if _strikes("empty_page") and response.is_json:
        emptied = {name: [] if name in ("issues", "hotspots", "components") else value for name, value in response.get_json().items()}
        response.set_data(json.dumps(emptied))
    return kit.spoilt_after(g.get("striking", ()), response)


def _controls(world: World) -> Blueprint:
    """``/_standin``: what the world is told to do, and what was asked of it. For callers on this machine alone."""
    controls = kit.controls(world.faults, world.calls)

    @controls.post("/analyses")
    def analyse() -> Response:
        body = request.get_json()
        try:
            answers = webhooks.analysis_finished(world, body["project"], body.get("branch", ""), status=body.get("status", "SUCCESS"),
                                                 server=request.host_url.rstrip("/"))
        except (KeyError, TypeError) as problem:
            return _error(404, f"No such project or branch: {problem}")
        return jsonify(deliveries=answers)

    return controls
