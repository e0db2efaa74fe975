"""What a walk over pages can meet: empty pages, other orders, old cursors, pages behind the end."""

from typing import Any

import pytest

from airflow_provider_trackunit.emulator.serving.paging import page_between_gaps, pages_with_gaps
from tests.emulator.conftest import ASSETS, FLEET, Api

OPERATORS = "/public/api/operator/operators"


def by_number(api: Api, query: str = "size=40") -> list[list[str]]:
    """Return the ids of every page that is announced."""
    pages = api.json(f"{ASSETS}?{query}")["totalPages"]
    return [
        [row["id"] for row in api.json(f"{ASSETS}?{query}&page={page}")["content"]] for page in range(pages)
    ]


def by_links(api: Api) -> list[list[str]]:
    """Return the names on every page of the AEMP feed, from ``next`` to ``next``."""
    found, path = [], f"{FLEET}/1?includeOffRentAssets=true"
    api.iris.settings(links_repeat_query=True)
    while path:
        page = api.json(path)
        found.append([row["EquipmentHeader"]["EquipmentID"] for row in page["equipment"]])
        links = {link["rel"]: link["href"].removeprefix(api.iris.url) for link in page["links"]}
        path = links.get("next", "")
    return found


def relay(api: Api, after: str | None) -> Any:
    query = "query($after: String){assets(first: 40, after: $after){edges{node{assetId}} pageInfo{hasNextPage endCursor}}}"
    body = {"query": query, "variables": {"after": after}}
    return api.json("/api/graphql/", "POST", json=body)


def by_connection(api: Api) -> list[list[str]]:
    """Return the ids on every page of the connection, until it has no next one."""
    found: list[list[str]] = []
    info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        page = relay(api, info["endCursor"])["data"]["assets"]
        found.append([edge["node"]["assetId"] for edge in page["edges"]])
        info = page["pageInfo"]
    return found


def by_cursor(api: Api) -> list[list[str]]:
    """Return the ids on every page of operators, until there is no ``after``."""
    page = api.json(f"{OPERATORS}?limit=5")
    found = [page["content"]]
    while "after" in page:
        page = api.json(f"{OPERATORS}?limit=5&after={page['after']}")
        found.append(page["content"])
    return [[row["id"] for row in rows] for rows in found]


WALKS = [by_number, by_links, by_connection, by_cursor]


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("every", [2, 3])
def test_pages_in_the_middle_can_be_empty_and_no_record_is_missing(api: Api, walk: Any, every: int) -> None:
    plain = walk(api)
    api.iris.settings(empty_page_every=every, aemp_url_interval_s=None)
    with_gaps = walk(api)
    assert [page for page in with_gaps if page] == plain
    empty = [number for number, page in enumerate(with_gaps) if not page]
    assert empty == [number for number in range(len(with_gaps)) if (number + 1) % every == 0] != []


@pytest.mark.parametrize("every", [2, 3, 7])
@pytest.mark.parametrize("pages", range(12))
def test_empty_pages_are_never_first_nor_last(every: int, pages: int) -> None:
    behind = [page_between_gaps(page, every) for page in range(pages_with_gaps(pages, every))]
    assert [page for page in behind if page is not None] == list(range(pages))
    assert not behind or None not in (behind[0], behind[-1])


def test_the_first_page_cannot_be_empty(api: Api) -> None:
    with pytest.raises(ValueError, match="empty_page_every"):
        api.iris.settings(empty_page_every=1)


@pytest.mark.parametrize("order", ["name", "-name", "brand,-serialNumber", "createdAt,-id"])
def test_assets_come_in_the_order_that_is_asked_for(api: Api, order: str) -> None:
    rows = [
        row for page in range(3) for row in api.json(f"{ASSETS}?size=100&page={page}&sort={order}")["content"]
    ]
    expected = list(rows)
    for key in reversed(order.split(",")):
        member = key.lstrip("-")
        expected.sort(key=lambda row: row[member] or "", reverse=key.startswith("-"))
    assert len(rows) == 250
    assert rows == expected


def test_an_order_by_nothing_known_is_refused(api: Api) -> None:
    assert api.ask(f"{ASSETS}?sort=colour").status_code == 400


def test_without_an_order_the_records_of_a_page_can_change_from_call_to_call(api: Api) -> None:
    api.iris.settings(unsorted_order_changes=True)
    seen = [at for page in by_number(api) for at in page]
    assert len(seen) == 250
    assert len(set(seen)) < 250
    assert len({at for page in by_number(api, "size=40&sort=id") for at in page}) == 250


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_cursor_can_grow_too_old(api: Api, status: int) -> None:
    api.iris.settings(cursor_lifetime_s=3000, old_cursor_status=status)
    after = api.json(f"{OPERATORS}?limit=5")["after"]
    api.iris.advance(2900)
    assert api.ask(f"{OPERATORS}?limit=5&after={after}").status_code == 200
    api.iris.advance(200)
    assert api.ask(f"{OPERATORS}?limit=5&after={after}").status_code == status


def test_an_old_cursor_of_graphql_is_an_error_in_a_200(api: Api) -> None:
    api.iris.settings(cursor_lifetime_s=3000)
    after = relay(api, None)["data"]["assets"]["pageInfo"]["endCursor"]
    api.iris.advance(3100)
    assert relay(api, after)["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("path", [f"{ASSETS}?page=13", f"{FLEET}/3"])
@pytest.mark.parametrize("status", [200, 400, 404, 410])
def test_a_page_behind_the_last_one_can_be_refused(api: Api, path: str, status: int) -> None:
    api.iris.settings(beyond_last_status=status)
    assert api.ask(path).status_code == status
    assert api.ask(f"{ASSETS}?page=12").status_code == api.ask(f"{FLEET}/2").status_code == 200
