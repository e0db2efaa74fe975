"""Records become JSON Lines, byte for byte as they came."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.export.parts import PartBuffer, request_member


def raws(*texts: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(text.encode()) for text in texts]


def test_a_record_is_written_as_it_was_received() -> None:
    buffer = PartBuffer(None)
    buffer.add(raws('{"n":1.10,"big":12345678901234567890}', '{ "a" : [ ] }'))
    assert buffer.finish() == b'{"n":1.10,"big":12345678901234567890}\n{ "a" : [ ] }\n'


def test_gzip_is_one_member_that_every_reader_opens() -> None:
    buffer = PartBuffer("gzip")
    buffer.add(raws('{"a":1}'))
    buffer.add(raws('{"a":2}'))
    assert gzip.decompress(buffer.finish()) == b'{"a":1}\n{"a":2}\n'


def test_the_same_records_make_the_same_bytes() -> None:
    def part() -> bytes:
        buffer = PartBuffer("gzip")
        buffer.add(raws('{"a":1}'))
        return buffer.finish()

    assert part() == part()


def test_size_and_records_are_counted_before_compression() -> None:
    buffer = PartBuffer("gzip")
    buffer.add(raws("{}", '{"a":1}'))
    assert (buffer.records, buffer.raw_bytes) == (2, 11)
    buffer.add(raws("[]"))
    assert (buffer.records, buffer.raw_bytes) == (3, 14)


def test_a_page_without_records_changes_nothing() -> None:
    buffer = PartBuffer(None)
    buffer.add([])
    assert (buffer.records, buffer.raw_bytes, buffer.finish()) == (0, 0, b"")


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
    buffer = PartBuffer(None)
    buffer.add(raws(record), request_member({"pin": "Ä 1"}))
    assert json.loads(buffer.finish()) == expected


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(IrisConfigurationError, match="compression"):
        PartBuffer("zip")
