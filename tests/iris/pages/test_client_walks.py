"""Whole collections, over real HTTP on loopback: every style of paging, in sequence and with pages ahead."""

import itertools
import json
import logging
import threading
from typing import Any

import pytest

from airflow_provider_trackunit.emulator import IrisEmulator
from airflow_provider_trackunit.iris.client import IrisClient
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisNotFoundError,
    IrisPaginationError,
    IrisServerError,
    IrisUnexpectedResponseError,
)
from tests.iris.conftest import ClientFactory, HandClock

ASSETS = "/api/asset/v1/assets"
FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
SERIES = f"{FLEET}/Equipment/ID/{{pin}}/Locations/2026-01-01T00:00:00Z/2026-01-08T00:00:00Z"
OPERATORS = "/public/api/operator/operators"
GRAPHQL = "/api/graphql/"
QUERY = (
    "query($first: Int, $after: String) { assets(first: $first, after: $after) "
    "{ edges { node { assetId name } } pageInfo { hasNextPage endCursor count } } }"
)
DAY = {"fromTime": "2026-01-10T00:00:00Z", "toTime": "2026-01-11T00:00:00Z"}

Walk = tuple[str, dict[str, Any], int]

# Endpoint, arguments, number of pages.
WALKS = [
    pytest.param((ASSETS, {"query_params": {"size": 20}}, 13), id="page and size"),
    pytest.param((ASSETS, {}, 1), id="page and size, all on one page"),
    pytest.param((FLEET, {}, 2), id="AEMP links"),
    pytest.param((f"{FLEET}/1", {"query_params": {"addMetadata": True}}, 2), id="AEMP links with a query"),
    pytest.param((SERIES, {"path_params": {"pin": ""}}, 11), id="an AEMP series"),
    pytest.param((OPERATORS, {"query_params": {"limit": 4}}, 7), id="cursor"),
    pytest.param((GRAPHQL, {"method": "POST", "json": {"query": QUERY}}, 3), id="Relay"),
    pytest.param(
        (
            "/public/api/eventlog/v3/asset-event/log",
            {"method": "POST", "json": DAY, "query_params": {"size": 100}},
            2,
        ),
        id="a filter that is POSTed",
    ),
    pytest.param(("/api/site/v1/sites/history", {"query_params": {"size": 500}}, 3), id="site history"),
    pytest.param(("/api/service-management/v2/plans", {}, 1), id="everything at once"),
]


@pytest.fixture
def pin(iris_emulator: IrisEmulator, client: IrisClient) -> str:
    """Return the PIN of a machine that has one."""
    rows = client.run(f"{FLEET}/1")["equipment"]
    return str(next(row["EquipmentHeader"]["PIN"] for row in rows if "PIN" in row["EquipmentHeader"]))


def filled(walk: Walk, pin: str) -> dict[str, Any]:
    arguments = dict(walk[1])
    if "path_params" in arguments:
        arguments["path_params"] = {"pin": pin}
    return arguments


