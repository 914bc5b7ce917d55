"""The records of an XML document, in flat memory, with the place of whatever is wrong."""

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.hooks.failures import ReportInvalid, ReportTooLarge
from core.imports.json_stream import Bytes
from core.imports.limits import DEEPEST, LARGEST_RECORD
from core.imports.xml_stream import Root, elements, root

BOM = b"""<?xml version="1.0" encoding="UTF-8"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.4" xmlns:v="urn:v">
  <metadata stamp="now"/>
  <vulnerabilities>
    <v:vulnerability ref="a"><id>CVE-1</id><ratings><rating>high</rating><rating>low</rating></ratings></v:vulnerability>
    <vulnerability><id> CVE-2
    </id></vulnerability>
  </vulnerabilities>
</bom>
"""


def all_of(data, records=("vulnerability",), opening=()):
    return list(elements(Bytes(data), records, opening))


def test_records_come_whole_with_their_places_and_without_their_namespaces():
    first, second = all_of(BOM)
    assert (first.name, first.attributes, first.said("id")) == ("vulnerability", {"ref": "a"}, "CVE-1")
    assert [rating.text for rating in first.all("ratings", "rating")] == ["high", "low"]
    assert (second.said("id"), second.said("ratings", "rating"), second.child("ratings")) == ("CVE-2", "", None)
    assert [first.place, second.place] == ["/bom/vulnerabilities/vulnerability (line 5)", "/bom/vulnerabilities/vulnerability[2] (line 6)"]


def test_what_opens_is_told_before_what_is_in_it():
    assert [element.name for element in all_of(BOM, ["vulnerability"], ["bom", "metadata"])] == [
        "bom", "metadata", "vulnerability", "vulnerability"]


def test_a_record_within_a_record_comes_with_the_outer_one():
    (outer,) = all_of(b"<c><component><component/></component></c>", ["component"])
    assert [inner.name for inner in outer.children] == ["component"]


def test_a_record_that_cannot_be_mapped_is_told_by_its_place():
    with pytest.raises(ReportInvalid) as refusal:
        all_of(BOM)[1].mapped(lambda element: element.attributes["ref"])
    assert (str(refusal.value), refusal.value.place) == ("The field 'ref' is missing", "/bom/vulnerabilities/vulnerability[2] (line 6)")


@pytest.mark.parametrize(("data", "place"), [
    (b"<a>\n<b></a>", "line 2, column 6"),
    (b"<a>\n<b>", "line 2, column 4"),
    (b"", "line 1, column 1"),
    (b"no xml", "line 1, column 1"),
    (b"<a>\x00</a>", "line 1, column 4"),
    (b"<a>\xff\xfe</a>", "line 1, column 4"),
    (b"<a/><b/>", "line 1, column 5"),
    (b"<a>&nothing;</a>", "line 1, column 4"),
    (b'<?xml version="1.0" encoding="klingon"?><a/>', "line 1"),
    (b'<?xml version="1.0" encoding="shift_jis"?><a/>', "line 1"),
    (b'<!DOCTYPE a [<!ENTITY x "x">]><a>&x;</a>', "line 1"),
    (b'\n<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "line 2"),
])
def test_a_fault_is_told_by_line_and_column(data, place):
    with pytest.raises(ReportInvalid) as refusal:
        all_of(data, ["a"])
    assert refusal.value.place == place


def test_a_billion_laughs_are_refused_before_the_first_one():
    laughs = b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)) + b"]><l>&j;</l>"
    with pytest.raises(ReportInvalid, match="document type"):
        all_of(laughs, ["l"])


@pytest.mark.parametrize("data", [
    b"<a>" * (DEEPEST + 1),
    b"<record>" + b"<a>" * DEEPEST,
    b"<a><record>" + b"x" * (LARGEST_RECORD + 2**17) + b"</record></a>",
    b"<a><record>" + b"<b/>" * (LARGEST_RECORD // 40) + b"</record></a>",
    b'<a><record b="' + b"x" * (LARGEST_RECORD + 2**17) + b'"/></a>',
    b"<a>" + b"".join(b"<n%d/>" % number for number in range(3000)) + b"</a>",
], ids=["depth", "depth in a record", "text", "elements", "attribute", "names"])
def test_a_bound_that_is_passed_is_told(data):
    with pytest.raises(ReportTooLarge):
        all_of(data, ["record"])


@given(st.binary(max_size=120) | st.text("<>/ab =\"'&;![]-?x", max_size=120).map(str.encode))
@example(b"<a>&a;</a>")
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_all_are_read_or_refused(data):
    with suppress(ReportInvalid):
        all_of(data, ["a"], ["b"])
    root(data)


def test_the_root_is_known_from_a_head_that_is_cut():
    assert root(BOM[:130]) == Root("bom", "http://cyclonedx.org/schema/bom/1.4", {})
    assert root(b"\xef\xbb\xbf \n<CxXMLResults ProjectName='Shop'><Quer") == Root("CxXMLResults", "", {"ProjectName": "Shop"})
    assert root(b'{"version": "<a/>"}') is None
    assert root(b"<a") is None


def test_what_is_no_record_may_be_as_long_as_it_likes():
    data = b"<a><other>" + b"x" * (LARGEST_RECORD + 2**17) + b"</other><record/></a>"
    assert len(all_of(data, ["record"])) == 1
