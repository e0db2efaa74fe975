"""A walk over everything that is known of the API."""

import re
from typing import Any

import pytest

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.catalogue.endpoint import Endpoint, Paging
from airflow_provider_trackunit.iris.catalogue.endpoints import ENDPOINTS, find
from airflow_provider_trackunit.iris.catalogue.limits import Counted, Rate

AEMP = "/public/api/aemp/v2/15143/-3"
SERIES = f"{AEMP}/Fleet/Equipment/ID/A%2F1/FuelUsed/2026-01-01T00%3A00%3A00Z/2026-01-02T00%3A00%3A00Z"
EVENTS = "/public/api/eventlog/v3/asset-event"
PROMETHEUS = "/api/time-series/v1/assets/a1/prometheus/api/v1"
QUERY = "query($after: String) { assets(after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }"

PATHS = [(row, method) for row in ENDPOINTS for method in row.methods]
IDS = [f"{method} {row.path}" for row, method in PATHS]


def call(path: str, method: str = "GET", **arguments: Any) -> Call:
    return make_call("https://iris.trackunit.com", path, method=method, **arguments)


def sample(row: Endpoint, method: str) -> Call:
    """Return a call that the row is about, with something in the place of each placeholder."""
    path = re.sub(r"\[(.*)\]", r"\1", row.path)
    path = re.sub(r"\{\*\w+\}", "api/some-service", path)
    path = re.sub(r"\{(\w+)\}", r"value-of-\1", path)
    query = {"query": QUERY} if row.paging.style == "relay" else None
    return call(path, method, json=query)


@pytest.mark.parametrize(("row", "method"), PATHS, ids=IDS)
def test_every_row_is_found_by_its_own_path(row: Endpoint, method: str) -> None:
    found = find(sample(row, method))
    assert (found.path, found.source) == (row.path, row.source)


@pytest.mark.parametrize(("row", "method"), PATHS, ids=IDS)
def test_a_path_with_something_behind_it_is_another_path(row: Endpoint, method: str) -> None:
    asked = sample(row, method)
    longer = find(call(f"{asked.path.rstrip('/')}/something/else/altogether/x/y/z", method, json=asked.json))
    assert longer.path != row.path


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.path)
def test_every_row_says_where_it_is_from(row: Endpoint) -> None:
    assert row.source
    assert row.path.startswith("/")
    assert set(row.methods) <= {"GET", "POST"}


@pytest.mark.parametrize(("row", "method"), PATHS, ids=IDS)
def test_what_is_listed_only_reads_and_may_be_repeated(row: Endpoint, method: str) -> None:
    assert row.is_safe(method)
    assert not row.is_safe("PATCH")


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.path)
def test_a_metered_url_is_asked_at_most_twice(row: Endpoint) -> None:
    metered = any(limit.rate.metered for limit in row.limits)
    assert row.attempts(4) == (2 if metered else 4)
    assert row.attempts(1) == 1
    assert (row.wait_after_refusal_s() is not None) is metered


def test_no_two_rows_have_the_same_path_and_method() -> None:
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize(
    ("path", "method", "style"),
    [
        ("/api/asset/v1/assets", "GET", Paging("number", "content", 1000)),
        ("/api/asset/v2/assets", "GET", Paging("number", "content", 1000)),
        ("/api/asset/v2/assets/a1", "GET", Paging("whole")),
        (f"{AEMP}/Fleet", "GET", Paging("links", "equipment")),
        (f"{AEMP}/Fleet/1", "GET", Paging("links", "equipment")),
        (f"{AEMP}/Fleet/Equipment/ID/A%2F1", "GET", Paging("whole", "equipment")),
        (SERIES, "GET", Paging("links", "")),
        (f"{SERIES}/1", "GET", Paging("links", "")),
        (f"{PROMETHEUS}/query_range", "POST", Paging("whole", "data.result")),
        (f"{PROMETHEUS}/label/unit/values", "GET", Paging("whole", "data")),
        (f"{EVENTS}/log", "POST", Paging("number", "content", 1000)),
        ("/public/api/can-faults/faults", "POST", Paging("whole", "canFaults")),
        ("/public/api/can-faults/faults-summary", "POST", Paging("whole")),
        ("/api/site/v1/sites/history", "GET", Paging("number", "content", 1000)),
        ("/api/site/v1/sites/s1", "GET", Paging("whole")),
        ("/api/service-management/v2/plans", "GET", Paging("whole", "servicePlans")),
        ("/public/api/service-management/v2/plans", "GET", Paging("whole", "servicePlans")),
        ("/public/api/operator/operators", "GET", Paging("after", "content")),
        ("/api/emission/v2/emissions/daily", "GET", Paging("recognise")),
        ("/api/health/v1beta1/issues/i1", "GET", Paging("whole")),
        ("/api/health/v1beta1/assets/a1/issues", "GET", Paging("number", "content", 1000)),
    ],
)
def test_the_main_endpoints_page_as_documented(path: str, method: str, style: Any) -> None:
    assert find(call(path, method)).paging == style


