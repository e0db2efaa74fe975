"""What is left beside the parts: it comes back as it was, or not at all."""

import re
from typing import Any

import msgspec
import pytest

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.errors import IrisCheckpointError
from airflow_provider_trackunit.iris.export.folder.checkpoint import (
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from airflow_provider_trackunit.iris.export.formats.lines import lines_encoding
from airflow_provider_trackunit.iris.export.manifest import (
    Manifest,
    Part,
    Run,
    Skipped,
    read_manifest,
    utc_text,
    write_manifest,
)
from airflow_provider_trackunit.iris.export.request import ExportRequest
from airflow_provider_trackunit.iris.http.tokens import Credentials
from airflow_provider_trackunit.iris.pages.frontier import Frontier
from airflow_provider_trackunit.iris.pages.walk import OpenWalk

ORIGIN = "https://iris.trackunit.com"
RUN = Run("fleet", "assets", "manual__1", 3)
CHECKPOINT = Checkpoint(
    request="f",
    run=RUN,
    writer="w",
    started_at_s=1.0,
    saved_at_s=2.0,
    frontier=Frontier(
        next_item=3,
        open=(OpenWalk(1, ({"page": 3}, {"page": 5}), reached=6, records=9, announced=(9, 8)),),
        given_up=(OpenWalk(0, ({"page": 0},)),),
        came=2,
    ),
    parts=(Part("part-00000-0123456789abcdef.jsonl.gz", 4, 77),),
    skipped=(Skipped({"pin": "X"}, 404, None),),
    bad_values={"hours": 1},
    requests=7,
)
MANIFEST = Manifest(
    endpoint="/api/x",
    output_path="s3://lake/x",
    records=4,
    parts=(Part("part-00000-0123456789abcdef.jsonl", 4, 77),),
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
    stored = {**msgspec.to_builtins(CHECKPOINT), "version": 4}
    with pytest.raises(IrisCheckpointError, match=r"_checkpoint\.json is of version 4.*writes 3"):
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
        b'{"version":3}',
        b'{"version":"3"}',
        msgspec.json.encode(CHECKPOINT)[:-9],
        b"[" * 100_000,
    ],
)
def test_a_checkpoint_that_is_cut_off_or_foreign_says_so(data: bytes) -> None:
    with pytest.raises(IrisCheckpointError, match=r"^_checkpoint\.json cannot be read \(.+\)"):
        read_checkpoint(data)


def test_a_manifest_comes_back_as_it_was() -> None:
    assert read_manifest(write_manifest(MANIFEST)) == MANIFEST


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", msgspec.json.encode(MANIFEST)[:-9], b"[" * 100_000])
def test_a_manifest_that_cannot_be_read_is_none(data: bytes) -> None:
    assert read_manifest(data) is None


def test_a_manifest_of_version_0_1_0_is_still_read() -> None:
    old = {
        "endpoint": "/api/x",
        "output_path": "s3://lake/x",
        "records": 4,
        "parts": [{"name": "part-00000.jsonl.gz", "records": 4, "bytes": 77}],
        "compression": "gzip",
        "announced": 4,
        "skipped": [{"path_params": {"pin": "X"}, "status": 404, "code": None}],
        "requests": 1,
        "started_at": "2026-01-15T06:00:00Z",
        "finished_at": "2026-01-15T06:00:02Z",
        "run": {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1},
    }
    manifest = read_manifest(msgspec.json.encode(old))
    assert manifest is not None
    assert manifest.files == {"part-00000.jsonl.gz"}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(Run("fleet", "assets", "manual__1", 4), True, id="another item of the same task"),
        pytest.param(RUN, True, id="itself"),
        pytest.param(Run("other", "assets", "manual__1", 4), False, id="another dag"),
        pytest.param(Run("fleet", "other", "manual__1", 4), False, id="another task"),
        pytest.param(Run("fleet", "assets", "manual__2", 4), False, id="another run"),
    ],
)
def test_the_map_index_is_no_part_of_what_a_task_does(other: Run, same: bool) -> None:
    assert RUN.is_same_work(other) is same
    assert other.is_same_work(RUN) is same


ACCOUNT = Credentials("client", "secret", "user", "password")


def fingerprint(
    calls: list[Call], compression: str | None = "gzip", account: Credentials = ACCOUNT, **options: Any
) -> str:
    encoding = lines_encoding(compression)
    return ExportRequest("/api/x", "memory://x", calls, encoding=encoding, **options).fingerprint(account)


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


@pytest.mark.parametrize(
    "account",
    [
        pytest.param(Credentials("another", "secret", "user", "password"), id="another client"),
        pytest.param(Credentials("client", "secret", "another", "password"), id="another user"),
    ],
)
def test_another_account_asks_for_something_else(account: Credentials) -> None:
    assert fingerprint([ASKED], account=account) != fingerprint([ASKED])


def test_a_corrected_secret_is_the_same_account() -> None:
    corrected = Credentials("client", "new secret", "user", "new password")
    assert fingerprint([ASKED], account=corrected) == fingerprint([ASKED])


def test_the_items_are_part_of_the_request() -> None:
    assert fingerprint([ASKED], items=[{"pin": 1}]) != fingerprint([ASKED], items=[{"pin": 2}])
    assert fingerprint([ASKED], items=[{}]) != fingerprint([ASKED])


def test_headers_do_not_change_what_is_written() -> None:
    assert fingerprint([call(headers={"X-Trace": "1"})], None) == fingerprint([call()], None)


def test_the_time_is_written_in_utc_to_the_second() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_text(1_800_000_000.9))
