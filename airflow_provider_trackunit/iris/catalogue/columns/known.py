"""All tables of the catalogue, and which of them an endpoint answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.catalogue.columns.accounts import ACCOUNT_TABLES
from airflow_provider_trackunit.iris.catalogue.columns.aemp import AEMP_TABLES
from airflow_provider_trackunit.iris.catalogue.columns.assets import ASSET_TABLES
from airflow_provider_trackunit.iris.catalogue.columns.events import EVENT_TABLES
from airflow_provider_trackunit.iris.catalogue.columns.service import SERVICE_TABLES
from airflow_provider_trackunit.iris.catalogue.columns.sites import SITE_TABLES
from airflow_provider_trackunit.iris.catalogue.endpoint import fits

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_trackunit.iris.catalogue.columns.column import Table

TABLES: Final[tuple[Table, ...]] = (
    *ASSET_TABLES,
    *AEMP_TABLES,
    *EVENT_TABLES,
    *SITE_TABLES,
    *SERVICE_TABLES,
    *ACCOUNT_TABLES,
)


def find_table(path: str, query: Collection[tuple[str, str]] = ()) -> Table | None:
    """Return the table of an endpoint's records, None when the catalogue has none.

    :param path: with or without its placeholders filled
    :param query: names and values
    """
    return next((table for table in TABLES if _is_of(table, path, query)), None)


def _is_of(table: Table, path: str, query: Collection[tuple[str, str]]) -> bool:
    asked = table.query is None or table.query in query
    return asked and any(fits(known, path) for known in table.paths)
