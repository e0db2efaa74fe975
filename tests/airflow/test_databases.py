"""What a task opens the database with that its tables are merged into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import psycopg
import psycopg2
import pyarrow as pa
import pytest

from airflow_provider_trackunit.databases import open_database
from airflow_provider_trackunit.tables.merging import merge
from dev.parts import LOOPBACK, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_trackunit.emulator import IrisEmulator

# Which of the two drivers the hook takes is Airflow's choice.
REFUSED = (psycopg.OperationalError, psycopg2.OperationalError)
ROWS = pa.table({"asset": ["ACM1"], "hours": [1.5]})


def test_a_file_of_duckdb_is_made_with_its_folder_keeps_what_was_merged_and_is_closed(tmp_path: Path) -> None:
    file = f"{tmp_path}/new/folder/days.duckdb"
    with open_database(file) as connection:
        assert merge(connection, "hours", ROWS, key=["asset"]) == 1
    with pytest.raises(duckdb.ConnectionException):
        connection.sql("SELECT 1")
    with open_database(file) as connection:
        assert connection.sql("FROM hours").fetchall() == [("ACM1", 1.5)]


def test_any_other_text_is_the_id_of_an_airflow_connection_whose_own_hook_connects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f"postgresql://somebody:secret@{LOOPBACK}:{port}/fleet")
    with pytest.raises(REFUSED, match=str(port)):
        open_database("warehouse")


def test_a_connection_that_is_not_there_is_told_by_its_id() -> None:
    with pytest.raises(Exception, match="no_such_database"):
        open_database("no_such_database")


def test_the_connection_of_something_else_than_a_database_is_refused_by_the_merge(
    monkeypatch: pytest.MonkeyPatch, iris_emulator: IrisEmulator
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRACKUNIT_DEFAULT", iris_emulator.connection_json())
    with (
        open_database("trackunit_default") as connection,
        pytest.raises(TypeError, match="no connection of duckdb"),
    ):
        merge(connection, "hours", ROWS, key=["asset"])
