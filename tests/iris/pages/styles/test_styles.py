"""Page and size, cursors, and endpoints that answer everything at once: what one page says about the next."""

import json
from typing import Any

import pytest

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisError,
    IrisPaginationError,
    IrisUnexpectedResponseError,
)
from airflow_provider_trackunit.iris.pages.page import Cursor, Page
from airflow_provider_trackunit.iris.pages.styles.after import After
from airflow_provider_trackunit.iris.pages.styles.page_number import PageNumber
from airflow_provider_trackunit.iris.pages.styles.unpaged import Unpaged

ORIGIN = "https://iris.trackunit.com"


def call(endpoint: str = "/api/x", **arguments: Any) -> Call:
    return make_call(ORIGIN, endpoint, **arguments)


def numbered(number: int | None, pages: int | None, total: int | None = None, rows: int = 2) -> bytes:
    members: dict[str, Any] = {"totalPages": pages, "totalElements": total, "number": number}
    kept = {name: value for name, value in members.items() if value is not None}
    return json.dumps({**kept, "content": [{"id": at} for at in range(rows)]}).encode()


def raw(page: Page) -> list[bytes]:
    return [bytes(record) for record in page.raw_records]


# --- page and size ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "cursor"),
    [({}, {"page": 0}), ({"page": 3}, {"page": 3}), ({"page": "0", "size": 5}, {"page": 0})],
)
def test_a_numbered_walk_begins_where_the_caller_says(query: dict[str, Any], cursor: Cursor) -> None:
    assert PageNumber().start(call(query_params=query)) == cursor


@pytest.mark.parametrize("page", ["-1", "x", "", "1.5", "²"])
def test_a_page_that_is_no_number_is_refused(page: str) -> None:
    with pytest.raises(IrisConfigurationError, match=r"query_params\['page'\]"):
        PageNumber().start(call(query_params={"page": page}))


@pytest.mark.parametrize(
    ("size", "query", "sent"),
    [
        pytest.param(1000, {}, {"size": "1000", "page": "2"}, id="the documented maximum"),
        pytest.param(1000, {"size": 50}, {"size": "50", "page": "2"}, id="the caller's own size"),
        pytest.param(None, {}, {"page": "2"}, id="no documented maximum"),
        pytest.param(None, {"a": 1, "page": 0}, {"a": "1", "page": "2"}, id="the page is replaced"),
    ],
)
def test_a_numbered_page_is_asked_for_in_the_query(
    size: int | None, query: dict[str, Any], sent: dict[str, str]
) -> None:
    asked = PageNumber(size=size).apply(call(query_params=query), {"page": 2})
    assert dict(asked.query) == sent
    assert len(asked.query) == len(sent)


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        pytest.param({}, {"sort": "name", "page": "2"}, id="the documented order"),
        pytest.param({"sort": "-id"}, {"sort": "-id", "page": "2"}, id="the caller's own order"),
        pytest.param({"sort": ""}, {"sort": "", "page": "2"}, id="the caller wants none"),
    ],
)
def test_a_numbered_page_is_asked_for_in_the_documented_order(
    query: dict[str, Any], sent: dict[str, str]
) -> None:
    asked = PageNumber(sort="name").apply(call(query_params=query), {"page": 2})
    assert dict(asked.query) == sent
    assert "sort" not in dict(PageNumber().apply(call(), {"page": 2}).query)


@pytest.mark.parametrize(
    ("style", "cursor"),
    [
        pytest.param(style, cursor, id=f"{name} {cursor}")
        for name, style, cursors in [
            (
                "page",
                PageNumber(),
                [{}, {"page": "1"}, {"page": -1}, {"page": True}, {"page": None}, {"page": 1, "of": "3"}],
            ),
            ("after", After(), [{}, {"after": 7}, {"after": ["b"]}, {"after": "\ud800"}]),
        ]
        for cursor in cursors
    ],
)
def test_a_cursor_of_something_else_is_refused_before_anything_is_sent(style: Any, cursor: Any) -> None:
    with pytest.raises(IrisConfigurationError, match=r"^cursor: .* what a page of it had as its next"):
        style.apply(call(), cursor)


