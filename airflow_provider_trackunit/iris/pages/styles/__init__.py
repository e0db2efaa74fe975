"""The ways in which IRIS splits a collection into pages: a module for each style. Sends and remembers nothing.

``numbering``, ``cursors`` and ``members`` are no styles: they are what several of them use.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.pages.styles.aemp import AempLinks
from airflow_provider_trackunit.iris.pages.styles.after import After
from airflow_provider_trackunit.iris.pages.styles.page_number import PageNumber
from airflow_provider_trackunit.iris.pages.styles.recognise import Recognise
from airflow_provider_trackunit.iris.pages.styles.relay import Relay
from airflow_provider_trackunit.iris.pages.styles.unpaged import Unpaged

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.catalogue.endpoint import Paging
    from airflow_provider_trackunit.iris.pages.page import Paginator


@lru_cache(maxsize=64)
def paginator(paging: Paging) -> Paginator:
    """Return what walks the pages of an endpoint."""
    key = paging.record_key or ""
    match paging.style:
        case "number":
            return PageNumber(key, paging.size, paging.sort)
        case "after":
            return After(key, paging.size)
        case "links":
            return AempLinks(key)
        case "relay":
            return Relay()
        case "whole":
            return Unpaged(paging.record_key)
        case "recognise":
            return Recognise()
