"""Threads fetch pages for one reader; once it has left, nothing more is sent and nobody sleeps on."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackunit.iris.calls import make_call
from airflow_provider_trackunit.iris.errors import IrisNotFoundError, IrisPermissionError, IrisServerError
from airflow_provider_trackunit.iris.http import retrying
from airflow_provider_trackunit.iris.http.steps import CancelledError
from airflow_provider_trackunit.iris.pages.crew import Arrival, Crew, crew_of
from airflow_provider_trackunit.iris.pages.delivery import Delivery
from airflow_provider_trackunit.iris.pages.fetching import deliver, deliver_on_loop
from airflow_provider_trackunit.iris.pages.frontier import Frontier
from tests.iris.pages.numbered import ASSETS, answer, calls, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_trackunit.emulator import IrisEmulator
    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.pages.walk import Errand
    from tests.iris.conftest import ClientFactory

#: A test that would wait for ever fails instead.
PATIENCE_S = 10.0


class Server:
    """Has one collection of so many pages; some of them are errors, some come only when they are let go.

    :param errors: by the number of the page, from 1
    :param held: the pages that wait for ``let_go``
    """

    def __init__(
        self, pages: int, errors: dict[int, BaseException] | None = None, held: tuple[int, ...] = ()
    ) -> None:
        self.pages = pages
        self.errors = errors or {}
        self.before: Callable[[int], object] = lambda _number: None
        self.gates = {page: threading.Event() for page in held}
        self.asked: list[int] = []
        self.threads: set[str] = set()
        self.cancelled: threading.Event | None = None

    def fetch(self, errand: Errand, cancelled: threading.Event) -> Page:
        _, number = place(errand)
        if cancelled.is_set():
            raise CancelledError
        self.cancelled = cancelled
        self.asked.append(number)
        self.threads.add(threading.current_thread().name)
        self.before(number)
        if number in self.gates:
            assert self.gates[number].wait(PATIENCE_S)
        if number in self.errors:
            raise self.errors[number]
        return answer(errand, self.pages)

    def let_go(self, page: int) -> None:
        """Let a held page come."""
        self.gates[page].set()


def errands(count: int) -> list[Errand]:
    """Return the first pages of so many items."""
    _, found = Frontier().ask(calls(count), (), count)
    return found


def delivered(server: Server, at_most: int) -> Iterator[Page]:
    return deliver(server.fetch, Delivery(calls()[0], None, at_most), at_most)


def numbers(pages: Iterator[Page]) -> list[int | None]:
    return [page.number for page in pages]


def next_of(crew: Crew) -> Arrival:
    """Return the next errand that came back, taken from the crew."""
    arrival = crew.arrival(PATIENCE_S)
    assert arrival is not None
    crew.taken(arrival)
    return arrival


def threads_of_crews() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("iris-page-")]


# -- a crew


def test_as_many_errands_run_at_once_as_the_crew_is_large() -> None:
    server = Server(pages=1)
    together = threading.Barrier(3, timeout=PATIENCE_S)
    server.before = lambda _number: together.wait()
    with crew_of(server.fetch, 3) as crew:
        assert crew.free == 3
        for errand in errands(3):
            crew.ask(errand)
        assert crew.free == 0
        found = [next_of(crew) for _ in range(3)]
    assert sorted(one.errand.item for one in found if one.page) == [0, 1, 2]
    assert (crew.free, crew.under_way) == (3, {})
    assert server.threads == {"iris-page-0", "iris-page-1", "iris-page-2"}


def test_a_crew_has_no_more_threads_than_it_has_errands() -> None:
    server = Server(pages=1)
    with crew_of(server.fetch, 8) as crew:
        for errand in errands(5):
            crew.ask(errand)
            next_of(crew)
    assert server.threads == {"iris-page-0"}


@pytest.mark.parametrize(
    "error",
    [IrisServerError("x", status=503), ValueError("a bug"), KeyboardInterrupt(), SystemExit(1)],
    ids=repr,
)
def test_whatever_goes_wrong_in_a_thread_reaches_the_reader_and_the_crew_works_on(
    error: BaseException,
) -> None:
    server = Server(pages=1, errors={1: error})
    with crew_of(server.fetch, 1) as crew:
        first, second = errands(2)
        crew.ask(first)
        came = next_of(crew)
        assert (came.errand, came.page, came.error) == (first, None, error)
        server.errors = {}
        crew.ask(second)
        assert next_of(crew).page is not None


def test_what_came_back_is_under_way_until_it_is_taken_whoever_is_interrupted() -> None:
    with crew_of(Server(pages=1).fetch, 2) as crew:
        for errand in errands(2):
            crew.ask(errand)
        interrupted = crew.arrival(PATIENCE_S)
        assert crew.free == 0
        rest = list(crew.rest(PATIENCE_S))
        assert interrupted in rest
        assert sorted(arrival.errand.item for arrival in rest) == [0, 1]
        assert (crew.free, list(crew.rest(PATIENCE_S))) == (2, [])


def test_who_stops_reading_the_rest_finds_what_was_not_done_with_in_the_next() -> None:
    with crew_of(Server(pages=1).fetch, 2) as crew:
        for errand in errands(2):
            crew.ask(errand)
        first = next(crew.rest(PATIENCE_S))
        assert first in list(crew.rest(PATIENCE_S))


def test_a_reader_waits_no_longer_than_it_wants_to() -> None:
    server = Server(pages=1, held=(1,))
    with crew_of(server.fetch, 1) as crew:
        crew.ask(errands(1)[0])
        assert crew.arrival(0.0) is None
        assert crew.free == 0
        server.let_go(1)
        next_of(crew)


def test_a_reader_that_is_woken_looks_up_at_once_and_loses_no_page() -> None:
    server = Server(pages=1, held=(1,))
    with crew_of(server.fetch, 1) as crew:
        server.before = lambda _number: crew.wake()
        crew.ask(errands(1)[0])
        assert crew.arrival(PATIENCE_S) is None
        server.let_go(1)
        assert next_of(crew).page is not None


def test_a_signal_handler_may_wake_the_reader_from_its_wait() -> None:
    server = Server(pages=1, held=(1,))
    crew = Crew(server.fetch, 1)
    former = signal.signal(signal.SIGUSR1, lambda *_: crew.wake())
    try:
        reader = threading.get_ident()
        server.before = lambda _number: signal.pthread_kill(reader, signal.SIGUSR1)
        crew.ask(errands(1)[0])
        assert crew.arrival(PATIENCE_S) is None
    finally:
        signal.signal(signal.SIGUSR1, former)
        server.let_go(1)
        crew.cancel()


def test_after_the_crew_is_cancelled_what_was_not_sent_is_not_sent_and_what_was_comes_back() -> None:
    server = Server(pages=1, held=(1,))
    sent = threading.Event()
    server.before = lambda _number: sent.set()
    crew = Crew(server.fetch, 1)
    first, second = errands(2)
    crew.ask(first)
    crew.ask(second)
    assert sent.wait(PATIENCE_S)
    crew.cancel()
    crew.cancel()
    server.let_go(1)
    rest = {arrival.errand.item: arrival for arrival in crew.rest(PATIENCE_S)}
    assert rest[0].page is not None
    assert isinstance(rest[1].error, CancelledError)
    assert len(server.asked) == 1
    for thread in threads_of_crews():
        thread.join(PATIENCE_S)
    assert threads_of_crews() == []


def test_what_does_not_come_back_is_waited_for_no_longer_than_said() -> None:
    server = Server(pages=1, held=(1,))
    crew = Crew(server.fetch, 1)
    crew.ask(errands(1)[0])
    crew.cancel()
    crew.wake()
    assert list(crew.rest(0.0)) == []
    assert len(crew.under_way) == 1
    server.let_go(1)


class Heard(logging.Handler):
    """Says when something is logged: a wait is, before it begins."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.something = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.something.set()