@pytest.mark.parametrize("cursor", [{"page": 0}, {"page": 5, "of": None}, {"page": 5, "of": 0}])
def test_a_cursor_of_a_numbered_page_is_sent_as_its_page(cursor: Any) -> None:
    assert dict(PageNumber().apply(call(), cursor).query) == {"page": str(cursor["page"])}


@pytest.mark.parametrize(
    ("asked", "body", "following"),
    [
        pytest.param({"page": 0}, numbered(0, 3), {"page": 1, "of": 3}, id="first"),
        pytest.param({"page": 1, "of": 3}, numbered(1, 3), {"page": 2, "of": 3}, id="middle"),
        pytest.param({"page": 2, "of": 3}, numbered(2, 3), None, id="last"),
        pytest.param({"page": 0}, numbered(0, 1), None, id="the only one"),
        pytest.param({"page": 0}, numbered(0, 0, rows=0), None, id="empty, with 0 pages"),
        pytest.param({"page": 0}, numbered(0, 1, rows=0), None, id="empty, with 1 page"),
        pytest.param(
            {"page": 1, "of": 3},
            numbered(1, 3, rows=0),
            {"page": 2, "of": 3},
            id="an empty page in the middle",
        ),
        pytest.param({"page": 2, "of": 3}, numbered(2, 3, rows=0), None, id="an empty page at the end"),
        pytest.param({"page": 7, "of": 9}, numbered(7, 3, rows=0), None, id="behind the end: it has shrunk"),
        pytest.param(
            {"page": 2, "of": None}, numbered(2, None, rows=0), None, id="empty, and nobody says how many"
        ),
        pytest.param({"page": 0}, numbered(0, 2, rows=1), {"page": 1, "of": 2}, id="a short page does not"),
        pytest.param({"page": 1, "of": 3}, numbered(1, 4), {"page": 2, "of": 3}, id="grown: 'of' stays"),
        pytest.param({"page": 0}, numbered(None, 2), {"page": 1, "of": 2}, id="without its number"),
        pytest.param({"page": 0}, numbered(0, None), {"page": 1, "of": None}, id="without a count"),
        pytest.param({"page": 0}, numbered(None, None), None, id="without number and count"),
    ],
)
def test_a_numbered_page_says_what_follows(asked: Cursor, body: bytes, following: Cursor | None) -> None:
    page = PageNumber().read(call(), asked, body)
    assert page.next == following
    assert page.number == asked["page"] + 1


def test_a_numbered_page_carries_what_was_announced() -> None:
    page = PageNumber().read(call(), {"page": 0}, numbered(0, 3, 214))
    assert (page.announced, page.pages, page.number, page.paginated) == (214, 3, 1, True)
    assert page.records == [{"id": 0}, {"id": 1}]
    assert page.document["totalElements"] == 214


@pytest.mark.parametrize("number", [0, 2, 99])
def test_another_page_than_the_one_asked_for_is_an_error(number: int) -> None:
    with pytest.raises(IrisPaginationError, match=rf"asked for page 1 and got page {number}"):
        PageNumber().read(call(), {"page": 1}, numbered(number, 100))


@pytest.mark.parametrize(
    ("of", "page", "ends"),
    [(1, 11, False), (1, 12, True), (3, 15, False), (3, 16, True), (0, 9, False), (0, 10, True)],
)
def test_a_walk_that_grows_to_twice_what_was_announced_and_then_some_is_stopped(
    of: int, page: int, ends: bool
) -> None:
    cursor, body = {"page": page, "of": of}, numbered(page, page + 2)
    if not ends:
        assert PageNumber().read(call(), cursor, body).next == {"page": page + 1, "of": of}
        return
    with pytest.raises(IrisPaginationError, match="may never end"):
        PageNumber().read(call(), cursor, body)


