"""The documented HTTP dialects: which prefix speaks which, how each words a refusal, and the one handler that does it.

Everything that goes wrong in a request ends in ``_answer``: it looks the exception up in ``_TELLERS``, and writes what they
tell in the envelope of the surface that was asked.
"""

import copy
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import flask
import flask_smorest
import peewee
import redis.exceptions
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, ValidationError, fields
from playhouse.pool import MaxConnectionsExceeded
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from core import __version__
from core.db.database import told
from core.errors import BadRequest, Forbidden, NoSuchCustomer, NotFound, StockadeError, Unauthorized, Unavailable
from core.http.schemas import IsoInstant

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said to the caller when a request is not fulfilled; nothing of the inside."""

    status: int
    code: str
    message: str
    details: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _cvms(refusal: Refusal) -> dict[str, Any]:
    body: dict[str, Any] = {"error": refusal.message}
    if refusal.details:
        body["details"] = refusal.details
    return body


def _v1(refusal: Refusal) -> dict[str, Any]:
    """As the document words it: general refusals say no more than their message, particular ones also a code."""
    is_of_fields = refusal.status == 400 and bool(refusal.details)  # each fault says more than a message of its own
    if refusal.message in _GENERAL or is_of_fields or refusal.status >= 500 and refusal.code == "InternalError":
        body: dict[str, Any] = {"status": refusal.status, "message": _GENERAL_OF_V1.get(refusal.status, refusal.message)}
    else:
        body = {"status": refusal.status, "message": refusal.message, "error": refusal.code}
    if refusal.details and refusal.status < 500:
        body["errors"] = list(_faults(refusal.details, ()))
    return {**body, "successful": False}


_NOT_VALID = "The request is not valid"
_MOST_FAULTS = 100  # told of one thing
_GENERAL = frozenset({_NOT_VALID, *(kind.__doc__ for kind in (Unauthorized, Forbidden, NotFound, NoSuchCustomer)),
                      *(HTTP_STATUS_CODES[status] for status in (401, 403, 404, 418))})
_GENERAL_OF_V1 = {400: "Validation error", 401: "Unauthorized", 403: "Insufficient permissions", 404: "Resource not found",
                  500: "Internal server error"}


def _faults(found: Any, path: tuple[str | int, ...]) -> Iterator[dict[str, Any]]:
    """``{"fields": {0: {"value": ["Missing."]}}}`` as ``{"path": ["fields", 0, "value"], "message": "Missing."}``."""
    if isinstance(found, Mapping):
        for name, inner in found.items():
            yield from _faults(inner, path if name == "_schema" else (*path, name))
    else:
        for message in found if isinstance(found, list) else [found]:
            yield {"path": list(path), "message": str(message)}


def _codeinsight(refusal: Refusal) -> dict[str, Any]:
    return {"errors": [{"status": refusal.status, "key": refusal.code, "message": refusal.message, "arguments": []}]}


class CvmsError(Schema):
    error = fields.String(required=True)
    details = fields.Raw()


class V1Fault(Schema):
    path = fields.List(fields.Raw(), required=True)
    message = fields.String(required=True)


class V1Error(Schema):
    status = fields.Integer(required=True)
    message = fields.String(required=True)
    error = fields.String()
    errors = fields.List(fields.Nested(V1Fault))
    successful = fields.Boolean(required=True)


class CodeInsightFault(Schema):
    status = fields.Integer()
    key = fields.String()
    message = fields.String()
    arguments = fields.List(fields.String())


class CodeInsightError(Schema):
    errors = fields.List(fields.Nested(CodeInsightFault))


@dataclass(frozen=True, slots=True)
class Surface:
    """One dialect. Its OpenAPI document is ``/docs/<name>/openapi.json``."""

    name: str
    prefix: str
    title: str
    envelope: Callable[[Refusal], dict[str, Any]]
    error_schema: type[Schema]

    def covers(self, path: str) -> bool:
        return path == self.prefix or path.startswith(self.prefix + "/")


SURFACES = (
    Surface("cvms", "/api", "Stockade CVMS API", _cvms, CvmsError),
    Surface("v1", "/v1", "Stockade v1 API", _v1, V1Error),
    Surface("codeinsight", "/codeinsight/api", "Stockade Code Insight API", _codeinsight, CodeInsightError),
)


def surface_of(path: str) -> Surface | None:
    """The surface that a path belongs to; None for pages, health and documents."""
    return next((surface for surface in SURFACES if surface.covers(path)), None)


class SurfaceApi(flask_smorest.Api):
    """flask-smorest's Api, whose errors and documents are left to us."""

    def __init__(self, app: flask.Flask, surface: Surface) -> None:
        self.surface = surface
        self.ERROR_SCHEMA = surface.error_schema
        marshmallow_plugin = MarshmallowPlugin()
        super().__init__(app, config_prefix=surface.name, spec_kwargs={
            "title": surface.title, "version": __version__, "openapi_version": "3.1.0", "marshmallow_plugin": marshmallow_plugin})
        marshmallow_plugin.map_to_openapi_type(IsoInstant, "string", "date-time")
        self._undocumented: list[flask_smorest.Blueprint] = []
        self._documenting = threading.Lock()

    def register_blueprint(self, blp: flask_smorest.Blueprint, **options: Any) -> None:
        """Serve the views. What the document says of them is worked out when somebody reads it, since that takes longer than all else
        that an app does to start."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp, **options)
        self._undocumented.append(blp)

    def document(self) -> dict[str, Any]:
        """The OpenAPI document as flask-smorest makes it, the caller's own. A blueprint that cannot be described is left out and logged."""
        with self._documenting:
            while self._undocumented:
                blp = self._undocumented.pop(0)
                try:
                    blp.register_views_in_doc(self, self._app, self.spec, name=blp.name, parameters=None)
                except Exception:
                    log.exception("blueprint %s is missing in the document of %s", blp.name, self.surface.name)
                else:
                    self.spec.tag({"name": blp.name, "description": blp.description})
            document: dict[str, Any] = copy.deepcopy(self.spec.to_dict())
        _mark_up(document)
        return document

    def _register_error_handlers(self) -> None:
        """Nothing: ``_answer`` handles the errors of all surfaces."""

    def _register_pagination_header(self) -> None:
        """Nothing: pages are told in the body."""


