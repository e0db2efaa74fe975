"""A table goes into a database: by its key, in one transaction, so that a repeated run changes nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from airflow_provider_trackunit.tables.databases import database_of
from airflow_provider_trackunit.tables.schemas import MACHINE_DAYS, key_of
from airflow_provider_trackunit.tables.sql import machine_days_query

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from airflow_provider_trackunit.tables.databases import Database

# Both databases know these names.
_TYPES: Final = {
    pa.string(): "text",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
    pa.list_(pa.string()): "text[]",
}


class MergeError(Exception):
    """The database refused a merge, or went away. What it said is the cause."""


def merge(connection: Any, table_name: str, rows: pa.Table, *, key: Sequence[str] | None = None) -> int:
    """Put rows into a table of DuckDB or PostgreSQL and return how many of them were new or had changed.

    A row whose key is there already takes its place; one that is the same in all columns is left alone. All of it is
    one transaction. The table is made when it is missing, with the key as its primary key; columns that it has
    besides keep what they have.

    :param connection: of ``duckdb`` (1.4 or newer, not 1.5.0), of psycopg 2 or 3, or what Airflow's ``PostgresHook.get_conn`` returns. What was
        begun on it is ended too; it is not closed
    :param table_name: the table, or ``schema.table``; a schema that is missing is made
    :param rows: what :func:`readings`, :func:`machine_days` or :func:`site_visits` returned, or any table of these
        types: text, boolean, int64, double, date, timestamp (UTC, microseconds), list of text
    :param key: the columns that a row is known by; None for those that the table's schema names
    :raises TypeError: when the connection is of another database, or of a DuckDB that is too old
    :raises ValueError: when there is no key, two rows have the same, one lacks it, or a column is of another type
    :raises MergeError: when the database refuses or goes away; nothing was changed then, unless the text says that
        this is not known
    """
    schema, key = rows.schema, _checked_key(rows, key)

    def put(database: Database) -> int:
        with database.staged(rows, _columns(schema)) as staged:
            return database.execute(_upsert(table_name, schema.names, key, f"TABLE {staged}"))

    return _in_one_transaction(connection, table_name, schema, key, put)


def merge_machine_days(
    connection: Any,
    *,
    readings: str = "readings",
    machine_days: str = "machine_days",
    time_zone: str = "UTC",
    since: dt.date | None = None,
) -> int:
    """Make machine days of the readings in a database, and merge them there; return how many were new or had changed.

    :param connection: as for :func:`merge`
    :param readings: the table of readings, or ``schema.table``
    :param machine_days: the table to merge into, made when it is missing
    :param time_zone: whose days; a name of the IANA database
    :param since: the first day to make, None for all. After a daily load, the oldest day that it brought readings of
    :raises ValueError: when there is no such time zone
    :raises MergeError: as for :func:`merge`
    """
    key = key_of(MACHINE_DAYS)
    query = machine_days_query(_quoted(readings), time_zone=time_zone, since=since)
    statement = _upsert(machine_days, MACHINE_DAYS.names, key, query)

    def make(database: Database) -> int:
        # Else one that began earlier and ends later would write days that lack the readings which came meanwhile.
        database.lock(_quoted(machine_days))
        return database.execute(statement)

    return _in_one_transaction(connection, machine_days, MACHINE_DAYS, key, make)


def _in_one_transaction(
    connection: Any, table_name: str, schema: Any, key: Sequence[str], put: Callable[[Database], int]
) -> int:
    database = database_of(connection)
    try:
        database.begin()
        try:
            _make(database, table_name, schema, key)
            changed = put(database)
        except BaseException:
            with suppress(*database.errors):  # of a connection that is gone nothing has to be undone
                database.rollback()
            raise
    except database.errors as error:
        raise MergeError(f"{table_name}: nothing was merged ({_first_line(error)})") from error
    try:
        database.commit()
    except database.errors as error:
        raise MergeError(
            f"{table_name}: it is not known whether the merge was carried out ({_first_line(error)}). "
            "It can be repeated: what is there already does not change"
        ) from error
    return changed


def _make(database: Database, table_name: str, schema: Any, key: Sequence[str]) -> None:
    folder = _quoted(table_name.rpartition(".")[0])
    if folder and not database.has(schema=folder):
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {folder}")
    table = _quoted(table_name)
    if not database.has(table=table):
        primary = ", ".join(map(_quoted, key))
        database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({_columns(schema)}, PRIMARY KEY ({primary}))")


def _upsert(table_name: str, names: Sequence[str], key: Sequence[str], source: str) -> str:
    columns = ", ".join(map(_quoted, names))
    others = [_quoted(name) for name in names if name not in key]
    changed = " OR ".join(f"present.{name} IS DISTINCT FROM excluded.{name}" for name in others)
    update = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)} WHERE {changed}"
    by_key = ", ".join(map(_quoted, key))
    # In the order of the key, so that two merges at once wait for each other and never in a circle.
    return (  # every name in it is quoted
        f"INSERT INTO {_quoted(table_name)} AS present ({columns}) "  # noqa: S608
        f"SELECT {columns} FROM ({source}) AS made ORDER BY {by_key} "
        f"ON CONFLICT ({by_key}) DO {update if others else 'NOTHING'}"
    )


def _columns(schema: Any) -> str:
    return ", ".join(
        f"{_quoted(field.name)} {_TYPES[field.type]}{'' if field.nullable else ' NOT NULL'}"
        for field in schema
    )


def _checked_key(rows: Any, key: Sequence[str] | None) -> list[str]:
    named = list(key or key_of(rows.schema))
    if not named or not set(named) <= set(rows.column_names):
        raise ValueError(f"key: {named} are not columns that a row of {rows.column_names} could be known by")
    strange = [f"{field.name} ({field.type})" for field in rows.schema if field.type not in _TYPES]
    if strange:
        raise ValueError(f"columns of types that cannot be merged: {', '.join(strange)}")
    if any(rows[name].null_count for name in named):
        raise ValueError(f"a row lacks its key ({', '.join(named)})")
    if len(rows.select(named).group_by(named).aggregate([])) != len(rows):
        raise ValueError(f"two rows have the same key ({', '.join(named)})")
    return named


def _quoted(name: str) -> str:
    """Return a name, or several with dots between, as SQL writes it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split(".")) if name else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