def test_who_sleeps_until_a_retry_wakes_up_when_the_crew_is_cancelled_and_asks_for_nothing(
    new_client: ClientFactory, iris_emulator: IrisEmulator
) -> None:
    client = new_client(clock=time.monotonic, sleep=time.sleep)
    iris_emulator.fault(path=ASSETS, kind="rate_limit", retry_after="100")
    call = make_call(iris_emulator.url, ASSETS)
    _, (errand,) = Frontier.at(call, None).ask([call], (), 1)
    heard = Heard()
    logging.getLogger(retrying.__name__).addHandler(heard)
    try:
        with crew_of(client.run_errand, 1) as crew:
            crew.ask(errand)
            assert heard.something.wait(PATIENCE_S)
            crew.cancel()
            (came,) = crew.rest(PATIENCE_S)
    finally:
        logging.getLogger(retrying.__name__).removeHandler(heard)
    assert isinstance(came.error, CancelledError)
    assert len(iris_emulator.requests(ASSETS)) == 1


# -- a walk in order


@pytest.mark.parametrize("at_most", [1, 2, 8, 16])
def test_every_page_comes_once_and_in_order(at_most: int) -> None:
    server = Server(pages=9)
    assert numbers(delivered(server, at_most)) == list(range(1, 10))
    assert sorted(server.asked) == list(range(1, 10))


