"""Fetches pages, several at a time, in any order, and nothing more once the reader has left: threads or coroutines do."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from airflow_provider_trackunit.iris.pages.delivery import Delivery
    from airflow_provider_trackunit.iris.pages.frontier import Errand, PageName
    from airflow_provider_trackunit.iris.pages.paging import Page

#: Fetches one page; raises :class:`~.http.steps.CancelledError` instead of sending once the event is set.
Fetch = Callable[["Errand", threading.Event], "Page"]

#: Fetches one page on an event loop.
FetchOnLoop = Callable[["Errand"], Awaitable["Page"]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of an errand: its page, or why there is none."""

    errand: Errand
    page: Page | None = None
    error: BaseException | None = None


class Crew:
    """Threads that run errands for one reader.

    They are daemons: whoever leaves early (a time limit, a full disk, the end of the process) is not held up by a
    request that is on its way. After :meth:`cancel` no request leaves any more, and those who sleep wake up.

    :param fetch: runs one errand; called from several threads at once
    :param size: how many errands run at once
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._threads: list[threading.Thread] = []
        self._errands: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        # What came of each errand, until the reader says that it has taken it: an exception on the way loses nothing.
        self._outcomes: dict[PageName, Arrival] = {}
        # Its put() may be called from a signal handler at any moment, within its own get() too.
        self._ready: queue.SimpleQueue[PageName | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self.under_way: dict[PageName, Errand] = {}

    @property
    def free(self) -> int:
        """How many more errands can run now."""
        return self._size - len(self.under_way)

    def ask(self, errand: Errand) -> None:
        """Let one of the threads run an errand."""
        self.under_way[errand.name] = errand
        self._errands.put(errand)
        if len(self._threads) < min(self._size, len(self.under_way)):
            thread = threading.Thread(target=self._work, name=f"iris-page-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def arrival(self, timeout_s: float | None = None) -> Arrival | None:
        """Return the next errand that came back; None after a time, or when :meth:`wake` was called.

        It stays under way until it is given to :meth:`taken`.
        """
        try:
            name = self._ready.get(timeout=timeout_s)
        except queue.Empty:
            return None
        return None if name is None else self._outcomes.get(name)

    def taken(self, arrival: Arrival) -> None:
        """Forget an errand whose outcome is in the books."""
        self._outcomes.pop(arrival.errand.name, None)
        self.under_way.pop(arrival.errand.name, None)

    def wake(self) -> None:
        """Make the reader look up from its wait. May be called in a signal handler, and from any thread."""
        self._ready.put(None)

    def cancel(self) -> None:
        """Send nothing more. What is on its way comes back all the same, what is not comes back cancelled."""
        self._cancelled.set()
        for _ in self._threads:
            self._errands.put(None)

    def rest(self, within_s: float) -> Iterator[Arrival]:
        """Yield what is not taken yet, as it comes back, for so long at the most."""
        ends_at = time.monotonic() + within_s
        while self.under_way:
            come = [self._outcomes[name] for name in self.under_way if name in self._outcomes]
            for arrival in come:
                yield arrival
                self.taken(arrival)
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                return
            if not come:
                self.arrival(left_s)

    def _work(self) -> None:
        while (errand := self._errands.get()) is not None:
            self._outcomes[errand.name] = self._outcome(errand)
            self._ready.put(errand.name)

    def _outcome(self, errand: Errand) -> Arrival:
        try:
            return Arrival(errand, page=self._fetch(errand, self._cancelled))
        except BaseException as error:  # noqa: BLE001 - the reader decides, and it waits for an answer
            return Arrival(errand, error=error)


@contextmanager
def crew_of(fetch: Fetch, size: int) -> Generator[Crew]:
    """Lend a crew that sends nothing more once it is given back."""
    crew = Crew(fetch, size)
    try:
        yield crew
    finally:
        crew.cancel()


def deliver(fetch: Fetch, delivery: Delivery, at_most: int) -> Generator[Page]:
    """Yield the pages of one walk in order, as they are asked for or, with several at once, as they come.

    When a page fails for good, those still on their way are waited for and yielded before the error is raised, as far
    as they come before it: they were asked for, and a metered URL would not answer again.
    """
    if at_most == 1:
        yield from _one_by_one(fetch, delivery)
        return
    with crew_of(fetch, at_most) as crew:
        while True:
            for errand in delivery.errands():
                crew.ask(errand)
            page = delivery.take()
            if page is not None:
                yield page
                delivery.read_on()
            elif (arrival := _next_of(crew)) is not None:
                delivery.settle(arrival.errand, arrival.page, arrival.error)
            elif not crew.under_way:
                break
            if delivery.has_failed:
                crew.cancel()
    delivery.end()


def _next_of(crew: Crew) -> Arrival | None:
    """Return what came of the next errand that comes back; None when none is under way."""
    arrival = crew.arrival() if crew.under_way else None
    if arrival is not None:
        crew.taken(arrival)
    return arrival


def _one_by_one(fetch: Fetch, delivery: Delivery) -> Iterator[Page]:
    """Yield the pages without a thread: the next request leaves when the caller comes back."""
    never = threading.Event()
    while errands := delivery.errands():
        for errand in errands:
            delivery.settle(errand, fetch(errand, never), None)
        while (page := delivery.take()) is not None:
            yield page
    delivery.end()


async def deliver_on_loop(fetch: FetchOnLoop, delivery: Delivery) -> AsyncGenerator[Page, None]:
    """Yield the pages of one walk, as :func:`deliver` does, on the event loop that runs."""
    crew = _LoopCrew(fetch, delivery)
    try:
        while True:
            crew.begin()
            page = delivery.take()
            if page is not None:
                yield page
                delivery.read_on()
            elif not await crew.brings_something():
                break
    finally:
        await crew.cancel()
    delivery.end()


class _LoopCrew:
    """Coroutines that run the errands of one delivery, and settle them. Each goes on with the next errand there is."""

    def __init__(self, fetch: FetchOnLoop, delivery: Delivery) -> None:
        self._fetch = fetch
        self._delivery = delivery
        self._tasks: set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()

    def begin(self) -> None:
        """Let one coroutine run each errand that there is."""
        for errand in self._delivery.errands():
            self._start(errand)

    async def brings_something(self) -> bool:
        """Wait until an errand was settled; return False when none is under way."""
        if not self._delivery.is_under_way:
            return False
        await self._settled.wait()
        self._settled.clear()
        return True

    async def cancel(self) -> None:
        """Send nothing more."""
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _start(self, errand: Errand) -> None:
        task = asyncio.create_task(self._run(errand))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, errand: Errand) -> None:
        errands = [errand]
        while errands:
            try:
                self._delivery.settle(errands[0], await self._fetch(errands[0]), None)
            except Exception as error:  # noqa: BLE001 - the reader gets it
                self._delivery.settle(errands[0], None, error)
            self._settled.set()
            # The next request leaves from here, and does not wait for all that came in the same moment.
            errands = self._delivery.errands()
            for other in errands[1:]:
                self._start(other)
