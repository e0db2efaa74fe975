"""The books of one walk: circles, and collections that changed while they were read."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from airflow_provider_trackunit.iris.pages.walk import Walk

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.pages.paging import Page

CALL = make_call("https://iris.trackunit.com", "/api/x")


def page(
    following: Mapping[str, Any] | None, announced: int | None = None, pages: int | None = None, **facts: Any
) -> Page:
    records = facts.pop("records", 2)
    return Page([msgspec.Raw(b"1")] * records, following, announced, pages, **facts)


def walked(*pages: Page, whole: bool = True, start: Mapping[str, Any] | None = None) -> Walk:
    walk = Walk(CALL, start or {"page": 0}, whole=whole)
    for one in pages:
        walk.take(one)
    return walk


def test_a_walk_counts_records_and_follows_the_cursors() -> None:
    walk = walked(page({"page": 1}, 4), page(None, 4))
    assert (walk.records, walk.cursor, walk.announced) == (4, None, 4)


@pytest.mark.parametrize(
    "following",
    [
        pytest.param([{"after": None}], id="the beginning"),
        pytest.param([{"after": "b"}, {"after": "b"}], id="the same again"),
        pytest.param([{"after": "b"}, {"after": "c"}, {"after": "b"}], id="a circle of two"),
        pytest.param([{"x": 1, "y": 2}, {"after": "c"}, {"y": 2, "x": 1}], id="written in another order"),
    ],
)
def test_a_walk_in_a_circle_is_stopped(following: list[Mapping[str, Any]]) -> None:
    walk = Walk(CALL, {"after": None}, whole=True)
    for one in following[:-1]:
        walk.take(page(one))
    with pytest.raises(IrisPaginationError, match=r"^/api/x: the pages go in a circle"):
        walk.take(page(following[-1]))


def walked_on(contents: list[int], *, ends: bool = False) -> Walk:
    """Return a walk over pages of these records, each with a cursor of its own."""
    walk = Walk(CALL, {"after": None}, whole=True)
    for at, content in enumerate(contents):
        last = ends and at == len(contents) - 1
        walk.take(
            Page([msgspec.Raw(b"7"), msgspec.Raw(b"%d" % content)], None if last else {"after": str(at)})
        )
    return walk


@pytest.mark.parametrize(
    "contents",
    [[1] * 101, [1, 2] * 51, [*range(50), *[*range(50)] * 2]],
    ids=["one page", "two in turn", "from anew"],
)
def test_a_server_that_says_the_same_over_and_over_is_left_after_a_hundred_such_pages(
    contents: list[int],
) -> None:
    assert walked_on(contents[:-1]).records == 2 * (len(contents) - 1)
    with pytest.raises(
        IrisPaginationError, match=r"^/api/x: the last 100 pages hold only .* may never end\. "
    ):
        walked_on(contents)


@pytest.mark.parametrize(
    "contents", [[1] * 100 + [2] + [1] * 99, list(range(200))], ids=["in between", "never"]
)
def test_something_new_now_and_then_is_enough_to_go_on(contents: list[int]) -> None:
    assert walked_on(contents).records == 2 * len(contents)


def test_pages_that_end_alike_and_begin_differently_are_not_the_same() -> None:
    walk = Walk(CALL, {"after": None}, whole=True)
    for at in range(150):
        walk.take(Page([msgspec.Raw(b"%d" % at), msgspec.Raw(b"7")], {"after": str(at)}))
    assert walk.records == 300


def test_the_end_of_a_walk_is_an_end_whatever_it_repeats() -> None:
    assert walked_on([1] * 101, ends=True).cursor is None


def test_the_same_records_in_another_order_are_another_page() -> None:
    walk = Walk(CALL, {"after": None}, whole=True)
    records = [msgspec.Raw(b"%d" % n) for n in range(150)]
    for at in range(150):
        walk.take(Page([*records[at:], *records[:at]], {"after": str(at)}))
    assert walk.records == 150 * 150


@pytest.mark.parametrize(
    ("pages", "whole", "said"),
    [
        pytest.param([page({"page": 1}, 4, 2), page(None, 4, 2)], True, None, id="as announced"),
        pytest.param([page(None)], True, None, id="nothing was announced"),
        pytest.param([page(None, 5)], True, "5 records were announced and 2 came", id="too few"),
        pytest.param([page(None, 1)], True, "1 records were announced and 2 came", id="too many"),
        pytest.param([page(None, 0, 0, records=0)], True, None, id="empty"),
        pytest.param(
            [page({"page": 1}, 4), page(None, 5)], True, "4 records .* at first and 5 at the end", id="grown"
        ),
        pytest.param(
            [page({"page": 1}, 4), page(None, 3)], False, "4 records .* at first and 3", id="shrunk, resumed"
        ),
        pytest.param([page(None, 5)], False, None, id="a resumed walk is not counted"),
        pytest.param([page(None, 5, number=3)], True, None, id="nor one that began with page 3"),
        pytest.param(
            [page({"aempPage": 2}, pages=2), page(None, pages=3)], True, "2 pages .* and 3", id="more pages"
        ),
        pytest.param(
            [page({"aempPage": 2}), page(None, pages=3)], True, None, id="the number of pages came late"
        ),
        pytest.param([], True, None, id="no page at all"),
    ],
)
def test_a_walk_tells_how_it_differs_from_what_was_announced(
    pages: list[Page], whole: bool, said: str | None
) -> None:
    difference = walked(*pages, whole=whole).difference()
    assert difference is None if said is None else re.search(said, str(difference))


def test_a_connection_entered_behind_the_callers_own_cursor_is_not_counted() -> None:
    assert walked(page(None, 5), start={"endCursor": "a"}).difference() is None
