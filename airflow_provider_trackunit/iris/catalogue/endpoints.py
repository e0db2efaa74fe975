"""What is documented of each endpoint of IRIS that can be read, as rows.

A row says how the endpoint pages, where its records are, what limits it has, and whether its POST only reads.
Code asks :func:`find` and never compares paths. A path without a row works too: its paging is recognised from
the answer and no limit is assumed.

``source`` names the page of the vendor's developer hub (https://developers.trackunit.com) the row is taken
from. A row that ends in "seen" rests on public clients of the API instead.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint, Paging, fits
from airflow_provider_trackunit.iris.catalogue.limits import Limit, Rate

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call


def _limit(bucket: str, calls: int, per_s: float, pool: int = 0) -> Limit:
    return Limit(bucket, Rate(calls, per_s), pool)


_PAGES: Final = Paging("number", "content", size=1000)  # maximum of the REST default: page "Pagination"
_SMALL_PAGES: Final = Paging("number", "content")  # the page size is left to IRIS
_WHOLE: Final = Paging("whole")
_UNTOLD: Final = Paging("recognise")
_READ_BY_POST: Final = ("GET", "POST")

_QUARTER_S: Final = 900
_AEMP: Final = "/public/api/aemp/v2/15143/-3"
_AEMP_HUB: Final = "Export ISO 15143-3 (AEMP 2.0)"
# Limits of this API are per customer, all API users together; the pool gives a spent call back after 30 days.
_AEMP_POOL: Final = 50
_FLEET_LIMITS: Final = (
    _limit("AEMP url {url}", 1, _QUARTER_S, _AEMP_POOL),
    _limit("AEMP fleet", 50, 1),
)
_ELEMENT_LIMITS: Final = (
    _limit("AEMP url {url}", 1, _QUARTER_S, _AEMP_POOL),
    _limit("AEMP element", 500, 1),
)
# One bucket for each series of each machine: other dates or pages of it do not open a new one.
_SERIES_LIMITS: Final = (
    _limit("AEMP series {pin} {datapoint}", 1, _QUARTER_S, _AEMP_POOL),
    _limit("AEMP series", 500, 1),
)

_EVENTS: Final = "/public/api/eventlog/v3/asset-event"
_EVENT_LIMITS: Final = (_limit("asset events", 2, 1800),)  # both endpoints and every page of them together

_SERIES: Final = "/api/time-series/v1/assets/{assetId}"
_PROMETHEUS_LIMITS: Final = (_limit("time series queries", 100, 1),)
_ALERT_LIMITS: Final = (_limit("alerts", 1000, 600),)
_EMISSION_LIMITS: Final = (_limit("emissions", 1000, 600),)
_SERVICE: Final = "/api/service-management/v2/plans"
_PUBLIC_SERVICE: Final = "/public/api/service-management/v2/plans"


# What the pages of the hub name at their top.
_IRISX: Final = "IrisX"
_SERVICE_LICENCE: Final = "Service management licence"
_EMISSION_LICENCE: Final = "Emissions licence"


def _rows(
    paging: Paging, source: str, *paths: str, limits: tuple[Limit, ...] = (), needs: str = ""
) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(path, paging, limits=limits, needs=needs, source=source) for path in paths)


#: Every endpoint that is documented well enough to be read.
ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    # Assets, ownership, machines
    *_rows(_PAGES, "Assets API", "/api/asset/v1/assets", "/api/asset/v2/assets"),
    *_rows(_WHOLE, "Assets API", "/api/asset/v1/assets/{assetId}", "/api/asset/v2/assets/{assetId}"),
    *_rows(
        _SMALL_PAGES,
        "Ownership and visibility",
        "/api/asset/v1/assets/{assetId}/shares",
        "/api/asset/v2/assets/{assetId}/shares",
    ),
    *_rows(
        _WHOLE,
        "Machines API, seen",
        "/public/api/machine/machines/{machineId}",
        "/public/api/machine/machines/{machineId}/extended-information",
    ),
    # AEMP 2.0: pages of 100, always
    Endpoint(
        f"{_AEMP}/Fleet[/{{page}}]", Paging("links", "equipment"), limits=_FLEET_LIMITS, source=_AEMP_HUB
    ),
    Endpoint(
        f"{_AEMP}/Fleet/Equipment/ID/{{pin}}",
        Paging("whole", "equipment"),
        limits=_ELEMENT_LIMITS,
        source=_AEMP_HUB,
    ),
    Endpoint(
        f"{_AEMP}/Fleet/Equipment/ID/{{pin}}/{{datapoint}}/{{startTime}}/{{endTime}}[/{{page}}]",
        Paging("links", ""),  # named after the datapoint, so it is the only list of the page
        limits=_SERIES_LIMITS,
        window_days=14,  # page of the cumulative operating hours; assumed of every datapoint
        needs="Evolve & Expand, or Link, Lift & Leap",
        source=_AEMP_HUB,
    ),
    # Locations
    *_rows(
        _PAGES,
        "Location API",
        "/api/location/v1/locations",
        limits=(_limit("locations {url}", 1, 1),),
    ),
    *_rows(
        _WHOLE,
        "Location API",
        "/api/location/v1/locations/{assetId}",
        limits=(_limit("location {assetId}", 1, 1),),
    ),
    # Time series (PromQL); the GET forms, and the POST forms of the same queries
    *(
        Endpoint(
            f"{_SERIES}/prometheus/api/v1/{name}",
            Paging("whole", key),
            methods=_READ_BY_POST,
            limits=_PROMETHEUS_LIMITS,
            needs=_IRISX,
            source="Time series API",
        )
        for name, key in (
            ("query", "data.result"),
            ("query_range", "data.result"),
            ("series", "data"),
            ("labels", "data"),
            ("label/{name}/values", "data"),
        )
    ),
    *_rows(
        _WHOLE,
        "Time series API",
        f"{_SERIES}/metrics",
        limits=(_limit("metrics", 20, 1),),
        needs=_IRISX,
    ),
    # Events, alerts, faults
    *(
        Endpoint(
            f"{_EVENTS}/{name}",
            _PAGES,
            methods=("POST",),
            limits=_EVENT_LIMITS,
            source="Asset event API; paging seen",
        )
        for name in ("log", "active")
    ),
    *_rows(_SMALL_PAGES, "Alerts API", "/api/alerts/v1/configurations", limits=_ALERT_LIMITS),
    *_rows(
        _WHOLE, "Alerts API", "/api/alerts/v1/configurations/{alertConfigurationId}", limits=_ALERT_LIMITS
    ),
    *(
        Endpoint(
            f"/public/api/can-faults/{name}",
            Paging("whole", key),
            methods=_READ_BY_POST,
            source="CAN faults API",
        )
        # The key is the likely one; under any other, the answer is the one record.
        for name, key in (("faults", "canFaults"), ("faults-summary", None), ("get-unit-active-faults", None))
    ),
    # Sites, groups, accounts, customers
    *_rows(_PAGES, "Site API", "/api/site/v1/sites", "/api/site/v1/sites/history"),
    *_rows(_WHOLE, "Site API", "/api/site/v1/sites/{siteId}"),
    Endpoint("/api/site/v1/assets/sites", _WHOLE, methods=("POST",), source="Site API, seen"),
    *_rows(
        # The one list whose order is documented ("sort=name,-description"). Without one, a page can repeat a record of
        # another and leave one out, although nothing changed.
        Paging("number", "content", size=1000, sort="name"),
        "Groups API",
        "/api/organization/v1/groups",
    ),
    *_rows(_PAGES, "Terms and conditions API", "/api/organization/v1/accounts/terms-and-conditions"),
    *_rows(_PAGES, "Customer API", "/api/customer/v1/customers", needs=_IRISX),
    *_rows(_WHOLE, "Customer API", "/api/customer/v1/customers/{customerId}", needs=_IRISX),
    *_rows(
        _SMALL_PAGES,
        "Customer API",
        "/api/customer/v1/customers/{customerId}/contacts",
        "/api/customer/v1/customers/{customerId}/assets",
        needs=_IRISX,
    ),
    # Custom fields
    *_rows(_PAGES, "Custom fields API", "/api/custom-fields/v1/definitions", "/api/custom-fields/v1/values"),
    # Service management
    *(
        Endpoint(
            f"{prefix}{suffix}", Paging("whole", key), needs=_SERVICE_LICENCE, source="Service management API"
        )
        for prefix in (_SERVICE, _PUBLIC_SERVICE)
        for suffix, key in (
            ("", "servicePlans"),
            ("/assignments/service-status/{status}/assets", "assetIds"),
            ("/assignments/service-status", "plannedServiceStatuses"),
        )
    ),
    # Access management
    *_rows(
        Paging("after", "content"),
        "Access management API",
        "/public/api/operator/operators",
        limits=(_limit("operators", 60, 60),),
        needs="Access management licence",
    ),
    # Emissions and fleet data health: the first part of the path is not published
    *(
        Endpoint(
            f"/{{*prefix}}/v2/{name}",
            _UNTOLD,
            methods=_READ_BY_POST,
            limits=_EMISSION_LIMITS,
            needs=_EMISSION_LICENCE,
            source="Emissions API v2",
        )
        for period in ("period", "monthly", "lifetime", "daily")
        for name in (f"emissions/{period}", f"emissions/{period}/kpis", f"emissions/{period}/summary")
    ),
    *(
        Endpoint(
            f"/{{*prefix}}/v2/sites/{{siteId}}/{name}",
            _UNTOLD,
            methods=_READ_BY_POST,
            needs=_EMISSION_LICENCE,
            source="Emissions API v2",
        )
        for name in ("emissions", "emissions/monthly", "emissions/monthly/summary")
    ),
    *_rows(
        _PAGES,
        "Fleet data health API (beta)",
        "/{*prefix}/v1beta1/issues",
        "/{*prefix}/v1beta1/assets/{assetId}/issues",
    ),
    *_rows(_WHOLE, "Fleet data health API (beta)", "/{*prefix}/v1beta1/issues/{issueId}"),
    # Compaction
    *(
        Endpoint(f"/api/compaction/v1/compactions/{name}", _WHOLE, methods=methods, source="Compaction API")
        for name, methods in (
            ("trips", ("POST",)),
            ("trips/{tripId}", ("GET",)),
            ("trips/{tripId}/compactions", ("GET",)),
            ("trips/{tripId}/compactions/summarized", ("GET",)),
            ("trips/{tripId}/filter", ("GET",)),
            ("searches", ("GET",)),
            ("searches/{searchUUID}", ("GET",)),
        )
    ),
    # GraphQL
    Endpoint("/api/graphql/", Paging("relay"), methods=("POST",), needs=_IRISX, source="GraphQL API"),
)

_UNKNOWN: Final = Endpoint("", _UNTOLD, methods=(), reads=False)


def find(call: Call) -> Endpoint:
    """Return the row of a call, or a row that assumes nothing."""
    found = next(
        (row for row in ENDPOINTS if call.method in row.methods and fits(row.path, call.path)),
        _UNKNOWN,
    )
    return _of_graphql(found, call) if found.paging.style == "relay" else found


def row_of(endpoint: str, method: str = "GET") -> Endpoint | None:
    """Return the row that an endpoint belongs to, as a person wrote it: a path or a URL, its placeholders filled or not.

    :param method: its row is preferred where a path has several; one of another method is of the same thing
    """
    path = urlsplit(endpoint).path if "://" in endpoint else endpoint.partition("?")[0]
    rows = [row for row in ENDPOINTS if fits(row.path, path)]
    return min(rows, key=lambda row: method.upper() not in row.methods, default=None)


def _of_graphql(row: Endpoint, call: Call) -> Endpoint:
    """Return the row as this query makes it: one path serves pages, single answers and mutations."""
    query = call.graphql_query
    changes = re.search(r"\b(mutation|subscription)\b", query)
    return replace(
        row, paging=row.paging if "pageInfo" in query else _WHOLE, reads=bool(query) and not changes
    )