def _mark_up(document: dict[str, Any]) -> None:
    """Docstrings write names as ``this``; readers of documents show Markdown in descriptions, and summaries as they are."""
    operations = (operation for path in document.get("paths", {}).values() for operation in path.values() if isinstance(operation, dict))
    for operation in operations:
        for name, mark in (("summary", ""), ("description", "`")):
            if name in operation:
                operation[name] = operation[name].replace("``", mark)


def register_blueprint(app: flask.Flask, blueprint: flask.Blueprint) -> None:
    """Add a blueprint to the app, and to the OpenAPI document of its surface when its prefix lies in one."""
    surface = surface_of(blueprint.url_prefix or "")
    if surface is None or not isinstance(blueprint, flask_smorest.Blueprint):
        app.register_blueprint(blueprint)
        return
    apis = app.extensions.setdefault("stockade_apis", {})
    if surface.name not in apis:
        apis[surface.name] = SurfaceApi(app, surface)
    apis[surface.name].register_blueprint(blueprint)


# -- refusals ---------------------------------------------------------------------------------------------------------------


def _of_ours(problem: StockadeError) -> Refusal:
    return Refusal(problem.status, problem.code, problem.message, problem.details, problem.headers)


def _of_http(problem: HTTPException) -> Refusal:
    status = problem.code or 500
    headers = {name: value for name, value in problem.get_headers() if name.lower() not in ("content-type", "content-length")}
    said = getattr(problem, "data", None) or {}  # what webargs found wrong with the parameters
    if status == 422 or "messages" in said:
        return Refusal(400, "BadRequest", _NOT_VALID, _few(_by_field(said.get("messages"))), headers)
    return Refusal(status, _CODES.get(status, (problem.name or "Error").replace(" ", "")), problem.name, None, headers)


