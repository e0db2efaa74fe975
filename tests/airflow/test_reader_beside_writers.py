"""What a reader sees beside writers that are killed; ``make reader`` looks for longer, and at a local folder too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.airflow.reader_beside_writers import bucket, kill_writers_beside_a_reader

if TYPE_CHECKING:
    import pytest


def test_in_s3_a_reader_sees_whole_results_alone_once_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW_CONN_TRACKUNIT_DEFAULT", "AIRFLOW_CONN_READER_BESIDE_WRITERS"):
        monkeypatch.setenv(name, "")  # what the run sets goes with the test
    with bucket() as (output_path, conn_id):
        seen = kill_writers_beside_a_reader(output_path, conn_id, runs=4, seed=7)
    assert seen["whole"] > 0
    assert seen["tries that ended well"] >= 2
