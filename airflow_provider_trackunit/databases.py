"""The database that a task merges its tables into: a file of DuckDB, or one that Airflow has a connection of.

::

    from airflow_provider_trackunit.databases import open_database
    from airflow_provider_trackunit.tables import readings
    from airflow_provider_trackunit.tables.merging import merge

    with open_database("warehouse") as connection:
        merge(connection, "readings", readings(manifest))
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_DUCKDB: Final = ".duckdb"


def open_database(database: str) -> AbstractContextManager[Any]:
    """Return a connection to a database, for ``with``; it is closed at the end.

    :param database: the path of a DuckDB file, which ends in ``.duckdb`` and is made when it is missing, with its
        folder; or else the id of an Airflow connection, such as one of the type ``postgres``
    :raises AirflowNotFoundException: when there is no such Airflow connection
    :raises TypeError: when the connection is of nothing that can be connected to
    """
    if database.endswith(_DUCKDB):
        return closing(_duckdb(Path(database)))
    return closing(_of_airflow(database))


def _duckdb(file: Path) -> Any:
    import duckdb

    file.parent.mkdir(parents=True, exist_ok=True)
    return duckdb.connect(file)


def _of_airflow(conn_id: str) -> Any:
    from airflow_provider_trackunit._compat import BaseHook

    hook = BaseHook.get_hook(conn_id)
    if not hasattr(hook, "get_conn"):
        raise TypeError(f"{conn_id} is not the Airflow connection of a database")
    return hook.get_conn()
