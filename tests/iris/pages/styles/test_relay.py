"""GraphQL connections: walked by the variable ``$after`` of the caller's own query."""

import json
from typing import Any

import pytest

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisPaginationError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.pages.styles.relay import Relay

QUERY = "query($first: Int, $after: String) { assets(first: $first, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor count } } }"
STYLE = Relay()


def call(query: str = QUERY, variables: Any = None) -> Call:
    body = {"query": query} if variables is None else {"query": query, "variables": variables}
    return make_call("https://iris.trackunit.com", "/api/graphql/", method="POST", json=body)


def connection(
    has_next: Any = False, end: Any = None, count: int | None = None, rows: int = 2
) -> dict[str, Any]:
    info = {"hasNextPage": has_next, "endCursor": end}
    edges = [{"cursor": "c", "node": {"id": at}} for at in range(rows)]
    return {"edges": edges, "pageInfo": info | ({} if count is None else {"count": count})}


def body(data: Any) -> bytes:
    return json.dumps({"data": data}).encode()


@pytest.mark.parametrize(
    ("variables", "cursor"),
    [
        (None, {"endCursor": None}),
        ({}, {"endCursor": None}),
        ({"after": "a"}, {"endCursor": "a"}),
        ({"x": 1}, {"endCursor": None}),
    ],
)
def test_a_walk_begins_behind_the_callers_after(variables: Any, cursor: dict[str, Any]) -> None:
    assert STYLE.start(call(variables=variables)) == cursor


@pytest.mark.parametrize("variables", [[1], "text", 7])
def test_variables_that_are_no_mapping_are_refused(variables: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=r"json\['variables'\]"):
        STYLE.start(call(variables=variables))


@pytest.mark.parametrize("after", [7, ["a"], {"a": 1}, True])
def test_an_after_that_is_no_text_is_refused(after: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=r"json\['variables'\]\['after'\]"):
        STYLE.start(call(variables={"after": after}))


@pytest.mark.parametrize(
    ("query", "variables", "cursor", "sent"),
    [
        pytest.param(QUERY, None, None, {"first": 100}, id="the recommended page size"),
        pytest.param(QUERY, {"first": 7}, None, {"first": 7}, id="the caller's own size"),
        pytest.param(QUERY, {"x": 1}, "c", {"x": 1, "first": 100, "after": "c"}, id="later"),
        pytest.param(QUERY, {"after": "a", "first": 5}, "b", {"after": "b", "first": 5}, id="after moves on"),
        pytest.param(
            "query($first: Int!\n$after: String) { x }", None, None, {"first": 100}, id="without commas"
        ),
        pytest.param("query($first: Int = 50) { x }", None, None, None, id="the query's own default"),
        pytest.param("query($after: String) { x(first: 50) }", None, None, None, id="first is not declared"),
        pytest.param("{ x(first: 50) }", {"a": 1}, None, {"a": 1}, id="variables stay"),
    ],
)
def test_a_page_is_asked_for_by_variables(
    query: str, variables: Any, cursor: str | None, sent: dict[str, Any] | None
) -> None:
    asked = call(query, variables)
    applied = STYLE.apply(asked, {"endCursor": cursor})
    assert applied.json == ({"query": query} if sent is None else {"query": query, "variables": sent})
    assert asked.json.get("variables") == variables


@pytest.mark.parametrize(
    ("data", "following"),
    [
        pytest.param({"assets": connection(has_next=True, end="b")}, {"endCursor": "b"}, id="more"),
        pytest.param({"assets": connection(has_next=False, end="b")}, None, id="last"),
        pytest.param(
            {"assets": connection(has_next=True, end="b", rows=0)},
            {"endCursor": "b"},
            id="an empty page in the middle",
        ),
        pytest.param(
            {"assets": connection(has_next=False, end="b", rows=0)}, None, id="an empty page at the end"
        ),
        pytest.param(
            {"account": {"sites": connection(has_next=True, end="b")}}, {"endCursor": "b"}, id="further down"
        ),
        pytest.param(
            {"rateLimit": {"cost": 1}, "x": None, "assets": connection(has_next=True, end="b")},
            {"endCursor": "b"},
            id="beside other fields",
        ),
    ],
)
def test_the_page_info_says_what_follows(data: Any, following: Any) -> None:
    assert STYLE.read(call(), {"endCursor": "a"}, body(data)).next == following