@pytest.mark.parametrize(
    ("number", "pages", "at_most", "ahead"),
    [
        (0, 5, 3, [1, 2, 3]),
        (0, 3, 9, [1, 2]),
        (3, 5, 3, [4]),
        (4, 5, 3, []),
        (0, 1, 3, []),
        (0, None, 3, []),
        (0, 5, 0, []),
    ],
)
def test_numbered_pages_are_known_as_far_as_they_are_announced(
    number: int, pages: int | None, at_most: int, ahead: list[int]
) -> None:
    style = PageNumber()
    page = style.read(call(), {"page": number}, numbered(number, pages))
    assert style.ahead(page, at_most) == [{"page": one, "of": pages} for one in ahead]


@pytest.mark.parametrize("count", [b"-1", b"1.5", b'"3"', b"null", b"true"])
def test_a_count_that_is_none_is_no_count(count: bytes) -> None:
    body = b'{"totalPages":%b,"totalElements":%b,"number":0,"content":[1]}' % (count, count)
    page = PageNumber().read(call(), {"page": 0}, body)
    assert (page.pages, page.announced, page.next) == (None, None, {"page": 1, "of": None})


@pytest.mark.parametrize("digits", [10, 19, 5001])
def test_a_number_of_pages_that_no_collection_has_ends_the_walk(digits: int) -> None:
    body = b'{"totalPages":1%b,"number":0,"content":[1]}' % (b"0" * (digits - 1))
    with pytest.raises(IrisPaginationError, match=f"totalPages is a number of {digits} digits"):
        PageNumber().read(call(), {"page": 0}, body)


# --- where the records are ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "records"),
    [
        pytest.param(b'{"content":[1,2]}', [b"1", b"2"], id="the documented member"),
        pytest.param(b'{"items":[1],"links":[2]}', [b"1"], id="the only list but the links"),
        pytest.param(b'{"items":[1],"Links":[2]}', [b"1"], id="the only list, links in upper case"),
        pytest.param(b'{"content":[],"items":[1]}', [], id="the documented one although empty"),
        pytest.param(b'{"content":[1],"warnings":[2]}', [b"1"], id="the documented one beside another"),
    ],
)
def test_records_are_in_the_documented_list_or_in_the_only_one(body: bytes, records: list[bytes]) -> None:
    assert raw(PageNumber().read(call(), {"page": 0}, body)) == records
    assert raw(After().read(call(), {"after": None}, body)) == records


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":[1],"b":[2]}', id="two lists"),
        pytest.param(b'{"a":1}', id="no list"),
        pytest.param(b"{}", id="nothing"),
        pytest.param(b"", id="no body"),
        pytest.param(b"[1]", id="a bare list"),
        pytest.param(b'{"content":{"a":1}}', id="an object in place of the list"),
        pytest.param(b'{"content":null}', id="null in place of the list"),
    ],
)
@pytest.mark.parametrize(
    ("style", "cursor"), [(PageNumber(), {"page": 0}), (After(), {"after": None})], ids=["number", "after"]
)
def test_a_page_that_is_not_shaped_as_one_is_an_error_that_names_the_endpoint(
    style: PageNumber | After, cursor: Cursor, body: bytes
) -> None:
    with pytest.raises(IrisPaginationError, match=r"^/api/x:"):
        style.read(call(), cursor, body)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"b":1,"a":[1],"c":[2]}', "(its members: a, b, c)"),
        (b'{"a b":1,"\xc3\xbc":2}', "(its members: none)"),
        (b"{}", "(its members: none)"),
    ],
)
def test_a_page_without_its_list_says_what_it_has_instead(body: bytes, named: str) -> None:
    with pytest.raises(IrisPaginationError) as caught:
        PageNumber().read(call(), {"page": 0}, body)
    assert str(caught.value).endswith(named)


@pytest.mark.parametrize(
    "body",
    [b'{"content": [{"id": ', b'{"content":[1]', b"{,}", b'{\n"content": [}', b'{"content":[tru]}', b"{\n"],
)
@pytest.mark.parametrize(
    ("style", "cursor"),
    [(PageNumber(), {"page": 0}), (After(), {"after": None}), (Unpaged(), {}), (Unpaged("content"), {})],
    ids=["number", "after", "unpaged", "unpaged by key"],
)
def test_a_page_that_is_broken_json_is_an_error_and_not_a_record(
    style: Any, cursor: Cursor, body: bytes
) -> None:
    with pytest.raises(IrisUnexpectedResponseError, match=r"^GET /api/x: HTTP 200, .* \(.*(JSON|Input).*\)"):
        style.read(call(), cursor, body)


