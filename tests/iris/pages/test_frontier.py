"""Which pages are still to come, as a value that only the pages that came make smaller; without sending anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.calls import Call, make_call
from airflow_provider_trackunit.iris.catalogue.endpoints import find
from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.pages.frontier import Frontier
from airflow_provider_trackunit.iris.pages.page import Page
from airflow_provider_trackunit.iris.pages.styles import paginator
from airflow_provider_trackunit.iris.pages.walk import Errand, OpenWalk, page_name, tell_difference
from tests.iris.pages.numbered import ASSETS, FLEET, ORIGIN, answer, calls, place

if TYPE_CHECKING:
    from collections.abc import Collection

OPERATORS = "/public/api/operator/operators"
NOTHING: Collection[Any] = ()


def places(errands: list[Errand]) -> list[tuple[int, int]]:
    return [place(errand) for errand in errands]


def stored(frontier: Frontier) -> Frontier:
    """Return a frontier after it was written down and read again."""
    return msgspec.json.decode(msgspec.json.encode(frontier), type=Frontier)


def asked(frontier: Frontier, of: Sequence[Call], at_most: int = 4) -> tuple[Frontier, list[Errand]]:
    return frontier.ask(of, NOTHING, at_most)


def begun(of: int, ahead: int, path: str = ASSETS) -> Frontier:
    """Return the frontier of one collection whose first page came."""
    frontier, (first,) = asked(Frontier(), calls(path=path))
    return frontier.with_page(first, answer(first, of), ahead=ahead)


def finish(frontier: Frontier, of_calls: Sequence[Call], of: int) -> list[tuple[int, int]]:
    """Fetch all that is left, one page after the other, and return what that was."""
    came = []
    while (step := asked(frontier, of_calls, 1))[1]:
        frontier, (errand,) = step
        came.append(place(errand))
        frontier = frontier.with_page(errand, answer(errand, of), ahead=4)
    assert frontier.is_finished(of_calls)
    return came


# -- what to fetch


def test_the_first_page_comes_alone_because_it_says_how_many_there_are() -> None:
    frontier, errands = asked(Frontier(), calls(), 8)
    assert places(errands) == [(0, 1)]
    assert frontier.ask(calls(), {errands[0].name}, 8)[1] == []


def test_pages_ahead_are_known_as_far_as_allowed_and_none_that_is_under_way_is_asked_for_again() -> None:
    frontier, errands = asked(begun(of=9, ahead=3), calls(), 8)
    assert places(errands) == [(0, 2), (0, 3), (0, 4)]
    under_way = {errand.name for errand in errands}
    assert frontier.ask(calls(), under_way, 8)[1] == []
    frontier = frontier.with_page(errands[0], answer(errands[0], 9), ahead=3)
    assert places(frontier.ask(calls(), under_way, 8)[1]) == [(0, 5)]


def test_no_page_is_asked_for_beyond_the_announced_ones() -> None:
    assert places(asked(begun(of=3, ahead=8), calls(), 8)[1]) == [(0, 2), (0, 3)]


@pytest.mark.parametrize("at_most", range(4))
def test_no_more_is_asked_for_than_may_be(at_most: int) -> None:
    assert len(asked(begun(of=9, ahead=8), calls(), at_most)[1]) == at_most
    assert len(asked(Frontier(), calls(9), at_most)[1]) == at_most


def test_a_page_that_did_not_come_is_asked_for_again() -> None:
    frontier, errands = asked(begun(of=4, ahead=2), calls())
    assert places(errands) == places(asked(frontier, calls())[1]) == [(0, 2), (0, 3)]


def test_open_walks_come_before_items_that_have_not_begun_and_those_before_pages_further_on() -> None:
    of = calls(3)
    frontier, (first, second) = asked(Frontier(), of, 2)
    assert places([first, second]) == [(0, 1), (1, 1)]
    frontier = frontier.with_page(first, answer(first, 5), ahead=4)
    _, errands = frontier.ask(of, {second.name}, 4)
    assert places(errands) == [(0, 2), (2, 1), (0, 3), (0, 4)]
    assert [errand.call for errand in errands[:2]] == [of[0], of[2]]


def test_a_style_without_page_numbers_is_walked_one_page_at_a_time() -> None:
    of = calls(path=OPERATORS)
    frontier, (first,) = asked(Frontier(), of)
    page = paginator(first.row.paging).read(first.call, first.cursor, b'{"after": "b", "content": [1]}')
    _, errands = asked(frontier.with_page(first, page, ahead=4), of)
    assert [errand.cursor for errand in errands] == [{"after": "b"}]


class Watched(Sequence[Call]):
    """A list of calls that counts how often it is looked into."""

    def __init__(self, of: list[Call]) -> None:
        self._calls = of
        self.looks = 0

    @overload
    def __getitem__(self, at: int) -> Call: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Call]: ...
    def __getitem__(self, at: int | slice) -> Call | Sequence[Call]:
        self.looks += 1
        return self._calls[at]

    def __len__(self) -> int:
        return len(self._calls)


def test_asking_looks_only_at_the_items_that_it_asks_for_however_many_there_are() -> None:
    of = Watched(calls(500))
    frontier, errands = asked(Frontier(), of, 4)
    looks = of.looks
    assert looks <= 4 * 5
    frontier.ask(of, {errand.name for errand in errands}, 4)
    assert of.looks - looks <= 4 * 5


@pytest.mark.parametrize(
    ("call", "cursor"),
    [
        pytest.param({"query_params": {"page": "x"}}, None, id="a page of the caller that is none"),
        pytest.param({}, {"page": "1"}, id="a number that is text"),
        pytest.param({}, {"page": "\ud800"}, id="half a character"),
        pytest.param({}, {"after": "b"}, id="a cursor of another style"),
    ],
)
def test_a_walk_from_nowhere_is_refused_before_anything_is_asked_for(call: Any, cursor: Any) -> None:
    with pytest.raises(IrisConfigurationError):
        Frontier.at(make_call(ORIGIN, ASSETS, **call), cursor)


def test_a_walk_from_a_cursor_is_the_rest() -> None:
    frontier = Frontier.at(calls()[0], {"page": 2, "of": 4})
    assert finish(frontier, calls(), of=4) == [(0, 3), (0, 4)]


@pytest.mark.parametrize("cursor", [{}, {"x": "\ud800"}, {"x": 2**70}, {"x": [1, {"y": None}]}])
def test_whatever_a_cursor_holds_its_page_has_a_name(cursor: Any) -> None:
    assert page_name(1, cursor) == page_name(1, json.loads(json.dumps(cursor)))
    assert page_name(1, cursor) != page_name(2, cursor)
    assert page_name(1, {"b": 1, "a": 2}) == page_name(1, {"a": 2, "b": 1})


# -- what has come


def test_nothing_that_happens_to_a_frontier_changes_it() -> None:
    of = calls(2)
    frontier, errands = asked(Frontier(), of)
    frontier = frontier.with_page(errands[0], answer(errands[0], 9), ahead=4)
    kept = msgspec.json.encode(frontier)
    later, more = asked(frontier, of, 8)
    for errand in more:
        later = later.with_page(errand, answer(errand, 9), ahead=4)
    later.without([0]).reopened()
    assert msgspec.json.encode(frontier) == kept
    assert msgspec.json.encode(later) != kept


def test_a_page_that_came_is_not_wanted_again() -> None:
    frontier, (two, three) = asked(begun(of=3, ahead=2), calls())
    assert frontier.wants(two)
    after = frontier.with_page(two, answer(two, 3), ahead=2)
    assert not after.wants(two)
    assert after.wants(three)


@pytest.mark.parametrize("path", [ASSETS, FLEET])
def test_a_page_that_says_it_is_the_last_is_the_last_whatever_was_announced_before(path: str) -> None:
    frontier, (two, three, four) = asked(begun(of=4, ahead=3, path=path), calls(path=path))
    frontier = frontier.with_page(three, answer(three, 3), ahead=3)
    assert not frontier.wants(four)
    assert frontier.wants(two)
    assert frontier.with_page(two, answer(two, 3), ahead=3).is_finished(calls(path=path))


@pytest.mark.parametrize("path", [ASSETS, FLEET])
def test_an_answer_from_before_the_end_was_known_does_not_lead_beyond_it(path: str) -> None:
    frontier, errands = asked(begun(of=9, ahead=3, path=path), calls(path=path))
    two, three, _ = errands
    frontier = frontier.with_page(three, answer(three, 3), ahead=3)
    assert frontier.with_page(two, answer(two, 9), ahead=8).is_finished(calls(path=path))


def test_of_two_ends_the_lower_one_holds() -> None:
    frontier, (two, three, four) = asked(begun(of=4, ahead=3), calls())
    frontier = frontier.with_page(four, answer(four, 4), ahead=3)
    frontier = frontier.with_page(two, answer(two, 2), ahead=3)
    assert not frontier.wants(three)
    assert frontier.is_finished(calls())


def test_a_collection_that_grew_is_walked_to_its_new_end() -> None:
    frontier, (last,) = asked(begun(of=2, ahead=3), calls())
    assert finish(frontier.with_page(last, answer(last, 4), ahead=3), calls(), of=4) == [(0, 3), (0, 4)]


def test_an_empty_page_in_the_middle_is_a_page_like_any_other() -> None:
    frontier, (two,) = asked(begun(of=3, ahead=1), calls())
    frontier = frontier.with_page(two, answer(two, 3, records=0), ahead=1)
    assert places(asked(frontier, calls())[1]) == [(0, 3)]


def test_what_is_done_is_counted_for_whoever_watches() -> None:
    frontier, errands = asked(begun(of=3, ahead=2), calls())
    assert (frontier.announced, frontier.pages, frontier.came, frontier.items_done) == (6, 3, 1, 0)
    for errand in errands:
        frontier = frontier.with_page(errand, answer(errand, 3), ahead=2)
    assert (frontier.pages, frontier.came, frontier.items_done) == (3, 3, 1)


def test_of_several_items_nobody_announced_a_sum() -> None:
    frontier, errands = asked(Frontier(), calls(2))
    for errand in errands:
        frontier = frontier.with_page(errand, answer(errand, 2), ahead=1)
    assert (frontier.announced, frontier.pages, frontier.came) == (None, None, 2)


def test_an_item_that_is_given_up_is_done_and_what_was_on_its_way_is_not_wanted() -> None:
    of = calls(3)
    frontier, errands = asked(Frontier(), of)
    frontier = frontier.without([1])
    assert frontier.items_done == 1
    assert not frontier.wants(errands[1])
    assert finish(frontier, of, of=1) == [(0, 1), (2, 1)]


def test_an_item_that_is_reopened_goes_on_where_it_was_given_up() -> None:
    of = calls(2)
    frontier, (first, _) = asked(Frontier(), of)
    frontier = frontier.with_page(first, answer(first, 3), ahead=2).without([0])
    assert not frontier.reopened().is_finished(of)
    assert sorted(finish(frontier.reopened(), of, of=3)) == [(0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_an_export_without_items_is_finished_before_it_begins() -> None:
    assert Frontier().is_finished([])
    assert not Frontier().is_finished(calls())


# -- in any order, against an obvious reference


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    at_most=st.integers(1, 16),
    path=st.sampled_from([ASSETS, FLEET]),
    data=st.data(),
)
def test_every_page_comes_once_in_whatever_order_and_however_often_it_is_taken_up(
    sizes: list[int], at_most: int, path: str, data: st.DataObject
) -> None:
    of = calls(len(sizes), path)
    missing = {(item, number + 1) for item, size in enumerate(sizes) for number in range(size)}
    frontier, under_way = Frontier(), dict[Any, Errand]()
    while missing:
        frontier, errands = frontier.ask(of, under_way, at_most - len(under_way))
        for errand in errands:
            assert errand.name not in under_way
            assert place(errand) in missing
            under_way[errand.name] = errand
        assert 0 < len(under_way) <= at_most
        errand = under_way.pop(data.draw(st.sampled_from(sorted(under_way))))
        if data.draw(st.integers(0, 3)) < 3:
            assert frontier.wants(errand)
            frontier = frontier.with_page(errand, answer(errand, sizes[errand.item]), ahead=at_most)
            missing.remove(place(errand))
        elif data.draw(st.booleans()):  # else the page failed, and the walk goes on
            frontier, under_way = stored(frontier), {}
            assert frontier.is_usable(of)
        assert frontier.is_finished(of) == (not missing)
    assert asked(frontier, of)[1] == []


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    at_most=st.integers(1, 8),
    path=st.sampled_from([ASSETS, FLEET]),
    data=st.data(),
)
def test_a_collection_that_changes_while_it_is_read_is_read_up_to_the_first_page_that_said_it_is_the_last(
    sizes: list[int], at_most: int, path: str, data: st.DataObject
) -> None:
    """Each request finds the collection as large as the next of ``sizes`` says, and the last of them for ever."""
    of = calls(path=path)
    frontier, under_way = Frontier(), dict[Any, tuple[Errand, Page]]()
    came: set[int] = set()
    ends: set[int] = set()
    changes = iter([*sizes, *sizes[-1:] * 60])
    while not frontier.is_finished(of):
        frontier, errands = frontier.ask(of, under_way, at_most - len(under_way))
        for errand in errands:
            assert not ends or place(errand)[1] <= min(ends), "asked for beyond an end that is known"
            under_way[errand.name] = errand, answer(errand, next(changes))
        errand, page = under_way.pop(data.draw(st.sampled_from(sorted(under_way))))
        number = place(errand)[1]
        assert number not in came
        if frontier.wants(errand):
            frontier = frontier.with_page(errand, page, ahead=at_most)
            came.add(number)
            ends |= {number} if page.next is None else set()
    assert came >= set(range(1, min(ends) + 1))
    assert not any(frontier.wants(errand) for errand, _ in under_way.values())


# -- how a walk differs from what was announced


def walked(*pages: Page, whole: bool = True, start: Mapping[str, Any] | None = None) -> OpenWalk:
    """Return the walk over these pages."""
    call = make_call(ORIGIN, ASSETS)
    cursor = dict(start or {"page": 0})
    walk = OpenWalk(0, (cursor,), whole=whole)
    for page in pages:
        walk = walk.with_page(Errand(0, call, find(call), cursor), page, 0)
        cursor = dict(page.next or {})
    return walk


def page(
    following: Mapping[str, Any] | None,
    announced: int | None = None,
    pages: int | None = None,
    number: int | None = None,
    records: int = 2,
) -> Page:
    return Page([msgspec.Raw(b"1")] * records, following, announced, pages, number)


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
        pytest.param([page({"page": 1}), page(None, 4)], True, None, id="announced only at the end"),
        pytest.param([page({"page": 1}, 4), page(None)], True, None, id="announced only at first"),
        pytest.param(
            [page({"page": 1}), page(None, 7)], True, "7 .* and 4 came", id="late, and not what came"
        ),
        pytest.param([page(None, 5)], False, None, id="a rest is not counted"),
        pytest.param([page(None, 5, number=3)], True, None, id="nor a walk that began with page 3"),
        pytest.param(
            [page({"page": 1}, 4, number=1), page(None, 4, number=2, records=1)],
            True,
            "4 records were announced and 3 came",
            id="one that began with page 1 is",
        ),
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


@pytest.mark.parametrize("start", [{"endCursor": "a"}, {"after": "a"}])
def test_a_collection_entered_behind_the_callers_own_cursor_is_not_counted(start: dict[str, Any]) -> None:
    assert walked(page(None, 5), start=start).difference() is None


@pytest.mark.parametrize("start", [{"endCursor": None}, {"after": None}])
def test_a_collection_entered_at_its_beginning_is(start: dict[str, Any]) -> None:
    assert walked(page(None, 5), start=start).difference() is not None


def test_what_came_in_several_tries_is_counted_together() -> None:
    frontier = stored(begun(of=2, ahead=1))
    frontier, (last,) = asked(frontier, calls())
    walk = frontier.walk(0).with_page(last, answer(last, 2, records=1), 1)
    assert walk.difference() == "4 records were announced and 3 came"


def test_a_difference_is_told_once_with_the_name_of_the_collection(caplog: pytest.LogCaptureFixture) -> None:
    tell_difference(calls()[0], walked(page(None, 2)))
    tell_difference(calls()[0], walked(page(None, 5)))
    (said,) = (one.getMessage() for one in caplog.records)
    assert said.startswith(
        f"{ASSETS} changed while it was read: 5 records were announced and 2 came. Records may"
    )


# -- whose it is


def frontier_of(next_item: int, *opened: int, given_up: Sequence[int] = (), **cursor: Any) -> Frontier:
    def walk(item: int) -> OpenWalk:
        return OpenWalk(item, ({"page": 1} | cursor,))

    return Frontier(next_item, tuple(map(walk, opened)), tuple(map(walk, given_up)))


@pytest.mark.parametrize(
    "of_two",
    [
        pytest.param(frontier_of(0), id="nothing began"),
        pytest.param(frontier_of(2), id="all is done"),
        pytest.param(frontier_of(2, 0, 1), id="both are open"),
        pytest.param(frontier_of(2, 1, given_up=[0]), id="one is given up"),
        pytest.param(begun(of=9, ahead=4), id="pages ahead"),
    ],
)
def test_a_frontier_of_these_calls_is_usable(of_two: Frontier) -> None:
    assert stored(of_two).is_usable(calls(2))


@pytest.mark.parametrize(
    "of_two",
    [
        pytest.param(frontier_of(3), id="more items than there are"),
        pytest.param(frontier_of(-1), id="fewer than none"),
        pytest.param(frontier_of(1, 1), id="an open item that did not begin"),
        pytest.param(frontier_of(1, -1), id="an item before the first"),
        pytest.param(frontier_of(2, 0, 0), id="an item that is open twice"),
        pytest.param(frontier_of(2, 0, given_up=[0]), id="an item that is open and given up"),
        pytest.param(frontier_of(1, given_up=[1]), id="a given up item that did not begin"),
        pytest.param(frontier_of(2, 0, page="1"), id="a cursor that is none"),
        pytest.param(frontier_of(2, 0, of="3"), id="a count that is none"),
        pytest.param(frontier_of(2, given_up=[0], page="1"), id="a cursor that is none of a given up item"),
        pytest.param(Frontier(1, (OpenWalk(0, ()),)), id="an open walk with nothing to do"),
        pytest.param(Frontier(1, (OpenWalk(0, ({"after": "b"},)),)), id="a cursor of another style"),
        pytest.param(
            Frontier(1, (OpenWalk(0, ({"page": 1}, {"after": "b"})),)), id="one of several of another style"
        ),
    ],
)
def test_a_frontier_that_does_not_fit_these_calls_is_not(of_two: Frontier) -> None:
    assert not of_two.is_usable(calls(2))