def test_a_record_is_the_node_with_its_numbers_as_they_came() -> None:
    answer = b"""{"data": {"assets": {
        "edges": [{"cursor": "c", "node": {"hours": 1.10,
                   "big": 123456789012345678901234567890}}, {"node": null}],
        "pageInfo": {"hasNextPage": false, "count": 214}}}}"""
    page = STYLE.read(call(), {"endCursor": None}, answer)
    assert [bytes(record) for record in page.raw_records] == [
        b'{"hours":1.10,"big":123456789012345678901234567890}',
        b"null",
    ]
    assert (page.announced, page.number, page.pages) == (214, None, None)
    assert STYLE.ahead(page, 8) == []


def test_nodes_serve_as_well_as_edges() -> None:
    data = {"assets": {"nodes": [{"id": 1}, {"id": 2}], "pageInfo": {"hasNextPage": False}}}
    assert STYLE.read(call(), {"endCursor": None}, body(data)).records == [{"id": 1}, {"id": 2}]


def test_a_connection_within_a_record_is_a_part_of_the_record() -> None:
    inner = {"id": 1, "events": connection(has_next=True, end="inner")}
    data = {"assets": {"edges": [{"node": inner}], "pageInfo": {"hasNextPage": True, "endCursor": "outer"}}}
    page = STYLE.read(call(), {"endCursor": None}, body(data))
    assert (page.records, page.next) == ([inner], {"endCursor": "outer"})


@pytest.mark.parametrize(
    ("query", "end"),
    [
        pytest.param("{ assets { edges { node { id } } pageInfo { hasNextPage } } }", "b", id="no $after"),
        pytest.param("query($afterwards: String) { assets }", "b", id="a variable that begins like it"),
        pytest.param(QUERY, None, id="no endCursor"),
        pytest.param(QUERY, "a", id="the same endCursor again"),
    ],
)
def test_a_walk_that_cannot_go_on_is_an_error_and_not_an_end(query: str, end: str | None) -> None:
    with pytest.raises(IrisPaginationError, match=r"more pages") as caught:
        STYLE.read(call(query), {"endCursor": "a"}, body({"assets": connection(has_next=True, end=end)}))
    to_do = "'pageInfo { hasNextPage endCursor }'" if "$after:" in query else "the connection 'after: $after'"
    assert to_do in str(caught.value)


def test_a_single_page_needs_no_variable() -> None:
    page = STYLE.read(
        call("{ assets { edges pageInfo } }"), {"endCursor": None}, body({"a": connection(has_next=False)})
    )
    assert page.next is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param({"a": connection(), "b": connection()}, "2 connections", id="two connections"),
        pytest.param({"a": {"id": 1}}, "no connection", id="none"),
        pytest.param({"assets": None}, "no connection", id="null"),
        pytest.param(None, "no connection", id="no data"),
        pytest.param({"a": {"edges": []}}, "no connection", id="edges without pageInfo"),
        pytest.param({"a": {"b": {"c": {"d": {"e": connection()}}}}}, "no connection", id="too deep"),
        pytest.param({"a": {"edges": 7, "pageInfo": {}}}, "not shaped", id="edges that are none"),
        pytest.param({"a": {"nodes": 7, "pageInfo": {}}}, "not shaped", id="nodes that are none"),
        pytest.param({"a": {"edges": [{}], "pageInfo": {}}}, "not shaped", id="an edge without a node"),
        pytest.param({"a": connection(has_next="yes")}, "not shaped", id="strange page info"),
    ],
)
def test_an_answer_without_the_one_connection_is_an_error(data: Any, why: str) -> None:
    with pytest.raises(IrisPaginationError, match=rf"^/api/graphql/: .*{why}"):
        STYLE.read(call(), {"endCursor": None}, body(data))


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"null", b'{"errors": []}'])
def test_an_answer_without_data_holds_no_connection(answer: bytes) -> None:
    with pytest.raises(IrisPaginationError, match="no connection with pageInfo and edges"):
        STYLE.read(call(), {"endCursor": None}, answer)


def test_a_condition_can_look_at_the_whole_answer() -> None:
    answer = body({"assets": connection(has_next=False), "rateLimit": {"cost": 1}})
    assert STYLE.read(call(), {"endCursor": None}, answer).document["data"]["rateLimit"] == {"cost": 1}


@pytest.mark.parametrize("answer", [b'{"data": {"a": ', b'{"data": {"a":\n'])
def test_a_broken_answer_is_an_error(answer: bytes) -> None:
    with pytest.raises(IrisUnexpectedResponseError):
        STYLE.read(call(), {"endCursor": None}, answer)


def test_a_walk_can_be_taken_up_from_a_cursor_that_was_written_down() -> None:
    page = STYLE.read(call(), {"endCursor": None}, body({"assets": connection(has_next=True, end="b=")}))
    cursor = json.loads(json.dumps(page.next))
    assert STYLE.apply(call(), cursor).json["variables"]["after"] == "b="
