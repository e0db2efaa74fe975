"""Pages are fetched several at a time, and none that was asked for is lost when one of them fails."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisNotFoundError, IrisServerError
from airflow_provider_trackunit.iris.pages.fetching import fetch_pages
from airflow_provider_trackunit.iris.pages.frontier import Errand, Frontier
from airflow_provider_trackunit.iris.pages.styles import paginator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_trackunit.iris.errors import IrisError
    from airflow_provider_trackunit.iris.pages.paging import Page

ASSETS = "/api/asset/v1/assets"
#: A test that would wait for ever fails instead.
PATIENCE_S = 10.0


class Server:
    """Has so many pages for every item; some of them are errors, some come only when they are let go.

    :param held: the pages of item 0 that wait for ``let_go``
    """

    def __init__(
        self,
        pages: int,
        errors: dict[tuple[int, int], BaseException] | None = None,
        held: tuple[int, ...] = (),
    ) -> None:
        self.pages = pages
        self.errors = errors or {}
        self.before: Callable[[int], object] = lambda _number: None
        self.gates = {page: threading.Event() for page in held}
        self.asked: list[tuple[int, int]] = []
        self.threads: set[str] = set()
        self.most = 0
        self._under_way = 0
        self._lock = threading.Lock()

    def fetch(self, errand: Errand) -> Page:
        number = errand.cursor["page"]
        with self._lock:
            self.asked.append((errand.item, number))
            self.threads.add(threading.current_thread().name)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            self.before(number)
            if number in self.gates:
                assert self.gates[number].wait(PATIENCE_S)
            if (errand.item, number) in self.errors:
                raise self.errors[errand.item, number]
        finally:
            with self._lock:
                self._under_way -= 1
        body = {"number": number, "totalPages": self.pages, "content": [f"{errand.item}.{number}"]}
        return paginator(errand.row.paging).read(errand.call, errand.cursor, json.dumps(body).encode())

    def let_go(self, page: int) -> bool:
        """Let a held page come, and return False: what failed is not passed over."""
        self.gates[page].set()
        return False


def frontier(items: int = 1) -> Frontier:
    asked = [make_call("https://iris.trackunit.com", ASSETS, query_params={"item": n}) for n in range(items)]
    return Frontier(asked)


def fetched(
    server: Server,
    max_concurrency: int,
    items: int = 1,
    may_skip: Callable[[Errand, IrisError], bool] = lambda _errand, _error: False,
) -> tuple[list[str], BaseException | None]:
    """Return the records that came, and the error that ended it."""
    records: list[str] = []
    try:
        for _, pages in fetch_pages(server.fetch, frontier(items), max_concurrency, may_skip):
            records += [record for page in pages for record in page.records]
    except (IrisServerError, IrisNotFoundError, ValueError) as error:
        return records, error
    return records, None


@pytest.mark.parametrize("max_concurrency", [1, 2, 8])
def test_every_page_of_every_item_comes_once_and_those_of_one_item_in_order(max_concurrency: int) -> None:
    server = Server(pages=5)
    records, error = fetched(server, max_concurrency, items=3)
    assert error is None
    for item in range(3):
        assert [one for one in records if one.startswith(f"{item}.")] == [f"{item}.{n}" for n in range(5)]
    assert len(records) == len(server.asked) == 15
    assert server.most <= max_concurrency


def test_one_at_a_time_needs_no_thread_and_asks_only_for_what_is_wanted() -> None:
    server = Server(pages=5)
    pages = fetch_pages(server.fetch, frontier(), 1)
    next(pages)
    assert server.asked == [(0, 0)]
    next(pages)
    assert server.asked == [(0, 0), (0, 1)]
    assert server.threads == {threading.current_thread().name}


def test_several_are_on_their_way_together_in_threads_that_say_whose_they_are() -> None:
    server = Server(pages=4)
    together = threading.Barrier(3, timeout=PATIENCE_S)
    server.before = lambda number: together.wait() if number else 0
    records, _ = fetched(server, 3)
    assert records == ["0.0", "0.1", "0.2", "0.3"]
    assert {name.rpartition("_")[0] for name in server.threads} == {"iris-page"}


def test_a_page_can_be_used_as_soon_as_it_is_there_however_slow_the_others_are() -> None:
    server = Server(pages=3, held=(2,))
    pages = fetch_pages(server.fetch, frontier(), 2)
    assert [page.records for page in next(pages)[1]] == [["0.0"]]
    assert [page.records for page in next(pages)[1]] == [["0.1"]]
    server.let_go(2)
    assert [page.records for _, found in pages for page in found] == [["0.2"]]


def test_when_a_page_fails_those_on_their_way_are_waited_for_and_not_lost() -> None:
    failed = IrisServerError("page 1", status=503)
    server = Server(pages=9, errors={(0, 1): failed}, held=(2,))
    begun = frontier()
    with pytest.raises(IrisServerError) as caught:
        list(fetch_pages(server.fetch, begun, 2, lambda *_: server.let_go(2)))
    assert caught.value is failed
    assert sorted(server.asked) == [(0, 0), (0, 1), (0, 2)]
    assert [page.records for _, page in begun.too_early()] == [["0.2"]]


def test_after_a_failure_nothing_new_is_asked_for_and_the_page_is_left_for_the_next_try() -> None:
    failed = IrisServerError("page 1", status=503)
    server = Server(pages=9, errors={(0, 1): failed})
    begun = frontier()
    with pytest.raises(IrisServerError) as caught:
        list(fetch_pages(server.fetch, begun, 1))
    assert caught.value is failed
    assert server.asked == [(0, 0), (0, 1)]
    assert [errand.cursor["page"] for errand in begun.errands(1)] == [1]


def test_of_several_failures_the_first_is_told() -> None:
    first, second = IrisServerError("first"), IrisServerError("second")
    server = Server(pages=3, errors={(0, 1): first, (0, 2): second}, held=(2,))
    pages = fetch_pages(server.fetch, frontier(), 2, lambda *_: server.let_go(2))
    next(pages)
    with pytest.raises(IrisServerError) as caught:
        list(pages)
    assert caught.value is first


@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_an_error_that_may_be_passed_over_ends_only_its_own_item(max_concurrency: int) -> None:
    gone = IrisNotFoundError("gone", status=404)
    asked: list[tuple[int, IrisError]] = []

    def may_skip(errand: Errand, error: IrisError) -> bool:
        asked.append((errand.item, error))
        return True

    server = Server(pages=2, errors={(1, 0): gone})
    records, error = fetched(server, max_concurrency, items=3, may_skip=may_skip)
    assert (sorted(records), error) == (["0.0", "0.1", "2.0", "2.1"], None)
    assert asked == [(1, gone)]


@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_an_error_that_is_none_of_ours_is_never_passed_over(max_concurrency: int) -> None:
    bug = ValueError("a bug")
    _, error = fetched(Server(pages=2, errors={(0, 1): bug}), max_concurrency, may_skip=lambda *_: True)
    assert error is bug


def test_who_leaves_early_is_not_held_up_by_a_page_on_its_way() -> None:
    server = Server(pages=3, held=(2,))
    pages = fetch_pages(server.fetch, frontier(), 2)
    # The second comes only once the third has been asked for as well.
    assert [page.records for _, found in (next(pages), next(pages)) for page in found] == [["0.0"], ["0.1"]]
    leaving = threading.Thread(target=pages.close)
    leaving.start()
    leaving.join(PATIENCE_S)
    held_up = leaving.is_alive()
    server.let_go(2)
    assert not held_up
