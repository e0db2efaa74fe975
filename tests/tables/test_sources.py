"""Where tables find the records of a result: wherever the manifest says, in any store that Airflow knows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_trackunit.iris.errors import IrisStorageError
from airflow_provider_trackunit.tables import readings

from .results import FLEET, equipment, hours, result
from .stores import attach_bucket
from .test_parquet import in_parquet

RECORDS = [
    equipment("ACM1", CumulativeIdleHours=hours(number, f"2026-01-15T0{number}:00:00Z"))
    for number in range(5)
]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that is a bucket of S3 for whoever has the connection ``vault``, and for nobody else."""
    root = tmp_path_factory.mktemp("vault")
    attach_bucket("vault", DirFileSystem(str(root), LocalFileSystem()))
    return root / "bucket"


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    "where",
    [
        {"output_path": "s3://vault@bucket/{name}"},
        {"output_path": "s3://bucket/{name}/", "output_conn_id": "vault"},
    ],
    ids=["in the path", "beside it"],
)
def test_a_result_is_read_with_the_connection_it_was_written_with(
    vault: Path, where: dict[str, str], file_format: str
) -> None:
    manifest = result(vault, FLEET, RECORDS)
    if file_format == "parquet":
        manifest = in_parquet(Path(manifest["output_path"]), manifest, RECORDS)
    name = os.path.basename(manifest["output_path"])  # noqa: PTH119 - of a path in a bucket
    there = manifest | {argument: text.format(name=name) for argument, text in where.items()}
    assert readings(there).to_pylist() == readings(manifest).to_pylist()
    assert len(readings(there)) == len(RECORDS)


def test_a_part_that_is_gone_is_told(tmp_path: Path) -> None:
    manifest = result(tmp_path, FLEET, RECORDS, per_part=2)
    (Path(manifest["output_path"]) / manifest["parts"][1]["name"]).unlink()
    with pytest.raises(FileNotFoundError, match=r"part-00001"):
        readings(manifest)


@pytest.mark.parametrize("kept", [0, 10, 60, -9, -1])
def test_a_part_that_is_cut_off_is_told_and_never_read_as_a_shorter_one(tmp_path: Path, kept: int) -> None:
    manifest = result(tmp_path, FLEET, RECORDS)
    part = Path(manifest["output_path"]) / manifest["parts"][0]["name"]
    part.write_bytes(part.read_bytes()[:kept])
    with pytest.raises(IrisStorageError, match=r"part-00000"):
        readings(manifest)
