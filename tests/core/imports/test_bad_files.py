"""Whatever somebody sends: what is no sound report is refused with a 4xx that names the place, and nothing of it is written."""

import io
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.access import service as access
from core.app import create_app
from core.assets.models import Asset
from core.db import db
from core.errors import BadRequest
from core.findings.models import Finding
from core.hooks.contracts import AssetDraft
from core.hooks.failures import ReportInvalid
from core.hooks.manager import Plugins
from core.imports import limits, parsers, report, spool, upload
from core.imports.report import on_disk
from core.imports.spool import Spool
from tests.core.imports.payloads import CHECKMARX_XML, EVERY, SARIF, SONAR, zipped
from tests.core.imports.test_importing import all_rows
from tests.factories import SETTINGS, bearer, make_customer, make_token, make_user

IDS = [f"{name}-{number}" for number, (name, _) in enumerate(EVERY)]
LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.fixture
def parsers_of_all(sqlite_database):
    plugins = Plugins.load(SETTINGS)
    return [*plugins.report_parsers(), *parsers.CORE_PARSERS]


@pytest.fixture
def uploading(sqlite_database, tmp_path):
    """Sends what is given as a report to an app on SQLite alone; settings may differ."""
    access.ensure_built_in_roles()

    def prepared(**changed):
        app = create_app(replace(SETTINGS, database_url=sqlite_database, home=str(tmp_path), **changed))
        customer = make_customer()
        headers = {**bearer(make_token(make_user("msp_admin"))), "x-customer-id": customer.id}
        return app.test_client(), headers
    yield prepared
    if not db.is_closed():
        db.close()


@pytest.fixture
def refused(send):
    """Sends what has to be refused; the answer's details."""
    def check(body: bytes, *statuses: int, **query: Any) -> dict[str, Any]:
        before = all_rows()
        answer = send(body, expect=None, asset="shop", **query)
        assert "error" in answer, answer
        assert isinstance(answer["details"]["place"], str)
        assert answer["details"]["place"]
        assert all_rows() == before
        return answer
    return check


@pytest.mark.parametrize(("name", "body"), EVERY, ids=IDS)
def test_every_format_is_recognised_by_its_content(send, name, body):
    told = send(body, asset="shop")
    assert told["format"] == name
    assert told["run"]["counts"]["added"] >= 1
    assert send(body, asset="shop")["run"]["counts"]["added"] == 0


@pytest.mark.parametrize(("name", "body"), EVERY, ids=IDS)
def test_a_report_that_is_cut_short_is_refused_wherever_it_is_cut(refused, name, body):
    for part in (0.2, 0.5, 0.9, 0.99):
        if name != "csv":  # every beginning of a table is a table
            refused(body[:int(len(body) * part)])
    refused(body[:3])