_CODES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 413: "TooLarge"}


def _by_field(messages: Any) -> Any:
    """``{"json": {"name": [...]}}`` without the place, when there is one place."""
    if isinstance(messages, Mapping) and len(messages) == 1:
        return next(iter(messages.values()))
    return messages


def _few(found: Any) -> Any:
    """The first of many faults, so that an answer is not many times as large as its request."""
    if isinstance(found, Mapping):
        return {name: _few(inner) for name, inner in islice(found.items(), _MOST_FAULTS)}
    return found[:_MOST_FAULTS] if isinstance(found, list) else found


def _of_validation(problem: ValidationError) -> Refusal:
    return Refusal(400, "BadRequest", _NOT_VALID, _few(problem.messages))


def _of_database(problem: Exception) -> Refusal:
    known = told(problem)
    return _of_ours(known) if isinstance(known, StockadeError) else _of_inside(problem)


def _of_unstorable(problem: Exception) -> Refusal:
    """A text that got past the schemas and that the database cannot hold: too long, a NUL, half a character."""
    log.warning("a value could not be stored: %s", type(problem).__name__)
    return _of_ours(BadRequest("The request holds a value that cannot be stored"))


def _of_too_deep(problem: RecursionError) -> Refusal:
    log.warning("a request was nested too deeply to be read")
    return _of_ours(BadRequest("The request is nested too deeply"))


def _of_full_pool(problem: Exception) -> Refusal:
    log.warning("no database connection is free")
    return _of_ours(Unavailable("The server is busy; try again"))


def _of_redis(problem: Exception) -> Refusal:
    log.warning("redis does not answer: %s", type(problem).__name__)
    return _of_ours(Unavailable("The job queue is not reachable; nothing was changed"))


def _of_inside(problem: Exception) -> Refusal:
    log.error("request failed: %s", type(problem).__name__, exc_info=problem)
    return Refusal(500, "InternalError", "Internal server error", {"requestId": flask.g.get("request_id", "")})


_TELLERS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Refusal]], ...] = (
    (StockadeError, _of_ours),
    (HTTPException, _of_http),
    (ValidationError, _of_validation),
    (MaxConnectionsExceeded, _of_full_pool),
    ((peewee.DataError, UnicodeEncodeError), _of_unstorable),
    (RecursionError, _of_too_deep),
    ((peewee.OperationalError, peewee.InterfaceError), _of_database),
    ((redis.exceptions.ConnectionError, redis.exceptions.TimeoutError), _of_redis),
    (Exception, _of_inside),
)


def refusal_of(problem: Exception) -> Refusal:
    """What to say for an exception."""
    return next(tell(problem) for kind, tell in _TELLERS if isinstance(problem, kind))


def _answer(problem: Exception) -> Any:
    if isinstance(problem, HTTPException) and problem.response is not None:
        return problem.response
    refusal = refusal_of(problem)
    surface = surface_of(flask.request.path)
    response = _written(surface, refusal) if surface is not None else _shown(refusal)
    for name, value in refusal.headers.items():
        response.headers[name] = value
    return response


def _written(surface: Surface, refusal: Refusal) -> flask.Response:
    response = flask.jsonify(surface.envelope(refusal))
    response.status_code = refusal.status
    return response


def _shown(refusal: Refusal) -> flask.Response:
    """Outside the surfaces: what the pages offered in ``app.extensions["stockade_html_errors"]`` answers, else plain text."""
    page = flask.current_app.extensions.get("stockade_html_errors")
    if page is not None and flask.request.accept_mimetypes.accept_html:
        answer: flask.Response = page(refusal)  # with a status of its own: a page may lead to the sign-in instead
        return answer
    return flask.Response(f"{refusal.message}\n", refusal.status, mimetype="text/plain")


def install_error_answers(app: flask.Flask) -> None:
    app.register_error_handler(Exception, _answer)
