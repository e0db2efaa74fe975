"""A path that nobody described is paged the way its first answer is shaped."""

import json
from typing import Any

import pytest

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.errors import IrisUnexpectedResponseError
from airflow_provider_trackunit.iris.pages.page import Paginator
from airflow_provider_trackunit.iris.pages.styles.aemp import AempLinks
from airflow_provider_trackunit.iris.pages.styles.after import After
from airflow_provider_trackunit.iris.pages.styles.page_number import PageNumber
from airflow_provider_trackunit.iris.pages.styles.recognise import Recognise, recognise
from airflow_provider_trackunit.iris.pages.styles.relay import Relay
from airflow_provider_trackunit.iris.pages.styles.unpaged import Unpaged

QUERY = {"query": "query($after: String) { things(after: $after) { nodes pageInfo } }"}
ORIGIN = "https://iris.trackunit.com"


def call(endpoint: str = "/api/new/v1/things", **arguments: Any) -> Call:
    return make_call(ORIGIN, endpoint, **arguments)


def graphql() -> Call:
    return call("/api/other/graphql/", method="POST", json=QUERY)


AEMP_PAGE: dict[str, Any] = {"Links": [{"rel": "next", "href": f"{ORIGIN}/feed/2"}], "Equipment": [1]}
NODES: dict[str, Any] = {"data": {"a": {"nodes": [1], "pageInfo": {"hasNextPage": True, "endCursor": "c"}}}}


@pytest.mark.parametrize(
    ("asked", "answer", "style"),
    [
        (call(), {"number": 0, "totalPages": 3, "content": [1]}, PageNumber()),
        (call(), {"totalPages": 3, "content": [1]}, PageNumber()),
        (call(), {"number": 0, "content": [1]}, PageNumber()),
        (call(), {"after": "b", "content": [1]}, After()),
        (call(), {"limit": 5, "content": [1]}, After()),
        (call(), {"before": None, "content": [1]}, After()),
        (call("/feed/1"), AEMP_PAGE, AempLinks()),
        (call("/feed"), AEMP_PAGE, Unpaged()),
        (graphql(), NODES, Relay()),
        (call(), NODES, Unpaged()),
        (call(), {"content": [1]}, Unpaged()),
        (call(), {"number": 0, "totalPages": 1}, Unpaged()),
        (call(), {}, Unpaged()),
        (call(), [1, 2], Unpaged()),
        (call(), None, Unpaged()),
    ],
)
def test_the_shape_of_an_answer_tells_its_style(asked: Call, answer: Any, style: Paginator) -> None:
    assert recognise(asked, json.dumps(answer).encode()) == style


def test_no_body_is_a_page_without_records() -> None:
    page = Recognise().read(call(), {}, b"")
    assert (list(page.raw_records), page.next) == ([], None)


def test_the_first_request_goes_out_as_the_caller_wrote_it() -> None:
    asked = call(query_params={"page": 4, "size": 7})
    assert Recognise().start(asked) == {}
    assert Recognise().apply(asked, {}) == asked


@pytest.mark.parametrize(
    ("asked", "answer", "sent"),
    [
        pytest.param(
            call(query_params={"size": 7}),
            {"number": 0, "totalPages": 3, "content": [1]},
            call(query_params={"size": 7, "page": 1}),
            id="page and size",
        ),
        pytest.param(
            call(query_params={"page": 4}),
            {"number": 4, "totalPages": 9, "content": [1]},
            call(query_params={"page": 5}),
            id="from the caller's page on",
        ),
        pytest.param(call(), {"after": "b", "content": [1]}, call(query_params={"after": "b"}), id="cursor"),
        pytest.param(call("/feed/1"), AEMP_PAGE, call("/feed/2"), id="links"),
    ],
)
def test_the_second_request_is_that_of_the_recognised_style_also_in_another_process(
    asked: Call, answer: Any, sent: Call
) -> None:
    style = Recognise()
    page = style.read(asked, style.start(asked), json.dumps(answer).encode())
    cursor = json.loads(json.dumps(page.next))
    applied = Recognise().apply(asked, cursor)
    assert (applied.path, applied.query, applied.json) == (sent.path, sent.query, sent.json)


@pytest.mark.parametrize(
    ("asked", "answer", "following"),
    [
        (call(), {"number": 0, "totalPages": 3, "content": []}, {"page": 1, "of": 3}),
        (call(), {"after": "b", "content": []}, {"after": "b"}),
        (call("/feed/1"), AEMP_PAGE | {"Equipment": []}, {"aempPage": 2, "of": None}),
    ],
)
def test_a_first_page_without_records_is_not_the_end(asked: Call, answer: Any, following: Any) -> None:
    assert Recognise().read(asked, {}, json.dumps(answer).encode()).next == following


def test_the_place_of_a_page_is_known_once_its_style_is() -> None:
    cursors: list[Any] = [{}, {"page": 0}, {"page": 4, "of": 9}, {"aempPage": 4}, {"after": "b"}]
    assert [Recognise().number(cursor) for cursor in cursors] == [0, 1, 5, 4, 0]


def test_a_graphql_connection_is_walked_on() -> None:
    page = Recognise().read(graphql(), {}, json.dumps(NODES).encode())
    assert page.next == {"endCursor": "c"}
    assert Recognise().apply(graphql(), page.next).json["variables"] == {"after": "c"}


def test_the_style_of_the_first_answer_holds_for_the_whole_walk() -> None:
    page = Recognise().read(call(), {"after": "b"}, b'{"content": [{"id": 1}, {"id": 2}]}')
    assert (page.records, page.paginated) == ([{"id": 1}, {"id": 2}], True)


@pytest.mark.parametrize("body", [b'{"content": [', b"{\n"])
def test_a_first_answer_that_is_broken_names_its_endpoint(body: bytes) -> None:
    with pytest.raises(IrisUnexpectedResponseError, match="GET /api/new/v1/things"):
        Recognise().read(call(), {}, body)


def test_pages_are_known_ahead_as_the_style_says() -> None:
    numbered = {"number": 0, "totalPages": 3, "content": [1]}
    style = Recognise()
    page = style.read(call(), {}, json.dumps(numbered).encode())
    assert style.ahead(page, 8) == [{"page": 1, "of": 3}, {"page": 2, "of": 3}]
    assert style.ahead(style.read(call(), {}, b'{"a":1}'), 8) == []
