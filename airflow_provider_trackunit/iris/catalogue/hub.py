"""Where the vendor's developer hub documents an endpoint.

A page of the hub is named after the file it is made from (``Trackunit/developer-hub``, folder ``api-docs``, October 2025). Some
pages have since moved to longer paths; the one of AEMP is named as integrators quote it in 2026.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from airflow_provider_trackunit.iris.catalogue.endpoints import row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

HUB: Final = "https://developers.trackunit.com"

#: By what the rows of the catalogue call their source.
PAGES: Final[Mapping[str, str]] = {
    "Access management API": "reference/access-management-intro",
    "Alerts API": "reference/alerts",
    "Asset event API": "reference/asset-event-api",
    "Assets API": "reference/assets-api-introduction",
    "CAN faults API": "reference/can-faults-api",
    "Compaction API": "reference/compaction-api",
    "Custom fields API": "reference/custom-field-intro",
    "Customer API": "reference/customers-api-intro",
    "Emissions API v2": "reference/emissions-api",
    "Export ISO 15143-3 (AEMP 2.0)": "docs/api-reference/aemp-iso-api/aemp-iso-api/",
    "Fleet data health API (beta)": "reference/fleet-data-health-api",
    "GraphQL API": "reference/graphql-api-introduction",
    # One of several of that chapter, which has no page of its own.
    "Groups API": "reference/intro-organisational-management-apis",
    "Location API": "reference/location-api-intro",
    "Machines API": "reference/machine-apis-intro",
    "Ownership and visibility": "reference/ownership-visibility-api-intro",
    "Service management API": "reference/service-management-intro",
    "Site API": "reference/sites-api-intro",
    "Terms and conditions API": "reference/account-terms-and-conditions-api-intro",
    "Time series API": "reference/time-series-introduction",
}


def source_name(source: str) -> str:
    """Return the page that a row is taken from, without what else is said of it: ``Site API, seen``."""
    return re.split(r"[,;]", source)[0]


def page_of(endpoint: str, method: str = "GET") -> str:
    """Return the page of the hub that documents an endpoint, the hub itself where the catalogue has no row for it.

    :param endpoint: a path or a URL, with its placeholders filled or not
    """
    row = row_of(endpoint, method)
    return HUB if row is None else f"{HUB}/{PAGES[source_name(row.source)]}"
