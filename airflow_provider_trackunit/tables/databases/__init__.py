"""What differs between the databases a table is merged into: the transaction, and how rows come in quickly.

Each takes a connection that the caller opened, with a driver that the caller chose; none is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_trackunit.tables.databases.duckdb import DuckDB
from airflow_provider_trackunit.tables.databases.postgresql import PostgreSQL

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Database", "database_of"]


class Database(Protocol):
    """A connection, and what has to be done differently on it."""

    #: What the driver raises.
    errors: tuple[type[Exception], ...]

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self) -> None:
        """Make its changes last."""

    def rollback(self) -> None:
        """Undo its changes."""

    def execute(self, statement: str) -> int:
        """Carry a statement out and return how many rows it changed."""

    def has(self, *, schema: str | None = None, table: str | None = None) -> bool:
        """Return whether it is known that a schema or table exists; both quoted."""

    def lock(self, table: str) -> None:
        """Let nobody else write into a table until the transaction ends, and see all that was written before.

        :param table: quoted
        """

    def staged(self, rows: Any, columns: str) -> AbstractContextManager[str]:
        """Have rows where a statement can read them, under the name that is given.

        :param columns: names and types, as in ``CREATE TABLE``
        """


def database_of(connection: Any) -> Database:
    """Return what a connection is of.

    :raises TypeError: when it is of none that is known, or of DuckDB 1.5.0 or one before 1.4
    """
    drivers = {kind.__module__.partition(".")[0] for kind in type(connection).__mro__}
    if drivers & {"duckdb", "_duckdb"}:
        return DuckDB(connection)
    if drivers & {"psycopg", "psycopg2"}:
        return PostgreSQL(connection)
    raise TypeError(
        f"a {type(connection).__module__}.{type(connection).__name__} is no connection of duckdb, psycopg or psycopg2"
    )
