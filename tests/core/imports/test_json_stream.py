"""A JSON document, walked in flat memory, with the place of whatever is wrong."""

import io
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports import json_stream
from core.imports.json_stream import Bytes, JsonStream, outline
from core.imports.limits import DEEPEST, LARGEST_RECORD

JSON = st.recursive(st.none() | st.booleans() | st.integers(-10**20, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=40)


def rebuilt(stream):
    """The document, by walking into everything."""
    kind = stream.kind()
    if kind == "object":
        return {name: rebuilt(stream) for name in stream.members()}
    if kind == "array":
        return [rebuilt(stream) for _ in stream.items()]
    return stream.value()


class Dripping(Bytes):
    """Gives a few bytes at a time, so that everything is cut somewhere."""

    def __init__(self, data, step):
        super().__init__(data)
        self._step = step

    def open(self):
        whole = super().open()

        class Drops(io.RawIOBase):
            def read(_, size=-1):
                return whole.read(self._step)
        return Drops()


@given(JSON, st.integers(1, 7), st.sampled_from([None, 1, 4]))
@settings(max_examples=150, deadline=None)
def test_a_document_is_read_as_the_standard_library_reads_it_wherever_the_buffer_ends(document, step, indent):
    data = json.dumps(document, indent=indent, ensure_ascii=step % 2 == 0).encode("utf-8", "surrogatepass" if step % 2 == 0 else "replace")
    with JsonStream(Dripping(data, step)) as stream:
        assert rebuilt(stream) == json.loads(data)
    with JsonStream(Dripping(data, step)) as stream:
        assert stream.value() == json.loads(data)
    with JsonStream(Dripping(data, step)) as stream:
        stream.skip()


@given(JSON, st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_a_document_that_is_cut_anywhere_is_refused_unless_it_is_whole_all_the_same(document, cut, step):
    data = json.dumps(document).encode()
    shorter = data[:cut % len(data)]
    try:
        json.loads(shorter)
    except ValueError:
        with pytest.raises(ReportInvalid), JsonStream(Dripping(shorter, step)) as stream:
            rebuilt(stream)


@given(st.binary(max_size=200), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_all_are_read_or_refused(data, step):
    for walk in (rebuilt, JsonStream.value, JsonStream.skip):
        with JsonStream(Dripping(data, step)) as stream, suppress(ReportInvalid):
            walk(stream)
    outline(data)


def test_what_is_not_taken_is_passed_over():
    document = Bytes(b'{"a": [1, {"b": 2}], "c": {"d": [3]}, "e": "x"}')
    with JsonStream(document) as stream:
        assert list(stream.members()) == ["a", "c", "e"]
    with JsonStream(document) as stream:
        assert [stream.value() if name == "e" else None for name in stream.members()] == [None, None, "x"]


def test_a_value_larger_than_the_buffer_is_passed_over_in_flat_memory(monkeypatch):
    monkeypatch.setattr(json_stream, "_CHUNK", 64)
    monkeypatch.setattr(json_stream, "LARGEST_RECORD", 500)
    large = {"large": [[{"k": ["v" * 50]}] * 40] * 5, "small": 1}
    with JsonStream(Bytes(json.dumps(large).encode())) as stream:
        assert {name: stream.value() for name in stream.members() if name == "small"} == {"small": 1}


@pytest.mark.parametrize(("text", "place"), [
    (b'{"a": 1,\n "b": tru}', "/b (line 2, column 7)"),
    (b'{"a": 1,\n}', "/a (line 2, column 1)"),
    (b'{"runs": [{"results": [{}, {"level": }]}]}', "/runs/0/results/1/level (line 1, column 38)"),
    (b'{"a": [1, 2', "/a/1 (line 1, column 12)"),
    (b'{"a": "', "/a (line 1, column 8)"),
    (b'{"a": "x\x00y"}', "/a (line 1, column 9)"),
    (b"\x00\x00", "line 1, column 1"),
    (b'{"a": 1} trailing', "line 1, column 10"),
    (b'{"a" 1}', "line 1, column 6"),
    (b"{1: 2}", "line 1, column 2"),
    (b'{"a": [1 2]}', "/a/0 (line 1, column 10)"),
    (b'{"a": NaN}', "/a (line 1, column 7)"),
    (b'{"a/b": {"c~d": nil}}', "/a~1b/c~0d (line 1, column 17)"),
    ('{"é": "'.encode() + b'\xff"}', "/é (line 1, column 8)"),
    (b'{"a": ' + b"9" * 5000 + b"}", "/a (line 1, column 7)"),
    (b"", "line 1, column 1"),
])
def test_a_fault_is_told_by_pointer_line_and_column(text, place):
    with pytest.raises(ReportInvalid) as refusal, JsonStream(Bytes(text)) as stream:
        rebuilt(stream)
    assert refusal.value.place == place


def test_a_record_that_cannot_be_mapped_is_told_by_its_place():
    def keys(stream):
        return [key for _ in stream.members() for key in stream.each(lambda record: record["key"])]

    with JsonStream(Bytes(b'{"issues": [\n{"key": "a"},\n{"name": "b"}]}')) as stream, pytest.raises(ReportInvalid) as refusal:
        keys(stream)
    assert (str(refusal.value), refusal.value.place) == ("The field 'key' is missing", "/issues/1 (line 3, column 1)")


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
                                  b'{"x": ' + b"[" * DEEPEST + b"]" * DEEPEST + b"}"])
@pytest.mark.parametrize("walk", [rebuilt, JsonStream.value, JsonStream.skip])
def test_what_is_nested_too_deeply_is_refused(deep, walk):
    with pytest.raises(ReportTooLarge, match="levels deep"), JsonStream(Bytes(deep)) as stream:
        walk(stream)


def test_what_is_nested_just_so_deeply_is_read():
    data = b"[" * DEEPEST + b"]" * DEEPEST
    for walk in (rebuilt, JsonStream.value, JsonStream.skip):
        with JsonStream(Bytes(data)) as stream:
            walk(stream)


@pytest.mark.parametrize("data", [b'["' + b"x" * (LARGEST_RECORD + 2**20) + b'"]', b"[" + b"1" * (LARGEST_RECORD + 2**20) + b"]"])
def test_a_text_or_number_without_end_is_refused(data):
    for walk in (rebuilt, JsonStream.skip):
        with pytest.raises(ReportInvalid) as refusal, JsonStream(Bytes(data)) as stream:
            walk(stream)
        assert refusal.value.place == "/0 (line 1, column 2)"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(encoding):
    with JsonStream(Bytes('{"é": "🐟"}'.encode(encoding))) as stream:
        assert rebuilt(stream) == {"é": "🐟"}


def test_the_outline_of_a_head_has_what_is_whole_in_it():
    head = b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Acme", "rules": [{"id": "a"}, {"i'
    assert outline(head) == {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Acme", "rules": [{"id": "a"}, {}]}}}]}
    assert outline('[{"a": "é'.encode()[:-1]) == [{}]
    assert outline(b"<?xml version='1.0'?>") is None