def test_one_at_a_time_needs_no_thread_and_asks_only_for_what_is_wanted() -> None:
    server = Server(pages=5)
    pages = delivered(server, 1)
    assert server.asked == []
    next(pages)
    assert server.asked == [1]
    next(pages)
    assert server.asked == [1, 2]
    assert server.threads == {threading.current_thread().name}


def test_a_page_can_be_used_as_soon_as_it_is_there_however_slow_the_others_are() -> None:
    server = Server(pages=3, held=(3,))
    pages = delivered(server, 2)
    assert [next(pages).number, next(pages).number] == [1, 2]
    server.let_go(3)
    assert numbers(pages) == [3]


def test_when_a_page_fails_those_on_their_way_before_it_come_all_the_same() -> None:
    failed = IrisServerError("page 3", status=503)
    server = Server(pages=9, errors={3: failed}, held=(3,))

    def before(number: int) -> None:
        """Let the third page fail once the second was asked for, which takes until that has ended the asking."""
        if number == 2 and server.cancelled is not None:
            server.let_go(3)
            server.cancelled.wait(PATIENCE_S)

    server.before = before
    came: list[int | None] = []
    with pytest.raises(IrisServerError) as caught:
        came.extend(page.number for page in delivered(server, 2))
    assert caught.value is failed
    assert came == [1, 2]
    assert sorted(server.asked) == [1, 2, 3]


@pytest.mark.parametrize("at_most", [1, 4])
@pytest.mark.parametrize("error", [IrisNotFoundError("gone", status=404), ValueError("a bug")], ids=repr)
def test_an_error_ends_the_walk_after_the_pages_before_it(at_most: int, error: Exception) -> None:
    server = Server(pages=9, errors={3: error}, held=(3,))
    # Not before page 2 was asked for: after an error nothing more is.
    server.before = lambda number: server.let_go(3) if number == 2 else None
    came: list[int | None] = []
    with pytest.raises(type(error)) as caught:
        came.extend(page.number for page in delivered(server, at_most))
    assert caught.value is error
    assert came == [1, 2]


@pytest.mark.parametrize("leave", ["closes", "is interrupted"])
def test_after_the_reader_has_left_nothing_more_is_sent_and_it_is_not_held_up(leave: str) -> None:
    server = Server(pages=9, held=(3,))
    pages = delivered(server, 2)
    assert [next(pages).number, next(pages).number] == [1, 2]
    asked = len(server.asked)
    if leave == "closes":
        pages.close()  # type: ignore[attr-defined]
    else:
        with pytest.raises(KeyboardInterrupt):
            pages.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert server.cancelled is not None
    assert server.cancelled.is_set()
    assert len(server.asked) == asked
    server.let_go(3)
    for thread in threads_of_crews():
        thread.join(PATIENCE_S)
    assert threads_of_crews() == []
    assert len(server.asked) == asked


def test_a_page_that_failed_ends_the_waits_of_the_others(
    new_client: ClientFactory, iris_emulator: IrisEmulator
) -> None:
    client = new_client(clock=time.monotonic, sleep=time.sleep)
    # Not a 429, which everybody heeds who shares the limit.
    iris_emulator.fault(path="page=1", kind="status", status=503, retry_after="100")
    iris_emulator.fault(path="page=2", kind="status", status=403)
    began = time.monotonic()
    with pytest.raises(IrisPermissionError):
        list(client.pages(ASSETS, query_params={"size": 20}, max_concurrency=2))
    assert time.monotonic() - began < 60
    assert len([one for one in iris_emulator.requests(ASSETS) if one["query"].endswith("page=1")]) <= 1


def test_a_walk_on_a_loop_of_which_one_task_is_cancelled_does_not_wait_for_it() -> None:
    async def main() -> None:
        never, asked = asyncio.Event(), asyncio.Event()

        async def fetch(errand: Errand) -> Page:
            if place(errand)[1] == 2:
                asked.set()
                await never.wait()
            return answer(errand, 3)

        pages = deliver_on_loop(fetch, Delivery(calls()[0], None, 2))
        await anext(pages)
        known = asyncio.all_tasks()
        reading = asyncio.ensure_future(anext(pages))
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        for task in asyncio.all_tasks() - known - {reading}:
            task.cancel()
        done, _ = await asyncio.wait([reading], timeout=PATIENCE_S)
        assert done
        assert reading.cancelled()

    asyncio.run(main())