QUARTER_S, HALF_HOUR_S = 900, 1800


@pytest.mark.parametrize(
    ("path", "method", "limits"),
    [
        (f"{AEMP}/Fleet/1", "GET", [(Rate(1, QUARTER_S), 50), (Rate(50, 1), 0)]),
        (f"{AEMP}/Fleet/Equipment/ID/A1", "GET", [(Rate(1, QUARTER_S), 50), (Rate(500, 1), 0)]),
        (f"{SERIES}/1", "GET", [(Rate(1, QUARTER_S), 50), (Rate(500, 1), 0)]),
        ("/api/location/v1/locations", "GET", [(Rate(1, 1), 0)]),
        ("/api/location/v1/locations/a1", "GET", [(Rate(1, 1), 0)]),
        (f"{PROMETHEUS}/query", "GET", [(Rate(100, 1), 0)]),
        ("/api/time-series/v1/assets/a1/metrics", "GET", [(Rate(20, 1), 0)]),
        (f"{EVENTS}/log", "POST", [(Rate(2, HALF_HOUR_S), 0)]),
        (f"{EVENTS}/active", "POST", [(Rate(2, HALF_HOUR_S), 0)]),
        ("/api/alerts/v1/configurations", "GET", [(Rate(1000, 600), 0)]),
        ("/public/api/operator/operators", "GET", [(Rate(60, 60), 0)]),
        ("/api/asset/v1/assets", "GET", []),
    ],
)
def test_the_limits_are_the_documented_ones(path: str, method: str, limits: list[tuple[Rate, int]]) -> None:
    assert [(limit.rate, limit.pool) for limit in find(call(path, method)).limits] == limits


@pytest.mark.parametrize(
    ("one", "other", "method", "shared"),
    [
        pytest.param(f"{EVENTS}/log?page=0", f"{EVENTS}/log?page=1", "POST", True, id="pages of events"),
        pytest.param(f"{EVENTS}/log", f"{EVENTS}/active", "POST", True, id="both event endpoints"),
        pytest.param(f"{AEMP}/Fleet/1", f"{AEMP}/Fleet/2", "GET", True, id="the second of all fleet pages"),
        pytest.param(
            "/api/location/v1/locations?page=0", "/api/location/v1/locations?page=1", "GET", False, id="page"
        ),
        pytest.param(
            "/api/location/v1/locations/a", "/api/location/v1/locations/b", "GET", False, id="asset"
        ),
        pytest.param(f"{PROMETHEUS}/query", f"{PROMETHEUS}/query_range", "GET", True, id="all PromQL"),
    ],
)
def test_what_is_counted_together_shares_a_bucket(one: str, other: str, method: str, shared: bool) -> None:
    buckets = [find(call(path, method)).counted(call(path, method)).paced for path in (one, other)]
    assert buckets[0]
    assert (buckets[0] == buckets[1]) is shared


@pytest.mark.parametrize(
    ("path", "method", "name"),
    [
        pytest.param("/api/asset/v1/assets/a1", "GET", "GET /api/asset/v1/assets/{assetId}", id="a row"),
        pytest.param("/api/new/{id}", "GET", "GET /api/new/{id}", id="an unknown path, as it was written"),
        pytest.param(
            "/api/new/Pin-7/events/2", "GET", "GET /api/new/{}/events/{}", id="one with ids and pages in it"
        ),
        pytest.param("/api/asset/v1/assets", "POST", "POST /api/asset/{}/assets", id="another method"),
    ],
)
def test_what_has_no_published_rate_is_counted_for_itself(path: str, method: str, name: str) -> None:
    asked = call(path, method, path_params={"id": 7} if "{id}" in path else None)
    assert find(asked).counted(asked) == Counted(((name, None),))
    assert not find(asked).has_two_limits


def test_a_limit_with_a_pool_holds_nothing_back_and_says_how_long_to_wait() -> None:
    asked = call(f"{AEMP}/Fleet/1")
    row = find(asked)
    assert row.counted(asked) == Counted((("AEMP fleet", Rate(50, 1)),), (f"AEMP url {AEMP}/Fleet/1?()",))
    assert row.has_two_limits
    assert row.wait_after_refusal_s() == QUARTER_S


