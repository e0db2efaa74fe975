"""The paginator of each style of paging that the catalogue names."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.pages.aemp import AempLinks
from airflow_provider_trackunit.iris.pages.paging import After, PageNumber, Paginator, Unpaged
from airflow_provider_trackunit.iris.pages.recognise import Recognise
from airflow_provider_trackunit.iris.pages.relay import Relay

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.catalogue.endpoints import Paging


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
