"""Records become JSON Lines, byte for byte as they came."""

from __future__ import annotations

import gzip
import json
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.formats.draft import Draft, request_member
from airflow_provider_trackunit.iris.export.formats.lines import lines_encoding


def raws(*texts: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(text.encode()) for text in texts]


def part(compression: str | None, *pages: list[msgspec.Raw], request: bytes | None = None) -> bytes:
    """Return the file of these pages."""
    encoding = lines_encoding(compression)
    draft = Draft()
    for page in pages:
        draft = draft.adding(encoding, page, request)
    return encoding.join(draft.encoded(encoding).blocks)


def test_a_record_is_written_as_it_was_received() -> None:
    lines = part(None, raws('{"n":1.10,"big":12345678901234567890}', '{ "a" : [ ] }'))
    assert lines == b'{"n":1.10,"big":12345678901234567890}\n{ "a" : [ ] }\n'


def test_gzip_is_one_member_that_every_reader_opens() -> None:
    data = part("gzip", raws('{"a":1}'), raws('{"a":2}'))
    member = zlib.decompressobj(wbits=31)
    assert member.decompress(data) == b'{"a":1}\n{"a":2}\n'
    assert member.eof
    assert member.unused_data == b""


def test_a_file_without_records_can_be_read_too() -> None:
    assert (part(None), gzip.decompress(part("gzip"))) == (b"", b"")


@given(
    st.lists(st.lists(st.integers(0, 10**6), max_size=5), max_size=30),
    st.integers(1, 3),
    st.sampled_from(["gzip", None]),
)
def test_however_pages_fall_into_blocks_the_lines_are_all_there_in_order(
    pages: list[list[int]], width: int, compression: str | None
) -> None:
    wide = [[str(number) * width * 4000 for number in page] for page in pages]
    data = part(compression, *(raws(*page) for page in wide))
    text = gzip.decompress(data) if compression else data
    assert text.decode().splitlines() == [line for page in wide for line in page]


def test_the_same_records_make_the_same_bytes() -> None:
    assert part("gzip", raws('{"a":1}')) == part("gzip", raws('{"a":1}'))


def test_a_draft_stays_what_it_was_whatever_is_added_to_it() -> None:
    encoding = lines_encoding("gzip")
    draft = Draft().adding(encoding, raws('{"a":1}'))
    draft.adding(encoding, raws('"' + "x" * 10**6 + '"'))
    draft.adding(encoding, raws('{"a":3}')).encoded(encoding)
    assert gzip.decompress(encoding.join(draft.encoded(encoding).blocks)) == b'{"a":1}\n'


def test_size_and_records_are_counted_before_compression() -> None:
    encoding = lines_encoding("gzip")
    draft = Draft().adding(encoding, raws("{}", '{"a":1}'))
    assert (draft.records, draft.raw_bytes) == (2, 11)
    draft = draft.adding(encoding, raws("[]")).encoded(encoding)
    assert (draft.records, draft.raw_bytes) == (3, 14)


def test_a_page_without_records_changes_nothing() -> None:
    assert Draft().adding(lines_encoding(None), []) == Draft()


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"a":1}', {"_request": {"pin": "Ä 1"}, "a": 1}),
        ("{}", {"_request": {"pin": "Ä 1"}}),
        ("{ }", {"_request": {"pin": "Ä 1"}}),
        ('"an-id"', {"_request": {"pin": "Ä 1"}, "value": "an-id"}),
        ("[1]", {"_request": {"pin": "Ä 1"}, "value": [1]}),
    ],
)
def test_a_record_of_an_item_carries_its_item(record: str, expected: object) -> None:
    assert json.loads(part(None, raws(record), request=request_member({"pin": "Ä 1"}))) == expected


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(IrisConfigurationError, match="compression"):
        lines_encoding("zip")
