"""The documented CSV."""

import pytest

from core.hooks.contracts import Severity, SourceState
from core.imports.formats.csv_table import CsvReport
from tests.core.imports.reading import assets_of, drafts_of, findings_of, refusal_of

PARSER = CsvReport()


def test_a_row_is_a_finding():
    (finding,) = findings_of(PARSER, "title,severity,key,state,category,rule,description,cwe,cve,path,line,url,created,updated\n"
                             'SQL injection,High,F-1,accepted,vulnerability,sql,"in ""find""",CWE-89; 564,CVE-2024-12345,'
                             "src/a.py,12,https://a.example,2026-01-02T00:00:00Z,2026-01-03\n")
    assert (finding.source_key, finding.title) == ("F-1", "SQL injection")
    assert (finding.severity, finding.state) == (Severity.HIGH, SourceState.ACCEPTED)
    assert (finding.cwe, finding.cve, finding.path, finding.line) == ((89, 564), ("CVE-2024-12345",), "src/a.py", 12)
    assert (finding.rule, finding.description, finding.category) == ("sql", 'in "find"', "vulnerability")
    assert (finding.created_at, finding.updated_at) == (1767312000000, 1767398400000)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_line_endings_and_encodings_of_spreadsheets_are_understood(separator, ending, encoding):
    rows = [["Severity", "TITLE", "Ignored"], ["low", "é\nover two lines", "x"], ["", "", ""], ["critical", "second", ""]]
    text = ending.join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    findings = findings_of(PARSER, text.encode(encoding))
    assert [(finding.title, finding.severity.name) for finding in findings] == [("é\nover two lines", "LOW"), ("second", "CRITICAL")]


def test_rows_without_a_key_are_told_apart_by_what_they_say_and_the_line_is_a_second_chance():
    table = "title,severity,path,line\nA,low,x,1\nA,low,x,2\nA,low,x,1\n"
    first, second, third = findings_of(PARSER, table)
    assert third.source_key == f"{first.source_key}:2"
    assert first.source_key != second.source_key
    assert first.fingerprint == second.fingerprint
    assert [finding.source_key for finding in findings_of(PARSER, table)] == [first.source_key, second.source_key, third.source_key]


def test_empty_cells_behind_the_last_column_are_no_fault():
    (finding,) = findings_of(PARSER, "title,severity\nA,high,, \n,,,\n")
    assert finding.title == "A"


def test_a_column_may_say_which_asset_a_row_is_of():
    assert assets_of(PARSER, "asset,title,severity,key\nshop,A,low,1\nshop,B,low,2\nbank,C,low,3\nshop,D,low,4\n") == {
        "shop": ["1", "2", "4"], "bank": ["3"]}


@pytest.mark.parametrize(("table", "said", "place"), [
    ("title,severity\nA,terrible\n", "severity is 'terrible'", "row 2 (line 2)"),
    ('title,severity\n"A\n\nB",low\nC,\n', "severity is ''", "row 3 (line 5)"),
    ("title,severity\n,low\n", "title is empty", "row 2 (line 2)"),
    ("title,severity,state\nA,low,perhaps\n", "state is 'perhaps'", "row 2 (line 2)"),
    ("title,severity,cwe\nA,low,eleven\n", "cwe is 'eleven'", "row 2 (line 2)"),
    ("title,severity,cve\nA,low,2024\n", "cve is '2024'", "row 2 (line 2)"),
    ("title,severity,line\nA,low,-3\n", "line is '-3'", "row 2 (line 2)"),
    ("title,severity,created\nA,low,today\n", "created is 'today'", "row 2 (line 2)"),
    ("title,severity\nA,low,more,cells\n", "4 cells", "row 2 (line 2)"),
    ("title,severity,title\nA,low,B\n", "same name", "row 1 (line 1)"),
    ('title,severity\n"A,low\n', "unexpected end of data", "row 2 (line 2)"),
    ("title,severity\nA\x00,low\n", "NUL", "line 2, column 2"),
    (b"title,severity\nA\xff,low\n", "not valid UTF-8", "line"),
    ("title,severity\n" + "x" * 200_000 + ",low\n", "field larger", "row 2 (line 2)"),
    ("title,severity\n" + '"x\n",' * 1_100_000, "A row may have at most", "line"),
])
def test_what_is_not_sound_is_refused_by_its_row(table, said, place):
    refusal = refusal_of(PARSER, table)
    assert said in str(refusal)
    assert refusal.place.startswith(place)


def test_a_table_without_rows_holds_nothing():
    assert drafts_of(PARSER, "title,severity\n") == []


@pytest.mark.parametrize("data", ["title\nA\n", "a,b\n", "", "\n", "{}", "<a/>", "\x00\x01", '"title,severity'])
def test_other_content_is_not_taken_for_the_table(data):
    assert not PARSER.recognises(data.encode())