@pytest.mark.parametrize("walk", WALKS)
def test_a_collection_is_walked_whole_and_pages_ahead_make_no_difference(
    new_client: ClientFactory,
    iris_emulator: IrisEmulator,
    walk: Walk,
    pin: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    iris_emulator.settings(limits_on=False)
    endpoint, _, count = walk
    arguments = filled(walk, pin)
    in_sequence = list(new_client(alone=True).pages(endpoint, **arguments))
    together = list(new_client(alone=True).pages(endpoint, max_concurrency=4, **arguments))
    records = [bytes(raw) for page in in_sequence for raw in page.raw_records]
    assert len(in_sequence) == count
    assert [bytes(raw) for page in together for raw in page.raw_records] == records
    assert [page.next for page in together] == [page.next for page in in_sequence]
    assert len(set(records)) == len(records) > 0
    announced = in_sequence[-1].announced
    assert announced in {None, len(records)}
    assert caplog.records == []
    assert list(new_client(alone=True).records(endpoint, **arguments)) == [json.loads(raw) for raw in records]


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_goes_on_from_the_cursor_of_any_page(
    new_client: ClientFactory, iris_emulator: IrisEmulator, walk: Walk, pin: str
) -> None:
    iris_emulator.settings(limits_on=False)
    arguments = filled(walk, pin)
    pages = list(new_client(alone=True).pages(walk[0], **arguments))
    records = [page.records for page in pages]
    for at, page in enumerate(pages[:-1][:4]):
        cursor = json.loads(json.dumps(page.next))
        rest = [one.records for one in new_client(alone=True).pages(walk[0], cursor=cursor, **arguments)]
        assert rest == records[at + 1 :]


def test_the_endpoint_that_is_none_says_so(client: IrisClient) -> None:
    with pytest.raises(IrisUnexpectedResponseError, match=r"text/html instead of JSON"):
        list(client.pages("/api/asset/v9/x"))


def test_pages_are_as_large_as_documented_unless_the_caller_says_otherwise(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    list(client.pages(ASSETS))
    list(client.pages(ASSETS, query_params={"size": 200}))
    queries = [asked["query"] for asked in iris_emulator.requests(ASSETS)]
    assert queries == ["size=1000&page=0", "size=200&page=0", "size=200&page=1"]


def test_the_first_page_alone_is_one_request(client: IrisClient, iris_emulator: IrisEmulator) -> None:
    page = client.first_page(ASSETS, query_params={"size": 20})
    assert (len(page.records), page.announced, page.next) == (20, 250, {"page": 1, "of": 13})
    assert len(iris_emulator.requests(ASSETS)) == 1


def test_pages_ahead_are_on_the_way_together_and_no_more_than_allowed(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.settings(latency_ms=20)
    list(client.pages(ASSETS, query_params={"size": 10}, max_concurrency=4))
    assert 2 <= iris_emulator.stats()["max_concurrent"] <= 4


def test_a_page_is_asked_for_when_it_is_wanted(client: IrisClient, iris_emulator: IrisEmulator) -> None:
    pages = client.pages(ASSETS, query_params={"size": 10})
    assert iris_emulator.requests(ASSETS) == []
    next(pages)
    assert len(iris_emulator.requests(ASSETS)) == 1


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_walk_that_is_given_up_early_leaves_nothing_behind(
    client: IrisClient, iris_emulator: IrisEmulator, concurrency: int
) -> None:
    before = set(threading.enumerate())
    pages = client.pages(ASSETS, query_params={"size": 10}, max_concurrency=concurrency)
    assert [len(page.records) for page in itertools.islice(pages, 2)] == [10, 10]
    pages.close()  # type: ignore[attr-defined]
    # Who leaves is not held up by the pages that are on the way; those end by themselves.
    for thread in set(threading.enumerate()) - before:
        thread.join(5.0)
    assert set(threading.enumerate()) - before == set()
    asked = len(iris_emulator.requests(ASSETS))
    assert asked <= 2 + 2 * (concurrency - 1)
    assert list(pages) == []
    assert len(iris_emulator.requests(ASSETS)) == asked


def test_an_unusable_argument_is_refused_before_the_first_page_is_wanted(client: IrisClient) -> None:
    with pytest.raises(IrisConfigurationError):
        client.pages("https://evil.example/x")
    with pytest.raises(IrisConfigurationError):
        client.pages(ASSETS, query_params={"page": "x"})


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_error_comes_when_its_page_is_due_and_those_before_it_are_given(
    client: IrisClient, iris_emulator: IrisEmulator, concurrency: int
) -> None:
    iris_emulator.fault(path="page=3", status=404, times=None)
    got: list[Any] = []
    records = client.records(ASSETS, query_params={"size": 20}, max_concurrency=concurrency)
    with pytest.raises(IrisNotFoundError):
        got.extend(records)
    assert len(got) == 60


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_token_revoked_in_the_middle_of_a_walk_costs_no_record(
    client: IrisClient, iris_emulator: IrisEmulator, concurrency: int
) -> None:
    iris_emulator.fault(path="page=2", kind="revoke")
    records = list(client.records(ASSETS, query_params={"size": 20}, max_concurrency=concurrency))
    assert len({record["id"] for record in records}) == len(records) == 250
    assert iris_emulator.stats()["token_requests"] == 2


def test_a_page_that_failed_is_asked_for_again_and_no_other(
    client: IrisClient, iris_emulator: IrisEmulator, clock: HandClock
) -> None:
    iris_emulator.fault(path="page=2", kind="reset_after")
    iris_emulator.fault(path="page=5", status=502)
    assert len(list(client.records(ASSETS, query_params={"size": 20}))) == 250
    assert len(iris_emulator.requests(ASSETS)) == 15
    assert clock.slept == [1.0, 1.0]


def test_an_aemp_page_that_fails_for_good_was_asked_for_twice(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.fault(path="/Fleet/2", status=503, times=None)
    with pytest.raises(IrisServerError):
        list(client.pages(FLEET))
    asked = [one["path"].rpartition("/")[2] for one in iris_emulator.requests("/Fleet/")]
    assert asked == ["1", "2", "2"]


# --- shapes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["compact", "pretty", "lines"])
@pytest.mark.parametrize("case", ["lower", "upper"])
def test_an_aemp_feed_may_be_written_in_any_layout(
    client: IrisClient, iris_emulator: IrisEmulator, layout: str, case: str
) -> None:
    iris_emulator.settings(json_layout=layout, aemp_key_case=case)
    raw = [bytes(record) for page in client.pages(FLEET) for record in page.raw_records]
    assert len(raw) == 200
    assert not any(b"\n" in record for record in raw)


@pytest.mark.parametrize(
    "switches",
    [
        {"next_link": "missing"},
        {"last_link": False},
        {"links_repeat_query": True},
        {"links_repeat_query": True, "next_link": "missing"},
    ],
    ids=str,
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_aemp_walk_is_whole_whichever_links_there_are(
    client: IrisClient, iris_emulator: IrisEmulator, switches: dict[str, Any], concurrency: int
) -> None:
    iris_emulator.settings(**switches)
    pages = client.pages(FLEET, query_params={"addMetadata": True}, max_concurrency=concurrency)
    assert sum(len(page.raw_records) for page in pages) == 200
    assert {asked["query"] for asked in iris_emulator.requests("/Fleet/")} == {"addMetadata=true"}


@pytest.mark.parametrize("empty_total_pages", [0, 1])
@pytest.mark.parametrize("endpoint", [ASSETS, FLEET])
def test_an_empty_collection_has_no_records(
    client: IrisClient,
    iris_emulator: IrisEmulator,
    caplog: pytest.LogCaptureFixture,
    empty_total_pages: int,
    endpoint: str,
) -> None:
    iris_emulator.settings(empty_total_pages=empty_total_pages)
    iris_emulator.fleet(hide=list(range(250)))
    assert list(client.records(endpoint)) == []
    assert caplog.records == []


@pytest.mark.parametrize("gzip", ["all", "none"])
def test_answers_may_be_compressed(client: IrisClient, iris_emulator: IrisEmulator, gzip: str) -> None:
    iris_emulator.settings(gzip=gzip)
    assert len(list(client.records(ASSETS, query_params={"size": 100}))) == 250


# --- collections that change, and servers that lie ------------------------------------------------------


@pytest.mark.parametrize("change", [{"grow": 30}, {"shrink": 30}], ids=str)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_collection_that_changes_on_the_way_is_reported_once(
    client: IrisClient,
    iris_emulator: IrisEmulator,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, int],
    concurrency: int,
) -> None:
    pages = client.pages(ASSETS, query_params={"size": 20, "note": "HIDDEN"}, max_concurrency=concurrency)
    next(pages)
    iris_emulator.fleet(**change)
    list(pages)
    warnings = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "250" in warnings[0]
    assert ASSETS in warnings[0]
    assert "HIDDEN" not in warnings[0]


def test_the_rest_of_a_collection_is_no_difference(
    client: IrisClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(list(client.records(ASSETS, query_params={"size": 100, "page": 1}))) == 150
    variables = {"after": "YXQ6MjAw", "first": 100}  # behind record 200
    nodes = client.records(GRAPHQL, method="POST", json={"query": QUERY, "variables": variables})
    assert len(list(nodes)) == 50
    assert caplog.records == []


@pytest.mark.parametrize("next_link", ["foreign", "itself", "dotdot"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_link_that_leads_elsewhere_ends_the_walk_with_an_error(
    client: IrisClient, iris_emulator: IrisEmulator, next_link: str, concurrency: int
) -> None:
    iris_emulator.settings(next_link=next_link)
    with pytest.raises(IrisPaginationError):
        list(client.pages(FLEET, max_concurrency=concurrency))
    assert {asked["path"] for asked in iris_emulator.requests() if "token" not in asked["path"]} == {
        f"{FLEET}/1"
    }


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [(ASSETS, {"query_params": {"size": 200}}), (FLEET, {})],
    ids=["pages", "links"],
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_collection_without_an_end_is_stopped(
    client: IrisClient,
    iris_emulator: IrisEmulator,
    endpoint: str,
    arguments: dict[str, Any],
    concurrency: int,
) -> None:
    iris_emulator.settings(endless_pages=True, limits_on=False)
    with pytest.raises(IrisPaginationError, match=r"may never end"):
        for _ in client.pages(endpoint, max_concurrency=concurrency, **arguments):
            pass
    assert iris_emulator.stats()["requests"] < 40


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        (OPERATORS, {"query_params": {"limit": 4}}),
        (GRAPHQL, {"method": "POST", "json": {"query": QUERY, "variables": {"first": 20}}}),
    ],
    ids=["cursor", "Relay"],
)
def test_a_cursor_that_stands_still_ends_the_walk_with_an_error(
    client: IrisClient, iris_emulator: IrisEmulator, endpoint: str, arguments: dict[str, Any]
) -> None:
    iris_emulator.settings(stuck_cursor=True)
    with pytest.raises(IrisPaginationError):
        list(client.pages(endpoint, **arguments))
    assert iris_emulator.stats()["requests"] < 8


def test_a_relay_connection_without_an_end_is_stopped(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    iris_emulator.settings(endless_pages=True, limits_on=False)
    body = {"query": QUERY, "variables": {"first": 50}}
    records: list[Any] = []
    with pytest.raises(IrisPaginationError):
        records.extend(client.records(GRAPHQL, method="POST", json=body))
    assert len(records) == 250
    assert iris_emulator.stats()["requests"] < 120


def test_groups_are_read_in_their_documented_order_unless_the_caller_has_one(
    client: IrisClient, iris_emulator: IrisEmulator
) -> None:
    groups = "/api/organization/v1/groups"
    names = [record["name"] for record in client.records(groups, query_params={"size": 2})]
    assert names == sorted(names)
    assert len(names) > 2
    backwards = [record["name"] for record in client.records(groups, query_params={"sort": "-name"})]
    assert backwards == names[::-1]
    asked = [one["query"] for one in iris_emulator.requests(groups)]
    assert asked[0] == "size=2&sort=name&page=0"
    assert asked[-1] == "sort=-name&size=1000&page=0"