@pytest.mark.parametrize(
    ("path", "method", "requests", "interval_s"),
    [
        pytest.param(f"{EVENTS}/log", "POST", 1, 900.0, id="two calls in half an hour"),
        pytest.param(f"{EVENTS}/log", "POST", 2, 1800.0, id="every page of events counts"),
        pytest.param(f"{AEMP}/Fleet", "GET", 8, 900.0, id="a page of the fleet is a URL of its own"),
        pytest.param("/api/location/v1/locations", "GET", 5, 1.0, id="once a second for each URL"),
        pytest.param("/api/alerts/v1/configurations", "GET", 5, 3.0, id="1000 in ten minutes"),
        pytest.param("/api/asset/v1/assets", "GET", 50, 0.0, id="no documented limit"),
    ],
)
def test_an_endless_poll_is_as_far_apart_as_the_limits_bear(
    path: str, method: str, requests: int, interval_s: float
) -> None:
    assert find(call(path, method)).sustained_interval_s(requests) == pytest.approx(interval_s)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/new/v1/things",
        "/api/asset/v3/assets",
        "/api/graphql",
        f"{AEMP}/Fleet/",
        "/api/asset/v1/assets/",
        "/api/asset/v1/assets/a/b/c",
    ],
)
def test_of_an_unknown_path_nothing_is_assumed(path: str, method: str) -> None:
    row = find(call(path, method))
    assert row.paging == Paging("recognise")
    assert row.limits == ()
    assert row.attempts(4) == 4
    assert row.is_safe(method) is (method in {"GET", "HEAD", "PUT", "DELETE"})


def test_another_method_than_the_listed_one_is_unknown() -> None:
    for method in ("POST", "PATCH", "DELETE"):
        assert find(call("/api/asset/v1/assets", method)).paging == Paging("recognise")
    assert not find(call("/api/asset/v1/assets/onboard", "POST")).is_safe("POST")


@pytest.mark.parametrize(
    ("query", "safe", "paging"),
    [
        pytest.param(QUERY, True, Paging("relay"), id="a query with pages"),
        pytest.param("{ asset(id: 1) { name } }", True, Paging("whole"), id="a query without"),
        pytest.param("mutation { rename(id: 1) { id } }", False, Paging("whole"), id="a mutation"),
        pytest.param("query A { a } mutation B { b }", False, Paging("whole"), id="a mutation among others"),
        pytest.param(
            "# read\nmutation($a: Int) { b }", False, Paging("whole"), id="a mutation behind a comment"
        ),
        pytest.param("subscription { b }", False, Paging("whole"), id="a subscription"),
        pytest.param("query { mutations { id } }", True, Paging("whole"), id="a field that sounds like it"),
    ],
)
def test_a_graphql_query_reads_and_a_mutation_does_not(query: str, safe: bool, paging: Any) -> None:
    row = find(call("/api/graphql/", "POST", json={"query": query}))
    assert row.is_safe("POST") is safe
    assert row.paging == paging


@pytest.mark.parametrize("json", [None, {}, {"query": 7}, ["query"]])
def test_a_graphql_call_without_a_query_is_not_assumed_to_read(json: Any) -> None:
    row = find(call("/api/graphql/", "POST", json=json))
    assert not row.is_safe("POST")
    assert row.paging == Paging("whole")


@pytest.mark.parametrize(
    ("path", "method", "json", "only_reads"),
    [
        ("/api/asset/v1/assets", "GET", None, True),
        ("/api/nobody/knows", "GET", None, True),
        ("/api/nobody/knows", "POST", {"query": "{ a }"}, False),
        ("/api/nobody/knows", "PUT", None, False),
        ("/api/nobody/knows", "DELETE", None, False),
        ("/public/api/eventlog/v3/asset-event/log", "POST", {}, True),
        ("/api/graphql/", "POST", {"query": "{ a { pageInfo { hasNextPage } } }"}, True),
        ("/api/graphql/", "POST", {"query": "mutation { a { pageInfo { hasNextPage } } }"}, False),
        ("/api/graphql/", "POST", {}, False),
    ],
)
def test_only_what_is_known_to_read_may_be_sent_again_in_another_form(
    path: str, method: str, json: Any, only_reads: bool
) -> None:
    call = make_call("https://iris.trackunit.com", path, method=method, json=json)
    assert find(call).only_reads(call.method) is only_reads


@pytest.mark.parametrize(
    ("path", "max_wait_s", "pages"),
    [
        ("/public/api/eventlog/v3/asset-event/log", 120.0, 2),
        ("/public/api/eventlog/v3/asset-event/log", 1800.0, None),
        ("/public/api/aemp/v2/15143/-3/Fleet/1", 120.0, None),
        ("/public/api/aemp/v2/15143/-3/Fleet/Equipment/ID/p/Distance/a/b/1", 120.0, None),
        ("/api/asset/v1/assets", 120.0, None),
        ("/public/api/operator/operators", 120.0, None),
    ],
)
def test_a_walk_is_as_long_as_its_limit_lets_through_without_a_long_wait(
    path: str, max_wait_s: float, pages: int | None
) -> None:
    method = "POST" if "asset-event" in path else "GET"
    assert (
        find(make_call("https://iris.trackunit.com", path, method=method)).longest_walk(max_wait_s) == pages
    )
