"""The OpenAPI document of each surface, and Swagger UI to read them offline."""

from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Blueprint, Flask, Response, current_app, jsonify, render_template, request, send_from_directory

from core.errors import NotFound
from core.http.access import AccessRule, CustomerFrom, public
from core.http.cookies import session_cookie_name
from core.http.deployed import settings
from core.http.schemas import camel
from core.http.surfaces import SURFACES

_DIST = Path(flask_swagger_ui.__file__).parent / "dist"
_SERVED = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-16x16.png", "favicon-32x32.png"})
_DAY_SECONDS = 24 * 3600
_HEADER_PARAMETERS = ("x-customer-id", "x-pacci-customer-id")

blp = Blueprint("docs", __name__, url_prefix="/docs", template_folder="templates", static_folder="static", static_url_path="/own")


@blp.get("")
@public
def page() -> str:
    """Swagger UI over the document of one surface: ``document``, else the first. Swagger's own bar to choose one has inline styles."""
    documents = [surface for surface in SURFACES if surface.name in _apis()]
    shown = next((surface for surface in documents if surface.name == request.args.get("document")), documents[0])
    return render_template("docs.html", documents=documents, shown=shown)


@blp.get("/<surface>/openapi.json")
@public
def document(surface: str) -> Response:
    """The OpenAPI 3.1 document of one surface."""
    if surface not in _apis():
        raise NotFound
    return jsonify(_described(current_app._get_current_object(), surface))  # type: ignore[attr-defined]


@blp.get("/files/<name>")
@public
def swagger_file(name: str) -> Response:
    """The files of Swagger UI that the page uses."""
    if name not in _SERVED:
        raise NotFound
    return send_from_directory(_DIST, name, max_age=_DAY_SECONDS)


def _apis() -> dict[str, Any]:
    return current_app.extensions.get("stockade_apis", {})


def _described(app: Flask, surface: str) -> dict[str, Any]:
    """A surface's document with what flask-smorest cannot know: access rules, header parameters, camelCase path parameters."""
    spec = app.extensions["stockade_apis"][surface].document()
    spec.setdefault("components", {})["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": session_cookie_name(settings())},
        "token": {"type": "http", "scheme": "bearer", "description": "An API token, stk_..., or the access token of a signed-in client"},
    }
    rules = _rules_by_operation(app)
    for path, operations in spec.get("paths", {}).items():
        for method, operation in operations.items():
            rule = rules.get((path, method))
            if rule is not None:
                _describe_access(operation, rule)
    spec["paths"] = {_camel_path(path): _with_camel_parameters(operations) for path, operations in spec.get("paths", {}).items()}
    return spec


def _rules_by_operation(app: Flask) -> dict[tuple[str, str], AccessRule]:
    found = {}
    for route in app.url_map.iter_rules():
        rule = getattr(app.view_functions[route.endpoint], "access_rule", None)
        path = "".join(f"{{{text}}}" if is_dynamic else text for is_dynamic, text in route._trace)[1:]
        for method in route.methods or ():
            if rule is not None:
                found[(path, method.lower())] = rule
    return found


def _describe_access(operation: dict[str, Any], rule: AccessRule) -> None:
    if rule.public:
        operation["security"] = []
        return
    operation["security"] = [{"session": []}, {"token": []}]
    operation["x-permissions"] = list(rule.nodes)
    if rule.conditional:
        operation["x-conditional-permissions"] = list(rule.conditional)
    for status, said in (("401", "Missing or invalid session"), ("403", "Authenticated but not allowed")):
        operation["responses"].setdefault(status, {"description": said})
    if rule.customer in (CustomerFrom.HEADER, CustomerFrom.HEADER_OR_SESSION):
        operation.setdefault("parameters", []).extend(
            {"in": "header", "name": name, "required": False, "schema": {"type": "string"}, "description": "The organization's id"}
            for name in _HEADER_PARAMETERS)


def _camel_path(path: str) -> str:
    return "/".join(f"{{{camel(part[1:-1])}}}" if part.startswith("{") else part for part in path.split("/"))


def _with_camel_parameters(operations: dict[str, Any]) -> dict[str, Any]:
    for operation in operations.values():
        parameters = operation if isinstance(operation, list) else operation.get("parameters", ())  # those of the whole path
        for parameter in parameters:
            if isinstance(parameter, dict) and parameter.get("in") == "path":
                parameter["name"] = camel(parameter["name"])
    return operations
