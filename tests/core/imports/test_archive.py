"""Files in a ZIP: read in place, counted as they are unpacked."""

import io
import json
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports.archive import first_member, is_archive, members
from core.imports.json_stream import Bytes, JsonStream
from core.imports.limits import HEAD, MOST_MEMBERS


def packed(files, compression=zipfile.ZIP_DEFLATED):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as made:
        for name, body in files.items():
            made.writestr(name, body)
    return held.getvalue()


def walked(data):
    """Every JSON file's document, by name."""
    with members(Bytes(data), ".json") as found:
        documents = {}
        for member in found:
            with JsonStream(member) as document:
                documents[member.name] = document.value()
        return documents


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_the_files_are_read_by_name_and_others_are_left_alone(compression):
    data = packed({"pages/2.json": "[2]", "README.txt": "x" * 100_000, "pages/1.JSON": "[1]", "folder.json/": ""}, compression)
    assert walked(data) == {"pages/1.JSON": [1], "pages/2.json": [2]}
    assert is_archive(data)


def test_an_archive_without_files_is_an_archive():
    assert is_archive(packed({}))
    assert walked(packed({})) == {}


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_the_first_file_shows_from_the_head(compression):
    body = json.dumps({"issues": [{"key": str(number)} for number in range(5000)]})
    data = packed({"notes.txt": "n" * 3000, "page.json": body}, compression)
    assert first_member(data[:HEAD], ".json").startswith(b'{"issues": [{"key": "0"}')
    assert first_member(packed({"a.txt": "x"})[:HEAD], ".json") == b""
    assert first_member(b"PK\x03\x04", ".json") == b""


def test_a_zip_bomb_is_refused_before_it_goes_off():
    bomb = packed({f"{number}.json": b"[" + b" " * 30_000_000 + b"]" for number in range(40)})
    assert len(bomb) < 2_000_000
    with pytest.raises(ReportTooLarge):
        walked(bomb)


def test_too_many_files_are_refused():
    with pytest.raises(ReportTooLarge, match="at most"):
        walked(packed({f"{number}.txt": "" for number in range(MOST_MEMBERS + 1)}))


def test_a_file_that_lies_about_its_size_is_cut_there():
    data = bytearray(packed({"a.json": b"[" + b"1," * 5000 + b"1]"}))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24:directory + 28] = (10).to_bytes(4, "little")
    with pytest.raises(ReportInvalid):
        walked(bytes(data))


def test_an_encrypted_or_damaged_file_is_named():
    data = bytearray(packed({"a.json": b"[1]"}))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ReportInvalid) as refusal:
        walked(bytes(data))
    assert refusal.value.place == "'a.json' in the ZIP"


@given(st.integers(0, 400), st.integers(0, 255), st.booleans())
@settings(max_examples=200, deadline=None)
def test_damage_anywhere_is_told_or_does_no_harm(at, byte, cut):
    data = bytearray(packed({"a.json": json.dumps(list(range(60))), "b.txt": "x"}))
    at %= len(data)
    data[at] = byte
    damaged = bytes(data[:at] if cut else data)
    first_member(damaged, ".json")
    with suppress(ReportInvalid):
        walked(damaged)