RECORD = (
    b'{"id":"a","big":123456789012345678901234567890,"price":1.10,"e":1E+2,"text":"a\\nb","u":"\xc3\xbc"}'
)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"number":0,"totalPages":1,"content":[%b,%b]}', id="compact"),
        pytest.param(b'{\n  "number": 0,\r\n  "content": [\n    %b,\n    %b\n  ]\n}\n', id="pretty"),
        pytest.param(b'{"number":0,"content":[%b\n,%b]}', id="newline between records"),
        pytest.param(b'\r\n{"number":0,"content":[%b,%b]}\r\n', id="newline around it"),
    ],
)
def test_a_record_is_one_line_and_its_numbers_are_as_they_came(body: bytes) -> None:
    page = PageNumber().read(call(), {"page": 0}, body % (RECORD, RECORD.replace(b",", b",\n")))
    assert raw(page) == [RECORD, RECORD] or b"\n" not in b"".join(raw(page))
    assert raw(page)[0] == RECORD
    assert page.records[1]["big"] == 123456789012345678901234567890


@pytest.mark.parametrize("newline", [b"\n", b"\r"], ids=["LF", "CR"])
@pytest.mark.parametrize("style", [Unpaged(), Unpaged("content")])
def test_an_unpaged_record_is_one_line_too(style: Unpaged, newline: bytes) -> None:
    pretty = b'{\n "price": 1.10,\n "big": 123456789012345678901234567890\n}'.replace(b"\n", newline)
    page = style.read(call(), {}, b'{"content": %b}' % pretty if style.record_key else pretty)
    assert raw(page) == [b'{"price":1.10,"big":123456789012345678901234567890}']


# --- cursor ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "query", "after", "sent"),
    [
        pytest.param(None, {}, None, {}, id="the beginning"),
        pytest.param(None, {}, "b=", {"after": "b="}, id="later"),
        pytest.param(None, {"after": "a"}, "a", {"after": "a"}, id="the caller's beginning"),
        pytest.param(None, {"after": "a"}, "b", {"after": "b"}, id="behind the caller's beginning"),
        pytest.param(100, {}, "b", {"limit": "100", "after": "b"}, id="a documented limit"),
        pytest.param(100, {"limit": 5}, None, {"limit": "5"}, id="the caller's own limit"),
    ],
)
def test_a_cursor_is_sent_as_after(
    limit: int | None, query: dict[str, Any], after: str | None, sent: dict[str, str]
) -> None:
    asked = call(query_params=query)
    assert After().start(asked) == {"after": query.get("after")}
    assert dict(After(limit=limit).apply(asked, {"after": after}).query) == sent


@pytest.mark.parametrize(
    ("body", "following"),
    [
        pytest.param({"after": "b", "content": [1]}, {"after": "b"}, id="more"),
        pytest.param(
            {"after": "b", "limit": 100, "content": [1]}, {"after": "b"}, id="a short page is not the end"
        ),
        pytest.param({"after": 7, "content": [1]}, {"after": "7"}, id="a number"),
        pytest.param({"after": 0, "content": [1]}, {"after": "0"}, id="zero is not the end"),
        pytest.param({"content": [1]}, None, id="missing"),
        pytest.param({"after": None, "content": [1]}, None, id="null"),
        pytest.param({"after": "", "content": [1]}, None, id="empty text"),
        pytest.param({"after": False, "content": [1]}, None, id="false"),
        pytest.param({"after": "b", "content": []}, {"after": "b"}, id="an empty page in the middle"),
        pytest.param({"after": "a", "content": []}, None, id="an empty page, and the cursor stands still"),
        pytest.param({"after": None, "content": []}, None, id="an empty page at the end"),
    ],
)
def test_a_page_names_the_cursor_that_follows(body: Any, following: Cursor | None) -> None:
    page = After().read(call(), {"after": "a"}, json.dumps(body).encode())
    assert page.next == following
    assert (page.announced, page.pages, page.number) == (None, None, None)
    assert After().ahead(page, 8) == []


