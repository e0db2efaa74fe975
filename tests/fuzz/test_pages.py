"""Pages of every style: what a broken or hostile server sends ends in our own errors, and in few requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.errors import IrisConfigurationError, IrisPaginationError
from airflow_provider_trackunit.iris.http.wire import Request, Response
from tests.fuzz.documents import VALUES, hostile
from tests.fuzz.wires import JSON, ORIGIN, walk_both, with_threads

if TYPE_CHECKING:
    from collections.abc import Callable

FLEET = "/public/api/aemp/v2/15143/-3/Fleet"
QUERY = (
    "query($first: Int, $after: String) { assets(first: $first, after: $after) "
    "{ edges { node { id } } pageInfo { hasNextPage endCursor count } } }"
)

#: A walk whose pages repeat is stopped after so many of them.
REPEATED = 100

Records = list[Any]


@dataclass(frozen=True)
class Style:
    """One way to page: how a page is written, and how it is asked for.

    :param page: makes the document of the n-th page (from 0) of so many
    :param number: reads from a request which page it asks for, from 0
    """

    endpoint: str
    page: Callable[[Records, int, int, int], Any]
    number: Callable[[Request], int]
    arguments: dict[str, Any] = field(default_factory=dict)


def _query(request: Request) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in request.url.partition("?")[2].split("&"))
    return {name: value for name, _, value in pairs}


def _numbered(records: Records, number: int, of: int, total: int) -> Any:
    return {
        "totalPages": of,
        "totalElements": total,
        "number": number,
        "size": 2,
        "numberOfElements": len(records),
        "content": records,
    }


def _after(records: Records, number: int, of: int, total: int) -> Any:
    return {
        "before": None,
        "after": f"cursor-{number + 1}" if number + 1 < of else None,
        "limit": 2,
        "content": records,
    }


def _linked(records: Records, number: int, of: int, total: int) -> Any:
    def link(page: int) -> str:
        return f"{ORIGIN}{FLEET}/{page}"

    links = [{"rel": "self", "href": link(number + 1)}, {"rel": "last", "href": link(max(of, 1))}]
    if number + 1 < of:
        links.append({"rel": "next", "href": link(number + 2)})
    return {"links": links, "equipment": records}


def _connection(records: Records, number: int, of: int, total: int) -> Any:
    info = {"hasNextPage": number + 1 < of, "endCursor": f"cursor-{number + 1}", "count": total}
    edges = [{"cursor": str(place), "node": record} for place, record in enumerate(records)]
    return {"data": {"assets": {"edges": edges, "pageInfo": info}}}


def _cursor_number(cursor: str | None) -> int:
    return int((cursor or "cursor-0").rpartition("-")[2])


def _relay_number(request: Request) -> int:
    return _cursor_number((json.loads(request.body or b"{}").get("variables") or {}).get("after"))


STYLES = {
    "page and size": Style("/api/asset/v1/assets", _numbered, lambda r: int(_query(r).get("page", 0))),
    "POST with the page in the query": Style(
        "/public/api/eventlog/v3/asset-event/log",
        _numbered,
        lambda r: int(_query(r).get("page", 0)),
        {"method": "POST", "json": {"fromTime": "2026-01-01T00:00:00Z"}},
    ),
    "after": Style(
        "/public/api/operator/operators", _after, lambda r: _cursor_number(_query(r).get("after"))
    ),
    "links": Style(f"{FLEET}/1", _linked, lambda r: int(r.url.partition("?")[0].rpartition("/")[2]) - 1),
    "Relay": Style("/api/graphql/", _connection, _relay_number, {"method": "POST", "json": {"query": QUERY}}),
    "recognised by number": Style("/api/x", _numbered, lambda r: int(_query(r).get("page", 0))),
    "recognised by after": Style("/api/x", _after, lambda r: _cursor_number(_query(r).get("after"))),
    "none": Style("/api/asset/v1/assets/a", lambda records, *_: records, lambda _request: 0),
    "none, in a member": Style(
        "/api/service-management/v2/plans",
        lambda records, *_: {"servicePlans": records},
        lambda _request: 0,
    ),
}
PAGED = [name for name in STYLES if not name.startswith("none")]


def in_pages(records: Records, size: int) -> list[Records]:
    return [records[start : start + size] for start in range(0, len(records), size)] or [[]]


def server_of(style: Style, pages: list[Records]) -> Callable[[], Callable[[Request], Response]]:
    """Return what makes an honest server of these pages."""
    total = sum(len(page) for page in pages)

    def answer(request: Request) -> Response:
        number = style.number(request)
        records = pages[number] if number < len(pages) else []
        return Response(200, JSON, json.dumps(style.page(records, number, len(pages), total)).encode())

    return lambda: answer


@given(
    name=st.sampled_from(PAGED),
    records=st.lists(VALUES, max_size=9),
    size=st.integers(1, 4),
    concurrency=st.sampled_from([1, 1, 3]),
)
def test_every_record_of_an_honest_server_comes_once_and_in_order(
    name: str, records: Records, size: int, concurrency: int
) -> None:
    style, pages = STYLES[name], in_pages(records, size)
    walk = walk_both(server_of(style, pages), style.endpoint, max_concurrency=concurrency, **style.arguments)
    assert walk.error is None
    assert [json.loads(record) for page in walk.result for record in page] == records
    assert len(walk.asked) == len(set(walk.asked)) == len(pages)


@given(name=st.sampled_from(PAGED), records=st.lists(VALUES, min_size=2, max_size=9), data=st.data())
def test_a_walk_taken_up_from_a_cursor_that_was_written_down_brings_exactly_the_rest(
    name: str, records: Records, data: st.DataObject
) -> None:
    style, pages = STYLES[name], in_pages(records, 2)
    answer = server_of(style, pages)()
    cursors: list[Any] = []

    def note_cursors(client: Any) -> None:
        cursors.extend(page.next for page in client.pages(style.endpoint, **style.arguments))

    with_threads(note_cursors, answer)
    assert cursors.pop() is None
    if not cursors:
        return
    at = data.draw(st.integers(0, len(cursors) - 1))
    cursor = json.loads(json.dumps(cursors[at]))
    walk = walk_both(lambda: answer, style.endpoint, cursor=cursor, **style.arguments)
    assert walk.error is None
    assert [json.loads(record) for page in walk.result for record in page] == records[(at + 1) * 2 :]


RECORDS = st.lists(st.one_of(VALUES, st.just({"id": 1})), min_size=1, max_size=3)


def bodies_of(style: Style) -> st.SearchStrategy[list[bytes]]:
    """Return the answers of a server that was meant to send up to four pages of this style."""
    page = st.builds(style.page, RECORDS, st.integers(0, 3), st.integers(0, 5), st.integers(0, 9))
    in_turn = [hostile(RECORDS.map(lambda some, at=at: style.page(some, at, 4, 8))) for at in range(4)]  # type: ignore[misc]
    return st.one_of(st.tuples(*in_turn).map(list), st.lists(hostile(page), min_size=1, max_size=4))


BODIES = {name: bodies_of(style) for name, style in STYLES.items()}


def script(
    bodies: list[bytes], content_type: str = "application/json"
) -> Callable[[], Callable[[Request], Response]]:
    """Return what makes a server that gives these answers in turn, and the last for ever."""

    def new() -> Callable[[Request], Response]:
        asked: list[Request] = []

        def answer(request: Request) -> Response:
            asked.append(request)
            assert len(asked) <= len(bodies) + REPEATED + 2, "a walk without an end"
            body = bodies[min(len(asked), len(bodies)) - 1]
            return Response(200, {"content-type": content_type}, body)

        return answer

    return new


@given(name_and_bodies=st.one_of([st.tuples(st.just(name), bodies) for name, bodies in BODIES.items()]))
def test_whatever_a_page_holds_only_our_errors_come_out_and_the_walk_ends(
    name_and_bodies: tuple[str, list[bytes]],
) -> None:
    name, bodies = name_and_bodies
    style = STYLES[name]
    walk = walk_both(script(bodies), style.endpoint, **style.arguments)
    assert len(set(walk.asked)) == len(walk.asked), "a page was asked for twice"
    if walk.error is None:
        for body in bodies[: len(walk.asked)]:
            body.decode()
            if body.strip():
                msgspec.json.decode(body, type=msgspec.Raw)
    for record in (record for page in walk.result for record in page):
        # As they are, records are the lines of a file.
        assert not {b"\n", b"\r"} & {record[at : at + 1] for at in range(len(record))}
        record.decode()


@pytest.mark.parametrize("name", sorted(STYLES))
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda body: b"\xef\xbb\xbf" + body, id="a byte order mark"),
        pytest.param(lambda body: body.replace(b"text", b"\xff"), id="not UTF-8"),
        pytest.param(lambda body: b'"' + b"x" * len(body) + b'"', id="text"),
        pytest.param(lambda body: body[:-1], id="half a page"),
    ],
)
def test_an_answer_that_is_no_page_is_never_taken_for_the_end_of_a_collection(
    name: str, spoil: Callable[[bytes], bytes]
) -> None:
    style = STYLES[name]
    body = spoil(json.dumps(style.page([{"id": "text"}], 0, 1, 1)).encode())
    walk = walk_both(script([body]), style.endpoint, **style.arguments)
    if walk.error is None:
        assert name.startswith(("none", "recognised"))
        assert walk.result == [[body]], "a text is the one record of an endpoint that does not page"


@pytest.mark.parametrize("name", [name for name in PAGED if name not in {"page and size", "links"}])
def test_a_server_that_repeats_its_pages_with_a_cursor_that_moves_is_left(name: str) -> None:
    style = STYLES[name]
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        document = style.page([{"id": len(asked) % 3}], len(asked) - 1, 10**6, 10**6)
        return Response(200, JSON, json.dumps(document).encode())

    def walk(client: Any) -> None:
        for _ in client.pages(style.endpoint, **style.arguments):
            pass

    left = with_threads(walk, answer)
    assert isinstance(left.error, IrisPaginationError)
    assert len(asked) == 3 + REPEATED


@pytest.mark.parametrize("rel", [[], {}, ["next"], 5, None, True])
def test_a_link_whose_rel_is_no_text_is_not_a_link(rel: Any) -> None:
    page = {"links": [{"rel": rel, "href": f"{ORIGIN}{FLEET}/2"}], "equipment": [{"id": 1}]}
    walk = walk_both(script([json.dumps(page).encode()]), f"{FLEET}/1")
    assert walk.result == [[b'{"id": 1}']]


CURSORS = st.dictionaries(
    st.sampled_from(["page", "of", "after", "aempPage", "endCursor", "x"]),
    st.one_of(VALUES, st.integers(-2, 5), st.text(max_size=5), st.just("\ud800")),
    max_size=3,
)


@given(name=st.sampled_from(sorted(STYLES)), cursor=CURSORS)
def test_a_cursor_of_anybody_is_used_or_refused_before_anything_is_asked(
    name: str, cursor: dict[str, Any]
) -> None:
    style = STYLES[name]
    bodies = [json.dumps(style.page([{"id": 1}], 0, 1, 1)).encode()]
    walk = walk_both(script(bodies), style.endpoint, cursor=cursor, **style.arguments)
    if isinstance(walk.error, IrisConfigurationError):
        assert not walk.asked
        assert "cursor" in str(walk.error)
