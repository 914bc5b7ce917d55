"""Schemas, pages and answers that may be kept."""

import base64
import json
from contextlib import suppress

import pytest
from flask import Blueprint
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError, fields, validate

from core.errors import BadRequest
from core.http.access import public
from core.http.caching import revalidated
from core.http.paging import PageArgs, cursor_after, key_of
from core.http.schemas import CamelSchema, IsoInstant, LineStr, SafeStr, camel


class Thing(CamelSchema):
    short_name = SafeStr()
    last_seen_at = IsoInstant()
    one_line = LineStr()
    kept_as_it_is = fields.String(data_key="kept_as_it_is")
    plain = fields.String()


# -- schemas ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("snake", "camels"), [("name", "name"), ("last_seen_at", "lastSeenAt"), ("x_1", "x1"), ("id", "id")])
def test_names_are_camel_case_on_the_wire(snake, camels):
    assert camel(snake) == camels


class Numbers(CamelSchema):
    some_numbers = fields.List(fields.Integer(), validate=validate.Length(1, 3))


def test_a_list_that_is_too_long_is_refused_before_its_entries_are_looked_at():
    with pytest.raises(ValidationError) as caught:
        Numbers().load({"someNumbers": ["none"] * 4})
    assert caught.value.messages == {"someNumbers": ["Longer than maximum length 3."]}
    assert Numbers().load({"someNumbers": [1, 2, 3]}) == {"some_numbers": [1, 2, 3]}


def test_an_object_with_hundreds_of_unknown_names_is_refused_as_a_whole():
    with pytest.raises(ValidationError) as caught:
        Numbers().load({f"unknown{number}": 1 for number in range(201)})
    assert caught.value.messages == {"_schema": ["Has too many fields."]}


def test_a_schema_turns_names_both_ways_and_leaves_those_that_were_fixed():
    assert Thing().load({"shortName": "a", "kept_as_it_is": "b"}) == {"short_name": "a", "kept_as_it_is": "b"}
    assert Thing().dump({"short_name": "a", "kept_as_it_is": "b"}) == {"shortName": "a", "kept_as_it_is": "b"}


@pytest.mark.parametrize("body", [{"short_name": "a"}, {"unknown": 1}, {"shortName": "a\x00"}, {"shortName": "\ud800"}, {"shortName": 5},
                                  {"oneLine": "a\nb"}, {"oneLine": "a\u2028b"}, {"lastSeenAt": "soon"}, {"lastSeenAt": 5},
                                  {"lastSeenAt": None}, {"lastSeenAt": "2026-13-01"},
                                  {"plain": "a\x00"}, {"plain": "\udfff"}])
def test_what_nobody_declared_or_can_store_is_refused(body):
    with pytest.raises(ValidationError):
        Thing().load(body)


def test_a_text_keeps_its_lines_and_a_line_loses_its_margins():
    assert Thing().load({"shortName": " a\n", "oneLine": "  a b "}) == {"short_name": " a\n", "one_line": "a b"}


def test_instants_are_milliseconds_inside():
    assert Thing().dump({"last_seen_at": 1767225600123}) == {"lastSeenAt": "2026-01-01T00:00:00.123Z"}
    assert Thing().load({"lastSeenAt": "2026-01-01T01:00:00.123+01:00"}) == {"last_seen_at": 1767225600123}
    assert Thing().dump({"last_seen_at": None}) == {"lastSeenAt": None}


# -- pages ------------------------------------------------------------------------------------------------------------------


def forged(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00")))
def test_a_cursor_gives_back_the_key_that_it_was_made_of(number, text):
    assert key_of(cursor_after((number, text)), int, str) == (number, text)


def test_the_first_page_has_no_key_and_the_last_no_cursor():
    assert key_of("", int) is None
    assert key_of(None, int) is None
    assert cursor_after(None) is None


@pytest.mark.parametrize("cursor", [
    "x", "!!!!", "é", "AAAA", forged({}), forged([]), forged([1]), forged([1, 2, 3]), forged(["1", 2]), forged([1, True]), forged([1, 1.5]),
    forged([1, None]), forged([1, 2**63]), forged([-(2**64), 1]), forged([1, [2]]), "W" * 3999, base64.b64encode(b"[" * 2000).decode(),
    base64.b64encode(b"[1, NaN]").decode(), base64.b64encode(b"[" + b"9" * 5000 + b",1]").decode(), base64.b64encode(b"\xff\xfe").decode()])
def test_a_forged_cursor_is_refused(cursor):
    with pytest.raises(BadRequest):
        key_of(cursor, int, int)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_forged_cursor_cannot_carry_what_the_database_refuses(text):
    with pytest.raises(BadRequest):
        key_of(forged([text]), str)


@given(st.text())
def test_no_text_breaks_the_reading_of_cursors(text):
    with suppress(BadRequest):
        key_of(text, int, str)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"limit": "1e3"}, {"cursor": "x" * 5000}])
def test_the_size_of_a_page_has_bounds(query):
    with pytest.raises(ValidationError):
        PageArgs().load(query)
    assert PageArgs().load({}) == {"limit": 100, "cursor": ""}


# -- answers that may be kept -----------------------------------------------------------------------------------------------


@pytest.fixture
def asked(app):
    said = {"value": 1, "status": 200}
    blueprint = Blueprint("kept", __name__)
    blueprint.get("/api/kept")(public(revalidated(lambda: ({"value": said["value"]}, said["status"]))))
    app.register_blueprint(blueprint)
    return said, app.test_client()


def test_an_answer_that_the_client_has_is_not_sent_again(asked):
    said, client = asked
    first = client.get("/api/kept")
    again = client.get("/api/kept", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    said["value"] = 2
    changed = client.get("/api/kept", headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.get_json()) == (200, {"value": 2})


def test_an_answer_that_may_be_kept_is_kept_for_this_caller_alone(asked):
    headers = asked[1].get("/api/kept").headers
    assert headers["Cache-Control"] == "private, no-cache"
    assert {part.strip() for part in headers["Vary"].split(",")} >= {"Cookie", "Authorization", "x-customer-id", "x-pacci-customer-id"}


def test_a_refusal_is_not_kept(asked):
    said, client = asked
    said["status"] = 404
    answer = client.get("/api/kept")
    assert "ETag" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
