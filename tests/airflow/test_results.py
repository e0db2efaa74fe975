"""What a downstream task reads a result with."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pytest

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisStorageError
from airflow_provider_trackunit.iris.export.formats.draft import Draft
from airflow_provider_trackunit.iris.export.formats.parquet import ParquetEncoding
from airflow_provider_trackunit.iris.export.typed.declaring import columns_for
from airflow_provider_trackunit.results import read_batches, read_manifest, read_records

if TYPE_CHECKING:
    from pathlib import Path


def result(folder: Path, parts: list[list[Any]], *, packed: bool = True, **others: Any) -> dict[str, Any]:
    """Write a result of these parts, and return its manifest."""
    named = []
    for number, records in enumerate(parts):
        text = "".join(json.dumps(record) + "\n" for record in records).encode()
        name = f"part-{number:05d}-0123456789abcdef.jsonl{'.gz' if packed else ''}"
        (folder / name).write_bytes(gzip.compress(text) if packed else text)
        named.append({"name": name, "records": len(records), "bytes": (folder / name).stat().st_size})
    manifest = {"output_path": f"file://{folder}", "records": sum(map(len, parts)), "parts": named, **others}
    (folder / "_manifest.json").write_text(json.dumps(manifest))
    return manifest


@pytest.mark.parametrize("packed", [True, False])
def test_records_come_back_as_they_were_written_part_by_part(tmp_path: Path, *, packed: bool) -> None:
    parts: list[list[Any]] = [
        [{"id": 1, "text": "a\nb"}, {"id": 2}],
        [],
        [{"id": 3, "big": 12345678901234567890}],
    ]
    manifest = result(tmp_path, parts, packed=packed)
    assert list(read_records(manifest)) == [record for part in parts for record in part]
    assert list(read_records(read_manifest(f"file://{tmp_path}"))) == list(read_records(manifest))


def test_a_part_is_not_read_before_its_turn(tmp_path: Path) -> None:
    manifest = result(tmp_path, [[{"id": 1}], [{"id": 2}]])
    records = read_records(manifest)
    (tmp_path / manifest["parts"][1]["name"]).unlink()
    assert next(records) == {"id": 1}
    with pytest.raises(FileNotFoundError):
        next(records)


def test_without_a_manifest_there_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_manifest(f"file://{tmp_path}")


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"parts": 3}', "{"])
def test_what_is_no_manifest_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "_manifest.json").write_text(text)
    with pytest.raises(IrisStorageError, match=r"_manifest\.json"):
        read_manifest(f"file://{tmp_path}")


@pytest.mark.parametrize("manifest", [{}, {"parts": []}, {"parts": 1, "output_path": "x"}])
def test_something_else_than_a_manifest_is_refused_at_once(manifest: dict[str, Any]) -> None:
    with pytest.raises(IrisConfigurationError, match="manifest"):
        read_records(manifest)


def test_a_part_with_another_number_of_records_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    manifest = result(tmp_path, [[{"id": 1}, {"id": 2}]])
    manifest["parts"][0]["records"] = 3
    records = read_records(manifest)
    assert [next(records), next(records)] == [{"id": 1}, {"id": 2}]
    with pytest.raises(IrisStorageError, match="holds 2 records, and the manifest says 3"):
        next(records)


def test_a_hundred_thousand_records_are_read_in_flat_memory(tmp_path: Path) -> None:
    import tracemalloc

    manifest = result(tmp_path, [[{"id": number, "text": "x" * 200} for number in range(50_000)]])
    tracemalloc.start()
    count = sum(1 for _ in read_records(manifest))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 50_000
    assert peak < 40_000_000


def test_a_typed_result_is_read_as_batches_of_one_schema(tmp_path: Path) -> None:
    encoding = ParquetEncoding(columns_for("", columns={"id": ("id", "int64"), "at": ("at", "timestamp")}))
    parts = [
        encoding.join(Draft().adding(encoding, [msgspec.Raw(text)], None).encoded(encoding).blocks)
        for text in (b'{"id": 1, "at": "2026-01-15T06:00:00Z", "more": [1]}', b'{"id": 2}')
    ]
    for number, data in enumerate(parts):
        (tmp_path / f"part-{number}.parquet").write_bytes(data)
    named = [{"name": f"part-{number}.parquet", "records": 1} for number in range(2)]
    manifest = {"output_path": f"file://{tmp_path}", "parts": named, "format": "parquet"}
    table = pa.Table.from_batches(read_batches(manifest))
    assert table.to_pylist() == list(read_records(manifest))
    assert table["id"].to_pylist() == [1, 2]
    assert table["_extra"].to_pylist() == ['{"more":[1]}', None]
    assert table.schema.field("at").metadata == {b"type": b"timestamp", b"path": b"at"}


def test_batches_of_lines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IrisConfigurationError, match="read_records"):
        read_batches(result(tmp_path, [[{"id": 1}]]))


@pytest.mark.parametrize("kept", [0, 10, -9, -1])
def test_a_part_that_is_cut_off_is_named(tmp_path: Path, kept: int) -> None:
    manifest = result(tmp_path, [[{"id": number, "text": "x" * number} for number in range(50)]])
    part = tmp_path / manifest["parts"][0]["name"]
    part.write_bytes(part.read_bytes()[:kept])
    with pytest.raises(IrisStorageError, match=r"part-00000.*(cannot be read|holds 0 records)"):
        list(read_records(manifest))


@pytest.mark.parametrize("number", ["1e400", "9" * 5000, "-1e999"])
def test_one_absurd_number_does_not_keep_the_others_from_being_read(tmp_path: Path, number: str) -> None:
    manifest = result(tmp_path, [[{"id": 1}, {"id": 2}]], packed=False)
    part = tmp_path / manifest["parts"][0]["name"]
    part.write_text(f'{{"id":1,"value":{number}}}\n{{"id":2,"value":3}}\n')
    first, second = read_records(manifest)
    assert abs(first["value"]) == float("inf")
    assert second == {"id": 2, "value": 3}
