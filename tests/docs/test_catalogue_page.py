"""The page of the catalogue is the catalogue."""

from __future__ import annotations

from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS
from dev.catalogue_page import PAGE, page


def test_the_page_is_what_the_catalogue_says() -> None:
    assert PAGE.read_text() == page(), "run: python -m dev.catalogue_page"


def test_every_endpoint_is_on_it() -> None:
    text = PAGE.read_text()
    shown = [row.path.replace("[/{page}]", "/1").replace("{*prefix}", "…") for row in ENDPOINTS]
    assert [path for path in shown if f"`{path}`" not in text] == []
