"""The pages of one walk in their order, however they come."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.errors import IrisPaginationError
from airflow_provider_trackunit.iris.pages.frontier import Frontier
from airflow_provider_trackunit.iris.pages.guard import Guard
from airflow_provider_trackunit.iris.pages.walk import page_name, tell_difference

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.page import Cursor, Page
    from airflow_provider_trackunit.iris.pages.walk import Errand, PageName


class Delivery:
    """The pages of one call, from a cursor on, handed out one after the other.

    Whoever drives it asks for errands, runs them, settles what came, and takes the pages whose turn it is. A page that
    comes frees its place at once, so that the next request need not wait for the reader; but nothing is asked for behind
    the first page before the reader comes back for a second one.

    :param at_most: how many pages may be under way, or have come before their turn; as many more may wait for the reader
        whose turn it is, none of them where this is 1
    :raises IrisConfigurationError: when an argument is unusable, a page number in the query included
    """

    def __init__(self, call: Call, cursor: Cursor | None, at_most: int) -> None:
        self._call = call
        self._frontier = Frontier.at(call, cursor)
        self._turn: Cursor | None = self._frontier.open[0].todo[0]
        self._at_most = at_most
        self._guard = Guard(call)
        self._under_way: set[PageName] = set()
        self._early: dict[PageName, Page] = {}
        self._due: deque[Page] = deque()
        self._may_wait = 0
        self._failure: BaseException | None = None

    def errands(self) -> list[Errand]:
        """Return what to fetch now: nothing more once a page has failed."""
        reader_is_behind = bool(self._due) and not self._may_wait
        if self._failure is not None or reader_is_behind:
            return []
        waiting = len(self._early) + max(0, len(self._due) - self._may_wait)
        free = self._at_most - len(self._under_way) - waiting
        self._frontier, errands = self._frontier.ask([self._call], self._under_way, free)
        self._under_way.update(errand.name for errand in errands)
        return errands

    def settle(self, errand: Errand, page: Page | None, error: BaseException | None) -> None:
        """Enter what came of an errand."""
        self._under_way.discard(errand.name)
        if not self._frontier.wants(errand):
            return  # the walk turned out to end before it
        if page is None:
            self._failure = self._failure or error
            return
        try:
            self._guard.check(errand.cursor, page)
        except IrisPaginationError as circle:
            self._failure = self._failure or circle
            return
        before = self._frontier.walk(0)
        self._frontier = self._frontier.with_page(errand, page, ahead=self._at_most)
        if not self._frontier.open:
            tell_difference(self._call, before.with_page(errand, page, 0))
        self._early[errand.name] = page
        self._let_due_pages_wait()

    def take(self) -> Page | None:
        """Return the page whose turn it is, None when it has not come."""
        return self._due.popleft() if self._due else None

    def read_on(self) -> None:
        """Enter that the reader came back for another page: from now on as many may wait for it as are under way."""
        self._may_wait = self._at_most - 1

    @property
    def is_under_way(self) -> bool:
        """Whether something is being fetched."""
        return bool(self._under_way)

    @property
    def has_failed(self) -> bool:
        """Whether a page will not come."""
        return self._failure is not None

    def end(self) -> None:
        """Raise what kept a page from coming, unless the walk turned out to end before it."""
        if self._failure is not None and self._frontier.open:
            raise self._failure

    def _let_due_pages_wait(self) -> None:
        while (
            self._turn is not None and (page := self._early.pop(page_name(0, self._turn), None)) is not None
        ):
            self._due.append(page)
            self._turn = page.next
