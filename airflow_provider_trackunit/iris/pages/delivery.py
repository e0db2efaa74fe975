"""The pages of one walk in their order, however they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_trackunit.iris.pages.frontier import Frontier, page_name, tell_difference
from airflow_provider_trackunit.iris.pages.guard import Guard

if TYPE_CHECKING:
    from airflow_provider_trackunit.iris.calls import Call
    from airflow_provider_trackunit.iris.pages.frontier import Errand, PageName
    from airflow_provider_trackunit.iris.pages.paging import Cursor, Page


class Delivery:
    """The pages of one call, from a cursor on, handed out one after the other.

    :param at_most: how many pages may be under way, or waiting for their turn, at once
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
        self._failure: BaseException | None = None

    def errands(self) -> list[Errand]:
        """Return what to fetch now: nothing more once a page has failed."""
        if self._failure is not None:
            return []
        free = self._at_most - len(self._under_way) - len(self._early)
        self._frontier, errands = self._frontier.ask([self._call], self._under_way, max(0, free))
        self._under_way.update(errand.name for errand in errands)
        return errands

    def settle(self, errand: Errand, page: Page | None, error: BaseException | None) -> list[Page]:
        """Enter what came of an errand, and return the pages whose turn it is.

        :raises IrisPaginationError: when the walk goes in a circle
        """
        self._under_way.discard(errand.name)
        if not self._frontier.wants(errand):
            return []  # the walk turned out to end before it
        if page is None:
            self._failure = self._failure or error
            return []
        self._guard.check(errand.cursor, page)
        walk = self._frontier.walk(0).with_page(errand, page, self._at_most)
        if not walk.todo:
            tell_difference(self._call, walk)
        self._frontier = self._frontier.with_page(errand, page, ahead=self._at_most)
        self._early[errand.name] = page
        return self._due()

    @property
    def has_failed(self) -> bool:
        """Whether a page will not come."""
        return self._failure is not None

    def end(self) -> None:
        """Raise what kept a page from coming, unless the walk turned out to end before it."""
        if self._failure is not None and self._frontier.open:
            raise self._failure

    def _due(self) -> list[Page]:
        due: list[Page] = []
        while (
            self._turn is not None and (page := self._early.pop(page_name(0, self._turn), None)) is not None
        ):
            due.append(page)
            self._turn = page.next
        return due
