"""What is left beside the parts: it comes back as it was, or not at all."""

import re
from typing import Any

import msgspec
import pytest

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.errors import IrisCheckpointError
from airflow_provider_trackunit.iris.export.results import (
    Checkpoint,
    Manifest,
    Part,
    Run,
    Skipped,
    fingerprint,
    is_ours,
    now,
    part_name,
    read_checkpoint,
    read_manifest,
    write_checkpoint,
)
from airflow_provider_trackunit.iris.pages.position import Ahead, Open, Position

ORIGIN = "https://iris.trackunit.com"
RUN = Run("fleet", "assets", "manual__1", 3)
CHECKPOINT = Checkpoint(
    fingerprint="f",
    run=RUN,
    writer="w",
    started_at="2026-01-15T06:00:00Z",
    position=Position(
        next_item=2, open=[Open(1, {"page": 3})], ahead=[Ahead(1, {"page": 5}, None)], announced=9
    ),
    parts=[Part("part-00000.jsonl.gz", 4, 77)],
    skipped=[Skipped({"pin": "X"}, 404, None)],
    requests=7,
)
MANIFEST = Manifest(
    endpoint="/api/x",
    output_path="s3://lake/x",
    records=4,
    parts=[Part("part-00000.jsonl", 4, 77)],
    compression=None,
    announced=None,
    skipped=[],
    requests=1,
    started_at="2026-01-15T06:00:00Z",
    finished_at="2026-01-15T06:00:02Z",
    run=RUN,
)


def call(path: str = "/api/x", origin: str = ORIGIN, **request: Any) -> Call:
    return make_call(origin, path, **request)


def test_a_checkpoint_comes_back_as_it_was() -> None:
    assert read_checkpoint(write_checkpoint(CHECKPOINT)) == CHECKPOINT


def test_a_checkpoint_that_was_edited_or_damaged_is_not_used() -> None:
    stored = write_checkpoint(CHECKPOINT)
    edited = stored.replace(b'"requests":7', b'"requests":8')
    assert edited != stored
    with pytest.raises(
        IrisCheckpointError, match=r"_checkpoint\.json cannot be read \(its checksum is another\)"
    ):
        read_checkpoint(edited)


def test_a_checkpoint_of_another_version_is_not_half_understood() -> None:
    stored = {**msgspec.to_builtins(CHECKPOINT), "version": 2}
    with pytest.raises(IrisCheckpointError, match=r"_checkpoint\.json is of version 2.*writes 1"):
        read_checkpoint(msgspec.json.encode(stored))


def test_the_version_is_read_first_so_that_a_new_shape_is_not_called_broken() -> None:
    with pytest.raises(IrisCheckpointError, match="version 9"):
        read_checkpoint(b'{"version": 9, "all": "else is new"}')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"{}",
        b'{"version":1}',
        b'{"version":"1"}',
        msgspec.json.encode(CHECKPOINT)[:-9],
        b"[" * 100_000,
    ],
)
def test_a_checkpoint_that_is_cut_off_or_foreign_says_so(data: bytes) -> None:
    with pytest.raises(IrisCheckpointError, match=r"^_checkpoint\.json cannot be read \(.+\)"):
        read_checkpoint(data)


def test_a_manifest_comes_back_as_it_was() -> None:
    assert read_manifest(msgspec.json.encode(MANIFEST)) == MANIFEST


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", msgspec.json.encode(MANIFEST)[:-9], b"[" * 100_000])
def test_a_manifest_that_cannot_be_read_is_none(data: bytes) -> None:
    assert read_manifest(data) is None


@pytest.mark.parametrize(
    ("other", "siblings"),
    [
        pytest.param(Run("fleet", "assets", "manual__1", 4), True, id="another item of the same task"),
        pytest.param(RUN, False, id="itself"),
        pytest.param(Run("other", "assets", "manual__1", 4), False, id="another dag"),
        pytest.param(Run("fleet", "other", "manual__1", 4), False, id="another task"),
        pytest.param(Run("fleet", "assets", "manual__2", 4), False, id="another run"),
    ],
)
def test_mapped_instances_of_one_task_in_one_run_are_siblings(other: Run, siblings: bool) -> None:
    assert RUN.is_sibling_of(other) is siblings
    assert other.is_sibling_of(RUN) is siblings


ASKED = call(query_params={"size": 5}, method="POST", json={"a": 1, "b": [2]})


def test_the_same_request_has_the_same_fingerprint_however_its_body_is_ordered() -> None:
    again = call(query_params={"size": 5}, method="POST", json={"b": [2], "a": 1})
    assert fingerprint([ASKED], "gzip") == fingerprint([again], "gzip")


@pytest.mark.parametrize(
    ("calls", "compression"),
    [
        pytest.param([ASKED], None, id="another form of output"),
        pytest.param([ASKED, ASKED], "gzip", id="another number of items"),
        pytest.param([], "gzip", id="no item"),
        pytest.param(
            [call(query_params={"size": 6}, method="POST", json={"a": 1, "b": [2]})],
            "gzip",
            id="another query",
        ),
        pytest.param(
            [call(query_params={"size": 5}, method="POST", json={"a": 1, "b": [3]})],
            "gzip",
            id="another body",
        ),
        pytest.param(
            [call(query_params={"size": 5}, method="PUT", json={"a": 1, "b": [2]})],
            "gzip",
            id="another method",
        ),
        pytest.param(
            [call("/api/y", query_params={"size": 5}, method="POST", json={"a": 1, "b": [2]})],
            "gzip",
            id="another path",
        ),
        pytest.param(
            [
                call(
                    origin="https://x.example",
                    query_params={"size": 5},
                    method="POST",
                    json={"a": 1, "b": [2]},
                )
            ],
            "gzip",
            id="another IRIS",
        ),
    ],
)
def test_whatever_changes_the_output_changes_the_fingerprint(
    calls: list[Call], compression: str | None
) -> None:
    assert fingerprint(calls, compression) != fingerprint([ASKED], "gzip")


def test_headers_do_not_change_what_is_written() -> None:
    assert fingerprint([call(headers={"X-Trace": "1"})], None) == fingerprint([call()], None)


def test_parts_are_named_so_that_names_sort_as_numbers_do() -> None:
    names = [part_name(number, "gzip") for number in (0, 9, 10, 99_999)]
    assert names == [
        "part-00000.jsonl.gz",
        "part-00009.jsonl.gz",
        "part-00010.jsonl.gz",
        "part-99999.jsonl.gz",
    ]
    assert part_name(7, None) == "part-00007.jsonl"
    assert part_name(123_456, None) == "part-123456.jsonl"


@pytest.mark.parametrize(
    "name",
    ["_manifest.json", "_checkpoint.json", "part-00000.jsonl", "part-00001.jsonl.gz", "part-123456.jsonl"],
)
def test_the_files_of_an_export_may_be_deleted_by_the_next(name: str) -> None:
    assert is_ours(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "data.jsonl",
        "part-0.jsonl",
        "part-00000.jsonl.gz.bak",
        "my-part-00000.jsonl",
        "part-00000.parquet",
        "_manifest.json.old",
        "PART-00000.JSONL",
    ],
)
def test_the_files_of_others_are_left_alone(name: str) -> None:
    assert not is_ours(name)


def test_the_time_is_written_in_utc_to_the_second() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", now())
