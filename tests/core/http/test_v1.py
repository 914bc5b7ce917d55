"""The envelope of the /v1 surface: every answer in it, every page with its place in the whole."""

import pytest
from flask import Flask
from flask_smorest import Blueprint
from marshmallow import fields

from core.http import v1
from core.http.access import public
from core.http.schemas import CamelSchema
from core.http.surfaces import register_blueprint


class ThingSchema(CamelSchema):
    long_name = fields.String()


@pytest.fixture
def client(app: Flask):
    blp = Blueprint("things", __name__, url_prefix="/v1/things")

    @blp.get("")
    @public
    @blp.arguments(v1.RowArgs, location="query")
    @v1.answers(blp, ThingSchema(many=True), "Things Fetched Successfully!", paged=True)
    def things(args: dict[str, int]) -> v1.NumberedPage:
        start = (args["page"] - 1) * args["rpp"]
        return v1.NumberedPage([{"long_name": str(number)} for number in range(7)][start:start + args["rpp"]], args["page"], args["rpp"], 7)

    @blp.post("")
    @public
    @v1.answers(blp, ThingSchema, "Thing Created Successfully!", status=201)
    def make() -> dict[str, str]:
        return {"long_name": "new"}

    @blp.delete("")
    @public
    @v1.answers(blp, None, "Thing Deleted Successfully!")
    def unmake() -> None:
        return None

    register_blueprint(app, blp)
    return app.test_client()


def test_an_answer_says_its_status_twice_its_message_and_that_it_went_well(client):
    answer = client.post("/v1/things")
    assert (answer.status_code, answer.get_json()) == (201, {
        "status": 201, "message": "Thing Created Successfully!", "data": {"longName": "new"}, "successful": True})
    assert client.delete("/v1/things").get_json()["data"] is None


@pytest.mark.parametrize(("page", "before", "after", "listed"), [(1, None, 2, 3), (2, 1, 3, 3), (3, 2, None, 1), (9, 3, None, 0)])
def test_a_page_tells_its_neighbours(client, page, before, after, listed):
    assert client.get(f"/v1/things?page={page}&rpp=3").get_json()["pagination"] == {
        "previousPage": before, "currentPage": page, "nextPage": after, "totalPages": 3, "totalRecords": 7, "listedRecords": listed}


@pytest.mark.parametrize("asked", ["page=0", "rpp=0", "rpp=1001", "page=x"])
def test_a_page_that_cannot_be_is_refused(client, asked):
    assert client.get(f"/v1/things?{asked}").status_code == 400


def test_the_document_describes_the_envelope(client):
    schemas = client.get("/docs/v1/openapi.json").get_json()["components"]["schemas"]
    assert list(schemas["ThingsThingsAnswer"]["properties"]) == ["status", "message", "data", "pagination", "successful"]
