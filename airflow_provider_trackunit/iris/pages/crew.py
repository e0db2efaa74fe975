"""Threads that fetch pages, several at a time, in any order, and nothing more once the reader has left."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.errors import IrisConfigurationError
from airflow_provider_trackunit.iris.http.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from airflow_provider_trackunit.iris.pages.page import Page
    from airflow_provider_trackunit.iris.pages.walk import Errand, PageName

#: Fetches one page; raises :class:`~.http.steps.CancelledError` instead of sending once the event is set.
Fetch = Callable[["Errand", threading.Event], "Page"]


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
        renew_after_fork(self)

    def renew(self) -> None:
        """Let nobody wait in a child process: the threads are in the parent, and so is what they fetch."""
        self._threads, self._errands, self._ready = [], queue.SimpleQueue(), queue.SimpleQueue()
        for name, errand in self.under_way.items():
            error = IrisConfigurationError(
                "This walk was begun in the parent process, and its threads are there. Begin one in each process, "
                "from the cursor of the last page"
            )
            self._outcomes.setdefault(name, Arrival(errand, error=error))
            self._ready.put(name)

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
