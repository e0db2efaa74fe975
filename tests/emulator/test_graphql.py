"""GraphQL: connections both ways, the two budgets, and documents that are refused."""

from typing import Any

import pytest

from tests.emulator.conftest import Api

PATH = "/api/graphql/"
ASSETS = """
query Assets($first: Int = 100, $after: String) {
  assets(first: $first, after: $after) {
    edges { cursor node { id assetId title: name insights { cumulativeOperatingHours(period: LIFETIME) } } }
    pageInfo { hasNextPage endCursor count }
  }
  rateLimit { cost remaining resetIn }
}
"""


def asked(api: Api, query: str, **variables: Any) -> Any:
    return api.json(PATH, "POST", json={"query": query, "variables": variables})


def code(answer: Any) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


def test_a_connection_is_walked_with_variables(api: Api) -> None:
    found: list[str] = []
    info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        page = asked(api, ASSETS, after=info["endCursor"])["data"]["assets"]
        found += [edge["node"]["assetId"] for edge in page["edges"]]
        info = page["pageInfo"]
    assert len(set(found)) == len(found) == info["count"] == 250


def test_ids_are_prefixed_and_aliases_are_honoured(api: Api) -> None:
    node = asked(api, ASSETS, first=1)["data"]["assets"]["edges"][0]["node"]
    assert node["id"] == f"___Asset___{node['assetId']}"
    assert node["title"]
    single = asked(api, f'{{ asset(id: "{node["id"]}") {{ name image {{ url }} }} }}')["data"]["asset"]
    assert single["name"] == node["title"]
    assert asked(api, '{ asset(id: "nobody") { name } }')["data"]["asset"] is None


def test_a_connection_is_walked_backwards(api: Api) -> None:
    page = "{ sites(last: 2%s) { edges { node { name } } pageInfo { startCursor hasPreviousPage } } }"
    last = asked(api, page % "")["data"]["sites"]
    before = asked(api, page % f', before: "{last["pageInfo"]["startCursor"]}"')["data"]["sites"]
    names = [edge["node"]["name"] for edge in before["edges"] + last["edges"]]
    assert names == ["Site 1", "Site 2", "Site 3", "Site 4"]


def test_a_query_above_fifty_thousand_points_is_refused_for_good(api: Api) -> None:
    nested = "{ assets(first: 1000) { edges { node { events { active(first: 60) { edges { node { id } } } } } } } }"
    assert code(asked(api, nested)) == "QUERY_COMPLEXITY_REACHED"


def test_the_budget_of_ten_minutes_says_when_it_resets(api: Api) -> None:
    api.iris.settings(graphql_points_per_10_min=1100)
    budget = asked(api, ASSETS)["data"]["rateLimit"]
    assert (budget["cost"], budget["remaining"]) == (506, 594)
    assert asked(api, ASSETS)["data"]["rateLimit"]["remaining"] == 88
    refused = asked(api, ASSETS)
    assert code(refused) == "RATE_LIMITED"
    assert 590_000 < refused["errors"][0]["extensions"]["resetIn"] <= 600_001
    api.iris.advance(600)
    assert "data" in asked(api, ASSETS)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "mutation { x }",
        "{ assets { edges { node { nonsense } } } }",
        "{ nonsense }",
        "query Q($first: Int!) { assets(first: $first) { edges { cursor } } }",
        "{ assets(first: $undefined) { edges { cursor } } }",
        "{ assets { edges ",
        '{ assets(after: "nonsense") { edges { cursor } } }',
        "{ assets }",
    ],
)
def test_a_document_that_makes_no_sense_is_an_error_within_a_200(api: Api, query: str) -> None:
    assert code(asked(api, query)) == "GRAPHQL_VALIDATION_FAILED"


def test_without_its_slash_the_path_is_a_web_page(api: Api) -> None:
    response = api.ask("/api/graphql", "POST", json={"query": "{ rateLimit { cost } }"})
    assert (response.status_code, response.headers["content-type"]) == (404, "text/html; charset=utf-8")
