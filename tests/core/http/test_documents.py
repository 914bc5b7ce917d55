"""The OpenAPI documents and the page to read them."""

import re
from dataclasses import replace

import pytest
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from core.app import create_app
from core.hooks.manager import Plugins
from core.http.access import public
from core.http.surfaces import register_blueprint
from tests.factories import SETTINGS


@pytest.fixture
def document(client):
    return client.get("/docs/cvms/openapi.json").get_json()


def test_the_document_is_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "Stockade CVMS API"


def test_every_route_of_the_surface_is_in_it_with_camel_case_parameters(app, document):
    documented = {(path, method) for path, operations in document["paths"].items() for method in operations if method != "parameters"}
    served = {(re.sub(r"<(?:\w+:)?(\w+)>", lambda found: "{" + found[1] + "}", rule.rule), method.lower())
              for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/") for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert {(re.sub(r"_([a-z])", lambda found: found[1].upper(), path), method) for path, method in served} == documented
    assert "/api/customers/{customerId}/users" in document["paths"]


def test_path_parameters_are_declared_under_the_names_in_the_path(document):
    for path, operations in document["paths"].items():
        declared = {parameter["name"] for parameter in operations.get("parameters", ())}
        for method, operation in operations.items():
            if method != "parameters":
                of_operation = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter.get("in") == "path"}
                assert declared | of_operation == set(re.findall(r"{(\w+)}", path)), (method, path)


def test_every_operation_says_who_may(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                assert "security" in operation, (method, path)
                assert operation["security"] == [] or {"401", "403"} <= set(operation["responses"]), (method, path)


def test_names_in_descriptions_are_marked_up_as_markdown_has_it(document):
    told = [operation for path in document["paths"].values() for operation in path.values() if isinstance(operation, dict)]
    assert not any("`" in operation.get("summary", "") or "``" in operation.get("description", "") for operation in told)
    assert "`respond-async`" in document["paths"]["/api/imports"]["post"]["description"].replace("Prefer: ", "")


def test_permissions_and_customer_headers_are_told(document):
    operation = document["paths"]["/api/manage-assets"]["get"]
    assert operation["x-permissions"] == ["overview.read"]
    headers = {parameter["name"]: parameter["required"] for parameter in operation["parameters"] if parameter["in"] == "header"}
    assert headers == {"x-customer-id": False, "x-pacci-customer-id": False}


def test_every_reference_leads_somewhere(document):
    def references(part):
        if isinstance(part, dict):
            yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            part = list(part.values())
        if isinstance(part, list):
            for entry in part:
                yield from references(entry)

    found = set(references(document))
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_bodies_and_answers_are_camel_case(document):
    names = {name for schema in document["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert not {name for name in names if "_" in name} - {"last_updated"}, "the documents have one name that is not"


def test_a_surface_without_routes_has_no_document(client):
    for surface in ("codeinsight", "nonsense"):
        assert client.get(f"/docs/{surface}/openapi.json").status_code == 404


def test_a_surface_gets_its_document_with_its_first_route(sqlite_database):
    app = create_app(SETTINGS, plugins=Plugins(SETTINGS))
    blueprint = Blueprint("scans", __name__, url_prefix="/codeinsight/api")
    blueprint.get("/scans")(public(lambda: ("", 418)))
    register_blueprint(app, blueprint)
    document = app.test_client().get("/docs/codeinsight/openapi.json").get_json()
    assert list(document["paths"]) == ["/codeinsight/api/scans"]
    assert "/docs/codeinsight/openapi.json" in app.test_client().get("/docs?document=codeinsight").text


def test_a_blueprint_that_cannot_be_described_takes_nothing_else_out_of_the_document(sqlite_database, caplog):
    app = create_app(SETTINGS, plugins=Plugins(SETTINGS))
    for name, schema in (("odd", type("Odd", (Schema,), {"scan": fields.Nested("NobodyKnows")})), ("sound", Schema)):
        blueprint = Blueprint(name, __name__, url_prefix="/codeinsight/api")
        blueprint.get(f"/{name}")(public(blueprint.response(200, schema)(lambda: {})))
        register_blueprint(app, blueprint)
    answers = [app.test_client().get("/docs/codeinsight/openapi.json").get_json() for _ in range(2)]
    assert "/codeinsight/api/sound" in answers[0]["paths"]
    assert answers[0] == answers[1]
    assert [record.message for record in caplog.records if record.exc_info] == ["blueprint odd is missing in the document of codeinsight"]


def test_the_page_works_without_inline_script_and_without_another_site(client):
    page = client.get("/docs").text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert "style=" not in page
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sorted(address for address in addresses if "?" in address) == ["/docs?document=cvms", "/docs?document=v1"]
    for address in addresses:
        answer = client.get(address, buffered=True)
        assert (answer.status_code, address.startswith("/docs")) == (200, True)
        assert "?" in address or answer.mimetype in ("text/css", "text/javascript", "application/javascript", "image/png")


def test_no_other_file_is_served(client):
    for name in ("index.css", "LICENSE", "oauth2-redirect.html", "..%2f__init__.py", "../__init__.py"):
        assert client.get(f"/docs/files/{name}").status_code == 404


def test_the_cookie_in_the_document_has_the_name_that_is_used(sqlite_database):
    settings = replace(SETTINGS, public_url="https://stockade.example")
    document = create_app(settings, plugins=Plugins(settings)).test_client().get("/docs/cvms/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["session"]["name"] == "__Secure-next-auth.session-token"