def test_a_cursor_that_no_number_can_hold_is_an_error_that_names_the_endpoint() -> None:
    with pytest.raises(IrisPaginationError, match=r"^/api/x: a page is not shaped as one"):
        After().read(call(), {"after": None}, b'{"after":1e999,"content":[1]}')


# --- everything at once --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "body", "records"),
    [
        pytest.param(None, b'{"id":1}', [b'{"id":1}'], id="one object is one record"),
        pytest.param(None, b"[1,2]", [b"1", b"2"], id="a list"),
        pytest.param(None, b"[]", [], id="an empty list"),
        pytest.param(None, b"null", [], id="null"),
        pytest.param(None, b"", [], id="no body"),
        pytest.param(None, b' {"id":1} ', [b'{"id":1}'], id="blanks around it"),
        pytest.param("assetIds", b'{"assetIds":["a","b"]}', [b'"a"', b'"b"'], id="by key"),
        pytest.param("assetIds", b'{"assetIds":[]}', [], id="by key, empty"),
        pytest.param("assetIds", b'{"assetIds":null}', [], id="by key, null"),
        pytest.param("data.result", b'{"data":{"result":[1]}}', [b"1"], id="by a path"),
        pytest.param("data", b'{"data":{"a":1}}', [b'{"a":1}'], id="an object under the key"),
        pytest.param(
            "assetIds", b'{"other":[1]}', [b'{"other":[1]}'], id="the whole where the key is missing"
        ),
        pytest.param("data.result", b'{"data":[1,2]}', [b"1", b"2"], id="as far as the path goes"),
    ],
)
def test_an_unpaged_answer_is_one_page(key: str | None, body: bytes, records: list[bytes]) -> None:
    style = Unpaged(key)
    asked = call()
    assert (style.start(asked), style.apply(asked, {})) == ({}, asked)
    page = style.read(asked, {}, body)
    assert raw(page) == records
    assert (page.next, page.paginated, page.announced) == (None, False, None)
    assert style.ahead(page, 8) == []


def test_an_answer_without_a_body_has_no_document() -> None:
    assert Unpaged().read(call(), {}, b"").document is None


def test_a_record_that_was_never_json_is_an_error_of_ours() -> None:
    import msgspec

    with pytest.raises(IrisUnexpectedResponseError, match=r"record .* not valid JSON"):
        _ = Page(raw_records=[msgspec.Raw(b"{")], next=None).records


# --- every style -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "cursor"),
    [(PageNumber(), {"page": 0}), (After(), {"after": None}), (Unpaged("content"), {})],
    ids=["number", "after", "unpaged"],
)
def test_a_condition_can_look_at_the_whole_answer_in_every_style(style: Any, cursor: Cursor) -> None:
    body = b'{"number":0,"content":[1],"beside":{"it":2}}'
    assert style.read(call(), cursor, body).document == json.loads(body)


@pytest.mark.parametrize(
    ("style", "bodies"),
    [
        (PageNumber(size=2), [numbered(0, 3), numbered(1, 3), numbered(2, 3)]),
        (After(), [b'{"after":"b","content":[1,2]}', b'{"after":"c","content":[3]}', b'{"content":[4]}']),
        (Unpaged(), [b"[1,2,3]"]),
    ],
    ids=["number", "after", "unpaged"],
)
def test_a_walk_can_be_taken_up_at_any_page_from_a_cursor_that_was_written_down(
    style: Any, bodies: list[bytes]
) -> None:
    asked = call()
    sent, cursor = [], style.start(asked)
    for body in bodies:
        cursor = json.loads(json.dumps(cursor))
        sent.append(style.apply(asked, cursor).query)
        cursor = style.read(asked, cursor, body).next
    assert cursor is None
    assert len(set(sent)) == len(bodies)


@pytest.mark.parametrize("error", [IrisPaginationError, IrisUnexpectedResponseError])
def test_no_error_of_a_page_goes_away_by_itself(error: type[IrisError]) -> None:
    assert not error.transient
