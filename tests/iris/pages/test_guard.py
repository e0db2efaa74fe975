"""Walks that may never end are stopped: circles of cursors, and pages that say the same over and over."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.pages.guard import Guard
from airflow_provider_trackunit.iris.pages.page import Page

CALL = make_call("https://iris.trackunit.com", "/api/x")
START: Mapping[str, Any] = {"after": None}


def page(following: Mapping[str, Any] | None, *records: int, number: int | None = None) -> Page:
    return Page([msgspec.Raw(b"%d" % record) for record in records], following, number=number)


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
    guard, cursor = Guard(CALL), START
    for at, one in enumerate(following[:-1]):
        guard.check(cursor, page(one, at, at))
        cursor = one
    with pytest.raises(
        IrisPaginationError,
        match=rf"^/api/x: the pages go in a circle after {2 * len(following)} records",
    ):
        guard.check(cursor, page(following[-1], 7, 7))


def test_numbered_pages_in_any_order_are_no_circle() -> None:
    guard = Guard(CALL)
    for number in (3, 1, 2, 0):
        guard.check({"page": number}, page({"page": number + 1}, number, number=number + 1))


def walked(contents: list[list[int]], *, ends: bool = False) -> None:
    """Walk over pages of these records, each with a cursor of its own."""
    guard, cursor = Guard(CALL), START
    for at, records in enumerate(contents):
        following = None if ends and at == len(contents) - 1 else {"after": str(at)}
        guard.check(cursor, page(following, *records))
        cursor = following or START


ALIKE = [
    pytest.param([[1]] * 101, id="one page"),
    pytest.param([[1], [2]] * 51, id="two in turn"),
    pytest.param([[one] for one in range(50)] * 3, id="from anew"),
    pytest.param([[]] * 101, id="empty pages"),
    pytest.param([[1], *[[]] * 101], id="empty pages after a record"),
]


@pytest.mark.parametrize("contents", ALIKE)
def test_a_server_that_says_the_same_over_and_over_is_left_after_a_hundred_such_pages(
    contents: list[list[int]],
) -> None:
    walked(contents[:-1])
    with pytest.raises(
        IrisPaginationError, match=r"^/api/x: the last 100 pages hold only .* may never end\. "
    ):
        walked(contents)


@pytest.mark.parametrize("contents", ALIKE)
def test_the_end_of_a_walk_is_an_end_whatever_it_repeats(contents: list[list[int]]) -> None:
    walked(contents, ends=True)


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param([*[[1]] * 100, [2], *[[1]] * 99], id="something new in between"),
        pytest.param([[at] for at in range(200)], id="always something new"),
        pytest.param([*[[]] * 100, [1], *[[]] * 99], id="a record between empty pages"),
        pytest.param([[at, 7] for at in range(150)], id="alike at their ends"),
        pytest.param([[*range(at, 150), *range(at)] for at in range(150)], id="the same in another order"),
    ],
)
def test_something_new_now_and_then_is_enough_to_go_on(contents: list[list[int]]) -> None:
    walked(contents)
