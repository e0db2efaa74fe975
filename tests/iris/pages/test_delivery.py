"""The pages of one walk are handed out in their order, however they come; without sending anything."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import (
    IrisConfigurationError,
    IrisNotFoundError,
    IrisPaginationError,
    IrisServerError,
)
from airflow_provider_trackunit.iris.pages.delivery import Delivery
from airflow_provider_trackunit.iris.pages.styles import paginator
from tests.iris.pages.numbered import ASSETS, FLEET, ORIGIN, answer, calls, place

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.pages.walk import Errand

OPERATORS = "/public/api/operator/operators"


def begun(of: int, at_most: int) -> tuple[Delivery, list[Errand]]:
    """Return a delivery whose first page came, and what it wants next."""
    delivery = Delivery(calls()[0], None, at_most)
    (first,) = delivery.errands()
    assert settled(delivery, first, answer(first, of)) == [1]
    delivery.read_on()
    return delivery, delivery.errands()


def settled(
    delivery: Delivery, errand: Errand, page: Page | None, error: Exception | None = None
) -> list[int | None]:
    """Enter what came of an errand, and return the numbers of the pages that a reader now gets."""
    delivery.settle(errand, page, error)
    return numbers(list(iter(delivery.take, None)))


def numbers(pages: list[Page]) -> list[int | None]:
    return [page.number for page in pages]


def places(errands: list[Errand]) -> list[int]:
    return [place(errand)[1] for errand in errands]


def test_pages_that_come_in_any_order_are_handed_out_in_theirs() -> None:
    delivery, (two, three, four) = begun(of=4, at_most=3)
    assert settled(delivery, four, answer(four, 4)) == []
    assert settled(delivery, two, answer(two, 4)) == [2]
    assert settled(delivery, three, answer(three, 4)) == [3, 4]
    assert delivery.errands() == []
    delivery.end()


def test_a_page_that_waits_for_its_turn_counts_as_one_under_way() -> None:
    delivery, (two, three) = begun(of=9, at_most=2)
    delivery.settle(three, answer(three, 9), None)
    assert delivery.errands() == []
    assert settled(delivery, two, answer(two, 9)) == [2, 3]
    assert places(delivery.errands()) == [4, 5]


def test_nothing_is_asked_for_behind_the_first_page_until_the_reader_comes_back_for_a_second() -> None:
    delivery = Delivery(calls()[0], None, 3)
    (first,) = delivery.errands()
    delivery.settle(first, answer(first, 9), None)
    assert delivery.errands() == []
    assert delivery.take() is not None
    delivery.read_on()
    assert places(delivery.errands()) == [2, 3, 4]


def test_while_the_reader_is_at_work_as_many_pages_wait_for_it_as_are_under_way() -> None:
    delivery, under_way = begun(of=99, at_most=4)
    fetched = []
    while under_way:
        errand = under_way.pop(0)
        delivery.settle(errand, answer(errand, 99), None)
        fetched.append(place(errand)[1])
        under_way += delivery.errands()
    assert fetched == [2, 3, 4, 5, 6, 7, 8]


def test_one_page_at_a_time_is_asked_for_when_the_reader_wants_it() -> None:
    delivery, (two,) = begun(of=9, at_most=1)
    delivery.settle(two, answer(two, 9), None)
    assert delivery.errands() == []
    assert delivery.take() is not None
    assert places(delivery.errands()) == [3]


def test_the_rest_of_a_walk_begins_at_its_cursor() -> None:
    delivery = Delivery(calls()[0], {"page": 1, "of": 3}, 1)
    came = []
    while errands := delivery.errands():
        came += settled(delivery, errands[0], answer(errands[0], 3))
    assert came == [2, 3]


@pytest.mark.parametrize(("query", "cursor"), [({"page": "x"}, None), ({}, {"after": "b"})])
def test_a_walk_from_nowhere_is_refused_at_once(query: dict[str, Any], cursor: Any) -> None:
    with pytest.raises(IrisConfigurationError):
        Delivery(make_call(ORIGIN, ASSETS, query_params=query), cursor, 1)


def test_after_a_failure_nothing_is_asked_for_and_pages_before_it_are_handed_out() -> None:
    delivery, (two, three, four) = begun(of=9, at_most=3)
    failed = IrisServerError("page 3", status=503)
    assert settled(delivery, three, None, failed) == []
    assert delivery.has_failed
    assert delivery.errands() == []
    assert settled(delivery, four, answer(four, 9)) == []
    assert settled(delivery, two, answer(two, 9)) == [2]
    with pytest.raises(IrisServerError) as caught:
        delivery.end()
    assert caught.value is failed


def test_of_several_failures_the_first_is_told() -> None:
    delivery, (two, three) = begun(of=9, at_most=2)
    first = IrisServerError("first")
    delivery.settle(three, None, first)
    delivery.settle(two, None, IrisServerError("second"))
    with pytest.raises(IrisServerError, match="first"):
        delivery.end()


def test_a_page_beyond_the_end_that_failed_does_not_fail_the_walk() -> None:
    delivery, (two, three) = begun(of=3, at_most=2)
    delivery.settle(three, None, IrisNotFoundError("there is no page 3 any more", status=404))
    assert settled(delivery, two, answer(two, 2)) == [2]
    delivery.end()


def test_what_comes_from_beyond_the_end_is_dropped() -> None:
    delivery, (two, three) = begun(of=3, at_most=2)
    assert settled(delivery, two, answer(two, 2)) == [2]
    assert settled(delivery, three, answer(three, 3)) == []
    delivery.settle(three, None, IrisNotFoundError("gone", status=404))
    assert not delivery.has_failed
    delivery.end()


def test_pages_in_a_circle_end_the_walk() -> None:
    delivery = Delivery(calls(path=OPERATORS)[0], None, 4)

    def walk_on(body: bytes) -> None:
        (errand,) = delivery.errands()
        settled(delivery, errand, paginator(errand.row.paging).read(errand.call, errand.cursor, body))

    walk_on(b'{"after": "b", "content": [1]}')
    walk_on(b'{"after": "c", "content": [2]}')
    walk_on(b'{"after": "b", "content": [3]}')
    with pytest.raises(IrisPaginationError, match="circle after 3 records"):
        delivery.end()


def test_a_collection_that_changed_on_the_way_is_named_in_the_log_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    delivery = Delivery(calls()[0], None, 1)
    with caplog.at_level(logging.WARNING):
        for total in (6, 7, 8):
            (errand,) = delivery.errands()
            settled(delivery, errand, answer(errand, 3, total=total))
    (text,) = (one.getMessage() for one in caplog.records)
    assert text.startswith(f"{ASSETS} changed while it was read: 6 records were announced at first and 8")


def test_a_collection_that_came_as_announced_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    delivery, errands = begun(of=3, at_most=2)
    for errand in errands:
        delivery.settle(errand, answer(errand, 3), None)
    assert caplog.records == []


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    at_most=st.integers(1, 8),
    path=st.sampled_from([ASSETS, FLEET]),
    data=st.data(),
)
def test_whatever_the_collection_does_the_pages_are_those_of_a_walk_page_by_page(
    sizes: list[int], at_most: int, path: str, data: st.DataObject
) -> None:
    """Each request finds the collection as large as the next of ``sizes`` says, and the last of them for ever.

    The reference reads the same answers one page after the other, up to the first that says it is the last or failed.
    """
    delivery = Delivery(calls(path=path)[0], None, at_most)
    changes = iter([*sizes, *sizes[-1:] * 60])
    fails_at = data.draw(st.none() | st.integers(2, 9))
    under_way: dict[Any, Errand] = {}
    answers: dict[int, Page] = {}
    came: list[Page] = []
    waiting = 0
    while True:
        for errand in delivery.errands():
            under_way[errand.name] = errand
            answers[place(errand)[1]] = answer(errand, next(changes))
        if not under_way:
            break
        assert len(under_way) + waiting <= at_most
        errand = under_way.pop(data.draw(st.sampled_from(sorted(under_way))))
        number = place(errand)[1]
        failed = IrisServerError("x", status=503) if number == fails_at else None
        delivery.settle(errand, None if failed else answers[number], failed)
        due = list(iter(delivery.take, None))
        waiting += 1 - len(due) if not failed else 0
        came += due
        delivery.read_on()
    number, ended = 1, False
    while not ended and number != fails_at:
        assert came[number - 1] is answers[number]
        ended = answers[number].next is None
        number += 1
    assert len(came) == number - 1
    if ended:
        delivery.end()
    else:
        with pytest.raises(IrisServerError):
            delivery.end()
