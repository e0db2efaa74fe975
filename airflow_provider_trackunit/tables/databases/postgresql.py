"""PostgreSQL takes rows by COPY, into a table that is gone with the transaction."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from airflow_provider_trackunit.tables.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAGED: Final = "iris_staged_rows"
# A statement of COPY for as many rows: some megabytes at a time, however long the table is.
_BATCH: Final = 50_000
# Null is nothing at all, and a text is quoted, so that an empty one is not null. Whatever the encoding of the client.
_COPY: Final = f"COPY {_STAGED} FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')"


class PostgreSQL:
    """A connection of PostgreSQL.

    :param connection: of psycopg 2 or 3, as Airflow's ``PostgresHook.get_conn`` gives it
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._explicit = bool(connection.autocommit)
        self.errors: tuple[type[Exception], ...] = (connection.Error,)

    def begin(self) -> None:
        """Begin a transaction; without autocommit the driver does it with the first statement."""
        if self._explicit:
            self.execute("BEGIN")

    def commit(self) -> None:
        """Make its changes last."""
        if self._explicit:
            self.execute("COMMIT")
        else:
            self._connection.commit()

    def rollback(self) -> None:
        """Undo its changes."""
        if self._explicit:
            self.execute("ROLLBACK")
        else:
            self._connection.rollback()

    def execute(self, statement: str) -> int:
        """Carry a statement out and return how many rows it changed."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.rowcount)

    def has(self, *, schema: str | None = None, table: str | None = None) -> bool:
        """Return whether a schema or table exists.

        ``IF NOT EXISTS`` is refused to an account that may write into a table but make none.
        """
        asked = f"to_regclass({literal(table)})" if table else f"to_regnamespace({literal(schema or '')})"
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 WHERE {asked} IS NOT NULL")
            return cursor.fetchone() is not None

    def lock(self, table: str) -> None:
        """Wait for other writers, and let others wait; whoever reads is not disturbed."""
        self.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    @contextmanager
    def staged(self, rows: Any, columns: str) -> Iterator[str]:
        """Have rows where a statement can read them."""
        self.execute(f"CREATE TEMPORARY TABLE {_STAGED} ({columns}) ON COMMIT DROP")
        for batch in rows.to_batches(max_chunksize=_BATCH):
            self._copy(as_csv(batch))
        self.execute(f"ANALYZE {_STAGED}")
        yield f"pg_temp.{_STAGED}"

    def _copy(self, data: bytes) -> None:
        with self._connection.cursor() as cursor:
            if hasattr(cursor, "copy_expert"):  # psycopg 2
                cursor.copy_expert(_COPY, io.BytesIO(data))
            else:
                with cursor.copy(_COPY) as copy:
                    copy.write(data)


def as_csv(batch: Any) -> bytes:
    """Return rows as COPY reads them."""
    columns = [
        _array_literals(column) if pa.types.is_list(column.type) else column for column in batch.columns
    ]
    written = io.BytesIO()
    options = csv.WriteOptions(include_header=False)
    csv.write_csv(pa.RecordBatch.from_arrays(columns, batch.schema.names), written, options)
    return written.getvalue()


def _array_literals(lists: Any) -> Any:
    """Return lists of text as PostgreSQL writes arrays: ``{"a","b"}``."""
    escaped = pc.replace_substring_regex(lists.flatten(), r'(["\\])', r"\\\1")
    quoted = pc.binary_join_element_wise('"', escaped, '"', "")
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(lists), 0))
    offsets = pa.concat_arrays([pa.array([0], ends.type), ends])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, quoted), ",")
    literals = pc.binary_join_element_wise("{", joined, "}", "")
    return pc.if_else(lists.is_valid(), literals, pa.scalar(None, literals.type))
