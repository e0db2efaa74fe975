"""Drives the delivery of one walk: by threads, or by coroutines of the event loop that runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.pages.crew import crew_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from airflow_provider_trackunit.iris.pages.crew import Arrival, Crew, Fetch
    from airflow_provider_trackunit.iris.pages.delivery import Delivery
    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.pages.walk import Errand

#: Fetches one page on an event loop.
FetchOnLoop = Callable[["Errand"], Awaitable["Page"]]


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
            except BaseException as error:
                # Whoever ended this task alone must not leave the reader waiting for it.
                self._delivery.settle(errands[0], None, error)
                self._settled.set()
                raise
            self._settled.set()
            # The next request leaves from here, and does not wait for all that came in the same moment.
            errands = self._delivery.errands()
            for other in errands[1:]:
                self._start(other)
