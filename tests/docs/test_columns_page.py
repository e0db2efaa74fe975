"""The page of columns is what the catalogue says."""

from __future__ import annotations

from airflow_provider_trackunit.iris.catalogue.columns.known import TABLES
from dev.columns_page import PAGE, page


def test_the_page_of_columns_is_made_from_the_catalogue() -> None:
    assert PAGE.read_text() == page(), "run: python -m dev.columns_page"


def test_every_column_of_the_catalogue_is_on_the_page() -> None:
    text = page()
    assert [one.name for table in TABLES for one in table.columns if f"`{one.name}`" not in text] == []