@pytest.mark.parametrize(("name", "body"), EVERY, ids=IDS)
def test_bytes_that_are_no_text_are_refused_by_their_place(refused, name, body):
    if body.startswith(b"PK"):
        return
    middle = body.index(b"i", len(body) // 2)
    for wrong in (b"\xff", b"\xc3", b"\x00"):
        refused(body[:middle] + wrong + body[middle:])


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xff\xfe", b"hello", b"{}", b"[]", b"null", b"5", b'"text"', b"{", b"[[[", b"<",
                                  b"<html></html>", b"PK\x03\x04", b"%PDF-1.7\n", b"\x1f\x8b\x08\x00", b"{'a': 1}", b"\xef\xbb\xbf",
                                  b"\n" * 1000],
                         ids=repr)
def test_what_is_no_report_at_all_is_refused(refused, body):
    refused(body)


@pytest.mark.parametrize("body", [
    b"[" * 200_000, b'{"runs":' * 50_000, SARIF.replace(b'"Finding 1"', b"[" * 5_000 + b"]" * 5_000),
    SARIF.replace(b'"level": "error"', b'"level": "error", "x": ' + b"[" * 300 + b"]" * 300, 1),
    b'<bom xmlns="http://cyclonedx.org/schema/bom/1.4">' + b"<components>" * 100_000,
], ids=["arrays", "objects", "in a text's place", "in a record", "elements"])
def test_what_is_nested_too_deeply_is_refused(refused, body):
    assert "levels deep" in refused(body)["error"]


@pytest.mark.parametrize("body", [
    LAUGHS + CHECKMARX_XML.partition(b"?>\n")[2], CHECKMARX_XML.replace(b"?>\n", b"?>\n" + LAUGHS),
    CHECKMARX_XML.replace(b"?>\n", b'?>\n<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
])
def test_document_types_and_entities_are_refused(refused, body):
    assert "document type" in refused(body, format="checkmarx-xml")["error"]


@pytest.mark.parametrize("body", [
    SARIF.replace(b'"Finding 1"', b'"' + b"x" * (limits.LARGEST_RECORD + 2**20) + b'"'),
    SARIF.replace(b'"startLine": 1', b'"startLine": ' + b"1" * 6_000),
    SARIF.replace(b'"startLine": 1', b'"startLine": NaN'),
    CHECKMARX_XML.replace(b'Remark=""', b'Remark="' + b"x" * (limits.LARGEST_RECORD + 2**20) + b'"'),
    b'title,severity\n"' + b"x" * 300_000 + b'",low\n',
], ids=["text", "number", "no number", "attribute", "cell"])
def test_texts_and_numbers_without_measure_are_refused(refused, body):
    refused(body)


def test_a_number_that_no_json_can_tell_again_is_refused(refused):
    refused(SONAR.replace(b'"line": 3', b'"line": 3, "textRange": {"startLine": 1e999}'))


def test_a_line_that_no_database_takes_is_no_line(send):
    send(SARIF.replace(b'"startLine": 1', b'"startLine": 99999999999'), asset="shop")
    assert None in {finding.line for finding in Finding.select()}


def test_too_many_findings_assets_and_rules_are_refused(refused, monkeypatch):
    monkeypatch.setattr(spool, "MOST_FINDINGS", 1)
    assert refused(SARIF)["details"]["place"] == "finding 2"
    monkeypatch.setattr(spool, "MOST_FINDINGS", 100)
    monkeypatch.setattr(spool, "MOST_ASSETS", 1)
    monkeypatch.setattr(spool, "MOST_RULES", 0)
    assert "rule" in refused(SARIF)["details"]["place"]


def test_too_many_assets_are_refused(send, monkeypatch):
    monkeypatch.setattr(spool, "MOST_ASSETS", 1)
    told = send("asset,title,severity\na,T,low\nb,T,low\n", name="x.csv", expect=413)
    assert told["details"]["place"] == "asset 2: 'b'"
    assert Asset.select().count() == 0


def test_a_zip_bomb_a_broken_zip_and_one_of_something_else_are_refused(refused):
    refused(zipped({"a.json": b"[" + b" " * (30 * 2**20) + b"]"}))
    refused(zipped({"page.json": SONAR[:-5]}))
    refused(zipped({"page.json": SONAR, "other.json": b'{"a": 1}'}))
    refused(zipped({"page.txt": SONAR}))
    refused(zipped({"page.json": SONAR, **{f"{number}.txt": b"" for number in range(limits.MOST_MEMBERS)}}))
    refused(zipped({"page.json": SONAR})[:-30])


def test_a_file_that_is_too_large_is_refused(refused, send, monkeypatch, client, headers):
    for module in (report, upload):
        monkeypatch.setattr(module, "LARGEST_REPORT", 1000)
    monkeypatch.setattr(upload, "_AROUND_THE_FILE", 100)
    answer = client.post("/api/imports?asset=shop", data=b"x" * 2000, headers=headers)
    assert (answer.status_code, answer.get_json()["details"]["place"]) == (413, "byte 1000")
    chunked = client.post("/api/imports?asset=shop", input_stream=io.BytesIO(b"x" * 2000), headers=headers,
                          environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""})
    assert chunked.status_code == 413


def test_other_routes_keep_their_own_limit(uploading):
    client, headers = uploading(max_request_mb=1)
    body = json.dumps({"name": "x" * 2**21})
    assert client.post("/api/customers", data=body, content_type="application/json", headers=headers).status_code == 413
    assert client.post("/api/imports?asset=x", data=b"{" + b" " * 2**21, headers=headers).status_code in (400, 415)


def test_who_is_not_signed_in_learns_nothing_of_his_file(client):
    for body in (SARIF, b"{", b""):
        assert client.post("/api/imports", data=body).status_code == 401


def test_the_refusal_names_format_and_place(send):
    told = send(SARIF.replace(b'"Finding 2"', b"oops"), asset="shop", expect=400)
    assert told["error"].startswith("SARIF 2.1: ")
    assert told["details"]["format"] == "sarif"
    assert told["details"]["place"].startswith("/runs/0/results/1/message/text (line 1, column ")
    told = send(CHECKMARX_XML.replace(b'Line="38"', b'Line="x"'), asset="shop", expect=400)
    assert told["details"]["place"] == "/CxXMLResults/Query/Result (line 3)"


# -- anything at all -------------------------------------------------------------------------------------------------------------

MUTATION = st.tuples(st.sampled_from(["cut", "drop", "double", "flip", "insert", "swap"]), st.floats(0, 1), st.floats(0, 1),
                     st.sampled_from([b"\x00", b"\xff", b'"', b"{", b"}", b"[", b"]", b",", b"null", b"1e400", b"-", b"<", b">", b"&x;",
                                      b"\\u", b"\\ud800", b"\n", b"\xc3\xa9", b"true", b"\x1f"]))


def mutated(body: bytes, steps: list[tuple[str, float, float, bytes]]) -> bytes:
    """A report after some accidents."""
    for what, first, second, piece in steps:
        start, end = sorted((int(first * len(body)), int(second * len(body))))
        end = min(end, start + 60)
        match what:
            case "cut":
                body = body[:start]
            case "drop":
                body = body[:start] + body[end:]
            case "double":
                body = body[:end] + body[start:end] + body[end:]
            case "flip":
                body = body[:start] + bytes(255 - byte for byte in body[start:start + 1]) + body[start + 1:]
            case "insert":
                body = body[:start] + piece + body[start:]
            case "swap":
                body = body[:start] + piece + body[end:]
    return body


@given(body=st.sampled_from([body for _, body in EVERY]), steps=st.lists(MUTATION, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_report_is_read_or_refused_and_nothing_else(parsers_of_all, body, steps):
    damaged = mutated(body, steps)
    for parser in parsers_of_all:
        kept = Spool(None, AssetDraft("x", "x", "report"))
        with suppress(ReportInvalid, BadRequest), on_disk(iter([damaged])) as sent:  # an empty one is a BadRequest
            parser.recognises(sent.head())
            kept.fill(parser.read(sent))
        kept.close()


@given(named=st.sampled_from(EVERY), steps=st.lists(MUTATION, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_upload_is_stored_or_leaves_no_trace(uploading, named, steps):
    client, headers = uploading()
    before = all_rows()
    answer = client.post("/api/imports?asset=shop", data=mutated(named[1], steps), headers=headers)
    assert answer.status_code in (201, 202, 400, 413, 415), answer.text
    if answer.status_code >= 400:
        assert answer.get_json()["details"]["place"], answer.text
        assert all_rows() == before
