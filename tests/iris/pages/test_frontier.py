"""Which pages are fetched, which may be written, and where it goes on after a stop; without sending anything."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from airflow_provider_trackunit.iris.pages.position import Ahead, Open, Position

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.pages.frontier import Errand, Frontier, is_usable
from airflow_provider_trackunit.iris.pages.styles import paginator

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.paging import Page

ORIGIN = "https://iris.trackunit.com"
ASSETS = "/api/asset/v1/assets"
OPERATORS = "/public/api/operator/operators"


def calls(count: int = 1, path: str = ASSETS) -> list[Call]:
    return [make_call(ORIGIN, path, query_params={"item": item}) for item in range(count)]


def answer(errand: Errand, of: int, total: int | None = None, records: int = 2) -> Page:
    """Return the page that IRIS has for an errand, of a collection of so many pages."""
    number = errand.cursor["page"]
    body = {
        "totalPages": of,
        "totalElements": 2 * of if total is None else total,
        "number": number,
        "content": [f"{errand.item}.{number}.{n}" for n in range(records)],
    }
    return paginator(errand.row.paging).read(errand.call, errand.cursor, json.dumps(body).encode())


def pages_of(errands: list[Errand]) -> list[tuple[int, int]]:
    return [(errand.item, errand.cursor["page"]) for errand in errands]


def written(pages: list[Page]) -> list[str]:
    return [record for page in pages for record in page.records]


def stored(position: Position) -> Position:
    """Return a position after it was written down and read again."""
    return msgspec.json.decode(msgspec.json.encode(position), type=Position)


def finish(frontier: Frontier, of: int, at_most: int = 4) -> list[tuple[int, int]]:
    """Fetch all that is left, in order, and return what was asked for."""
    asked = []
    while errands := frontier.errands(at_most):
        asked += pages_of(errands)
        for errand in errands:
            frontier.arrived(errand, answer(errand, of))
    return asked


def begun(of: int, at_most: int) -> tuple[Frontier, list[Errand]]:
    """Return a frontier whose first page came, and what it wants next."""
    frontier = Frontier(calls())
    (first,) = frontier.errands(at_most)
    frontier.arrived(first, answer(first, of))
    return frontier, frontier.errands(at_most)


# -- what to fetch


def test_the_first_page_comes_alone_because_it_says_how_many_there_are() -> None:
    frontier = Frontier(calls())
    assert pages_of(frontier.errands(8)) == [(0, 0)]
    assert frontier.errands(8) == []


def test_pages_ahead_are_asked_for_once_each_and_no_more_than_allowed() -> None:
    frontier, following = begun(of=9, at_most=3)
    assert pages_of(following) == [(0, 1), (0, 2), (0, 3)]
    assert frontier.errands(3) == []
    frontier.arrived(following[0], answer(following[0], 9))
    assert pages_of(frontier.errands(3)) == [(0, 4)]


def test_no_page_is_asked_for_beyond_the_announced_ones() -> None:
    _, following = begun(of=3, at_most=8)
    assert pages_of(following) == [(0, 1), (0, 2)]


def test_a_page_that_waits_for_its_turn_counts_as_one_under_way() -> None:
    frontier, following = begun(of=9, at_most=2)
    assert written(frontier.arrived(following[1], answer(following[1], 9))) == []
    assert frontier.errands(2) == []


def test_pages_of_all_items_that_wait_for_their_turn_count_together() -> None:
    frontier = Frontier(calls(2))
    for first in frontier.errands(2):
        frontier.arrived(first, answer(first, 9))
    following = frontier.errands(4)
    assert pages_of(following) == [(0, 1), (1, 1), (0, 2), (0, 3)]
    for early in following[2:]:
        assert frontier.arrived(early, answer(early, 9)) == []
    assert frontier.errands(4) == []
    assert pages_of(frontier.errands(5)) == [(0, 4)]


def test_every_item_is_asked_for_and_open_ones_are_finished_before_pages_ahead() -> None:
    frontier = Frontier(calls(3))
    first, second = frontier.errands(2)
    assert pages_of([first, second]) == [(0, 0), (1, 0)]
    frontier.arrived(first, answer(first, 5))
    assert pages_of(frontier.errands(3)) == [(0, 1), (2, 0)]
    assert (first.call, second.call) == tuple(calls(3)[:2])


def test_pages_ahead_of_an_item_wait_until_every_item_has_begun() -> None:
    frontier = Frontier(calls(2))
    (first,) = frontier.errands(1)
    frontier.arrived(first, answer(first, 5))
    assert pages_of(frontier.errands(4)) == [(0, 1), (1, 0), (0, 2), (0, 3)]


def test_a_page_that_did_not_come_is_asked_for_again() -> None:
    frontier, following = begun(of=4, at_most=2)
    frontier.returned(following[0])
    assert pages_of(frontier.errands(2)) == [(0, 1)]


def test_a_style_without_page_numbers_is_walked_one_page_at_a_time() -> None:
    frontier = Frontier(calls(path=OPERATORS))
    (first,) = frontier.errands(4)
    page = paginator(first.row.paging).read(first.call, first.cursor, b'{"after": "b", "content": [1]}')
    frontier.arrived(first, page)
    assert [errand.cursor for errand in frontier.errands(4)] == [{"after": "b"}]


# -- in which order it may be written


def test_pages_that_come_in_any_order_are_handed_out_in_theirs() -> None:
    frontier, (one, two, three) = begun(of=4, at_most=3)
    assert written(frontier.arrived(three, answer(three, 4))) == []
    assert written(frontier.arrived(one, answer(one, 4))) == ["0.1.0", "0.1.1"]
    assert written(frontier.arrived(two, answer(two, 4))) == ["0.2.0", "0.2.1", "0.3.0", "0.3.1"]
    assert frontier.items_done == 1


def test_a_page_that_was_asked_for_beyond_the_end_is_dropped() -> None:
    frontier, (one, two) = begun(of=3, at_most=2)
    frontier.arrived(one, answer(one, 3, records=0))  # an empty page is the end
    assert frontier.items_done == 1
    assert frontier.arrived(two, answer(two, 3)) == []
    frontier.returned(two)
    assert frontier.errands(2) == []


def test_pages_in_a_circle_end_the_walk() -> None:
    frontier = Frontier(calls(path=OPERATORS))

    def walk_on(after: str) -> None:
        (errand,) = frontier.errands(1)
        body = json.dumps({"after": after, "content": [1]}).encode()
        frontier.arrived(errand, paginator(errand.row.paging).read(errand.call, errand.cursor, body))

    walk_on("b")
    walk_on("c")
    with pytest.raises(IrisPaginationError, match="circle"):
        walk_on("b")


def test_what_is_done_is_counted_for_whoever_watches() -> None:
    frontier, following = begun(of=3, at_most=2)
    assert (frontier.announced, frontier.pages, frontier.pages_done, frontier.items_done) == (6, 3, 1, 0)
    for errand in following:
        frontier.arrived(errand, answer(errand, 3))
    assert (frontier.pages_done, frontier.items_done) == (3, 1)


def test_of_several_items_nobody_announced_a_sum() -> None:
    frontier = Frontier(calls(2))
    for errand in frontier.errands(2):
        frontier.arrived(errand, answer(errand, 2))
    assert (frontier.announced, frontier.pages, frontier.pages_done) == (None, None, 2)


def test_a_skipped_item_is_done_and_the_others_go_on() -> None:
    frontier = Frontier(calls(3))
    errands = frontier.errands(3)
    frontier.skip(1)
    frontier.skip(1)
    assert frontier.items_done == 1
    frontier.returned(errands[1])
    assert frontier.arrived(errands[1], answer(errands[1], 2)) == []
    for errand in (errands[0], errands[2]):
        frontier.arrived(errand, answer(errand, 1))
    assert (frontier.items_done, frontier.errands(3)) == (3, [])


def test_a_collection_that_changed_on_the_way_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    frontier = Frontier(calls())
    with caplog.at_level(logging.WARNING):
        for total in (4, 5):
            (errand,) = frontier.errands(1)
            frontier.arrived(errand, answer(errand, 2, total=total))
    (text,) = (one.getMessage() for one in caplog.records)
    assert text.startswith(f"{ASSETS} changed while it was read: 4 records were announced at first and 5")


def test_a_collection_that_came_with_fewer_records_than_announced_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frontier = Frontier(calls())
    while errands := frontier.errands(1):
        frontier.arrived(errands[0], answer(errands[0], of=3, total=7))
    assert [one.getMessage().partition(": ")[2] for one in caplog.records] == [
        "7 records were announced and 6 came. Records may be missing or double; read it again if that matters"
    ]


def test_a_collection_that_came_as_announced_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    finish(Frontier(calls()), of=3)
    assert caplog.records == []


# -- where it goes on


def test_a_position_before_anything_began_is_the_beginning() -> None:
    assert Frontier(calls(2)).position() == Position()
    assert pages_of(Frontier(calls(2), Position()).errands(4)) == [(0, 0), (1, 0)]


def test_a_walk_goes_on_with_the_page_after_the_last_that_was_handed_out() -> None:
    frontier, (one, _) = begun(of=4, at_most=2)
    frontier.arrived(one, answer(one, 4))
    resumed = Frontier(calls(), stored(frontier.position()))
    assert (resumed.announced, resumed.items_done) == (8, 0)
    assert finish(resumed, of=4) == [(0, 2), (0, 3)]
    assert resumed.items_done == 1


def test_items_that_are_done_are_not_asked_for_again() -> None:
    frontier = Frontier(calls(4))
    errands = frontier.errands(3)
    frontier.arrived(errands[0], answer(errands[0], 1))
    frontier.arrived(errands[1], answer(errands[1], 2))
    frontier.skip(2)
    resumed = Frontier(calls(4), stored(frontier.position()))
    assert resumed.items_done == 2
    assert finish(resumed, of=2, at_most=2) == [(1, 1), (3, 0), (3, 1)]


def test_a_finished_export_has_nothing_left_to_ask_for() -> None:
    frontier = Frontier(calls(2))
    finish(frontier, of=2)
    assert frontier.position() == Position(next_item=2)
    resumed = Frontier(calls(2), stored(frontier.position()))
    assert (resumed.errands(4), resumed.items_done) == ([], 2)


def test_pages_that_came_too_early_are_given_out_once_and_never_asked_for_again() -> None:
    frontier, (one, two, three) = begun(of=5, at_most=3)
    frontier.arrived(three, answer(three, 5))
    frontier.arrived(two, answer(two, 5))
    early = frontier.too_early()
    assert sorted((item, written([page])[0]) for item, page in early) == [(0, "0.2.0"), (0, "0.3.0")]
    assert frontier.too_early() == []

    resumed = Frontier(calls(), stored(frontier.position()))
    assert finish(resumed, of=5) == [(0, 1), (0, 4)]
    assert resumed.items_done == 1

    # The same walk goes on as well: it steps over what was written.
    assert written(frontier.arrived(one, answer(one, 5))) == ["0.1.0", "0.1.1"]
    assert pages_of(frontier.errands(3)) == [(0, 4)]


def test_a_last_page_that_was_written_too_early_ends_the_walk() -> None:
    frontier, (one, two) = begun(of=3, at_most=2)
    frontier.arrived(two, answer(two, 3))
    frontier.too_early()
    resumed = Frontier(calls(), stored(frontier.position()))
    assert finish(resumed, of=3) == [(0, 1)]
    assert resumed.items_done == 1
    frontier.arrived(one, answer(one, 3))
    assert (frontier.items_done, frontier.position()) == (1, Position(next_item=1, announced=6))


def test_behind_pages_that_an_earlier_try_wrote_pages_are_asked_for_ahead_again() -> None:
    frontier, (_, two) = begun(of=9, at_most=2)
    frontier.arrived(two, answer(two, 9))
    frontier.too_early()
    resumed = Frontier(calls(), stored(frontier.position()))
    (one,) = resumed.errands(3)
    resumed.arrived(one, answer(one, 9))
    assert pages_of(resumed.errands(3)) == [(0, 3), (0, 4)]


def position(next_item: int, *opened: int, ahead: tuple[int, ...] = (), **cursor: Any) -> Position:
    return Position(
        next_item=next_item,
        open=[Open(item, {"page": 1} | cursor) for item in opened],
        ahead=[Ahead(item, {"page": 2} | cursor, None) for item in ahead],
    )


@pytest.mark.parametrize(
    "of_two",
    [
        pytest.param(position(0), id="nothing began"),
        pytest.param(position(2), id="all is done"),
        pytest.param(position(2, 0, 1), id="both are open"),
        pytest.param(position(1, 0, ahead=(0, 0)), id="pages ahead of an open item"),
    ],
)
def test_a_position_of_these_calls_is_usable(of_two: Position) -> None:
    assert is_usable(of_two, calls(2))


@pytest.mark.parametrize(
    "of_two",
    [
        pytest.param(position(3), id="more items than there are"),
        pytest.param(position(-1), id="fewer than none"),
        pytest.param(position(1, 1), id="an open item that did not begin"),
        pytest.param(position(1, -1), id="an item before the first"),
        pytest.param(position(2, 0, 0), id="an item that is open twice"),
        pytest.param(position(2, 0, ahead=(1,)), id="a page ahead of an item that is done"),
        pytest.param(position(2, 0, page="1"), id="a cursor that is none"),
        pytest.param(position(2, 0, ahead=(0,), of="3"), id="a count that is none"),
        pytest.param(Position(next_item=1, open=[Open(0, {"after": "b"})]), id="a cursor of another style"),
    ],
)
def test_a_position_that_does_not_fit_these_calls_is_not(of_two: Position) -> None:
    assert not is_usable(of_two, calls(2))


def test_what_came_of_a_walk_that_was_taken_up_is_not_compared_with_the_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frontier, _ = begun(of=3, at_most=2)
    finish(Frontier(calls(), stored(frontier.position())), of=3)
    assert caplog.records == []


def test_a_position_is_a_copy_that_later_pages_do_not_change() -> None:
    frontier, (one,) = begun(of=4, at_most=1)
    before: Any = frontier.position()
    kept = msgspec.json.encode(before)
    frontier.arrived(one, answer(one, 4))
    assert msgspec.json.encode(before) == kept
    assert msgspec.json.encode(frontier.position()) != kept
