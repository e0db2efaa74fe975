"""A table is merged by its key, whole or not at all, and a second time changes nothing: in DuckDB.

What holds for PostgreSQL too is in ``merges.py``, and runs there with ``make tables``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from airflow_provider_trackunit.tables.databases import database_of
from airflow_provider_trackunit.tables.merging import MergeError, merge

from .merges import *  # noqa: F403 - the tests that both databases pass

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def connection() -> Iterator[Any]:
    with duckdb.connect() as database:
        yield database


def test_a_connection_of_another_database_is_refused() -> None:
    import sqlite3

    with pytest.raises(TypeError, match=r"sqlite3\.Connection is no connection of"):
        database_of(sqlite3.connect(":memory:"))


@pytest.mark.parametrize(("version", "told"), [("1.3.2", "is too old"), ("1.5.0", "dies when it writes")])
def test_a_duckdb_that_is_too_old_or_broken_is_refused(
    connection: Any, monkeypatch: pytest.MonkeyPatch, version: str, told: str
) -> None:
    monkeypatch.setattr(duckdb, "__version__", version)
    with pytest.raises(TypeError, match=f"DuckDB {version} {told}"):
        merge(connection, "days", pa.table({"id": ["a"]}), key=["id"])


def test_a_connection_that_is_closed_is_told() -> None:
    database = duckdb.connect()
    database.close()
    with pytest.raises(MergeError, match="nothing was merged"):
        merge(database, "days", pa.table({"id": ["a"]}), key=["id"])
